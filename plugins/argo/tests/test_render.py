"""What people read: rendered Workflows, as golden files, and how Argo's own features are used.

``FLOWCORE_GOLDEN=write pytest plugins/argo/tests/test_render.py`` writes the files anew; look at the difference.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from flowcore.backend import Backend, load
from flowcore.errors import FlowError

GOLDEN = Path(__file__).with_name("golden")
EXAMPLES = Path(__file__).parents[3] / "examples" / "argo"
WRITE = os.environ.get("FLOWCORE_GOLDEN") == "write"


@pytest.fixture(scope="module")
def backend() -> Backend:
    return Backend.select("argo")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_example_is_rendered_as_its_golden_file_says(path, backend):
    text = backend.render(load(path)).text
    golden = GOLDEN / path.name
    if WRITE:
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def document(steps: dict) -> str:
    return json.dumps({"flowcore": 1, "name": "big", "defaults": {"image": "busybox:1"}, "steps": steps}, indent=1)


def sizes(rendered) -> list[int]:
    return [len(template.get("dag", {}).get("tasks", ())) for template in rendered.objects[0]["spec"]["templates"]]


@pytest.mark.parametrize("width", [1, 3, 10])
def test_steps_of_any_number_are_cut_into_dags_that_argo_takes(width, backend):
    steps = {
        f"s{index}": {"command": ["true"], **({"needs": [f"s{index - 1}"]} if index % width else {})}
        for index in range(1000)
    }
    rendered = backend.render(load(document(steps)))
    assert max(sizes(rendered)) <= 200
    assert len(rendered.objects[0]["spec"]["templates"]) <= 200


def test_a_web_that_is_too_large_is_cut_in_the_order_of_its_needs(backend):
    steps = {
        f"s{index}": {"command": ["true"], "needs": [f"s{index - 7}", f"s{index - 1}"] if index > 6 else []}
        for index in range(600)
    }
    rendered = backend.render(load(document(steps)))
    assert max(sizes(rendered)) <= 200
    main = rendered.objects[0]["spec"]["templates"][0]["dag"]["tasks"]
    assert len(main) == 6
    assert [task.get("depends") for task in main[1:-1]] == [task["name"] for task in main[:-2]]


def test_a_step_without_an_image_runs_in_the_options_and_a_note_says_so(backend):
    workflow = load(
        "flowcore: 1\nname: a\nsteps:\n  b: {command: [c]}\n  d: {image: e, command: [f]}\n"
        "  n: {workflow: {steps: {i: {python: {function: g, source: 'def g(): pass'}}}}}\n"
    )
    rendered = backend.render(workflow)
    templates = {template["name"]: template for template in rendered.objects[0]["spec"]["templates"]}
    assert {name: templates[name]["container"]["image"] for name in ("b", "d")} == {"b": "python:3.11", "d": "e"}
    assert rendered.notes == ("b, i: no image is given, so python:3.11 is used (option image)",)


@pytest.mark.parametrize(
    ("step", "word"),
    [
        ({"command": ["true"], "user": "nobody"}, "a pod's user is a number"),
        ({"command": ["true"], "labels": {"a": "{{x}}"}}, "Argo would expand"),
        ({"command": ["true"], "backends": {"argo": {"cpu": 1}}}, "no such key for a step"),
        ({"image": "busybox:1", "outputs": {"o": {}}, "args": ["x"]}, "outputs.typed"),
        (
            {"command": ["true"], "outputs": {"o": {}}, "repeat": {"until": "outputs.o == 'x'", "max": 91}},
            "90 iterations",
        ),
        (
            {"manifest": {"kind": "Job", "apiVersion": "batch/v1"}, "success_when": "status.a == 1 || status.b == 2"},
            "joined by &&",
        ),
    ],
)
def test_what_argo_cannot_do_is_refused_by_its_place(step, word, backend):
    with pytest.raises(FlowError) as caught:
        backend.render(load(document({"x": step})))
    assert word in str(caught.value)
    assert "steps.x" in str(caught.value)


OWNERS = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "1"}]


@pytest.mark.parametrize(
    ("owners", "word", "of_argo", "added"),
    [
        ([], "hello", True, False),
        ([], "\x85", False, True),
        ([], "${{ steps.x.outputs.word }}", False, True),
        (OWNERS, "${{ steps.x.outputs.word }}", False, True),
        ("${{ steps.x.outputs.owners }}", "${{ steps.x.outputs.word }}", True, False),
    ],
)
def test_whose_the_object_of_a_manifest_is(owners, word, of_argo, added, backend):
    outputs = {"word": {}, "owners": {"type": "list"}}
    metadata = {"name": "a", **({"ownerReferences": owners} if owners else {})}
    made = {"manifest": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"word": word}}}
    rendered = backend.render(load(document({"x": {"command": ["true"], "outputs": outputs}, "makes": made})))
    (resource,) = (each["resource"] for each in rendered.objects[0]["spec"]["templates"] if "resource" in each)
    assert resource.get("setOwnerReference", False) is of_argo
    assert ('"uid": "{{workflow.uid}}"' in resource["manifest"]) is added
    assert ('"uid": "1"' in resource["manifest"]) is (owners == OWNERS)
