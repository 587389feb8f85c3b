"""A run that is over, as one that goes on: what succeeded stays, all else is forgotten and runs again. Pure."""

from __future__ import annotations

import copy
import json
import re
from typing import Any, Final

from flowcore.plugin import Phase
from flowcore_argo.places import EARLIER, PATTERN, STEP, WOKEN
from flowcore_argo.status import View
from flowcore_argo.stored import nodes_of, pack
from flowcore_kubernetes import CANCELLED, Object

GROUPS: Final = ("DAG", "Steps", "StepGroup", "TaskGroup")
"""Nodes that hold others: those that failed go on."""
LABELS: Final = ("workflows.argoproj.io/completed", "workflows.argoproj.io/phase")


def resumed(workflow: Object, view: View) -> tuple[Object, list[str]]:
    """The Workflow as it goes on, and the pods that must be gone first: they have the names of those that come."""
    changed: Object = copy.deepcopy(workflow)
    nodes = {node["id"]: dict(node) for node in nodes_of(changed)}
    kept = {key for key, node in nodes.items() if _stays(node, workflow["metadata"]["name"])}
    # A retry that succeeded stays with the attempts that failed before it.
    for key in list(kept):
        if nodes[key].get("type") == "Retry":
            kept |= {child for child in nodes[key].get("children") or () if child in nodes}
    for key in kept:
        node = nodes[key]
        if node.get("children"):
            node["children"] = [child for child in node["children"] if child in kept]
        if node.get("type") in GROUPS and node["phase"] != "Succeeded":
            node.update(phase="Running")
            for field in ("finishedAt", "message", "outputs"):
                node.pop(field, None)
    status: dict[str, Any] = changed["status"]
    left = {key: nodes[key] for key in nodes if key in kept}
    packed = status.pop("compressedNodes", None), status.pop("offloadNodeStatusVersion", None)
    if any(packed):
        status["compressedNodes"] = pack(left)
        status.pop("nodes", None)
    else:
        status["nodes"] = left
    for field in ("finishedAt", "message", "taskResultsCompletionStatus"):
        status.pop(field, None)
    status.update(phase="Running", conditions=[], startedAt=status.get("startedAt"))
    changed["spec"].pop("shutdown", None)
    changed["spec"].pop("suspend", None)
    metadata = changed["metadata"]
    for label in LABELS:
        metadata.get("labels", {}).pop(label, None)
    notes = metadata.setdefault("annotations", {})
    notes.pop(CANCELLED, None)
    notes.pop(WOKEN, None)
    attempts = earlier_attempts(view)
    notes[EARLIER] = json.dumps(attempts)
    count_on(changed["spec"], attempts)
    pods = [pod.name for pod in view.pods if pod.node["id"] not in kept]
    return changed, pods


def _stays(node: dict[str, Any], run: str) -> bool:
    if node["name"].startswith(f"{run}.onExit"):
        return False
    if node.get("type") in GROUPS:
        # What was skipped is decided again.
        return bool(node["phase"] not in ("Skipped", "Omitted"))
    return bool(node["phase"] == "Succeeded")


def earlier_attempts(view: View) -> dict[str, int]:
    """How many attempts the steps had that run again."""
    return {leaf.origin: leaf.attempts for leaf in view.leaves if leaf.attempts and leaf.phase is not Phase.SUCCEEDED}


def count_on(spec: Object, attempts: dict[str, int]) -> None:
    """FLOW_ATTEMPT goes on where it was. Items share a template: all go on from where most attempts were."""
    most: dict[str, int] = {}
    for origin, count in attempts.items():
        pattern = "".join("[*]" if part.isdigit() else part for part in _parts(origin))
        most[pattern] = max(most.get(pattern, 0), count)
    for template in spec.get("templates") or ():
        for each in (
            template,
            *((task.get("inline") or {}) for task in (template.get("dag") or {}).get("tasks") or ()),
        ):
            notes = (each.get("metadata") or {}).get("annotations") or {}
            own = notes.get(PATTERN) or notes.get(STEP, "")
            if own not in most or "container" not in each:
                continue
            following = most[own] + 1
            value = f"{{{{=asInt(retries) + {following}}}}}" if "retryStrategy" in each else str(following)
            others = [entry for entry in each["container"].get("env") or () if entry["name"] != "FLOW_ATTEMPT"]
            each["container"]["env"] = [{"name": "FLOW_ATTEMPT", "value": value}, *others]


def _parts(origin: str) -> list[str]:
    return [part.strip("[]") if re.fullmatch(r"\[\d+\]", part) else part for part in re.split(r"(\[\d+\])", origin)]
