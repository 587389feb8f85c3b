"""Runs one scenario on a backend and says everything that differs from what must be."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import define, evolve, field, frozen

from flowcore.backend import Backend
from flowcore.errors import FlowError, GoneError, UsageError
from flowcore.model import Workflow
from flowcore.runs import LogLine, Phase, Rendered, RunHandle, StepState, Update
from flowcore.syntax import Json
from flowcore.testing.scenario import (
    Cancel,
    CancelAfterEnd,
    Delete,
    Expect,
    Fetch,
    GoneByItself,
    Line,
    Mark,
    OtherContent,
    Resume,
    SameKey,
    Scenario,
    State,
    SubmitAgain,
)

MEBIBYTE = 1 << 20


class Mismatch(AssertionError):
    """A run that was not as the scenario says; the message lists all differences."""


class Skip(Exception):
    """There is nothing that this backend has to prove here."""


@frozen
class Driver:
    """How to run scenarios on one backend.

    Attributes:
        backend: the backend.
        deadline: seconds that one run may take before the scenario has failed.
        interval: seconds between two polls.
        clock: seconds by which two of the backend's times may be wrong against each other.
    """

    backend: Backend
    deadline: float = 120.0
    interval: float = 0.05
    clock: float = 0.0

    def run(self, scenario: Scenario) -> None:
        """Run a scenario, or see that it is refused by name. What ran as it must is deleted, where the backend can.

        A backend that lacks a capability which the scenario needs may still be able to run it, where the lowering finds
        a way; then it has to run exactly as on any other backend.

        Raises:
            Mismatch: with every difference.
            Skip: if the backend cannot show what the scenario is about.
        """
        if scenario.must_refuse:
            self._must_refuse(scenario)
            return
        lacking = sorted(scenario.capabilities - self.backend.capabilities)
        if lacking and self.refuses(scenario, lacking):
            return
        if scenario.natively - self.backend.capabilities:
            raise Skip("only a backend with " + ", ".join(sorted(scenario.natively)) + " of its own shows this")
        _Session(self, scenario).play()

    def _must_refuse(self, scenario: Scenario) -> None:
        try:
            self.backend.render(load(scenario), self.params(scenario))
        except UsageError as error:
            missing = [word for word in scenario.must_refuse if word not in str(error)]
            if missing:
                raise Mismatch(f"{scenario.name} is refused, but not for {', '.join(missing)}: {error}") from error
            return
        raise Mismatch(f"{scenario.name} must be refused before it is submitted")

    def refuses(self, scenario: Scenario, words: Sequence[str]) -> bool:
        """Whether the backend refuses a scenario before anything is submitted.

        Raises:
            Mismatch: if it does, in a sentence that names not the backend, or none of ``words``, or neither the step
                nor the field that asks for it.
        """
        workflow = load(scenario)
        try:
            self.backend.render(workflow, self.params(scenario))
        except UsageError as error:
            text = str(error)
            missing = [] if self.backend.name in text else [f"the backend {self.backend.name}"]
            if not any(word in text for word in words):
                missing.append("any of " + ", ".join(words))
            fields = ("parallelism", "timeout", "on_exit", "fail_fast", "outputs")
            if not any(name in text for name in (*workflow.steps, *workflow.on_exit, *fields)):
                missing.append("the step or the field")
            if missing:
                raise Mismatch(f"{scenario.name} is refused, but not by {' nor '.join(missing)}: {text}") from error
            return True
        return False

    def params(self, scenario: Scenario, token: str = "token") -> dict[str, Json]:
        """The params of a scenario with its marks filled in."""
        return {name: self._param(value, token) for name, value in scenario.params.items()}

    def _param(self, value: Json | Mark, token: str) -> Json:
        if value is Mark.UNIQUE:
            return token
        if value is Mark.OVER_LIMIT:
            limit = self.backend.limits.get("output_bytes")
            if limit is None or limit > 16 * MEBIBYTE:
                raise Skip("the backend has no limit of an output's size that is worth reaching")
            return limit + 1
        if isinstance(value, Mark):
            raise TypeError(f"{value} is no param")
        return value


def load(scenario: Scenario) -> Workflow:
    """The scenario's workflow."""
    from flowcore.document import read_document

    return read_document(scenario.document, scenario.name)


