"""The hooks of the backend ``argo``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from flowcore.plugin import CAPABILITIES, CONTRACT, UsageError, hookimpl
from flowcore_argo.limits import ARGUMENT_BYTES, NODES, OUTPUT_BYTES, SCRIPT_BYTES
from flowcore_argo.options import Options as _Options

if TYPE_CHECKING:
    from flowcore.plugin import Problem, Rendered, RunHandle, RunSummary, Snapshot, Workflow
    from flowcore_argo.runs import Runs


class ArgoBackend:
    """Runs workflows as Workflows of Argo."""

    contract: ClassVar[int] = CONTRACT
    Options: ClassVar[type] = _Options
    name: ClassVar[str] = "argo"

    def __init__(self, options: _Options) -> None:
        if options.artifacts not in ("claim", "repository"):
            raise UsageError(f"the option artifacts is claim or repository, not {options.artifacts!r}")
        self.options = options
        self._runs: Runs | None = None

    def capabilities(self) -> frozenset[str]:
        return frozenset(CAPABILITIES)

    def limits(self) -> dict[str, int]:
        return {
            "steps": NODES,
            "items": NODES,
            "output_bytes": OUTPUT_BYTES,
            "script_bytes": SCRIPT_BYTES,
            "argument_bytes": ARGUMENT_BYTES,
        }

    @hookimpl
    def check(self, workflow: Workflow) -> list[Problem]:
        from flowcore_argo.fitness import problems

        return problems(workflow, self.name, self.options.artifacts == "repository")

    @hookimpl
    def render(self, workflow: Workflow) -> Rendered:
        from flowcore_argo.render import render

        return render(workflow, self.options, self.name)

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

    @hookimpl
    def permissions(self, rendered: Rendered) -> str:
        from flowcore_argo.allowed import text

        return text(rendered, self.options.namespace)

    @property
    def runs(self) -> Runs:
        """The cluster's runs. The client is made when it is first asked for: rendering needs no cluster."""
        if self._runs is None:
            from flowcore_argo.runs import Runs

            self._runs = Runs.of(self.options, self.name)
        return self._runs
