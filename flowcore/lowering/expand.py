"""Expands a foreach whose list is known into one step an item."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from flowcore.lowering.groups import regroup
from flowcore.lowering.origins import name_of, origin_of
from flowcore.lowering.rewrite import CannotReplace, rewrite_step
from flowcore.model import MISSING, Need, Nested, Step, Workflow
from flowcore.syntax import Expr, Ref, Template, Value


def expand_foreach(workflow: Workflow, nested_only: bool = False) -> Workflow:
    """Expand every static foreach of the workflow's own steps. One that cannot be said in plain steps stays."""
    for name in list(workflow.steps):
        step = workflow.steps[name]  # as the passes over the steps before it have left it
        if step.foreach is MISSING or (nested_only and not isinstance(step.action, Nested)):
            continue
        try:
            workflow = _expand(workflow, name, step)
        except CannotReplace:
            continue
    return workflow


def _expand(workflow: Workflow, name: str, step: Step) -> Workflow:
    items = step.foreach
    # No step would be left to say that the list was empty, and no plain steps share slots of their own.
    if not isinstance(items, list) or not items or (step.parallelism or len(items)) < len(items):
        raise CannotReplace
    if step.when is not None and any(output.default is not MISSING for output in step.outputs.values()):
        raise CannotReplace  # S17: skipped for `when` the fan-in is missing, but each item would give its default
    members: dict[str, Step] = {}
    for index, item in enumerate(items):
        origin = f"{origin_of(name, step)}[{index}]"
        member = evolve(_with_item(step, item), foreach=MISSING, parallelism=None, origin=origin)
        members[name_of(origin)] = member

    def needs_for(need: Need) -> Mapping[str, Need]:
        # `failed` asks for any one of them, and needs are only ever ANDed.
        if need == "failed":
            raise CannotReplace
        return dict.fromkeys(members, need)

    def value_of(ref: Ref) -> Value | Expr:
        output = step.outputs.get(ref.name)
        artifact = output.artifact if output is not None else not isinstance(step.action, Nested)
        if ref.path or artifact:
            raise CannotReplace  # a folder of all items' artifacts is nothing that plain steps make
        return [Template((evolve(ref, step=member),)) for member in members]

    return regroup(workflow, name, members, needs_for, value_of)


def _with_item(step: Step, item: Value) -> Step:
    return rewrite_step(step, lambda ref: item_value(item) if ref.kind == "item" else None)


def item_value(item: Value) -> Value | Expr:
    """An item as what may stand for the reference ``item``; ``null`` is a value here, not 'leave it'."""
    from flowcore.expressions import constant

    return constant(None) if item is None else item
