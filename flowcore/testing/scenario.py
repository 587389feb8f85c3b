"""What a scenario is: a document, what is done to its run, and exactly what must come of it. Data only."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Final
from typing import Literal as OneOf

from attrs import Factory, evolve, field, frozen

from flowcore.runs import Phase, Reason
from flowcore.syntax import Json


class Mark(enum.Enum):
    """Stands in an expectation or a param for something that no literal can say."""

    ANY = "any"
    """Matches whatever is there."""
    ARTIFACT = "artifact"
    """Matches an artifact's place, which only the backend can read."""
    UNIQUE = "unique"
    """As a param: text that no other run of the scenario gets, and that its later submits get again."""
    OVER_LIMIT = "over-limit"
    """As a param: one more than the backend's limit of bytes in an output."""

    def __repr__(self) -> str:
        return self.name


ANY: Final = Mark.ANY
ARTIFACT: Final = Mark.ARTIFACT
UNIQUE: Final = Mark.UNIQUE
OVER_LIMIT: Final = Mark.OVER_LIMIT

Expected = Any
"""JSON in which marks may stand."""


@frozen
class State:
    """How one step ends. ``attempts``, ``exit_code`` and ``reason`` may be ANY; ``outputs`` is all of them."""

    phase: Phase
    reason: Reason | Mark | None = None
    attempts: int | Mark = 1
    exit_code: int | Mark | None = None
    iteration: int | Mark | None = None
    outputs: Mapping[str, Expected] = Factory(dict)
    message: str = ""
    """Text that the message, or else the log, must hold."""
    alternatives: tuple[State, ...] = ()
    """Ends that are as right, where a rule says that a backend may choose."""

    def __or__(self, other: State) -> State:
        return evolve(self, alternatives=(*self.alternatives, other))


def ok(attempts: int | Mark = 1, iteration: int | None = None, **outputs: Expected) -> State:
    """A step that succeeded, with its outputs (``_`` in a keyword stands for itself)."""
    return State(Phase.SUCCEEDED, attempts=attempts, exit_code=0, iteration=iteration, outputs=outputs)


def cached(**outputs: Expected) -> State:
    """A step that a cache answered for."""
    return State(Phase.SUCCEEDED, "cached", attempts=0, exit_code=ANY, outputs=outputs)


def failed(
    exit_code: int | Mark | None = None,
    reason: Reason = "exit-code",
    attempts: int | Mark = 1,
    iteration: int | None = None,
    message: str = "",
) -> State:
    """A step that failed; ``exit_code`` is None where the rule says so (a timeout)."""
    return State(Phase.FAILED, reason, attempts, exit_code, iteration, message=message)


def error(reason: Reason, attempts: int | Mark = 0) -> State:
    """A step that the backend could not run."""
    return State(Phase.ERROR, reason, attempts, exit_code=ANY)


def skipped(reason: Reason) -> State:
    """A step that never started, and why."""
    return State(Phase.SKIPPED, reason, attempts=0)


def cancelled(reason: Reason = "cancelled", attempts: int | Mark = ANY) -> State:
    """A step that a cancel or the run's timeout ended, or kept from starting (``attempts=0``)."""
    return State(Phase.CANCELLED, reason, attempts, exit_code=ANY)


def group(phase: Phase, reason: Reason | Mark | None = ANY, **outputs: Expected) -> State:
    """A foreach or a nested step that got as far as having items or inner steps."""
    return State(phase, reason, attempts=0, outputs=outputs)


def all_ok(**outputs: Expected) -> State:
    """A foreach or a nested step of which everything succeeded."""
    return group(Phase.SUCCEEDED, None, **outputs)


@frozen
class Line:
    """A line of a step's log."""

    line: str
    stream: OneOf["stdout", "stderr"] = "stdout"
    attempt: int = 1


def lines(*texts: str, stream: OneOf["stdout", "stderr"] = "stdout", attempt: int = 1) -> tuple[Line, ...]:
    """Several lines of one stream."""
    return tuple(Line(text, stream, attempt) for text in texts)


@frozen
class Expect:
    """The end of a run. Steps that are not named must not be in its last Update."""

    phase: Phase
    steps: Mapping[str, State]
    reason: Reason | Mark | None = ANY
    outputs: Mapping[str, Expected] = Factory(dict)
    logs: Mapping[str, tuple[Line, ...]] = Factory(dict)
    """All lines of a step, every attempt and stream in order; steps not named are not looked at."""
    order: tuple[tuple[str, str], ...] = ()
    """Pairs of steps: the second starts only after the first has ended."""
    ends: tuple[tuple[str, str], ...] = ()
    """Pairs of steps: the first ends before the second does."""
    apart: tuple[str, ...] = ()
    """Steps of which no two run at the same time."""
    together: tuple[tuple[str, str], ...] = ()
    """Pairs of steps that run at the same time."""


