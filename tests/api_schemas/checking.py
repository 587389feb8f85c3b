"""Objects against the schema of their kind."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend


def _unique_keys(
    validator: object, keys: Sequence[str], items: object, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """``x-kubernetes-list-map-keys``: no two items of a list have the same keys."""
    if isinstance(items, list):
        found = [tuple(str(item.get(key)) for key in keys) for item in items if isinstance(item, dict)]
        for twice in sorted({each for each in found if found.count(each) > 1}):
            yield ValidationError(f"two items have the same {', '.join(keys)}: {', '.join(twice)}")


_Validator = extend(Draft202012Validator, {"x-kubernetes-list-map-keys": _unique_keys})
_FILES = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(Path(__file__).parent.glob("*.json"))]
KINDS = tuple(kind for file in _FILES for kind in file["kinds"])
"""All kinds whose objects can be checked, as ``argoproj.io/v1alpha1 Workflow``."""


@functools.cache
def _validator(kind: str) -> Draft202012Validator:
    file = next(file for file in _FILES if kind in file["kinds"])
    return _Validator({**file["kinds"][kind], "$defs": file["$defs"]})


def faults(object: Mapping[str, Any]) -> list[str]:
    """All that an API server would refuse in an object, each with its place; empty if it would take it.

    Raises:
        AssertionError: if the kind is none of ``KINDS``.
    """
    kind = f"{object['apiVersion']} {object['kind']}"
    assert kind in KINDS, f"there is no schema of {kind}; say where it comes from in tests/api_schemas/making.py"
    return [f"{error.json_path}: {_short(error.message)}" for error in _validator(kind).iter_errors(object)]


def _short(message: str) -> str:
    """What is wrong is said behind the value, which may be long."""
    return message if len(message) < 300 else f"{message[:100]} ... {message[-200:]}"
