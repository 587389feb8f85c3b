"""Kinds of values in a document: how each is read, how it is written, and its JSON Schema.

One object says all three, so they cannot drift apart. A kind that cannot read a value says so to the ``Reading`` and
returns ``WRONG``; it never raises, so that everything wrong is found in one go.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from flowcore.document.source import Node, Source, Spelled, Str, describe
from flowcore.errors import Path, Problem, WorkflowError
from flowcore.expressions import ExpressionError, parse_condition, parse_text, unparse, unparse_text
from flowcore.names import nearest
from flowcore.syntax import Json, Template
from flowcore.units import format_duration, parse_duration

Schema = dict[str, Any]


class _Wrong:
    def __repr__(self) -> str:
        return "WRONG"


WRONG: Final = _Wrong()
"""What a kind returns for a value that it could not read."""

NAME_PATTERN: Final = "^[a-z][a-z0-9_-]{0,62}$"


class Reading:
    """One document being read: where problems go, and whether the lowering's own keys are read."""

    def __init__(self, source: Source | None, *, lowered: bool = False) -> None:
        self.source = source
        self.lowered = lowered
        self._problems: list[Problem] = []

    def problem(self, path: Path, message: str, at: int | None = None) -> _Wrong:
        """Collect a problem at a path, or at an index of the text where that is more exact."""
        if self.source is not None:
            self.source.problem(path, message, at)
        else:
            self._problems.append(Problem(path, message))
        return WRONG

    def found(self, path: Path, node: Node, wanted: str, advice: str = "") -> _Wrong:
        """Collect the problem that a value is not of the kind that is wanted."""
        message = f"found {describe(node)}, wanted {wanted}" + (f"; {advice}" if advice else "")
        return self.problem(path, message, getattr(node, "at", None))

    def expression(self, path: Path, node: Node, error: ExpressionError) -> _Wrong:
        """Collect a mistake in an expression, at its very character where the text shows it as it is."""
        at = getattr(node, "at", None)
        if isinstance(node, Str) and self.source is not None:
            for start in (node.at, node.at + 1):
                if self.source.text.startswith(node, start):
                    at = start + min(error.offset, len(node))
                    break
        return self.problem(path, str(error), at)

    def finish(self, readable: object = None) -> None:
        """Raise a ``WorkflowError`` if there was any problem; ``readable`` is what was read in spite of it."""
        if self.source is not None:
            self.source.finish(readable)
        if self._problems:
            raise WorkflowError(self._problems)


class Kind:
    """A kind of value."""

    wanted: str = "a value"

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        """Make the model's value of a node, or collect problems and return ``WRONG``."""
        raise NotImplementedError

    def write(self, value: Any) -> Json:
        """Make JSON of the model's value: the inverse of ``read``."""
        return value  # type: ignore[no-any-return]

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """The JSON Schema of what ``read`` takes; named parts go into ``definitions``."""
        raise NotImplementedError


def spelling(node: Node) -> str | None:
    """The text of a scalar as it was written, or ``None`` if it is null or no scalar."""
    if isinstance(node, str):
        return str(node)
    if isinstance(node, Spelled):
        return None if node.value is None else node.text
    if isinstance(node, bool | int | float):
        return json.dumps(node)
    return None


def value_of(node: Node) -> Any:
    """A scalar's value; collections as they are."""
    return node.value if isinstance(node, Spelled) else node


@attrs.frozen(eq=False, repr=False)
class TextKind(Kind):
    """Text, by its source spelling if it was written without quotes.

    ``expressions`` says what ``${{`` in it is: part of an expression (``"read"``), a mistake (``"refuse"``: the place
    takes none, but ``$${{`` is still a literal ``${{``), or text like any other (``"raw"``).
    """

    wanted: str = "text"
    expressions: str = "read"
    advice: str = 'put it in quotes, or write "" for empty text'

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        text = spelling(node)
        if text is None:
            advice = self.advice if value_of(node) is None else ""
            return reading.found(path, node, self.wanted, advice)
        if "${{" not in text or self.expressions == "raw":
            return text
        try:
            parsed = parse_text(text)
        except ExpressionError as error:
            return reading.expression(path, node, error)
        if self.expressions == "refuse" and isinstance(parsed, Template):
            message = "no expression can stand here; write the text itself, and $${{ for a literal ${{"
            return reading.problem(path, message, getattr(node, "at", None))
        return parsed

    def write(self, value: Any) -> Json:
        return value if self.expressions == "raw" else unparse_text(value)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {"type": ["string", "number", "boolean"]}


TEXT: Final = TextKind()
PLAIN: Final = TextKind(expressions="refuse")
RAW: Final = TextKind(expressions="raw")


