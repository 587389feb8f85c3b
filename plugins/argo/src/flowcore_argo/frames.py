"""One scope of steps: what they are called in Argo, and where the values are that they read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import define, field

from flowcore.plugin import (
    DNS_LABEL_1035,
    MISSING,
    Binary,
    ListOf,
    Literal,
    Names,
    Need,
    Nested,
    Not,
    Ref,
    Step,
    Template,
    Type,
    Value,
    Workflow,
    as_text,
    needs_and_references,
    references,
)
from flowcore_argo.expressions import ANY, BOOLEAN, LIST, STRING, Code, kind_of_json
from flowcore_argo.places import ARTIFACTS, FINISH, ITEMS
from flowcore_argo.quoting import member, string_literal

S, K, O, F, E = "Succeeded", "Skipped", "Omitted", "Failed", "Errored"  # noqa: E741
"""How a task of a dag ends, in the words of ``depends``."""


@define
class Frame:
    """The steps of one workflow, whole or nested.

    Attributes:
        steps: the steps of the scope.
        outputs: what the nested workflow gives, which reads steps too.
        prefix: what stands before their names in the document's names.
        each: whether the scope is run once an item, so that names hold numbers: they come by the input ``step``.
        params: what ``params.NAME`` is, in a nested workflow.
    """

    steps: Mapping[str, Step]
    outputs: Mapping[str, Value] = field(factory=dict)
    prefix: str = ""
    each: bool = False
    params: Mapping[str, Code] = field(factory=dict)
    names: Names = field(factory=lambda: Names(DNS_LABEL_1035, [FINISH]))
    needs: dict[str, dict[str, Need]] = field(factory=dict)
    """The effective needs of each step."""
    asked: dict[str, set[Need]] = field(factory=dict)
    """What others ask of each step."""
    lists: dict[str, dict[str, None]] = field(factory=dict)
    """The value outputs of each foreach that others read."""
    refs: dict[str, list[Ref]] = field(factory=dict)
    """What each step reads when it starts."""

    def __attrs_post_init__(self) -> None:
        if self.needs:
            return  # a part of a scope: all is known
        for name, step in self.steps.items():
            self.names.name(name)
            needs, refs = needs_and_references(step)
            self.needs[name], self.refs[name] = needs, refs
            for other, need in needs.items():
                self.asked.setdefault(other, set()).add(need)
            for ref in refs:
                self._note(ref)
        for ref in references(dict(self.outputs)):
            self._note(ref)

    def _note(self, ref: Ref) -> None:
        step = self.steps.get(ref.step) if ref.kind == "output" and not ref.path else None
        if step is not None and step.foreach is not MISSING:
            self.lists.setdefault(ref.step, {})[ref.name] = None

    def origin(self, name: str) -> str:
        """The document's name of a step."""
        return self.prefix + name

    def step_text(self, name: str) -> str:
        """FLOW_STEP of a step, as Argo fills it in."""
        return "{{inputs.parameters.step}}/" + name if self.each else self.prefix + name

    def step_code(self, name: str) -> str:
        """The same as an expression."""
        if self.each:
            return f"inputs.parameters.step + {string_literal('/' + name)}"
        return string_literal(self.prefix + name)

    def lookup(self, ref: Ref) -> Code:
        """Where the value of a reference is."""
        if ref.kind == "output":
            return self._output(ref)
        if ref.kind == "param":
            return self.params[ref.name]
        if ref.kind == "run.id":
            return Code("workflow.name")
        if ref.kind == "run.phase":
            return Code("(workflow.status == 'Succeeded' ? 'succeeded' : 'failed')")
        raise LookupError(f"{ref} has no value here")

    def _output(self, ref: Ref) -> Code:
        step = self.steps[ref.step]
        task = member("tasks", self.names.name(ref.step))
        if ref.path and not isinstance(step.action, Nested):
            root = ITEMS if step.foreach is not MISSING else ARTIFACTS
            return Code(f"{string_literal(root + '/')} + {self.step_code(ref.step)} + {string_literal('/' + ref.name)}")
        kind = output_type(step, ref.name)
        raw = member(f"{task}.outputs.parameters", ref.name)
        if step.foreach is not MISSING:
            return self._fan_in(ref.step, task, raw, kind)
        ways = self.ways_to_miss(ref.step)
        default = default_of(step, ref.name)
        if default is MISSING or not ways:
            return Code(raw, kind)
        if ways - {K}:
            # The output of a step that failed may not be there, and Argo waits for ever for what is not there.
            raw = f"get(get(get({task}, 'outputs'), 'parameters'), {string_literal(ref.name)})"
        text = string_literal(stored(default, kind))
        return Code(f"({task}.status == 'Succeeded' ? {raw} : {text})", kind)

    def _fan_in(self, name: str, task: str, raw: str, kind: Type) -> Code:
        step = self.steps[name]
        if not self.wrapped(name):
            raw = gathered(raw)
        if not (isinstance(step.foreach, list) and step.foreach):
            raw = f"({task}.status == 'Skipped' ? '[]' : {raw})"
        return Code(raw, Type("list", kind))

    def ways_to_miss(self, name: str) -> frozenset[str]:
        """How a step may have ended, other than well, when somebody who reads its outputs starts."""
        step = self.steps[name]
        asked = self.asked.get(name, set())
        ways = set()
        if step.when is not None or "skipped" in asked:
            ways.add(K)
        if step.continue_on_failure:
            ways |= {F, E}
        if asked & {"failed", "finished"}:
            ways |= {F, E, O, K}
        return frozenset(ways)

    # A foreach

    def wrapped(self, name: str) -> bool:
        """Whether a foreach has a dag of its own: for a condition, for slots of its own, or to gather exactly."""
        step = self.steps[name]
        return step.when is not None or step.parallelism is not None or self.by_item(name)

    def by_item(self, name: str) -> bool:
        """Whether each item has a dag of its own, for a list that Argo would not gather exactly.

        It takes strings that look like JSON for JSON, and leaves out items that failed.
        """
        step, read = self.steps[name], self.lists.get(name, {})
        return self.gathers_partly(name) or any(output_type(step, output).name == "string" for output in read)

    def gathers_partly(self, name: str) -> bool:
        """Whether the list keeps its length although items failed (S18)."""
        return self.steps[name].continue_on_failure and name in self.lists


