"""From leaves to a run: what a backend reports of the units it runs, folded into steps, groups and the run.

Every backend's Snapshot goes through here, so the rules of S8 (the run), S15 to S18 (foreach), S20 (nested) and S21
(repeat) are written once. All of it is pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from attrs import evolve, frozen

from flowcore.expressions import EvaluationError, evaluate, resolve
from flowcore.model import MISSING, Missing, Need
from flowcore.outline import Entry, Inner, Outline, parse_outline
from flowcore.runs import Leaf, Phase, Reason, Snapshot, StepState
from flowcore.shim import BAD_OUTPUT, DONE
from flowcore.syntax import Json, Ref, Value


@frozen
class Group:
    """A step of the folded run with the items or inner steps that it has so far."""

    name: str
    state: StepState
    children: tuple[Group, ...] = ()
    continued: bool = False

    @property
    def counts_as_failed(self) -> bool:
        """Whether it makes what it is part of fail (S8)."""
        return self.state.phase in (Phase.FAILED, Phase.ERROR) and not self.continued

    def walk(self) -> Iterator[Group]:
        """This step, then everything in it, in order."""
        yield self
        for child in self.children:
            yield from child.walk()


@frozen
class Folded:
    """A run as people see it."""

    workflow: str
    phase: Phase
    reason: Reason | None
    message: str | None
    outputs: Mapping[str, Json]
    steps: tuple[Group, ...]


_PENDING = StepState(Phase.PENDING)
_FAILING = (Phase.FAILED, Phase.ERROR)


class _Unknown(Exception):
    """A reference whose value is missing (S6)."""


def fold(snapshot: Snapshot) -> Folded:
    """Fold a snapshot; the outline in it says what the leaves are parts of."""
    outline = parse_outline(snapshot.outline)
    leaves = _Leaves(snapshot)
    steps = _decided(_together("", outline.steps, leaves), outline.steps, snapshot)
    # Whether a step of on_exit runs is decided after all others, so the backend's word is the one.
    on_exit = _together("", {name: evolve(entry, never=None) for name, entry in outline.on_exit.items()}, leaves)
    groups = (*steps, *on_exit)
    phase, reason, message = _run_phase(snapshot, groups)
    outputs = _outputs(outline.outputs, _scope(outline, steps)) if phase.ended else {}
    return Folded(outline.name, phase, reason, message, outputs, groups)


def _run_phase(snapshot: Snapshot, groups: tuple[Group, ...]) -> tuple[Phase, Reason | None, str | None]:
    if snapshot.error is not None:
        return Phase.ERROR, "backend", snapshot.error
    if not snapshot.done and not all(group.state.phase.ended for group in groups):
        started = snapshot.started is not None or any(group.state.phase is not Phase.PENDING for group in groups)
        return Phase.RUNNING if started else Phase.PENDING, None, None
    if snapshot.cancelled:
        return Phase.CANCELLED, "cancelled", "the run was cancelled"
    if snapshot.timed_out:
        return Phase.FAILED, "timeout", "the run's time is over"
    bad = next((group for group in groups if group.counts_as_failed), None)
    if bad is not None:
        state = bad.state
        return Phase.FAILED, state.reason, f"step {bad.name} {_ended_as(state)}"
    return Phase.SUCCEEDED, None, None


def _ended_as(state: StepState) -> str:
    verb = "failed" if state.phase is Phase.FAILED else "ended with an error"
    return f"{verb}: {state.message}" if state.message else f"{verb} ({state.reason})" if state.reason else verb


class _Leaves:
    """A snapshot's leaves by origin, and which items each foreach has."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._own: dict[str, list[Leaf]] = {}
        self._helpers: dict[str, list[Leaf]] = {}
        self._items: dict[str, int] = {}
        self._parents: set[str] = set()
        self._unrolled: set[str] = set()
        for leaf in snapshot.leaves:
            table = self._helpers if leaf.helper else self._own
            # An iteration of a repeat that was lowered is `wait#3`.
            origin, _, iteration = leaf.origin.partition("#")
            if iteration:
                outputs = {name: value for name, value in leaf.outputs.items() if name != DONE}
                leaf = evolve(leaf, iteration=int(iteration), outputs=outputs)
                self._unrolled.add(origin)
            table.setdefault(origin, []).append(leaf)
            if not leaf.helper:
                self._index(origin)

    def _index(self, origin: str) -> None:
        for position, character in enumerate(origin):
            if character == "[":
                parent = origin[:position]
                index = int(origin[position + 1 : origin.index("]", position)])
                self._items[parent] = max(self._items.get(parent, 0), index + 1)
            elif character == "/":
                self._parents.add(origin[:position])

    def own(self, origin: str) -> list[Leaf]:
        return self._own.get(origin, [])

    def unrolled(self, origin: str) -> bool:
        """Whether the leaves are the iterations of a repeat that was lowered."""
        return origin in self._unrolled

    def helpers(self, origin: str) -> list[Leaf]:
        return self._helpers.get(origin, [])

    def items(self, origin: str) -> int:
        """How many items of a foreach are known from leaves: of the group's own leaf, or of the items'."""
        declared = max((leaf.items or 0 for leaf in self.own(origin)), default=0)
        return max(declared, self._items.get(origin, 0))

    def has_inside(self, origin: str) -> bool:
        return origin in self._parents


