"""Companions of a run: config maps with texts that are too long or too odd for its own object. Pure.

A config map holds bytes as they are, whatever they are, so nothing expands them on their way to a file in the pod.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from flowcore_kubernetes.marks import DIGEST
from flowcore_kubernetes.resources import Object

MOST_BYTES: Final = 1024 * 1024
"""What one config map may hold, keys included (the API server's own limit)."""
_KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}")


@frozen
class Place:
    """Where a file ended up: in ``config_map``, under ``key``."""

    config_map: str
    key: str


@frozen
class Companions:
    """Config maps, and where each file is in them."""

    objects: tuple[Object, ...] = ()
    places: Mapping[str, Place] = field(factory=dict)


def config_maps(name: str, files: Mapping[str, str | bytes], labels: Mapping[str, str] | None = None) -> Companions:
    """Pack files into as few config maps as their order allows: ``NAME-0``, ``NAME-1``, ...

    The same files always give the same objects.

    Args:
        name: what their names begin with.
        files: content by key; a key has letters, digits, ``-``, ``_`` and ``.``.

    Raises:
        ValueError: if a key is not one, or a file alone is more than MOST_BYTES: a backend's limits keep that away.
    """
    packs: list[dict[str, bytes]] = []
    room = 0
    places = {}
    for key, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        size = len(key) + len(data)
        if not _KEY.fullmatch(key) or key in (".", "..") or key.startswith(".."):
            raise ValueError(f"{key!r} is no key of a config map")
        if size > MOST_BYTES:
            raise ValueError(f"{key} has {len(data):,} bytes, and a config map holds {MOST_BYTES:,}")
        if size > room:
            packs.append({})
            room = MOST_BYTES
        packs[-1][key] = data
        room -= size
        places[key] = Place(f"{name}-{len(packs) - 1}", key)
    objects = tuple(_config_map(f"{name}-{index}", pack, labels or {}) for index, pack in enumerate(packs))
    return Companions(objects, places)


def _config_map(name: str, files: Mapping[str, bytes], labels: Mapping[str, str]) -> Object:
    texts: dict[str, str] = {}
    binaries: dict[str, str] = {}
    for key, data in files.items():
        try:
            texts[key] = data.decode()
        except UnicodeDecodeError:
            binaries[key] = base64.b64encode(data).decode()
    content = {**({"data": texts} if texts else {}), **({"binaryData": binaries} if binaries else {})}
    metadata: dict[str, Any] = {"name": name}
    if labels:
        metadata["labels"] = dict(labels)
    metadata["annotations"] = {DIGEST: digest(content)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **content, "immutable": True}


def digest(*parts: object) -> str:
    """The SHA-256, in hex, of JSON values; the order of keys does not matter."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def owned(object: Mapping[str, Any], owner: Mapping[str, Any]) -> Object:
    """The object as one that is deleted together with ``owner``, which the server must have created already."""
    metadata = owner["metadata"]
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    own = object.get("metadata", {})
    others = [each for each in own.get("ownerReferences") or () if each.get("uid") != metadata["uid"]]
    return {**object, "metadata": {**own, "ownerReferences": [*others, reference]}}
