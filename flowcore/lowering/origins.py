"""Marks every step with the document's name for it, which no later pass changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter

from attrs import evolve, fields

from flowcore.errors import Path
from flowcore.model import Nested, Step, Workflow
from flowcore.names import NameRule, mangle

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_RULE = NameRule(63, _LETTERS + "0123456789_-", first=_LETTERS)

# ``evolve`` in half the time, for what is done to every step of every workflow.
_FIELDS = tuple(field.name for field in fields(Step))
_ORIGIN = _FIELDS.index("origin")
_values = attrgetter(*_FIELDS)


def with_origins(workflow: Workflow) -> Workflow:
    """Every step with its name as origin; steps of a nested workflow are named within it."""
    return evolve(workflow, steps=_marked(workflow.steps), on_exit=_marked(workflow.on_exit))


def _marked(steps: Mapping[str, Step]) -> dict[str, Step]:
    return {name: _mark(name, step) for name, step in steps.items()}


def _mark(name: str, step: Step) -> Step:
    if isinstance(step.action, Nested):
        step = evolve(step, action=evolve(step.action, workflow=with_origins(step.action.workflow)))
    values = list(_values(step))
    values[_ORIGIN] = name
    return Step(*values)


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


def all_steps(workflow: Workflow) -> Iterator[Step]:
    """Every step of a workflow: ordinary ones, those inside of nested ones, and on_exit's."""
    for steps in (workflow.steps, workflow.on_exit):
        for step in steps.values():
            yield step
            if isinstance(step.action, Nested):
                yield from all_steps(step.action.workflow)


def map_steps(workflow: Workflow, change: Callable[[Step], Step]) -> Workflow:
    """The workflow with every step changed, the steps inside of nested ones first."""

    def inside(step: Step) -> Step:
        if isinstance(step.action, Nested):
            step = evolve(step, action=evolve(step.action, workflow=map_steps(step.action.workflow, change)))
        return change(step)

    return evolve(
        workflow,
        steps={name: inside(step) for name, step in workflow.steps.items()},
        on_exit={name: inside(step) for name, step in workflow.on_exit.items()},
    )
