"""Tekton as the suites of ``tests/on_kubernetes`` need to know it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import on_kubernetes
import pytest
from cluster.kubernetes.access import kubectl
from cluster.kubernetes.tekton import tekton_up
from on_kubernetes.engine import scenarios

from flowcore.backend import Backend, load
from flowcore.runs import Phase
from flowcore_kubernetes import CONFIG_MAPS, Permission
from flowcore_tekton.allowed import READING
from flowcore_tekton.places import PIPELINE_RUNS

TEKTON = on_kubernetes.Engine(
    name="tekton",
    runs=PIPELINE_RUNS,
    controller="tekton-controller",
    start=tekton_up,
    reading=READING,
    writing="create, patch, delete pipelineruns.tekton.dev",
    steps=(Permission.on(CONFIG_MAPS, "create", "get"),),
    repeats_lost=True,
    refused={
        "cache-answers": "cache",
        "cache-keeps-only-successes": "cache",
        "cache-of-items": "cache",
        "nested-once-an-item-of-an-output": "foreach",
        "retry-waiting-holds-no-slot": "parallelism",
    },
    profiles={
        "default": {},
        "all": {
            "service_account": "runner",
            "priority_class": "low",
            "workflow_labels": {"team": "ads"},
            "pod_template": {"dnsPolicy": "Default"},
            "storage_class": "fast",
            "artifact_access": "ReadWriteMany",
            "long_outputs": "fail",
        },
    },
    escape={"pod_template": {"schedulerName": "mine"}},
    reference=re.compile(r"\$\([A-Za-z][A-Za-z0-9_-]*[.\[][^)]*\)"),
    own=re.compile(
        r"\$\((context\.(pipelineRun\.(name|uid)|task\.retry-count)|params\.[a-z][a-z0-9_-]*(\[\*\])?"
        r"|tasks\.[a-z0-9-]+\.(status|results\.[a-z0-9_-]+(\[\*\])?)|tasks\.status"
        r"|steps\.flow-begin\.results\.(v[0-9]+|go|attempt)|workspaces\.flowcore\.volume)\)"
    ),
    # Tekton reads no references there.
    unread=frozenset({"annotations"}),
)


class TestRendering(on_kubernetes.Rendering):
    engine = TEKTON


class TestSchemas(on_kubernetes.Schemas):
    engine = TEKTON


class TestServer(on_kubernetes.Server):
    engine = TEKTON


class TestScenarios(on_kubernetes.Scenarios):
    engine = TEKTON


class TestValues(on_kubernetes.Values):
    engine = TEKTON


class TestExamples(on_kubernetes.Examples):
    engine = TEKTON


class TestPermissions(on_kubernetes.Permissions):
    engine = TEKTON


class TestBadInput(on_kubernetes.BadInput):
    engine = TEKTON


class TestFaults(on_kubernetes.Faults):
    engine = TEKTON


MOST = 16_384
PLAYED = scenarios(
    "cancel-a-running-run",
    "fail-fast-off-runs-all",
    "foreach-continues-with-defaults",
    "foreach-over-an-output-fans-in",
    "missing-output-decided-at-run-time",
    "needs-status-after-failure",
    "nested-gives-outputs",
    "output-above-the-limit",
    "output-types",
    "python-gives-several-outputs",
    "repeat-until",
    "retry-after-a-bad-output",
    "retry-in-vain",
    "retry-until-it-works",
    "timeout-ends-a-step",
    "values-from-step-to-step",
    "when-text-that-looks-like-something-else",
)
LONG = """flowcore: 1
name: long
defaults: {image: "python:3.11"}
steps:
  give:
    python:
      function: give
      source: |
        def give():
            return {"html": "<" * 2000, "text": "é$" * 1500, "rows": [[i, "&"] for i in range(800)]}
    outputs: {html: {type: string}, text: {type: string}, rows: {type: list}}
  each:
    foreach: [1, 2, 3]
    python:
      function: each
      source: |
        def each(n):
            return str(n) * 4000
      args: {n: "${{ item }}"}
    outputs: {result: {type: string}}
  take:
    python:
      function: take
      source: |
        def take(html, text, rows, each):
            return [len(html), len(text), len(rows), [len(one) for one in each]]
      args:
        html: "${{ steps.give.outputs.html }}"
        text: "${{ steps.give.outputs.text }}"
        rows: "${{ steps.give.outputs.rows }}"
        each: "${{ steps.each.outputs.result }}"
    outputs: {result: {type: list}}
