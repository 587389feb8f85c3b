"""A step's own ``when`` as Tekton's: comparisons of results with plain values, all of which must hold."""

from __future__ import annotations

import json
from typing import Any

from flowcore.plugin import Binary, Expr, ListOf, Literal, Ref
from flowcore_kubernetes import go_bytes
from flowcore_tekton.limits import COMPARED_BYTES, COMPARED_OUTPUTS
from flowcore_tekton.quoting import encoded
from flowcore_tekton.reading import Reader

Entry = dict[str, Any]


def native_when(expr: Expr, reader: Reader) -> list[Entry] | None:
    """The entries of a task's ``when``, or None if Tekton cannot say it.

    Results hold JSON, so that is what they are compared with: of strings and integers each has one text only. What is
    too long for a result is none, so only short values of steps with few outputs are compared.
    """
    if isinstance(expr, Literal):
        # Whatever the value is, it was decided before the run.
        return None if expr.value is not False else [{"input": "false", "operator": "in", "values": ["true"]}]
    if isinstance(expr, Binary) and expr.operator == "&&":
        left = native_when(expr.left, reader)
        right = native_when(expr.right, reader)
        return None if left is None or right is None else left + right
    if isinstance(expr, Ref):
        text = _input(expr, reader, "boolean")
        return None if text is None else [{"input": text, "operator": "in", "values": ["true"]}]
    if not isinstance(expr, Binary) or expr.operator not in ("==", "!=", "in"):
        return None
    values = _values(expr)
    if values is None or not isinstance(expr.left, Ref):
        return None
    kinds = {type(value) for value in values}
    if kinds not in ({str}, {int}):
        return None
    text = _input(expr.left, reader, "string" if kinds == {str} else "integer")
    if text is None:
        return None
    operator = "notin" if expr.operator == "!=" else "in"
    wanted = [encoded(value) for value in values]
    if any(go_bytes(json.dumps(each, ensure_ascii=False)) > COMPARED_BYTES for each in wanted):
        return None
    return [{"input": text, "operator": operator, "values": wanted}]


def _values(expr: Binary) -> list[Any] | None:
    right = expr.right
    if expr.operator != "in":
        return [right.value] if isinstance(right, Literal) else None
    if isinstance(right, Literal) and isinstance(right.value, list) and right.value:
        return list(right.value)
    if isinstance(right, ListOf) and right.items and all(isinstance(item, Literal) for item in right.items):
        return [item.value for item in right.items if isinstance(item, Literal)]
    return None


def _input(ref: Ref, reader: Reader, kind: str) -> str | None:
    """The result that a reference is, if it is a result of a type."""
    if ref.kind != "output" or ref.path or len(reader.unit.scope.units[ref.step].step.outputs) > COMPARED_OUTPUTS:
        return None
    return reader.result_of(ref, kind)
