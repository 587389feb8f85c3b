"""Artifacts in Argo's own repository: the same scenarios as with a claim."""

from __future__ import annotations

import json

import pytest
from cluster.kubernetes.access import API_IP, KUBECONFIG, apply
from object_store import ObjectStore

from flowcore.backend import Backend
from flowcore.testing.driver import Driver, load
from flowcore.testing.scenarios import SCENARIOS

PLAYED = [
    scenario
    for scenario in SCENARIOS
    if scenario.name
    in ("artifact-file-and-folder", "artifact-that-was-not-written", "artifacts-of-items", "python-artifact")
]
OPTIONS = {"artifacts": "repository", "artifact_repository": "flowcore-artifacts/s3", "start_allowance": 30}


def test_keys_are_known_before_the_run():
    backend = Backend.select("argo", options=OPTIONS)
    scenario = next(each for each in PLAYED if each.name == "artifacts-of-items")
    rendered = backend.render(load(scenario))
    text = rendered.text
    assert rendered.objects[0]["spec"]["artifactRepositoryRef"] == {"configMap": "flowcore-artifacts", "key": "s3"}
    assert '"{{workflow.name}}/each/part"' in text
    assert "PersistentVolumeClaim" not in text
    assert "persistentVolumeClaim" not in text


@pytest.mark.cluster
@pytest.mark.xdist_group("argo-repository")
def test_artifacts_go_through_the_repository():
    with ObjectStore(API_IP) as store:
        secret = {"name": "flowcore-artifacts", "key": "word"}
        repository = {
            "s3": {
                "endpoint": store.endpoint,
                "insecure": True,
                "bucket": "flowcore",
                "region": "us-east-1",
                "accessKeySecret": secret,
                "secretKeySecret": secret,
            }
        }
        metadata = {"name": "flowcore-artifacts"}
        apply("\n---\n".join(
            json.dumps(each)
            for each in (
                {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"word": "word12345678"}},
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"s3": json.dumps(repository)}},
            )
        ))  # fmt: skip
        backend = Backend.select("argo", options={**OPTIONS, "kubeconfig": str(KUBECONFIG)})
        for scenario in PLAYED:
            Driver(backend, 240, 0.7, 2.0).run(scenario)
        assert any(key.endswith("/each/part/1") for key in store.objects)
