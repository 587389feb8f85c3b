"""Expressions and values as JSON, for ``flow.py`` to evaluate beside the step.

``["lit", VALUE]``, ``["ref", KEY]``, ``["get", BASE, KEY, WRITTEN]``, ``["list", [...]]``, ``["not", X]``,
``["text", [...]]``, ``["map", {...}]`` and ``[OPERATOR, LEFT, RIGHT]``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowcore.plugin import Expr, Get, ListOf, Literal, Not, Ref, Template, Value, unparse

Code = list[Any]
Resolve = Callable[[Ref], Code]
"""What stands for a reference."""


def expr_code(expr: Expr, resolve: Resolve) -> Code:
    """An expression as code."""
    if isinstance(expr, Literal):
        return ["lit", expr.value]
    if isinstance(expr, Ref):
        return resolve(expr)
    if isinstance(expr, Get):
        return ["get", expr_code(expr.base, resolve), expr.key, unparse(expr.base)]
    if isinstance(expr, ListOf):
        return ["list", [expr_code(item, resolve) for item in expr.items]]
    if isinstance(expr, Not):
        return ["not", expr_code(expr.operand, resolve)]
    return [expr.operator, expr_code(expr.left, resolve), expr_code(expr.right, resolve)]


def value_code(value: Value, resolve: Resolve) -> Code:
    """A value with templates at any depth as code."""
    if isinstance(value, Template):
        if value.alone is not None:
            return expr_code(value.alone, resolve)
        return ["text", [part if isinstance(part, str) else expr_code(part, resolve) for part in value.parts]]
    if isinstance(value, (list, dict)) and has_templates(value):
        if isinstance(value, list):
            return ["list", [value_code(item, resolve) for item in value]]
        return ["map", {key: value_code(item, resolve) for key, item in value.items()}]
    return ["lit", value]


def has_templates(value: Value) -> bool:
    """Whether a value holds a template at any depth."""
    if isinstance(value, list):
        return any(has_templates(item) for item in value)
    if isinstance(value, dict):
        return any(has_templates(item) for item in value.values())
    return isinstance(value, Template)
