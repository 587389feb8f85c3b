"""Artifacts of a run, copied to this machine out of the claim that holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowcore.plugin import RefusedError
from flowcore_kubernetes import Client, Object, fetching
from flowcore_tekton.options import Options
from flowcore_tekton.places import ARTIFACTS, WORKSPACE


def download(
    client: Client, options: Options, run: Object, task: Mapping[str, Any], step: str, output: str, target: str
) -> str:
    """Copy an artifact of ``step``, which ``task`` ran as, to ``target``.

    Raises:
        RefusedError: if no pod can read it.
    """
    bound = next((each for each in task["spec"].get("workspaces") or () if each["name"] == WORKSPACE), None)
    if bound is None:
        raise RefusedError(f"the TaskRun {task['metadata']['name']} of step {step} has no volume with artifacts")
    template = run["spec"].get("taskRunTemplate") or {}
    same = dict(template.get("podTemplate") or {})
    if "serviceAccountName" in template:
        same["serviceAccountName"] = template["serviceAccountName"]
    claim = bound["persistentVolumeClaim"]["claimName"]
    text = fetching.read_claim(client, run, claim, f"{ARTIFACTS}/{step}", output, options.helper_image, same)
    return fetching.unpack(text, output, output, target)
