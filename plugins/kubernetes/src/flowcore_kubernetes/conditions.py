"""Conditions on a Kubernetes object, as comparisons of its fields. Pure.

They mean what a label selector of Kubernetes means: both sides are compared as text, ``<`` and ``>``
as whole numbers, and of a field that is not there only ``!=`` holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from flowcore.plugin import Binary, Expr, Get, Literal, Manifest, Problem, Ref

_LABEL: Final = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_KEY: Final = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_]*[A-Za-z0-9])?")


@frozen
class Comparison:
    """One field compared with a plain value.

    Attributes:
        path: the keys and indices that lead to the field.
        operator: ``==``, ``!=``, ``<`` or ``>``.
        value: the value as text; of a whole number where ``<`` and ``>`` compare.
    """

    path: tuple[str | int, ...]
    operator: str
    value: str


def all_of(expr: Expr) -> list[Comparison]:
    """The comparisons of a condition that holds when all of them do.

    Raises:
        ValueError: if it is anything else, in words that complete "this cannot be asked of an object: ".
    """
    return _comparisons(expr, "&&")


def any_of(expr: Expr) -> list[Comparison]:
    """The comparisons of a condition that holds when one of them does; likewise."""
    return _comparisons(expr, "||")


def condition_problems(manifest: Manifest, path: tuple[str | int, ...]) -> Iterator[Problem]:
    """What cannot be asked of an object; ``path`` is the step's."""
    for name, expr, read in (
        ("success_when", manifest.success_when, all_of),
        ("failure_when", manifest.failure_when, any_of),
    ):
        try:
            if expr is not None:
                read(expr)
        except ValueError as error:
            yield Problem((*path, name), f"this cannot be asked of an object: {error}")


def _comparisons(expr: Expr, joined: str) -> list[Comparison]:
    if isinstance(expr, Binary) and expr.operator == joined:
        return [*_comparisons(expr.left, joined), *_comparisons(expr.right, joined)]
    if not isinstance(expr, Binary) or expr.operator not in ("==", "!=", ">", "<"):
        raise ValueError(f"it takes field == value, !=, < and >, joined by {joined}")
    if not isinstance(expr.right, Literal):
        raise ValueError("the right side must be a plain value")
    path = _path(expr.left)
    value = expr.right.value
    if expr.operator in ("<", ">"):
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("< and > compare with whole numbers")
        return [Comparison(path, expr.operator, str(value))]
    text = value if isinstance(value, str) else json.dumps(value)
    if isinstance(value, (list, dict)) or value is None or not _LABEL.fullmatch(text):
        raise ValueError(f"{text} is no label's value (letters, digits, - _ and . inside, 63 at most)")
    return [Comparison(path, expr.operator, text)]


def _path(expr: Expr) -> tuple[str | int, ...]:
    if isinstance(expr, Ref) and expr.kind == "object":
        return (expr.name,)
    if isinstance(expr, Get):
        if isinstance(expr.key, str) and not _KEY.fullmatch(expr.key):
            raise ValueError(f"the key {expr.key!r} cannot be written in a path")
        return (*_path(expr.base), expr.key)
    raise ValueError("the left side must be a field of the object")
