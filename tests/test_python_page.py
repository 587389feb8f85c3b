"""The page on the Python front end: every program on it is a workflow without a problem."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flowcore.authoring import load_program
from flowcore.authoring.options import STEP
from flowcore.authoring.workflows import WorkflowFunction
from flowcore.checks import check
from flowcore.document import read_document, write_document
from flowcore.model import Step, Workflow

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
PROGRAMS = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.S) if "@flow.workflow" in block]


@pytest.mark.parametrize("text", PROGRAMS, ids=[re.findall(r"def (\w+)", block)[-1] for block in PROGRAMS])
def test_programs_of_the_page(text, tmp_path):
    file = tmp_path / "program.py"
    body = text.removeprefix("import flowcore as flow\n")
    file.write_text("import flowcore as flow\n" + body, encoding="utf-8")
    workflow = load_program(str(file), re.findall(r"@flow\.workflow.*\ndef (\w+)", text)[-1])
    assert check(workflow) == []
    assert read_document(write_document(workflow)) == workflow


def test_the_page_has_every_option():
    missing = [name for name in STEP if f"`{name}`" not in PAGE]
    assert missing == []
    fields = {field.name for field in Step.__attrs_attrs__}  # type: ignore[attr-defined]
    assert fields - set(STEP) == {"action", "origin", "role"}


def test_every_field_of_a_workflow_can_be_written():
    from flowcore.authoring.workflows import _OPTIONS

    fields = {field.name for field in Workflow.__attrs_attrs__}  # type: ignore[attr-defined]
    assert fields - set(_OPTIONS) == {"params", "steps", "on_exit", "outputs", "outline", "places"}
    assert [name for name in _OPTIONS if f"`{name}" not in PAGE] == []
    assert WorkflowFunction.__doc__
