"""The hooks of the backend ``tekton``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from flowcore.plugin import hookimpl
from flowcore_kubernetes import KubernetesBackend
from flowcore_tekton.capabilities import CAN
from flowcore_tekton.limits import ARGUMENT_BYTES, ITEMS, OUTPUT_BYTES, SCRIPT_BYTES, TASKS
from flowcore_tekton.options import Options as _Options

if TYPE_CHECKING:
    from flowcore.plugin import Problem, Rendered, Workflow
    from flowcore_tekton.runs import Runs


class TektonBackend(KubernetesBackend):
    """Runs workflows as PipelineRuns of Tekton."""

    Options: ClassVar[type] = _Options
    name: ClassVar[str] = "tekton"

    def __init__(self, options: _Options) -> None:
        super().__init__()
        self.options = options

    def capabilities(self) -> frozenset[str]:
        return CAN

    def limits(self) -> dict[str, int]:
        return {
            "steps": TASKS,
            "items": ITEMS,
            "output_bytes": OUTPUT_BYTES,
            "script_bytes": SCRIPT_BYTES,
            "argument_bytes": ARGUMENT_BYTES,
        }

    @hookimpl
    def check(self, workflow: Workflow) -> list[Problem]:
        from flowcore_tekton.fitness import problems

        return problems(workflow, self.name)

    @hookimpl
    def render(self, workflow: Workflow) -> Rendered:
        from flowcore_tekton.render import render

        return render(workflow, self.options, self.name)

    @hookimpl
    def permissions(self, rendered: Rendered) -> str:
        from flowcore_tekton.allowed import text

        return text(rendered, self.options.namespace)

    def connect(self) -> Runs:
        from flowcore_tekton.runs import Runs

        return Runs.of(self.options, self.name)
