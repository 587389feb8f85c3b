"""Artifacts of a run, copied to this machine: a pod packs them, and its log brings them.

The claim that holds them can only be read by a pod. Its log is text, so the archive comes in base64, with its size and
checksum at the end: a log that the kubelet has cut off is noticed.
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
from typing import Final

from flowcore.plugin import RefusedError, UnreachableError, UsageError
from flowcore_argo.options import Options
from flowcore_argo.places import ARTIFACTS, MANAGED, RUN, WORKFLOWS
from flowcore_argo.pods import ARTIFACTS_VOLUME
from flowcore_argo.readers import FOLDER, reader
from flowcore_argo.stores import key_of
from flowcore_kubernetes import PODS, Client, Object, owned, why_waiting

_PACK: Final = (
    'cd "$1" && tar -cf - "$2" | tee /tmp/flowcore.tar | base64 && echo "end $(sha256sum </tmp/flowcore.tar)"'
)
_PATIENCE: Final = 300.0


def download(client: Client, options: Options, workflow: Object, place: str, output: str, target: str) -> str:
    """Copy the artifact at ``place`` (``step/output``, within the run's claim) to ``target``.

    Raises:
        RefusedError: if no pod can read it.
    """
    step, _, name = place.rpartition("/")
    namespace = workflow["metadata"]["namespace"]
    if not any(each["name"] == ARTIFACTS_VOLUME for each in workflow["spec"].get("volumes") or ()):
        return _unpack(_by_workflow(client, options, workflow, place), "artifact", output, target)
    pod = _reader(options, workflow, step, name)
    client.create(PODS, pod, namespace)
    try:
        text = _log(client, namespace, pod["metadata"]["name"])
    finally:
        client.delete(PODS, pod["metadata"]["name"], namespace, grace=0)
    return _unpack(text, name, output, target)


def _reader(options: Options, workflow: Object, step: str, name: str) -> Object:
    run = workflow["metadata"]["name"]
    mount = {"name": "artifacts", "mountPath": ARTIFACTS, "readOnly": True}
    container = {
        "name": "main",
        "image": options.helper_image,
        "command": ["sh", "-c", _PACK.replace("$", "$$"), "flowcore", f"{ARTIFACTS}/{step}", name],
        "volumeMounts": [mount],
    }
    spec: Object = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": [{"name": "artifacts", "persistentVolumeClaim": {"claimName": f"{run}-artifacts"}}],
    }
    for field in ("imagePullSecrets", "serviceAccountName"):
        if field in workflow["spec"]:
            spec[field] = workflow["spec"][field]
    metadata = {"name": f"{run}-read-{secrets.token_hex(4)}", "labels": {MANAGED: "flowcore", RUN: run}}
    return owned({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, workflow)


def _by_workflow(client: Client, options: Options, workflow: Object, place: str) -> bytes:
    """What a small Workflow reads out of Argo's repository: only Argo knows the way there."""
    metadata = workflow["metadata"]
    # 63 characters at most: the name of a Workflow is a label of its pods.
    name = f"{metadata['name']}-read-{secrets.token_hex(3)}"
    key = key_of(metadata["name"], place)
    command = ["sh", "-c", _PACK.replace("$", "$$"), "flowcore", FOLDER, "artifact"]
    source = {"s3": {"key": key}}
    namespace = metadata["namespace"]
    wanted = reader(workflow, name, "artifact", source, options.helper_image, command, _PATIENCE)
    client.create(WORKFLOWS, wanted, namespace)
    try:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            status = client.get(WORKFLOWS, name, namespace).get("status") or {}
            if status.get("phase") == "Succeeded":
                request = client.request("get", PODS, name, namespace, "log")
                text = client.bytes_of(request, {"container": "main"})
                return b"\n".join(line for line in text.split(b"\n") if b"argo=true" not in line)
            if status.get("phase") in ("Failed", "Error"):
                raise RefusedError(f"Argo cannot read the artifact {key}: {status.get('message') or 'it failed'}")
            time.sleep(0.5)
        raise UnreachableError(f"the Workflow {name} that reads the artifact has not ended after {_PATIENCE:g} s")
    finally:
        client.delete(WORKFLOWS, name, namespace)


def _log(client: Client, namespace: str, name: str) -> bytes:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        pod = client.get(PODS, name, namespace)
        phase = pod.get("status", {}).get("phase")
        if phase in ("Succeeded", "Failed"):
            request = client.request("get", PODS, name, namespace, "log")
            return client.bytes_of(request, {"container": "main"})
        waiting = why_waiting(pod)
        if waiting is not None and waiting.reason != "capacity":
            raise RefusedError(f"the pod {name} that reads the artifact does not start: {waiting.message}")
        time.sleep(0.3)
    raise UnreachableError(f"the pod {name} that reads the artifact has not ended after {_PATIENCE:g} s")


def _unpack(text: bytes, name: str, output: str, target: str) -> str:
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
