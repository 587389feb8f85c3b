"""What the engine asks of the thing that runs attempts. ``process.py`` is one; other packages bring theirs.

A launcher shows the run's folder to the attempts at its own path, so a path means the same inside and outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal as OneOf
from typing import Protocol

from attrs import Factory, frozen

from flowcore.plugin import Reason, Step, Volume


class CannotStart(Exception):
    """The attempt cannot be started: no such program, no such image. ``reason`` is the step's."""

    def __init__(self, message: str, reason: Reason = "command") -> None:
        super().__init__(message)
        self.reason = reason


class NotReady(Exception):
    """The attempt cannot begin yet. ``key`` is the launcher's word for what it waits for; ``reason`` is the step's."""

    def __init__(self, key: str, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.key = key
        self.reason = reason


@frozen
class News:
    """What became of something that attempts wait for: they may try again now, or how far it is."""

    key: str
    message: str | None = None
    """None: try again."""


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
    entry_point: bool = False
    """Whether ``argv`` are arguments of the image's own entry point."""
    files: tuple[str, ...] = ()
    """Files of the run that ``argv`` names."""
    artifacts: tuple[str, ...] = ()
    """Artifacts of earlier steps that the attempt reads."""
    volumes: Mapping[str, Volume] = Factory(dict)
    """The volumes of the whole workflow."""
    folders: Mapping[str, str] = Factory(dict)
    """For each of its volumes that is a secret or a config map, the folder with the keys as files."""


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

    apart: bool
    """Whether attempts see another file tree than this process, so that a link they leave means nothing here."""

    def prepare(self, launch: Launch) -> None:
        """Say whether the attempt can start at all.

        Raises:
            CannotStart: if not.
            NotReady: if not yet; ``news`` says when.
        """

    def news(self) -> list[News]:
        """What became since the last call of what attempts wait for."""

    def start(self, launch: Launch) -> None:
        """Start the attempt; its intent is recorded already.

        Raises:
            CannotStart: if it did not start.
        """

    def begun(self) -> list[tuple[int, float]]:
        """The attempts whose process began since the last call, and when (seconds since the epoch; S13)."""

    def stop(self, seq: int, kill: bool) -> None:
        """Ask a running attempt to end (TERM), or end it (KILL). Nothing happens if it has ended."""

    def working_folder(self, step: Step, work: str) -> str:
        """Where the attempt begins; ``work`` is its own empty folder.

        Raises:
            CannotStart: if there is no such folder.
        """

    def adopt(
        self, step: Step, seq: int, meant: float, folder: str, streams: tuple[str, str], written: tuple[int, int]
    ) -> Adoption | Exit:
        """Take over an attempt of an earlier supervisor: it runs, it never began, or it ended.

        ``meant`` is when it was meant to start. ``streams`` are its log files, in which it has everything after the
        places in ``written`` for itself.
        """

    def release(self, seq: int) -> None:
        """The end of the attempt is recorded: what is left of it may go."""

    def settled(self) -> bool:
        """Whether all that was released is gone; the run is not over before."""

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

    def end_all(self, attempts: Iterable[tuple[int, str]]) -> None:
        """Kill attempts of a run that cannot go on: their numbers, each with its folder."""
