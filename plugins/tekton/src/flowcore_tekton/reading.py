"""Where a task finds the values that its step reads: as results that it is given, or in the run's volume.

A result is used wherever there is one for sure. Where a step may run although the one that it reads did not succeed,
Tekton would not start it for the missing result: then the value, if it is there, is in the run's volume.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import define, field

from flowcore.plugin import MISSING, NameRule, Names, Ref, Template, Type, Value, mangle
from flowcore_tekton.codes import Code, expr_code, value_code
from flowcore_tekton.gates import Gate
from flowcore_tekton.places import ARTIFACTS, ITEMS, OUTPUTS, RUN, SAID, STATUS, VALUES
from flowcore_tekton.scopes import Scope, Unit

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
PARAM: Final = NameRule(60, _LETTERS + "0123456789-_", first=_LETTERS, last=_LETTERS + "0123456789")
"""What a param may be called."""
RESULT: Final = NameRule(60, _LETTERS + "0123456789-_", first=_LETTERS, last=_LETTERS + "0123456789")
"""What a result may be called."""
SHORT: Final = ("integer", "number", "boolean")
"""Types whose text is always short enough for a result, and means nothing to Tekton or the kubelet."""


@define
class Given:
    """One param of a task: the text of a result, or the texts of those of all items."""

    name: str
    value: str | list[str]


@define
class Reader:
    """What one task reads.

    Attributes:
        gate: what it waits for.
        native: whether Tekton's own rules hold in this run.
        long: whether the run's volume takes what is too long for results.
        refs: for ``flow.py``: where each value is.
        given: the task's params, by the keys of ``refs``.
        named: the tasks whose results it is given.
        volume: whether it reads the run's volume.
        may_miss: whether something that it reads may be missing when it starts.
    """

    unit: Unit
    gate: Gate
    native: bool
    long: bool
    refs: dict[str, dict[str, Any]] = field(factory=dict)
    given: dict[str, list[Given]] = field(factory=dict)
    named: set[str] = field(factory=set)
    volume: bool = False
    may_miss: bool = False
    _wanted: dict[str, int] = field(factory=dict)
    _sources: dict[str, tuple[Unit, str]] = field(factory=dict)
    _names: Names | None = None

    def code(self, value: Value) -> Code:
        """A value as code."""
        return self.resolved(value, self.unit.scope)

    def resolved(self, value: Any, scope: Scope) -> Code:
        """A value, or an expression, of a scope as code."""

        def resolve(ref: Ref) -> Code:
            return self.reference(ref, scope)

        plain = isinstance(value, (Template, str, list, dict, bool, int, float, type(None)))
        return value_code(value, resolve) if plain else expr_code(value, resolve)

    def reference(self, ref: Ref, scope: Scope) -> Code:
        """What stands for a reference."""
        if ref.kind == "param":
            assert scope.owner is not None
            return self.resolved(scope.params[ref.name], scope.owner.scope)
        if ref.kind == "own":
            return ["lit", f"{self.outputs}/{ref.name}"]
        if ref.kind == "output":
            return self._output(ref, scope.units[ref.step])
        if ref.kind not in self.refs:
            self.refs[ref.kind] = {"kind": ref.kind}
        return ["ref", ref.kind]

    @property
    def outputs(self) -> str:
        """FLOW_OUTPUTS of the step."""
        return outputs_folder(self.unit)

    def _output(self, ref: Ref, other: Unit) -> Code:
        if ref.path or is_artifact(other, ref.name):
            return self._artifact(ref, other)
        if other.never == "empty":
            return ["lit", []]
        if other.never:
            # Known before the run; without a default the reader is never run, either.
            return ["lit", None if other.default(ref.name) is MISSING else other.default(ref.name)]
        if other.kind == "nested" and self.native:
            assert other.inner is not None
            return self.resolved(other.inner.outputs[ref.name], other.inner)
        key = f"{other.key}.{ref.name}"
        if key not in self.refs:
            self._sources[key] = (other, ref.name)
            self.refs[key] = self._place(key, ref.name, other)
        return ["ref", key]

    def _artifact(self, ref: Ref, other: Unit) -> Code:
        self.volume = True
        if other.inner is not None:
            return self.resolved(other.inner.outputs[ref.name], other.inner)
        return ["lit", f"{RUN}/{ARTIFACTS}/{other.origin}/{ref.name}"]

    def _place(self, key: str, name: str, other: Unit) -> dict[str, Any]:
        other.read[name] = None
        place = value_place(other, name)
        if other.kind == "leaf":
            if self.native or self.gate.ensures(other.tells):
                return self._result(key, other, name, place)
            return self._file(other, name, place)
        if self.native:
            self.given[key] = [self._param(key, other, name, task) for task in other.tasks]
            self._may_be_long(output_type(other, name).name)
            return {"kind": "results", "place": place}
        self.may_miss = True
        if self.gate.asks(other.tells):
            return self._result(key, other, name, place)
        return self._file(other, name, place)

    def _result(self, key: str, other: Unit, name: str, place: str) -> dict[str, Any]:
        self.given[key] = [self._param(key, other, name)]
        self._may_be_long(output_type(other, name).name if other.kind == "leaf" else "list")
        return {"kind": "result", "place": place}

    def _may_be_long(self, kind: str) -> None:
        if self.long and kind not in SHORT:
            self.volume = True

    def _file(self, other: Unit, name: str, place: str) -> dict[str, Any]:
        other.kept.add(name)
        self.volume = True
        default = other.default(name)
        self.may_miss = self.may_miss or default is MISSING
        return {"kind": "file", "place": place, **({} if default is MISSING else {"default": default})}

    def _param(self, key: str, other: Unit, name: str, many: str = "") -> Given:
        """A param that holds a result: of one task, or of all the items that the task ``many`` runs."""
        wanted = f"{other.name}-{name}"
        self._wanted[wanted] = self._wanted.get(wanted, 0) + 1
        count = self._wanted[wanted]
        if self._names is None:
            self._names = Names(PARAM, ["i", "item"])
        param = self._names.name(wanted if count == 1 else f"{wanted}/{count}")
        self.named.add(many or other.tells)
        result = result_name(name)
        if many:
            return Given(param, [f"$(tasks.{many}.results.{result}[*])"])
        return Given(param, f"$(tasks.{other.tells}.results.{result})")

    def result_of(self, ref: Ref, kind: str) -> str | None:
        """The reference of Tekton's own to an output of a type, if it is sure to be there."""
        other = self.unit.scope.units[ref.step]
        sure = self.native or self.gate.ensures(other.tells)
        if not sure or other.kind != "leaf" or other.never or output_type(other, ref.name).name != kind:
            return None
        other.read[ref.name] = None
        return f"$(tasks.{other.task}.results.{result_name(ref.name)})"

    def direct(self, code: Code) -> str | None:
        """The reference to a param that holds exactly the text of a value, if there is one."""
        if code[0] != "ref" or self.refs[code[1]]["kind"] != "result":
            return None
        other, name = self._sources[code[1]]
        if other.kind != "leaf" or output_type(other, name).name not in SHORT:
            return None
        return f"$(params.{self.given[code[1]][0].name})"


