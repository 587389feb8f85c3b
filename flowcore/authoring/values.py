"""Python values as the model keeps them: JSON with templates, text, conditions, durations."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from flowcore.authoring.places import ProgramError
from flowcore.authoring.references import Expression, expr_of
from flowcore.authoring.tracing import read_text
from flowcore.errors import Path, path_text
from flowcore.model import ConfigMapKey, EnvValue, SecretKey
from flowcore.syntax import Json, Template, Text, Value

_SIGNED_64 = 1 << 63


def value_of(value: object, path: Path) -> Value:
    """JSON in which references, at any depth and in text, have become templates.

    Args:
        value: what the user passed.
        path: where it is, for the message.

    Raises:
        ProgramError: naming the path of whatever is not JSON.
    """
    if isinstance(value, Expression):
        return Template((expr_of(value),))
    if isinstance(value, Template):
        return value
    if isinstance(value, str):
        return read_text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not -_SIGNED_64 <= value < _SIGNED_64:
            raise ProgramError(f"the integer {value} does not fit into 64 bits; pass it as text", path=path)
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ProgramError(f"{value!r} is no number that JSON can hold; pass it as text", path=path)
        return float(value)
    if isinstance(value, (list, tuple)):
        return [value_of(entry, (*path, index)) for index, entry in enumerate(value)]
    if isinstance(value, Mapping):
        whole: dict[str, Value] = {}
        for key, entry in value.items():
            if not isinstance(key, str):
                raise ProgramError(f"the key {key!r} is {_kind(key)}; JSON's keys are text", path=path)
            whole[_data(key, "a key", path)] = value_of(entry, (*path, key))
        return whole
    raise ProgramError(
        f"{_kind(value)} is not JSON; pass text, numbers, booleans, None, lists, dicts or results of steps", path=path
    )


def json_of(value: object, path: Path) -> Json:
    """Constant JSON.

    Raises:
        ProgramError: if it is something else, or holds a reference.
    """

    def constant(found: Value) -> Json:
        if isinstance(found, Template):
            raise ProgramError(f"{path_text(path)} has to be known now; a reference cannot stand here", path=path)
        if isinstance(found, list):
            return [constant(entry) for entry in found]
        if isinstance(found, dict):
            return {key: constant(entry) for key, entry in found.items()}
        return found

    return constant(value_of(value, path))


def text_of(value: object, path: Path) -> Text:
    """Text, with or without references; numbers and booleans are written as JSON, paths as the system does.

    Raises:
        ProgramError: if it is anything else.
    """
    if isinstance(value, (str, Expression, Template)):
        found = value_of(value, path)
        assert isinstance(found, (str, Template))
        return found
    if isinstance(value, (bool, int, float)):
        import json

        return json.dumps(value_of(value, path))
    if isinstance(value, os.PathLike):
        return read_text(os.fsdecode(value))
    raise ProgramError(f"this is text, and {_kind(value)} is none", path=path)


def data_of(value: object, path: Path) -> str:
    """Text without references.

    Raises:
        ProgramError: if there is one in it, or if it is no text.
    """
    return _data(text_of(value, path), path_text(path) or "this", path)


def _data(value: object, what: str, path: Path) -> str:
    text = read_text(value) if isinstance(value, str) else value
    if not isinstance(text, str):
        raise ProgramError(f"{what} has to be known now; a reference cannot stand here", path=path)
    return text


def texts_of(value: object, path: Path) -> tuple[Text, ...]:
    """A list of texts: a command, args.

    Raises:
        ProgramError: if it is one text, or no list.
    """
    return tuple(text_of(entry, (*path, index)) for index, entry in enumerate(_listed(value, path)))


def names_of(value: object, path: Path) -> tuple[str, ...]:
    """A list of texts without references."""
    return tuple(data_of(entry, (*path, index)) for index, entry in enumerate(_listed(value, path)))


def _listed(value: object, path: Path) -> list[object]:
    if isinstance(value, (str, Expression)) or not isinstance(value, Iterable) or isinstance(value, Mapping):
        hint = f"; write [{value!r}]" if isinstance(value, str) else ""
        raise ProgramError(f"this is a list, and {_kind(value)} is none{hint}", path=path)
    return list(value)


def strings_of(value: object, path: Path) -> dict[str, str]:
    """A mapping of text to text without references: labels, resources."""
    return {data_of(key, path): data_of(entry, (*path, key)) for key, entry in mapping_of(value, path).items()}


def mapping_of(value: object, path: Path) -> Mapping[Any, Any]:
    """A mapping.

    Raises:
        ProgramError: if it is none.
    """
    if not isinstance(value, Mapping):
        raise ProgramError(f"this is a dict, and {_kind(value)} is none", path=path)
    return value


def env_of(value: object, path: Path) -> dict[str, EnvValue]:
    """Environment variables: text, or a key of a secret or config map."""
    return {
        data_of(name, path): entry if isinstance(entry, (SecretKey, ConfigMapKey)) else text_of(entry, (*path, name))
        for name, entry in mapping_of(value, path).items()
    }


def duration_of(value: object, path: Path) -> float:
    """Seconds, from text such as ``"1h30m"`` or a ``timedelta``.

    Raises:
        ProgramError: if it is neither; a bare number has no unit.
    """
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        from flowcore.units import parse_duration

        try:
            return parse_duration(value)
        except ValueError as error:
            raise ProgramError(str(error), path=path) from error
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ProgramError(f'a duration has a unit; write "{value}s" for seconds', path=path)
    raise ProgramError(f'a duration is text such as "90s" or a timedelta, and {_kind(value)} is neither', path=path)


def integer_of(value: object, path: Path) -> int:
    """An integer that is known now."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ProgramError(f"this is an integer that is known now, and {_kind(value)} is none", path=path)
    return int(value)


def boolean_of(value: object, path: Path) -> bool:
    """A truth value that is known now."""
    if not isinstance(value, bool):
        raise ProgramError(f"this is True or False, and {_kind(value)} is neither", path=path)
    return value


def choice_of(value: object, choices: tuple[str, ...], path: Path) -> Any:
    """One of a few words."""
    if value not in choices:
        raise ProgramError(f"{value!r} is none of {', '.join(choices)}", path=path)
    return value


def _kind(value: object) -> str:
    if isinstance(value, Expression):
        return f"the reference {value!r}"
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"a {name}" if value is not None else "None"
