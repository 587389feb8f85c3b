"""The Python front end: functions that are steps, and functions that describe workflows. See docs/python.md."""

from flowcore.authoring.inputs import (
    Backoff,
    Cache,
    Mount,
    Output,
    Param,
    Repeat,
    Retry,
    Volume,
    config_map,
    secret,
)
from flowcore.authoring.places import ProgramError
from flowcore.authoring.program import load_program, main
from flowcore.authoring.references import (
    Expression,
    Run,
    StepResult,
    expr,
    item,
    iteration,
    own,
    param,
    run,
    workflow_name,
)
from flowcore.authoring.steps import StepFunction, container, manifest, python, script, step
from flowcore.authoring.workflows import WorkflowFunction, configure, nested, on_exit, when, workflow

__all__ = [
    "Backoff",
    "Cache",
    "Expression",
    "Mount",
    "Output",
    "Param",
    "ProgramError",
    "Repeat",
    "Retry",
    "Run",
    "StepFunction",
    "StepResult",
    "Volume",
    "WorkflowFunction",
    "config_map",
    "configure",
    "container",
    "expr",
    "item",
    "iteration",
    "load_program",
    "main",
    "manifest",
    "nested",
    "on_exit",
    "own",
    "param",
    "python",
    "run",
    "script",
    "secret",
    "step",
    "when",
    "workflow",
    "workflow_name",
]
