"""The backend ``docker-local``: the local engine with containers."""

from __future__ import annotations

import os
from typing import ClassVar

from flowcore.plugin import Json, Problem, RefusedError, Workflow, hookimpl
from flowcore_docker_local.options import Options as _Options
from flowcore_local import EngineBackend


class DockerBackend(EngineBackend):
    """Runs each step of a workflow in a container of a Docker engine."""

    Options: ClassVar[type] = _Options
    name: ClassVar[str] = "docker-local"
    launcher: ClassVar[str] = "flowcore_docker_local.launcher:DockerLauncher"
    apart: ClassVar[bool] = True
    lacks: ClassVar[frozenset[str]] = frozenset({"manifest"})

    options: _Options

    @property
    def python(self) -> str:
        return self.options.python

    @property
    def pending_timeout(self) -> float:
        return self.options.pending_timeout

    @hookimpl
    def check(self, workflow: Workflow) -> list[Problem]:
        from flowcore_docker_local.fitness import problems

        return problems(workflow, self.name, self.options)

    def notes(self, workflow: Workflow) -> list[str]:
        from flowcore_docker_local.fitness import notes

        return notes(workflow, self.options)

    def launcher_options(self, run: str, workflow: Workflow) -> dict[str, Json]:
        """What the launcher must know of the engine.

        Raises:
            UnreachableError: if it does not answer.
            RefusedError: with one sentence for each thing that it cannot run.
        """
        from flowcore_docker_local import engine

        found = engine.ask(self.options, os.environ)
        faults = engine.faults(found, workflow, self.options)
        if faults:
            raise RefusedError("\n".join(faults))
        folder = str(self._home().runs / run)
        return {
            "run": run,
            "folder": folder,
            **found.settings(self.options.files, folder),
            "image": self.options.image,
            "network": self.options.network,
            "claims": dict(self.options.claims),
            "keep": self.options.keep,
            "patience": self.options.patience,
        }

    @hookimpl
    def probe(self) -> None:
        """Raise what keeps every workflow from running here: no engine that answers, or one of another system."""
        from flowcore_docker_local import engine

        problem = engine.ask(self.options, os.environ).foreign
        if problem is not None:
            raise RefusedError(problem)

    def dispose(self, run: str) -> None:
        """Remove the run's containers and volumes."""
        from flowcore_docker_local import engine

        engine.remove(self.options, os.environ, run)
