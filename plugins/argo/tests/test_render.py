"""What people read: rendered Workflows, as golden files, and what holds for all of them.

``FLOWCORE_GOLDEN=write pytest plugins/argo/tests/test_render.py`` writes the files anew; look at the difference.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcore.backend import Backend, load
from flowcore.errors import FlowError
from flowcore.expressions import unparse_text
from flowcore.testing.driver import Driver
from flowcore.testing.driver import load as load_scenario
from flowcore.testing.scenarios import SCENARIOS

GOLDEN = Path(__file__).with_name("golden")
EXAMPLES = Path(__file__).parents[3] / "examples" / "argo"
WRITE = os.environ.get("FLOWCORE_GOLDEN") == "write"
RENDERED = [scenario for scenario in SCENARIOS if not scenario.must_refuse]
TAG = re.compile(
    r"\{\{(=.*|inputs\.parameters\.[a-z0-9A-Z_-]+|item|workflow\.(name|namespace|labels\.[a-z./-]+))\}\}", re.S
)


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


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from strings(item)


def tags(text: str) -> list[str]:
    """The tags in a text as Argo finds them: each ends with the first ``}}``."""
    found = []
    start = text.find("{{")
    while start >= 0:
        end = text.index("}}", start) + 2
        found.append(text[start:end])
        start = text.find("{{", end)
    return found


def of_argo(rendered):
    """All text that Argo reads as a template: the spec, but not the outline, nor the files."""
    return strings(rendered.objects[0]["spec"])


@pytest.mark.parametrize("scenario", RENDERED, ids=lambda scenario: scenario.name)
def test_every_scenario_renders_the_same_twice_with_no_tag_but_its_own(scenario, backend):
    params = Driver(backend).params(scenario)
    rendered = backend.render(load_scenario(scenario), params)
    assert rendered == backend.render(load_scenario(scenario), params)
    json.dumps(rendered.objects)
    for text in of_argo(rendered):
        for tag in tags(text):
            assert TAG.fullmatch(tag), tag


@settings(max_examples=60)
@given(text=st.text(alphabet="{}$()=x'\" \\", max_size=12), other=st.text(max_size=8))
def test_no_value_becomes_a_tag(text, other):
    document = {
        "flowcore": 1,
        "name": "hostile",
        "params": {"a": {"type": "string"}},
        "steps": {
            "x": {
                "image": "busybox:1",
                "command": ["echo", unparse_text(text), "{${{ params.a }}{${{ run.id }}"],
                "env": {"A": unparse_text(text)},
                "outputs": {"o": {"default": text}},
                "when": "run.id != params.a",
            },
            "y": {"image": "busybox:1", "command": ["echo", "{${{ steps.x.outputs.o }}{"]},
            "z": {"image": "busybox:1", "foreach": [unparse_text(text), 1], "command": ["echo", "${{ item }}"]},
        },
    }
    backend = Backend.select("argo")
    try:
        rendered = backend.render(load(json.dumps(document, indent=1)), {"a": text + other})
    except FlowError:
        return  # what no process can be given
    for written in of_argo(rendered):
        for tag in tags(written):
            assert TAG.fullmatch(tag), (tag, written)


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


def test_what_does_not_fit_is_refused_with_the_numbers(backend):
    steps = {f"s{index}": {"command": ["echo", "x" * 100_000]} for index in range(20)}
    with pytest.raises(FlowError, match=r"is 2\d{6} bytes as one Workflow of Argo, which takes 1400000"):
        backend.render(load(document(steps)))


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