@frozen
class Cancel:
    """Cancel as soon as ``step`` is in ``phase`` (for ``reason``, where one is given) and has written ``line``."""

    step: str
    phase: Phase = Phase.RUNNING
    reason: Reason | None = None
    line: str | None = None
    now: bool = False
    times: int = 1


@frozen
class CancelAfterEnd:
    """Cancel a run that is over: nothing may change."""


@frozen
class SubmitAgain:
    """Submit once more under another key, with other params where given, and expect another end."""

    expect: Expect
    params: Mapping[str, Json | Mark] = Factory(dict)


@frozen
class SameKey:
    """Submit the same content under the same key: the first handle comes back."""


@frozen
class OtherContent:
    """Submit other content, made by other params, under the same key: refused."""

    params: Mapping[str, Json | Mark]


@frozen
class Fetch:
    """Copy an artifact here. ``content`` is a file's text, or a folder's files: relative path to text."""

    step: str
    output: str
    content: str | Mapping[str, str]


@frozen
class Delete:
    """Delete the run; polling it then says that it is gone. Skipped where the backend cannot delete."""


@frozen
class GoneByItself:
    """Poll on until the run is gone."""


@frozen
class Resume:
    """Resume the run, and expect another end. Skipped where the backend cannot resume."""

    expect: Expect


Action = Cancel | CancelAfterEnd | SubmitAgain | SameKey | OtherContent | Fetch | Delete | GoneByItself | Resume


@frozen
class Scenario:
    """One proof of some rules.

    Attributes:
        name: unique, and the workflow's name.
        rules: the rules of docs/semantics.md that it proves.
        document: the workflow, as text.
        expect: how the run ends.
        capabilities: what is enough, after lowering, for any backend that declares it to run the workflow. A backend
            that lacks one may refuse to render it, by name; if it does not, the run must be as exact.
        natively: capabilities that the workflow would be lowered without, in a way that does not show what is
            expected here. A backend that lacks one has nothing to prove.
        params: the params it is run with.
        actions: what happens to the run, in order.
        secrets: secrets that must exist: name, key, text.
        config_maps: config maps that must exist, likewise.
        must_refuse: words that the error holds with which every backend refuses to render it; nothing is run.
        may_refuse: words that the error holds if the backend knows before the run that it cannot succeed.
    """

    name: str
    rules: tuple[str, ...]
    document: str = field(repr=False)
    expect: Expect = field(repr=False)
    capabilities: frozenset[str] = frozenset()
    natively: frozenset[str] = frozenset()
    params: Mapping[str, Json | Mark] = field(factory=dict, repr=False)
    actions: tuple[Action, ...] = ()
    secrets: Mapping[str, Mapping[str, str]] = field(factory=dict, repr=False)
    config_maps: Mapping[str, Mapping[str, str]] = field(factory=dict, repr=False)
    may_refuse: tuple[str, ...] = ()
    must_refuse: tuple[str, ...] = ()


BUSYBOX: Final = "busybox:1"
PYTHON: Final = "python:3.11"


def scenario(
    name: str,
    rules: str,
    document: str,
    expect: Expect,
    *,
    needs: str = "",
    natively: str = "",
    image: str = BUSYBOX,
    params: Mapping[str, Json | Mark] | None = None,
    actions: tuple[Action, ...] = (),
    secrets: Mapping[str, Mapping[str, str]] | None = None,
    config_maps: Mapping[str, Mapping[str, str]] | None = None,
    may_refuse: tuple[str, ...] = (),
    must_refuse: tuple[str, ...] = (),
) -> Scenario:
    """Write a scenario down shortly: lists are words apart by blanks, and the document's head is added."""
    head = f"flowcore: 1\nname: {name}\n"
    if not any(line.startswith("defaults:") for line in document.splitlines()):
        head += f'defaults: {{image: "{image}"}}\n'
    return Scenario(
        name=name,
        rules=tuple(rules.split()),
        document=head + document.lstrip("\n"),
        expect=expect,
        capabilities=frozenset(needs.split()),
        natively=frozenset(natively.split()),
        params=params or {},
        actions=actions,
        secrets=secrets or {},
        config_maps=config_maps or {},
        may_refuse=may_refuse,
        must_refuse=must_refuse,
    )


def succeeded(steps: Mapping[str, State], **rest: Any) -> Expect:
    """A run that succeeded."""
    return Expect(Phase.SUCCEEDED, steps, **rest)


def run_failed(steps: Mapping[str, State], **rest: Any) -> Expect:
    """A run that failed."""
    return Expect(Phase.FAILED, steps, **rest)


def run_cancelled(steps: Mapping[str, State], **rest: Any) -> Expect:
    """A run that was cancelled."""
    return Expect(Phase.CANCELLED, steps, **rest)
