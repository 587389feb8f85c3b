"""flowcore: one workflow, any runtime. Users write ``import flowcore as flow``.

Names are imported when they are first used, so that a program that needs one piece does not wait for all.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Backend": "backend",
    "cancel": "backend",
    "check": "backend",
    "load": "backend",
    "logs": "backend",
    "poll": "backend",
    "render": "backend",
    "run": "backend",
    "submit": "backend",
    "wait": "backend",
    "FlowError": "errors",
    "GoneError": "errors",
    "PluginError": "errors",
    "Problem": "errors",
    "RefusedError": "errors",
    "UnreachableError": "errors",
    "UsageError": "errors",
    "WorkflowError": "errors",
    "LogLine": "runs",
    "Phase": "runs",
    "Rendered": "runs",
    "RunHandle": "runs",
    "StepState": "runs",
    "Update": "runs",
    "Workflow": "model",
    "hookimpl": "hookspecs",
}
"""The module of each public name."""

if TYPE_CHECKING:
    from flowcore.backend import Backend, cancel, check, load, logs, poll, render, run, submit, wait
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
    from flowcore.hookspecs import hookimpl
    from flowcore.model import Workflow
    from flowcore.runs import LogLine, Phase, Rendered, RunHandle, StepState, Update


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'flowcore' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"flowcore.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})


__all__ = [
    "Backend",
    "FlowError",
    "GoneError",
    "LogLine",
    "Phase",
    "PluginError",
    "Problem",
    "RefusedError",
    "Rendered",
    "RunHandle",
    "StepState",
    "UnreachableError",
    "Update",
    "UsageError",
    "Workflow",
    "WorkflowError",
    "cancel",
    "check",
    "hookimpl",
    "load",
    "logs",
    "poll",
    "render",
    "run",
    "submit",
    "wait",
]