@define
class Observed:
    """What a chain of polls has told of a run."""

    steps: dict[str, StepState] = field(factory=dict)
    logs: list[LogLine] = field(factory=list)
    last: Update | None = None
    faults: list[str] = field(factory=list)
    cursor: str = ""

    def take(self, update: Update) -> None:
        """Add an Update, and note what it must not say after those before it (S31)."""
        for name, state in update.steps.items():
            before = self.steps.get(name)
            if before is not None and _rank(state.phase) < _rank(before.phase):
                self.faults.append(f"step {name} went from {before.phase} back to {state.phase}")
            if before is not None and before.phase.ended and state.phase is not before.phase:
                self.faults.append(f"step {name} ended as {before.phase}, and later as {state.phase}")
            self.steps[name] = state
        if self.last is not None and self.last.done and not update.done:
            self.faults.append("the run was done, and then it was not")
        if self.last is not None and self.last.phase.ended and update.phase is not self.last.phase:
            self.faults.append(f"the run ended as {self.last.phase}, and later as {update.phase}")
        size = sum(len(line.line.encode()) for line in update.logs)
        if size > MEBIBYTE:
            self.faults.append(f"one Update held {size} bytes of logs")
        self.logs.extend(update.logs)
        self.last = update
        self.cursor = update.cursor

    def over(self) -> bool:
        """Whether the run is done, and all of it told."""
        return self.last is not None and self.last.done and not self.last.more

    def picture(self) -> str:
        """What is known of the run, for people."""
        if self.last is None:
            return "nothing is known of the run"
        rows = [f"run {self.last.phase} ({self.last.reason}) done={self.last.done} {self.last.message or ''}"]
        for name, state in self.steps.items():
            rows.append(
                f"  {name}: {state.phase} ({state.reason}) attempts={state.attempts} iteration={state.iteration}"
                f" exit_code={state.exit_code} outputs={_short(dict(state.outputs))} {state.message or ''}"
            )
        rows.extend(f"  log {line.step}#{line.attempt} {line.stream}: {_short(line.line)}" for line in self.logs[:20])
        return "\n".join(rows)


def _rank(phase: Phase) -> int:
    return 2 if phase.ended else 1 if phase is Phase.RUNNING else 0


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:280]}... ({len(text)} characters)"