def outputs_folder(unit: Unit) -> str:
    """FLOW_OUTPUTS of a step."""
    if not any(output.artifact for output in unit.step.outputs.values()):
        return OUTPUTS
    inside = "/.items/$(params.i)" if unit.kind == "each" else ""
    return f"{RUN}/{ARTIFACTS}/{unit.origin}{inside}"


def is_artifact(unit: Unit, name: str) -> bool:
    """Whether an output of a step is an artifact, by whatever way."""
    if unit.inner is None:
        output = unit.step.outputs.get(name)
        return output is not None and output.artifact
    value = unit.inner.outputs.get(name)
    if not isinstance(value, Template) or not isinstance(value.alone, Ref):
        return False
    ref = value.alone
    return ref.kind == "output" and (ref.path or is_artifact(unit.inner.units[ref.step], ref.name))


def output_type(unit: Unit, name: str) -> Type:
    """The type of an output of a single step."""
    return unit.step.outputs[name].type


def value_place(unit: Unit, name: str) -> str:
    """Where in the run's volume a value is kept, if it is; ``{i}`` is an item's index."""
    inside = "/{i}" if unit.kind == "each" and not unit.joins else ""
    return f"{VALUES}/{unit.key}{inside}/{name}"


def item_place(unit: Unit, name: str) -> str:
    """The same for an output of one item."""
    return f"{VALUES}/{unit.key}/{{i}}/{name}"


def result_name(output: str) -> str:
    """The result that an output is."""
    return mangle(f"output/{output}" if output in (STATUS, SAID, ITEMS) else output, RESULT)
