"""What plain processes cannot do: refused where it would change the result, named once where it would not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from flowcore.plugin import Container, Nested, Problem, Step, Workflow

Where = tuple["str | int", ...]

PLACEMENT: Final = {
    "image": "image",
    "image_pull_policy": "image_pull_policy",
    "requests": "requests",
    "labels": "labels",
    "annotations": "annotations",
    "node_selector": "node_selector",
    "tolerations": "tolerations",
    "pending_timeout": "pending_timeout",
}


def all_steps(workflow: Workflow, path: Where = ()) -> Iterator[tuple[Where, Step]]:
    """Every step with its path in the document, those of nested workflows included."""
    for group, steps in (("steps", workflow.steps), ("on_exit", workflow.on_exit)):
        for name, step in steps.items():
            here = (*path, group, name)
            yield here, step
            if isinstance(step.action, Nested):
                yield from all_steps(step.action.workflow, (*here, "workflow"))


def problems(workflow: Workflow, backend: str) -> list[Problem]:
    """What is refused, each with its place."""
    found: list[Problem] = []
    known = "it has none; its settings are options of the profile"
    for key in workflow.backends.get(backend, {}):
        found.append(Problem(("backends", backend, key), f"{backend} has no such key for a workflow: {known}"))
    for path, step in all_steps(workflow):
        for key in step.backends.get(backend, {}):
            found.append(Problem((*path, "backends", backend, key), f"{backend} has no such key for a step: {known}"))
        if step.user is not None:
            message = f"{backend} runs every step as the user who submits; take `user` out, or use a container backend"
            found.append(Problem((*path, "user"), message))
        if isinstance(step.action, Container) and step.action.command is None:
            message = (
                f"{backend} runs plain processes, so there is no image whose entry point could run; give `command`"
            )
            found.append(Problem(path, message))
    return found


def notes(
    workflow: Workflow,
    placement: Mapping[str, str] = PLACEMENT,
    resources: frozenset[str] = frozenset({"memory"}),
    where: str = "steps run as processes of this machine",
    of_workflow: tuple[str, ...] = ("labels", "annotations", "service_account", "image_pull_secrets"),
) -> list[str]:
    """One sentence that names all that has no meaning here and changes no result, or nothing.

    Args:
        workflow: what is rendered.
        placement: attributes of a step without meaning, with the words for them.
        resources: those that have one.
        where: how the sentence begins.
        of_workflow: attributes of a workflow without meaning.
    """
    fields: dict[str, list[str]] = {}
    for path, step in all_steps(workflow):
        name = str(path[-1])
        for field, word in placement.items():
            if getattr(step, field):
                fields.setdefault(word, []).append(name)
        for resource in step.resources:
            if resource not in resources:
                fields.setdefault(f"resources.{resource}", []).append(name)
    for field in of_workflow:
        if getattr(workflow, field):
            fields.setdefault(field, []).append("the workflow")
    if not fields:
        return []
    listed = "; ".join(f"{field} ({_names(names)})" for field, names in fields.items())
    return [f"{where}, which have no use for {listed}"]


def _names(names: list[str]) -> str:
    unique = list(dict.fromkeys(names))
    shown = ", ".join(unique[:3])
    return shown if len(unique) <= 3 else f"{shown} and {len(unique) - 3} more"