class _Session:
    """One scenario being played: its runs and what was seen of them."""

    def __init__(self, driver: Driver, scenario: Scenario) -> None:
        self.driver = driver
        self.backend = driver.backend
        self.scenario = scenario
        self.workflow = load(scenario)
        self.token = secrets.token_hex(8)
        self.key = secrets.token_hex(8)
        self.params = driver.params(scenario, self.token)
        self.seen = Observed()
        self.runs: list[RunHandle] = []

    def play(self) -> None:
        rendered = self.backend.render(self.workflow, self.params)
        if rendered != self.backend.render(self.workflow, self.params):
            raise Mismatch("render does not give the same twice")
        try:
            handle = self.backend.submit(rendered, self.key)
        except FlowError as error:
            if self.scenario.may_refuse and all(word in str(error) for word in self.scenario.may_refuse):
                return
            raise
        self.runs.append(handle)
        self._round_trip(handle)
        try:
            self._first(handle)
            during = [action for action in self.scenario.actions if isinstance(action, Cancel)]
            for cancel in during:
                self._until(handle, partial(self._ready, cancel), f"step {cancel.step} to be cancelled")
                for _ in range(cancel.times):
                    self.backend.cancel(handle, cancel.now)
            self._follow(handle)
            self._compare(handle, self.scenario.expect)
            for action in self.scenario.actions:
                self._after(action, handle, rendered)
        except BaseException:
            self._stop(handle)
            raise
        self._tidy()

    def _tidy(self) -> None:
        """Delete the runs: a platform that keeps thousands gets slow."""
        for handle in self.runs if self.backend.hooks.has("delete") else ():
            try:
                self.backend.delete(handle)
            except GoneError:
                pass

    def _round_trip(self, handle: RunHandle) -> None:
        if RunHandle.parse(str(handle)) != handle:
            raise Mismatch(f"the handle {handle} does not come back from its text")

    def _stop(self, handle: RunHandle) -> None:
        try:
            self.backend.cancel(handle, True)
        except FlowError:
            pass

    def _poll(self, handle: RunHandle) -> Update:
        update = self.backend.poll(handle, self.seen.cursor, True)
        self.seen.take(update)
        return update

    def _first(self, handle: RunHandle) -> None:
        update = self._poll(handle)
        static = [*self.workflow.steps, *self.workflow.on_exit]
        missing = [name for name in static if name not in update.steps]
        if missing:
            raise Mismatch(f"the first Update lacks {', '.join(missing)}")

    def _until(self, handle: RunHandle, ready: Callable[[], bool], what: str) -> None:
        """Poll until something is so, the run is done, or the time is over."""
        end = time.monotonic() + self.driver.deadline
        while not ready():
            if self.seen.over():
                raise Mismatch(f"the run was over before {what}\n{self.seen.picture()}")
            if time.monotonic() > end:
                raise Mismatch(f"waited {self.driver.deadline:.0f} s for {what}\n{self.seen.picture()}")
            if not self._poll(handle).more:
                time.sleep(self.driver.interval)

    def _ready(self, cancel: Cancel) -> bool:
        state = self.seen.steps.get(cancel.step)
        if state is None or state.phase is not cancel.phase:
            return False
        if cancel.reason is not None and state.reason != cancel.reason:
            return False
        return cancel.line is None or any(
            line.step == cancel.step and line.line == cancel.line for line in self.seen.logs
        )

    def _follow(self, handle: RunHandle) -> None:
        end = time.monotonic() + self.driver.deadline
        while not self.seen.over():
            if time.monotonic() > end:
                raise Mismatch(f"not done after {self.driver.deadline:.0f} s\n{self.seen.picture()}")
            if not self._poll(handle).more and not self.seen.over():
                time.sleep(self.driver.interval)

    def _compare(self, handle: RunHandle, expect: Expect) -> None:
        fresh = Observed()
        end = time.monotonic() + self.driver.deadline
        # It may say once more that it is not done: what it asks for the last lines of a log may be away for a moment.
        while not fresh.over() and time.monotonic() < end:
            update = self.backend.poll(handle, fresh.cursor, True)
            fresh.take(update)
            if not update.more and not fresh.over():
                time.sleep(self.driver.interval)
        again = self.backend.poll(handle, self.seen.cursor, True)
        faults = [
            *self.seen.faults,
            *chain_faults(self.seen, fresh, again, self.driver.clock),
            *faults_of(expect, fresh, self.driver.clock),
        ]
        if faults:
            raise Mismatch("\n".join([f"{self.scenario.name}:", *faults, fresh.picture()]))

    def _after(self, action: object, handle: RunHandle, rendered: Rendered) -> None:
        if isinstance(action, CancelAfterEnd):
            self.backend.cancel(handle)
            self._again(handle, self.scenario.expect)
        elif isinstance(action, SubmitAgain):
            second = evolve(self.scenario, params={**self.scenario.params, **action.params})
            params = self.driver.params(second, self.token)
            other = self.backend.submit(self.backend.render(self.workflow, params))
            self.runs.append(other)
            self._again(other, action.expect)
        elif isinstance(action, SameKey):
            other = self.backend.submit(rendered, self.key)
            if other != handle:
                raise Mismatch(f"the same key and content gave {other}, not {handle}")
        elif isinstance(action, OtherContent):
            self._refused(action)
        elif isinstance(action, Fetch):
            self._fetch(action, handle)
        elif isinstance(action, Delete):
            if self.backend.hooks.has("delete"):
                self.backend.delete(handle)
                self._gone(handle, 0)
        elif isinstance(action, GoneByItself):
            self._gone(handle, self.driver.deadline)
        elif isinstance(action, Resume) and self.backend.hooks.has("resume"):
            resumed = self.backend.resume(handle)
            if resumed != handle:
                self.runs.append(resumed)
            self._again(resumed, action.expect)

    def _again(self, handle: RunHandle, expect: Expect) -> None:
        self.seen = Observed()
        try:
            self._first(handle)
            self._follow(handle)
            self._compare(handle, expect)
        except BaseException:
            self._stop(handle)
            raise

    def _refused(self, action: OtherContent) -> None:
        second = evolve(self.scenario, params={**self.scenario.params, **action.params})
        rendered = self.backend.render(self.workflow, self.driver.params(second, self.token))
        try:
            other = self.backend.submit(rendered, self.key)
        except FlowError as error:
            if error.exit_code != 2:
                raise Mismatch(f"other content under the same key must be refused, not {error!r}") from error
            return
        raise Mismatch(f"other content under the same key must be refused, and gave {other}")

    def _fetch(self, action: Fetch, handle: RunHandle) -> None:
        if not self.backend.hooks.has("artifact"):
            return
        with TemporaryDirectory() as folder:
            place = Path(self.backend.artifact(handle, action.step, action.output, Path(folder) / "fetched"))
            found = {
                str(path.relative_to(place)): path.read_text() for path in sorted(place.rglob("*")) if path.is_file()
            }
            content = found if place.is_dir() else place.read_text()
        if content != action.content:
            raise Mismatch(f"artifact {action.output} of {action.step} is {content!r}, not {action.content!r}")

    def _gone(self, handle: RunHandle, within: float) -> None:
        end = time.monotonic() + within
        while True:
            try:
                self.backend.poll(handle)
            except GoneError:
                return
            if time.monotonic() > end:
                raise Mismatch(f"{handle} must be gone")
            time.sleep(self.driver.interval)


