"""Files that only a pod can read, copied to this machine: the pod packs them, and its log brings them.

A log is text, so the archive comes in base64, with its checksum at the end: a log that the kubelet has cut off is
noticed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import os
import secrets
import shutil
import tarfile
import tempfile
import time
from collections.abc import Mapping
from typing import Any, Final

from flowcore.plugin import RefusedError, UnreachableError, UsageError
from flowcore_kubernetes.causes import why_waiting
from flowcore_kubernetes.client import Client
from flowcore_kubernetes.companions import owned
from flowcore_kubernetes.resources import PODS, Object

PATIENCE: Final = 300.0
"""Seconds that a pod may take to read them."""
_PACK: Final = (
    'cd "$1" && tar -cf - "$2" | tee /tmp/flowcore.tar | base64 && echo "end $(sha256sum </tmp/flowcore.tar)"'
)
_PLACE: Final = "/flowcore/read"


def packing(folder: str, name: str) -> list[str]:
    """The command that writes what ``name`` in ``folder`` is, packed, to the standard output of a container."""
    return ["sh", "-c", _PACK.replace("$", "$$"), "flowcore", folder, name]


def read_claim(
    client: Client, owner: Mapping[str, Any], claim: str, folder: str, name: str, image: str, pod: Mapping[str, Any]
) -> bytes:
    """What a pod of its own reads from a claim, packed.

    Args:
        owner: the run; the pod is in its namespace, and gone with it at the latest.
        folder: where in the claim it is.
        image: one with ``sh``, ``tar``, ``base64`` and ``sha256sum``.
        pod: more fields of the pod's spec, such as ``imagePullSecrets``.

    Raises:
        RefusedError: if the pod does not start.
        UnreachableError: if it does not end.
    """
    container = {
        "name": "main",
        "image": image,
        "command": packing(f"{_PLACE}/{folder}", name),
        "volumeMounts": [{"name": "claim", "mountPath": _PLACE, "readOnly": True}],
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        **pod,
        "containers": [container],
        "volumes": [{"name": "claim", "persistentVolumeClaim": {"claimName": claim}}],
    }
    # Not the run's labels: a controller may take every pod that has them for one of its own.
    metadata = {"name": f"{owner['metadata']['name']}-read-{secrets.token_hex(4)}"}
    reader: Object = owned({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, owner)
    namespace = owner["metadata"]["namespace"]
    # Its name is random, so one that is there is this one, made by a request whose answer was lost.
    client.ensure(PODS, reader, namespace)
    try:
        return _log_of(client, metadata["name"], namespace)
    finally:
        client.delete(PODS, metadata["name"], namespace, grace=0)


def _log_of(client: Client, name: str, namespace: str) -> bytes:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        pod = client.get(PODS, name, namespace)
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            return client.bytes_of(client.request("get", PODS, name, namespace, "log"), {"container": "main"})
        waiting = why_waiting(pod)
        if waiting is not None and waiting.reason != "capacity":
            raise RefusedError(f"the pod {name} that reads the artifact does not start: {waiting.message}")
        time.sleep(0.3)
    raise UnreachableError(f"the pod {name} that reads the artifact has not ended after {PATIENCE:g} s")


def unpack(text: bytes, name: str, output: str, target: str) -> str:
    """Write what ``packing`` packed to ``target``, or into it if that is a folder; where it is now.

    Args:
        name: what was packed.
        output: what it is called, in messages and in a folder.

    Raises:
        RefusedError: if it was not there, or did not come whole.
        UsageError: if it cannot be written.
    """
    body, _, end = text.rstrip().rpartition(b"\nend ")
    try:
        archive = base64.b64decode(body)
    except binascii.Error:
        archive = b""
    if not end or hashlib.sha256(archive).hexdigest().encode() != end.split()[0]:
        if b"No such file" in text or b"can't" in text:
            raise RefusedError(
                f"artifact {output} is not there any more: {text.decode(errors='replace').strip()[-200:]}"
            )
        raise RefusedError(
            f"artifact {output} did not come whole; it may be too large for the kubelet's log (10 MiB by default):"
            " read it in a step of its own"
        )
    if os.path.isdir(target):
        target = os.path.join(target, output)
    parent = os.path.dirname(os.path.abspath(target))
    try:
        os.makedirs(parent, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent, prefix=".flowcore-") as folder:
            with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
                _extract(packed, folder)
            found = os.path.join(folder, name)
            if os.path.isdir(found):
                shutil.copytree(found, target, dirs_exist_ok=True, symlinks=True)
            else:
                shutil.copyfile(found, target)
    except (OSError, tarfile.TarError, shutil.Error) as error:
        raise UsageError(f"{target}: cannot be written ({error})") from None
    return target


def _extract(packed: tarfile.TarFile, folder: str) -> None:
    """Extract, and never outside of the folder."""
    if hasattr(tarfile, "data_filter"):
        packed.extractall(folder, filter="data")
        return
    root = os.path.realpath(folder)
    for member in packed.getmembers():
        place = os.path.realpath(os.path.join(folder, member.name))
        if not (member.isfile() or member.isdir()) or os.path.commonpath([root, place]) != root:
            raise tarfile.TarError(f"{member.name} is neither a file nor a folder inside")
    packed.extractall(folder)
