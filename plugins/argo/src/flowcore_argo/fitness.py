"""What Argo cannot do although it has the feature: refused before anything is submitted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from flowcore.plugin import MISSING, Container, Manifest, Nested, Problem, Step, Workflow, references
from flowcore_argo.limits import REPEATS
from flowcore_kubernetes import condition_problems

Where = tuple["str | int", ...]

WORKFLOW_KEYS: Final = ("cron", "pod_spec_patch")
STEP_KEYS: Final = ("pod_spec_patch",)


def problems(workflow: Workflow, backend: str, stored: bool) -> list[Problem]:
    """Everything that is refused, each with its place; ``stored``: artifacts are kept in Argo's repository."""
    found: list[Problem] = []
    if stored:
        found += _handed_on(workflow)
    for key in workflow.backends.get(backend, {}):
        if key not in WORKFLOW_KEYS:
            message = f"{backend} has no such key for a workflow; it has {', '.join(WORKFLOW_KEYS)}"
            found.append(Problem(("backends", backend, key), message))
    found += _cron(workflow, backend)
    for field in ("labels", "annotations"):
        found += _braces(("",), field, getattr(workflow, field))
    for path, step, siblings in _walk(workflow):
        found += _step(path, step, siblings, backend)
    return found


CRON_KEYS: Final = (
    "schedules",
    "timezone",
    "concurrencyPolicy",
    "startingDeadlineSeconds",
    "successfulJobsHistoryLimit",
    "failedJobsHistoryLimit",
    "stopStrategy",
    "suspend",
    "when",
)
"""What a CronWorkflow's spec has besides its workflow."""


def _cron(workflow: Workflow, backend: str) -> Iterator[Problem]:
    cron = workflow.backends.get(backend, {}).get("cron")
    if cron is None:
        return
    path: Where = ("backends", backend, "cron")
    if not isinstance(cron, dict) or not cron.get("schedules"):
        yield Problem(path, 'a CronWorkflow needs its schedules, as in cron: {schedules: ["0 3 * * *"]}')
        return
    for key in cron:
        if key not in CRON_KEYS:
            yield Problem((*path, key), f"a CronWorkflow has no such key; it has {', '.join(CRON_KEYS)}")
    for where, step, _ in _walk(workflow):
        if any(output.artifact for output in step.outputs.values()):
            yield Problem((*where, "outputs"), "the runs of a cron would share one volume of artifacts; leave them out")


def _walk(workflow: Workflow, path: Where = ()) -> Iterator[tuple[Where, Step, Mapping[str, Step]]]:
    for group, steps in (("steps", workflow.steps), ("on_exit", workflow.on_exit)):
        for name, step in steps.items():
            here = (*path, group, name)
            yield here, step, steps
            if isinstance(step.action, Nested):
                yield from _walk(step.action.workflow, (*here, "workflow"))


def _step(path: Where, step: Step, siblings: Mapping[str, Step], backend: str) -> Iterator[Problem]:
    for key in step.backends.get(backend, {}):
        if key not in STEP_KEYS:
            yield Problem(
                (*path, "backends", backend, key),
                f"{backend} has no such key for a step; it has {', '.join(STEP_KEYS)}",
            )
    if step.user is not None and not re.fullmatch(r"\d+(:\d+)?", step.user):
        yield Problem((*path, "user"), f"a pod's user is a number, or number:group, not {step.user!r}")
    if isinstance(step.action, Container) and step.action.command is None and (step.outputs or step.stdout):
        yield Problem(
            (*path, "outputs"),
            f"backend {backend} checks outputs (outputs.typed) around the command, and does not know the image's own;"
            " give `command`",
        )
    if step.repeat is not None and step.repeat.max > REPEATS:
        yield Problem(
            (*path, "repeat", "max"),
            f"backend {backend} goes {REPEATS} iterations deep, and this is {step.repeat.max}",
        )
    for other, need in step.needs.items():
        if need == "failed" and other in siblings:
            asked = siblings[other]
            what = "repeat" if asked.repeat is not None else "manifest" if isinstance(asked.action, Manifest) else ""
            if what:
                yield Problem(
                    (*path, "needs", other),
                    f"backend {backend} cannot tell whether a {what} failed or could not be run; ask `finished`",
                )
    if isinstance(step.action, Manifest):
        yield from condition_problems(step.action, path)
    if step.foreach is not MISSING and step.cache is not None and isinstance(step.action, Nested):
        yield Problem((*path, "cache"), f"backend {backend} keeps single steps, not nested workflows")
    if step.labels or step.annotations:
        yield from _braces(path, "labels", step.labels)
        yield from _braces(path, "annotations", step.annotations)


def _handed_on(workflow: Workflow, path: Where = ()) -> Iterator[Problem]:
    """A template has to name the artifacts that it is given, so no workflow can hand on where one is."""
    for name, step in workflow.steps.items():
        if not isinstance(step.action, Nested):
            continue
        here: Where = (*path, "steps", name)
        for key, value in (*step.action.args.items(), *step.action.workflow.outputs.items()):
            if any(ref.path for ref in references(value)):
                message = "with artifacts in Argo's repository no nested workflow takes or gives an artifact's place"
                yield Problem((*here, "workflow", key), message)
        yield from _handed_on(step.action.workflow, (*here, "workflow"))


def _braces(path: Where, field: str, texts: object) -> Iterator[Problem]:
    for key, text in dict(texts).items():  # type: ignore[call-overload]
        if "{{" in text:
            where = (field, key) if path == ("",) else (*path, field, key)
            yield Problem(where, "Argo would expand the {{ in it, and there is no way to write it otherwise")
