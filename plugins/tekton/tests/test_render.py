"""What people read: rendered PipelineRuns, as golden files, and how Tekton's own features are used.

``FLOWCORE_GOLDEN=write pytest plugins/tekton/tests/test_render.py`` writes the files anew; look at the difference.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from flowcore.backend import Backend, load
from flowcore.errors import FlowError

GOLDEN = Path(__file__).with_name("golden")
EXAMPLES = Path(__file__).parents[3] / "examples" / "features"
NAMES = [
    "artifacts",
    "continue",
    "fan_in",
    "foreach",
    "foreach_dynamic",
    "hello",
    "needs",
    "nested",
    "on_exit",
    "outputs",
    "parallelism",
    "params",
    "repeat",
    "retry",
    "secrets",
    "timeout",
    "when",
]
WRITE = os.environ.get("FLOWCORE_GOLDEN") == "write"


@pytest.fixture(scope="module")
def backend() -> Backend:
    return Backend.select("tekton")


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_rendered_as_its_golden_file_says(name, backend):
    params = {"city": "Rome"} if name == "params" else {}
    text = backend.render(load(EXAMPLES / f"{name}.yaml"), params).text
    # The program of helper steps is the same in all of them.
    text = re.sub(r"(\n  flow\.py: \|\n)(?:    .*\n|\n)+", r"\1    ...\n", text)
    text = re.sub(r"(flowcore\.dev/digest: ).*", r"\1...", text)
    golden = GOLDEN / f"{name}.yaml"
    if WRITE:
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def document(steps: dict, **rest) -> str:
    return json.dumps(
        {"flowcore": 1, "name": "big", "defaults": {"image": "busybox:1"}, "steps": steps, **rest}, indent=1
    )


def tasks(rendered) -> dict:
    spec = rendered.objects[0]["spec"]["pipelineSpec"]
    return {task["name"]: task for task in [*spec["tasks"], *spec.get("finally", ())]}


def test_a_plain_step_is_a_plain_task(backend):
    rendered = backend.render(load(document({"a": {"command": ["true"]}, "b": {"command": ["true"], "needs": ["a"]}})))
    assert len(rendered.objects) == 1
    for task in tasks(rendered).values():
        assert [step["name"] for step in task["taskSpec"]["steps"]] == ["main"]
        assert not {"when", "onError", "params"} & task.keys()
    assert tasks(rendered)["b"]["runAfter"] == ["a"]


def test_a_result_gives_the_order_by_itself(backend):
    steps = {
        "a": {"script": "echo 1", "outputs": {"n": {"type": "integer"}}},
        "b": {"command": ["echo", "${{ steps.a.outputs.n }}"]},
    }
    task = tasks(backend.render(load(document(steps))))["b"]
    assert "runAfter" not in task
    assert task["params"] == [{"name": "a-n", "value": "$(tasks.a.results.n)"}]
    assert task["taskSpec"]["steps"][0]["command"] == ["echo", "$(params.a-n)"]


@pytest.mark.parametrize("word", ["$(steps.flow-begin.results.go)", "$(${{ item }})"])
def test_a_text_that_the_entrypoint_would_expand_is_composed_before_it(word, backend):
    steps = {"x": {"foreach": ["steps.flow-begin.results.go", 1], "command": ["echo", word]}}
    task = tasks(backend.render(load(document(steps))))["x"]
    assert [step["name"] for step in task["taskSpec"]["steps"]] == ["flow-begin", "main"]
    assert task["taskSpec"]["steps"][1]["command"] == ["echo", "$(steps.flow-begin.results.v1)"]


@pytest.mark.parametrize(
    ("outputs", "value", "native"),
    [(8, "yes", True), (9, "yes", False), (1, "é" * 100, False), (1, "<" * 30, True), (1, "<" * 34, False)],
)
def test_a_when_is_tektons_own_only_where_no_result_is_too_long_for_it(outputs, value, native, backend):
    steps = {
        "a": {"script": "true", "outputs": {f"o{index}": {} for index in range(outputs)}},
        "b": {"when": f"steps.a.outputs.o0 == '{value}'", "command": ["true"]},
    }
    task = tasks(backend.render(load(document(steps))))["b"]
    assert ("when" in task) == native
    assert (task["taskSpec"]["steps"][0]["name"] == "main") == native


def test_a_timeout_is_always_written(backend):
    assert backend.render(load(document({"a": {"command": ["true"]}}))).objects[0]["spec"]["timeouts"] == {
        "pipeline": "0"
    }
    bounded = backend.render(load(document({"a": {"command": ["true"]}}, timeout="20s")))
    assert bounded.objects[0]["spec"]["timeouts"] == {"pipeline": "3620s", "tasks": "20s", "finally": "3600s"}


def test_an_empty_list_makes_no_matrix(backend):
    steps = {"each": {"foreach": [], "command": ["true"]}, "after": {"needs": ["each"], "command": ["true"]}}
    assert "matrix" not in tasks(backend.render(load(document(steps))))["each"]


def test_more_items_than_a_matrix_takes_are_shared_by_several_tasks(backend):
    steps = {
        "each": {
            "foreach": list(range(600)),
            "script": "echo",
            "args": ["${{ item }}"],
            "outputs": {"n": {"type": "integer"}},
        },
        "after": {"command": ["echo", "${{ steps.each.outputs.n }}"]},
    }
    found = tasks(backend.render(load(document(steps))))
    shares = [
        [row["params"][0]["value"] for row in found[name]["matrix"]["include"]] for name in ("each", "each-2", "each-3")
    ]
    assert [len(share) for share in shares] == [256, 256, 88]
    assert [int(index) for share in shares for index in share] == list(range(600))
    assert [param["value"] for param in found["after"]["params"]] == [
        [f"$(tasks.{name}.results.n[*])"] for name in ("each", "each-2", "each-3")
    ]


def test_slots_are_lanes_of_tasks(backend):
    steps = {name: {"command": ["true"]} for name in "abcde"}
    steps["e"]["needs"] = ["b"]
    found = tasks(backend.render(load(document(steps, parallelism=2))))
    assert {name: task.get("runAfter") for name, task in found.items()} == {
        "a": None,
        "b": None,
        "c": ["a"],
        "d": ["b"],
        "e": ["b", "c"],
    }


def test_items_with_a_slot_each_wait_for_those_before_them(backend):
    steps = {"each": {"foreach": list("abcde"), "parallelism": 2, "command": ["echo", "${{ item }}"]}}
    found = tasks(backend.render(load(document(steps))))
    assert [found[name].get("runAfter") for name in ("each", "each-2", "each-3")] == [None, ["each"], ["each-2"]]
    assert [len(found[name]["matrix"]["include"]) for name in ("each", "each-2", "each-3")] == [2, 2, 1]


@pytest.mark.parametrize(
    ("steps", "word"),
    [
        ({f"s{index}": {"command": ["true"]} for index in range(301)}, "301 steps"),
        ({f"s{index}": {"command": ["echo", "x" * 100_000]} for index in range(5)}, "bytes as one PipelineRun"),
        ({"x": {"command": ["true"], "foreach": list(range(1025))}}, "1025 items"),
        ({"x": {"command": ["true"], "user": "nobody"}}, "a pod's user is a number"),
        ({"x": {"command": ["true"], "labels": {"a": "$(params.x)"}}}, "take the $(...) in it"),
        ({"x": {"command": ["true"], "working_dir": "/$(params.x)"}}, "take the $(...) in it"),
        ({"x": {"command": ["true"], "backends": {"tekton": {"cpu": 1}}}}, "no such key for a step"),
        ({"x": {"command": ["true"], "cache": {"key": "k"}}}, "cache"),
        (
            {
                "a": {"script": "echo", "outputs": {"l": {"type": "list"}}},
                "x": {"command": ["true"], "foreach": "${{ steps.a.outputs.l }}", "parallelism": 1},
            },
            "only for a list that is known before",
        ),
        (
            {
                "a": {"script": "echo", "outputs": {"image": {}}},
                "x": {"image": "${{ steps.a.outputs.image }}", "command": ["true"]},
            },
            "an image cannot come",
        ),
        ({"x": {"command": ["echo", "$(params.x)" * 5000, "$(params.y)" * 11000, "$(params.z)" * 5000]}}, "200000 are"),
    ],
)
def test_what_tekton_cannot_do_is_refused_in_a_sentence(steps, word, backend):
    with pytest.raises(FlowError) as caught:
        backend.render(load(document(steps)))
    assert word in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_rendering_is_linear(backend):
    """Counted in calls of functions, which no other load on the machine changes."""

    def calls(count: int) -> int:
        steps = {
            f"s{index}": {"command": ["true"], "needs": [f"s{index - 1}", f"s{index // 2}"] if index > 2 else []}
            for index in range(count)
        }
        workflow = load(document(steps))
        backend.render(workflow)
        seen = 0

        def count_call(frame: object, event: str, argument: object) -> None:
            nonlocal seen
            seen += event == "call"

        before = sys.getprofile()
        sys.setprofile(count_call)
        try:
            backend.render(workflow)
        finally:
            sys.setprofile(before)
        return seen

    assert calls(280) < 5 * calls(70)
