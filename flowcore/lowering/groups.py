"""Puts several steps in the place of one: what inlining and expanding have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import evolve

from flowcore.checks import effective_needs, step_references
from flowcore.lowering.prune import merge
from flowcore.lowering.rewrite import CannotReplace, rewrite_step
from flowcore.model import Need, Step, Workflow
from flowcore.syntax import Expr, Ref, Value


def regroup(
    workflow: Workflow,
    name: str,
    members: Mapping[str, Step],
    needs_for: Callable[[Need], Mapping[str, Need]],
    value_of: Callable[[Ref], Value | Expr],
) -> Workflow:
    """The workflow with ``members`` in the place of the step ``name``, and every reader of it led to them.

    Args:
        needs_for: the needs on members that say what a need on the group says.
        value_of: what stands for a reference to an output of the group.

    Raises:
        CannotReplace: from either, or where the value cannot stand; the workflow given is untouched.
    """

    def replace(ref: Ref) -> Value | Expr | None:
        return value_of(ref) if ref.kind == "output" and ref.step == name else None

    steps: dict[str, Step] = {}
    for other, step in workflow.steps.items():
        if other == name:
            for member, inner in members.items():
                if member in workflow.steps and member != name:
                    raise CannotReplace  # the name is taken by a step of the document
                steps[member] = inner
            continue
        needs = effective_needs(step)
        if name in needs:
            combined: dict[str, Need] = {need: status for need, status in needs.items() if need != name}
            for member, status in needs_for(needs[name]).items():
                combined[member] = merge(combined.get(member), status)
            step = evolve(step, needs=combined)
        if any(ref.kind == "output" and ref.step == name for ref in step_references(step)):
            step = rewrite_step(step, replace)
        steps[other] = step
    return evolve(workflow, steps=steps)
