"""Takes out what is decided before the run: steps that never run, and requests that ask for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import evolve

from flowcore.checks import effective_needs, step_references
from flowcore.lowering.missing import may_skip
from flowcore.lowering.origins import all_steps, map_steps
from flowcore.lowering.rewrite import CannotReplace, rewrite_step
from flowcore.model import MISSING, Missing, Need, Nested, Step, Workflow
from flowcore.outline import Never
from flowcore.syntax import Expr, Literal, Ref, Value

_FALSE: Final = Literal(False)


def never_steps(steps: Mapping[str, Step]) -> dict[str, Never]:
    """The steps of one scope that cannot run: their needs, and the reason they are skipped for once those are met.

    ``when`` is false before the run for the first of them; the others need one of those to succeed or fail, or read an
    output of one that has no default.
    """
    if not any(step.when == _FALSE for step in steps.values() if step.when is not None):
        return {}
    never: dict[str, Never] = {}
    for name in _in_order(steps):
        known = _never(steps[name], steps, never)
        if known is not None:
            never[name] = known
    return {name: never[name] for name in steps if name in never}


def _in_order(steps: Mapping[str, Step]) -> list[str]:
    """The names with every step behind those it needs, since what became of those is decided before it (S4)."""
    waits = {name: sum(other in steps for other in effective_needs(step)) for name, step in steps.items()}
    behind: dict[str, list[str]] = {}
    for name, step in steps.items():
        for other in effective_needs(step):
            behind.setdefault(other, []).append(name)
    order = [name for name, count in waits.items() if not count]
    for name in order:
        for after in behind.get(name, ()):
            waits[after] -= 1
            if not waits[after]:
                order.append(after)
    return order


def _never(step: Step, steps: Mapping[str, Step], never: Mapping[str, Never]) -> Never | None:
    needs = effective_needs(step)
    for name, need in needs.items():
        known = never.get(name)
        if known is not None and not _meets(need, known.reason):
            return Never(needs, "needs")
    for ref in step_references(step):
        if ref.kind == "output" and ref.step in never and _default(steps[ref.step], ref) is MISSING:
            return Never(needs, "needs")
    return Never(needs, "when") if step.when == _FALSE else None


def _meets(need: Need, reason: str) -> bool:
    """Whether a step that never runs, and is skipped for ``reason``, can meet a need."""
    if need == "finished":
        return True
    return need in ("met", "skipped") and reason == "when"


def _default(step: Step, ref: Ref) -> object:
    output = step.outputs.get(ref.name)
    return MISSING if output is None or output.artifact or step.foreach is not MISSING else output.default


def prune_false(workflow: Workflow) -> Workflow:
    """Take out steps that never run, for a platform that cannot decide; the outline still has them, and the core
    reports them. Whoever needed such a step needs what it needed. Where that cannot be said, the step stays and is
    refused.
    """
    steps = {
        name: evolve(step, action=evolve(step.action, workflow=prune_false(step.action.workflow)))
        if isinstance(step.action, Nested)
        else step
        for name, step in workflow.steps.items()
    }
    never = never_steps(steps)
    kept: dict[str, Step] = {}
    for name, step in steps.items():
        if name in never:
            continue
        try:
            kept[name] = _without(step, steps, never)
        except CannotReplace:
            return evolve(workflow, steps=steps)
    return evolve(workflow, steps=kept)


def _without(step: Step, steps: Mapping[str, Step], never: Mapping[str, Never]) -> Step:
    effective = effective_needs(step)
    if not any(name in never for name in effective):
        return step
    needs: dict[str, Need] = {}
    for name, need in effective.items():
        for real, status in _instead(name, need, steps, never).items():
            needs[real] = merge(needs.get(real), status)

    def default(ref: Ref) -> Value | Expr | None:
        if ref.kind != "output" or ref.step not in never:
            return None
        value = _default(steps[ref.step], ref)
        return None if isinstance(value, Missing) else Literal(value)  # type: ignore[arg-type]

    return evolve(rewrite_step(step, default), needs=needs)


def _instead(name: str, need: Need, steps: Mapping[str, Step], never: Mapping[str, Never]) -> dict[str, Need]:
    """The needs on steps that do run which say the same as a need on one that does not."""
    if name not in never:
        return {name: need}
    found: dict[str, Need] = {}
    for other, own in never[name].needs.items():
        # It ends in any case once all that it needs has ended, but it is skipped for `when` only if its needs are met.
        for real, status in _instead(other, "finished" if need == "finished" else own, steps, never).items():
            found[real] = merge(found.get(real), status)
    return found


def merge(first: Need | None, second: Need) -> Need:
    """One need that says what both say.

    Raises:
        CannotReplace: if no single word does.
    """
    if first is None or first == second:
        return second
    pair = {first, second}
    if "finished" in pair:
        return next(need for need in (first, second) if need != "finished")
    if pair == {"met", "succeeded"}:
        return "succeeded"
    if pair == {"met", "skipped"}:
        return "skipped"
    raise CannotReplace


def simplify(workflow: Workflow, capabilities: frozenset[str]) -> Workflow:
    """Drop what asks for a capability without changing anything: ``succeeded`` of a step that can neither be skipped
    nor continue, no retries at all, and a parallelism that no moment of the run can reach.
    """
    if "retry" not in capabilities:
        workflow = map_steps(workflow, lambda origin, step: evolve(step, retry=None) if _no_retry(step) else step)
    steps = dict(workflow.steps)
    if "needs.status" not in capabilities:
        for name, step in steps.items():
            needs: dict[str, Need] = {
                other: "met" if need == "succeeded" and _plain(steps.get(other)) else need
                for other, need in step.needs.items()
            }
            steps[name] = evolve(step, needs=needs)
    workflow = evolve(workflow, steps=steps)
    if "parallelism" not in capabilities:
        steps = {
            name: evolve(step, parallelism=None)
            if isinstance(step.foreach, list) and len(step.foreach) <= (step.parallelism or 0)
            else step
            for name, step in workflow.steps.items()
        }
        wide = _width(workflow)
        within = wide is not None and workflow.parallelism is not None and wide <= workflow.parallelism
        workflow = evolve(workflow, steps=steps, parallelism=None if within else workflow.parallelism)
    return workflow


def _no_retry(step: Step) -> bool:
    return step.retry is not None and step.retry.limit == 0


def _plain(step: Step | None) -> bool:
    return step is not None and not may_skip(step) and not step.continue_on_failure


def _width(workflow: Workflow) -> int | None:
    """How many leaves a run has at most, if that is known before it."""
    total = 0
    for _, step in all_steps(evolve(workflow, on_exit={})):
        if step.foreach is MISSING:
            total += 1
        elif isinstance(step.foreach, list) and not isinstance(step.action, Nested):
            total += len(step.foreach)
        else:
            return None
    return total
