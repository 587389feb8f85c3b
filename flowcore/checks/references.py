"""Whether every expression of a workflow may stand where it does, names what is there, and has the right type."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from flowcore.checks.scope import Scope, UnknownName, artifact_ref, is_constant, shown
from flowcore.checks.sites import Place, Site, env_sites, sites
from flowcore.errors import Path
from flowcore.expressions import TypeMismatch, fits, type_of_json, unparse
from flowcore.expressions.inference import assignable, described
from flowcore.model import ANY, BOOLEAN, MISSING, Manifest, Nested, Step
from flowcore.names import nearest
from flowcore.syntax import Expr, Ref

Report = Callable[[Path, str], None]

_ANYWHERE = frozenset({"param", "output", "run.id", "workflow.name"})
_PROCESS = _ANYWHERE | {"item", "iteration", "own.path"}
_BOUND = frozenset({"param", "run.id", "workflow.name"})
_ON_EXIT = _BOUND | {"run.phase"}

ALLOWED: dict[Place, frozenset[str]] = {
    "when": _ANYWHERE,
    "foreach": _ANYWHERE,
    "until": _ANYWHERE | {"own", "iteration"},
    "image": _ANYWHERE | {"item", "iteration"},
    "command": _PROCESS,
    "args": _PROCESS,
    "env": _PROCESS,
    "python.args": _PROCESS,
    "nested args": _ANYWHERE | {"item"},
    "cache.key": _ANYWHERE | {"item"},
    "manifest": _ANYWHERE,
    "success_when": frozenset({"object"}),
    "failure_when": frozenset({"object"}),
    "outputs": _ANYWHERE,
    "env of the workflow": _BOUND,
    "defaults.image": _BOUND,
}
"""Which kinds of references may stand where (S5, S19, S21, S23); ``own`` is a step's own output."""


def check_step_references(scope: Scope, name: str, step: Step, path: Path, on_exit: bool, report: Report) -> None:
    """Report what is wrong with the expressions of one step."""
    for site in sites(step):
        if isinstance(site.value, str) and site.place != "foreach":
            continue
        good = True
        for ref in site.references():
            message = _misplaced(ref, site, name, step, on_exit) or _unknown(ref, scope, step)
            if message is not None:
                good = False
                report(path + site.path, message)
            elif ref.kind == "output":
                _need_of(ref, scope, step, path + site.path, report)
        if good:
            _types(scope, step, site, path, report)
    if isinstance(step.action, Nested):
        _nested_args(scope, step, step.action, path, report)


def check_workflow_references(scope: Scope, path: Path, report: Report) -> None:
    """Report what is wrong with the expressions of the workflow itself: its outputs, env and default image."""
    workflow = scope.workflow
    for name, value in workflow.outputs.items():
        _loose(scope, Site(("outputs", name), "outputs", value), path, report)
    for site in env_sites(workflow.env, "env of the workflow"):
        _loose(scope, site, path, report)
    if workflow.defaults.image is not None:
        _loose(scope, Site(("defaults", "image"), "defaults.image", workflow.defaults.image), path, report)


def _loose(scope: Scope, site: Site, path: Path, report: Report) -> None:
    """Check a value that stands in no step."""
    good = True
    alone = artifact_ref(site.value) if site.place == "outputs" else None
    for ref in site.references():
        message = _misplaced(ref, site, "", None, False) or _unknown(ref, scope, None)
        if message is None and ref.path and alone is None:
            message = f"{unparse(ref)} hands an artifact on; write it alone, as ${{{{ {unparse(ref)} }}}}"
        if message is not None:
            good = False
            report(path + site.path, message)
    if good:
        try:
            scope.value(site.value, None)
        except TypeMismatch as error:
            report(path + site.path, str(error))


def _misplaced(ref: Ref, site: Site, name: str, step: Step | None, on_exit: bool) -> str | None:
    """Why ``ref`` may not stand in ``site``, or None."""
    place, kind = site.place, ref.kind
    if kind == "output" and ref.step == name and step is not None and not on_exit:
        return f"a step cannot read its own outputs as {unparse(ref)}; write outputs.{ref.name}.path for the file"
    if on_exit:
        if kind in _ON_EXIT or place in ("success_when", "failure_when"):
            return None
        if kind == "output":
            return (
                f"a step of on_exit cannot read {unparse(ref)}; "
                f"make it an ordinary step with needs: {{{ref.step}: finished}}"
            )
        return f"{unparse(ref)} cannot be used in on_exit, which knows params, run.id, run.phase and workflow.name"
    allowed = ALLOWED[place]
    if kind == "run.phase":
        return "run.phase is known in on_exit only; to run after a failure, write needs: {STEP: failed}"
    if kind == "own":
        return _misplaced_own(ref, place, step, allowed)
    if kind not in allowed:
        if kind == "object":
            return f"{ref.name!r} is a name of success_when and failure_when only"
        return f"{unparse(ref)} cannot be used in {place}" + _REMEDY.get(kind, "")
    if kind == "item" and (step is None or step.foreach is MISSING):
        return "item is there only in a step with foreach; add foreach, or name a param or an output"
    if kind == "iteration" and (step is None or step.repeat is None):
        return "iteration is there only in a step with repeat; add repeat, or leave it out"
    return None


