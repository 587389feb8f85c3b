"""Steps that name no image. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from flowcore.plugin import Manifest, Nested, Workflow


def notes_on_images(workflow: Workflow, image: str) -> list[str]:
    """What a render has to say where ``image`` stands in for one that nobody named: one sentence, or nothing."""
    plain = list(_plain(workflow))
    if not plain:
        return []
    named = ", ".join(plain[:3]) + (f" and {len(plain) - 3} more" if len(plain) > 3 else "")
    return [f"{named}: no image is given, so {image} is used (option image)"]


def _plain(workflow: Workflow) -> Iterator[str]:
    for name, step in (*workflow.steps.items(), *workflow.on_exit.items()):
        if isinstance(step.action, Nested):
            yield from _plain(step.action.workflow)
        elif step.image is None and not isinstance(step.action, Manifest):
            yield name
