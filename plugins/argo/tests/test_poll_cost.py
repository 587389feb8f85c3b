"""What a poll costs where nothing happens, on a Workflow as large as Argo handles well."""

from __future__ import annotations

import pytest
from cluster.kubernetes.access import KUBECONFIG

from flowcore.backend import Backend, load
from flowcore.plugin import Phase, RunHandle
from flowcore_argo.places import WORKFLOWS
from flowcore_argo.status import fnv
from flowcore_argo.stored import pack
from flowcore_kubernetes import DIGEST

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("argo-poll-cost")]

STEPS = 5000


def test_a_poll_of_an_unchanged_workflow_of_5000_nodes_takes_two_calls_and_50_kilobytes():
    backend = Backend.select("argo", options={"kubeconfig": str(KUBECONFIG)})
    client = backend.hooks.plugin.runs.client
    steps = "".join(f"  s{index}: {{command: ['true']}}\n" for index in range(STEPS))
    rendered = backend.render(load(f'flowcore: 1\nname: huge\ndefaults: {{image: "busybox:1"}}\nsteps:\n{steps}'))
    workflow = {**rendered.objects[0]}
    name = "huge-by-hand"
    nodes = {}
    for part in workflow["spec"]["templates"]:
        for task in part.get("dag", {}).get("tasks", ()):
            if "inline" not in task:
                continue
            path = f"{name}.{part['name']}.{task['name']}"
            node = {"id": f"{name}-{fnv(path)}", "name": path, "type": "Pod", "phase": "Running"}
            nodes[node["id"]] = {**node, "startedAt": "2026-01-01T00:00:00Z"}
    # A controller of another instance is asked, so that nobody touches it.
    labels = {**workflow["metadata"]["labels"], "workflows.argoproj.io/controller-instanceid": "nobody"}
    workflow["metadata"] = {**workflow["metadata"], "name": name, "labels": labels}
    workflow["metadata"]["annotations"] = {**workflow["metadata"]["annotations"], DIGEST: rendered.digest}
    workflow["status"] = {"phase": "Running", "startedAt": "2026-01-01T00:00:00Z", "compressedNodes": pack(nodes)}
    client.delete(WORKFLOWS, name)
    created = client.create(WORKFLOWS, workflow)
    handle = RunHandle("argo", f"{created['metadata']['namespace']}/{name}")
    try:
        first = backend.poll(handle)
        assert len(first.steps) == STEPS
        assert sum(state.phase is Phase.RUNNING for state in first.steps.values()) == len(nodes) > STEPS * 0.99
        calls, size = client.traffic.calls, client.traffic.bytes
        second = backend.poll(handle, first.cursor)
        assert second.steps == {}
        assert client.traffic.calls - calls <= 2
        assert client.traffic.bytes - size <= 50_000
    finally:
        client.delete(WORKFLOWS, name)
