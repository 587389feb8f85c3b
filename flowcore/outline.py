"""The outline of a workflow: what the core must know of it to fold a run's leaves into an Update.

A backend keeps the text with the run and gives it back in each Snapshot, so that a run can be read from another
machine without the document. It is made of the bound workflow, before anything is lowered: names are the document's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from attrs import Factory, frozen

from flowcore.expressions import parse_expression, parse_text, unparse, unparse_text
from flowcore.model import MISSING, Missing, Need, Nested, Python, Step, Workflow
from flowcore.syntax import Expr, Json, Template, Value


@frozen
class Inner:
    """The inside of a nested step."""

    steps: Mapping[str, Entry]
    outputs: Mapping[str, Value]


@frozen
class Never:
    """A step that cannot run: what it needs, and why it is skipped once those needs are met."""

    needs: Mapping[str, Need]
    reason: str


@frozen
class Entry:
    """One step of the outline."""

    continued: bool = False
    each: bool = False
    items: int | None = None
    """The length of a foreach's list, where it is known before the run."""
    outputs: Mapping[str, Json | Missing] = Factory(dict)
    """Value outputs with their defaults; of a plain step only those that have one."""
    until: Expr | None = None
    shim: bool = False
    inner: Inner | None = None
    never: Never | None = None


@frozen
class Outline:
    """A workflow's outline."""

    name: str
    steps: Mapping[str, Entry]
    on_exit: Mapping[str, Entry]
    outputs: Mapping[str, Value]


@frozen
class _Facts:
    """What only the lowering knows of steps: which it wraps in the shim, and which never run."""

    shimmed: Callable[[Step], bool]
    never: Callable[[Mapping[str, Step]], Mapping[str, Never]]


def outline_of(
    workflow: Workflow,
    shimmed: Callable[[Step], bool],
    never: Callable[[Mapping[str, Step]], Mapping[str, Never]],
) -> str:
    """The outline of a bound workflow, as text.

    Args:
        shimmed: which steps the lowering wraps in the shim.
        never: the steps of one scope that are decided never to run.
    """
    facts = _Facts(shimmed, never)
    data: dict[str, Any] = {"name": workflow.name, "steps": _steps(workflow.steps, facts)}
    if workflow.on_exit:
        data["on_exit"] = _steps(workflow.on_exit, facts)
    if workflow.outputs:
        data["outputs"] = _written(dict(workflow.outputs))
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _steps(steps: Mapping[str, Step], facts: _Facts) -> dict[str, Any]:
    data = {name: _entry(step, facts) for name, step in steps.items()}
    for name, found in facts.never(steps).items():
        data[name]["never"] = {"needs": dict(found.needs), "reason": found.reason}
    return data


def _entry(step: Step, facts: _Facts) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if step.continue_on_failure:
        data["continue"] = True
    if step.foreach is not MISSING:
        data["each"] = len(step.foreach) if isinstance(step.foreach, list) else True
    outputs: dict[str, Any] = {}
    if step.outputs:
        outputs = {
            name: {} if output.default is MISSING else {"default": output.default}
            for name, output in step.outputs.items()
            if not output.artifact and (step.foreach is not MISSING or output.default is not MISSING)
        }
    if step.repeat is not None:
        data["until"] = unparse(step.repeat.until)
    if isinstance(step.action, Python) or facts.shimmed(step):
        data["shim"] = True
    if isinstance(step.action, Nested):
        inner = step.action.workflow
        data["inner"] = {
            "steps": _steps(inner.steps, facts),
            "outputs": _written(dict(inner.outputs)),
        }
        if step.foreach is not MISSING:
            outputs = {name: {} for name in inner.outputs}
    if outputs:
        data["outputs"] = outputs
    return data


def _written(value: Value) -> Any:
    if isinstance(value, (str, Template)):
        return unparse_text(value)
    if isinstance(value, list):
        return [_written(item) for item in value]
    if isinstance(value, dict):
        return {key: _written(item) for key, item in value.items()}
    return value


def _read(data: Any) -> Any:
    if isinstance(data, str):
        return parse_text(data)
    if isinstance(data, list):
        return [_read(item) for item in data]
    if isinstance(data, dict):
        return {key: _read(item) for key, item in data.items()}
    return data


def parse_outline(text: str) -> Outline:
    """Read an outline's text back."""
    data = json.loads(text)
    return Outline(
        data["name"], _read_steps(data["steps"]), _read_steps(data.get("on_exit", {})), _read(data.get("outputs", {}))
    )


_PLAIN = Entry()


def _read_steps(data: dict[str, Any]) -> dict[str, Entry]:
    return {name: _read_entry(entry) if entry else _PLAIN for name, entry in data.items()}


def _read_entry(data: dict[str, Any]) -> Entry:
    each = data.get("each", False)
    inner = data.get("inner")
    return Entry(
        continued=data.get("continue", False),
        each=each is not False,
        items=each if isinstance(each, int) and each is not True else None,
        outputs={name: output.get("default", MISSING) for name, output in data.get("outputs", {}).items()},
        until=parse_expression(data["until"]) if "until" in data else None,
        shim=data.get("shim", False),
        never=Never(**data["never"]) if "never" in data else None,
        inner=inner and Inner(_read_steps(inner["steps"]), _read(inner["outputs"])),
    )
