"""Inlines nested workflows: their steps become steps of the outer one, with prefixed names."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from flowcore.checks import effective_needs, step_references
from flowcore.expressions import references
from flowcore.lowering.expand import expand_foreach, item_value
from flowcore.lowering.groups import regroup
from flowcore.lowering.missing import may_be_missing
from flowcore.lowering.origins import name_of, origin_of
from flowcore.lowering.prune import merge
from flowcore.lowering.rewrite import CannotReplace, rewrite_step, rewrite_value
from flowcore.model import MISSING, Container, Need, Nested, Step, Workflow
from flowcore.syntax import Expr, Ref, Template, Value


def inline_nested(workflow: Workflow, native: frozenset[str], capabilities: frozenset[str]) -> Workflow:
    """Inline what is not ``native``; what cannot be said without nesting stays."""
    if "foreach.nested" not in native or "nested" not in native:
        workflow = expand_foreach(workflow, nested_only=True)
    if "nested" in native:
        return workflow
    for name in list(workflow.steps):
        step = workflow.steps[name]  # as the passes over the steps before it have left it
        if not isinstance(step.action, Nested) or step.foreach is not MISSING:
            continue
        try:
            inner = inline_nested(step.action.workflow, native, capabilities)
            workflow = _inline(workflow, name, evolve(step, action=evolve(step.action, workflow=inner)), capabilities)
        except CannotReplace:
            continue
    return workflow


def _inline(workflow: Workflow, name: str, step: Step, capabilities: frozenset[str]) -> Workflow:
    assert isinstance(step.action, Nested)
    inner = step.action.workflow
    if step.continue_on_failure:
        raise CannotReplace
    for ref in step_references(step):
        if ref.kind == "output" and may_be_missing(ref.step, workflow.steps):
            raise CannotReplace  # a missing arg skips the whole nested workflow, not only the steps that read it
    if any(isinstance(sub.action, Nested) for sub in inner.steps.values()):
        raise CannotReplace
    if any(ref.kind == "param" for ref in references(dict(inner.outputs))):
        raise CannotReplace  # an output of what only the run knows, and no step of the inside does
    gate = _gate(name, step, capabilities)
    outer: dict[str, Need] = {gate[0]: "succeeded"} if gate else effective_needs(step)
    origins = {sub: f"{origin_of(name, step)}/{origin_of(sub, body)}" for sub, body in inner.steps.items()}
    names = {sub: name_of(origin) for sub, origin in origins.items()}
    args = step.action.args

    def inside(ref: Ref) -> Value | Expr | None:
        if ref.kind == "output":
            return evolve(ref, step=names[ref.step])
        if ref.kind == "param":
            return item_value(args[ref.name])
        return None

    members: dict[str, Step] = {}
    if gate:
        members[gate[0]] = gate[1]
    for sub, body in inner.steps.items():
        needs: dict[str, Need] = {names[other]: need for other, need in effective_needs(body).items()}
        for other, need in outer.items():
            needs[other] = merge(needs.get(other), need)
        members[names[sub]] = evolve(rewrite_step(body, inside), needs=needs, origin=origins[sub])

    def needs_for(need: Need) -> Mapping[str, Need]:
        if need == "finished":
            return dict.fromkeys(names.values(), "finished")
        if need not in ("met", "succeeded") or _may_skip_quietly(inner):
            raise CannotReplace
        found: dict[str, Need] = dict.fromkeys(names.values(), "met")
        if gate:
            # Skipped for its own `when` it meets a plain need, although no step inside ran.
            if need == "met":
                raise CannotReplace
            found[gate[0]] = "succeeded"
        return found

    def value_of(ref: Ref) -> Value | Expr:
        value = rewrite_value(inner.outputs[ref.name], inside)
        if ref.path and not (isinstance(value, Template) and isinstance(value.alone, Ref) and value.alone.path):
            raise CannotReplace
        return value

    return regroup(workflow, name, members, needs_for, value_of)


def _gate(name: str, step: Step, capabilities: frozenset[str]) -> tuple[str, Step] | None:
    """A helper that runs if ``when`` of the nested step holds; its inner steps need it to have succeeded."""
    if step.when is None:
        return None
    if not {"when", "needs.status"} <= capabilities:
        raise CannotReplace
    origin = origin_of(name, step)
    gate = Step(Container(("true",)), when=step.when, needs=effective_needs(step), origin=origin, role="helper")
    return name_of(f"{origin}/"), gate


def _may_skip_quietly(inner: Workflow) -> bool:
    """Whether a step inside may be skipped for ``needs`` although nothing failed: then the nested workflow succeeds,
    but a plain need on that step would not be met."""
    for step in inner.steps.values():
        if any(need not in ("met", "finished") for need in effective_needs(step).values()):
            return True
        for ref in step_references(step):
            if ref.kind == "output" and may_be_missing(ref.step, inner.steps):
                output = inner.steps[ref.step].outputs.get(ref.name)
                if output is None or output.default is MISSING:
                    return True
    return False
