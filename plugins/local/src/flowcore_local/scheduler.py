"""What happens next in a run: the rules of the semantics (S1 to S26) as pure decisions.

No I/O and no clock: the engine says what happened and when, and the scheduler says what to start, what to stop and
what to write down. Values of steps that ended are asked of a ``Memory``, so that a run costs memory only for what it
runs, not for what it has done.
"""

from __future__ import annotations

import heapq
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Protocol
from typing import Literal as OneOf

from attrs import Factory, frozen

from flowcore.plugin import (
    MISSING,
    ConfigMapKey,
    EvaluationError,
    Json,
    Missing,
    Need,
    Nested,
    Phase,
    Python,
    Reason,
    Ref,
    Script,
    SecretKey,
    Step,
    Value,
    Workflow,
    effective_fail_fast,
    effective_needs,
    evaluate,
    misfit,
    references,
    resolve,
    resolve_text,
)
from flowcore.plugin import Container as ContainerAction
from flowcore_local.options import PENDING_TIMEOUT

Lookup = Callable[[Ref], Json]
Stop = OneOf["timeout", "run-timeout", "cancelled", "out-of-memory"]

_INDEX: Final = re.compile(r"\[[0-9]+\]")
ON_EXIT_TIMEOUT: Final = 600.0
"""Seconds an on_exit step has unless it says otherwise (S23)."""


class Memory(Protocol):
    """What the scheduler remembers elsewhere: outputs by origin, and earlier successes by key."""

    def outputs(self, origin: str) -> Mapping[str, Json]: ...

    def keep(self, origin: str, outputs: Mapping[str, Json]) -> None: ...

    def gather(self, origin: str, output: str, places: list[str]) -> str:
        """A folder with the artifacts of a foreach as its entries ``0``, ``1``, ... (S19)."""

    def cached(self, step: str, key: str, max_age: float | None, now: float) -> Mapping[str, Json] | None: ...

    def remember(self, step: str, key: str, outputs: Mapping[str, Json], now: float) -> None: ...


class MissingOutput(Exception):
    """A reference to an output that does not exist and has no default (S6)."""


@frozen
class Outcome:
    """How an attempt ended, before anything that was asked of it meanwhile (a cancel, a timeout) is regarded."""

    phase: Phase
    reason: Reason | None = None
    message: str | None = None
    exit_code: int | None = None
    outputs: Mapping[str, Json] = Factory(dict)


@frozen
class Saved:
    """A unit as the store knows it: what a scheduler needs to go on where another one stopped."""

    phase: Phase
    reason: Reason | None
    message: str | None
    attempts: int
    base: int
    iteration: int | None
    started: float | None
    finished: float | None
    exit_code: int | None
    items: int | None
    due: float | None


class Unit:
    """A step, an item of a foreach, or a nested step of the run. Compact, since a run may have 100,000 of them."""

    __slots__ = (
        "active",
        "attempts",
        "base",
        "bay",
        "dependents",
        "due",
        "exit_code",
        "failed_item",
        "finished",
        "flight",
        "flying",
        "group",
        "held",
        "index",
        "inner",
        "item",
        "items",
        "iteration",
        "key",
        "left",
        "list",
        "live",
        "log",
        "message",
        "name",
        "next",
        "origin",
        "parked",
        "phase",
        "queued",
        "reason",
        "scope",
        "seq",
        "started",
        "step",
        "stop",
        "stopped_item",
        "waiting",
        "wrote",
    )

    def __init__(self, scope: Scope, name: str, step: Step, origin: str, group: Unit | None = None) -> None:
        self.scope = scope
        self.name = name
        self.step = step
        self.origin = origin
        self.group = group
        self.phase = Phase.PENDING
        self.reason: Reason | None = None
        self.message: str | None = None
        self.attempts = 0
        self.base = 0
        self.iteration: int | None = None
        self.started: float | None = None
        self.finished: float | None = None
        self.exit_code: int | None = None
        self.items: int | None = None
        self.due: float | None = None
        self.waiting = 0
        self.dependents: list[tuple[Unit, Need]] | None = None
        self.flying = False
        """An attempt of it runs."""
        self.flight = 0
        """Which one, so that a timer of an earlier attempt is no mistake."""
        self.queued = False
        self.held = 0
        """Whether it waits for what its next attempt needs; of a foreach, how many of its items do."""
        self.seq = 0
        self.bay = 0
        self.log = 0
        self.wrote = (0, 0)
        """The engine's: numbers of the attempt that runs, its bay and its logs, and what was in these before."""
        self.stop: Stop | None = None
        self.key: str | None = None
        self.inner: Scope | None = None
        # Of an item:
        self.index: int | None = None
        self.item: Json = None
        # Of a foreach:
        self.list: list[Json] | None = None
        self.next = 0
        self.left = 0
        self.active = 0
        self.live: dict[int, Unit] | None = None
        self.parked: deque[Unit] | None = None
        """Items whose wait is over, but the foreach's parallelism is used up."""
        self.failed_item: str | None = None
        self.stopped_item: Reason | None = None

    @property
    def each(self) -> bool:
        """Whether it is a foreach step (its items are not)."""
        return self.group is None and self.step.foreach is not MISSING

    @property
    def exiting(self) -> bool:
        return self.scope.exiting

    @property
    def where(self) -> str:
        """The step's name without the indices of items."""
        return _INDEX.sub("", self.origin) if "[" in self.origin else self.origin


