"""What users and steps must be allowed: the least Roles for one workflow, by what it uses. Pure."""

from __future__ import annotations

from typing import Final

from flowcore.plugin import Rendered, write_yaml
from flowcore_kubernetes import CONFIG_MAPS, EVENTS, PODS, Permission, role
from flowcore_tekton.places import PIPELINE_RUNS, TASK_RUNS

USER: Final = "flowcore-tekton"

READING: Final = (
    Permission.on(PIPELINE_RUNS, "get", "list"),
    Permission.on(TASK_RUNS, "list"),
    Permission.on(PODS, "get", "list"),
    Permission.on(PODS, "get", subresource="log"),
    Permission.on(EVENTS, "list"),
)
"""To look at runs: list, show, poll, logs. Events tell why a pod does not start; without them less is known."""
RUNNING: Final = (
    *READING,
    Permission.on(PIPELINE_RUNS, "create", "patch", "delete"),
    Permission.on(PIPELINE_RUNS, "patch", subresource="status"),
    Permission.on(TASK_RUNS, "get", "delete"),
    Permission.on(TASK_RUNS, "patch", subresource="status"),
    Permission.on(PODS, "delete"),
    Permission.on(PODS, "patch", subresource="status"),
)
"""To start, cancel, resume and delete them. Pods that do not start are declared failed; those and pods that do not end
are deleted."""


def of_user(rendered: Rendered) -> tuple[Permission, ...]:
    """What whoever submits this needs, to look after it and to delete it, too."""
    kinds = {object["kind"] for object in rendered.objects}
    found = list(RUNNING)
    if "ConfigMap" in kinds:
        found.append(Permission.on(CONFIG_MAPS, "create", "get"))
    spec = rendered.objects[0]["spec"]
    if isinstance(spec, dict) and spec.get("workspaces"):
        found.append(Permission.on(PODS, "create"))  # one reads artifacts for a download
    return tuple(found)


def text(rendered: Rendered, namespace: str) -> str:
    """The Role as YAML. Tekton's controller does all that steps need, so these need none."""
    user = role(USER, of_user(rendered), namespace)
    return f"# for whoever submits; the service account of the steps needs nothing\n{write_yaml(user)}"
