"""Finding the references in a tree, and putting other things in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast, overload

from flowcore.expressions.evaluating import EvaluationError, as_text, evaluate
from flowcore.model import MISSING, Missing
from flowcore.syntax import Binary, Expr, Get, Json, ListOf, Literal, Not, Ref, Template, Value

Replace = Callable[[Ref], "Expr | None"]
"""What to put for a reference; ``None`` leaves it."""


def references(x: Expr | Value) -> Iterator[Ref]:
    """Give every reference in an expression, a template or any value, in reading order, as often as it is there."""
    if isinstance(x, Ref):
        yield x
    elif isinstance(x, Template):
        for part in x.parts:
            if not isinstance(part, str):
                yield from references(part)
    elif isinstance(x, list):
        for item in x:
            yield from references(item)
    elif isinstance(x, dict):
        for item in x.values():
            yield from references(item)
    elif isinstance(x, Get):
        yield from references(x.base)
    elif isinstance(x, Not):
        yield from references(x.operand)
    elif isinstance(x, Binary):
        yield from references(x.left)
        yield from references(x.right)
    elif isinstance(x, ListOf):
        for element in x.items:
            yield from references(element)


@overload
def substitute(x: Expr, replace: Replace) -> Expr: ...
@overload
def substitute(x: Value, replace: Replace) -> Value: ...
def substitute(x: Expr | Value, replace: Replace) -> Expr | Value:
    """Replace references and fold what became constant.

    An expression gives an expression, a value a value. A template of constants becomes plain data; one that is a lone
    constant keeps its JSON type. What has no value (a missing key) stays as it is, and is an error when the step runs.
    Nothing that holds a reference is ever folded away, since every reference is required (S7).
    """
    if isinstance(x, Template):
        return _template(x, replace)
    if isinstance(x, list):
        return [substitute(item, replace) for item in x]
    if isinstance(x, dict):
        return {key: substitute(item, replace) for key, item in x.items()}
    if isinstance(x, Literal | Ref | Get | ListOf | Not | Binary):
        return _expression(x, replace)
    return x


def constant(value: Json) -> Expr:
    """The expression that is ``value``, as the parser would read it: a list is a ``ListOf``."""
    return ListOf(tuple(map(constant, value))) if isinstance(value, list) else Literal(value)


def constant_value(expr: Expr) -> Json | Missing:
    """What ``expr`` is worth if it is a constant, else ``MISSING``."""
    if isinstance(expr, Literal):
        return expr.value
    if isinstance(expr, ListOf):
        items = [constant_value(item) for item in expr.items]
        return MISSING if any(item is MISSING for item in items) else cast("list[Json]", items)
    return MISSING


def _expression(expr: Expr, replace: Replace) -> Expr:
    if isinstance(expr, Ref):
        put = replace(expr)
        if put is None:
            return expr
        # Binding puts whole JSON values; a list among them is written like any other list.
        return constant(put.value) if isinstance(put, Literal) and isinstance(put.value, list) else put
    if isinstance(expr, Get):
        return _folded(Get(_expression(expr.base, replace), expr.key))
    if isinstance(expr, ListOf):
        return ListOf(tuple(_expression(item, replace) for item in expr.items))
    if isinstance(expr, Not):
        return _folded(Not(_expression(expr.operand, replace)))
    if isinstance(expr, Binary):
        left, right = _expression(expr.left, replace), _expression(expr.right, replace)
        neutral = {"&&": Literal(True), "||": Literal(False)}.get(expr.operator)
        if neutral is not None and _is(left, neutral):
            return right
        if neutral is not None and _is(right, neutral):
            return left
        return _folded(Binary(expr.operator, left, right))
    return expr


def _is(expr: Expr, constant: Literal) -> bool:
    return isinstance(expr, Literal) and expr.value is constant.value


def _folded(expr: Get | Not | Binary) -> Expr:
    operands = (
        (expr.base,) if isinstance(expr, Get) else (expr.operand,) if isinstance(expr, Not) else (expr.left, expr.right)
    )
    if any(constant_value(operand) is MISSING for operand in operands):
        return expr
    try:
        return constant(evaluate(expr, _no_reference))
    except EvaluationError:
        return expr


def _no_reference(ref: Ref) -> Json:
    raise AssertionError(ref)


def _template(template: Template, replace: Replace) -> Value:
    alone = template.alone
    if alone is not None:
        put = _expression(alone, replace)
        value = constant_value(put)
        return Template((put,)) if isinstance(value, Missing) else cast("Value", value)
    parts: list[str | Expr] = []
    for part in template.parts:
        new: str | Expr = part
        if not isinstance(part, str):
            new = _expression(part, replace)
            value = constant_value(new)
            if not isinstance(value, Missing):
                new = as_text(value)
        last = parts[-1] if parts else None
        if isinstance(new, str) and isinstance(last, str):
            parts[-1] = last + new
        elif new != "":
            parts.append(new)
    if not parts:
        return ""
    first = parts[0]
    if len(parts) > 1:
        return Template(tuple(parts))
    # A text of several parts stays text, even if all that is left of it is one expression.
    return first if isinstance(first, str) else Template((Literal(""), first))