class Scope:
    """One workflow that runs: the whole one, its on_exit, or a nested one (once for each time it is started)."""

    def __init__(
        self, workflow: Workflow, steps: Mapping[str, Step], prefix: str, params: Mapping[str, Json], owner: Unit | None
    ) -> None:
        self.workflow = workflow
        self.params = params
        self.owner = owner
        self.exiting = False
        self.units = {name: Unit(self, name, step, prefix + name) for name, step in steps.items()}
        self.left = len(self.units)
        self.failed: str | None = None
        self.failed_reason: Reason | None = None
        self.stopped: Reason | None = None
        self.fast = effective_fail_fast(workflow)
        self.swept = False


@frozen
class _Items:
    """Stands in the queue for all items of a foreach that have not started."""

    group: Unit


def needs_met(need: Need, unit: Unit) -> bool:
    """Whether a step that ended meets a need (S1, S2)."""
    phase, reason = unit.phase, unit.reason
    if need == "finished":
        return phase is not Phase.CANCELLED
    if need == "failed":
        return phase is Phase.FAILED
    if need == "succeeded":
        return phase is Phase.SUCCEEDED
    skipped = phase is Phase.SKIPPED and reason in ("when", "empty")
    if need == "skipped":
        return skipped
    return phase is Phase.SUCCEEDED or skipped or (_failing(unit) and unit.step.continue_on_failure)


def _failing(unit: Unit) -> bool:
    return unit.phase in (Phase.FAILED, Phase.ERROR)


def reads(step: Step) -> Iterator[Ref]:
    """Every reference of a step to another step's output (S6)."""
    for ref in _all_references(step):
        if ref.kind == "output":
            yield ref


def _all_references(step: Step) -> Iterator[Ref]:
    values: list[Value] = []
    if step.when is not None:
        yield from references(step.when)
    if step.foreach is not MISSING:
        values.append(step.foreach)
    if step.image is not None:
        values.append(step.image)
    values.extend(text for text in step.env.values() if not isinstance(text, (SecretKey, ConfigMapKey)))
    if step.cache is not None:
        values.append(step.cache.key)
    action = step.action
    if isinstance(action, ContainerAction):
        values.extend(action.command or ())
        values.extend(action.args)
    elif isinstance(action, Script):
        values.extend(action.args)
    elif isinstance(action, (Python, Nested)):
        values.extend(action.args.values())
    for value in values:
        if not isinstance(value, (str, int, float)):
            yield from references(value)