@attrs.frozen(eq=False, repr=False)
class ConditionKind(Kind):
    """An expression as bare text, or in one ``${{ }}``."""

    object_names: bool = False
    wanted: str = "a condition"

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        text = spelling(node) if isinstance(value_of(node), str | bool) else None
        if text is None:
            return reading.found(path, node, self.wanted, "write it as text, in quotes if it holds ': ' or ' #'")
        try:
            return parse_condition(text, object_names=self.object_names)
        except ExpressionError as error:
            return reading.expression(path, node, error)

    def write(self, value: Any) -> Json:
        return unparse(value)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {"type": ["string", "boolean"]}


CONDITION: Final = ConditionKind()
OBJECT_CONDITION: Final = ConditionKind(object_names=True)


class DurationKind(Kind):
    """A duration in text, seconds in the model."""

    wanted = "a duration such as 90s, 10m or 1h30m"

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        value = value_of(node)
        if isinstance(value, int | float) and not isinstance(value, bool):
            text = spelling(node)
            return reading.found(path, node, "a duration with its unit", f"write {text}s for seconds")
        if not isinstance(value, str):
            return reading.found(path, node, self.wanted)
        if "${{" in value:
            message = "no expression can stand here; write the duration itself"
            return reading.problem(path, message, getattr(node, "at", None))
        try:
            return parse_duration(value)
        except ValueError as error:
            return reading.problem(path, str(error), getattr(node, "at", None))

    def write(self, value: Any) -> Json:
        return format_duration(value)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        definitions.setdefault(
            "duration",
            {
                "type": "string",
                "description": "A time with its unit: 90s, 10m, 1h30m, 2d. Units: d h m s ms us ns.",
                "pattern": r"^\s*(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ms|us|µs|μs|ns|d|h|m|s))+)\s*$",
                "examples": ["90s", "10m", "1h30m", "1d"],
            },
        )
        return {"$ref": "#/$defs/duration"}


DURATION: Final = DurationKind()


@attrs.frozen(eq=False, repr=False)
class IntegerKind(Kind):
    """An integer, at least ``minimum``."""

    minimum: int = 0

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        value = value_of(node)
        if not isinstance(value, int) or isinstance(value, bool):
            return reading.found(path, node, "an integer")
        if not self.minimum <= value < 2**63:
            return reading.found(path, node, f"an integer of at least {self.minimum}, in 64 bits")
        return value

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {"type": "integer", "minimum": self.minimum}


class BooleanKind(Kind):
    """``true`` or ``false``."""

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        value = value_of(node)
        if isinstance(value, bool):
            return value
        text = value.lower() if isinstance(value, str) else ""
        word = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}.get(text, "")
        return reading.found(path, node, "true or false", f"write {word}" if word else "")

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {"type": "boolean"}


BOOLEAN: Final = BooleanKind()


@attrs.frozen(eq=False, repr=False)
class WordKind(Kind):
    """One of a few fixed words."""

    words: tuple[str, ...]
    others: Mapping[str, str] = attrs.Factory(dict)
    """What people write for one of them who come from elsewhere."""

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        text = spelling(node)
        if text in self.words:
            return text
        near = (self.others.get(text.lower()) or nearest(text, self.words)) if text else None
        wanted = f"one of {', '.join(self.words)}"
        return reading.found(path, node, wanted, f"did you mean {near}?" if near else "")

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {"enum": list(self.words)}


