"""Binds params to literals, before anything else: no platform ever sees a parameter, so none expands one again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from attrs import evolve

from flowcore.checks.text import check_value
from flowcore.errors import Problem, WorkflowError
from flowcore.lowering.rewrite import Replace, rewrite_env, rewrite_step, rewrite_text, rewrite_value
from flowcore.model import MISSING, Nested, Param, Step, Workflow
from flowcore.names import nearest
from flowcore.syntax import Expr, Json, Literal, Ref, Template, Value
from flowcore.values import misfit


def params_from_text(workflow: Workflow, given: Mapping[str, str]) -> dict[str, Json]:
    """Params as a command line has them: text for string params, JSON for all others.

    Raises:
        WorkflowError: for each text that is not JSON where JSON is wanted.
    """
    values: dict[str, Json] = {}
    problems: list[Problem] = []
    for name, text in given.items():
        param = workflow.params.get(name)
        if param is None or param.type.name == "string":
            values[name] = text
            continue
        try:
            values[name] = json.loads(text, parse_constant=_no_constant)
        except ValueError:
            what = f"{text!r} is not JSON; this param is of type {param.type}"
            problems.append(_located(workflow, name, what))
    if problems:
        raise WorkflowError(problems)
    return values


def _no_constant(text: str) -> Json:
    raise ValueError(text)


def bind(workflow: Workflow, params: Mapping[str, Json]) -> Workflow:
    """The workflow with every param replaced by its value, and nothing left to evaluate that is known already.

    A step whose ``when`` turned out false keeps ``when: Literal(False)``; one whose ``when`` is true has none. Params
    of a nested workflow whose argument holds a reference to a step stay, since only the run knows them. An expression
    that has no value (a key that an object param lacks) stays, too: it is that step's error when it runs.

    Raises:
        WorkflowError: for params that are unknown, missing or of another type.
    """
    problems = _param_problems(workflow, params)
    if problems:
        raise WorkflowError(problems)
    values = {name: params.get(name, param.default) for name, param in workflow.params.items()}
    known = {name: cast(Json, value) for name, value in values.items()}
    bound = _bind_inside(workflow, known, workflow.name, (), problems)
    if problems:
        raise WorkflowError(problems)
    return bound


def _param_problems(workflow: Workflow, params: Mapping[str, Json]) -> list[Problem]:
    problems = []
    for name in params:
        if name not in workflow.params:
            near = nearest(name, workflow.params)
            known = ", ".join(workflow.params) or "none"
            hint = f"did you mean {near}?" if near else f"it has {known}"
            problems.append(Problem(("params", name), f"the workflow has no param {name}; {hint}"))
    for name, param in workflow.params.items():
        if name in params:
            check_value(
                cast(Value, params[name]),
                ("params", name),
                lambda path, message: problems.append(Problem(path, message)),
            )
            fault = misfit(params[name], param.type)
            if fault:
                problems.append(_located(workflow, name, f"the value given is {fault}; it must be {param.type}"))
        elif param.default is MISSING:
            problems.append(_located(workflow, name, f"it has no default; give it a value, as in -p {name}=..."))
    return problems


def _located(workflow: Workflow, name: str, message: str) -> Problem:
    path = ("params", name)
    return Problem(path, message, workflow.places.get(path))


def _bind_inside(
    workflow: Workflow,
    known: Mapping[str, Json],
    whole: str,
    prefix: tuple[str, ...],
    problems: list[Problem],
    left: Mapping[str, Param] | None = None,
) -> Workflow:
    def replace(ref: Ref) -> Value | Expr | None:
        if ref.kind == "param" and ref.name in known:
            return Literal(known[ref.name])
        if ref.kind == "workflow.name":
            return Literal(whole)
        return None

    def bound(steps: Mapping[str, Step], where: str) -> dict[str, Step]:
        return {
            name: _bind_step(step, replace, whole, (*prefix, where, name), problems) for name, step in steps.items()
        }

    image = workflow.defaults.image
    return evolve(
        workflow,
        params=left or {},
        env=rewrite_env(workflow.env, replace),
        defaults=evolve(workflow.defaults, image=None if image is None else rewrite_text(image, replace)),
        steps=bound(workflow.steps, "steps"),
        on_exit=bound(workflow.on_exit, "on_exit"),
        outputs={name: rewrite_value(value, replace) for name, value in workflow.outputs.items()},
    )


def _bind_step(step: Step, replace: Replace, whole: str, path: tuple[str, ...], problems: list[Problem]) -> Step:
    step = rewrite_step(step, replace)
    if step.when is not None and step.when == Literal(True):
        step = evolve(step, when=None)
    if isinstance(step.action, Nested):
        step = evolve(step, action=_bind_nested(step.action, whole, path, problems))
    return step


def _bind_nested(nested: Nested, whole: str, path: tuple[str, ...], problems: list[Problem]) -> Nested:
    known: dict[str, Json] = {}
    left: dict[str, Param] = {}
    args: dict[str, Value] = {}
    for name, param in nested.workflow.params.items():
        value = nested.args.get(name, param.default)
        if value is MISSING:
            continue  # check has refused it
        if is_plain(cast(Value, value)):
            fault = misfit(cast(Json, value), param.type)
            if fault:
                problems.append(Problem((*path, "args", name), f"this is {fault}; the param is {param.type}"))
            known[name] = cast(Json, value)
        else:
            left[name] = param
            args[name] = cast(Value, value)
    inner = _bind_inside(nested.workflow, known, whole, (*path, "workflow"), problems, left)
    return Nested(inner, args)


def is_plain(value: Value) -> bool:
    """Whether a value holds no template."""
    if isinstance(value, Template):
        return False
    if isinstance(value, list):
        return all(is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(is_plain(item) for item in value.values())
    return True
