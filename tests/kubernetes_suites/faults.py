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
from cluster.services import running
from fault_proxy import Fault, FaultProxy, Plan, Storm

from flowcore.backend import Backend, load
from flowcore.errors import FlowError
from flowcore.plugin import Phase
from flowcore.testing.driver import Driver
from flowcore.testing.scenarios import SCENARIOS
from flowcore_kubernetes import Access, KubernetesOptions, find_access
from kubernetes_suites.engine import DEADLINE, EngineSuite

PLAYED = (
    "needs-diamond",
    "retry-until-it-works",
    "cancel-still-runs-on-exit",
    "logs-come-while-it-runs",
    "key-makes-submit-idempotent",
    "artifact-file-and-folder",
    "resumed-run-keeps-what-succeeded",
)
PATIENCE = 5
"""Seconds of silence after which these clients ask again; stalls are longer. By default it is 30."""
STALL = 8
ANYTHING = [
    Fault("status", status=429, headers={"Retry-After": "1"}),
    Fault("status", status=500),
    Fault("status", status=503),
    Fault("status-after", status=503),
    Fault("reset"),
    Fault("reset-after"),
    Fault("half"),
    Fault("stall", seconds=STALL),
    Fault("stall-after", seconds=STALL),
    Fault("expired"),
]
HELLO = 'flowcore: 1\nname: hello\nsteps: {x: {image: "busybox:1", command: [echo, hello]}}\n'
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


def access() -> Access:
    """The cluster, which is there only once a test runs."""
    return find_access(KubernetesOptions(kubeconfig=str(KUBECONFIG)))


class FaultSuite(EngineSuite):
    """Faults, on one engine."""

    def through(self, proxy: FaultProxy, folder: Path) -> Backend:
        """The backend behind a proxy."""
        config = folder / "kubeconfig"
        config.write_text(json.dumps(proxy.kubeconfig()))
        return self.engine.select(str(config), answer_timeout=PATIENCE)

    @pytest.mark.parametrize("name", PLAYED)
    def test_a_scenario_ends_the_same_where_a_fifth_of_all_requests_break(self, name: str, tmp_path: Path) -> None:
        scenario = next(each for each in SCENARIOS if each.name == name)
        with FaultProxy(access(), Storm(ANYTHING, 0.2, seed=len(name))) as proxy:
            Driver(self.through(proxy, tmp_path), DEADLINE, 1.5, 2.0).run(scenario)
            met = Counter(seen.fault for seen in proxy.seen if seen.fault)
        # How many depends on how long the run takes; the storm of each begins within its first ten requests.
        assert met

    @pytest.mark.parametrize("kind", ["reset-after", "status-after", "stall-after", "half"])
    def test_a_submit_whose_answer_is_lost_makes_one_run(self, kind: str, tmp_path: Path) -> None:
        plan = Plan([Fault(kind, "POST", f"/{self.engine.kind.plural}", seconds=STALL)])
        with FaultProxy(access(), plan) as proxy:
            backend = self.through(proxy, tmp_path)
            rendered = backend.render(load(HELLO))
            handle = backend.submit(rendered, kind)
            posts = [seen for seen in proxy.seen if seen.method == "POST"]
            # More, where the server itself is too slow for the client.
            assert len(posts) >= 2
            assert backend.submit(rendered, kind) == handle
            update = backend.wait(handle, 0.5)
            backend.delete(handle)
        assert update.phase is Phase.SUCCEEDED

    def test_a_server_that_is_away_is_said_so_and_the_run_is_there_afterwards(
        self, backend: Backend, tmp_path: Path
    ) -> None:
        with FaultProxy(access()) as proxy:
            through = self.through(proxy, tmp_path)
            handle = through.submit(through.render(load(HELLO)))
        away = self.engine.select(str(tmp_path / "kubeconfig"), answer_timeout=1, retry_time=2)
        with pytest.raises(FlowError, match=r"not answer|cannot be reached|refused") as caught:
            away.poll(handle)
        assert caught.value.exit_code == 3
        assert backend.wait(handle, 0.5).phase is Phase.SUCCEEDED
        backend.delete(handle)

    @pytest.mark.alone
    def test_a_run_ends_right_although_the_controller_is_killed_twice(self, backend: Backend) -> None:
        handle = backend.submit(backend.render(load(SLOW)))
        phases = []
        for _ in range(2):
            end = time.monotonic() + DEADLINE
            while (update := backend.poll(handle)).steps["first"].phase is Phase.PENDING:
                assert time.monotonic() < end, update
                time.sleep(0.5)
            controller = running(self.engine.controller)
            assert controller is not None
            os.kill(controller, signal.SIGKILL)
            phases.append(backend.poll(handle).phase)
            time.sleep(3)
            self.engine.start()
        update = backend.wait(handle, 0.5)
        assert not any(phase.ended for phase in phases)
        assert update.phase is Phase.SUCCEEDED
        assert update.steps["tries"].attempts == 2
        assert {state.phase for state in update.steps.values()} == {Phase.SUCCEEDED}
        backend.delete(handle)
