"""Artifacts of a run, copied to this machine: out of its claim, or out of Argo's repository."""

from __future__ import annotations

import secrets
import time

from flowcore.plugin import RefusedError, UnreachableError
from flowcore_argo.options import Options
from flowcore_argo.places import WORKFLOWS
from flowcore_argo.pods import ARTIFACTS_VOLUME
from flowcore_argo.readers import FOLDER, reader
from flowcore_argo.stores import key_of
from flowcore_kubernetes import PODS, Client, Object, fetching


def download(client: Client, options: Options, workflow: Object, place: str, output: str, target: str) -> str:
    """Copy the artifact at ``place`` (``step/output``, within the run's claim) to ``target``.

    Raises:
        RefusedError: if no pod can read it.
    """
    spec = workflow["spec"]
    if not any(each["name"] == ARTIFACTS_VOLUME for each in spec.get("volumes") or ()):
        return fetching.unpack(_by_workflow(client, options, workflow, place), "artifact", output, target)
    step, _, name = place.rpartition("/")
    claim = f"{workflow['metadata']['name']}-artifacts"
    same = {field: spec[field] for field in ("imagePullSecrets", "serviceAccountName") if field in spec}
    text = fetching.read_claim(client, workflow, claim, step, name, options.helper_image, same)
    return fetching.unpack(text, name, output, target)


def _by_workflow(client: Client, options: Options, workflow: Object, place: str) -> bytes:
    """What a small Workflow reads out of Argo's repository: only Argo knows the way there."""
    metadata = workflow["metadata"]
    # 63 characters at most: the name of a Workflow is a label of its pods.
    name = f"{metadata['name']}-read-{secrets.token_hex(3)}"
    key = key_of(metadata["name"], place)
    command = fetching.packing(FOLDER, "artifact")
    source = {"s3": {"key": key}}
    namespace = metadata["namespace"]
    wanted = reader(workflow, name, "artifact", source, options.helper_image, command, fetching.PATIENCE)
    client.create(WORKFLOWS, wanted, namespace)
    try:
        end = time.monotonic() + fetching.PATIENCE
        while time.monotonic() < end:
            status = client.get(WORKFLOWS, name, namespace).get("status") or {}
            if status.get("phase") == "Succeeded":
                request = client.request("get", PODS, name, namespace, "log")
                text = client.bytes_of(request, {"container": "main"})
                return b"\n".join(line for line in text.split(b"\n") if b"argo=true" not in line)
            if status.get("phase") in ("Failed", "Error"):
                raise RefusedError(f"Argo cannot read the artifact {key}: {status.get('message') or 'it failed'}")
            time.sleep(0.5)
        raise UnreachableError(
            f"the Workflow {name} that reads the artifact has not ended after {fetching.PATIENCE:g} s"
        )
    finally:
        client.delete(WORKFLOWS, name, namespace)