class Scheduler:
    """The state of one run.

    The engine calls ``begin`` or ``restore`` once, then ``ended``, ``cancel``, ``tick`` as things happen, and takes
    what is to be done from ``take`` (attempts to start), ``stops`` (attempts to end) and ``changed`` (units to record).
    """

    def __init__(
        self, workflow: Workflow, memory: Memory, *, run_id: str, slots: int, pending_timeout: float = PENDING_TIMEOUT
    ) -> None:
        self.workflow = workflow
        self.memory = memory
        self.run_id = run_id
        self.pending_timeout = pending_timeout
        self.slots = workflow.parallelism if workflow.parallelism is not None else slots
        self.running = 0
        self.cancelled = False
        self.timed_out = False
        self.started = 0.0
        self.top = Scope(workflow, workflow.steps, "", {}, None)
        self.exit: Scope | None = None
        self.done = False
        self.changed: dict[str, Unit] = {}
        self.stops: deque[Unit] = deque()
        self._queue: deque[Unit | _Items] = deque()
        self._exit_queue: deque[Unit] = deque()
        self._ready: deque[Unit] = deque()
        self._ended: deque[Unit] = deque()
        self._timers: list[tuple[float, int, str, Unit | None, int]] = []
        self._saved: Mapping[str, Saved] = {}
        self._flying: list[Unit] = []
        self._count = 0
        self._killing_exit = False

    # What happens to the run

    def begin(self, now: float) -> None:
        """Start the run."""
        self._open_run(now, now)

    def restore(
        self,
        records: Mapping[str, Saved],
        started: float,
        now: float,
        *,
        timed_out: bool = False,
        cancelled: bool = False,
        at_once: bool = False,
    ) -> list[Unit]:
        """Go on with a run from its records; returns the units whose attempt was running, for the engine to adopt."""
        self.timed_out = timed_out
        self.cancelled = cancelled
        self._saved = records
        self._killing_exit = at_once
        self._open_run(started, now)
        if self.exit is None and (cancelled or timed_out):
            self._stop_scope(self.top, "cancelled" if cancelled else "run-timeout", now)
            self._settle(now)
        elif self.exit is not None and at_once:
            self._stop_scope(self.exit, "cancelled", now)
            self._settle(now)
        self._saved = {}
        flying, self._flying = self._flying, []
        return flying

    def _open_run(self, started: float, now: float) -> None:
        self.started = started
        if self.workflow.timeout is not None and not self.timed_out:
            self._timer(started + self.workflow.timeout, "run", None)
        self._open(self.top, now)
        self._settle(now)

    def ended(self, unit: Unit, outcome: Outcome, now: float) -> None:
        """An attempt ended."""
        self._land(unit)
        if unit.phase.ended:
            return
        if unit.stop in ("cancelled", "run-timeout"):
            reason: Reason = "cancelled" if unit.stop == "cancelled" else "run-timeout"
            self._end(unit, Phase.CANCELLED, reason, now, exit_code=outcome.exit_code)
            return
        stop, unit.stop = unit.stop, None
        if stop == "timeout":
            limit = self._timeout(unit)
            outcome = Outcome(Phase.FAILED, "timeout", f"it ran longer than {limit:g} s")
        elif stop == "out-of-memory":
            limit_text = unit.step.resources.get("memory", "")
            outcome = Outcome(Phase.FAILED, "out-of-memory", f"it used more memory than {limit_text}")
        if outcome.phase is Phase.SUCCEEDED:
            self._succeeded(unit, outcome, now)
        else:
            self._failed(unit, outcome, now)

    def withdrawn(self, unit: Unit, outcome: Outcome, now: float) -> None:
        """An attempt that never began, because what it needs cannot be made (an expression): no retry helps."""
        self._land(unit)
        unit.attempts -= 1
        if not unit.attempts:
            unit.started = None
        self._end(unit, outcome.phase, outcome.reason, now, message=outcome.message)

    def hold(self, unit: Unit, reason: Reason, message: str, now: float) -> None:
        """An attempt that cannot begin yet: it waits for what it needs, without a slot, but not for ever (S13b)."""
        self._land(unit)
        unit.attempts -= 1
        if unit.attempts == unit.base and (unit.iteration or 1) == 1:
            unit.phase = Phase.PENDING
            unit.started = unit.iteration = None
        unit.held = 1
        if unit.group is not None:
            # One item waits for all: the others are not made before it is known whether they could run.
            unit.group.held += 1
        self._timer(now + self._patience(unit), "pending", unit)
        self.told(unit, reason, message)

    def told(self, unit: Unit, reason: Reason, message: str) -> None:
        """How far it is with what a unit waits for."""
        if unit.held and not unit.phase.ended:
            unit.reason, unit.message = reason, message
            self.changed[unit.origin] = unit

    def admit(self, unit: Unit) -> None:
        """A unit may try again: what it waited for is there, or is known never to come."""
        if unit.held and not unit.phase.ended:
            self._unhold(unit)
            self._enqueue(unit)
            if unit.group is not None:
                self._offer(unit.group)

    @staticmethod
    def _unhold(unit: Unit) -> None:
        if unit.held:
            unit.held = 0
            if unit.group is not None:
                unit.group.held -= 1

    def _patience(self, unit: Unit) -> float:
        limit = unit.step.pending_timeout
        if limit is None:
            limit = unit.scope.workflow.defaults.pending_timeout
        return self.pending_timeout if limit is None else limit

    def cancel(self, now: float, at_once: bool = False) -> None:
        """A cancel was recorded (S25)."""
        if not self.cancelled:
            self.cancelled = True
            if self.exit is None:
                self._stop_scope(self.top, "cancelled", now)
        if at_once and not self._killing_exit:
            self._killing_exit = True
            if self.exit is not None:
                self._stop_scope(self.exit, "cancelled", now)
        self._settle(now)

    def tick(self, now: float) -> None:
        """Time has come: retries, delays, timeouts."""
        while self._timers and self._timers[0][0] <= now:
            _, _, kind, unit, flight = heapq.heappop(self._timers)
            if kind == "run":
                self._run_timeout(now)
            elif unit is None or unit.phase.ended:
                continue
            elif kind == "pending":
                if unit.held and unit.flight == flight:
                    self._gave_up(unit, now)
            elif kind == "timeout":
                if unit.flying and unit.flight == flight and unit.stop is None:
                    unit.stop = "timeout"
                    self.stops.append(unit)
            elif unit.due is not None and not unit.flying and not unit.queued:
                self._awake(unit)
        self._settle(now)

    def _gave_up(self, unit: Unit, now: float) -> None:
        """What an attempt needs did not come in time: it counts as one that could not begin."""
        self._unhold(unit)
        unit.attempts += 1
        message = f"it did not begin within {self._patience(unit):g} s: {unit.message}"
        self._failed(unit, Outcome(Phase.ERROR, unit.reason, message), now)

    def settle(self, now: float) -> None:
        """Draw all conclusions from what happened."""
        self._settle(now)

    def next_due(self) -> float | None:
        """When ``tick`` has something to do, in seconds since the epoch."""
        return self._timers[0][0] if self._timers else None

    def exceeded(self, unit: Unit) -> None:
        """An attempt uses more memory than its step may."""
        if unit.flying and unit.stop is None:
            unit.stop = "out-of-memory"
            self.stops.append(unit)

    # What is to be done

    def waits_for_slot(self) -> bool:
        """Whether ``take`` has more to give at once."""
        return bool(self._exit_queue) or (bool(self._queue) and self._free())

    def _free(self) -> bool:
        return self.slots <= 0 or self.running < self.slots

    def take(self, now: float, most: int) -> list[Unit]:
        """Up to ``most`` units whose next attempt starts now; each is marked as running."""
        taken: list[Unit] = []
        while self._exit_queue and len(taken) < most:
            self._launch(self._exit_queue.popleft(), taken, now)
        while self._queue and self._free() and len(taken) < most:
            entry = self._queue[0]
            if isinstance(entry, _Items):
                unit = self._next_item(entry.group, now)
                if unit is None:
                    self._queue.popleft()
                    entry.group.queued = False
                    continue
                if isinstance(unit.step.action, Nested):
                    # Its steps go before the next item, so that no more of them wait than can run.
                    self._queue.rotate(-1)
                    self._start_nested(unit, now)
                    self._settle(now)
                    continue
                if self._answer(unit, now):
                    self._settle(now)
                    continue
            else:
                self._queue.popleft()
                unit = entry
            self._launch(unit, taken, now)
        return taken

    def _launch(self, unit: Unit, taken: list[Unit], now: float) -> None:
        unit.queued = False
        if unit.phase.ended:
            return
        unit.phase = Phase.RUNNING
        unit.reason = None
        unit.message = None
        unit.due = None
        unit.exit_code = None
        unit.attempts += 1
        if unit.step.repeat is not None and unit.iteration is None:
            unit.iteration = 1
        if unit.started is None:
            unit.started = now
        self._fly(unit)
        self.changed[unit.origin] = unit
        taken.append(unit)

    def _fly(self, unit: Unit) -> None:
        self._count += 1
        unit.flight = self._count
        unit.flying = True
        if not unit.exiting:
            self.running += 1

    def time(self, unit: Unit, began: float) -> None:
        """The process of a unit's attempt began: from now on its timeout counts (S13)."""
        limit = self._timeout(unit)
        if limit is not None:
            self._timer(began + limit, "timeout", unit)

    def _timeout(self, unit: Unit) -> float | None:
        limit = unit.step.timeout
        if limit is None:
            limit = unit.scope.workflow.defaults.timeout
        return ON_EXIT_TIMEOUT if limit is None and unit.exiting else limit

    def _land(self, unit: Unit) -> None:
        if unit.flying:
            unit.flying = False
            if not unit.exiting:
                self.running -= 1

    # Values

    def lookup(self, unit: Unit, own: Lookup | None = None) -> Lookup:
        """What the references of a unit stand for; ``own`` answers for its own outputs.

        The lookup raises ``MissingOutput`` for an output that does not exist.
        """
        scope = unit.scope

        def find(ref: Ref) -> Json:
            kind = ref.kind
            if kind == "output":
                value = self._output(scope.units[ref.step], ref.name)
                if isinstance(value, Missing):
                    raise MissingOutput(f"{ref.step}.{ref.name}")
                return value
            if kind == "item":
                return unit.item
            if kind == "param":
                return scope.params[ref.name]
            if kind == "own" and own is not None:
                return own(ref)
            if kind == "iteration":
                return unit.iteration
            if kind == "run.id":
                return self.run_id
            if kind == "workflow.name":
                return self.workflow.name
            if kind == "run.phase":
                return self.run_phase()
            raise EvaluationError(f"{kind} has no value here")

        return find

    def run_phase(self) -> str:
        """What on_exit reads (S24)."""
        bad = self.cancelled or self.timed_out or self.top.failed is not None
        return "failed" if bad else "succeeded"

    def _output(self, unit: Unit, name: str) -> Json | Missing:
        kept = unit.phase is Phase.SUCCEEDED or unit.reason == "empty"
        if unit.each and unit.phase is Phase.FAILED and unit.step.continue_on_failure:
            kept = True
        if kept:
            outputs = self.memory.outputs(unit.origin)
            if name in outputs:
                return outputs[name]
        declared = unit.step.outputs.get(name)
        return declared.default if declared is not None and not unit.each else MISSING

    # The order of decisions (S4)

    def _open(self, scope: Scope, now: float) -> None:
        """Begin with the steps of a workflow, or go on with them."""
        for unit in scope.units.values():
            if scope.exiting:
                needs: Mapping[str, Need] = {}
            else:
                needs = effective_needs(unit.step)
            unit.waiting = len(needs)
            for name, need in needs.items():
                other = scope.units[name]
                if other.dependents is None:
                    other.dependents = []
                other.dependents.append((unit, need))
        if self._saved:
            self._reenter(scope, now)
        for unit in scope.units.values():
            if unit.phase is Phase.PENDING and unit.waiting == 0:
                self._ready.append(unit)
        if not scope.units:
            self._close(scope, now)

    def _reenter(self, scope: Scope, now: float) -> None:
        running: list[Unit] = []
        for unit in scope.units.values():
            record = self._saved.get(unit.origin)
            if record is None or unit.phase.ended:
                continue
            self._recall(unit, record)
            if record.phase.ended:
                self._ended.append(unit)
            elif record.phase is Phase.RUNNING:
                running.append(unit)
        # Conclusions first: outputs of ended steps are read by the lists and args of running ones.
        for unit in running:
            if unit.each:
                self._start_items(unit, now)
            elif isinstance(unit.step.action, Nested):
                self._start_nested(unit, now)
            else:
                self._resume_leaf(unit)

    @staticmethod
    def _recall(unit: Unit, record: Saved) -> None:
        unit.phase = record.phase
        unit.reason = record.reason
        unit.message = record.message
        unit.attempts = record.attempts
        unit.base = record.base
        unit.iteration = record.iteration
        unit.started = record.started
        unit.finished = record.finished
        unit.exit_code = record.exit_code
        unit.items = record.items
        unit.due = record.due

    def _resume_leaf(self, unit: Unit) -> None:
        if unit.step.cache is not None:
            unit.key = self._cache_key(unit)
        if unit.due is not None:
            self._timer(unit.due, "due", unit)
            self._release(unit)
        else:
            self._fly(unit)
            self._flying.append(unit)

    def again(self, unit: Unit, now: float) -> None:
        """An attempt that was recorded but never began begins now, under the same number."""
        self._land(unit)
        unit.attempts -= 1
        unit.due = now
        self.changed[unit.origin] = unit
        self._enqueue(unit)

    def _decide(self, unit: Unit, now: float) -> None:
        """Missing outputs, when, the list, the cache; then it waits for a slot."""
        step = unit.step
        find = self.lookup(unit)
        try:
            for ref in reads(step):
                find(ref)
            if step.when is not None and evaluate(step.when, find) is not True:
                self._end(unit, Phase.SKIPPED, "when", now)
                return
            if unit.each:
                self._start_items(unit, now)
                return
            if isinstance(step.action, Nested):
                self._start_nested(unit, now)
                return
        except MissingOutput:
            self._end(unit, Phase.SKIPPED, "needs", now)
            return
        except EvaluationError as error:
            self._end(unit, Phase.ERROR, "expression", now, message=str(error))
            return
        if not self._answer(unit, now):
            self._enqueue(unit)

    def _cache_key(self, unit: Unit) -> str | None:
        if unit.step.cache is None:
            return None
        return resolve_text(unit.step.cache.key, self.lookup(unit))

    def _answer(self, unit: Unit, now: float) -> bool:
        """Whether the cache answered for the unit, or its key could not be made."""
        cache = unit.step.cache
        if cache is None:
            return False
        try:
            unit.key = self._cache_key(unit)
        except EvaluationError as error:
            self._end(unit, Phase.ERROR, "expression", now, message=str(error))
            return True
        found = self.memory.cached(unit.where, unit.key or "", cache.max_age, now)
        if found is None:
            return False
        self.memory.keep(unit.origin, found)
        unit.started = now
        self._end(unit, Phase.SUCCEEDED, "cached", now)
        return True

    def _enqueue(self, unit: Unit) -> None:
        unit.queued = True
        if unit.exiting:
            self._exit_queue.append(unit)
        else:
            self._queue.append(unit)

    # foreach

    def _start_items(self, unit: Unit, now: float) -> None:
        values = resolve(unit.step.foreach, self.lookup(unit))  # type: ignore[arg-type]
        if not isinstance(values, list):
            raise EvaluationError(f"foreach needs a list, and got {_kind(values)}")
        unit.items = len(values)
        if not values:
            names = unit.step.outputs.items()
            outputs: dict[str, Json] = {name: [] for name, output in names if not output.artifact}
            for name, output in names:
                if output.artifact:
                    outputs[name] = self.memory.gather(unit.origin, name, [])
            if isinstance(unit.step.action, Nested):
                outputs = {name: [] for name in unit.step.action.workflow.outputs}
            self.memory.keep(unit.origin, outputs)
            self._end(unit, Phase.SKIPPED, "empty", now)
            return
        unit.list = values
        unit.left = len(values)
        unit.live = {}
        if unit.phase is Phase.PENDING:
            unit.phase = Phase.RUNNING
            unit.started = now
            self.changed[unit.origin] = unit
        if self._saved:
            self._reenter_items(unit, values, now)
        self._offer(unit)

    def _reenter_items(self, unit: Unit, values: list[Json], now: float) -> None:
        assert unit.live is not None
        known = [(index, self._saved.get(f"{unit.origin}[{index}]")) for index in range(len(values))]
        unit.next = next((index for index, record in reversed(known) if record is not None), -1) + 1
        for index, record in known[: unit.next]:
            item = self._item(unit, index)
            if record is not None:
                self._recall(item, record)
            if item.phase is Phase.PENDING:
                if isinstance(item.step.action, Nested):
                    self._start_nested(item, now)
                else:
                    self._enqueue(item)
            elif item.phase.ended:
                self._ended.append(item)
            elif isinstance(item.step.action, Nested):
                self._start_nested(item, now)
            else:
                self._resume_leaf(item)

    def _offer(self, unit: Unit) -> None:
        """Put the foreach into the queue if one more of its items may start."""
        assert unit.list is not None
        while unit.parked and not self._full(unit):
            self._admit(unit.parked.popleft())
        if unit.queued or unit.next >= len(unit.list) or self._full(unit):
            return
        unit.queued = True
        self._queue.append(_Items(unit))

    @staticmethod
    def _full(unit: Unit) -> bool:
        return unit.held > 0 or (unit.step.parallelism is not None and unit.active >= unit.step.parallelism)

    def _item(self, unit: Unit, index: int) -> Unit:
        assert unit.list is not None
        assert unit.live is not None
        item = Unit(unit.scope, unit.name, unit.step, f"{unit.origin}[{index}]", unit)
        item.index = index
        item.item = unit.list[index]
        unit.live[index] = item
        unit.active += 1
        return item

    def _next_item(self, unit: Unit, now: float) -> Unit | None:
        if unit.phase.ended or unit.list is None or unit.next >= len(unit.list) or self._full(unit):
            return None
        item = self._item(unit, unit.next)
        unit.next += 1
        return item

    def _item_ended(self, item: Unit, now: float) -> None:
        unit = item.group
        assert unit is not None
        assert unit.live is not None
        assert item.index is not None
        unit.live.pop(item.index, None)
        self._unhold(item)
        self._release(item)
        unit.left -= 1
        if item.phase is Phase.CANCELLED:
            unit.stopped_item = unit.stopped_item or item.reason or "cancelled"
        elif item.phase is not Phase.SUCCEEDED:
            unit.failed_item = unit.failed_item or item.origin
        if unit.left:
            self._offer(unit)
            return
        if unit.stopped_item is not None:
            self._end(unit, Phase.CANCELLED, unit.stopped_item, now)
            return
        if unit.failed_item is None or unit.step.continue_on_failure:
            self.memory.keep(unit.origin, self._fan_in(unit))
        if unit.failed_item is None:
            self._end(unit, Phase.SUCCEEDED, None, now)
        else:
            self._end(unit, Phase.FAILED, item.reason, now, message=f"{unit.failed_item} failed")

    def _fan_in(self, unit: Unit) -> dict[str, Json]:
        """The lists that readers of a foreach get (S16, S18, S19)."""
        action = unit.step.action
        declared: Iterable[str] = action.workflow.outputs if isinstance(action, Nested) else unit.step.outputs
        lists: dict[str, list[Json] | None] = {name: [] for name in declared}
        if not lists:
            return {}
        for index in range(unit.items or 0):
            found = self.memory.outputs(f"{unit.origin}[{index}]")
            for name, values in lists.items():
                if values is None:
                    continue
                output = unit.step.outputs.get(name)
                value = found.get(name, output.default if output is not None else MISSING)
                if isinstance(value, Missing):
                    lists[name] = None
                else:
                    values.append(value)
        result: dict[str, Json] = {}
        for name, values in lists.items():
            output = unit.step.outputs.get(name)
            if values is not None and output is not None and output.artifact:
                result[name] = self.memory.gather(unit.origin, name, [str(value) for value in values])
            elif values is not None:
                result[name] = list(values)
        return result

    # nested

    def _start_nested(self, unit: Unit, now: float) -> None:
        action = unit.step.action
        assert isinstance(action, Nested)
        inner = action.workflow
        try:
            find = self.lookup(unit)
            params: dict[str, Json] = {}
            for name, param in inner.params.items():
                if name in action.args:
                    value = resolve(action.args[name], find)
                    fault = misfit(value, param.type)
                    if fault is not None:
                        raise EvaluationError(f"args.{name} is {fault}, and must be of type {param.type}")
                    params[name] = value
                elif not isinstance(param.default, Missing):
                    params[name] = param.default
        except EvaluationError as error:
            if unit.group is None:
                raise
            self._end(unit, Phase.ERROR, "expression", now, message=str(error))
            return
        if unit.phase is Phase.PENDING:
            unit.phase = Phase.RUNNING
            unit.started = now
            self.changed[unit.origin] = unit
        unit.inner = Scope(inner, inner.steps, unit.origin + "/", params, unit)
        self._open(unit.inner, now)

    def _step_ended(self, unit: Unit, now: float) -> None:
        scope = unit.scope
        scope.left -= 1
        if unit.phase is Phase.CANCELLED:
            scope.stopped = scope.stopped or unit.reason or "cancelled"
        elif _failing(unit) and not unit.step.continue_on_failure and scope.failed is None:
            scope.failed = unit.origin
            scope.failed_reason = unit.reason
        for other, need in unit.dependents or ():
            if other.phase is not Phase.PENDING:
                continue
            if needs_met(need, unit):
                other.waiting -= 1
                if other.waiting == 0:
                    self._ready.append(other)
            else:
                # Said as soon as it is known, so that what is behind a failure is always skipped for its needs.
                self._end(other, Phase.SKIPPED, "needs", now)
        unit.dependents = None
        if scope.left == 0:
            self._close(scope, now)

    def _close(self, scope: Scope, now: float) -> None:
        """Every step of a workflow ended."""
        owner = scope.owner
        if owner is None:
            return
        if scope.stopped is not None:
            self._end(owner, Phase.CANCELLED, scope.stopped, now)
        elif scope.failed is not None:
            self._end(owner, Phase.FAILED, scope.failed_reason, now, message=f"{scope.failed} failed")
        else:
            self.memory.keep(owner.origin, self._nested_outputs(scope))
            self._end(owner, Phase.SUCCEEDED, None, now)
        owner.inner = None

    def _nested_outputs(self, scope: Scope) -> dict[str, Json]:
        found: dict[str, Json] = {}
        any_unit = next(iter(scope.units.values()), None)
        for name, template in scope.workflow.outputs.items():
            try:
                found[name] = resolve(template, self.lookup(any_unit)) if any_unit else resolve(template, _nothing)
            except (MissingOutput, EvaluationError):
                continue  # what reads it finds it missing, too (S6)
        return found

    # How attempts end

    def _succeeded(self, unit: Unit, outcome: Outcome, now: float) -> None:
        repeat = unit.step.repeat
        unit.exit_code = outcome.exit_code
        if repeat is not None:

            def own(ref: Ref) -> Json:
                if ref.name in outcome.outputs:
                    return outcome.outputs[ref.name]
                raise EvaluationError(f"outputs.{ref.name} was not written")

            try:
                met = evaluate(repeat.until, self.lookup(unit, own)) is True
            except (EvaluationError, MissingOutput) as error:
                self._end(unit, Phase.ERROR, "expression", now, message=str(error), exit_code=outcome.exit_code)
                return
            if not met:
                self._next_iteration(unit, repeat.max, repeat.delay, now)
                return
        self.memory.keep(unit.origin, outcome.outputs)
        if unit.key is not None:
            self.memory.remember(unit.where, unit.key, outcome.outputs, now)
        self._end(unit, Phase.SUCCEEDED, None, now, exit_code=outcome.exit_code)

    def _next_iteration(self, unit: Unit, most: int, delay: float, now: float) -> None:
        iteration = unit.iteration or 1
        if iteration >= most:
            message = f"the condition did not hold after {most} iteration{'s' if most > 1 else ''}"
            self._end(unit, Phase.FAILED, "repeat-limit", now, message=message, exit_code=unit.exit_code)
            return
        unit.iteration = iteration + 1
        unit.attempts = unit.base = 0
        unit.exit_code = None
        unit.due = now + delay
        self.changed[unit.origin] = unit
        self._wait(unit, now)

    def _failed(self, unit: Unit, outcome: Outcome, now: float) -> None:
        retry = unit.step.retry if unit.step.retry is not None else unit.scope.workflow.defaults.retry
        used = unit.attempts - unit.base
        kind = "timeout" if outcome.reason == "timeout" else outcome.phase.value
        if retry is None or used > retry.limit or (retry.only and kind not in retry.only):
            self._end(unit, outcome.phase, outcome.reason, now, message=outcome.message, exit_code=outcome.exit_code)
            return
        delay = retry.backoff.delay(used) if retry.backoff is not None else 0.0
        if unit.phase is Phase.PENDING:
            unit.phase, unit.started = Phase.RUNNING, now
        unit.reason = "retrying"
        unit.message = f"attempt {unit.attempts} {outcome.phase.value}: {outcome.message or outcome.reason}"
        unit.exit_code = None
        unit.due = now + delay
        self.changed[unit.origin] = unit
        self._wait(unit, now)

    def _wait(self, unit: Unit, now: float) -> None:
        assert unit.due is not None
        if unit.due <= now:
            self._enqueue(unit)
            return
        self._timer(unit.due, "due", unit)
        if unit.group is not None:
            # A wait holds no slot (S12), the foreach's own neither.
            self._release(unit)
            self._offer(unit.group)

    @staticmethod
    def _release(item: Unit) -> None:
        if item.group is not None and not item.waiting:
            item.waiting = 1
            item.group.active -= 1

    def _admit(self, item: Unit) -> None:
        if item.group is not None and item.waiting:
            item.waiting = 0
            item.group.active += 1
        self._enqueue(item)

    def _awake(self, unit: Unit) -> None:
        group = unit.group
        if group is not None and self._full(group):
            if group.parked is None:
                group.parked = deque()
            group.parked.append(unit)
            unit.queued = True
            return
        self._admit(unit)

    def _end(
        self,
        unit: Unit,
        phase: Phase,
        reason: Reason | None,
        now: float,
        *,
        message: str | None = None,
        exit_code: int | None = None,
    ) -> None:
        unit.phase = phase
        unit.reason = reason
        unit.message = message
        unit.exit_code = exit_code
        unit.due = None
        unit.list = None
        unit.live = None
        unit.parked = None
        if unit.started is not None or phase not in (Phase.SKIPPED, Phase.CANCELLED):
            unit.finished = now
        self.changed[unit.origin] = unit
        self._ended.append(unit)

    def _settle(self, now: float) -> None:
        """Draw conclusions until there are none: ends first, then fail-fast, then what has become ready."""
        failing: list[Scope] = []
        while True:
            while self._ended:
                unit = self._ended.popleft()
                if unit.group is not None:
                    self._item_ended(unit, now)
                    continue
                self._step_ended(unit, now)
                if unit.scope.failed is not None and unit.scope.fast and not unit.scope.swept:
                    unit.scope.swept = True
                    failing.append(unit.scope)
            if failing:
                self._sweep(failing.pop(), now)
                continue
            if not self._ready:
                break
            unit = self._ready.popleft()
            if unit.phase is Phase.PENDING and not unit.queued:
                self._decide(unit, now)
        if self.top.left == 0:
            if self.exit is None:
                self._open_exit(now)
            elif self.exit.left == 0:
                self.done = True

    def _sweep(self, scope: Scope, now: float) -> None:
        """After a failure that counts, steps that have not started need not start (S9)."""
        for unit in scope.units.values():
            if unit.phase is Phase.PENDING:
                self._end(unit, Phase.SKIPPED, "fail-fast", now)

    # The end of a run

    def _open_exit(self, now: float) -> None:
        scope = Scope(self.workflow, self.workflow.on_exit, "", {}, None)
        scope.exiting = True
        scope.fast = False
        self.exit = scope
        if self._killing_exit and not self._saved:
            self._stop_scope(scope, "cancelled", now)
        else:
            self._open(scope, now)
        self._settle(now)

    def _run_timeout(self, now: float) -> None:
        if self.exit is None and not self.cancelled and not self.timed_out:
            self.timed_out = True
            self._stop_scope(self.top, "run-timeout", now)

    def _stop_scope(self, scope: Scope, why: OneOf["cancelled", "run-timeout"], now: float) -> None:
        """End everything in a workflow: what runs is stopped, what has not started never does."""
        unstarted = Phase.CANCELLED if why == "cancelled" else Phase.SKIPPED
        for unit in scope.units.values():
            if unit.phase is Phase.PENDING:
                self._end(unit, unstarted, why, now)
            elif unit.phase is Phase.RUNNING:
                self._stop_unit(unit, why, now)

    def _stop_unit(self, unit: Unit, why: OneOf["cancelled", "run-timeout"], now: float) -> None:
        if unit.flying:
            asked, unit.stop = unit.stop, why
            if asked is None:
                self.stops.append(unit)
        elif unit.live is not None and unit.list is not None:
            # Items are never skipped (S15): those that never started are cancelled, whatever ended the run.
            live = list(unit.live.values())
            rest = len(unit.list)
            while unit.next < rest:
                item = self._item(unit, unit.next)
                unit.next += 1
                self._end(item, Phase.CANCELLED, why, now)
            for item in live:
                if not item.phase.ended:
                    self._stop_unit(item, why, now)
        elif unit.inner is not None:
            self._stop_scope(unit.inner, why, now)
        else:
            self._end(unit, Phase.CANCELLED, why, now)

    def _timer(self, at: float, kind: str, unit: Unit | None) -> None:
        if len(self._timers) > 4096 and len(self._timers) > 8 * self.running:
            # Timeouts of attempts that are over would pile up until their time.
            self._timers = [timer for timer in self._timers if timer[3] is None or not timer[3].phase.ended]
            heapq.heapify(self._timers)
        self._count += 1
        heapq.heappush(self._timers, (at, self._count, kind, unit, unit.flight if unit is not None else 0))


def _nothing(ref: Ref) -> Json:
    raise MissingOutput(ref.kind)


def _kind(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    return "a string" if isinstance(value, str) else "an object"
