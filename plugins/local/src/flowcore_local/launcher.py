"""What the engine asks of the thing that runs attempts. ``process.py`` is one; containers would be another.

A launcher shows the run's folder to the attempts at its own path, so a path means the same inside and outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal as OneOf
from typing import Protocol

from attrs import frozen

from flowcore.plugin import Reason, Step


class CannotStart(Exception):
    """The attempt cannot be started: no such program, no such image. ``reason`` is the step's."""

    def __init__(self, message: str, reason: Reason = "command") -> None:
        super().__init__(message)
        self.reason = reason


@frozen
class Launch:
    """One attempt, ready to run.

    ``folder`` is the attempt's own as long as it runs; in it ``work`` is its empty working folder, ``outputs`` its
    empty ``FLOW_OUTPUTS``. Both streams go into files, so that nothing is copied through the engine. ``argv`` is empty
    where the image's own entry point is meant.
    """

    seq: int
    origin: str
    step: Step
    image: str | None
    argv: tuple[str, ...]
    env: Mapping[str, str]
    folder: str
    work: str
    outputs: str
    stdout: str
    stderr: str
    memory: int | None = None
    """Bytes that the attempt may use."""


@frozen
class Exit:
    """An attempt that ended: its exit code, or None where nobody knows (it was killed, or its machine died)."""

    seq: int
    code: int | None
    finished: float | None = None
    reason: Reason | None = None
    """Set where the launcher knows better than the code says."""
    message: str | None = None


Adoption = OneOf["running", "never"]


class Launcher(Protocol):
    """Starts, ends and adopts attempts. All methods are called from one thread and return at once."""

    def prepare(self, launch: Launch) -> None:
        """Say whether the attempt can start at all.

        Raises:
            CannotStart: if not.
        """

    def start(self, launch: Launch) -> None:
        """Start the attempt; its intent is recorded already.

        Raises:
            CannotStart: if it did not start.
        """

    def stop(self, seq: int, kill: bool) -> None:
        """Ask a running attempt to end (TERM), or end it (KILL). Nothing happens if it has ended."""

    def adopt(self, seq: int, folder: str, memory: int | None) -> Adoption | Exit:
        """Take over an attempt of an earlier supervisor: it runs, it never began, or it ended."""

    def descriptors(self) -> Iterable[int]:
        """File descriptors that become readable when an attempt may have ended."""

    def pause(self) -> float | None:
        """Seconds after which ``exits`` must be asked even if no descriptor became readable."""

    def exits(self) -> list[Exit]:
        """The attempts that ended since the last call."""

    def excessive(self) -> list[int]:
        """Running attempts that use more memory than they may."""

    def close(self) -> None:
        """Let go of everything; attempts that run go on."""