def _step(name: str, entry: Entry, leaves: _Leaves) -> Group:
    if entry.never is not None:
        # A backend may see it too, but later than ``_decided``: what was said once must stay.
        return Group(name, _PENDING, continued=entry.continued)
    if entry.each:
        return _foreach(name, entry, leaves)
    if entry.inner is not None:
        return _nested(name, entry, entry.inner, leaves)
    return Group(name, _plain(name, entry, leaves), continued=entry.continued)


def _together(prefix: str, entries: Mapping[str, Entry], leaves: _Leaves) -> tuple[Group, ...]:
    return tuple(_step(prefix + name, entry, leaves) for name, entry in entries.items())


def _decided(groups: tuple[Group, ...], entries: Mapping[str, Entry], snapshot: Snapshot) -> tuple[Group, ...]:
    """The steps of one scope with those filled in that were decided before the run and that no backend saw."""
    found = dict(zip(entries, groups, strict=True))

    def settle(name: str) -> Group:
        group, never = found[name], entries[name].never
        if never is None or group.state != _PENDING:
            return group
        needed = [(settle(other), need) for other, need in never.needs.items()]
        if not all(other.state.phase.ended for other, _ in needed):
            return group
        state = StepState(Phase.SKIPPED, "when" if never.reason == "when" else "needs")
        if snapshot.cancelled and any(other.state.phase is Phase.CANCELLED for other, _ in needed):
            state = StepState(Phase.CANCELLED, "cancelled")
        elif any(other.state.reason == "run-timeout" for other, _ in needed):
            state = StepState(Phase.SKIPPED, "run-timeout")
        elif not all(meets(other, need) for other, need in needed):
            state = StepState(Phase.SKIPPED, "needs")
        found[name] = evolve(group, state=state)
        return found[name]

    return tuple(settle(name) for name in entries)


def meets(group: Group, need: Need) -> bool:
    """Whether an ended step meets a need (S1, S2)."""
    phase, reason = group.state.phase, group.state.reason
    skipped = phase is Phase.SKIPPED and reason in ("when", "empty")
    if need == "met":
        return phase is Phase.SUCCEEDED or skipped or (phase in _FAILING and group.continued)
    if need == "skipped":
        return skipped
    if need == "finished":
        return phase.ended and phase is not Phase.CANCELLED
    return phase.value == need


def _plain(name: str, entry: Entry, leaves: _Leaves) -> StepState:
    own = leaves.own(name)
    picked = _iterations(own, entry) if leaves.unrolled(name) else _state(own[0]) if own else _PENDING
    state = _with_helpers(picked, entry, leaves.helpers(name))
    if state.reason == "exit-code" and state.exit_code == BAD_OUTPUT and entry.shim:
        message = "an output cannot be what was declared; the step's log says which"
        state = evolve(state, reason="output", message=message, exit_code=0)
    return _settled(state, leaves.snapshot)


def _iterations(own: list[Leaf], entry: Entry) -> StepState:
    """The state of a repeat that was lowered: its leaves are the iterations that have begun."""
    ordered = sorted(own, key=lambda leaf: leaf.iteration or 0)
    last = ordered[0]
    for leaf in ordered:
        if leaf.phase is Phase.PENDING:
            break
        last = leaf
        # What follows the iteration that met the condition only carries its outputs on.
        if leaf.phase is not Phase.SUCCEEDED or _met(leaf, entry):
            break
    state = _state(last)
    if last.phase is Phase.SUCCEEDED and not _met(last, entry):
        # The next iteration is about to start, or the helper behind the last one to fail.
        state = evolve(state, phase=Phase.RUNNING, finished=None)
    return evolve(state, started=ordered[0].started)