_REMEDY = {
    "item": "; it is for command, args, env, image, python.args, the args of a nested workflow and cache.key",
    "iteration": "; it is for command, args, env, image, python.args and repeat.until",
    "output": ", which all steps have in common; put it into the env or image of the steps that need it",
}


def _misplaced_own(ref: Ref, place: Place, step: Step | None, allowed: frozenset[str]) -> str | None:
    if step is None:
        return f"{unparse(ref)} is a step's own output; write steps.STEP.outputs.{ref.name}"
    if ref.name not in step.outputs:
        return f"this step has no output {ref.name!r}{_did_you_mean(ref.name, step.outputs)}"
    if ref.path:
        if "own.path" in allowed:
            return None
        return f"{unparse(ref)} cannot be used in {place}; it is for command, args, env and python.args"
    if "own" not in allowed:
        return (
            f"outputs.{ref.name} has no value before the step has ended; "
            f"write outputs.{ref.name}.path for the file to write"
        )
    if step.outputs[ref.name].artifact:
        return f"outputs.{ref.name} is an artifact, which has no value; compare a value output"
    return None


def _unknown(ref: Ref, scope: Scope, step: Step | None) -> str | None:
    """What is wrong with the thing that ``ref`` names, or None."""
    try:
        if ref.kind == "param":
            scope.param(ref.name)
        if ref.kind != "output":
            return None
        seen = scope.output(ref)
    except UnknownName as error:
        return str(error)
    if seen.artifact and not ref.path:
        return f"{unparse(ref)} is an artifact; write {unparse(ref)}.path for its place"
    if ref.path and not seen.artifact:
        value = Ref("output", step=ref.step, name=ref.name)
        return (
            f"{unparse(value)} is a value, whose path only its own step knows; write {unparse(value)}, "
            f'or {unparse(value)}["path"] for a key of that name'
        )
    return None


def _need_of(ref: Ref, scope: Scope, step: Step, path: Path, report: Report) -> None:
    """S3: a step that runs because another failed or was skipped cannot count on its outputs."""
    status = step.needs.get(ref.step)
    if status in ("failed", "skipped") and not scope.output(ref).has_default:
        report(
            path,
            f"{unparse(ref)} is never there, since this step needs {ref.step} to be {status}; "
            f"give the output a default, or do not use it here",
        )


def _types(scope: Scope, step: Step, site: Site, path: Path, report: Report) -> None:
    value, where = site.value, path + site.path
    try:
        if site.condition is not None:
            _condition(scope, step, site, site.condition, where, report)
        elif not is_constant(value):
            found = scope.value(value, step)
            if site.place == "foreach" and found.name not in ("list", "any"):
                report(where, f"foreach takes a list, and this is {described(found)}; write a list or a ref to one")
        elif site.place == "foreach" and not isinstance(value, list):
            report(where, "foreach takes a list; write one, or a ref to a list in ${{ }}")
    except TypeMismatch as error:
        report(where, str(error))


def _condition(scope: Scope, step: Step, site: Site, expr: Expr, where: Path, report: Report) -> None:
    on_object = isinstance(step.action, Manifest) and site.place in ("success_when", "failure_when")
    found = scope.expression(expr, step, order_any=on_object)
    if found == BOOLEAN or (found == ANY and on_object):
        return
    text = unparse(expr)
    remedy = f"write {text} == true" if found == ANY else "write a comparison"
    report(where, f"a condition is a boolean, and {text if len(text) < 60 else 'this'} is {described(found)}; {remedy}")


def _nested_args(scope: Scope, step: Step, action: Nested, path: Path, report: Report) -> None:
    params = action.workflow.params
    for name, value in action.args.items():
        where: Path = (*path, "args", name)
        param = params.get(name)
        if param is None:
            report(where, f"the nested workflow has no param {name!r}{_did_you_mean(name, params)}")
            continue
        if is_constant(value):
            if not fits(value, param.type):  # type: ignore[arg-type]
                found = described(type_of_json(value))  # type: ignore[arg-type]
                report(where, f"{shown(value)} is {found}, and the param is {described(param.type)}")  # type: ignore[arg-type]
            continue
        try:
            given = scope.value(value, step)
        except (TypeMismatch, UnknownName, KeyError):
            continue  # reported already
        if not assignable(given, param.type):
            report(where, f"the value is {described(given)}, and the param is {described(param.type)}")
    for name, param in params.items():
        if param.default is MISSING and name not in action.args:
            report((*path, "args"), f"the nested workflow's param {name!r} has no default; give it here")


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f"; did you mean {near!r}?" if near is not None else ""
