"""The document's names of steps: a pass that gives a step another name keeps the document's as its origin."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import evolve

from flowcore.errors import Path
from flowcore.model import Nested, Step, Workflow
from flowcore.names import NameRule, mangle

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_RULE = NameRule(63, _LETTERS + "0123456789_-", first=_LETTERS)


def origin_of(name: str, step: Step) -> str:
    """The document's name of a step, in its scope."""
    return step.origin or name


def name_of(origin: str) -> str:
    """The name of a lowered step: its origin in the document's own alphabet, so ``publish/upload`` gets a hash."""
    return mangle(origin, _RULE)


def path_of(origin: str, on_exit: bool = False) -> Path:
    """Where in the document an origin stands: ``publish/upload`` is ``steps.publish.workflow.steps.upload``."""
    path: list[str | int] = ["on_exit" if on_exit else "steps"]
    for depth, part in enumerate(origin.split("/")):
        path += ["workflow", "steps"] if depth else []
        path.append(part.partition("[")[0])
    return tuple(path)


def all_steps(workflow: Workflow, prefix: str = "") -> Iterator[tuple[str, Step]]:
    """Every step of a workflow by its origin: ordinary ones, those inside of nested ones, and on_exit's."""
    for steps in (workflow.steps, workflow.on_exit):
        for name, step in steps.items():
            origin = prefix + origin_of(name, step)
            yield origin, step
            if isinstance(step.action, Nested):
                yield from all_steps(step.action.workflow, f"{origin}/")


def map_steps(workflow: Workflow, change: Callable[[str, Step], Step], prefix: str = "") -> Workflow:
    """The workflow with every step changed by its origin and itself, the steps inside of nested ones first."""

    def inside(name: str, step: Step) -> Step:
        origin = prefix + origin_of(name, step)
        if isinstance(step.action, Nested):
            inner = map_steps(step.action.workflow, change, f"{origin}/")
            step = evolve(step, action=evolve(step.action, workflow=inner))
        return change(origin, step)

    return evolve(
        workflow,
        steps={name: inside(name, step) for name, step in workflow.steps.items()},
        on_exit={name: inside(name, step) for name, step in workflow.on_exit.items()},
    )
