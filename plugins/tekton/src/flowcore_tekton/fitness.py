"""What Tekton cannot do although it has the feature: refused before anything is submitted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from flowcore.plugin import MISSING, Manifest, Nested, Problem, Step, Workflow
from flowcore_kubernetes import condition_problems
from flowcore_tekton.quoting import is_reference

Where = tuple["str | int", ...]

KEYS: Final = ("pod_template",)
"""What a document may say to this backend alone, of a workflow and of a step."""


def problems(workflow: Workflow, backend: str) -> list[Problem]:
    """Everything that is refused, each with its place."""
    found: list[Problem] = []
    for key in workflow.backends.get(backend, {}):
        if key not in KEYS:
            message = f"{backend} has no such key for a workflow; it has {', '.join(KEYS)}"
            found.append(Problem(("backends", backend, key), message))
    for path, step in _walk(workflow):
        found += _step(path, step, backend)
        if path[0] == "steps":
            found += _slots(path, step, workflow.parallelism is not None, backend)
    return found


def _walk(workflow: Workflow, path: Where = ()) -> Iterator[tuple[Where, Step]]:
    for group, steps in (("steps", workflow.steps), ("on_exit", workflow.on_exit)):
        for name, step in steps.items():
            here = (*path, group, name)
            yield here, step
            if isinstance(step.action, Nested):
                yield from _walk(step.action.workflow, (*here, "workflow"))


def _step(path: Where, step: Step, backend: str) -> Iterator[Problem]:
    for key in step.backends.get(backend, {}):
        if key not in KEYS:
            message = f"{backend} has no such key for a step; it has {', '.join(KEYS)}"
            yield Problem((*path, "backends", backend, key), message)
    if step.user is not None and not re.fullmatch(r"\d+(:\d+)?", step.user):
        yield Problem((*path, "user"), f"a pod's user is a number, or number:group, not {step.user!r}")
    if step.working_dir is not None and is_reference(step.working_dir):
        yield Problem((*path, "working_dir"), "Tekton would take the $(...) in it for a reference of its own")
    for field in ("labels", "annotations"):
        yield from _references((*path, field), getattr(step, field))
    if isinstance(step.action, Manifest):
        yield from condition_problems(step.action, path)
    if path[0] == "on_exit" and step.retry is not None and step.retry.only:
        message = f"backend {backend} cannot end a step of on_exit before its last attempt (retry.only); leave only out"
        yield Problem((*path, "retry", "only"), message)


def _slots(path: Where, step: Step, bounded: bool, backend: str) -> Iterator[Problem]:
    """What lanes cannot do: they are laid before the run."""
    known = step.foreach is MISSING or isinstance(step.foreach, list)
    if (bounded or step.parallelism is not None) and not known:
        message = f"backend {backend} bounds how many run at once (parallelism) only for a list that is known before"
        yield Problem((*path, "foreach"), message)
    if bounded and step.retry is not None and step.retry.backoff is not None:
        message = (
            f"backend {backend} cannot give a slot (parallelism) to others while a step waits for its next attempt"
        )
        yield Problem((*path, "retry", "backoff"), message)


def _references(path: Where, texts: Mapping[str, str]) -> Iterator[Problem]:
    for key, text in texts.items():
        if is_reference(text):
            yield Problem((*path, key), "Tekton would take the $(...) in it for a reference of its own")
