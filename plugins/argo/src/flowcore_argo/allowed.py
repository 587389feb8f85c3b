"""What users and steps must be allowed: the least Roles for one workflow, by what it uses. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from flowcore.plugin import Rendered, write_yaml
from flowcore_argo.places import CRON_WORKFLOWS, GROUP, TASK_RESULTS, WORKFLOWS
from flowcore_kubernetes import CLAIMS, CONFIG_MAPS, EVENTS, PODS, Permission, made, role

USER: Final = "flowcore-argo"
STEPS: Final = "flowcore-argo-steps"

READING: Final = (
    Permission.on(WORKFLOWS, "get", "list"),
    Permission.on(PODS, "get"),
    Permission.on(PODS, "get", subresource="log"),
    Permission.on(EVENTS, "list"),
)
"""To look at runs: list, show, poll, logs. Events tell why a pod does not start; without them less is known."""
RUNNING: Final = (
    *READING,
    Permission.on(WORKFLOWS, "create", "patch", "update", "delete"),
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
    if "PersistentVolumeClaim" in kinds:
        found += [Permission.on(CLAIMS, "create", "get"), Permission.on(PODS, "create")]
    if "CronWorkflow" in kinds:
        found.append(Permission.on(CRON_WORKFLOWS, "create", "get", "patch", "delete"))
    return tuple(found)


def of_steps(rendered: Rendered) -> tuple[Permission, ...]:
    """What the steps' service account needs: to tell their results, and to make the objects of manifests."""
    found = [Permission.on(TASK_RESULTS, "create", "patch")]
    for template in _templates(rendered.objects[0]):
        if "resource" in template:
            group, plural = made(json.loads(_without_tags(template["resource"]["manifest"])))
            found.append(Permission(group, plural, ("create", "get", "watch")))
    return tuple(found)


def _without_tags(manifest: str) -> str:
    """A manifest that can be read although values of steps are missing in it: those in texts are no fault there."""
    return re.sub(r'("(?:[^"\\]|\\.)*")|\{\{[^{}]*\}\}', lambda match: match[1] or "0", manifest)


def _templates(object: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    spec = object["spec"].get("workflowSpec", object["spec"])
    for template in spec["templates"]:
        yield template
        for task in (template.get("dag") or {}).get("tasks") or ():
            if "inline" in task:
                yield task["inline"]


def text(rendered: Rendered, namespace: str) -> str:
    """The Roles as YAML."""
    user = role(USER, of_user(rendered), namespace)
    steps = role(STEPS, of_steps(rendered), namespace)
    return f"# for whoever submits\n{write_yaml(user)}---\n# for the service account of the steps\n{write_yaml(steps)}"


__all__ = ["GROUP", "READING", "RUNNING", "of_steps", "of_user", "text"]
