"""Collects what an attempt left behind: values and artifacts (S27, S29)."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from typing import Final, NoReturn

from flowcore.plugin import Json, Missing, Output, misfit

OUTPUT_BYTES: Final = 1024 * 1024


class BadOutput(Exception):
    """An output that was not written, or cannot be what was declared."""


def collect(
    outputs: Mapping[str, Output],
    folder: str,
    stdout: str | None,
    written: tuple[str, int],
    kept: str,
    apart: bool = False,
) -> dict[str, Json]:
    """The outputs of an attempt that ended well, typed; an artifact is the path to which it was moved.

    Args:
        outputs: what the step declares.
        folder: its ``FLOW_OUTPUTS``.
        stdout: the output that its standard output is.
        written: where that went: a file, and the place in it from which on it is this attempt's.
        kept: the folder for its artifacts.
        apart: whether the attempt saw another file tree, so that no link is followed out of ``folder``.

    Raises:
        BadOutput: with one sentence that names the output.
    """
    found: dict[str, Json] = {}
    for name, output in outputs.items():
        place = f"{folder}/{name}"
        start = 0
        if name == stdout:
            place, start = written
        elif apart and os.path.islink(place) and not _inside(place, folder):
            raise BadOutput(f"output {name} is a link to {os.readlink(place)}; write the file itself")
        if output.artifact:
            found[name] = _keep(name, place, kept)
            continue
        try:
            text = _read(name, place, start)
        except FileNotFoundError:
            if isinstance(output.default, Missing):
                raise BadOutput(f"output {name} was not written to $FLOW_OUTPUTS/{name}, and has no default") from None
            found[name] = output.default
            continue
        found[name] = parse(name, text, output)
    return found


def _inside(place: str, folder: str) -> bool:
    return os.path.realpath(place).startswith(os.path.realpath(folder) + "/")


def _keep(name: str, place: str, kept: str) -> str:
    """Move an artifact to where it stays; one that an earlier supervisor moved already is there."""
    target = f"{kept}/{name}"
    if not os.path.lexists(place):
        if os.path.lexists(target):
            return target
        raise BadOutput(f"artifact {name} was not written to outputs.{name}.path")
    os.makedirs(kept, 0o700, exist_ok=True)
    if os.path.islink(place):
        # What a link points to may be gone, or change, before a reader comes.
        _copy_of_link(name, place, target)
        os.unlink(place)
        return target
    os.rename(place, target)
    return target


def _copy_of_link(name: str, place: str, target: str) -> None:
    import shutil

    if os.path.isdir(place):
        shutil.copytree(place, target, symlinks=True)
    elif os.path.isfile(place):
        shutil.copyfile(place, target)
    else:
        raise BadOutput(f"artifact {name} is a link to {os.readlink(place)}, which is not there")


def _read(name: str, place: str, start: int) -> str:
    status = os.stat(place)
    if not stat.S_ISREG(status.st_mode):
        raise BadOutput(f"output {name} is not a file; a folder needs `artifact: true`")
    if status.st_size - start > OUTPUT_BYTES:
        raise BadOutput(
            f"output {name} has {status.st_size - start} bytes, and {OUTPUT_BYTES} is the most: make it an artifact"
        )
    with open(place, "rb") as file:
        file.seek(start)
        data = file.read()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadOutput(f"output {name} is not UTF-8 (byte {error.start})") from None


def parse(name: str, text: str, output: Output) -> Json:
    """The value that a file's text stands for.

    Raises:
        BadOutput: if it is not of the output's type.
    """
    if output.type.name == "string":
        return text[:-1] if text.endswith("\n") else text
    try:
        value: Json = json.loads(text, parse_constant=_no_constant)
        fault = misfit(value, output.type)
        if "\\u" in text:
            # An escape can make half of a surrogate pair, which no file and no process can be given.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        shown = text if len(text) <= 40 else text[:40] + "..."
        raise BadOutput(f"output {name} must be JSON of type {output.type}, and is {shown!r}") from None
    if fault is not None:
        raise BadOutput(f"output {name} must be of type {output.type}, and is {fault}")
    return value


def _no_constant(text: str) -> NoReturn:
    raise ValueError(text)
