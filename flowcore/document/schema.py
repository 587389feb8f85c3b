"""The JSON Schema of the document, made from the tables that the reader uses."""

from __future__ import annotations

from typing import Any

from flowcore.document.fields import VERSION, WORKFLOW
from flowcore.document.kinds import Schema


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a workflow document.

    It says what a document may look like. What only makes sense across the document (references, cycles, the types of
    expressions) is found by ``flowcore.checks``.
    """
    definitions: dict[str, Schema] = {}
    root = WORKFLOW.own_schema(definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:flowcore:document:{VERSION}",
        "title": "flowcore workflow",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }
