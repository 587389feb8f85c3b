"""Pushes a workflow's defaults and env down into its steps, so that no platform needs the notion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from flowcore.checks import effective_fail_fast
from flowcore.model import Container, Defaults, Manifest, Nested, Python, Script, Step, Workflow

ON_EXIT_TIMEOUT = 600.0
"""Seconds that a step of on_exit has unless it says otherwise (S23)."""


def push_down(workflow: Workflow) -> Workflow:
    """Defaults and env in the steps; ``fail_fast`` decided; nothing of it left on the workflow."""
    # Only manifests and nested workflows change where there is nothing to push.
    nothing = not workflow.env and workflow.defaults == Defaults()

    def pushed(step: Step) -> Step:
        return step if nothing and isinstance(step.action, Container | Script | Python) else _pushed(step, workflow)

    return evolve(
        workflow,
        env={},
        defaults=Defaults(),
        fail_fast=effective_fail_fast(workflow),
        steps={name: pushed(step) for name, step in workflow.steps.items()},
        on_exit={name: _exit_timeout(pushed(step)) for name, step in workflow.on_exit.items()},
    )


def _exit_timeout(step: Step) -> Step:
    return evolve(step, timeout=ON_EXIT_TIMEOUT) if step.timeout is None else step


def _pushed(step: Step, workflow: Workflow) -> Step:
    if isinstance(step.action, Nested):
        # Nothing reaches the inside of a nested workflow: it has defaults and env of its own (S20).
        return evolve(step, action=evolve(step.action, workflow=push_down(step.action.workflow)))
    if isinstance(step.action, Manifest):
        retry = step.retry if step.retry is not None else workflow.defaults.retry
        timeout = step.timeout if step.timeout is not None else workflow.defaults.timeout
        return evolve(step, retry=retry, timeout=timeout)
    defaults = workflow.defaults
    changes: dict[str, Any] = {"env": {**workflow.env, **step.env}}
    for field in ("image", "timeout", "pending_timeout", "retry", "working_dir", "user", "image_pull_policy"):
        if getattr(step, field) is None:
            changes[field] = getattr(defaults, field)
    for field in ("resources", "requests", "labels", "annotations", "node_selector"):
        default: Mapping[str, str] = getattr(defaults, field)
        if default:
            changes[field] = {**default, **getattr(step, field)}
    if defaults.tolerations:
        changes["tolerations"] = (*defaults.tolerations, *step.tolerations)
    return evolve(step, **changes)
