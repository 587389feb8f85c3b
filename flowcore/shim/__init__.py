"""What flowcore adds inside a step's own process: one Python text and one POSIX sh text.

The shim is to lowering what a compiler's run-time library is to a machine without the instruction: it is added only
where a platform lacks the feature. Python steps always travel with ``function.py``, since no platform calls functions;
``step.sh`` wraps a command for stdout capture, typed outputs, defaults and backoff.

A step that ends with ``BAD_OUTPUT`` wrote an output that cannot be what was declared: ``fold`` reports it as failed,
reason ``output``. The shim's texts use no other exit code of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from flowcore.model import MISSING, Backoff, Output, Python
from flowcore.syntax import ListOf, Template, Text, Value

BAD_OUTPUT: Final = 213
DONE: Final = "flow-done"
"""The output by which an iteration of a repeat that was lowered says that it only carried outputs on."""


@cache
def _text(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def step_shim() -> str:
    """The POSIX sh text that wraps a command, for ``sh -c TEXT flow WORDS... -- COMMAND...``."""
    return _text("step.sh")


def step_words(
    outputs: Mapping[str, Output],
    *,
    stdout: str | None,
    typed: bool,
    defaults: bool,
    backoff: Backoff | None,
    artifacts: bool = False,
    limit: int | None = None,
) -> list[str]:
    """The words that tell ``step.sh`` what to do, before ``--`` and the command.

    Args:
        outputs: the step's declared outputs.
        stdout: the output that takes the step's standard output.
        typed: check each output against its type (S27).
        defaults: write the default of an output that the command left out.
        backoff: sleep before a retry, by ``FLOW_ATTEMPT``.
        artifacts: see that each artifact was written (S29).
        limit: the most bytes that an output may have (S27).
    """
    words: list[str] = []
    if limit is not None and typed:
        words += ["limit", str(limit)]
    if stdout is not None:
        words += ["stdout", stdout]
    for name, output in outputs.items():
        if output.artifact:
            words += ["artifact", name] if artifacts else []
            continue
        if defaults and output.default is not MISSING:
            default = output.default
            words += ["default", name, default if isinstance(default, str) else json.dumps(default, ensure_ascii=False)]
        if typed:
            words += ["output", name, str(output.type)]
    if backoff is not None:
        most = -1 if backoff.max is None else backoff.max
        words += ["backoff", f"{backoff.initial:g}", str(backoff.factor), f"{most:g}"]
    return words


def function_script(python: Python, outputs: Mapping[str, Output], name: str, limit: int | None = None) -> str:
    """A Python program (3.6 and later, standard library only) that calls the step's function and writes its outputs.

    Args may hold templates: those come as the program's arguments, see ``function_arguments``. Everything else travels
    in the program as data.

    Args:
        python: the step's action.
        outputs: the step's outputs, by name.
        name: the step's name, for tracebacks.
        limit: the most bytes that an output may have (S27).
    """
    skeleton, places, _ = _split(dict(python.args))
    call = {
        "step": name,
        "function": python.function,
        "source": python.source,
        "args": skeleton,
        "fills": places,
        "outputs": {key: "artifact" if output.artifact else str(output.type) for key, output in outputs.items()},
        "bad_output": BAD_OUTPUT,
    }
    if limit is not None:
        call["limit"] = limit
    # ASCII JSON inside a Python string literal: no byte of a value can end the literal or be re-encoded on its way.
    return f"CALL = {json.dumps(call)!r}\n{_text('function.py')}"


def function_arguments(python: Python) -> tuple[Text, ...]:
    """What the program of ``function_script`` takes as arguments: nothing if no arg of the step holds a template.

    The first is one list of all lone expressions (as JSON, which keeps apart the string "5" and the number 5); one
    argument for each text with expressions inside follows.
    """
    _, _, texts = _split(dict(python.args))
    return texts


def _split(args: dict[str, Value]) -> tuple[Any, list[list[Any]], tuple[Text, ...]]:
    """Take the templates out of args: the rest, ``[path, kind, index]`` of each, and the program's arguments."""
    lone: list[Any] = []
    mixed: list[Text] = []
    places: list[list[Any]] = []

    def strip(value: Value, path: list[str | int]) -> Any:
        if isinstance(value, Template):
            if value.alone is not None:
                places.append([path, "lone", len(lone)])
                lone.append(value.alone)
            else:
                places.append([path, "text", len(mixed)])
                mixed.append(value)
            return None
        if isinstance(value, list):
            return [strip(item, [*path, index]) for index, item in enumerate(value)]
        if isinstance(value, dict):
            return {key: strip(item, [*path, key]) for key, item in value.items()}
        return value

    rest = strip(args, [])
    if not places:
        return rest, [], ()
    return rest, places, (Template((ListOf(tuple(lone)),)), *mixed)
