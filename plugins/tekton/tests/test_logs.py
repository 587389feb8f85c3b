"""Lines of Tekton's entrypoint are nobody's."""

from __future__ import annotations

import pytest

from flowcore.runs import LogLine
from flowcore_tekton.logs import without_noise

AT = "2026/01/01 10:00:00"


@pytest.mark.parametrize(
    "text",
    [
        "Skipping step because a previous step failed",
        "Step was cancelled",
        "INFO Step was skipped due to when expressions were evaluated to false.",
        "INFO Step was canceling",
        'ERROR Error while substituting step results: error="no such file"',
    ],
)
def test_what_the_entrypoint_says_is_left_out(text):
    assert without_noise([LogLine("a", 1, f"{AT} {text}")]) == ()


@pytest.mark.parametrize("text", [f"{AT} INFO done", "INFO Step was skipped", f"{AT} Step by step"])
def test_what_a_step_says_stays(text):
    line = LogLine("a", 1, text)
    assert without_noise([line]) == (line,)
