"""What an expression is worth, once its references are known."""

from __future__ import annotations

import json
from collections.abc import Callable

from flowcore.errors import FlowError
from flowcore.expressions.writing import unparse
from flowcore.syntax import Binary, Expr, Get, Json, ListOf, Literal, Not, Ref, Template, Text, Value


class EvaluationError(FlowError):
    """An expression that has no value: a missing key or index, an ordering of unlike things."""


def evaluate(expr: Expr, lookup: Callable[[Ref], Json]) -> Json:
    """Compute ``expr``. Every reference in it is looked up, whatever would short-circuit (S7).

    Whatever ``lookup`` raises passes through.

    Raises:
        EvaluationError: says which part has no value, and why.
    """
    if isinstance(expr, Literal):
        return expr.value
    if isinstance(expr, Ref):
        return lookup(expr)
    if isinstance(expr, Get):
        return _get(expr, evaluate(expr.base, lookup))
    if isinstance(expr, ListOf):
        return [evaluate(item, lookup) for item in expr.items]
    if isinstance(expr, Not):
        return not _boolean(expr.operand, evaluate(expr.operand, lookup))
    return _binary(expr, evaluate(expr.left, lookup), evaluate(expr.right, lookup))


def resolve(value: Value, lookup: Callable[[Ref], Json]) -> Json:
    """Replace every template in ``value``, at any depth; one of a lone expression keeps the expression's type.

    Raises:
        EvaluationError: as ``evaluate`` does.
    """
    if isinstance(value, Template):
        alone = value.alone
        return resolve_text(value, lookup) if alone is None else evaluate(alone, lookup)
    if isinstance(value, list):
        return [resolve(item, lookup) for item in value]
    if isinstance(value, dict):
        return {key: resolve(item, lookup) for key, item in value.items()}
    return value


def resolve_text(text: Text, lookup: Callable[[Ref], Json]) -> str:
    """Replace every expression in ``text`` by its value as text.

    Raises:
        EvaluationError: as ``evaluate`` does.
    """
    if isinstance(text, str):
        return text
    return "".join(part if isinstance(part, str) else as_text(evaluate(part, lookup)) for part in text.parts)


def as_text(value: Json) -> str:
    """A value inside text (S28): a string is itself, anything else is compact JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def equal(left: Json, right: Json) -> bool:
    """``==`` of the language: unlike kinds are unequal, a boolean is no number, ``1 == 1.0``, deep."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list):
        return (
            isinstance(right, list)
            and len(left) == len(right)
            and all(equal(one, other) for one, other in zip(left, right, strict=True))
        )
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(equal(item, right[key]) for key, item in left.items())
        )
    return left == right


def _binary(expr: Binary, left: Json, right: Json) -> bool:
    operator = expr.operator
    if operator == "==":
        return equal(left, right)
    if operator == "!=":
        return not equal(left, right)
    if operator == "&&":
        first, second = _boolean(expr.left, left), _boolean(expr.right, right)
        return first and second
    if operator == "||":
        first, second = _boolean(expr.left, left), _boolean(expr.right, right)
        return first or second
    if operator == "in":
        if not isinstance(right, list):
            raise EvaluationError(f"{unparse(expr.right)} is {_kind(right)}; in takes a list on its right")
        return any(equal(left, item) for item in right)
    return _order(expr, left, right)


def _order(expr: Binary, left: Json, right: Json) -> bool:
    numbers = (
        isinstance(left, int | float)
        and isinstance(right, int | float)
        and not isinstance(left, bool)
        and not isinstance(right, bool)
    )
    if not numbers and not (isinstance(left, str) and isinstance(right, str)):
        raise EvaluationError(
            f"{unparse(expr)}: {expr.operator} orders two numbers or two strings, not {_kind(left)} and {_kind(right)}"
        )
    # Python orders strings by code point, and an integer against a float exactly, as the language wants.
    a, b, operator = left, right, expr.operator
    if operator == "<":
        return a < b  # type: ignore[operator]
    if operator == "<=":
        return a <= b  # type: ignore[operator]
    if operator == ">":
        return a > b  # type: ignore[operator]
    return a >= b  # type: ignore[operator]


def _get(expr: Get, base: Json) -> Json:
    key = expr.key
    if isinstance(key, str) and isinstance(base, dict):
        if key in base:
            return base[key]
        known = ", ".join(list(base)[:8]) + (", ..." if len(base) > 8 else "")
        raise EvaluationError(f"{unparse(expr.base)} has no key {key!r}; it has {known or 'none'}")
    if isinstance(key, int) and isinstance(base, list):
        if key < len(base):
            return base[key]
        raise EvaluationError(f"{unparse(expr.base)} has no element [{key}]; it has {len(base)}")
    wanted = f"key {key!r}" if isinstance(key, str) else f"element [{key}]"
    raise EvaluationError(f"{unparse(expr.base)} is {_kind(base)}, which has no {wanted}")


def _boolean(expr: Expr, value: Json) -> bool:
    if isinstance(value, bool):
        return value
    raise EvaluationError(f"{unparse(expr)} is {_kind(value)}, where a boolean is needed")


def _kind(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, dict) else "a number"
