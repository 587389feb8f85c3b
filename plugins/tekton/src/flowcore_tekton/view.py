"""A whole run as its leaves: every TaskRun, and every task that has none. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from graphlib import TopologicalSorter
from typing import Any, Final

from attrs import define, evolve, field, frozen

from flowcore.plugin import Json, Leaf, Phase, Reason
from flowcore_kubernetes import CANCELLED, notes_of, seconds
from flowcore_tekton.places import ATTEMPT, ITEM, ITEMS, MISSING_VALUE, SAID, STATUS, TOO_LONG
from flowcore_tekton.plan import Spot, spots_of
from flowcore_tekton.status import End, Status, began, end_of, ended, has_begun, results_of, why_pending
from flowcore_tekton.told import Told
from flowcore_tekton.tracking import OF_TASK, Seen, condition, is_over

P = Phase

_ENDS: Final = ("Failed", "Cancelled", "PipelineRunTimeout")
"""Reasons with which a PipelineRun fails by what its tasks did; all others are faults of the whole."""


@frozen
class Attempt:
    """One pod of a step, or of one of flowcore's own tasks.

    Attributes:
        task: its TaskRun.
        step: the document's name.
        number: which attempt it is, from 1, those before a resume included.
        begun: whether the document's process has been started.
        ended: whether it is over.
        never_ran: whether it ended before its containers could start.
        since: when the TaskRun's attempt began.
        message: what Tekton says of it.
        helper: whether it is one of flowcore's own.
        artifacts: what its step leaves.
    """

    task: str
    pod: str
    step: str
    number: int
    begun: bool
    ended: bool
    never_ran: bool
    since: float | None
    message: str
    helper: bool
    artifacts: tuple[str, ...] = ()

    @property
    def waits(self) -> bool:
        """Whether it waits for its pod to start."""
        return not self.ended and not self.begun


@frozen
class View:
    """A run as it is."""

    leaves: tuple[Leaf, ...]
    attempts: tuple[Attempt, ...]
    cancelled: bool
    timed_out: bool
    error: str | None


@frozen
class _Skip:
    """Why a task never started; ``blocks``: what runs after it does not start either."""

    phase: Phase
    reason: Reason
    blocks: bool = True


_NEEDS: Final = _Skip(P.SKIPPED, "needs")
_CANCELLED: Final = _Skip(P.CANCELLED, "cancelled")
_TIMEOUT: Final = _Skip(P.SKIPPED, "run-timeout")
NO_ITEM: Final = "-"
"""The index of the one TaskRun that stands for an empty list."""
_FREE: Final = _Skip(P.SKIPPED, "when", blocks=False)
"""No hindrance."""


def view_of(seen: Seen, told: Told | None = None) -> View:
    """The leaves of a run; ``told`` is what only logs tell of it."""
    return _Reader(seen, told or Told()).view()


@define
class _Reader:
    seen: Seen
    told: Told
    spots: dict[str, Spot] = field(init=False)
    tasks: dict[str, list[Mapping[str, Any]]] = field(init=False)
    results: dict[str, dict[str, Any]] = field(init=False)
    skips: dict[str, _Skip | None] = field(factory=dict)
    attempts: list[Attempt] = field(factory=list)
    fault: str | None = None
    stopped: bool = False

    def __attrs_post_init__(self) -> None:
        self.spots = spots_of(self.seen.run)
        self.tasks = {name: [] for name in self.spots}
        for name in sorted(self.seen.tasks):
            task = self.seen.tasks[name]
            self.tasks.setdefault(task["metadata"]["labels"].get(OF_TASK, ""), []).append(task)
        self.results = {
            name: {
                key: value for task in self.tasks[name] for key, value in results_of(task.get("status") or {}).items()
            }
            for name in self.spots
        }
        self.stopped = self._is_stopped()
        for name in TopologicalSorter({name: spot.needs for name, spot in self.spots.items()}).static_order():
            if name in self.spots and not self.tasks[name]:
                self.skips[name] = self._skip(self.spots[name])

    def view(self) -> View:
        leaves: list[Leaf] = []
        decided: dict[str, Leaf] = {}
        for spot in self.spots.values():
            if spot.kind in ("items", "enter"):
                for leaf in self._decision(spot):
                    (leaves.append(leaf) if leaf.helper else decided.setdefault(leaf.origin, leaf))
            elif not spot.kind:
                leaves += self._own(spot)
            elif spot.kind == "helper":
                leaves += (evolve(leaf, helper=True) for leaf in self._own(spot))
            else:
                leaves += self._watch(spot)
        # What is inside of a step that was never entered is not there.
        inside = tuple(f"{origin}{mark}" for origin in decided for mark in ("/", "["))
        leaves = [leaf for leaf in leaves if leaf.origin not in decided and not leaf.origin.startswith(inside)]
        leaves += [leaf for leaf in decided.values() if not leaf.origin.startswith(inside)]
        cancelled = CANCELLED in notes_of(self.seen.run)
        return View(
            leaves=tuple(leaves),
            attempts=tuple(sorted(self.attempts, key=lambda each: (each.since or 0, each.pod))),
            cancelled=cancelled,
            timed_out=not cancelled and any(leaf.reason == "run-timeout" for leaf in leaves),
            error=self._fault(leaves),
        )

    # TaskRuns

    def _own(self, spot: Spot) -> Iterator[Leaf]:
        """The leaves of a step's own task."""
        tasks = self.tasks[spot.name]
        if not tasks:
            skip = self.skips.get(spot.name)
            if skip is not None:
                yield Leaf(spot.origin, skip.phase, skip.reason)
        for task in tasks:
            item = _item(task) if spot.each else None
            if item == NO_ITEM:
                if is_over(task):
                    yield Leaf(spot.origin, P.SKIPPED, "empty")
            else:
                yield self._leaf(spot, task, spot.origin if item is None else f"{spot.origin}[{item}]")

    def _decision(self, spot: Spot) -> Iterator[Leaf]:
        """What a task of flowcore's own has decided about a foreach or a nested step, once it has."""
        for task in self.tasks[spot.name]:
            ends = self._ends(spot, task, spot.origin)
            if not is_over(task):
                continue
            end = ends[-1]
            if end.phase is not P.SUCCEEDED:
                phase = P.ERROR if end.phase is P.FAILED else end.phase
                yield Leaf(spot.origin, phase, end.reason, end.message)
            elif spot.kind == "enter":
                yield Leaf(spot.origin, P.SUCCEEDED, helper=True, started=began(task["status"]))
        skip = self.skips.get(spot.name)
        if skip is not None:
            yield Leaf(spot.origin, skip.phase, skip.reason)

    def _watch(self, spot: Spot) -> Iterator[Leaf]:
        """A task of flowcore's own that only fails if it cannot run; one that gathers has what a nested step gives."""
        nested = any(other.origin.startswith(f"{spot.origin}/") for other in self.spots.values())
        gathers = spot.kind == "join" and nested
        if gathers and not self.seen.over and self.skips.get(spot.name) is None and not self._ended(spot):
            yield Leaf(spot.origin, P.PENDING)
        for task in self.tasks[spot.name]:
            ends = self._ends(spot, task, spot.origin)
            if not is_over(task):
                continue
            # One that says how the step ended could run; that step's own tasks are told by themselves.
            end, said = ends[-1], STATUS in results_of(task["status"])
            if end.phase is P.ERROR and not said:
                self.fault = f"the task {spot.name}, which flowcore added, could not run: {end.message}"
            elif spot.kind == "join" and condition(task)["status"] == "False" and end.phase is not P.CANCELLED:
                self.fault = f"what {spot.origin} gives could not be gathered: {end.message}"
            if gathers and end.phase is P.SUCCEEDED:
                yield Leaf(spot.origin, P.SUCCEEDED, outputs=self._outputs(spot, task, spot.origin))

    def _ended(self, spot: Spot) -> bool:
        return bool(self.tasks[spot.name]) and all(is_over(task) for task in self.tasks[spot.name])

    def _ends(self, spot: Spot, task: Mapping[str, Any], step: str) -> list[End]:
        """How the attempts ended that have; all of them are noted."""
        status = task.get("status") or {}
        earlier = self._earlier(spot)
        found: list[End] = []
        tries: list[Status] = [*(status.get("retriesStatus") or ()), status]
        for index, each in enumerate(tries):
            over = each is not status or is_over(task)
            end = end_of(each, condition({"status": each})) if over else None
            program = self.told.programs.get(each.get("podName") or "")
            if end is not None:
                found.append(End(P.ERROR, "command", program) if program else end)
            self.attempts.append(
                Attempt(
                    task=task["metadata"]["name"],
                    pod=each.get("podName") or "",
                    step=step,
                    number=earlier + index + 1,
                    begun=has_begun(each),
                    ended=over,
                    never_ran=end is not None and not end.ran,
                    since=seconds(each.get("startTime") or task["metadata"].get("creationTimestamp")),
                    message=str(condition({"status": each}).get("message", "")),
                    helper=bool(spot.kind),
                    artifacts=spot.artifacts,
                )
            )
        return found

    def _earlier(self, spot: Spot) -> int:
        """Attempts before the run was resumed."""
        return int(notes_of(self.seen.run).get(f"{ATTEMPT}{spot.name}", 1)) - 1

    def _leaf(self, spot: Spot, task: Mapping[str, Any], origin: str) -> Leaf:
        status = task.get("status") or {}
        ends = self._ends(spot, task, origin)
        past = status.get("retriesStatus") or ()
        before = self._earlier(spot) + len(past)
        started = began(past[0] if past else status)
        if not is_over(task):
            if has_begun(status):
                return Leaf(origin, P.RUNNING, attempts=before + 1, started=started)
            if past:
                return Leaf(origin, P.RUNNING, "retrying", ends[-1].message, attempts=before, started=started)
            cause = why_pending(status, condition(task))
            return Leaf(origin, P.PENDING) if cause is None else Leaf(origin, P.PENDING, cause.reason, cause.message)
        end = ends[-1]
        if spot.last and end.reason == "run-timeout":
            end = evolve(end, phase=P.FAILED, reason="timeout")
        if end.phase is P.SKIPPED or end.reason == "expression":
            return Leaf(origin, end.phase, end.reason, end.message)
        count = before + (1 if end.phase is not P.CANCELLED or has_begun(status) else 0)
        if not count:
            late = end.reason == "run-timeout"
            return Leaf(origin, P.SKIPPED if late else end.phase, end.reason, end.message)
        return Leaf(
            origin=origin,
            phase=end.phase,
            reason=end.reason,
            message=end.message,
            attempts=count,
            started=started,
            finished=ended(status),
            exit_code=end.exit_code,
            outputs=self._outputs(spot, task, origin) if end.phase is P.SUCCEEDED else {},
        )

    def _outputs(self, spot: Spot, task: Mapping[str, Any], origin: str) -> dict[str, Json]:
        names, long = spot.outputs, self.told.outputs.get(task["metadata"]["name"], {})
        found: dict[str, Json] = {name: f"{origin}/{name}" for name in spot.artifacts}
        for name, text in results_of(task["status"]).items():
            if name in (STATUS, SAID, ITEMS) or not isinstance(text, str) or text == MISSING_VALUE:
                continue
            output = names.get(name, name)
            if text != TOO_LONG:
                found[output] = json.loads(text)
            elif output in long:
                found[output] = long[output]
        return found

    # Tasks without a TaskRun

    def _skip(self, spot: Spot) -> _Skip | None:
        """Why a task never starts; None as long as it may."""
        outcomes = [self._hinders(spot, self.spots[name]) for name in spot.needs if name in self.spots]
        if None not in outcomes:
            for skip in (_CANCELLED, _TIMEOUT, _NEEDS):
                if skip in outcomes:
                    return skip
            if not spot.holds(self.results):
                known = all(name in self.results.get(task, {}) for task, name in spot.asks)
                reason: Reason = "needs"
                if known and spot.own_when:
                    reason = "empty" if spot.own_when == "empty" else "when"
                return _Skip(P.SKIPPED, reason, blocks=False)
            if any(name not in self.results.get(task, {}) for task, name in spot.reads):
                return _NEEDS
        return self._left_out(spot)

    def _hinders(self, spot: Spot, other: Spot) -> _Skip | None:
        """What a task that another needs means for it once it has ended; a skip that does not block means nothing."""
        tasks = self.tasks[other.name]
        if not tasks:
            skip = self.skips.get(other.name)
            if skip is None or not skip.blocks:
                return skip
            return skip if skip in (_CANCELLED, _TIMEOUT) else _NEEDS
        if not all(is_over(task) for task in tasks):
            return None
        for task in tasks:
            end = end_of(task["status"], condition(task))
            if end.phase is P.CANCELLED:
                return _TIMEOUT if end.reason == "run-timeout" else _CANCELLED
            if condition(task)["status"] == "False" and not other.continued:
                return _NEEDS
        return _FREE

    def _left_out(self, spot: Spot) -> _Skip | None:
        """Why Tekton does not start a task whose needs do not keep it from starting, or are not known yet."""
        status = self.seen.run.get("status") or {}
        reason = next((each["reason"] for each in status.get("skippedTasks") or () if each["name"] == spot.name), "")
        if not reason and not self.seen.over:
            return None
        if self.stopped:
            return _Skip(P.SKIPPED, "fail-fast")
        if self.seen.run["spec"].get("status"):
            return _CANCELLED
        if "timeout" in reason or "Timeout" in str(condition(self.seen.run).get("reason")):
            return _TIMEOUT
        return None

    def _is_stopped(self) -> bool:
        """Whether a failure keeps everything from starting that has not."""
        return any(
            condition(task).get("status") == "False"
            and end_of(task["status"], condition(task)).phase is not P.CANCELLED
            for name, spot in self.spots.items()
            if not spot.continued and not spot.last
            for task in self.tasks[name]
        )

    def _fault(self, leaves: Iterable[Leaf]) -> str | None:
        """Why the whole could not be run, where no step says it."""
        found = condition(self.seen.run)
        if self.fault is not None or found.get("status") != "False" or found.get("reason") in _ENDS:
            return self.fault
        if any(leaf.phase in (P.ERROR, P.FAILED) for leaf in leaves):
            return None
        return " ".join(f"Tekton could not run it ({found.get('reason')}): {found.get('message')}".split())


def _item(task: Mapping[str, Any]) -> str:
    """Which item of a foreach a TaskRun is."""
    return next(str(each["value"]) for each in task["spec"].get("params") or () if each["name"] == ITEM)
