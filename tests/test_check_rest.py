"""A document whose form is wrong is checked as far as it can be read, and nothing is said that only follows."""

from __future__ import annotations

import pytest

import flowcore as flow


def told(text: str) -> list[str]:
    with pytest.raises(flow.WorkflowError) as caught:
        flow.load(f"flowcore: 1\nname: w\n{text}")
    return [str(problem).split(" ", 1)[1].split(":", 1)[0] for problem in caught.value.problems]


def test_mistakes_of_form_and_of_meaning_come_together_in_the_text_s_order():
    text = (
        "timeout: 60\nsteps:\n  a: {command: [x], needs: [zz], timeout: 1 hour, env: {A=B: x}}\n  b: {needs: [a, c]}\n"
    )
    assert told(text) == ["timeout", "steps.a.needs.zz", "steps.a.timeout", "steps.a.env.A=B", "steps.b"]


def test_who_reads_an_unreadable_step_is_not_blamed():
    assert told("steps:\n  a: {comand: [x]}\n  b: {command: [x, '${{ steps.a.outputs.o }}']}\n") == [
        "steps.a",
        "steps.a.comand",
    ]


def test_who_reads_an_unreadable_param_is_not_blamed():
    text = "params: {p: {type: integr}}\nsteps: {a: {command: [x, '${{ params.p }}', '${{ params.q }}']}}\n"
    assert told(text) == ["params.p.type"]


def test_a_cycle_is_found_beside_a_mistake():
    steps = "  a: {command: [x], needs: [b], retry: 3}\n  b: {command: [x], needs: [a]}\n"
    assert told(f"steps:\n{steps}") == ["steps.a.needs", "steps.a.retry"]


def test_a_document_without_steps_says_only_that():
    assert told("stepz: {a: {command: [x]}}\n") == ["steps is missing; add it", "stepz"]


def test_check_tells_the_same_as_load():
    text = "flowcore: 1\nname: W\ntimeout: 60\nsteps: {a: {command: [x]}}\n"
    assert [problem.path for problem in flow.check(text)] == [("name",), ("timeout",)]
