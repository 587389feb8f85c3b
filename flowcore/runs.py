"""What a run looks like from outside: handles, phases, what a backend reports, and what the core makes of it.

Times are seconds since the epoch, UTC, as floats.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Literal as OneOf

from attrs import Factory, frozen

from flowcore.errors import UsageError
from flowcore.syntax import Json


class Phase(str, enum.Enum):
    """Where a step or a run is. A run never is ``skipped``."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Its process said so, or ran out of time or memory."""
    ERROR = "error"
    """The backend could not run it."""
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def ended(self) -> bool:
        """Whether nothing more can come."""
        return self not in (Phase.PENDING, Phase.RUNNING)

    def __str__(self) -> str:
        return self.value


Reason = OneOf[
    "exit-code",
    "timeout",
    "out-of-memory",
    "output",
    "repeat-limit",
    "image",
    "secret",
    "claim",
    "capacity",
    "command",
    "lost",
    "expression",
    "helper",
    "when",
    "needs",
    "empty",
    "fail-fast",
    "run-timeout",
    "cancelled",
    "cached",
    "retrying",
    "backend",
]
"""Why a step is in its phase, in one fixed word."""


@frozen
class RunHandle:
    """Names one run, from any process and machine; its text is ``backend://place``."""

    backend: str
    location: str

    def __str__(self) -> str:
        return f"{self.backend}://{self.location}"

    @classmethod
    def parse(cls, text: str) -> RunHandle:
        """Read a handle from its text.

        Raises:
            UsageError: if the text is not a handle.
        """
        backend, separator, location = text.partition("://")
        if not (backend and separator and location):
            raise UsageError(f"{text!r} is not a run's handle; one looks like local://NAME, as submit prints it")
        return cls(backend.replace("_", "-"), location)


@frozen
class LogLine:
    """One line that a step wrote. ``stream`` is None where the platform merges them; ``gap``: lines were lost here."""

    step: str
    attempt: int
    line: str
    time: float | None = None
    stream: OneOf["stdout", "stderr"] | None = None
    gap: bool = False


@frozen
class Leaf:
    """What a backend knows of one unit that it runs: a step, an item of a foreach, a step of a nested workflow.

    ``origin`` is the document's name (``train[0]``, ``publish/upload``). A foreach or nested step that never got to
    have items or inner steps is a leaf itself. Value outputs are typed JSON; an artifact is the text that
    ``artifact`` of the backend understands, and is listed only once it is there.
    """

    origin: str
    phase: Phase
    reason: Reason | None = None
    message: str | None = None
    attempts: int = 0
    iteration: int | None = None
    started: float | None = None
    finished: float | None = None
    exit_code: int | None = None
    outputs: Mapping[str, Json] = Factory(dict)
    helper: bool = False
    """A step that the lowering added: never shown, but its failure is its origin's error."""
    items: int | None = None
    """On the leaf of a native foreach, the length of its list as soon as it is known."""


@frozen
class Snapshot:
    """A whole run as its backend sees it now; ``poll`` of a plugin returns one.

    ``outline`` is the text that the rendered workflow carried. ``error`` is set when the backend could not run the
    workflow as a whole. ``cursor`` is the plugin's own text: it comes back in the next poll, and says which log lines
    were given already.
    """

    outline: str
    leaves: tuple[Leaf, ...]
    done: bool = False
    """Nothing more will happen: on_exit has ended too, and no log line that was asked for is left to give."""
    cancelled: bool = False
    """A cancel was accepted before the run's end."""
    timed_out: bool = False
    error: str | None = None
    started: float | None = None
    finished: float | None = None
    logs: tuple[LogLine, ...] = ()
    more: bool = False
    cursor: str = ""


@frozen
class StepState:
    """One step (or item, or nested step) in an Update."""

    phase: Phase
    reason: Reason | None = None
    message: str | None = None
    attempts: int = 0
    iteration: int | None = None
    started: float | None = None
    finished: float | None = None
    exit_code: int | None = None
    outputs: Mapping[str, Json] = Factory(dict)


@frozen
class Update:
    """What ``poll`` of the facade answers: the run, the steps that changed since the cursor, the log lines since."""

    handle: RunHandle
    workflow: str
    phase: Phase
    reason: Reason | None
    message: str | None
    done: bool
    cursor: str
    started: float | None
    finished: float | None
    outputs: Mapping[str, Json]
    steps: Mapping[str, StepState]
    logs: tuple[LogLine, ...] = ()
    more: bool = False

    def to_json(self) -> dict[str, Json]:
        """The Update as the command line prints it: times as RFC 3339 text."""
        from flowcore.wire import update_json

        return update_json(self)


@frozen
class RunSummary:
    """One row of ``flow ls``."""

    handle: RunHandle
    workflow: str
    phase: Phase
    started: float | None = None
    finished: float | None = None


@frozen
class Rendered:
    """A workflow in a backend's own words, ready to submit.

    ``text`` is what ``flow render`` prints; ``objects`` is the same as data (what submit sends); ``files`` are named
    texts that travel beside it; ``digest`` identifies the content; ``names`` maps the backend's names to the
    document's; ``notes`` are placement fields that this backend has no use for, one sentence each.
    """

    backend: str
    name: str
    text: str
    objects: tuple[Mapping[str, Json], ...]
    digest: str
    files: Mapping[str, str] = Factory(dict)
    names: Mapping[str, str] = Factory(dict)
    notes: tuple[str, ...] = ()
    contract: int = 1
