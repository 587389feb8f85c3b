"""The backend ``local``: the engine with plain processes."""

from __future__ import annotations

import sys
from typing import ClassVar

from flowcore.plugin import Problem, Workflow, hookimpl
from flowcore_local.backend import EngineBackend
from flowcore_local.options import BASE
from flowcore_local.options import Options as _Options
from flowcore_local.places import RunFolder


class LocalBackend(EngineBackend):
    """Runs the steps of a workflow as processes of this machine."""

    Options: ClassVar[type] = _Options
    name: ClassVar[str] = "local"
    launcher: ClassVar[str] = "flowcore_local.process:ProcessLauncher"
    lacks: ClassVar[frozenset[str]] = frozenset({"manifest", "volumes"})
    base_env: ClassVar[tuple[str, ...]] = BASE

    options: _Options

    @property
    def python(self) -> str:
        return self.options.python or sys.executable

    @hookimpl
    def check(self, workflow: Workflow) -> list[Problem]:
        from flowcore_local.fitness import problems

        return problems(workflow, self.name)

    def notes(self, workflow: Workflow) -> list[str]:
        from flowcore_local.fitness import notes

        found = notes(workflow)
        if self.options.debug:
            found.append(
                "debug: steps run one by one in this process, and timeouts, retries and parallelism are ignored"
            )
        return found

    def begin(self, folder: RunFolder) -> None:
        if self.options.debug:
            from flowcore_local.debug import run_here

            run_here(folder)
        else:
            super().begin(folder)
