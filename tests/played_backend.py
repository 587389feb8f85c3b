"""A backend that plays a run from a script: each poll gives the next picture. Nothing is started, nothing waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

from attrs import Factory, define, frozen

from flowcore import hookimpl
from flowcore.capabilities import CAPABILITIES
from flowcore.errors import FlowError, GoneError, RefusedError
from flowcore.model import Workflow
from flowcore.runs import Leaf, LogLine, Phase, Rendered, RunHandle, RunSummary, Snapshot


@frozen(kw_only=True)
class Shared:
    """What several backends have in common."""

    place: str = "here"
    """Where things are."""


@frozen(kw_only=True)
class Options(Shared):
    workers: int = 4
    """How many at once, at most."""
    secrets: Mapping[str, str] = Factory(dict)


@define
class Played:
    """Pictures are the leaves that each poll finds; the last one is the run's end."""

    contract: ClassVar[int] = 1
    Options: ClassVar[type] = Options

    pictures: list[list[Leaf]] = Factory(list)
    lines: list[LogLine] = Factory(list)
    late: list[LogLine] = Factory(list)
    """Lines that come a moment after the run has ended."""
    notes: tuple[str, ...] = ()
    before_poll: list[Callable[[], None]] = Factory(list)
    """Called one a poll, from the first one on."""
    calls: list[str] = Factory(list)
    faults: dict[str, FlowError | Exception] = Factory(dict)
    rendered: Rendered | None = None
    outline: str = ""
    cancelled: bool = False
    polls: int = 0
    keys: dict[str, str] = Factory(dict)

    def _called(self, hook: str) -> None:
        self.calls.append(hook)
        if hook in self.faults:
            raise self.faults[hook]

    def capabilities(self) -> frozenset[str]:
        return frozenset(CAPABILITIES)

    def limits(self) -> dict[str, int]:
        return {"steps": 1000, "items": 1000, "output_bytes": 1000, "script_bytes": 10**6, "argument_bytes": 10**5}

    @hookimpl
    def render(self, workflow: Workflow) -> Rendered:
        self._called("render")
        self.outline = workflow.outline
        return Rendered(
            "played", workflow.name, f"workflow: {workflow.name}\n", ({"name": workflow.name},), "d1", notes=self.notes
        )

    @hookimpl
    def submit(self, rendered: Rendered, key: str) -> RunHandle:
        self._called("submit")
        if self.keys.setdefault(key, rendered.digest) != rendered.digest:
            raise RefusedError(f"the key {key} was used for other content")
        self.rendered = rendered
        return RunHandle("played", rendered.name)

    @hookimpl
    def poll(self, handle: RunHandle, cursor: str, logs: bool) -> Snapshot:
        self._called("poll")
        if handle.location == "gone":
            raise GoneError(f"{handle}: this run is gone")
        if self.polls < len(self.before_poll):
            self.before_poll[self.polls]()
        last = self.polls >= len(self.pictures) - 1
        leaves = self.pictures[min(self.polls, len(self.pictures) - 1)] if self.pictures else []
        if not logs:
            self.polls += 1
        ended = last or self.cancelled
        if self.cancelled:
            leaves = [Leaf("one", Phase.CANCELLED, "cancelled")]
        given = int(cursor or 0)
        lines = [*self.lines, *(self.late if cursor else ())]
        return Snapshot(
            self.outline,
            tuple(leaves),
            done=ended and not (logs and self.late and not cursor),
            cancelled=self.cancelled,
            started=100.0,
            finished=103.5 if ended else None,
            logs=tuple(lines[given:]) if logs else (),
            cursor=str(len(lines)) if logs else cursor,
        )

    @hookimpl
    def cancel(self, handle: RunHandle, now: bool) -> None:
        self._called("cancel now" if now else "cancel")
        self.cancelled = True

    @hookimpl
    def artifact(self, handle: RunHandle, step: str, output: str, target: str) -> str:
        self._called("artifact")
        return f"/copied/{step}/{output}/{target}"

    @hookimpl
    def list_runs(self) -> Iterator[RunSummary]:
        self._called("list_runs")
        return iter(
            [
                RunSummary(RunHandle("played", "b"), "second", Phase.RUNNING, 200.0),
                RunSummary(RunHandle("played", "a"), "first", Phase.SUCCEEDED, 100.0, 165.0),
            ]
        )

    @hookimpl
    def delete(self, handle: RunHandle) -> None:
        self._called(f"delete {handle}")

    @hookimpl
    def resume(self, handle: RunHandle) -> RunHandle:
        self._called("resume")
        return RunHandle("played", handle.location + "-again")

    @hookimpl
    def validate(self, rendered: Rendered) -> None:
        self._called("validate")


class Installed(Played):
    """The same as an entry point names it: made with its options."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.options = options
