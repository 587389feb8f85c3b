"""Workflows as documents: YAML and JSON in and out, and the JSON Schema.

``read_document`` and ``read_file`` make a ``Workflow`` of text and tell everything that is wrong with its form, each
problem with its place. What is wrong with its meaning is found by ``flowcore.checks``.
"""

from __future__ import annotations

import os
from typing import Any

from attrs import evolve

from flowcore.document.fields import WORKFLOW
from flowcore.document.kinds import WRONG, Reading
from flowcore.document.schema import schema
from flowcore.document.source import Source, plain
from flowcore.document.yaml_text import quoted, write_yaml
from flowcore.errors import Problem, WorkflowError
from flowcore.model import Workflow
from flowcore.syntax import Json

__all__ = [
    "document_of",
    "from_json",
    "parse_yaml",
    "quoted",
    "read_document",
    "read_file",
    "schema",
    "text_of_file",
    "write_document",
    "write_yaml",
]


def read_document(text: str, name: str = "<text>") -> Workflow:
    """Read a workflow from YAML or JSON; ``name`` is what error messages call the text.

    The workflow's ``places`` say where each part of it was written.

    Raises:
        WorkflowError: with everything that is wrong with the document's form, in the order of the text, and with what
            could be read of it even so.
    """
    source = Source.parse(text, name)
    reading = Reading(source)
    workflow = WORKFLOW.read(reading, source.root, ())
    if isinstance(workflow, Workflow):
        workflow = evolve(workflow, places=source.places)
    reading.finish(workflow)
    assert isinstance(workflow, Workflow)
    return workflow


def read_file(path: str | os.PathLike[str]) -> Workflow:
    """Read a workflow from a file.

    Raises:
        WorkflowError: as ``read_document``, and if the file cannot be read.
    """
    return read_document(text_of_file(path), os.fspath(path))


def text_of_file(path: str | os.PathLike[str]) -> str:
    """The text of a UTF-8 file.

    Raises:
        WorkflowError: naming the file, and the line and column of what is not UTF-8.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        raise _unreadable(name, "there is no such file; check the path") from None
    except IsADirectoryError:
        raise _unreadable(name, "this is a directory; name a file in it") from None
    except PermissionError:
        raise _unreadable(name, "this file may not be read; check its permissions") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _unreadable(name, f"this file cannot be read: {reason}") from None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise _unreadable(f"{name}:1:1", "this is UTF-16; save it as UTF-8")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8")) + 1
        byte = data[error.start]
        message = f"the byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"
        raise _unreadable(f"{name}:{line}:{column}", message) from None


def _unreadable(place: str, message: str) -> WorkflowError:
    return WorkflowError([Problem((), message, place)])


def from_json(data: Json) -> Workflow:
    """Read a workflow from JSON that was parsed already: the inverse of ``document_of``.

    It also reads what the lowering added (``x-origin``, ``x-role``, ``x-outline``), which documents of people cannot
    say.

    Raises:
        WorkflowError: with everything that is wrong, without places.
    """
    reading = Reading(None, lowered=True)
    workflow = WORKFLOW.read(reading, data, ())
    reading.finish()
    assert workflow is not WRONG
    return workflow  # type: ignore[no-any-return]


def document_of(workflow: Workflow) -> dict[str, Json]:
    """The document of a workflow, as JSON; defaults are left out."""
    return WORKFLOW.write(workflow)  # type: ignore[return-value]


def write_document(workflow: Workflow) -> str:
    """The document of a workflow, as YAML that reads back as the same workflow."""
    return write_yaml(document_of(workflow))


def parse_yaml(text: str, name: str = "<text>") -> Any:
    """Parse YAML or JSON as documents are parsed (YAML 1.2 core, no duplicate keys), into plain JSON.

    Raises:
        WorkflowError: with the place of each problem.
    """
    source = Source.parse(text, name)
    source.finish()
    return plain(source.root)
