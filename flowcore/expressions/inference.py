"""The type of an expression, found without running it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from flowcore.errors import UsageError
from flowcore.expressions.writing import unparse
from flowcore.model import ANY, BOOLEAN, INTEGER, LIST, NUMBER, OBJECT, STRING, Type
from flowcore.syntax import Binary, Expr, Get, Json, ListOf, Literal, Not, Ref
from flowcore.values import misfit


class TypeMismatch(UsageError):
    """An expression whose parts do not go together; the message says which part, and what to do."""


def type_of(expr: Expr, types: Callable[[Ref], Type], *, order_any: bool = False) -> Type:
    """Find the type of ``expr``, where ``types`` knows the type of each reference.

    ``order_any`` lets values of unknown type be ordered and taken for booleans, as conditions on Kubernetes objects
    need, whose types nobody declares.

    Raises:
        TypeMismatch: where an operator, a key or an index does not fit what it is applied to.
    """
    if isinstance(expr, Ref):
        return types(expr)
    if isinstance(expr, Literal):
        return type_of_json(expr.value)
    if isinstance(expr, Get):
        return _get(expr, type_of(expr.base, types, order_any=order_any))
    if isinstance(expr, ListOf):
        return joined(type_of(item, types, order_any=order_any) for item in expr.items)
    if isinstance(expr, Not):
        _boolean(expr.operand, type_of(expr.operand, types, order_any=order_any), "!", order_any)
        return BOOLEAN
    left = type_of(expr.left, types, order_any=order_any)
    right = type_of(expr.right, types, order_any=order_any)
    if expr.operator in ("&&", "||"):
        _boolean(expr.left, left, expr.operator, order_any)
        _boolean(expr.right, right, expr.operator, order_any)
    elif expr.operator in ("==", "!="):
        if not comparable(left, right):
            raise TypeMismatch(
                f"{_said(expr.left, left)} and {_said(expr.right, right)} are never equal; compare like with like"
            )
    elif expr.operator == "in":
        _membership(expr, left, right, order_any)
    else:
        _ordering(expr, left, right, order_any)
    return BOOLEAN


def type_of_json(value: Json) -> Type:
    """The type of a value; ``null`` is ``any``."""
    if isinstance(value, bool):
        return BOOLEAN
    if isinstance(value, int):
        return INTEGER
    if isinstance(value, float):
        return NUMBER
    if isinstance(value, str):
        return STRING
    if isinstance(value, list):
        return joined(map(type_of_json, value))
    return ANY if value is None else OBJECT


def fits(value: Json, wanted: Type) -> bool:
    """Whether a value may stand where ``wanted`` is declared: an integer is a number too, and anything is ``any``.

    Numbers are finite and integers have 64 bits; ``null`` is only ``any``.
    """
    return misfit(value, wanted) is None


def assignable(given: Type, wanted: Type) -> bool:
    """Whether a value of type ``given`` may go where ``wanted`` is declared; ``any`` is decided at run time."""
    if "any" in (given.name, wanted.name) or (given.name, wanted.name) == ("integer", "number"):
        return True
    return given.name == wanted.name and (
        given.items is None or wanted.items is None or assignable(given.items, wanted.items)
    )


def comparable(left: Type, right: Type) -> bool:
    """Whether ``==`` may ask about the two."""
    return assignable(left, right) or assignable(right, left)


def joined(items: Iterable[Type]) -> Type:
    """The type of a list whose elements have the types ``items``."""
    common: Type | None = None
    for item in items:
        if common is None or common == item:
            common = item
        elif {common.name, item.name} == {"integer", "number"}:
            common = NUMBER
        elif common.name == item.name == "list":
            common = LIST
        else:
            return LIST
    return Type("list", common) if common is not None and common != ANY else LIST


def _get(expr: Get, base: Type) -> Type:
    name, key = base.name, expr.key
    if name == "any" or (name == "object" and isinstance(key, str)):
        return ANY
    if name == "list" and isinstance(key, int):
        return base.items or ANY
    said = _said(expr.base, base)
    if name == "list":
        raise TypeMismatch(f"{said} has no keys; take an element by its index, as in [0]")
    if name == "object":
        raise TypeMismatch(f'{said} has no index; take a value by its key, as in ["{key}"]')
    raise TypeMismatch(f"{said} has neither keys nor elements; only objects and lists do")


def _boolean(expr: Expr, found: Type, operator: str, order_any: bool) -> None:
    if found == BOOLEAN or (order_any and found == ANY):
        return
    remedy = f"{unparse(expr)} == true" if found == ANY else "a comparison"
    raise TypeMismatch(
        f"{operator} takes booleans, and {_said(expr, found)}; write {remedy}",
    )


def _membership(expr: Binary, left: Type, right: Type, order_any: bool) -> None:
    if right.name == "any" and order_any:
        return
    if right.name != "list":
        raise TypeMismatch(f"in takes a list on its right, and {_said(expr.right, right)}; write a list such as [1, 2]")
    if right.items is not None and not comparable(left, right.items):
        raise TypeMismatch(
            f"{_said(expr.left, left)} and can never be in {unparse(expr.right)}, a {right}; compare like with like"
        )


def _ordering(expr: Binary, left: Type, right: Type, order_any: bool) -> None:
    names = {left.name, right.name}
    if names <= {"integer", "number"} or names == {"string"}:
        return
    if "any" in names:
        others = names - {"any"}
        if order_any and others <= {"integer", "number", "string"}:
            return
        operand = expr.left if left.name == "any" else expr.right
        if not order_any:
            raise TypeMismatch(
                f"{unparse(operand)} may be anything, so {expr.operator} cannot order it; "
                "declare items, as in {type: list, items: number}, or give it a type of its own"
            )
    raise TypeMismatch(
        f"{expr.operator} orders two numbers or two strings, and not "
        f"{_said(expr.left, left)} with {_said(expr.right, right)}"
    )


_ARTICLES = {"integer": "an integer", "object": "an object", "any": "of any type"}


def _said(expr: Expr, found: Type) -> str:
    """``params.x (a string)``, cut where it is long."""
    text = unparse(expr)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({described(found)})"


def described(type: Type) -> str:
    """A type as a sentence has it: ``an integer``, ``a list of string``."""
    return _ARTICLES.get(type.name) or f"a {type}"
