"""Parallelism by order: a PipelineRun has no limit of how many tasks run at once, but tasks can wait for each other.

With N slots there are N lanes, and what is in one lane runs one after another. So never more than N run at once (S22);
a lane may be free while a task of another one waits, which no rule forbids.
"""

from __future__ import annotations

from attrs import define

from flowcore_tekton.limits import MATRIX
from flowcore_tekton.scopes import Scope, Unit, in_order, runs


@define
class _Lane:
    """What runs last in a lane so far, and how many steps stand before its end."""

    last: str = ""
    depth: int = 0


def lanes(scope: Scope, slots: int) -> dict[str, list[str]]:
    """For each task the tasks after which it has a slot."""
    free = [_Lane() for _ in range(slots)]
    depths: dict[str, int] = {}
    after: dict[str, list[str]] = {}

    def visit(inner: Scope) -> None:
        for unit in in_order(inner):
            if not runs(unit):
                continue
            if unit.inner is not None:
                depths[unit.key] = _before(unit, depths)
                visit(unit.inner)
                depths[unit.key] = max(
                    [depths[unit.key], *(depths.get(each.key, 0) for each in unit.inner.units.values())]
                )
            else:
                _place(unit, free, depths, after)

    visit(scope)
    return after


def _place(unit: Unit, free: list[_Lane], depths: dict[str, int], after: dict[str, list[str]]) -> None:
    """Give the tasks of a step the lanes that are free first; of several those that it waits for anyway."""
    start = _before(unit, depths)
    needed = {task for name in unit.needs for task in unit.scope.units[name].tasks}
    width, count = 1, 1
    if isinstance(unit.step.foreach, list):
        width = min(unit.width, len(unit.step.foreach))
        count = len(unit.step.foreach)
    for number, task in enumerate(unit.tasks):
        taken = min(width, count - number * width)
        chosen = sorted(free, key=lambda lane: (max(lane.depth, start), lane.last not in needed))[:taken]
        before = list(dict.fromkeys(lane.last for lane in chosen if lane.last))
        if number:
            before.append(unit.tasks[number - 1])  # a foreach may have fewer slots than the run
        after[task] = list(dict.fromkeys(before))
        depth = max([start, *(lane.depth for lane in chosen)]) + 1
        for lane in chosen:
            lane.last, lane.depth = task, depth
        start = depth
    depths[unit.key] = start


def _before(unit: Unit, depths: dict[str, int]) -> int:
    """How many steps stand before a step at least."""
    own = [depths.get(unit.scope.units[name].key, 0) for name in unit.needs]
    owner = unit.scope.owner
    return max([0, *own, depths.get(owner.key, 0) if owner is not None else 0])


def chained(scope: Scope) -> bool:
    """Whether items of some foreach wait for others of it."""
    for unit in scope.units.values():
        if unit.inner is not None and chained(unit.inner):
            return True
        if unit.chunks and unit.width < MATRIX:
            return True
    return False
