"""Rendered objects as the classes of Tekton's Python SDK, ``tekton-pipeline``, as far as it has them.

The SDK is of 2021: it knows the API v1beta1 of that time, so many fields of ``tekton.dev/v1`` have no place in its
classes. They are named instead of dropped in silence; what they say is in the object that was given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from flowcore.plugin import UsageError


@frozen
class Model:
    """An object of the SDK, and the fields of what was rendered that its classes lack, as paths."""

    model: Any
    left: tuple[str, ...]


def model_of(object: Mapping[str, Any]) -> Model:
    """A rendered PipelineRun as ``V1beta1PipelineRun``.

    Raises:
        UsageError: if the SDK is not installed, or the object is of another kind.
    """
    try:
        import tekton_pipeline.models as models
    except ImportError as error:
        raise UsageError('Tekton\'s Python SDK is not installed; pip install "flowcore-tekton[sdk]" adds it') from error
    kind = object.get("kind")
    if kind != "PipelineRun":
        raise UsageError(f"Tekton's Python SDK has a class for a PipelineRun, and this is a {kind}")
    left: list[str] = []
    made = _made(models, "V1beta1PipelineRun", {**object, "apiVersion": "tekton.dev/v1beta1"}, "", left)
    return Model(made, tuple(left))


def _made(models: Any, kind: str, value: Any, path: str, left: list[str]) -> Any:
    inner = re.fullmatch(r"list\[(.*)\]", kind)
    if inner is not None and isinstance(value, list):
        return [_made(models, inner[1], item, f"{path}[{index}]", left) for index, item in enumerate(value)]
    found = getattr(models, kind, None)
    if found is None or not isinstance(value, Mapping):
        return value  # a plain type, or one of Kubernetes' own, which the SDK takes as a dict
    fields = {name: attribute for attribute, name in found.attribute_map.items()}
    given = {}
    for name, item in value.items():
        here = f"{path}.{name}" if path else name
        if name in fields:
            given[fields[name]] = _made(models, found.openapi_types[fields[name]], item, here, left)
        else:
            left.append(here)
    return found(**given)
