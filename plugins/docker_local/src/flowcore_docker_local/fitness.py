"""What no engine could run is refused with its place; what has no meaning for containers is named once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowcore.plugin import Problem, Workflow, parse_quantity
from flowcore_docker_local.spec import MEMORY_MINIMUM, is_image
from flowcore_local.fitness import all_steps
from flowcore_local.fitness import notes as placement_notes

if TYPE_CHECKING:
    from flowcore_docker_local.options import Options

PLACEMENT: Final = {
    "requests": "requests",
    "annotations": "annotations",
    "node_selector": "node_selector",
    "tolerations": "tolerations",
}


def problems(workflow: Workflow, backend: str, options: Options) -> list[Problem]:
    """What is refused, each with its place."""
    found: list[Problem] = []
    for key in workflow.backends.get(backend, {}):
        message = f"{backend} has no such key for a workflow: it has none; its settings are options of the profile"
        found.append(Problem(("backends", backend, key), message))
    for name, volume in workflow.volumes.items():
        if volume.kind == "claim" and volume.value not in options.claims:
            message = (
                f"nothing says what the claim {volume.value} stands for; add it to the profile, as in "
                f"`claims: {{{volume.value}: NAME}}` with a volume of the engine or a folder of its machine"
            )
            found.append(Problem(("volumes", name), message))
    for path, step in all_steps(workflow):
        for key in step.backends.get(backend, {}):
            message = f"{backend} has no such key for a step: it has none; its settings are options of the profile"
            found.append(Problem((*path, "backends", backend, key), message))
        if isinstance(step.image, str) and not is_image(step.image):
            message = f"{step.image!r} cannot be the name of an image; write it as in registry.example/team/name:tag"
            found.append(Problem((*path, "image"), message))
        memory = step.resources.get("memory")
        if memory is not None and parse_quantity(memory) < MEMORY_MINIMUM:
            message = f"{memory} is less memory than a Docker engine can limit a container to; write 6Mi or more"
            found.append(Problem((*path, "resources", "memory"), message))
        targets: dict[str, str] = {}
        for target in step.mounts:
            plain = "/" + "/".join(part for part in target.split("/") if part not in ("", "."))
            if plain in targets or plain == "/":
                other = f"{targets[plain]} is the same place" if plain in targets else "it is the whole file tree"
                found.append(Problem((*path, "mounts", target), f"nothing can be mounted at {target}: {other}"))
            targets[plain] = target
            mount = step.mounts[target]
            if mount.sub_path and ":" in target + mount.sub_path:
                found.append(
                    Problem((*path, "mounts", target), "a Docker engine takes no `:` in a mount with sub_path")
                )
    return found


def notes(workflow: Workflow, options: Options) -> list[str]:
    """What a render has to say."""
    found = placement_notes(
        workflow,
        PLACEMENT,
        frozenset({"memory", "cpu", "gpu"}),
        "steps run in containers of one Docker engine",
        ("annotations", "service_account", "image_pull_secrets"),
    )
    plain = [str(path[-1]) for path, step in all_steps(workflow) if step.image is None]
    if plain:
        named = ", ".join(plain[:3]) + (f" and {len(plain) - 3} more" if len(plain) > 3 else "")
        found.append(f"{named}: no image is given, so {options.image} is used (option image)")
    return found
