"""Runs documents on the backends that share the local engine."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from flowcore.backend import Backend
from flowcore.document import read_document
from flowcore.model import Workflow
from flowcore.runs import RunHandle, Update
from flowcore.syntax import Json


class Runs:
    """A backend on the local engine, with a home of its own."""

    def __init__(self, name: str, home: Path, options: Mapping[str, Json]) -> None:
        self.name = name
        self.home = home
        self.backend = Backend.select(name, options={"home": str(home), "grace": 0.3, **options})

    def workflow(self, text: str) -> Workflow:
        text = textwrap.dedent(text)
        head = "" if text.lstrip().startswith("flowcore:") else "flowcore: 1\nname: test\n"
        return read_document(head + text)

    def submit(self, text: str, key: str | None = None, **params: Json) -> RunHandle:
        return self.backend.submit(self.backend.render(self.workflow(text), params), key)

    def run(self, text: str, key: str | None = None, **params: Json) -> Update:
        return self.wait(self.submit(text, key, **params))

    def wait(self, handle: RunHandle) -> Update:
        return self.backend.wait(handle, 0.01)

    def until(self, handle: RunHandle, holds: Callable[[Update], bool]) -> Update:
        """Poll until something holds; fails if the run ends before."""
        while True:
            update = self.backend.poll(handle)
            if holds(update):
                return update
            assert not update.done, update
            time.sleep(0.01)

    def until_running(self, handle: RunHandle, step: str) -> Update:
        return self.until(handle, lambda update: step in update.steps and update.steps[step].phase == "running")

    def until_line(self, handle: RunHandle, line: str) -> None:
        """Wait until a step has written a line."""
        assert any(found.line == line for found in self.backend.logs(handle, follow=True)), line

    def lines(self, handle: RunHandle, step: str | None = None) -> list[str]:
        return [line.line for line in self.backend.logs(handle, step)]

    def folder(self, handle: RunHandle) -> Path:
        return self.home / self.name / "runs" / handle.location

    def supervisor(self, handle: RunHandle) -> int:
        """The process of a run's supervisor, once it has begun."""
        while True:
            text = (self.folder(handle) / "lease").read_text().strip()
            if text:
                return int(text)
            time.sleep(0.01)
