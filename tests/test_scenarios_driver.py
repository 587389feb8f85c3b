"""The kit finds what is wrong: backends that lie, drop or repeat do not pass, and every difference is named."""

from __future__ import annotations

from pathlib import Path

import mini_backend
import pytest
from attrs import evolve

from flowcore.backend import Backend
from flowcore.hookspecs import hookimpl
from flowcore.model import Workflow
from flowcore.runs import Leaf, LogLine, Phase, Rendered, RunHandle, Snapshot, StepState, Update
from flowcore.testing.driver import Driver, Mismatch, Observed, Skip, chain_faults, faults_of, same
from flowcore.testing.scenario import ANY, ARTIFACT, Expect, Line, Scenario, failed, ok, skipped, succeeded
from flowcore.testing.scenarios import SCENARIOS

Kind = type[mini_backend.MiniBackend]
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def driver(plugin: mini_backend.MiniBackend) -> Driver:
    return Driver(Backend.of(plugin, "mini"), deadline=20, interval=0.01)


def mini(
    folder: Path, kind: Kind = mini_backend.MiniBackend, *, declares: frozenset[str] = mini_backend.WIDE
) -> Driver:
    return driver(kind(mini_backend.MiniOptions(str(folder)), declares))


class Changes(mini_backend.MiniBackend):
    """Changes what it reports."""

    def leaf(self, leaf: Leaf) -> Leaf:
        return leaf

    def line(self, line: LogLine) -> LogLine:
        return line

    @hookimpl
    def poll(self, handle: RunHandle, cursor: str, logs: bool) -> Snapshot:
        snapshot = super().poll(handle, cursor, logs)
        leaves = tuple(self.leaf(leaf) for leaf in snapshot.leaves)
        return evolve(snapshot, leaves=leaves, logs=tuple(self.line(line) for line in snapshot.logs))


class Trims(Changes):
    def leaf(self, leaf: Leaf) -> Leaf:
        outputs = {name: value.strip() if isinstance(value, str) else value for name, value in leaf.outputs.items()}
        return evolve(leaf, outputs=outputs)


class TrimsLogs(Changes):
    def line(self, line: LogLine) -> LogLine:
        return evolve(line, line=line.line.rstrip())


class ForgetsExitCodes(Changes):
    def leaf(self, leaf: Leaf) -> Leaf:
        return evolve(leaf, exit_code=1 if leaf.exit_code else leaf.exit_code)


class SaysNeeds(Changes):
    def leaf(self, leaf: Leaf) -> Leaf:
        return evolve(leaf, reason="fail-fast" if leaf.reason == "needs" else leaf.reason)


class CountsFromZero(Changes):
    def leaf(self, leaf: Leaf) -> Leaf:
        return evolve(leaf, attempts=max(leaf.attempts - 1, 0))


class RepeatsLogs(mini_backend.MiniBackend):
    @hookimpl
    def poll(self, handle: RunHandle, cursor: str, logs: bool) -> Snapshot:
        return super().poll(handle, "", logs)


class GoesBack(mini_backend.MiniBackend):
    polls = 0

    @hookimpl
    def poll(self, handle: RunHandle, cursor: str, logs: bool) -> Snapshot:
        snapshot = super().poll(handle, cursor, logs)
        self.polls += 1
        if snapshot.done or self.polls % 2:
            return snapshot
        back = {Phase.SUCCEEDED: Phase.RUNNING}
        return evolve(
            snapshot, leaves=tuple(evolve(leaf, phase=back.get(leaf.phase, leaf.phase)) for leaf in snapshot.leaves)
        )


class MissesALine(mini_backend.MiniBackend):
    """Once the run is over, every other poll of everything cannot read the last lines, and so is not done."""

    whole = 0

    @hookimpl
    def poll(self, handle: RunHandle, cursor: str, logs: bool) -> Snapshot:
        snapshot = super().poll(handle, cursor, logs)
        self.whole += snapshot.done and not cursor
        if not snapshot.done or cursor or self.whole % 2 == 0:
            return snapshot
        return evolve(super().poll(handle, cursor, False), done=False)


class DropsRetries(mini_backend.MiniBackend):
    @hookimpl
    def render(self, workflow: Workflow) -> Rendered:
        steps = {name: evolve(step, retry=None) for name, step in workflow.steps.items()}
        return super().render(evolve(workflow, steps=steps))


class DropsNeeds(mini_backend.MiniBackend):
    @hookimpl
    def render(self, workflow: Workflow) -> Rendered:
        steps = {name: evolve(step, needs={}) for name, step in workflow.steps.items()}
        return super().render(evolve(workflow, steps=steps))


class NewRunEachTime(mini_backend.MiniBackend):
    @hookimpl
    def submit(self, rendered: Rendered, key: str) -> RunHandle:
        self.count = getattr(self, "count", 0) + 1
        return super().submit(rendered, f"{key}{self.count}")


