"""A workflow as a whole: its parts one by one, and what they are to each other."""

from __future__ import annotations

import re
from collections.abc import Mapping

from flowcore.checks.needs import cycles, needs_with, reads_failures
from flowcore.checks.references import Report, check_step_references, check_workflow_references
from flowcore.checks.scope import Scope
from flowcore.checks.sites import reading
from flowcore.checks.steps import (
    check_common,
    check_default,
    check_env,
    check_parallelism,
    check_seconds,
    check_step,
)
from flowcore.checks.text import check_clashes, check_name, check_text, check_value
from flowcore.errors import Path, Problem
from flowcore.model import Need, Nested, Output, Step, Volume, Workflow
from flowcore.names import nearest
from flowcore.units import parse_quantity

_DEPTH = 20
_LINE = re.compile(r":([0-9]+)(?::([0-9]+))?$")
_NOT_NESTED = (
    "parallelism",
    "timeout",
    "fail_fast",
    "ttl",
    "labels",
    "annotations",
    "service_account",
    "image_pull_secrets",
    "volumes",
    "on_exit",
    "backends",
)
_STATUSES = ("met", "succeeded", "failed", "skipped", "finished")


def check(workflow: Workflow) -> list[Problem]:
    """Find everything that is wrong with ``workflow``, in its order; an empty list is a workflow that can be lowered.

    Paths are the document's. Each problem has the place of the nearest key around it that ``workflow.places`` knows.
    """
    problems: list[Problem] = []

    def report(path: Path, message: str) -> None:
        problem = Problem(path, message, _place(path, workflow.places))
        if problem not in problems[-20:]:
            problems.append(problem)

    check_name("name of a workflow", workflow.name, ("name",), report)
    _top(workflow, report)
    _body(workflow, workflow.volumes, (), 0, report)
    for name, step in workflow.on_exit.items():
        path: Path = ("on_exit", name)
        check_name("name of a step", name, path, report)
        if name in workflow.steps:
            report(path, f"there is a step {name!r} under steps too; rename one of them")
        check_step(step, workflow, workflow.volumes, path, True, report)
        check_step_references(Scope(workflow), name, step, path, True, report)
    both = [*workflow.steps, *(name for name in workflow.on_exit if name not in workflow.steps)]
    _step_clashes(both, workflow, report)
    return sorted(problems, key=_order)


def _place(path: Path, places: Mapping[Path, str]) -> str | None:
    for length in range(len(path), -1, -1):
        if path[:length] in places:
            return places[path[:length]]
    return None


def _order(problem: Problem) -> tuple[int, int]:
    """The document's order; problems without a place, as of a workflow made by a program, keep theirs."""
    found = _LINE.search(problem.place or "")
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def _step_clashes(names: list[str], workflow: Workflow, report: Report) -> None:
    def at(path: Path, message: str) -> None:
        name = path[-1]
        report(("steps" if name in workflow.steps else "on_exit", name), message)

    check_clashes("step", names, (), at)


def _top(workflow: Workflow, report: Report) -> None:
    """The fields that only the outermost workflow has."""
    check_parallelism(workflow.parallelism, (), report)
    if workflow.timeout is not None:
        check_seconds(workflow.timeout, ("timeout",), report)
    ttl = workflow.ttl
    if ttl is not None and (ttl < 0 or ttl != int(ttl)):
        report(("ttl",), f"ttl is whole seconds, 0s or more, and this is {ttl:g}s; write {max(0, round(ttl))}s")
    for field, texts in (("labels", workflow.labels), ("annotations", workflow.annotations)):
        check_value(dict(texts), (field,), report)
    if workflow.service_account is not None:
        check_text(workflow.service_account, ("service_account",), report)
        if not workflow.service_account:
            report(("service_account",), "the name is empty; write it or leave service_account out")
    for i, secret in enumerate(workflow.image_pull_secrets):
        check_text(secret, ("image_pull_secrets", i), report)
        if not secret:
            report(("image_pull_secrets", i), "the secret's name is empty; write it or leave it out")
    for name, volume in workflow.volumes.items():
        check_name("name of a volume", name, ("volumes", name), report)
        _volume(volume, ("volumes", name), report)
    check_clashes("volume", workflow.volumes, ("volumes",), report)
    if workflow.fail_fast:
        for asks, needed, status in reads_failures(workflow):
            report(
                ("fail_fast",),
                f"{asks} needs {needed} to have {status}, and fail_fast: true may leave it unstarted; "
                f"leave fail_fast out, or give {needed} continue_on_failure: true",
            )


