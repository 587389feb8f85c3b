"""Two thousand real pods in one Workflow: cut into parts, polled all the while, every step reported once and right."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from cluster.kubernetes.access import KUBECONFIG

from flowcore.backend import Backend, load
from flowcore.plugin import Phase

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.xdist_group("argo-large")]

CHAINS, LENGTH = 100, 20
HEAD = 'flowcore: 1\nname: two-thousand\ndefaults: {image: "busybox:1", pending_timeout: 1h}\nparallelism: 60\nsteps:\n'


def test_two_thousand_pods_run() -> None:
    steps = [
        f"  c{chain}-{step}: {{needs: [{f'c{chain}-{step - 1}' if step else ''}], command: ['true']}}\n"
        for chain in range(CHAINS)
        for step in range(LENGTH)
    ]
    backend = Backend.select("argo", options={"kubeconfig": str(KUBECONFIG), "pod_gc": "OnPodSuccess"})
    handle = backend.submit(backend.render(load(HEAD + "".join(steps))))
    began, cursor, ended = time.monotonic(), "", Counter[str]()
    while not (update := backend.poll(handle, cursor)).done:
        cursor = update.cursor
        ended.update(name for name, state in update.steps.items() if state.phase.ended)
        assert time.monotonic() - began < 3600, update
        time.sleep(2)
    ended.update(name for name, state in update.steps.items() if state.phase.ended)
    whole = backend.poll(handle)
    print(f"{len(steps)} pods in {time.monotonic() - began:.0f} s")
    backend.delete(handle)
    assert whole.phase is Phase.SUCCEEDED
    assert {(state.phase, state.attempts) for state in whole.steps.values()} == {(Phase.SUCCEEDED, 1)}
    assert ended == dict.fromkeys(whole.steps, 1)
    assert len(whole.steps) == CHAINS * LENGTH