def _met(leaf: Leaf, entry: Entry) -> bool:
    if entry.until is None:
        return False

    def lookup(ref: Ref) -> Json:
        if ref.kind == "iteration":
            return leaf.iteration
        if ref.name in leaf.outputs:
            return leaf.outputs[ref.name]
        raise _Unknown

    try:
        return evaluate(entry.until, lookup) is True
    except (_Unknown, EvaluationError):
        return False


def _state(leaf: Leaf) -> StepState:
    return StepState(
        phase=leaf.phase,
        reason=leaf.reason,
        message=leaf.message,
        attempts=leaf.attempts,
        iteration=leaf.iteration,
        started=leaf.started,
        finished=leaf.finished,
        exit_code=leaf.exit_code,
        outputs=leaf.outputs,
    )


def _with_helpers(state: StepState, entry: Entry, helpers: Iterable[Leaf]) -> StepState:
    """A helper is never shown: its failure is its origin's error, or the end of a repeat that met its limit."""
    for helper in helpers:
        if helper.phase not in _FAILING or state.phase not in (Phase.PENDING, Phase.RUNNING, Phase.SKIPPED):
            continue
        end = state.finished or helper.finished
        if entry.until is not None and helper.phase is Phase.FAILED and state.phase is Phase.RUNNING:
            state = evolve(state, phase=Phase.FAILED, reason="repeat-limit", message=_LIMIT, outputs={}, finished=end)
        else:
            message = f"a step that flowcore added failed: {helper.message or helper.reason}"
            state = evolve(state, phase=Phase.ERROR, reason="helper", message=message, outputs={}, finished=end)
    return state


_LIMIT = "the condition did not hold after the last iteration"


def _settled(state: StepState, snapshot: Snapshot) -> StepState:
    """In a run that is over nothing is left pending or running, whatever a platform forgot to say."""
    if state.phase.ended or not snapshot.done:
        return state
    if snapshot.cancelled:
        return evolve(state, phase=Phase.CANCELLED, reason="cancelled")
    if snapshot.timed_out:
        started = state.phase is Phase.RUNNING
        return evolve(state, phase=Phase.CANCELLED if started else Phase.SKIPPED, reason="run-timeout")
    if snapshot.error is not None:
        return evolve(state, phase=Phase.ERROR, reason="backend", message=snapshot.error)
    return evolve(state, phase=Phase.ERROR, reason="lost", message="the run ended without a word of this step")


def _never_started(children: tuple[Group, ...]) -> StepState | None:
    """The state of a group of which nothing ever started: its members then say nothing that it does not."""
    first = children[0].state
    if first.phase not in (Phase.SKIPPED, Phase.CANCELLED):
        return None
    for child in children:
        state = child.state
        if (state.phase, state.reason) != (first.phase, first.reason) or state.attempts or state.started is not None:
            return None
    return evolve(first, outputs={})


def _foreach(name: str, entry: Entry, leaves: _Leaves) -> Group:
    own = leaves.own(name)
    alone = own[0] if own else None
    count = leaves.items(name)
    if alone is not None and (alone.phase.ended or alone.phase is Phase.PENDING) and not count:
        state = _settled(_state(alone), leaves.snapshot)
        if state.reason == "empty":
            state = evolve(state, outputs={output: [] for output in entry.outputs})
        return Group(name, state, continued=entry.continued)
    if not count:
        if entry.items == 0 and leaves.snapshot.done:
            state = StepState(Phase.SKIPPED, "empty", outputs={output: [] for output in entry.outputs})
            return Group(name, state, continued=entry.continued)
        return Group(name, _settled(_PENDING, leaves.snapshot), continued=entry.continued)
    count = max(count, entry.items or 0)
    one = evolve(entry, each=False, items=None)
    items = tuple(_step(f"{name}[{index}]", one, leaves) for index in range(count))
    unstarted = _never_started(items)
    if unstarted is not None and alone is None:
        return Group(name, unstarted, continued=entry.continued)
    if all(item.state.phase is Phase.PENDING for item in items) and (alone is None or alone.phase is Phase.PENDING):
        return Group(name, _PENDING, continued=entry.continued)
    state = _group_state(items, _FAILING)
    if state.phase in (Phase.SUCCEEDED, Phase.FAILED) and (state.phase is Phase.SUCCEEDED or entry.continued):
        state = evolve(state, outputs=_fan_in(entry, items))
    return Group(name, state, items, entry.continued)