@attrs.frozen(eq=False, repr=False)
class DataKind(Kind):
    """Any JSON. With ``expressions``, every string in it may hold some."""

    expressions: bool = False

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        if isinstance(node, str):
            return TEXT.read(reading, node, path) if self.expressions else str(node)
        if isinstance(node, dict):
            values = {key: self.read(reading, value, (*path, key)) for key, value in node.items()}
            return WRONG if any(value is WRONG for value in values.values()) else values
        if isinstance(node, list):
            items = [self.read(reading, item, (*path, i)) for i, item in enumerate(node)]
            return WRONG if any(item is WRONG for item in items) else items
        value = value_of(node)
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            return reading.problem(path, "an integer has 64 bits at most; put it in quotes", getattr(node, "at", None))
        if isinstance(value, float) and not math.isfinite(value):
            return reading.problem(path, "a number must be finite; put it in quotes", getattr(node, "at", None))
        return value

    def write(self, value: Any) -> Json:
        if isinstance(value, str | Template):
            return unparse_text(value) if self.expressions else value  # type: ignore[return-value]
        if isinstance(value, Mapping):
            return {key: self.write(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.write(item) for item in value]
        return value  # type: ignore[no-any-return]

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {}


DATA: Final = DataKind()
VALUE: Final = DataKind(expressions=True)


@attrs.frozen(eq=False, repr=False)
class ListOf(Kind):
    """A list, a tuple in the model; ``advice`` is for those who wrote something else."""

    item: Kind
    least: int = 0
    advice: str = ""

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        if not isinstance(node, list):
            return reading.found(path, node, "a list", self.advice)
        if len(node) < self.least:
            return reading.problem(path, "the list is empty; fill it or leave the key out", getattr(node, "at", None))
        items = [self.item.read(reading, item, (*path, i)) for i, item in enumerate(node)]
        return WRONG if any(item is WRONG for item in items) else tuple(items)

    def write(self, value: Any) -> Json:
        return [self.item.write(item) for item in value]

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        schema: Schema = {"type": "array", "items": self.item.schema(definitions)}
        return {**schema, "minItems": self.least} if self.least else schema


@attrs.frozen(eq=False, repr=False)
class MapOf(Kind):
    """A mapping whose keys are the writer's own; ``names`` where they follow the rule of names."""

    item: Kind
    names: bool = False
    advice: str = ""

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        if not isinstance(node, dict):
            advice = self.advice or ("write {} or leave the key out" if value_of(node) is None else "")
            return reading.found(path, node, "a mapping", advice)
        values = {key: self.item.read(reading, value, (*path, key)) for key, value in node.items()}
        # The problem is collected, so nobody takes this for the whole; what is right can be checked further.
        return {key: value for key, value in values.items() if value is not WRONG}

    def write(self, value: Any) -> Json:
        return {key: self.item.write(item) for key, item in value.items()}

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        schema: Schema = {"type": "object", "additionalProperties": self.item.schema(definitions)}
        return {**schema, "propertyNames": {"pattern": NAME_PATTERN}} if self.names else schema


@attrs.frozen(eq=False, repr=False)
class Choice(Kind):
    """One kind for mappings and another for all else."""

    mapping: Kind
    other: Kind
    is_mapping: Callable[[Any], bool]

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        return (self.mapping if isinstance(node, dict) else self.other).read(reading, node, path)

    def write(self, value: Any) -> Json:
        return (self.mapping if self.is_mapping(value) else self.other).write(value)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {"anyOf": [self.other.schema(definitions), self.mapping.schema(definitions)]}


@attrs.frozen(eq=False, repr=False)
class Field:
    """One key of a record: its kind, what it means, and the attribute of the model that it fills."""

    key: str
    kind: Kind
    description: str
    attribute: str = ""
    required: bool = False
    extra: Mapping[str, Any] = attrs.Factory(dict)
    """More for the schema: ``default``, ``examples``."""

    @property
    def target(self) -> str:
        """The model's name of it."""
        return self.attribute or self.key


# What people write who come from other tools.
_ELSEWHERE: Final = {
    "depends_on": "needs",
    "dependson": "needs",
    "dependencies": "needs",
    "depends": "needs",
    "cmd": "command",
    "entrypoint": "command",
    "arguments": "args",
    "parameters": "params",
    "inputs": "params",
    "tasks": "steps",
    "jobs": "steps",
    "nodes": "steps",
    "with_items": "foreach",
    "with_param": "foreach",
    "for_each": "foreach",
    "matrix": "foreach",
    "if": "when",
    "condition": "when",
    "run": "script",
    "shell": "interpreter",
    "retries": "retry",
    "deadline": "timeout",
    "environment": "env",
    "volume_mounts": "mounts",
    "workdir": "working_dir",
    "cwd": "working_dir",
    "finally": "on_exit",
    "exit_handler": "on_exit",
    "continue_on_error": "continue_on_failure",
    "allow_failure": "continue_on_failure",
    "until": "repeat",
    "limits": "resources",
    "serviceaccountname": "service_account",
}

Values = dict[str, Any]


class Record(Kind):
    """A mapping whose keys are fixed, an attrs class in the model.

    ``build`` makes the model's value of the fields that were read, by their targets; ``parts`` is its inverse. Keys
    that begin with ``x-`` are left for other tools.
    """

    def __init__(
        self,
        name: str,
        description: str,
        fields: tuple[Field, ...],
        model: type[Any],
        *,
        build: Callable[[Reading, Values, Node, Path], Any] | None = None,
        parts: Callable[[Any], Values] | None = None,
        more: Callable[[Schema], None] | None = None,
        advice: str = "",
        elsewhere: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.description = description
        self.fields = fields
        self.model = model
        self.advice = advice
        self.elsewhere = elsewhere or {}
        self.by_key = {field.key: field for field in fields}
        self.required = tuple(field for field in fields if field.required)
        self._build = build
        self._parts = parts
        self._more = more
        self._mandatory = {a.name for a in attrs.fields(model) if a.default is attrs.NOTHING}
        self._defaults = {
            a.name: a.default.factory() if isinstance(a.default, attrs.Factory) else a.default  # type: ignore[arg-type]
            for a in attrs.fields(model)
        }

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        if not isinstance(node, dict):
            return reading.found(path, node, f"a mapping with keys such as {self._some_keys()}", self.advice)
        values: Values = {}
        for key, value in node.items():
            field = self.by_key.get(key)
            if field is None:
                if not key.startswith("x-"):
                    self._unknown(reading, key, path)
                continue
            result = field.kind.read(reading, value, (*path, key))
            if result is not WRONG:
                values[field.target] = result
        for field in self.required:
            if field.key not in node:
                reading.problem(path, self._missing(field))
        # What fits together is checked even where single values are wrong, so that all of it is told at once.
        if self._build is not None:
            return self._build(reading, values, node, path)
        return self.model(**values) if self._mandatory <= values.keys() else WRONG

    def _missing(self, field: Field) -> str:
        return f"{field.key} is missing; add it"

    def _some_keys(self) -> str:
        keys = [field.key for field in self.required] or [field.key for field in self.fields[:3]]
        return ", ".join(keys)

    def _unknown(self, reading: Reading, key: str, path: Path) -> None:
        if key in self.elsewhere:
            found = f"unknown key here: {self.elsewhere[key]}; move or remove it"
        else:
            keys = [field.key for field in self.fields if not field.key.startswith("x-")]
            known = _ELSEWHERE.get(key.lower().replace("-", "_"))
            near = known if known in keys else nearest(key, keys)
            hint = f"did you mean {near}? Correct it" if near else f"the keys here are {', '.join(keys)}; remove it"
            found = f"unknown key; {hint}"
        reading.problem((*path, key), f"{found}, or a newer flowcore is needed")

    def write(self, value: Any) -> Json:
        defaults = self._defaults
        parts = self._parts(value) if self._parts is not None else None
        data: dict[str, Json] = {}
        for field in self.fields:
            target = field.attribute or field.key
            if parts is not None:
                if target not in parts:
                    continue
                part = parts[target]
            else:
                part = getattr(value, target)
                if not field.required and part == defaults[target] and type(part) is type(defaults[target]):
                    continue
            data[field.key] = field.kind.write(part)
        return data

    def set_parts(self, value: Any) -> Values:
        """The attributes of a model's value that are not their defaults, by name."""
        parts: Values = {}
        for name, default in self._defaults.items():
            part = getattr(value, name)
            # 1 == True and 0 == False in Python, but not here.
            if part is not default and (type(part) is not type(default) or part != default):
                parts[name] = part
        return parts

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        if self.name not in definitions:
            schema: Schema = {}
            definitions[self.name] = schema
            schema.update(self.own_schema(definitions))
        return {"$ref": f"#/$defs/{self.name}"}

    def own_schema(self, definitions: dict[str, Schema]) -> Schema:
        """The schema itself, where ``schema`` gives a reference to it."""
        schema: Schema = {
            "type": "object",
            "description": self.description,
            "properties": {
                field.key: {"description": field.description, **field.kind.schema(definitions), **field.extra}
                for field in self.fields
                if not field.key.startswith("x-")
            },
            "patternProperties": {"^x-": {"description": "Left alone: for anchors and for other tools."}},
            "additionalProperties": False,
        }
        if self.required:
            schema["required"] = [field.key for field in self.required]
        if self._more is not None:
            self._more(schema)
        return schema


@attrs.frozen(eq=False, repr=False)
class OneKey(Kind):
    """A mapping of exactly one key out of a few, which says what it is."""

    choices: tuple[Field, ...]
    make: Callable[[str, Any], Any]
    parts: Callable[[Any], tuple[str, Any]]

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        keys = [field.key for field in self.choices]
        wanted = f"a mapping with one of the keys {', '.join(keys)}"
        if not isinstance(node, dict):
            return reading.found(path, node, wanted)
        given = [key for key in node if not key.startswith("x-")]
        for key in given:
            if key not in keys:
                near = nearest(key, keys)
                hint = f"did you mean {near}? Correct it" if near else f"the keys here are {', '.join(keys)}; remove it"
                return reading.problem((*path, key), f"unknown key; {hint}, or a newer flowcore is needed")
        if len(given) != 1:
            found = f"found {' and '.join(given)}" if given else "found none of them"
            return reading.problem(path, f"{found}, wanted {wanted}", getattr(node, "at", None))
        field = next(field for field in self.choices if field.key == given[0])
        value = field.kind.read(reading, node[field.key], (*path, field.key))
        return WRONG if value is WRONG else self.make(field.key, value)

    def write(self, value: Any) -> Json:
        key, part = self.parts(value)
        return {key: next(field for field in self.choices if field.key == key).kind.write(part)}

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {
            "type": "object",
            "properties": {
                field.key: {"description": field.description, **field.kind.schema(definitions)}
                for field in self.choices
            },
            "patternProperties": {"^x-": {}},
            "additionalProperties": False,
            "oneOf": [{"required": [field.key]} for field in self.choices],
        }