def chain_faults(chain: Observed, fresh: Observed, again: Update, clock: float = 0.0) -> Iterator[str]:
    """How a chain of cursors differs from one poll of everything (S30, S31).

    A platform may write a time once more when all is over: Tekton's controller, after a conflict, puts a second
    completionTime over the first (RetryUpdateConflicts of knative.dev/pkg), within the seconds of ``clock``.
    """
    if chain.steps != fresh.steps:
        for name in chain.steps.keys() | fresh.steps.keys():
            one, other = chain.steps.get(name), fresh.steps.get(name)
            if one is None or other is None or not _alike(one, other, clock):
                yield f"step {name} by the chain of cursors: {one}; by one poll of everything: {other}"
    streams = _streams(fresh.logs)
    # What a platform has lost meanwhile is a gap now, whatever the chain has had of it.
    whole = {key: texts for key, texts in streams.items() if "<gap>" not in texts}
    for key, texts in _streams(chain.logs).items():
        if key not in streams or texts != whole.get(key, texts):
            yield f"log of {key} by the chain of cursors differs: {_short(texts)}"
    for key in whole.keys() - _streams(chain.logs).keys():
        yield f"log of {key} did not come along the chain of cursors"
    if again.steps or again.logs:
        yield f"a poll after the last one gave more: {_short(dict(again.steps))} {_short(again.logs)}"


def _alike(one: StepState, other: StepState, clock: float) -> bool:
    """Whether two states are the same, but for the seconds by which times may be wrong."""
    times = zip((one.started, one.finished), (other.started, other.finished), strict=True)
    if any((a is None) is not (b is None) or abs((a or 0.0) - (b or 0.0)) > clock for a, b in times):
        return False
    return evolve(one, started=other.started, finished=other.finished) == other


def _streams(logs: Sequence[LogLine]) -> dict[tuple[str, int, str | None], list[str]]:
    found: dict[tuple[str, int, str | None], list[str]] = {}
    for line in logs:
        found.setdefault((line.step, line.attempt, line.stream), []).append("<gap>" if line.gap else line.line)
    return found


def faults_of(expect: Expect, seen: Observed, clock: float = 0.0) -> Iterator[str]:
    """Every difference between a run that is over and what was expected of it."""
    last = seen.last
    assert last is not None
    if last.phase is not expect.phase:
        yield f"the run is {last.phase} ({last.message}), not {expect.phase}"
    if expect.reason is not Mark.ANY and last.reason != expect.reason:
        yield f"the run's reason is {last.reason}, not {expect.reason}"
    if not same(dict(expect.outputs), dict(last.outputs)):
        yield f"the run's outputs are {_short(dict(last.outputs))}, not {_short(dict(expect.outputs))}"
    if last.phase in (Phase.FAILED, Phase.ERROR) and not last.message:
        yield "the run has no message"
    for name in expect.steps.keys() - seen.steps.keys():
        yield f"step {name} is missing"
    for name in seen.steps.keys() - expect.steps.keys():
        yield f"step {name} must not be there"
    for name in expect.steps.keys() & seen.steps.keys():
        state, wanted = seen.steps[name], expect.steps[name]
        said = "\n".join([state.message or "", *(line.line for line in seen.logs if line.step == name)])
        options = [list(_state_faults(option, state, said)) for option in (wanted, *wanted.alternatives)]
        if all(options):
            yield from (f"step {name}: {fault}" for fault in options[0])
        yield from (f"step {name}: {fault}" for fault in _time_faults(state))
    for name, wanted_lines in expect.logs.items():
        yield from (f"log of {name}: {fault}" for fault in _log_faults(wanted_lines, seen.logs, name))
    yield from _order_faults(expect, seen.steps, clock)


