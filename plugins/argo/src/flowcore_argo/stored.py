"""A Workflow's nodes, however its status holds them."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Mapping
from typing import Any

from flowcore.plugin import RefusedError


def nodes_of(workflow: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The nodes, unpacked where Argo packed them because they were many.

    Raises:
        RefusedError: if Argo keeps them in a database of its own, and nobody has asked Argo's server for them.
    """
    status = workflow.get("status") or {}
    packed = status.get("compressedNodes")
    if packed:
        text = zlib.decompress(base64.b64decode(packed), zlib.MAX_WBITS | 16)
        return list(json.loads(text).values())
    if is_offloaded(workflow):
        name = workflow["metadata"]["name"]
        raise RefusedError(
            f"Argo keeps the status of run {name} in its database (nodeStatusOffLoad), which only its own server shows;"
            " say where that is by the option server"
        )
    return list((status.get("nodes") or {}).values())


def is_offloaded(workflow: Mapping[str, Any]) -> bool:
    """Whether the nodes are in Argo's database, and not here."""
    status = workflow.get("status") or {}
    return bool(status.get("offloadNodeStatusVersion")) and not status.get("nodes")


def with_end(workflow: Mapping[str, Any], node: str, end: Mapping[str, Any]) -> dict[str, Any]:
    """The change of a Workflow's status that puts an end into one node.

    Nodes that were in Argo's database are in the Workflow then, and Argo does not look there: it puts them back itself.
    """
    status = workflow.get("status") or {}
    if status.get("compressedNodes") or status.get("offloadNodeStatusVersion"):
        nodes = {each["id"]: {**each, **end} if each["id"] == node else each for each in nodes_of(workflow)}
        return {"compressedNodes": pack(nodes), "offloadNodeStatusVersion": None}
    return {"nodes": {node: dict(end)}}


def pack(nodes: Mapping[str, Any]) -> str:
    """Nodes as Argo packs them."""
    return base64.b64encode(gzip.compress(json.dumps(nodes, separators=(",", ":")).encode())).decode()
