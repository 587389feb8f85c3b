"""flowcore: one workflow, any runtime. Users write ``import flowcore as flow``.

Names are imported when they are first used, so that a program that needs one piece does not wait for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowcore.exports import lazy

__version__ = "0.1.0"

__getattr__, __dir__ = lazy(
    __name__,
    {
        "authoring": (
            "Backoff Cache Expression Mount Output Param Repeat Retry StepFunction StepResult Volume WorkflowFunction "
            "config_map configure container expr item iteration main manifest nested on_exit own param python run "
            "script secret step when workflow workflow_name"
        ),
        "backend": "Backend cancel check load logs poll render submit wait",
        "errors": "FlowError GoneError PluginError Problem RefusedError UnreachableError UsageError WorkflowError",
        "hookspecs": "hookimpl",
        "model": "Workflow",
        "runs": "LogLine Phase Rendered RunHandle StepState Update",
    },
)

if TYPE_CHECKING:
    from flowcore.authoring import (
        Backoff,
        Cache,
        Expression,
        Mount,
        Output,
        Param,
        Repeat,
        Retry,
        StepFunction,
        StepResult,
        Volume,
        WorkflowFunction,
        config_map,
        configure,
        container,
        expr,
        item,
        iteration,
        main,
        manifest,
        nested,
        on_exit,
        own,
        param,
        python,
        run,
        script,
        secret,
        step,
        when,
        workflow,
        workflow_name,
    )
    from flowcore.backend import (
        Backend,
        cancel,
        check,
        load,
        logs,
        poll,
        render,
        submit,
        wait,
    )
    from flowcore.errors import (
        FlowError,
        GoneError,
        PluginError,
        Problem,
        RefusedError,
        UnreachableError,
        UsageError,
        WorkflowError,
    )
    from flowcore.hookspecs import (
        hookimpl,
    )
    from flowcore.model import (
        Workflow,
    )
    from flowcore.runs import (
        LogLine,
        Phase,
        Rendered,
        RunHandle,
        StepState,
        Update,
    )

__all__ = [
    "Backend",
    "Backoff",
    "Cache",
    "Expression",
    "FlowError",
    "GoneError",
    "LogLine",
    "Mount",
    "Output",
    "Param",
    "Phase",
    "PluginError",
    "Problem",
    "RefusedError",
    "Rendered",
    "Repeat",
    "Retry",
    "RunHandle",
    "StepFunction",
    "StepResult",
    "StepState",
    "UnreachableError",
    "Update",
    "UsageError",
    "Volume",
    "Workflow",
    "WorkflowError",
    "WorkflowFunction",
    "__version__",
    "cancel",
    "check",
    "config_map",
    "configure",
    "container",
    "expr",
    "hookimpl",
    "item",
    "iteration",
    "load",
    "logs",
    "main",
    "manifest",
    "nested",
    "on_exit",
    "own",
    "param",
    "poll",
    "python",
    "render",
    "run",
    "script",
    "secret",
    "step",
    "submit",
    "wait",
    "when",
    "workflow",
    "workflow_name",
]
