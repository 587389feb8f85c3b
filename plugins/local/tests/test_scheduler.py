"""The decisions alone: no process, no clock, no database."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import pytest
from attrs import evolve

from flowcore.document import read_document
from flowcore.lowering import bind
from flowcore.model import Container, Step, Workflow
from flowcore.runs import Phase
from flowcore.syntax import Json
from flowcore_local.scheduler import Outcome, Saved, Scheduler, Unit

OK = Outcome(Phase.SUCCEEDED, exit_code=0)
BAD = Outcome(Phase.FAILED, "exit-code", "it ended with exit code 1", 1)


class Remembered:
    """A memory in dicts."""

    def __init__(self) -> None:
        self.kept: dict[str, Mapping[str, Json]] = {}
        self.successes: dict[tuple[str, str], tuple[float, Mapping[str, Json]]] = {}

    def outputs(self, origin: str) -> Mapping[str, Json]:
        return self.kept.get(origin, {})

    def keep(self, origin: str, outputs: Mapping[str, Json]) -> None:
        self.kept[origin] = outputs

    def gather(self, origin: str, output: str, places: list[str]) -> str:
        return f"{origin}/{output}:{','.join(places)}"

    def cached(self, step: str, key: str, max_age: float | None, now: float) -> Mapping[str, Json] | None:
        stored, outputs = self.successes.get((step, key), (None, None))
        return None if stored is None or (max_age is not None and now - stored > max_age) else outputs

    def remember(self, step: str, key: str, outputs: Mapping[str, Json], now: float) -> None:
        self.successes[step, key] = now, outputs


class Play:
    """A scheduler that is told what happens."""

    def __init__(self, document: str | Workflow, slots: int = 100) -> None:
        if isinstance(document, str):
            head = "flowcore: 1\nname: test\ndefaults: {image: i}\n"
            document = bind(read_document(head + textwrap.dedent(document)), {})
        self.workflow = document
        self.slots = slots
        self.memory = Remembered()
        self.seen: dict[str, Unit] = {}
        self.now = 0.0
        self.start_takes = 0.0
        self.scheduler = self.fresh()

    def fresh(self) -> Scheduler:
        return Scheduler(self.workflow, self.memory, run_id="run-1", slots=self.slots)

    def begin(self) -> list[str]:
        self.scheduler.begin(self.now)
        return self.take()

    def take(self) -> list[str]:
        taken = self.scheduler.take(self.now, 1000)
        for unit in taken:
            self.scheduler.time(unit, self.now + self.start_takes)
        self.note()
        return [unit.origin for unit in taken]

    def note(self) -> None:
        self.seen.update(self.scheduler.changed)
        self.scheduler.changed.clear()

    def end(self, origin: str, outcome: Outcome = OK, **outputs: Json) -> list[str]:
        self.scheduler.ended(self.seen[origin], evolve(outcome, outputs=outputs), self.now)
        self.scheduler.settle(self.now)
        return self.take()

    def at(self, now: float) -> list[str]:
        self.now = now
        self.scheduler.tick(now)
        return self.take()

    def hold(self, origin: str, message: str) -> list[str]:
        self.scheduler.hold(self.seen[origin], "image", message, self.now)
        self.scheduler.settle(self.now)
        return self.take()

    def admit(self, origin: str) -> list[str]:
        self.scheduler.admit(self.seen[origin])
        return self.take()

    def stops(self) -> list[str]:
        found = [f"{unit.origin}: {unit.stop}" for unit in self.scheduler.stops]
        self.scheduler.stops.clear()
        return found

    def states(self) -> dict[str, str]:
        self.note()
        return {name: unit.phase.value + (f" {unit.reason}" if unit.reason else "") for name, unit in self.seen.items()}


def test_steps_start_when_their_needs_are_met() -> None:
    play = Play("steps: {a: {command: [a]}, b: {needs: [a], command: [b]}, c: {needs: [a, b], command: [c]}}")
    assert play.begin() == ["a"]
    assert play.end("a") == ["b"]
    assert play.end("b") == ["c"]
    assert not play.scheduler.done
    assert play.end("c") == []
    assert play.scheduler.done


def test_what_is_behind_a_failure_is_skipped_for_its_needs_and_the_rest_by_fail_fast() -> None:
    play = Play(
        """
        parallelism: 2
        steps:
          a: {command: [a]}
          b: {command: [b]}
          behind: {needs: [a, b], command: [c]}
          far: {needs: [behind], command: [c]}
          after_b: {needs: [b], command: [d]}
        """
    )
    assert play.begin() == ["a", "b"]
    assert play.end("a", BAD) == []
    states = play.states()
    assert states["behind"] == states["far"] == "skipped needs"
    assert states["after_b"] == "skipped fail-fast"
    assert not play.scheduler.done
    assert play.end("b") == []
    assert play.scheduler.done


def test_fail_fast_off_starts_everything() -> None:
    play = Play("fail_fast: false\nsteps: {a: {command: [a]}, b: {command: [b]}, c: {needs: [b], command: [c]}}")
    assert play.begin() == ["a", "b"]
    assert play.end("a", BAD) == []
    assert play.end("b") == ["c"]


def test_a_started_foreach_runs_all_its_items() -> None:
    play = Play("parallelism: 1\nsteps: {a: {foreach: [1, 2, 3], command: [a]}, z: {command: [z]}}", slots=1)
    assert play.begin() == ["a[0]"]
    assert play.end("a[0]", BAD) == ["a[1]"]
    assert play.end("a[1]") == ["a[2]"]
    assert play.end("a[2]") == []
    states = play.states()
    assert states["a"].startswith("failed")
    assert (states["a[1]"], states["a[2]"], states["z"]) == ("succeeded", "succeeded", "skipped fail-fast")


def test_backoff_grows_to_its_limit_and_holds_no_slot() -> None:
    play = Play(
        """
        parallelism: 1
        fail_fast: false
        steps:
          a: {retry: {limit: 4, backoff: {initial: 5s, factor: 2, max: 12s}}, command: [a]}
          b: {command: [b]}
        """
    )
    assert play.begin() == ["a"]
    assert play.end("a", BAD) == ["b"]
    assert play.states()["a"] == "running retrying"
    assert play.scheduler.next_due() == 5
    assert play.at(4.9) == []
    assert play.at(5) == []  # the slot is b's
    assert play.end("b") == ["a"]
    for waited in (10, 12, 12):
        assert play.end("a", BAD) == []
        assert play.scheduler.next_due() == play.now + waited
        assert play.at(play.now + waited) == ["a"]
    assert play.end("a", BAD) == []
    assert play.states()["a"] == "failed exit-code"
    assert play.seen["a"].attempts == 5


def test_a_wait_of_an_item_leaves_its_place_to_the_next() -> None:
    play = Play(
        """
        steps:
          a: {foreach: [1, 2, 3], parallelism: 1, retry: {limit: 1, backoff: {initial: 9s}}, command: [a]}
        """
    )
    assert play.begin() == ["a[0]"]
    assert play.end("a[0]", BAD) == ["a[1]"]
    assert play.at(9) == []
    assert play.end("a[1]") == ["a[0]"]
    assert play.end("a[0]") == ["a[2]"]
    assert play.end("a[2]") == []
    assert play.states()["a"] == "succeeded"


@pytest.mark.parametrize(
    ("only", "outcome", "tried_again"),
    [
        ("failed", BAD, True),
        ("failed", Outcome(Phase.ERROR, "lost"), False),
        ("error", Outcome(Phase.ERROR, "lost"), True),
        ("timeout", BAD, False),
        ("failed", Outcome(Phase.FAILED, "out-of-memory"), True),
    ],
)
def test_retry_only(only: str, outcome: Outcome, tried_again: bool) -> None:
    play = Play(f"steps: {{a: {{retry: {{limit: 1, only: [{only}]}}, command: [a]}}}}")
    play.begin()
    assert play.end("a", outcome) == (["a"] if tried_again else [])


def test_a_timeout_stops_an_attempt_and_its_exit_code_is_nothing() -> None:
    play = Play("steps: {a: {timeout: 10s, command: [a]}}")
    play.begin()
    play.at(9)
    assert play.stops() == []
    play.at(10)
    assert play.stops() == ["a: timeout"]
    play.end("a")
    assert play.states() == {"a": "failed timeout"}
    assert play.seen["a"].exit_code is None


def test_a_timeout_counts_from_when_the_process_began() -> None:
    play = Play("steps: {a: {timeout: 10s, command: [a]}}")
    play.start_takes = 5
    play.begin()
    play.at(14)
    assert play.stops() == []
    play.at(15)
    assert play.stops() == ["a: timeout"]


def test_a_timer_of_an_earlier_attempt_is_no_mistake() -> None:
    play = Play("steps: {a: {timeout: 10s, retry: {limit: 1}, command: [a]}}")
    play.begin()
    play.now = 6
    assert play.end("a", BAD) == ["a"]
    play.at(10)
    assert play.stops() == []
    play.at(16)
    assert play.stops() == ["a: timeout"]


def test_a_run_that_is_out_of_time_ends_what_runs_and_skips_the_rest() -> None:
    play = Play(
        """
        timeout: 60s
        steps:
          a: {command: [a]}
          waits: {retry: {limit: 1, backoff: {initial: 1h}}, command: [w]}
          b: {needs: [a], command: [b]}
        on_exit: {bye: {command: [bye]}}
        """
    )
    play.begin()
    play.end("waits", BAD)
    assert play.at(60) == []
    assert play.stops() == ["a: run-timeout"]
    assert play.end("a") == ["bye"]
    assert play.states() == {
        "a": "cancelled run-timeout",
        "waits": "cancelled run-timeout",
        "b": "skipped run-timeout",
        "bye": "running",
    }
    assert play.scheduler.run_phase() == "failed"


def test_a_cancel_ends_everything_but_on_exit() -> None:
    play = Play(
        """
        parallelism: 2
        steps:
          done: {command: [a]}
          runs: {needs: [done], command: [a]}
          each: {needs: [done], foreach: [1, 2, 3], parallelism: 1, command: [a]}
          later: {needs: [runs], command: [a]}
        on_exit: {bye: {command: [bye]}}
        """
    )
    play.begin()
    assert play.end("done") == ["runs", "each[0]"]
    play.scheduler.cancel(play.now)
    assert sorted(play.stops()) == ["each[0]: cancelled", "runs: cancelled"]
    assert play.end("runs") == []
    assert play.end("each[0]", BAD) == ["bye"]
    states = play.states()
    assert states.pop("done") == "succeeded"
    assert states.pop("bye") == "running"
    assert set(states.values()) == {"cancelled cancelled"}
    assert set(states) == {"runs", "each", "each[0]", "each[1]", "each[2]", "later"}
    play.scheduler.cancel(play.now, at_once=True)
    assert play.stops() == ["bye: cancelled"]


def test_a_cancel_after_a_timeout_was_noticed_wins() -> None:
    play = Play("steps: {a: {timeout: 1s, retry: {limit: 5}, command: [a]}}")
    play.begin()
    play.at(1)
    assert play.stops() == ["a: timeout"]
    play.scheduler.cancel(play.now)
    assert play.stops() == []  # it is being stopped already
    play.end("a")
    assert play.states() == {"a": "cancelled cancelled"}


def test_what_cannot_begin_yet_waits_without_a_slot() -> None:
    play = Play("parallelism: 1\nsteps: {a: {command: [a]}, b: {command: [b]}}")
    assert play.begin() == ["a"]
    assert play.hold("a", "pulling") == ["b"]
    assert play.states() == {"a": "pending image", "b": "running"}
    assert (play.seen["a"].attempts, play.seen["a"].started, play.seen["a"].message) == (0, None, "pulling")
    assert play.admit("a") == []
    assert play.end("b") == ["a"]
    assert play.states()["a"] == "running"
    assert play.seen["a"].attempts == 1


def test_what_does_not_come_in_time_is_an_attempt_that_could_not_begin() -> None:
    play = Play("steps: {a: {pending_timeout: 10s, retry: {limit: 1}, command: [a]}}")
    play.begin()
    play.hold("a", "pulling")
    assert play.at(9) == []
    assert play.at(10) == ["a"]
    assert play.seen["a"].attempts == 2
    play.hold("a", "pulling")
    play.at(20)
    assert play.states() == {"a": "error image"}
    assert play.seen["a"].message == "it did not begin within 10 s: pulling"


def test_the_time_of_an_earlier_wait_ends_no_later_one() -> None:
    play = Play("steps: {a: {pending_timeout: 10s, command: [a]}}")
    play.begin()
    play.hold("a", "pulling")
    play.now = 6
    assert play.admit("a") == ["a"]
    play.hold("a", "pulling again")
    assert play.at(10) == []
    assert play.states() == {"a": "pending image"}
    play.at(16)
    assert play.states() == {"a": "error image"}


def test_one_item_waits_for_all() -> None:
    play = Play("steps: {a: {foreach: [1, 2, 3], command: [a]}}", slots=1)
    assert play.begin() == ["a[0]"]
    assert play.hold("a[0]", "pulling") == []
    assert play.admit("a[0]") == ["a[0]"]
    assert play.end("a[0]") == ["a[1]"]


def test_a_cancel_ends_what_waits() -> None:
    play = Play("steps: {a: {command: [a]}}")
    play.begin()
    play.hold("a", "pulling")
    play.scheduler.cancel(play.now)
    assert play.states() == {"a": "cancelled cancelled"}
    assert play.admit("a") == []
    assert play.scheduler.done


def test_repeat_waits_between_and_reports_the_last_iteration() -> None:
    play = Play("steps: {a: {repeat: {until: outputs.o == 'y', max: 3, delay: 5s}, script: s, outputs: {o: {}}}}")
    assert play.begin() == ["a"]
    assert play.end("a", o="n") == []
    assert play.seen["a"].iteration == 2
    assert play.at(5) == ["a"]
    assert play.end("a", o="y") == []
    assert play.states() == {"a": "succeeded"}
    assert (play.seen["a"].iteration, play.seen["a"].attempts) == (2, 1)


def test_a_cached_item_takes_no_slot_and_no_attempt() -> None:
    play = Play('steps: {a: {foreach: [1, 2], cache: {key: "k-${{ item }}"}, command: [a]}}')
    play.memory.remember("a", "k-1", {"x": 1}, 0)
    assert play.begin() == ["a[1]"]
    assert play.states()["a[0]"] == "succeeded cached"
    play.end("a[1]")
    assert ("a", "k-2") in play.memory.successes
    assert play.states()["a"] == "succeeded"


def test_nested_items_start_as_slots_are_free() -> None:
    play = Play(
        "steps: {p: {foreach: [1, 2, 3, 4, 5], workflow: {steps: {a: {command: [a]}, b: {needs: [a], command: [b]}}}}}",
        slots=2,
    )
    assert play.begin() == ["p[0]/a", "p[1]/a"]
    assert sum(unit.phase is Phase.RUNNING for unit in play.seen.values()) <= 6
    started = ["p[0]/a", "p[1]/a"]
    for origin in started:
        started += play.end(origin)
    assert len(started) == 10
    assert play.states()["p"] == "succeeded"


def _chain(length: int) -> Workflow:
    steps = {f"s{i}": Step(Container(("x",)), needs={f"s{i - 1}": "met"} if i else {}) for i in range(length)}
    return Workflow(name="chain", steps=steps)


def test_a_long_chain_behind_a_failure_needs_no_deep_stack() -> None:
    play = Play(_chain(20_000))
    play.begin()
    play.end("s0", BAD)
    assert play.scheduler.done
    assert play.states()["s19999"] == "skipped needs"


def _saved(unit: Unit) -> Saved:
    fields: list[Any] = [
        *(unit.phase, unit.reason, unit.message, unit.attempts, unit.base, unit.iteration, unit.started),
        *(unit.finished, unit.exit_code, unit.items, unit.due),
    ]
    return Saved(*fields)


def test_another_scheduler_goes_on_at_every_step_of_a_run() -> None:
    """Whatever has happened so far, a scheduler made of the records comes to the same end."""
    document = """
        parallelism: 2
        steps:
          list: {script: s, outputs: {l: {type: list}}}
          each: {foreach: "${{ steps.list.outputs.l }}", script: s, parallelism: 2, outputs: {o: {}}}
          sub:
            needs: [list]
            workflow: {steps: {a: {script: s}, b: {needs: [a], script: s}}}
          many: {foreach: [1, 2], workflow: {steps: {c: {script: s}}}}
          again: {retry: {limit: 1, backoff: {initial: 3s}}, script: s}
          last: {needs: [sub, many, again], script: s, env: {E: "${{ steps.each.outputs.o }}"}}
        on_exit: {bye: {script: s}, good: {script: s}}
    """
    for handover in range(40):
        play = Play(document)
        play.scheduler.begin(0)
        flying: list[str] = play.take()
        ended: list[str] = []
        turn = 0
        while not play.scheduler.done:
            if turn == handover:
                play.note()
                play.scheduler = play.fresh()
                records = {origin: _saved(unit) for origin, unit in play.seen.items()}
                adopted = play.scheduler.restore(records, 0, play.now)
                assert sorted(unit.origin for unit in adopted) == sorted(flying), handover
                play.seen.update({unit.origin: unit for unit in adopted})
                flying += play.take()
            turn += 1
            if not flying:
                due = play.scheduler.next_due()
                assert due is not None, (handover, play.states())
                flying += play.at(due)
                continue
            origin = flying.pop(0)
            ended.append(origin)
            outcome = BAD if origin == "again" and ended.count("again") == 1 else OK
            outputs: dict[str, Json] = {"l": ["x", "y", "z"]} if origin == "list" else {}
            if origin.startswith("each"):
                outputs = {"o": origin}
            flying += play.end(origin, outcome, **outputs)
        assert sorted(ended) == sorted(
            [
                *("list", "each[0]", "each[1]", "each[2]", "sub/a", "sub/b", "many[0]/c", "many[1]/c"),
                *("again", "again", "last", "bye", "good"),
            ]
        ), handover
        assert set(play.states().values()) == {"succeeded"}, handover
