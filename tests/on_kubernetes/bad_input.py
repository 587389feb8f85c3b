"""What cannot run says why, in one sentence, and ends."""

from __future__ import annotations

import pytest
from cluster.kubernetes.access import kubectl

from flowcore.backend import load
from flowcore.errors import FlowError, GoneError, UsageError
from flowcore.runs import Phase, RunHandle
from flowcore_kubernetes import SECRETS, QuotaError, Resource
from on_kubernetes.accounts import fails, new_space, until
from on_kubernetes.engine import EngineSuite

QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
HEAD = 'flowcore: 1\nname: bad\ndefaults: {image: "busybox:1", pending_timeout: 90s}\n'
PLAIN = f"{HEAD}steps: {{x: {{command: ['true']}}}}\n"
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


@pytest.mark.cluster
class BadInput(EngineSuite):
    def test_a_step_that_cannot_start_ends_with_the_cause(self, tmp_path):
        with new_space(tmp_path, "flowcore-startless") as space:
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "has-no-key"}}
            space.admin.create(SECRETS, {**secret, "stringData": {"b": "x"}})
            backend = self.engine.backend(namespace=space.name)
            handles = {
                name: backend.submit(backend.render(load(f"{HEAD}{body}\n"))) for name, (body, *_) in STARTLESS.items()
            }
            found = {name: backend.wait(handle, 0.5) for name, handle in handles.items()}
        for name, (_, reason, word) in STARTLESS.items():
            step = found[name].steps["x"]
            assert (name, step.phase, step.reason) == (name, Phase.ERROR, reason), step.message
            assert word in step.message, step.message
            assert "\n" not in step.message
            assert found[name].phase is Phase.FAILED

    def test_a_quota_that_is_used_up_is_the_cause(self, tmp_path):
        with new_space(tmp_path, "flowcore-full") as space:
            quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "pods"}}
            space.admin.create(QUOTAS, {**quota, "spec": {"hard": {"pods": "0"}}})
            until(lambda: (space.admin.get(QUOTAS, "pods").get("status") or {}).get("hard"))
            backend = self.engine.backend(namespace=space.name)
            step = backend.wait(backend.submit(backend.render(load(PLAIN))), 0.5).steps["x"]
            assert (step.phase, step.reason) == (Phase.ERROR, "capacity"), step
            assert "quota" in step.message

    def test_a_quota_that_takes_no_run_refuses_it(self, tmp_path):
        with new_space(tmp_path, "flowcore-full") as space:
            quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "runs"}}
            space.admin.create(QUOTAS, {**quota, "spec": {"hard": {f"count/{self.engine.runs.full_name}": "0"}}})
            until(lambda: (space.admin.get(QUOTAS, "runs").get("status") or {}).get("hard"))
            backend = self.engine.backend(namespace=space.name)
            refused = fails(lambda: backend.submit(backend.render(load(PLAIN))))
            assert isinstance(refused, QuotaError), refused
            assert refused.exit_code == 2
            assert f"namespace {space.name}: quota runs is exceeded" in str(refused)
            assert "\n" not in str(refused)
            assert list(backend.list_runs()) == []

    def test_a_pod_that_its_machine_evicts_is_lost_and_tried_again(self):
        text = """steps:
  big:
    retry: {limit: 1, only: [error]}
    resources: {ephemeral-storage: 5Mi}
    command: [sh, -c, 'test "$FLOW_ATTEMPT" = 2 || { dd if=/dev/zero of=/tmp/big bs=1M count=60; sleep 600; }']
  over:
    continue_on_failure: true
    retry: {limit: 1, only: [failed]}
    resources: {ephemeral-storage: 5Mi}
    command: [sh, -c, 'dd if=/dev/zero of=/tmp/big bs=1M count=60; sleep 600']
  once:
    continue_on_failure: true
    resources: {ephemeral-storage: 5Mi}
    command: [sh, -c, 'dd if=/dev/zero of=/tmp/big bs=1M count=60; sleep 600']
"""
        backend = self.engine.backend()
        handle = backend.submit(backend.render(load(f"{HEAD}{text}")))
        update = backend.wait(handle, 0.5)
        big, over, once = (update.steps[name] for name in ("big", "over", "once"))
        assert (big.phase, big.attempts) == (Phase.SUCCEEDED, 2), big
        assert (over.phase, over.reason) == (Phase.ERROR, "lost"), over
        assert over.attempts == (2 if self.engine.repeats_lost else 1)
        assert (once.phase, once.reason, once.attempts) == (Phase.ERROR, "lost", 1), once
        assert "ephemeral local storage" in over.message
        backend.delete(handle)

    def test_a_namespace_that_does_not_exist_is_said_at_once(self):
        backend = self.engine.backend(namespace="flowcore-nowhere")
        with pytest.raises(FlowError, match="flowcore-nowhere") as caught:
            backend.submit(backend.render(load(PLAIN)))
        assert caught.value.exit_code == 2
        assert "\n" not in str(caught.value)

    def test_a_run_that_someone_deleted_is_gone(self):
        backend = self.engine.backend()
        handle = backend.submit(backend.render(load(f"{HEAD}steps: {{x: {{command: [sleep, '600']}}}}\n")))
        until(lambda: backend.poll(handle).steps["x"].phase is Phase.RUNNING)
        namespace, _, name = handle.location.partition("/")
        kubectl("delete", self.engine.runs.full_name, name, "-n", namespace, quiet=True)
        with pytest.raises(GoneError, match="gone"):
            backend.poll(handle)

    @pytest.mark.parametrize("place", ["default/no-such-run", "nowhere/no-such-run"])
    def test_a_run_that_never_was_is_gone(self, place):
        backend = self.engine.backend()
        for call in (backend.poll, backend.cancel, backend.delete, backend.resume):
            with pytest.raises(GoneError, match="gone"):
                call(RunHandle(self.engine.name, place))

    @pytest.mark.parametrize("place", ["run", "/run", "default/"])
    def test_what_is_no_handle_is_said(self, place):
        with pytest.raises(UsageError, match="handle"):
            self.engine.backend().poll(RunHandle.parse(f"{self.engine.name}://{place}"))
