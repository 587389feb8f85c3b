"""The contract between the core and a backend: four hooks that every plugin has, and eight that it may have.

A plugin is a pip package with an entry point in the group ``flowcore.backends``; the value is a class with the
attributes below, and its methods are marked with ``flowcore.hookimpl``. See docs/plugins.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Protocol

import pluggy

from flowcore.errors import Problem
from flowcore.model import Workflow
from flowcore.runs import Rendered, RunHandle, RunSummary, Snapshot

CONTRACT = 1
hookspec = pluggy.HookspecMarker("flowcore")
hookimpl = pluggy.HookimplMarker("flowcore")


class Backend(Protocol):
    """One runtime. Hooks are synchronous and thread-safe, keep no state between calls, and raise FlowErrors."""

    contract: ClassVar[int]
    Options: ClassVar[type]

    def capabilities(self) -> frozenset[str]: ...  # names of flowcore.capabilities; no network
    def limits(self) -> dict[str, int]: ...  # steps, items, output_bytes, script_bytes, argument_bytes

    @hookspec(firstresult=True)
    def render(self, workflow: Workflow) -> Rendered: ...  # pure: same input, same bytes
    @hookspec(firstresult=True)
    def submit(self, rendered: Rendered, key: str) -> RunHandle: ...  # the same key and content: the first handle
    @hookspec(firstresult=True)
    def poll(self, handle: RunHandle, cursor: str, logs: bool) -> Snapshot: ...  # never blocks
    @hookspec(firstresult=True)
    def cancel(self, handle: RunHandle, now: bool) -> None: ...  # returns once recorded; again: no-op

    @hookspec(firstresult=True)
    def check(self, workflow: Workflow) -> list[Problem]: ...  # what only this backend refuses
    @hookspec(firstresult=True)
    def validate(self, rendered: Rendered) -> None: ...  # a dry run at the server
    @hookspec(firstresult=True)
    def artifact(self, handle: RunHandle, step: str, output: str, target: str) -> str: ...  # copy it there
    @hookspec(firstresult=True)
    def list_runs(self) -> Iterator[RunSummary]: ...
    @hookspec(firstresult=True)
    def delete(self, handle: RunHandle) -> None: ...
    @hookspec(firstresult=True)
    def resume(self, handle: RunHandle) -> RunHandle: ...  # failed steps again, succeeded ones kept
    @hookspec(firstresult=True)
    def probe(self) -> None: ...  # raises what is wrong with the platform, before anything is asked of it
    @hookspec(firstresult=True)
    def permissions(self, rendered: Rendered) -> str: ...  # the least that users and steps must be allowed, as text
