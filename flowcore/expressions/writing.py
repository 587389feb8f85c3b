"""Trees back to text: the exact inverse of parsing."""

from __future__ import annotations

import json
import re

from flowcore.syntax import Binary, Expr, Get, Json, ListOf, Literal, Not, Ref, Text

_NAME = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_]|-(?=[A-Za-z0-9_]))*")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What single quotes can hold as it is. Everything else is written as JSON.
_PLAIN = re.compile(r"[^'\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]*")
_DOLLARS = re.compile(r"(\$+)(?=\{\{)")

_OR, _AND, _NOT, _COMPARE, _ACCESS = range(5)
_LEVEL = {"||": _OR, "&&": _AND}


def unparse(expr: Expr) -> str:
    """Write an expression; ``parse_expression`` reads the same tree back.

    A ``Literal`` list, which only binding makes, reads back as a ``ListOf`` of the same value.
    """
    return _write(expr, _OR)


def unparse_text(text: Text) -> str:
    """Write a text with its expressions in ``${{ }}``, and data that looks like one escaped; inverse of parsing."""
    if isinstance(text, str):
        return _escape(text)
    written = ""
    for part in text.parts:
        if isinstance(part, str):
            written += part if "$" not in part else _escape(part)
        else:
            # A dollar sign right before an expression is doubled, or it would make a literal of it.
            dollars = len(written) - len(written.rstrip("$"))
            written += "$" * dollars + "${{ " + unparse(part) + " }}"
    return written


def _escape(data: str) -> str:
    return _DOLLARS.sub(r"\1\1", data) if "${{" in data else data


def _write(expr: Expr, level: int) -> str:
    if isinstance(expr, Literal):
        return _literal(expr.value)
    if isinstance(expr, Ref):
        return _reference(expr)
    if isinstance(expr, Get):
        return _get(expr)
    if isinstance(expr, ListOf):
        return "[" + ", ".join(_write(item, _OR) for item in expr.items) + "]"
    if isinstance(expr, Not):
        # The brackets around a comparison are for the reader's eye.
        inner = _ACCESS if isinstance(expr.operand, Binary) else _NOT
        return _wrap("!" + _write(expr.operand, inner), level > _NOT)
    own = _LEVEL.get(expr.operator, _COMPARE)
    left = _write(expr.left, own if own < _COMPARE else _ACCESS)
    right = _write(expr.right, own + 1)
    return _wrap(f"{left} {expr.operator} {right}", level > own)


def _wrap(text: str, needed: bool) -> str:
    return f"({text})" if needed else text


def _get(expr: Get) -> str:
    base = expr.base
    text = _write(base, _ACCESS)
    if not isinstance(base, Ref | Get):
        text = f"({text})"
    key = expr.key
    if isinstance(key, int):
        return f"{text}[{key}]"
    # A key called path behind an output would read as the output's file.
    output = isinstance(base, Ref) and base.kind in ("output", "own") and not base.path
    if _KEY.fullmatch(key) and not (output and key == "path"):
        return f"{text}.{key}"
    return f"{text}[{json.dumps(key, ensure_ascii=False)}]"


def _reference(ref: Ref) -> str:
    path = ".path" if ref.path else ""
    if ref.kind == "param":
        return f"params{_member(ref.name)}"
    if ref.kind == "output":
        return f"steps{_member(ref.step)}.outputs{_member(ref.name)}{path}"
    if ref.kind == "own":
        return f"outputs{_member(ref.name)}{path}"
    return ref.name if ref.kind == "object" else ref.kind


def _member(name: str) -> str:
    return f".{name}" if _NAME.fullmatch(name) else f"[{json.dumps(name, ensure_ascii=False)}]"


def _literal(value: Json) -> str:
    if isinstance(value, str):
        return f"'{value}'" if _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)
    return _json(value)


def _json(value: Json) -> str:
    """JSON in which two closing braces never touch, since they would end a ``${{``."""
    if isinstance(value, dict):
        body = ", ".join(f"{json.dumps(key, ensure_ascii=False)}: {_json(item)}" for key, item in value.items())
        return "{" + body + (" }" if body.endswith("}") else "}")
    if isinstance(value, list):
        return "[" + ", ".join(map(_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
