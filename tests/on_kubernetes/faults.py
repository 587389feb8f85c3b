"""Runs through an API server that breaks requests, and under a controller that is killed: each ends as without."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cluster.services import running
from fault_proxy import Fault, FaultProxy, Plan, Storm

from flowcore.backend import Backend, load
from flowcore.errors import UnreachableError
from flowcore.runs import Phase
from on_kubernetes.accounts import administrator
from on_kubernetes.engine import Engine, EngineSuite, scenarios

PLAYED = scenarios(
    "needs-diamond",
    "retry-until-it-works",
    "cancel-still-runs-on-exit",
    "logs-come-while-it-runs",
    "key-makes-submit-idempotent",
    "artifact-file-and-folder",
    "resumed-run-keeps-what-succeeded",
)
ANSWER_TIMEOUT, STALL = 5, 8
"""Seconds. For a client that waits for 5, a stall of 8 is what one of 48 is for the default, which waits for 30."""
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
    # No engine's backend watches today; one that does has to bear these, too.
    Fault("expired", path="watch=|continue="),
    Fault("duplicate", path="watch="),
    Fault("reorder", path="watch="),
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


@contextmanager
def broken(plan: Plan | Iterable[Fault] = ()) -> Iterator[FaultProxy]:
    """A proxy that breaks requests to the cluster of the tests."""
    with FaultProxy(administrator().access, plan) as proxy:
        yield proxy


def through(proxy: FaultProxy, engine: Engine, folder: Path, **options: float) -> Backend:
    """The backend behind it."""
    config = folder / "kubeconfig"
    config.write_text(json.dumps(proxy.kubeconfig()))
    return engine.backend(kubeconfig=str(config), **{"answer_timeout": ANSWER_TIMEOUT, **options})


@pytest.mark.cluster
class Faults(EngineSuite):
    @pytest.mark.parametrize("name", PLAYED)
    def test_a_scenario_ends_the_same_where_a_fifth_of_all_requests_break(self, name, tmp_path):
        with broken(Storm(ANYTHING, 0.2, seed=len(name))) as proxy:
            self.engine.driver(through(proxy, self.engine, tmp_path)).run(PLAYED[name])
            seen = list(proxy.seen)
        # How many depends on how long the run takes; the storm of each begins within its first ten requests.
        assert any(each.fault for each in seen)
        assert len(made(seen, self.engine)) == 1

    @pytest.mark.parametrize("kind", ["reset-after", "status-after", "stall-after", "half"])
    def test_a_submit_whose_answer_is_lost_makes_one_run(self, kind, tmp_path):
        with broken([Fault(kind, "POST", path_of(self.engine), seconds=STALL)]) as proxy:
            backend = through(proxy, self.engine, tmp_path)
            handle = backend.submit(backend.render(load(HELLO)), kind)
            # More, where the server itself is too slow for the client.
            assert sum(each.method == "POST" for each in proxy.seen) >= 2
            assert backend.submit(backend.render(load(HELLO)), kind) == handle
            assert len(made(proxy.seen, self.engine)) == 1
            update = backend.wait(handle, 0.5)
            backend.delete(handle)
        assert update.phase is Phase.SUCCEEDED

    def test_a_server_that_is_away_is_said_so_and_the_run_is_there_afterwards(self, tmp_path):
        with broken() as proxy:
            backend = through(proxy, self.engine, tmp_path)
            handle = backend.submit(backend.render(load(HELLO)))
        away = through(proxy, self.engine, tmp_path, answer_timeout=1, retry_time=2)
        with pytest.raises(UnreachableError, match=r"not answer|cannot be reached|refused") as caught:
            away.poll(handle)
        assert caught.value.exit_code == 3
        direct = self.engine.backend()
        assert direct.wait(handle, 0.5).phase is Phase.SUCCEEDED
        direct.delete(handle)

    @pytest.mark.alone
    def test_a_run_ends_right_although_the_controller_is_killed_twice(self):
        backend = self.engine.backend()
        handle = backend.submit(backend.render(load(SLOW)))
        phases = []
        for _ in range(2):
            end = time.monotonic() + 600
            while (update := backend.poll(handle)).steps["first"].phase is Phase.PENDING:
                assert time.monotonic() < end, update
                time.sleep(0.5)
            os.kill(running(self.engine.controller), signal.SIGKILL)
            phases.append(backend.poll(handle).phase)
            time.sleep(3)
            self.engine.start()
        update = backend.wait(handle, 0.5)
        assert not any(phase.ended for phase in phases)
        assert update.phase is Phase.SUCCEEDED
        assert update.steps["tries"].attempts == 2
        assert {state.phase for state in update.steps.values()} == {Phase.SUCCEEDED}
        backend.delete(handle)


def path_of(engine: Engine) -> str:
    """Where runs are created."""
    return rf"/{engine.runs.plural}(\?|$)"


def made(seen, engine: Engine) -> list:
    """The requests by which the server has made a run."""
    return [each for each in seen if each.status == 201 and re.search(path_of(engine), each.path)]
