"""Runs through an API server that breaks requests, and under a controller that is killed: each ends as without."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from cluster.kubernetes.access import KUBECONFIG
from cluster.kubernetes.tekton import tekton_up
from cluster.services import running
from fault_proxy import Fault, FaultProxy, Plan, Storm

from flowcore.backend import Backend, load
from flowcore.plugin import Phase
from flowcore.testing.driver import Driver
from flowcore.testing.scenarios import SCENARIOS
from flowcore_kubernetes import find_access
from flowcore_kubernetes.options import KubernetesOptions
from flowcore_tekton.places import PIPELINE_RUNS

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("tekton-faults")]

ACCESS = find_access(KubernetesOptions(kubeconfig=str(KUBECONFIG))) if KUBECONFIG.exists() else None
PLAYED = (
    "needs-diamond",
    "retry-until-it-works",
    "cancel-still-runs-on-exit",
    "logs-come-while-it-runs",
    "key-makes-submit-idempotent",
    "artifact-file-and-folder",
    "resumed-run-keeps-what-succeeded",
)
ANYTHING = [
    Fault("status", status=429, headers={"Retry-After": "1"}),
    Fault("status", status=500),
    Fault("status", status=503),
    Fault("status-after", status=503),
    Fault("reset"),
    Fault("reset-after"),
    Fault("half"),
    Fault("stall", seconds=3),
    Fault("stall-after", seconds=3),
    Fault("expired"),
]


def backend_through(proxy: FaultProxy, folder: Path) -> Backend:
    config = folder / "kubeconfig"
    config.write_text(json.dumps(proxy.kubeconfig()))
    options = {"kubeconfig": str(config), "answer_timeout": 2}
    return Backend.select("tekton", options=options)


@pytest.mark.parametrize("name", PLAYED)
def test_a_scenario_ends_the_same_where_a_fifth_of_all_requests_break(name, tmp_path):
    scenario = next(each for each in SCENARIOS if each.name == name)
    with FaultProxy(ACCESS, Storm(ANYTHING, 0.2, seed=len(name))) as proxy:
        Driver(backend_through(proxy, tmp_path), 420, 0.7, 2.0).run(scenario)
        met = Counter(seen.fault for seen in proxy.seen if seen.fault)
    assert sum(met.values()) > 3, met


HELLO = 'flowcore: 1\nname: hello\nsteps: {x: {image: "busybox:1", command: [echo, hello]}}\n'


@pytest.mark.parametrize("kind", ["reset-after", "status-after", "stall-after", "half"])
def test_a_submit_whose_answer_is_lost_makes_one_run(kind, tmp_path):
    with FaultProxy(ACCESS, Plan([Fault(kind, "POST", "/pipelineruns", seconds=3)])) as proxy:
        backend = backend_through(proxy, tmp_path)
        handle = backend.submit(backend.render(load(HELLO)), kind)
        posts = [seen for seen in proxy.seen if seen.method == "POST"]
        assert len(posts) == 2
        assert backend.submit(backend.render(load(HELLO)), kind) == handle
        update = backend.wait(handle, 0.5)
        backend.delete(handle)
    assert update.phase is Phase.SUCCEEDED


def test_a_server_that_is_away_is_said_so_and_the_run_is_there_afterwards(tmp_path):
    with FaultProxy(ACCESS) as proxy:
        backend = backend_through(proxy, tmp_path)
        handle = backend.submit(backend.render(load(HELLO)))
    options = {"kubeconfig": str(tmp_path / "kubeconfig"), "answer_timeout": 1, "retry_time": 2}
    with pytest.raises(Exception, match=r"not answer|cannot be reached|refused") as caught:
        Backend.select("tekton", options=options).poll(handle)
    assert caught.value.exit_code == 3
    direct = Backend.select("tekton", options={"kubeconfig": str(KUBECONFIG)})
    assert direct.wait(handle, 0.5).phase is Phase.SUCCEEDED
    direct.delete(handle)


SLOW = """flowcore: 1
name: outlives
defaults: {image: "busybox:1"}
steps:
  first: {command: [sleep, "8"]}
  tries: {retry: {limit: 2}, command: [sh, -c, 'sleep 3; test "$FLOW_ATTEMPT" = 2']}
  second: {needs: [first, tries], command: [echo, done]}
on_exit:
  notify: {command: [echo, "${{ run.phase }}"]}
"""


@pytest.mark.alone
def test_a_run_ends_right_although_the_controller_is_killed_twice():
    backend = Backend.select("tekton", options={"kubeconfig": str(KUBECONFIG)})
    handle = backend.submit(backend.render(load(SLOW)))
    phases = []
    for _ in range(2):
        end = time.monotonic() + 120
        while "first" not in (update := backend.poll(handle)).steps or update.steps["first"].phase is Phase.PENDING:
            assert time.monotonic() < end
            time.sleep(0.5)
        os.kill(running("tekton-controller"), signal.SIGKILL)
        phases.append(backend.poll(handle).phase)
        time.sleep(3)
        tekton_up()
    update = backend.wait(handle, 0.5)
    assert not any(phase.ended for phase in phases)
    assert update.phase is Phase.SUCCEEDED
    assert update.steps["tries"].attempts == 2
    assert {state.phase for state in update.steps.values()} == {Phase.SUCCEEDED}
    backend.delete(handle)


def test_the_server_has_the_custom_resource():
    assert PIPELINE_RUNS.full_name == "pipelineruns.tekton.dev"
