"""The kept schemas are the engines' own, and refuse what an API server refuses."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from api_schemas import KINDS, faults, making

DIAMOND: dict[str, Any] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "metadata": {"name": "diamond"},
    "spec": {
        "entrypoint": "main",
        "templates": [
            {"name": "main", "dag": {"tasks": [{"name": "a", "template": "say"}, {"name": "b", "template": "say"}]}},
            {"name": "say", "container": {"image": "busybox:1", "ports": [{"containerPort": 80}]}},
        ],
    },
}


def changed(place: str, value: object) -> dict[str, Any]:
    """The diamond with one thing more, or another one, at a dotted place."""
    found = copy.deepcopy(DIAMOND)
    at: Any = found
    *path, last = (int(key) if key.isdigit() else key for key in place.split("."))
    for key in path:
        at = at[key]
    at[last] = value
    return found


def test_what_a_server_takes_has_no_faults() -> None:
    assert faults(DIAMOND) == []


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ("spec.retries", 3, r"\$\.spec: .*'retries' was unexpected"),
        ("metadata.label", {}, r"\$\.metadata: .*'label' was unexpected"),
        ("metadata.labels", {"a": 1}, r"\$\.metadata\.labels\.a: 1 is not of type 'string'"),
        ("spec.parallelism", "8", r"\$\.spec\.parallelism: '8' is not of type 'integer'"),
        ("spec.templates.1.container.env", [{"value": "x"}], "'name' is a required property"),
        ("spec.templates.1.container.resources", {"limits": {"cpu": "much"}}, "'much' does not match"),
        ("spec.templates.1.container.ports", [{"containerPort": 80}] * 2, "two items have the same containerPort"),
        ("spec.templates", [{"name": f"t{n}"} for n in range(201)], "is too long"),
    ],
)
def test_a_fault_is_said_with_its_place(place: str, value: object, says: str) -> None:
    found = faults(changed(place, value))
    assert len(found) == 1
    assert re.search(says, found[0]), found


def test_objects_of_other_kinds_are_no_ones_to_pass() -> None:
    with pytest.raises(AssertionError, match="no schema of batch/v1 Job"):
        faults({"apiVersion": "batch/v1", "kind": "Job"})
    assert "tekton.dev/v1 PipelineRun" in KINDS


@pytest.mark.cluster
@pytest.mark.parametrize("platform", making.SOURCES)
def test_the_files_are_what_the_engines_sources_say(platform: str) -> None:
    """After a new version of an engine: ``python3 tests/api_schemas``."""
    assert making.file_of(platform).read_text(encoding="utf-8") == making.text(platform)
