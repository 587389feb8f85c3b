"""Artifacts in Argo's own artifact repository (S3 and its like), under keys that readers know beforehand.

``RUN/STEP/OUTPUT`` is one artifact, ``RUN/STEP/OUTPUT/INDEX`` that of an item of a foreach: so the artifacts of all
items are one folder, with entries ``0``, ``1``, ... (S19). They are kept as they are, neither packed nor compressed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flowcore_argo.places import ARTIFACTS, ITEMS, OUTPUTS, RUN_NAME
from flowcore_argo.quoting import tag

Object = dict[str, Any]

_AS_IT_IS: Object = {"none": {}}


def written(names: Iterable[str], step: str, item: bool) -> list[Object]:
    """The artifacts that a template leaves.

    Args:
        step: FLOW_STEP as Argo fills it in.
        item: whether the step is an item of a foreach itself.
    """
    return [
        {
            "name": name,
            "path": f"{OUTPUTS}/{name}",
            "archive": _AS_IT_IS,
            "s3": {"key": _item_key(name) if item else f"{RUN_NAME}/{step}/{name}"},
        }
        for name in names
    ]


def _item_key(name: str) -> str:
    """``each[3]`` as ``RUN/each/NAME/3``."""
    parts = "split(inputs.parameters.step, '[')"
    return tag(
        f"workflow.name + '/' + join({parts}[0:len({parts})-1], '[') + '/{name}/'"
        f" + sprig.trimSuffix(']', {parts}[len({parts})-1])"
    )


def read(single: Iterable[tuple[str, str]], gathered: Iterable[tuple[str, str]]) -> list[Object]:
    """The artifacts that a template is given: ``(step, output)`` of steps, and of foreaches as a whole."""
    found: list[Object] = []
    for root, pairs in ((ARTIFACTS, single), (ITEMS, gathered)):
        for step, name in pairs:
            place = f"{step}/{name}"
            found.append(
                {
                    "name": f"artifact-{len(found) + 1}",
                    "path": f"{root}/{place}",
                    "archive": _AS_IT_IS,
                    "s3": {"key": f"{RUN_NAME}/{place}"},
                }
            )
    return found


def key_of(run: str, place: str) -> str:
    """The key of an artifact by its place in a run: ``each[3]/part`` is ``RUN/each/part/3``."""
    step, _, name = place.rpartition("/")
    if not step.endswith("]"):
        return f"{run}/{place}"
    each, _, number = step[:-1].rpartition("[")
    return f"{run}/{each}/{name}/{number}"
