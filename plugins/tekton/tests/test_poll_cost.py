"""What a poll costs where nothing happens, on a run as large as one PipelineRun takes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cluster.kubernetes.access import KUBECONFIG

from flowcore.backend import Backend, load
from flowcore.plugin import Phase, RunHandle
from flowcore_kubernetes import DIGEST, owned
from flowcore_tekton.limits import TASKS
from flowcore_tekton.places import PIPELINE_RUNS, TASK_RUNS

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("tekton-poll-cost")]

MANY, FEW = 40, 16
AT = "2026-01-01T00:00:01Z"
LATER = "2026-01-01T00:00:09Z"


def condition(status: str, reason: str) -> dict[str, str]:
    return {"type": "Succeeded", "status": status, "reason": reason, "message": reason, "lastTransitionTime": LATER}


def test_a_poll_of_an_unchanged_run_takes_two_calls_and_50_kilobytes() -> None:
    backend = Backend.select("tekton", options={"kubeconfig": str(KUBECONFIG)})
    runs: Any = backend.hooks.plugin.runs
    client: Any = runs.client
    steps = "".join(f"  s{index}: {{command: ['true']}}\n" for index in range(TASKS))
    rendered = backend.render(load(f'flowcore: 1\nname: huge\ndefaults: {{image: "busybox:1"}}\nsteps:\n{steps}'))
    run, companions = runs.named(rendered, "huge-by-hand")
    assert not companions or run["metadata"]["annotations"][DIGEST]
    # Another controller is asked, so that nobody touches it.
    run["spec"] |= {"managedBy": "example.com/nobody", "status": None}
    client.delete(PIPELINE_RUNS, "huge-by-hand", foreground=True)
    created = client.create(PIPELINE_RUNS, run)
    for each in companions:
        client.ensure(_kind(each), owned(each, created))
    status = {"conditions": [condition("Unknown", "Running")], "startTime": AT}
    client.patch(PIPELINE_RUNS, "huge-by-hand", {"status": status}, subresource="status")

    def make(index: int) -> None:
        task = run["spec"]["pipelineSpec"]["tasks"][index]
        name = f"huge-by-hand-{task['name']}"
        labels = {"tekton.dev/pipelineRun": "huge-by-hand", "tekton.dev/pipelineTask": task["name"]}
        notes = {**run["metadata"]["annotations"], **task["taskSpec"]["metadata"]["annotations"]}
        body = {
            "apiVersion": "tekton.dev/v1",
            "kind": "TaskRun",
            "metadata": {"name": name, "labels": labels, "annotations": notes},
            "spec": {
                "managedBy": "example.com/nobody",
                "taskSpec": {"steps": [{"name": "main", "image": "busybox:1", "command": ["true"]}]},
            },
        }
        client.create(TASK_RUNS, owned(body, created))
        tell(index, index < MANY)

    def tell(index: int, going: bool) -> None:
        state: dict[str, Any] = {"name": "main", "running": {"startedAt": AT}}
        found = {"conditions": [condition("Unknown", "Running")], "startTime": AT, "podName": "nowhere"}
        if not going:
            end = {"exitCode": 0, "reason": "Completed", "startedAt": AT, "finishedAt": LATER}
            state = {"name": "main", "terminated": end, "terminationReason": "Completed"}
            found |= {"conditions": [condition("True", "Succeeded")], "completionTime": LATER}
        name = f"huge-by-hand-{run['spec']['pipelineSpec']['tasks'][index]['name']}"
        client.patch(TASK_RUNS, name, {"status": {**found, "steps": [state]}}, subresource="status")

    handle = RunHandle("tekton", f"{created['metadata']['namespace']}/huge-by-hand")
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(make, range(TASKS)))
        for going in (MANY, FEW):
            for index in range(going, MANY):
                tell(index, False)
            first = backend.poll(handle)
            phases = [state.phase for state in first.steps.values()]
            assert phases.count(Phase.RUNNING) == going
            assert phases.count(Phase.SUCCEEDED) == TASKS - going
            calls, size = client.traffic.calls, client.traffic.bytes
            second = backend.poll(handle, first.cursor)
            assert second.steps == {}
            assert client.traffic.calls - calls <= 2
            assert client.traffic.bytes - size <= 50_000
    finally:
        client.delete(PIPELINE_RUNS, "huge-by-hand")


def _kind(companion: dict[str, Any]) -> Any:
    from flowcore_kubernetes import COMPANIONS

    return COMPANIONS[companion["kind"]]
