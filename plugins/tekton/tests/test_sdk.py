"""Tekton's Python SDK: what was rendered as its classes."""

from __future__ import annotations

import sys

import pytest

from flowcore.backend import Backend, load
from flowcore.errors import UsageError
from flowcore_tekton.sdk import model_of

TEXT = """
flowcore: 1
name: two
defaults: {image: "busybox:1"}
timeout: 1h
steps:
  a: {command: [echo, a], retry: {limit: 2}}
  b: {needs: [a], foreach: [1, 2], command: [echo, "${{ item }}"]}
"""


def test_a_run_is_an_object_of_the_sdk_and_what_it_lacks_is_named():
    found = model_of(Backend.select("tekton").render(load(TEXT)).objects[0])
    tasks = found.model.spec.pipeline_spec.tasks
    assert type(found.model).__name__ == "V1beta1PipelineRun"
    assert [task.name for task in tasks] == ["a", "b"]
    assert tasks[0].retries == 2
    assert tasks[1].run_after == ["a"]
    assert found.model.spec.timeouts.tasks == "3600s"
    assert "spec.pipelineSpec.tasks[1].matrix" in found.left


def test_without_the_sdk_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tekton_pipeline", None)
    with pytest.raises(UsageError, match=r"pip install \"flowcore-tekton\[sdk\]\""):
        model_of({"kind": "PipelineRun"})


def test_other_kinds_have_no_class():
    with pytest.raises(UsageError, match="this is a ConfigMap"):
        model_of({"kind": "ConfigMap"})
