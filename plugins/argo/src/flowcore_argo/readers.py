"""Small Workflows that read out of Argo's artifact repository: only Argo knows the way there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from flowcore_kubernetes import RUN, Object, owned

_SAME: Final = ("artifactRepositoryRef", "imagePullSecrets", "serviceAccountName")
FOLDER: Final = "/flowcore"
"""Where the artifact is, under its name."""


def reader(
    workflow: Object,
    name: str,
    artifact: str,
    source: dict[str, Any],
    image: str,
    command: Sequence[str],
    patience: float,
) -> Object:
    """A Workflow of one pod, of the same name, which runs a command with an artifact at hand. It goes with the run.

    Args:
        workflow: the run's.
        artifact: the artifact's name in the pod.
        source: where it is, in Argo's words, within the run's repository.
        patience: the seconds that it may take.
    """
    input = {"name": artifact, "path": f"{FOLDER}/{artifact}", "archive": {"none": {}}, **source}
    template = {
        "name": "read",
        "inputs": {"artifacts": [input]},
        "container": {"image": image, "command": list(command)},
    }
    object: Object = {
        "apiVersion": workflow["apiVersion"],
        "kind": "Workflow",
        "metadata": {"name": name, "labels": {RUN: workflow["metadata"]["name"]}},
        "spec": {
            "entrypoint": "read",
            "archiveLogs": False,
            "activeDeadlineSeconds": round(patience),
            "templates": [template],
            **{field: workflow["spec"][field] for field in _SAME if field in workflow["spec"]},
        },
    }
    return owned(object, workflow)
