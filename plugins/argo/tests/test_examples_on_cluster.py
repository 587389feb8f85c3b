"""The patterns of ``examples/argo`` on a real cluster."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cluster.kubernetes.access import KUBECONFIG
from on_kubernetes.accounts import grant

from flowcore.backend import Backend, load
from flowcore.plugin import Phase
from flowcore_kubernetes import CONFIG_MAPS, Permission

EXAMPLES = Path(__file__).parents[3] / "examples" / "argo"
PHASES = {"exit_handler": Phase.FAILED}
OUTPUTS = {
    "loop_over_json": {"lines": ["Rome has 3 rows", "São Paulo has 4 rows"]},
    "recursion": {"turns": 3},
    "memoize": {"rows": 1234},
}

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("argo-examples")]


@pytest.fixture(scope="module")
def backend() -> Backend:
    grant("default", [Permission.on(CONFIG_MAPS, "create", "get", "watch")])
    return Backend.select("argo", options={"kubeconfig": str(KUBECONFIG)})


def test_every_pattern_runs(backend):
    names = [path.stem for path in sorted(EXAMPLES.glob("*.yaml")) if path.stem != "cron"]
    rendered = {name: backend.render(load(EXAMPLES / f"{name}.yaml")) for name in names}
    for each in rendered.values():
        backend.validate(each)
    handles = {name: backend.submit(each) for name, each in rendered.items()}
    updates = {name: backend.wait(handle, 0.5) for name, handle in handles.items()}
    assert {name: update.phase for name, update in updates.items()} == {
        name: PHASES.get(name, Phase.SUCCEEDED) for name in names
    }
    for name, outputs in OUTPUTS.items():
        assert updates[name].outputs == outputs
    sides = {updates["coin_flip"].steps[side].phase for side in ("heads", "tails")}
    assert sides == {Phase.SUCCEEDED, Phase.SKIPPED}
    assert updates["retry_backoff"].steps["tries"].attempts == 3
    lines = [line.line for line in backend.logs(handles["artifact_passing"], "print")]
    assert lines == ["hello world", "one"]
    for handle in handles.values():
        backend.delete(handle)


def test_a_cron_starts_runs_and_is_one_handle(backend):
    text = (EXAMPLES / "cron.yaml").read_text().replace("0 3 * * *", "* * * * *")
    rendered = backend.render(load(text))
    backend.validate(rendered)
    handle = backend.submit(rendered)
    assert not backend.poll(handle).done
    end = time.monotonic() + 600
    while not (update := backend.poll(handle)).done:
        assert time.monotonic() < end, update
        time.sleep(2)
    assert (update.phase, update.workflow) == (Phase.SUCCEEDED, "nightly")
    assert "nightly" in {row.workflow for row in backend.list_runs()}
    backend.delete(handle)
    with pytest.raises(Exception, match="gone"):
        backend.poll(handle)
