"""What the references of one workflow mean: whether each is known, and its type."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from flowcore.expressions import type_of, type_of_json
from flowcore.expressions.inference import TypeMismatch, joined
from flowcore.model import ANY, INTEGER, LIST, MISSING, OBJECT, STRING, Missing, Nested, Step, Type, Workflow
from flowcore.names import nearest
from flowcore.syntax import Expr, Json, Ref, Template, Value


class UnknownName(Exception):
    """A reference to something that is not there; the message says what to write."""


@frozen
class Seen:
    """An output as the steps behind it see it; ``type`` is a list for a step with foreach."""

    type: Type
    artifact: bool = False
    has_default: bool = False


class Scope:
    """The names that one workflow's expressions may use. Lookups are cached; the workflow is not changed."""

    def __init__(self, workflow: Workflow, *, nested: bool = False) -> None:
        self.workflow = workflow
        self.nested = nested
        self._outputs: dict[str, Mapping[str, Seen]] = {}
        self._items: dict[int, Type] = {}

    def param(self, name: str) -> Type:
        """The type of a param.

        Raises:
            UnknownName: naming the nearest one.
        """
        param = self.workflow.params.get(name)
        if param is not None:
            return param.type
        outside = "; a nested workflow sees only its own params, which its step's args set" if self.nested else ""
        raise UnknownName(f"there is no param {name!r}{_nearest(name, self.workflow.params)}{outside}")

    def output(self, ref: Ref) -> Seen:
        """The output that ``steps.STEP.outputs.NAME`` names.

        Raises:
            UnknownName: if the step or its output is unknown.
        """
        step = self.workflow.steps.get(ref.step)
        if step is None:
            if ref.step in self.workflow.on_exit:
                raise UnknownName(f"{ref.step!r} is a step of on_exit, which starts when all others have ended")
            outside = "; a nested workflow sees only its own steps" if self.nested else ""
            raise UnknownName(f"there is no step {ref.step!r}{_nearest(ref.step, self.workflow.steps)}{outside}")
        outputs = self.outputs(ref.step, step)
        seen = outputs.get(ref.name)
        if seen is not None:
            return seen
        if not outputs:
            raise UnknownName(f"step {ref.step!r} has no outputs; declare {ref.name!r} under its outputs")
        raise UnknownName(f"step {ref.step!r} has no output {ref.name!r}{_nearest(ref.name, outputs)}")

    def outputs(self, name: str, step: Step) -> Mapping[str, Seen]:
        """All outputs of a step: those it declares, or those of its nested workflow."""
        known = self._outputs.get(name)
        if known is None:
            known = self._outputs[name] = _outputs(step)
        return known

    def type(self, ref: Ref, step: Step | None) -> Type:
        """The type of a reference that stands in ``step`` (None: in the workflow itself).

        Raises:
            UnknownName: if it names nothing.
        """
        kind = ref.kind
        if kind == "param":
            return self.param(ref.name)
        if kind == "output":
            seen = self.output(ref)
            return STRING if ref.path else seen.type
        if kind == "own":
            return STRING if ref.path or step is None else step.outputs[ref.name].type
        if kind == "item":
            return self.item(step)
        return INTEGER if kind == "iteration" else ANY if kind == "object" else STRING

    def item(self, step: Step | None) -> Type:
        """The type of ``item`` in a step with foreach."""
        if step is None or isinstance(step.foreach, Missing):
            return ANY
        if id(step) not in self._items:
            try:
                self._items[id(step)] = self.value(step.foreach, None).items or ANY
            except (TypeMismatch, UnknownName):
                self._items[id(step)] = ANY
        return self._items[id(step)]

    def expression(self, expr: Expr, step: Step | None, *, order_any: bool = False) -> Type:
        """The type of an expression that stands in ``step``.

        Raises:
            TypeMismatch: if its parts do not go together.
            UnknownName: if it names something that is not there.
        """
        return type_of(expr, lambda ref: self.type(ref, step), order_any=order_any)

    def value(self, value: Value, step: Step | None) -> Type:
        """The type of a value with templates, which stands in ``step``; raises what ``expression`` does."""
        if isinstance(value, Template):
            if value.alone is not None:
                return self.expression(value.alone, step)
            for part in value.parts:
                if not isinstance(part, str):
                    self.expression(part, step)
            return STRING
        if isinstance(value, list):
            return joined([self.value(item, step) for item in value])
        if isinstance(value, dict):
            for item in value.values():
                self.value(item, step)
            return OBJECT
        return type_of_json(value)


def output_types(workflow: Workflow) -> dict[str, Type]:
    """The types of the workflow's own outputs; an artifact's is a string, its path."""
    return {name: seen.type for name, seen in _workflow_outputs(workflow).items()}


def is_constant(value: Value) -> bool:
    """Whether a value holds no expression."""
    if isinstance(value, Template):
        return False
    if isinstance(value, list):
        return all(map(is_constant, value))
    return not isinstance(value, dict) or all(map(is_constant, value.values()))


def artifact_ref(value: Value) -> Ref | None:
    """The artifact, if ``value`` is ``${{ steps.STEP.outputs.NAME.path }}`` alone: how an output hands one on."""
    if isinstance(value, Template) and isinstance(value.alone, Ref) and value.alone.path:
        return value.alone
    return None


def shown(value: Json) -> str:
    """A value for an error message, cut where it is long."""
    import json

    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 40 else text[:37] + "..."


def _outputs(step: Step) -> Mapping[str, Seen]:
    if isinstance(step.action, Nested):
        outputs: Mapping[str, Seen] = _workflow_outputs(step.action.workflow)
    else:
        outputs = {
            name: Seen(STRING if output.artifact else output.type, output.artifact, output.default is not MISSING)
            for name, output in step.outputs.items()
        }
    if step.foreach is MISSING:
        return outputs
    return {
        name: seen if seen.artifact else Seen(_list_of(seen.type), has_default=seen.has_default)
        for name, seen in outputs.items()
    }


def _workflow_outputs(workflow: Workflow) -> dict[str, Seen]:
    scope = Scope(workflow)
    outputs = {}
    for name, value in workflow.outputs.items():
        try:
            outputs[name] = Seen(scope.value(value, None), artifact=artifact_ref(value) is not None)
        except (TypeMismatch, UnknownName):
            # Reported where it stands; here it must not be reported once more for each reader.
            outputs[name] = Seen(ANY, artifact=artifact_ref(value) is not None)
    return outputs


def _list_of(items: Type) -> Type:
    return LIST if items == ANY else Type("list", items)


def _nearest(name: str, known: Mapping[str, object]) -> str:
    near = nearest(name, known)
    if near is not None:
        return f"; did you mean {near!r}?"
    if not known:
        return "; there are none"
    few = ", ".join(list(known)[:8]) + (", ..." if len(known) > 8 else "")
    return f"; there {'are' if len(known) > 1 else 'is'} {few}"
