"""Artifacts in Argo's own repository: the same scenarios as with a claim."""

from __future__ import annotations

import json
from secrets import token_hex

import pytest
from cluster.kubernetes.access import API_IP, KUBECONFIG, apply, kubectl
from object_store import ObjectStore

from flowcore.backend import Backend
from flowcore.backend import load as load_text
from flowcore.testing.driver import Driver, load
from flowcore.testing.scenarios import SCENARIOS
from flowcore_argo.places import WORKFLOWS
from flowcore_kubernetes import RUN

PLAYED = [
    scenario
    for scenario in SCENARIOS
    if scenario.name
    in ("artifact-file-and-folder", "artifact-that-was-not-written", "artifacts-of-items", "python-artifact")
]


def options(repository: str) -> dict[str, object]:
    return {"artifacts": "repository", "artifact_repository": repository, "start_allowance": 60}


def test_keys_are_known_before_the_run():
    backend = Backend.select("argo", options=options("flowcore-artifacts/s3"))
    scenario = next(each for each in PLAYED if each.name == "artifacts-of-items")
    rendered = backend.render(load(scenario))
    text = rendered.text
    assert rendered.objects[0]["spec"]["artifactRepositoryRef"] == {"configMap": "flowcore-artifacts", "key": "s3"}
    assert '"{{workflow.name}}/each/part"' in text
    assert "PersistentVolumeClaim" not in text
    assert "persistentVolumeClaim" not in text


@pytest.fixture
def store():
    """An object store of the test's own, and the name of a config map that names it as Argo's repository.

    Its keys: ``s3``, and ``logs``, with an archive.
    """
    name = f"flowcore-artifacts-{token_hex(4)}"
    with ObjectStore(API_IP) as store:
        secret = {"name": name, "key": "word"}
        s3 = {
            "endpoint": store.endpoint,
            "insecure": True,
            "bucket": "flowcore",
            "region": "us-east-1",
            "accessKeySecret": secret,
            "secretKeySecret": secret,
        }
        metadata = {"name": name}
        data = {"s3": json.dumps({"s3": s3}), "logs": json.dumps({"s3": s3, "archiveLogs": True})}
        apply("\n---\n".join(
            json.dumps(each)
            for each in (
                {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"word": "word12345678"}},
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data},
            )
        ))  # fmt: skip
        yield store, name
        kubectl("delete", "secret,configmap", name, quiet=True)


@pytest.mark.cluster
def test_artifacts_go_through_the_repository(store):
    objects, config_map = store
    backend = Backend.select("argo", options={**options(f"{config_map}/s3"), "kubeconfig": str(KUBECONFIG)})
    for scenario in PLAYED:
        Driver(backend, 900, 0.7, 2.0).run(scenario)
    assert any(key.endswith("/each/part/1") for key in objects.objects)


TALKS = """
flowcore: 1
name: a-name-that-is-as-long-as-names-of-runs-get
defaults: {image: "busybox:1"}
steps:
  says: {command: [sh, -c, 'for i in 1 2 3; do echo "line $i ä"; done; printf end']}
  fails: {needs: [says], command: [sh, -c, 'echo wrong; exit 3']}
  silent: {command: ['true']}
"""


@pytest.mark.cluster
@pytest.mark.parametrize("archive", ["logs", "s3"])
def test_logs_of_pods_that_are_gone_come_from_the_archive_or_are_said_to_be_lost(store, archive):
    _, config_map = store
    collected = {**options(f"{config_map}/{archive}"), "pod_gc": "OnPodCompletion"}
    backend = Backend.select("argo", options={**collected, "kubeconfig": str(KUBECONFIG)})
    handle = backend.submit(backend.render(load_text(TALKS)))
    backend.wait(handle, 0.5)
    namespace, name = handle.location.split("/")
    pods = f"workflows.argoproj.io/workflow={name}"
    kubectl("wait", "pod", "-n", namespace, "-l", pods, "--for=delete", "--timeout=300s", quiet=True)
    lines = [(line.step, line.line, line.gap) for line in backend.logs(handle)]
    if archive == "logs":
        said = [("says", f"line {number} ä", False) for number in (1, 2, 3)]
        assert [line for line in lines if line[0] == "says"] == [*said, ("says", "end", False)]
        assert [line for line in lines if line[0] != "says"] == [("fails", "wrong", False)]
    else:
        assert {step for step, _, gap in lines if gap} == {"says", "fails", "silent"}
    assert not backend.hooks.plugin.runs.client.list(WORKFLOWS, namespace, labels=f"{RUN}={name}").items
    backend.delete(handle)