"""
TOO_LONG = """flowcore: 1
name: too-long
steps:
  give: {image: "busybox:1", script: 'head -c 17000 /dev/zero | tr "\\0" x', stdout: text, outputs: {text: {}}}
  take: {image: "busybox:1", command: [echo, "${{ steps.give.outputs.text }}"]}
"""
LONG_LIST = """flowcore: 1
name: long-list
fail_fast: false
defaults: {image: "busybox:1"}
steps:
  give:
    foreach: [1, 2, 3]
    script: 'head -c 7000 /dev/zero | tr "\\0" x'
    stdout: text
    outputs: {text: {}}
  take: {command: [echo, "${{ steps.give.outputs.text }}"]}
"""


def set_flags(results_from: str, max_result_size: int) -> None:
    patch = json.dumps({"data": {"results-from": results_from, "max-result-size": str(max_result_size)}})
    kubectl("-n", "tekton-pipelines", "patch", "configmap", "feature-flags", "--type=merge", "-p", patch)
    time.sleep(3)  # the controller watches it


@pytest.fixture(scope="class")
def by_logs() -> Iterator[Backend]:
    set_flags("sidecar-logs", MOST)
    try:
        yield TEKTON.backend(long_outputs="sidecar-logs", max_result_size=MOST)
    finally:
        set_flags("termination-message", 4096)


@pytest.mark.cluster
def test_a_cluster_without_sidecar_logs_says_so():
    backend = TEKTON.backend(long_outputs="sidecar-logs")
    handle = backend.submit(backend.render(load(TOO_LONG)))
    update = backend.wait(handle, 0.5)
    assert (update.steps["give"].phase, update.steps["give"].reason) == (Phase.ERROR, "backend")
    assert "results-from" in (update.steps["give"].message or "")
    backend.delete(handle)


@pytest.mark.cluster
@pytest.mark.alone
class TestSidecarLogs:
    """On a cluster that reads results from the logs of sidecars, long outputs stay results and need no volume."""

    @pytest.mark.parametrize("fail_fast", ["true", "false"])
    def test_long_outputs_stay_results(self, by_logs, fail_fast):
        rendered = by_logs.render(load(f"{LONG}fail_fast: {fail_fast}\n"))
        # A run that goes on after failures gathers the items' outputs in its volume, however long they are.
        assert ("volumeClaimTemplate" in rendered.text) is (fail_fast == "false")
        handle = by_logs.submit(rendered)
        update = by_logs.wait(handle, 0.5)
        assert update.phase is Phase.SUCCEEDED, update
        assert update.steps["take"].outputs["result"] == [2000, 3000, 800, [4000] * 3]
        assert update.steps["give"].outputs["html"] == "<" * 2000
        by_logs.delete(handle)

    def test_an_output_that_no_result_holds_fails_its_step_by_name(self, by_logs):
        handle = by_logs.submit(by_logs.render(load(TOO_LONG)))
        update = by_logs.wait(handle, 0.5)
        assert (update.steps["give"].phase, update.steps["give"].reason) == (Phase.FAILED, "output")
        assert "output text has 17002 bytes, and one result has 16384" in (update.steps["give"].message or "")
        assert update.steps["take"].phase is Phase.SKIPPED
        by_logs.delete(handle)

    def test_a_list_that_no_result_holds_is_the_error_of_the_run(self, by_logs):
        handle = by_logs.submit(by_logs.render(load(LONG_LIST)))
        update = by_logs.wait(handle, 0.5)
        assert update.phase is Phase.ERROR
        assert "output text has 21010 bytes, and one result has 16384" in (update.message or "")
        assert update.steps["take"].phase is Phase.SKIPPED
        by_logs.delete(handle)

    def test_scenarios_run_as_they_do_by_last_messages(self, by_logs):
        driver = TEKTON.driver(by_logs)
        with ThreadPoolExecutor(12) as pool:
            ends = {name: pool.submit(driver.run, each) for name, each in PLAYED.items()}
        assert not {name: str(end.exception()) for name, end in ends.items() if end.exception() is not None}