class ForgetsCancels(mini_backend.MiniBackend):
    @hookimpl
    def cancel(self, handle: RunHandle, now: bool) -> None:
        (self._folder(handle) / "cancel").touch()  # even when the run is over

    @hookimpl
    def poll(self, handle: RunHandle, cursor: str, logs: bool) -> Snapshot:
        snapshot = super().poll(handle, cursor, logs)
        return evolve(snapshot, cancelled=(self._folder(handle) / "cancel").exists())


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        (Trims, "output-loses-one-newline", "outputs are"),
        (TrimsLogs, "logs-by-stream", "log of speaks"),
        (ForgetsExitCodes, "needs-failure-reaches-all", "exit_code is 1, not 3"),
        (SaysNeeds, "needs-failure-reaches-all", "reason is 'fail-fast', not 'needs'"),
        (CountsFromZero, "retry-until-it-works", "attempts is 2, not 3"),
        (RepeatsLogs, "logs-come-while-it-runs", "log of"),
        (GoesBack, "logs-come-while-it-runs", "back to running"),
        (DropsRetries, "retry-by-default", "not succeeded"),
        (DropsNeeds, "needs-order", "started before first had ended"),
        (NewRunEachTime, "key-makes-submit-idempotent", "the same key"),
        (ForgetsCancels, "cancel-after-the-end", "cancelled"),
    ],
)
def test_a_backend_that_is_wrong_does_not_pass(kind: Kind, name: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(Mismatch, match=says):
        mini(tmp_path, kind).run(BY_NAME[name])


def test_a_refusal_must_name_the_backend_the_capability_and_the_step(tmp_path: Path) -> None:
    empty = mini(tmp_path, declares=mini_backend.EMPTY)
    assert empty.refuses(BY_NAME["retry-in-vain"], ["retry"])
    with pytest.raises(Mismatch, match="any of cheese"):
        empty.refuses(BY_NAME["retry-in-vain"], ["cheese"])
    assert not empty.refuses(BY_NAME["needs-diamond"], ["needs"])


def test_what_only_others_show_is_skipped(tmp_path: Path) -> None:
    with pytest.raises(Skip):
        mini(tmp_path).run(BY_NAME["retry-waiting-is-running"])


def test_a_poll_of_everything_may_have_to_be_repeated(tmp_path: Path) -> None:
    mini(tmp_path, MissesALine).run(BY_NAME["logs-by-stream"])


@pytest.mark.parametrize("name", ["key-makes-submit-idempotent", "deleted-run-is-gone", "needs-failure-reaches-all"])
def test_runs_of_a_scenario_that_passed_are_deleted(name: str, tmp_path: Path) -> None:
    mini(tmp_path).run(BY_NAME[name])
    assert list(tmp_path.iterdir()) == []


def test_the_run_of_a_scenario_that_did_not_pass_stays(tmp_path: Path) -> None:
    with pytest.raises(Mismatch):
        mini(tmp_path, TrimsLogs).run(BY_NAME["logs-by-stream"])
    assert len(list(tmp_path.iterdir())) == 1


def test_a_run_that_does_not_end_is_a_mismatch_and_is_stopped(tmp_path: Path) -> None:
    endless = evolve(BY_NAME["cancel-is-never-retried"], actions=())
    slow = evolve(mini(tmp_path), deadline=0.2)
    with pytest.raises(Mismatch, match="not done after"):
        slow.run(endless)
    for folder in tmp_path.iterdir():
        assert (folder / "cancel-now").exists()


def update(steps: dict[str, StepState], **rest: object) -> Update:
    base = Update(
        RunHandle("mini", "x"),
        "w",
        Phase.SUCCEEDED,
        None,
        None,
        True,
        "",
        0.0,
        1.0,
        {},
        steps,
        **rest,  # type: ignore[arg-type]
    )
    return base


def seen(steps: dict[str, StepState], logs: tuple[LogLine, ...] = ()) -> Observed:
    observed = Observed()
    observed.take(update(steps, logs=logs))
    return observed


DONE = StepState(Phase.SUCCEEDED, attempts=1, started=0.0, finished=1.0, exit_code=0)


def faults(expect: Expect, observed: Observed) -> str:
    return "\n".join(faults_of(expect, observed))


def test_steps_that_are_missing_or_too_many_are_named() -> None:
    assert faults(succeeded({"a": ok()}), seen({"a": DONE})) == ""
    assert "step b is missing" in faults(succeeded({"a": ok(), "b": ok()}), seen({"a": DONE}))
    assert "step b must not be there" in faults(succeeded({"a": ok()}), seen({"a": DONE, "b": DONE}))


def test_alternatives_are_taken_whole() -> None:
    expect = succeeded({"a": ok(attempts=2) | ok()})
    assert faults(expect, seen({"a": DONE})) == ""
    assert "attempts is 3" in faults(expect, seen({"a": evolve(DONE, attempts=3)}))


def test_a_failed_step_needs_a_message() -> None:
    bad = StepState(Phase.FAILED, "exit-code", attempts=1, started=0.0, finished=1.0, exit_code=1)
    assert "it has no message" in faults(succeeded({"a": failed(1)}), seen({"a": bad}))
    assert faults(succeeded({"a": failed(1)}), seen({"a": evolve(bad, message="it ended with 1")})) == ""


def test_a_step_that_ran_needs_times() -> None:
    assert "has no times" in faults(succeeded({"a": ok()}), seen({"a": evolve(DONE, started=None)}))
    assert "still pending" in faults(succeeded({"a": skipped("when")}), seen({"a": StepState(Phase.PENDING)}))


def test_log_lines_are_compared_by_attempt_and_stream() -> None:
    expect = evolve(succeeded({"a": ok()}), logs={"a": (Line("x"), Line("y"), Line("z", "stderr"))})
    logs = [
        LogLine("a", 1, "x", stream="stdout"),
        LogLine("a", 1, "z", stream="stderr"),
        LogLine("a", 1, "y", stream="stdout"),
    ]
    assert faults(expect, seen({"a": DONE}, tuple(logs))) == ""
    assert "line 0 differs" in faults(expect, seen({"a": DONE}, (logs[2], logs[1], logs[0])))
    assert "1 lines, not 2" in faults(expect, seen({"a": DONE}, tuple(logs[:2])))
    assert "attempt 2" in faults(expect, seen({"a": DONE}, (*logs, evolve(logs[0], attempt=2))))
    assert "lines were lost" in faults(expect, seen({"a": DONE}, (*logs, LogLine("a", 1, "", gap=True))))


def test_merged_streams_keep_lines_but_not_their_order() -> None:
    expect = evolve(succeeded({"a": ok()}), logs={"a": (Line("x"), Line("z", "stderr"))})
    merged = (LogLine("a", 1, "z"), LogLine("a", 1, "x"))
    assert faults(expect, seen({"a": DONE}, merged)) == ""
    assert "stdout" not in faults(expect, seen({"a": DONE}, merged))
    assert faults(expect, seen({"a": DONE}, merged[:1])) != ""


def test_a_chain_must_tell_what_one_poll_tells() -> None:
    last = update({})
    assert list(chain_faults(seen({"a": DONE}), seen({"a": DONE}), last)) == []
    assert list(chain_faults(seen({"a": DONE}), seen({"a": evolve(DONE, attempts=2)}), last))
    line = LogLine("a", 1, "x", stream="stdout")
    assert list(chain_faults(seen({}, (line, line)), seen({}, (line,)), last))
    assert list(chain_faults(seen({}), seen({}, (line,)), last))
    assert list(chain_faults(seen({"a": DONE}), seen({"a": DONE}), update({"a": DONE})))


def test_a_chain_may_differ_by_the_seconds_that_times_may_be_wrong() -> None:
    last, late = update({}), evolve(DONE, finished=(DONE.finished or 0.0) + 1.0)
    assert list(chain_faults(seen({"a": DONE}), seen({"a": late}), last, clock=2.0)) == []
    assert list(chain_faults(seen({"a": DONE}), seen({"a": late}), last, clock=0.5))
    assert list(chain_faults(seen({"a": DONE}), seen({"a": evolve(late, attempts=2)}), last, clock=2.0))
    assert list(chain_faults(seen({"a": DONE}), seen({"a": evolve(DONE, finished=None)}), last, clock=2.0))


def test_order_ends_and_overlaps() -> None:
    early, late = DONE, evolve(DONE, started=2.0, finished=3.0)
    two = {"a": ok(), "b": ok()}
    steps = seen({"a": early, "b": late})
    assert faults(succeeded(two, order=(("a", "b"),), ends=(("a", "b"),), apart=("a", "b")), steps) == ""
    assert "started before" in faults(succeeded(two, order=(("b", "a"),)), steps)
    assert "ended before" in faults(succeeded(two, ends=(("b", "a"),)), steps)
    assert "did not run at the same time" in faults(succeeded(two, together=(("a", "b"),)), steps)
    both = seen({"a": early, "b": early})
    assert "ran at the same time" in faults(succeeded(two, apart=("a", "b")), both)


@pytest.mark.parametrize(
    ("expected", "found", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ("1", 1, False),
        (None, False, False),
        ([1, {"a": ANY}], [1, {"a": [2]}], True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([1], [1, 2], False),
        (ARTIFACT, "place", True),
        (ARTIFACT, 1, False),
        (2**63 - 1, 2**63 - 1, True),
        (2**63 - 1, 2**63 - 2, False),
    ],
)
def test_values_are_compared_as_json(expected: object, found: object, equal: bool) -> None:
    assert same(expected, found) is equal


def test_a_scenario_can_be_a_plugins_own(tmp_path: Path) -> None:
    document = "flowcore: 1\nname: own\nsteps: {a: {image: busybox, command: [echo, hello]}}\n"
    own = Scenario("own", (), document, succeeded({"a": ok()}, logs={"a": (Line("hello"),)}))
    mini(tmp_path).run(own)
