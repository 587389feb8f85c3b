"""What cannot run says why, in one sentence, and ends."""

from __future__ import annotations

import json

import pytest
from cluster.kubernetes.access import KUBECONFIG, apply, kubectl

from flowcore.backend import Backend, load
from flowcore.errors import FlowError
from flowcore.plugin import Phase

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("tekton-bad-input")]

HEAD = 'flowcore: 1\nname: bad\ndefaults: {image: "busybox:1", pending_timeout: 20s}\n'
STARTLESS = {
    "image": ("steps: {x: {image: 'localhost:1/no-such:1', command: ['true']}}", "image", "no-such"),
    "secret": (
        "steps: {x: {env: {A: {secret: no-such-secret, key: a}}, command: ['true']}}",
        "secret",
        "no-such-secret",
    ),
    "secret-key": ("steps: {x: {env: {A: {secret: has-no-key, key: a}}, command: ['true']}}", "secret", "has-no-key"),
    "config-map-volume": (
        "volumes: {v: {config_map: no-such-map}}\nsteps: {x: {mounts: {/v: v}, command: ['true']}}",
        "secret",
        "no-such-map",
    ),
    "claim": (
        "volumes: {v: {claim: no-such-claim}}\nsteps: {x: {mounts: {/v: v}, command: ['true']}}",
        "claim",
        "no-such-claim",
    ),
    "capacity": ("steps: {x: {resources: {cpu: '4000'}, command: ['true']}}", "capacity", "cpu"),
    "account": ("service_account: no-such-account\nsteps: {x: {command: ['true']}}", "backend", "no-such-account"),
}


@pytest.fixture(scope="module")
def backend() -> Backend:
    apply('{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "has-no-key"}, "stringData": {"b": "x"}}')
    return Backend.select("tekton", options={"kubeconfig": str(KUBECONFIG)})


def test_a_step_that_cannot_start_ends_with_the_cause(backend):
    handles = {name: backend.submit(backend.render(load(f"{HEAD}{body}\n"))) for name, (body, *_) in STARTLESS.items()}
    found = {name: backend.wait(handle, 0.5) for name, handle in handles.items()}
    for name, (_, reason, word) in STARTLESS.items():
        step = found[name].steps["x"]
        assert (name, step.phase, step.reason) == (name, Phase.ERROR, reason), step.message
        assert word in step.message, step.message
        assert "\n" not in step.message
        assert found[name].phase is Phase.FAILED
        backend.delete(handles[name])


def test_a_quota_that_is_used_up_is_the_cause():
    apply("\n---\n".join(
        json.dumps(each)
        for each in (
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flowcore-tekton-full"}},
            {
                "apiVersion": "v1",
                "kind": "ResourceQuota",
                "metadata": {"name": "none", "namespace": "flowcore-tekton-full"},
                "spec": {"hard": {"pods": "0"}},
            },
        )
    ))  # fmt: skip
    backend = Backend.select("tekton", options={"kubeconfig": str(KUBECONFIG), "namespace": "flowcore-tekton-full"})
    handle = backend.submit(backend.render(load(f"{HEAD}steps: {{x: {{command: ['true']}}}}\n")))
    try:
        update = backend.wait(handle, 0.5)
        assert (update.steps["x"].phase, update.steps["x"].reason) == (Phase.ERROR, "capacity"), update.steps["x"]
        assert "quota" in update.steps["x"].message
    finally:
        kubectl("delete", "namespace", "flowcore-tekton-full", "--wait=false", quiet=True)


def test_a_namespace_that_does_not_exist_is_said_at_once():
    backend = Backend.select("tekton", options={"kubeconfig": str(KUBECONFIG), "namespace": "flowcore-nowhere"})
    with pytest.raises(FlowError, match="flowcore-nowhere") as caught:
        backend.submit(backend.render(load(f"{HEAD}steps: {{x: {{command: ['true']}}}}\n")))
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("handle", ["tekton://default/no-such-run", "tekton://nowhere/no-such-run"])
def test_a_run_that_never_was_is_gone(handle, backend):
    from flowcore.plugin import GoneError, RunHandle

    for call in (backend.poll, backend.cancel, backend.delete, backend.resume):
        with pytest.raises(GoneError, match="gone"):
            call(RunHandle.parse(handle))


@pytest.mark.parametrize("handle", ["tekton://run", "tekton:///run", "tekton://default/"])
def test_what_is_no_handle_is_said(handle, backend):
    from flowcore.plugin import RunHandle

    with pytest.raises(FlowError, match="handle"):
        backend.poll(RunHandle.parse(handle))
