"""Wraps commands in the shim where the platform lacks stdout capture, typed outputs, defaults or backoff."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from flowcore.lowering.commands import to_command
from flowcore.lowering.origins import map_steps
from flowcore.model import MISSING, Container, Manifest, Nested, Output, Python, Step, Workflow
from flowcore.shim import step_shim, step_words


def _values(outputs: Mapping[str, Output]) -> list[Output]:
    return [output for output in outputs.values() if not output.artifact]


def _wants(step: Step, capabilities: frozenset[str], function: bool) -> dict[str, bool]:
    """What the shim has to do for a step, by feature."""
    if not step.outputs and step.stdout is None and step.retry is None:
        return {}
    carried = "outputs" in capabilities
    values = _values(step.outputs)
    typed = carried and bool(values) and "outputs.typed" not in capabilities and not function
    return {
        "stdout": carried and step.stdout is not None and "stdout" not in capabilities,
        # A function's own program types what it returns.
        "typed": typed,
        # Where the shim types outputs it runs before the platform could write a default.
        "defaults": carried
        and any(output.default is not MISSING for output in values)
        and (typed or "outputs.default" not in capabilities),
        "backoff": step.retry is not None
        and step.retry.backoff is not None
        and "retry" in capabilities
        and "retry.backoff" not in capabilities,
    }


def shimmed(step: Step, capabilities: frozenset[str]) -> bool:
    """Whether the lowering wraps this step of the bound workflow in the shim."""
    if isinstance(step.action, (Nested, Manifest)):
        return False
    return any(_wants(step, capabilities, isinstance(step.action, Python)).values())


def add_shims(workflow: Workflow, capabilities: frozenset[str], functions: frozenset[str]) -> Workflow:
    """Wrap the steps that need it; ``functions`` are the origins of steps that call a Python function.

    A step that runs its image's own entry point cannot be wrapped: it keeps its fields, and ``verify`` refuses them.
    """

    def change(origin: str, step: Step) -> Step:
        wants = _wants(step, capabilities, origin in functions)
        if not any(wants.values()):
            return step
        step = to_command(origin, step)
        if not isinstance(step.action, Container) or step.action.command is None:
            return step
        words = step_words(
            step.outputs,
            stdout=step.stdout if wants["stdout"] else None,
            typed=wants["typed"],
            defaults=wants["defaults"],
            backoff=step.retry.backoff if step.retry is not None and wants["backoff"] else None,
        )
        command = ("sh", "-c", step_shim(), "flow", *words, "--", *step.action.command, *step.action.args)
        return evolve(
            step,
            action=Container(command),
            stdout=None if wants["stdout"] else step.stdout,
            retry=evolve(step.retry, backoff=None) if step.retry is not None and wants["backoff"] else step.retry,
        )

    return map_steps(workflow, change)
