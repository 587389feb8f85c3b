"""What a step waits for: the needs it names, those its references imply (S3), and the cycles among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from flowcore.checks.sites import reading, step_references
from flowcore.expressions import references
from flowcore.model import Need, Nested, Step, Workflow
from flowcore.syntax import Expr, Ref, Value


def effective_needs(step: Step) -> dict[str, Need]:
    """The needs that ``step`` names, then a plain one for each other step whose output it refers to (S3)."""
    return needs_with(step.needs, reading(step))


def needs_and_references(step: Step) -> tuple[dict[str, Need], list[Ref]]:
    """``effective_needs`` and ``step_references`` at once: both are asked of every step, and most read nothing."""
    read = reading(step)
    return needs_with(step.needs, read), step_references(step) if read else []


def needs_with(named: Mapping[str, Need], read: Iterable[Value | Expr]) -> dict[str, Need]:
    """The needs that are ``named``, then those that what is ``read`` implies."""
    needs = dict(named)
    for value in read:
        for ref in references(value):
            if ref.kind == "output":
                needs.setdefault(ref.step, "met")
    return needs


def effective_fail_fast(workflow: Workflow) -> bool:
    """Whether a failure may leave unstarted steps skipped (S9), by what the workflow says or else by its needs."""
    if workflow.fail_fast is not None:
        return workflow.fail_fast
    return next(reads_failures(workflow), None) is None


def reads_failures(workflow: Workflow) -> Iterator[tuple[str, str, Need]]:
    """The needs that ask ``failed`` or ``finished`` of a step without continue_on_failure, nested ones included.

    Each is the step that asks, as ``publish/clean``, the name of the one that it asks of, and what it asks.
    """
    for name, step in workflow.steps.items():
        for needed, status in step.needs.items():
            asked = workflow.steps.get(needed)
            if status in ("failed", "finished") and asked is not None and not asked.continue_on_failure:
                yield name, needed, status
        if isinstance(step.action, Nested):
            for inner, needed, status in reads_failures(step.action.workflow):
                yield f"{name}/{inner}", needed, status


def cycles(needs: Mapping[str, Mapping[str, Need]]) -> Iterator[list[str]]:
    """Give the cycles, each as ``[a, b, a]``: a needs b, and b needs a. Every step is in at most one of them.

    ``needs`` holds the effective needs of each step; those of unknown steps are left out of the search.
    """
    if _in_order(needs):
        return
    left = {name: {need for need in of if need in needs} for name, of in needs.items()}
    users: dict[str, list[str]] = {name: [] for name in left}
    for name, of in left.items():
        for need in of:
            users[need].append(name)
    free = [name for name, of in left.items() if not of]
    while True:
        while free:
            name = free.pop()
            del left[name]
            for user in users[name]:
                # A step of a broken cycle waits for nothing any more, and is free already.
                if name in left.get(user, ()):
                    left[user].discard(name)
                    if not left[user]:
                        free.append(user)
        if not left:
            return
        cycle = _walk(left, needs)
        yield [*cycle, cycle[0]]
        for name in cycle:
            left[name] = set()
        free.extend(cycle)


def _in_order(needs: Mapping[str, Mapping[str, Need]]) -> bool:
    """Whether every step stands behind what it needs, as most are written: then there is no cycle to look for."""
    before: set[str] = set()
    for name, of in needs.items():
        for need in of:
            if need not in before and need in needs:
                return False
        before.add(name)
    return True


def _walk(left: Mapping[str, set[str]], needs: Mapping[str, Mapping[str, Need]]) -> list[str]:
    """Follow needs from the first step that is left until a step comes again; begin with the one written first."""
    name = next(iter(left))
    seen: dict[str, int] = {}
    while name not in seen:
        seen[name] = len(seen)
        name = next(need for need in needs[name] if need in left[name])
    cycle = list(seen)[seen[name] :]
    order = {name: i for i, name in enumerate(needs)}
    start = min(range(len(cycle)), key=lambda i: order[cycle[i]])
    return cycle[start:] + cycle[:start]
