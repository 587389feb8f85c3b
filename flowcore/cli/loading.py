"""From what stands on the command line to a workflow and the values of its params."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from flowcore.errors import UsageError, WorkflowError

if TYPE_CHECKING:
    from flowcore.model import Workflow


def load_file(file: str) -> Workflow:
    """Read FILE: a document, ``PROGRAM.py``, ``PROGRAM.py:NAME``, or ``-`` for a document on stdin.

    Raises:
        UsageError: if it cannot be read; WorkflowError with everything that is wrong in it.
    """
    try:
        return _read(file)
    except WorkflowError as error:
        from flowcore.checks import with_the_rest

        raise with_the_rest(error) from None


def _read(file: str) -> Workflow:
    if file == "-":
        from flowcore.document import read_document

        return read_document(_decode(sys.stdin.buffer.read(), "<stdin>"), "<stdin>")
    path, name = _split(file)
    if path.endswith(".py") and not os.path.isdir(path):
        from flowcore.authoring.program import load_program

        if not os.path.exists(path):
            raise UsageError(f"{path}: no such file")
        return load_program(path, name)
    if name is not None:
        raise UsageError(f"{file}: NAME picks a workflow of a Python program; leave it out for a document")
    from flowcore.document import read_file

    return read_file(path)


def _split(file: str) -> tuple[str, str | None]:
    """The path and the workflow's name; a file whose own name has a colon is found first."""
    path, separator, name = file.rpartition(":")
    if not separator or os.path.exists(file) or not (path.endswith(".py") or os.path.exists(path)):
        return file, None
    return path, name


def read_value(param: str, text: str) -> str:
    """The text of one ``-p``: ``@FILE`` is that file's content, ``@@...`` a text that begins with ``@``.

    Raises:
        UsageError: if the file cannot be read.
    """
    if text.startswith("@@"):
        return text[1:]
    if not text.startswith("@"):
        return text
    path = text[1:]
    try:
        if path == "-":
            return _decode(sys.stdin.buffer.read(), f"-p {param}")
        with open(path, "rb") as stream:
            return _decode(stream.read(), path)
    except OSError as error:
        what = f"-p {param}: {path}: {error.strerror or error}"
        raise UsageError(f"{what}; after @ comes a file (write @@ for a text that begins with @)") from error


def _decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{name}:{line}: not UTF-8 text; save it as UTF-8") from error
