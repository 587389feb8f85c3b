"""How a run is shown: words beside colours, a line a step while there is room, counts above that."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from flowcore.cli import text
from flowcore.cli.views import Live, Plain, Quiet, each, summary, total, view
from flowcore.runs import LogLine, Phase, RunHandle, StepState, Update


def update(steps: dict[str, StepState], phase: Phase = Phase.RUNNING) -> Update:
    return Update(RunHandle("played", "x"), "train", phase, None, None, phase.ended, "", 100.0, None, {}, steps)


def shown(steps: dict[str, StepState]) -> list[str]:
    return [line.plain for line in each(steps, 130.0)]


def test_a_step_is_a_line_with_word_time_attempt_and_reason() -> None:
    steps = {
        "extract": StepState(Phase.SUCCEEDED, attempts=1, started=100.0, finished=103.0),
        "train": StepState(Phase.RUNNING, attempts=2, started=103.0),
        "report": StepState(Phase.PENDING, "image", "the image is being pulled"),
    }
    assert shown(steps) == [
        "✓ extract  succeeded    3.0s",
        "▸ train    running       27s  attempt 2",
        "· report   pending            image: the image is being pulled",
    ]
    assert total(update(steps), 130.0).plain == "train running 30s"


def test_items_and_nested_steps_stand_below_what_they_belong_to() -> None:
    steps = {
        "train": StepState(Phase.RUNNING),
        "publish": StepState(Phase.RUNNING),
        "train[1]": StepState(Phase.PENDING),
        "train[0]": StepState(Phase.RUNNING),
        "publish/upload": StepState(Phase.RUNNING),
    }
    assert [line[2:18].rstrip() for line in shown(steps)] == [
        "train",
        "  train[0]",
        "  train[1]",
        "publish",
        "  publish/upload",
    ]


def test_many_steps_are_counted_and_those_that_matter_named() -> None:
    steps = {f"s{number}": StepState(Phase.SUCCEEDED) for number in range(90)}
    steps |= {f"r{number}": StepState(Phase.RUNNING) for number in range(10)}
    steps |= {"bad": StepState(Phase.FAILED)}
    assert [line.plain for line in summary(steps)] == [
        "▸ 10 running: r0, r1, r2, r3, r4, r5, r6, r7 and 2 more",
        "✓ 90 succeeded",
        "✗ 1 failed: bad",
    ]


def test_groups_are_not_counted_beside_their_items() -> None:
    steps = {"train": StepState(Phase.RUNNING)} | {f"train[{n}]": StepState(Phase.RUNNING) for n in range(60)}
    assert summary(steps)[0].plain.startswith("▸ 60 running")


def test_colour_can_be_switched_off() -> None:
    steps = {"a": StepState(Phase.FAILED, "exit-code", exit_code=2)}
    for variables, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        console = Console(
            file=io.StringIO(), force_terminal=True, width=80, _environ={"TERM": "xterm-256color", **variables}
        )
        live = Live(console)
        live.update(update(steps, Phase.FAILED), steps)
        live.close()
        written = console.file.getvalue()  # type: ignore[attr-defined]
        assert "failed" in written
        assert ("\x1b[1;31m" in written) is coloured


def test_the_terminal_shows_counts_where_lines_would_not_fit() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=20, _environ={"TERM": "xterm"})
    steps = {f"s{number}": StepState(Phase.RUNNING) for number in range(30)}
    live = Live(console)
    live.update(update(steps), steps)
    live.close()
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert "30 running" in written
    assert "s29" not in written


def test_without_a_terminal_lines_are_plain() -> None:
    assert isinstance(view(), Plain)
    assert isinstance(view(quiet=True), Quiet)


def test_plain_lines_say_phase_attempt_and_reason(capsys: pytest.CaptureFixture[str]) -> None:
    plain = Plain()
    first = {"a": StepState(Phase.PENDING), "b": StepState(Phase.RUNNING, attempts=1, started=5.0)}
    second = {
        "a": StepState(Phase.SKIPPED, "when"),
        "b": StepState(Phase.FAILED, "timeout", "it ran longer than 5 s", attempts=3, started=5.0, finished=9.0),
    }
    for steps in (first, first, second):
        plain.update(update(steps), steps)
    plain.close()
    lines = [line.split(" ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    assert sorted(lines) == [
        "a skipped (when)",
        "b failed (attempt 3, timeout): it ran longer than 5 s",
        "b running",
    ]


def test_what_ends_at_one_moment_ends_from_within(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("pub", "pub[0]", "pub[0]/a")
    running = {name: StepState(Phase.RUNNING, started=5.0) for name in names}
    ended = {name: StepState(Phase.SUCCEEDED, started=5.0, finished=6.0) for name in names}
    plain = Plain()
    plain.update(update(running), running)
    plain.update(update(ended), ended)
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == [*names, *reversed(names)]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0s"),
        (9.94, "9.9s"),
        (59.4, "59s"),
        (59.9, "1m00s"),
        (185, "3m05s"),
        (7380, "2h03m"),
        (200000, "2d07h"),
    ],
)
def test_time_spans(seconds: float, said: str) -> None:
    assert text.seconds_text(seconds) == said


def test_why_says_the_last_line_of_a_message_and_the_exit_code() -> None:
    assert text.why(StepState(Phase.FAILED, "exit-code", exit_code=3)) == "exit-code: exit code 3"
    assert (
        text.why(StepState(Phase.FAILED, "exit-code", "Traceback\n  x\nValueError: no\n"))
        == "exit-code: ValueError: no"
    )
    assert text.why(StepState(Phase.CANCELLED, "cancelled")) == ""
    assert text.why(StepState(Phase.SUCCEEDED)) == ""


def test_items_are_in_the_order_of_their_numbers() -> None:
    names = ["t", *(f"t[{n}]" for n in (10, 2, 0)), "p[0]/b", "p", "p[0]"]
    assert text.ordered(names) == ["t", "t[0]", "t[2]", "t[10]", "p", "p[0]", "p[0]/b"]
    assert text.leaves(names) == ["t[10]", "t[2]", "t[0]", "p[0]/b"]


def test_outputs_of_several_lines_are_indented() -> None:
    assert text.outputs_text({"a": "x\ny\n", "b": 0.5, "c": "one\n", "d": [True, None]}) == (
        "a:\n  x\n  y\nb: 0.5\nc: one\nd: [true, null]"
    )


def test_log_lines() -> None:
    assert text.log_text(LogLine("a", 1, "x"), prefix=True) == "a | x"
    assert text.log_text(LogLine("a", 1, "", gap=True), prefix=False) == "... lines were lost here ..."
    assert text.log_text(LogLine("a", 1, "x", 0.0), prefix=False, times=True).endswith(" x")


def test_what_utf8_cannot_hold_is_printed_all_the_same() -> None:
    assert text.json_text({"a": "é"}) == '{"a": "é"}'
    assert text.json_text({"a": "é\ud800"}) == '{"a": "\\u00e9\\ud800"}'
    assert text.outputs_text({"a": "x\ud800"}) == "a: x?"
