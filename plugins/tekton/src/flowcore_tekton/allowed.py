"""What users and steps must be allowed: the least Roles for one workflow, by what it uses. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from flowcore.plugin import Rendered, write_yaml
from flowcore_kubernetes import CONFIG_MAPS, EVENTS, PODS, Permission, made, role
from flowcore_tekton.places import PIPELINE_RUNS, TASK_RUNS

USER: Final = "flowcore-tekton"
STEPS: Final = "flowcore-tekton-steps"

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


def of_steps(rendered: Rendered) -> tuple[Permission, ...]:
    """What the steps' service account needs: to make the objects of manifests. Tekton does the rest."""
    found = [Permission(*made(each), ("create", "get")) for each in _manifests(rendered)]
    return tuple(dict.fromkeys(found))


def _manifests(rendered: Rendered) -> Iterator[dict[str, Any]]:
    """Kinds of the objects that steps make, out of the plans of their tasks."""
    for companion in rendered.objects[1:]:
        texts: Any = companion.get("data") or {}
        for key, text in texts.items():
            code = json.loads(text).get("manifest") if key.endswith(".json") else None
            if code is not None:
                fields = code[1]
                kinds = {name: fields[name] if code[0] == "lit" else fields[name][1] for name in ("apiVersion", "kind")}
                yield kinds


def text(rendered: Rendered, namespace: str) -> str:
    """The Roles as YAML."""
    user, steps = role(USER, of_user(rendered), namespace), of_steps(rendered)
    if not steps:
        return f"# for whoever submits; the service account of the steps needs nothing\n{write_yaml(user)}"
    own = write_yaml(role(STEPS, steps, namespace))
    return f"# for whoever submits\n{write_yaml(user)}---\n# for the service account of the steps\n{own}"
