"""The program that makes an object of the cluster, against an API server of a few lines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flowcore.backend import Backend, load
from flowcore.errors import WorkflowError
from flowcore_tekton import manifest
from flowcore_tekton.allowed import of_steps

OWNER = {"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "name": "run", "uid": "u1"}
CORE = {
    "resources": [
        {"name": "configmaps/status", "kind": "ConfigMap", "namespaced": True},
        {"name": "configmaps", "kind": "ConfigMap", "namespaced": True},
        {"name": "nodes", "kind": "Node", "namespaced": False},
    ]
}
MAPS = "/api/v1/namespaces/here/configmaps"


class Server(manifest.Api):
    """Keeps objects; ``breaks`` are answers that are lost or wrong before the right ones come."""

    def __init__(self, *breaks: Any, becomes: Any = ()) -> None:
        self.namespace, self.broken = "here", False
        self.breaks, self.becomes = list(breaks), list(becomes)
        self.objects: dict[str, Any] = {}
        self.posts = 0

    def once(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if method == "GET" and path == "/api/v1":
            return 200, CORE
        answer = self.answer(method, path, body)
        if self.breaks:
            fault = self.breaks.pop(0)
            if isinstance(fault, Exception):
                raise fault
            return fault
        return answer

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if method == "POST":
            self.posts += 1
            own = f"{path}/{body['metadata']['name']}"
            if own in self.objects:
                return 409, {"message": "it exists already"}
            self.objects[own] = json.loads(json.dumps(body))
            return 201, self.objects[own]
        if path not in self.objects:
            return 404, {"message": "not found"}
        if self.becomes:
            self.objects[path] = {**self.objects[path], **self.becomes.pop(0)}
        return 200, self.objects[path]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "PAUSE", 0.001)
    monkeypatch.setattr(manifest, "PATIENCE", 0.05)


def config_map(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made"}, "data": data}


def run(server: Server, made: Any, success: Any = (), failure: Any = (), timeout: float | None = None) -> Any:
    return manifest.run(server, made, list(success), list(failure), OWNER, timeout)


def test_an_object_is_made_as_it_is_and_goes_with_its_run():
    server = Server()
    texts = {"a": "$(id) {{x}} \n '\" é", "b": ""}
    assert run(server, config_map(**texts)) == ("succeeded", None, None)
    made = server.objects[f"{MAPS}/made"]
    assert made["data"] == texts
    assert made["metadata"]["ownerReferences"] == [OWNER]


@pytest.mark.parametrize(
    ("kind", "metadata", "path"),
    [
        ("ConfigMap", {"name": "made", "namespace": "there"}, "/api/v1/namespaces/there/configmaps/made"),
        ("Node", {"name": "made"}, "/api/v1/nodes/made"),
    ],
)
def test_what_is_not_in_the_run_s_namespace_has_no_owner(kind, metadata, path):
    server = Server()
    run(server, {"apiVersion": "v1", "kind": kind, "metadata": metadata})
    assert "ownerReferences" not in server.objects[path]["metadata"]


def test_it_waits_until_all_of_the_success_or_one_failure_holds():
    states = [{}, {"status": {"ready": 1}}, {"status": {"ready": 3, "conditions": [{"type": "Done"}]}}]
    success = [[["status", "ready"], ">", "2"], [["status", "conditions", 0, "type"], "==", "Done"]]
    assert run(Server(becomes=states), config_map(), success)[0] == "succeeded"
    failure = [[["status", "bad"], "==", "true"], [["status", "ready"], "==", "1"]]
    status, reason, message = run(Server(becomes=states), config_map(), success, failure)
    assert (status, reason) == ("failed", "exit-code")
    assert message == "the failure condition status.ready == 1 holds"
    assert run(Server(), config_map(), success, timeout=0.01) == ("failed", "timeout", None)


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        ([["a"], "==", "x"], True),
        ([["a"], "!=", "x"], False),
        ([["none"], "==", "x"], False),
        ([["none"], "!=", "x"], True),
        ([["n"], "==", "3"], True),
        ([["n"], ">", "2"], True),
        ([["n"], "<", "2"], False),
        ([["a"], "<", "2"], False),
        ([["none"], "<", "2"], False),
        ([["yes"], "==", "true"], True),
        ([["null"], "==", ""], True),
        ([["list", 1], "==", "b"], True),
        ([["list", 2], "!=", "b"], True),
        ([["a", "b"], "==", ""], False),
    ],
)
def test_comparisons_mean_what_label_selectors_mean(comparison, expected):
    found = {"a": "x", "n": 3, "yes": True, "null": None, "list": ["a", "b"]}
    assert manifest.holds(found, comparison) is expected


def test_a_create_whose_answer_is_lost_is_sent_again_and_makes_one_object():
    server = Server(OSError("reset"))
    assert run(server, config_map())[0] == "succeeded"
    assert server.posts == 2
    assert list(server.objects) == [f"{MAPS}/made"]


def test_what_was_there_before_is_not_taken_for_its_own():
    for server in (Server(), Server(OSError("reset"))):
        server.objects[f"{MAPS}/made"] = config_map()
        status, reason, message = run(server, config_map())
        assert (status, reason) == ("error", "backend")
        assert "already" in message


def test_refusals_are_told_with_the_server_s_words():
    assert run(Server((403, {"message": "may not create"})), config_map()) == ("error", "backend", "may not create")
    status, reason, message = run(Server(*[(503, {"message": "busy"})] * 1000), config_map())
    assert (status, reason) == ("error", "backend")
    assert "busy" in message
    unknown = {"apiVersion": "v1", "kind": "Nothing", "metadata": {"name": "x"}}
    assert "no kind Nothing of v1" in run(Server(), unknown)[2]
    lost = Server()
    lost.answer = lambda method, path, body: (201, body) if method == "POST" else (404, {})  # type: ignore[method-assign]
    assert run(lost, config_map(), [[["a"], "==", "x"]]) == ("error", "backend", "the object is gone")


HEAD = 'flowcore: 1\nname: m\ndefaults: {image: "busybox:1"}\nsteps:\n'


def test_the_steps_role_grants_the_kinds_that_they_make():
    text = """  a: {manifest: {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}}
  b: {manifest: {apiVersion: batch/v1, kind: Job, metadata: {name: "${{ run.id }}"}}}
  c: {command: [x]}
"""
    rendered = Backend.select("tekton").render(load(HEAD + text))
    assert {(each.group, each.resource, each.verbs) for each in of_steps(rendered)} == {
        ("", "configmaps", ("create", "get")),
        ("batch", "jobs", ("create", "get")),
    }


@pytest.mark.parametrize(
    ("condition", "word"),
    [
        ("failure_when: status.a == 1 && status.b == 2", "joined by ||"),
        ("success_when: status.a == 1 || status.b == 2", "joined by &&"),
        ("success_when: status.a == status.b", "plain value"),
        ("success_when: status.a > 'x'", "whole numbers"),
        ("success_when: status.a == 'no label'", "no label"),
    ],
)
@pytest.mark.parametrize("backend", ["argo", "tekton"])
def test_a_condition_that_no_label_selector_can_ask_is_refused(backend, condition, word):
    text = f"  a: {{manifest: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: a}}}}, {condition}}}\n"
    with pytest.raises(WorkflowError, match=word.replace("|", r"\|")):
        Backend.select(backend).render(load(HEAD + text))
