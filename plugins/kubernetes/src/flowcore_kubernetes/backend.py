"""The hooks that ask the cluster: each hands over to the backend's runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Protocol

from flowcore.plugin import CONTRACT, hookimpl

if TYPE_CHECKING:
    from flowcore.plugin import Rendered, RunHandle, RunSummary, Snapshot


class Runs(Protocol):
    """What a backend's runs can do; the hooks of ``flowcore.plugin`` say what each means."""

    def submit(self, rendered: Rendered, key: str) -> RunHandle: ...
    def poll(self, handle: RunHandle, cursor: str, logs: bool) -> Snapshot: ...
    def cancel(self, handle: RunHandle, now: bool) -> None: ...
    def validate(self, rendered: Rendered) -> None: ...
    def artifact(self, handle: RunHandle, step: str, output: str, target: str) -> str: ...
    def list_runs(self) -> Iterator[RunSummary]: ...
    def delete(self, handle: RunHandle) -> None: ...
    def resume(self, handle: RunHandle) -> RunHandle: ...
    def probe(self) -> None: ...


class KubernetesBackend:
    """A backend whose runs are objects of a cluster. Its own class renders, checks, and says what it can."""

    contract: ClassVar[int] = CONTRACT

    def __init__(self) -> None:
        self._runs: Runs | None = None

    def connect(self) -> Runs:
        """The runs that the options lead to. Opens no connection; what it imports takes time."""
        raise NotImplementedError

    @property
    def runs(self) -> Runs:
        """The cluster's runs. They are made when they are first asked for: rendering needs no cluster."""
        if self._runs is None:
            self._runs = self.connect()
        return self._runs

    @hookimpl
    def submit(self, rendered: Rendered, key: str) -> RunHandle:
        return self.runs.submit(rendered, key)

    @hookimpl
    def poll(self, handle: RunHandle, cursor: str, logs: bool) -> Snapshot:
        return self.runs.poll(handle, cursor, logs)

    @hookimpl
    def cancel(self, handle: RunHandle, now: bool) -> None:
        self.runs.cancel(handle, now)

    @hookimpl
    def validate(self, rendered: Rendered) -> None:
        self.runs.validate(rendered)

    @hookimpl
    def artifact(self, handle: RunHandle, step: str, output: str, target: str) -> str:
        return self.runs.artifact(handle, step, output, target)

    @hookimpl
    def list_runs(self) -> Iterator[RunSummary]:
        return self.runs.list_runs()

    @hookimpl
    def delete(self, handle: RunHandle) -> None:
        self.runs.delete(handle)

    @hookimpl
    def resume(self, handle: RunHandle) -> RunHandle:
        return self.runs.resume(handle)

    @hookimpl
    def probe(self) -> None:
        self.runs.probe()
