"""Turns a bounded repeat into a chain of steps, one an iteration.

Once the condition holds, the iterations that are left do not run the command: they carry the outputs on, so whoever
reads the repeat always reads the chain's last step. A helper behind it fails if the condition never held (S21).
"""

from __future__ import annotations

from attrs import evolve

from flowcore.lowering.commands import to_command
from flowcore.lowering.groups import regroup
from flowcore.lowering.missing import may_be_missing
from flowcore.lowering.origins import name_of, origin_of
from flowcore.lowering.rewrite import CannotReplace, rewrite_expr, rewrite_step
from flowcore.model import BOOLEAN, Container, Need, Output, Repeat, Step, Workflow
from flowcore.shim import DONE, step_shim
from flowcore.syntax import Binary, Expr, Literal, Ref, Template, Text, Value


def repeats_to_commands(workflow: Workflow) -> Workflow:
    """The steps that ``unroll_repeats`` will wrap as commands, whatever the backend could run."""
    steps = {
        name: to_command(origin_of(name, step), step) if step.repeat is not None else step
        for name, step in workflow.steps.items()
    }
    return evolve(workflow, steps=steps)


def unroll_repeats(workflow: Workflow, capabilities: frozenset[str]) -> Workflow:
    """Unroll every repeat of the workflow's own steps. One that cannot be said in plain steps stays."""
    if "outputs" not in capabilities:
        return workflow
    for name in list(workflow.steps):
        step = workflow.steps[name]  # as the passes over the steps before it have left it
        if step.repeat is None:
            continue
        try:
            workflow = _unroll(workflow, name, step, step.repeat)
        except CannotReplace:
            continue
    return workflow


def _unroll(workflow: Workflow, name: str, step: Step, repeat: Repeat) -> Workflow:
    action = step.action
    if not isinstance(action, Container) or action.command is None:
        raise CannotReplace  # the shim needs the command
    if may_be_missing(name, workflow.steps) or any(output.artifact for output in step.outputs.values()):
        raise CannotReplace
    if repeat.delay and step.timeout is not None:
        raise CannotReplace  # the delay is slept in the step's own process, so it would count
    values, origin = list(step.outputs), origin_of(name, step)
    members: dict[str, Step] = {}
    before = ""
    for iteration in range(1, repeat.max + 1):
        member = name_of(f"{origin}#{iteration}")
        words: list[Text] = []
        if before:
            words += ["carry", Template((_done(repeat, iteration - 1, before),))]
            for value in values:
                words += [value, Template((Ref("output", before, value),))]
            words += ["", "sleep", f"{repeat.delay:g}"]
        else:
            words = ["carry", "false", ""]
        body = _with_iteration(step, iteration)
        command = body.action.command if isinstance(body.action, Container) else None
        args = body.action.args if isinstance(body.action, Container) else ()
        needs: dict[str, Need] = {before: "met"} if before else dict(step.needs)
        members[member] = evolve(
            body,
            action=Container(("sh", "-c", step_shim(), "flow", *words, "--", *(command or ())), args),
            needs=needs,
            repeat=None,
            outputs={**step.outputs, DONE: Output(BOOLEAN)},
            origin=f"{origin}#{iteration}",
        )
        before = member
    limit = name_of(f"{origin}#")
    last = Template((_done(repeat, repeat.max, before),))
    members[limit] = Step(
        Container(("sh", "-c", '[ "$1" = true ]', "flow", last)),
        image=step.image,
        needs={before: "met"},
        origin=origin,
        role="helper",
    )

    def needs_for(need: Need) -> dict[str, Need]:
        if need not in ("met", "succeeded"):
            raise CannotReplace
        return {before: "met", limit: "met"}

    def value_of(ref: Ref) -> Value | Expr:
        return evolve(ref, step=before)

    return regroup(workflow, name, members, needs_for, value_of)


def _with_iteration(step: Step, iteration: int) -> Step:
    return rewrite_step(step, lambda ref: Literal(iteration) if ref.kind == "iteration" else None)


def _done(repeat: Repeat, iteration: int, member: str) -> Expr:
    """Whether the repeat was over after the iteration that ran as ``member``."""

    def written(ref: Ref) -> Value | Expr | None:
        if ref.kind == "own":
            return Ref("output", member, ref.name)
        return Literal(iteration) if ref.kind == "iteration" else None

    held = rewrite_expr(repeat.until, written)
    return Binary("||", Ref("output", member, DONE), held)
