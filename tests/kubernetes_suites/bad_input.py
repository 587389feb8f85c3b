"""What cannot run says why, in one sentence, and ends."""

from __future__ import annotations

import json
import secrets

import pytest
from cluster.kubernetes.access import apply, kubectl

from flowcore.backend import Backend, load
from flowcore.errors import FlowError
from flowcore.plugin import GoneError, Phase, RunHandle
from kubernetes_suites.engine import EngineSuite

HEAD = 'flowcore: 1\nname: bad\ndefaults: {image: "busybox:1", pending_timeout: 90s}\n'
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
"""What keeps a step from starting: the rest of the document, the reason, and a word of the message."""
EVICTED = """steps:
  big:
    retry: {limit: 1, only: [error]}
    resources: {ephemeral-storage: 5Mi}
    command: [sh, -c, 'test "$FLOW_ATTEMPT" = 2 || { dd if=/dev/zero of=/tmp/big bs=1M count=60; sleep 600; }']
  over:
    continue_on_failure: true
    retry: {limit: 1, only: [failed]}
    resources: {ephemeral-storage: 5Mi}
    command: [sh, -c, 'dd if=/dev/zero of=/tmp/big bs=1M count=60; sleep 600']
"""
ONE = f"{HEAD}steps: {{x: {{command: ['true']}}}}\n"


class BadInputSuite(EngineSuite):
    """Bad input, on one engine."""

    def test_a_step_that_cannot_start_ends_with_the_cause(self, backend: Backend) -> None:
        apply('{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "has-no-key"}, "stringData": {"b": "x"}}')
        handles = {
            name: backend.submit(backend.render(load(f"{HEAD}{body}\n"))) for name, (body, *_) in STARTLESS.items()
        }
        found = {name: backend.wait(handle, 0.5) for name, handle in handles.items()}
        for name, (_, reason, word) in STARTLESS.items():
            step = found[name].steps["x"]
            assert (name, step.phase, step.reason) == (name, Phase.ERROR, reason), step.message
            assert word in (step.message or ""), step.message
            assert "\n" not in (step.message or "")
            assert found[name].phase is Phase.FAILED
            backend.delete(handles[name])

    def test_a_pod_that_its_machine_evicts_is_lost_and_tried_again(self, backend: Backend) -> None:
        handle = backend.submit(backend.render(load(f"{HEAD}{EVICTED}")))
        update = backend.wait(handle, 0.5)
        big, over = update.steps["big"], update.steps["over"]
        assert (big.phase, big.attempts) == (Phase.SUCCEEDED, 2), big
        assert (over.phase, over.reason, over.attempts) == (Phase.ERROR, "lost", 1), over
        assert "ephemeral local storage" in (over.message or "")
        backend.delete(handle)

    def test_a_quota_that_is_used_up_is_the_cause(self) -> None:
        name = f"flowcore-full-{secrets.token_hex(4)}"
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        quota = {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "none", "namespace": name},
            "spec": {"hard": {"pods": "0"}},
        }
        apply("\n---\n".join(json.dumps(each) for each in (space, quota)))
        backend = self.engine.select(namespace=name)
        try:
            step = backend.wait(backend.submit(backend.render(load(ONE))), 0.5).steps["x"]
            assert (step.phase, step.reason) == (Phase.ERROR, "capacity"), step
            assert "quota" in (step.message or "")
        finally:
            kubectl("delete", "namespace", name, "--wait=false", quiet=True)

    def test_a_namespace_that_does_not_exist_is_said_at_once(self) -> None:
        backend = self.engine.select(namespace="flowcore-nowhere")
        with pytest.raises(FlowError, match="flowcore-nowhere") as caught:
            backend.submit(backend.render(load(ONE)))
        assert caught.value.exit_code == 2
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("place", ["default/no-such-run", "nowhere/no-such-run"])
    def test_a_run_that_never_was_is_gone(self, place: str, backend: Backend) -> None:
        for call in (backend.poll, backend.cancel, backend.delete, backend.resume):
            with pytest.raises(GoneError, match="gone"):
                call(RunHandle(self.engine.backend, place))

    @pytest.mark.parametrize("place", ["run", "/run", "default/"])
    def test_what_is_no_handle_is_said(self, place: str, backend: Backend) -> None:
        with pytest.raises(FlowError, match="handle"):
            backend.poll(RunHandle(self.engine.backend, place))