def gathered(raw: str) -> str:
    """The JSON list of what Argo gathered: a list of texts, or of JSON if all of them were objects or lists."""
    return f"toJson(map(fromJSON({raw}), type(#) == 'string' ? fromJSON(#) : #))"


def stored(value: Any, kind: Type) -> str:
    """The text by which Argo holds a value of a type."""
    if kind.name == "any":
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return as_text(value)


def default_of(step: Step, name: str) -> Any:
    """The default of an output, or MISSING."""
    output = step.outputs.get(name)
    return MISSING if output is None or output.artifact or step.foreach is not MISSING else output.default


def output_type(step: Step, name: str) -> Type:
    """The type of an output of one run of a step (of one item of a foreach)."""
    if isinstance(step.action, Nested):
        return value_type(step.action.workflow.outputs[name], step.action.workflow)
    output = step.outputs.get(name)
    return STRING if output is None or output.artifact else output.type


def value_type(value: Value, workflow: Workflow) -> Type:
    """The type of what a nested workflow gives."""
    if not isinstance(value, Template):
        return kind_of_json(value)  # type: ignore[arg-type]
    expr = value.alone
    if expr is None:
        return STRING
    if isinstance(expr, Ref):
        if expr.kind == "param":
            return workflow.params[expr.name].type
        if expr.kind != "output" or expr.path:
            return STRING
        step = workflow.steps[expr.step]
        kind = output_type(step, expr.name)
        return kind if step.foreach is MISSING else Type("list", kind)
    if isinstance(expr, Literal):
        return kind_of_json(expr.value)
    return BOOLEAN if isinstance(expr, (Not, Binary)) else LIST if isinstance(expr, ListOf) else ANY