def _volume(volume: Volume, path: Path, report: Report) -> None:
    value = volume.value
    check_text(value, path, report)
    if volume.kind == "empty":
        return
    if not value:
        report(path, f"{volume.kind} is empty; write it")
    elif volume.kind == "size":
        try:
            if parse_quantity(value) == 0:
                report((*path, "size"), "the size is 0; write one such as 1Gi")
        except ValueError as error:
            report((*path, "size"), str(error))
    elif volume.kind == "host_path" and not value.startswith("/"):
        report((*path, "host_path"), f"{value!r} is not absolute; write the whole path, from /")


def _body(workflow: Workflow, volumes: Mapping[str, Volume], path: Path, depth: int, report: Report) -> None:
    """What a workflow and a nested one have in common."""
    check_text(workflow.description, (*path, "description"), report)
    for name, param in workflow.params.items():
        where: Path = (*path, "params", name)
        check_name("name of a param", name, where, report)
        check_default(param.default, Output(type=param.type), (*where, "default"), report)
    check_clashes("param", workflow.params, (*path, "params"), report)
    check_common(workflow.defaults, (*path, "defaults"), report)
    check_env(workflow.env, path, report)
    if not workflow.steps:
        report((*path, "steps"), "a workflow needs at least one step; add it under steps")
    if depth:
        check_clashes("step", workflow.steps, (*path, "steps"), report)
    scope = Scope(workflow, nested=depth > 0)
    needs: dict[str, Mapping[str, Need]] = {}
    for name, step in workflow.steps.items():
        where = (*path, "steps", name)
        check_name("name of a step", name, where, report)
        check_step(step, workflow, volumes, where, False, report)
        if step.description:
            check_text(step.description, (*where, "description"), report)
        read = reading(step)
        if read or isinstance(step.action, Nested):
            check_step_references(scope, name, step, where, False, report)
        if step.needs:
            _needs(name, step, workflow, (*where, "needs"), report)
        # A step that reads its own outputs is told so where it does.
        waits = needs_with(step.needs, read)
        waits.pop(name, None)
        needs[name] = waits
        if isinstance(step.action, Nested):
            _nested(step.action.workflow, volumes, (*where, "workflow"), depth + 1, report)
    for cycle in cycles(needs):
        report(
            (*path, "steps", cycle[0], "needs"),
            f"these steps wait for each other: {' -> '.join(cycle)}; take one of the needs out",
        )
    for name, value in workflow.outputs.items():
        check_name("name of an output", name, (*path, "outputs", name), report)
        check_value(value, (*path, "outputs", name), report)
    check_clashes("output", workflow.outputs, (*path, "outputs"), report)
    check_workflow_references(scope, path, report)


def _nested(workflow: Workflow, volumes: Mapping[str, Volume], path: Path, depth: int, report: Report) -> None:
    if depth > _DEPTH:
        report(path, f"workflows nest deeper than {_DEPTH}; write some of the inner steps further out")
        return
    if workflow.name:
        report((*path, "name"), "a nested workflow has no name of its own; leave it out")
    empty = Workflow()
    for field in _NOT_NESTED:
        if getattr(workflow, field) != getattr(empty, field):
            report((*path, field), f"a nested workflow takes no {field}; write it in the outermost workflow")
    _body(workflow, volumes, path, depth, report)


def _needs(name: str, step: Step, workflow: Workflow, path: Path, report: Report) -> None:
    for needed, status in step.needs.items():
        where: Path = (*path, needed)
        if status not in _STATUSES:
            near = nearest(status, _STATUSES)
            advice = f"did you mean {near}?" if near else "write succeeded, failed, skipped or finished"
            report(where, f"{status!r} is no status to wait for; {advice}")
        if needed == name:
            report(where, "a step cannot need itself; take it out")
        elif needed in workflow.on_exit and needed not in workflow.steps:
            report(where, f"{needed!r} is a step of on_exit, which starts when all others have ended; take it out")
        elif needed not in workflow.steps:
            near = nearest(needed, workflow.steps)
            report(where, f"there is no step {needed!r}" + (f"; did you mean {near!r}?" if near else "; take it out"))