def _group_state(members: tuple[Group, ...], failing: tuple[Phase, ...] | None) -> StepState:
    """The phase of a group whose members have begun: S15 for items (``failing`` counts), S20 for inner steps."""
    states = [member.state for member in members]
    started = min((state.started for state in states if state.started is not None), default=None)
    if not all(state.phase.ended for state in states):
        return StepState(Phase.RUNNING, started=started)
    finished = max((state.finished for state in states if state.finished is not None), default=None)
    result = StepState(Phase.SUCCEEDED, started=started, finished=finished)
    cancelled = next((state for state in states if state.phase is Phase.CANCELLED), None)
    if cancelled is not None:
        return evolve(result, phase=Phase.CANCELLED, reason=cancelled.reason)
    bad = [member for member in members if (member.state.phase in failing if failing else member.counts_as_failed)]
    if bad:
        first = bad[0]
        of = f"{len(bad)} of {len(members)} failed, first " if len(bad) > 1 else ""
        message = f"{of}{first.name} {_ended_as(first.state)}"
        return evolve(result, phase=Phase.FAILED, reason=first.state.reason, message=message)
    return result


def _fan_in(entry: Entry, items: tuple[Group, ...]) -> dict[str, Json]:
    """The lists that readers of a foreach get: length and order of the items, defaults where one failed (S18)."""
    found: dict[str, Json] = {}
    for output, default in entry.outputs.items():
        values = [item.state.outputs.get(output, default) for item in items]
        known = [value for value in values if not isinstance(value, Missing)]
        if len(known) == len(values):
            found[output] = list(known)
    return found


def _nested(name: str, entry: Entry, inner: Inner, leaves: _Leaves) -> Group:
    own = leaves.own(name)
    if own and own[0].phase.ended and not leaves.has_inside(name):
        return Group(name, _settled(_state(own[0]), leaves.snapshot), continued=entry.continued)
    gate = next(iter(leaves.helpers(name)), None)
    if gate is not None and gate.phase is Phase.SKIPPED:
        return Group(name, evolve(_state(gate), outputs={}), continued=entry.continued)
    if gate is not None and gate.phase in _FAILING:
        return Group(name, _with_helpers(_PENDING, entry, [gate]), continued=entry.continued)
    steps = _together(f"{name}/", inner.steps, leaves)
    started = bool(own and own[0].phase is not Phase.PENDING) or (gate is not None and gate.phase is Phase.SUCCEEDED)
    if not started and all(step.state.phase is Phase.PENDING for step in steps):
        return Group(name, _PENDING, continued=entry.continued)
    unstarted = None if started else _never_started(steps)
    if unstarted is not None and unstarted.reason != "when":
        return Group(name, unstarted, continued=entry.continued)
    steps = _decided(steps, inner.steps, leaves.snapshot)
    state = _group_state(steps, None)
    if state.phase is Phase.SUCCEEDED and own and not own[0].phase.ended:
        # Its steps have ended, and the backend has yet to gather what they give.
        state = evolve(state, phase=Phase.RUNNING, finished=None)
    if state.phase is Phase.SUCCEEDED:
        # A backend that runs nested workflows itself also knows the params that came from other steps.
        outputs = own[0].outputs if own else {}
        state = evolve(state, outputs=outputs or _outputs(inner.outputs, _inner_scope(inner, steps)))
    return Group(name, state, steps, entry.continued)


Scope = Callable[[Ref], Json]


def _scope(outline: Outline, steps: tuple[Group, ...]) -> Scope:
    states = {group.name: group.state for group in steps}

    def lookup(ref: Ref) -> Json:
        if ref.kind == "workflow.name":
            return outline.name
        if ref.kind == "output":
            return _output(states.get(ref.step), outline.steps.get(ref.step), ref)
        raise _Unknown

    return lookup


def _inner_scope(inner: Inner, steps: tuple[Group, ...]) -> Scope:
    states = {group.name.rpartition("/")[2]: group.state for group in steps}

    def lookup(ref: Ref) -> Json:
        if ref.kind == "output":
            return _output(states.get(ref.step), inner.steps.get(ref.step), ref)
        raise _Unknown

    return lookup


def _output(state: StepState | None, entry: Entry | None, ref: Ref) -> Json:
    if state is not None and ref.name in state.outputs:
        return state.outputs[ref.name]
    default = entry.outputs.get(ref.name, MISSING) if entry is not None and not entry.each else MISSING
    if isinstance(default, Missing):
        raise _Unknown
    return default


def _outputs(templates: Mapping[str, Value], scope: Scope) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name, template in templates.items():
        try:
            found[name] = resolve(template, scope)
        except (_Unknown, EvaluationError):
            continue  # a missing output is missing in what reads it, too (S6)
    return found
