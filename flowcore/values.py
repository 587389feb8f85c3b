"""Whether JSON fits a type of the expression language."""

from __future__ import annotations

import math
from typing import Final

from flowcore.model import Type
from flowcore.syntax import Json

INTEGER_MIN: Final = -(2**63)
INTEGER_MAX: Final = 2**63 - 1


def kind_of(value: Json) -> str:
    """The type of a JSON value, in the document's words; ``null`` for none."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "list" if isinstance(value, list) else "object"


def misfit(value: Json, type: Type) -> str | None:
    """Why a value is not of a type, as ``an integer`` or ``an integer out of 64 bits``; None if it is.

    An integer is a number, too; a float with no fraction is not an integer. ``any`` takes everything that JSON holds.
    """
    kind = kind_of(value)
    if isinstance(value, int) and not INTEGER_MIN <= value <= INTEGER_MAX:
        return "an integer that does not fit 64 bits"
    if isinstance(value, float) and not math.isfinite(value):
        return "not a finite number"
    if isinstance(value, list):
        inner = type.items if type.name == "list" and type.items is not None else Type("any")
        for index, item in enumerate(value):
            fault = misfit(item, inner)
            if fault:
                return f"a list whose item {index} is {fault}"
    elif isinstance(value, dict):
        for key, item in value.items():
            fault = misfit(item, Type("any"))
            if fault:
                return f"an object whose {key} is {fault}"
    if type.name in ("any", kind) or (type.name == "number" and kind == "integer"):
        return None
    return kind if kind == "null" else f"{'an' if kind[0] in 'io' else 'a'} {kind}"