def _state_faults(wanted: State, state: StepState, said: str) -> Iterator[str]:
    if state.phase is not wanted.phase:
        yield f"{state.phase} ({state.reason}: {state.message}), not {wanted.phase}"
    for what in ("reason", "attempts", "exit_code", "iteration"):
        found, expected = getattr(state, what), getattr(wanted, what)
        if expected is not Mark.ANY and found != expected:
            yield f"{what} is {found!r}, not {expected!r}"
    if not same(dict(wanted.outputs), dict(state.outputs)):
        yield f"outputs are {_short(dict(state.outputs))}, not {_short(dict(wanted.outputs))}"
    if wanted.message not in said:
        yield f"neither the message {state.message!r} nor the log names {wanted.message!r}"
    if state.phase in (Phase.FAILED, Phase.ERROR) and not state.message:
        yield "it has no message"


def _time_faults(state: StepState) -> Iterator[str]:
    if not state.phase.ended:
        yield f"still {state.phase}"
    if state.attempts and state.phase in (Phase.SUCCEEDED, Phase.FAILED):
        if state.started is None or state.finished is None:
            yield "it ran, and has no times"
        elif state.finished < state.started:
            yield "it ended before it started"


def same(expected: Any, found: Any) -> bool:
    """Whether a value is the expected one: JSON's equality, which keeps true and 1 apart, and marks."""
    if expected is Mark.ANY:
        return True
    if expected is Mark.ARTIFACT:
        return isinstance(found, str)
    if isinstance(expected, Mapping):
        return (
            isinstance(found, Mapping)
            and expected.keys() == found.keys()
            and all(same(value, found[key]) for key, value in expected.items())
        )
    if isinstance(expected, (list, tuple)):
        return (
            isinstance(found, (list, tuple))
            and len(expected) == len(found)
            and all(same(one, other) for one, other in zip(expected, found, strict=True))
        )
    if isinstance(expected, bool) or isinstance(found, bool):
        return expected is found
    if isinstance(expected, (int, float)) != isinstance(found, (int, float)):
        return False
    return bool(expected == found)


def _log_faults(wanted: Sequence[Line], logs: Sequence[LogLine], name: str) -> Iterator[str]:
    found = [line for line in logs if line.step == name]
    if any(line.gap for line in found):
        yield "lines were lost"
    for attempt in sorted({line.attempt for line in wanted} | {line.attempt for line in found}):
        ours = [line for line in wanted if line.attempt == attempt]
        theirs = [line for line in found if line.attempt == attempt]
        if any(line.stream is None for line in theirs):
            # A platform that merges the streams keeps the order within each only.
            one, other = sorted(line.line for line in ours), sorted(line.line for line in theirs)
            if len({line.stream for line in ours}) == 1:
                one, other = [line.line for line in ours], [line.line for line in theirs]
            pairs = [("", one, other)]
        else:
            pairs = [
                (
                    stream,
                    [line.line for line in ours if line.stream == stream],
                    [line.line for line in theirs if line.stream == stream],
                )
                for stream in ("stdout", "stderr")
            ]
        for stream, one, other in pairs:
            if stream == "stderr" and not one:
                continue  # a shell may say why it failed; nobody promised that it does not
            if one != other:
                at = next((index for index, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
                where = f"{len(other)} lines, not {len(one)}" if at is None else f"line {at} differs"
                at = at or 0
                near = f"{_short(other[at : at + 3])}, not {_short(one[at : at + 3])}"
                yield f"attempt {attempt} {stream}: {where}: {near}"


def _order_faults(expect: Expect, steps: Mapping[str, StepState], clock: float) -> Iterator[str]:
    def times(name: str) -> tuple[float, float]:
        state = steps.get(name)
        if state is None or state.started is None or state.finished is None:
            raise Mismatch(f"step {name} has no times")
        return state.started, state.finished

    for first, second in expect.order:
        if times(second)[0] < times(first)[1] - clock:
            yield f"step {second} started before {first} had ended"
    for first, second in expect.ends:
        if times(second)[1] < times(first)[1] - clock:
            yield f"step {second} ended before {first}"
    for first, second in expect.together:
        if max(times(first)[0], times(second)[0]) > min(times(first)[1], times(second)[1]) + clock:
            yield f"steps {first} and {second} did not run at the same time"
    spans = sorted((*times(name), name) for name in expect.apart)
    for (_, end, one), (start, _, other) in pairwise(spans):
        if start < end - clock:
            yield f"steps {one} and {other} ran at the same time"
