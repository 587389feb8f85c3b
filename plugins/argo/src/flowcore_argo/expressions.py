"""flowcore's expressions in the language that Argo evaluates (expr-lang).

An output reaches Argo as text: a string as it is, anything else as JSON. ``Code`` is an expression that gives that
text, with the type it stands for; the functions below read it as a value, or write values as text again.

No name may be introduced with ``let``: Argo takes it for a variable that is not there yet and would leave the whole
expression as it is, so ``map([x], ... # ...)[0]`` is used where a value is needed twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import cast

from attrs import frozen

from flowcore.plugin import Binary, Expr, Get, Json, ListOf, Literal, Not, Ref, Template, Text, Type, Value, as_text
from flowcore.plugin import unparse as written
from flowcore_argo.quoting import json_literal, string_literal

STRING = Type("string")
ANY = Type("any")
BOOLEAN = Type("boolean")
LIST = Type("list")


@frozen
class Code:
    """An expression that gives a text, and the type of the value that the text is of.

    ``direct`` is an expression that gives the value itself, where there is one without parsing the text.
    """

    raw: str
    type: Type = STRING
    direct: str = ""

    @property
    def value(self) -> str:
        """The expression that gives the value itself."""
        if self.direct:
            return self.direct
        reader = {
            "string": "{}",
            "integer": "asInt(trim({}))",
            "number": "asFloat(trim({}))",
            "boolean": "(trim({}) == 'true')",
        }.get(self.type.name, "fromJSON({})")
        return reader.format(self.raw)

    @property
    def text(self) -> str:
        """The expression that gives the value as text (S28)."""
        if self.type.name == "string":
            return self.raw
        return _as_text(self.value) if self.type.name == "any" else f"trim({self.raw})"


Scope = Callable[[Ref], Code]
"""Where a reference's value comes from."""


def value_code(expr: Expr, scope: Scope) -> str:
    """The expression that gives the value of ``expr``."""
    if isinstance(expr, Literal):
        return literal(expr.value)
    if isinstance(expr, Ref):
        return scope(expr).value
    if isinstance(expr, Get):
        return _get(expr, value_code(expr.base, scope))
    if isinstance(expr, ListOf):
        return f"[{', '.join(value_code(item, scope) for item in expr.items)}]"
    if isinstance(expr, Not):
        return f"!({value_code(expr.operand, scope)})"
    return f"({value_code(expr.left, scope)} {expr.operator} {value_code(expr.right, scope)})"


def text_code(expr: Expr, scope: Scope) -> str:
    """The expression that gives the value of ``expr`` as text (S28)."""
    if isinstance(expr, Literal):
        return string_literal(as_text(expr.value))
    if isinstance(expr, Ref):
        return scope(expr).text
    if isinstance(expr, ListOf):
        return f"toJson({value_code(expr, scope)})"
    if isinstance(expr, (Not, Binary)):
        return f"toJson({value_code(expr, scope)})"
    return _as_text(value_code(expr, scope))


def code_of(value: Value, scope: Scope) -> Code:
    """Any value, with templates at any depth, as code."""
    if isinstance(value, Template):
        if value.alone is None:
            return Code(template_code(value, scope))
        return alone_code(value.alone, scope)
    if isinstance(value, (list, dict)) and _has_templates(value):
        kind = "list" if isinstance(value, list) else "object"
        return Code(f"toJson({_value(value, scope)})", Type(kind))  # type: ignore[arg-type]
    if isinstance(value, str):
        return Code(string_literal(value))
    plain = cast(Json, value)
    return Code(string_literal(json.dumps(plain, ensure_ascii=False, separators=(",", ":"))), kind_of_json(plain))


def alone_code(expr: Expr, scope: Scope) -> Code:
    """An expression that is a whole value, as code: the text of what is not a string is JSON."""
    if isinstance(expr, Ref):
        return scope(expr)
    if isinstance(expr, Literal):
        return code_of(expr.value, scope)  # type: ignore[arg-type]
    kind = BOOLEAN if isinstance(expr, (Not, Binary)) else LIST if isinstance(expr, ListOf) else ANY
    return Code(f"toJson({value_code(expr, scope)})", kind)


def template_code(text: Text, scope: Scope) -> str:
    """The expression that gives a text with its expressions filled in."""
    if isinstance(text, str):
        return string_literal(text)
    return " + ".join(string_literal(part) if isinstance(part, str) else text_code(part, scope) for part in text.parts)


def literal(value: Json) -> str:
    """JSON as a literal of the language. Numbers inside lists are floats there, as they are in parsed JSON."""
    if isinstance(value, str):
        return string_literal(value)
    if value is None:
        return "nil"
    if isinstance(value, (list, dict)):
        return json_literal(value)
    return json.dumps(value)


def kind_of_json(value: Json) -> Type:
    """The type of a JSON value."""
    if isinstance(value, bool):
        return BOOLEAN
    names = {str: "string", int: "integer", float: "number", list: "list", dict: "object"}
    return Type(names.get(type(value), "any"))  # type: ignore[arg-type]


def _get(expr: Get, base: str) -> str:
    if isinstance(expr.key, int):
        want, name = f"type(#) == 'array' && len(#) > {expr.key}", f"item {expr.key}"
    else:
        want, name = f"type(#) == 'map' && {string_literal(expr.key)} in #", f"key {expr.key}"
    key = str(expr.key) if isinstance(expr.key, int) else string_literal(expr.key)
    fault = string_literal(f"{written(expr.base)} has no {name}")
    return f"map([{base}], {want} ? #[{key}] : sprig.fail({fault}))[0]"


def _as_text(value: str) -> str:
    return f"map([{value}], type(#) == 'string' ? # : toJson(#))[0]"


def _has_templates(value: Value) -> bool:
    if isinstance(value, list):
        return any(_has_templates(item) for item in value)
    if isinstance(value, dict):
        return any(_has_templates(item) for item in value.values())
    return isinstance(value, Template)


def _value(value: Value, scope: Scope) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_value(item, scope) for item in value)}]"
    if isinstance(value, dict):
        pairs = (f"{string_literal(key)}: {_value(item, scope)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + " }"  # apart: two of them would end the tag
    if isinstance(value, Template):
        return template_code(value, scope) if value.alone is None else value_code(value.alone, scope)
    return literal(value)
