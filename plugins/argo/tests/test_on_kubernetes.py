"""Argo as the suites of ``tests/on_kubernetes`` need to know it."""

from __future__ import annotations

import re

import on_kubernetes
from cluster.kubernetes.argo import argo_up

from flowcore_argo.allowed import READING
from flowcore_argo.places import WORKFLOWS
from flowcore_kubernetes import CONFIG_MAPS, Permission

ARGO = on_kubernetes.Engine(
    name="argo",
    runs=WORKFLOWS,
    controller="argo-controller",
    start=argo_up,
    reading=READING,
    writing="create, patch, update, delete workflows.argoproj.io; delete pods",
    steps=(Permission.on(CONFIG_MAPS, "create", "get", "watch"),),
    options={"start_allowance": 60},
    profiles={
        "claim": {},
        "repository": {"artifacts": "repository", "artifact_repository": "a/b"},
        "all": {
            "service_account": "runner",
            "pod_gc": "OnPodCompletion",
            "priority_class": "low",
            "workflow_labels": {"team": "ads"},
            "pod_spec_patch": {"dnsPolicy": "Default"},
            "storage_class": "fast",
            "artifact_access": "ReadWriteMany",
        },
    },
    escape={"pod_spec_patch": {"dnsPolicy": "Default"}},
    # Argo takes a tag to end with the first }}, and one that does not end for an error.
    reference=re.compile(r"\{\{.*?(?:\}\}|\Z)", re.S),
    own=re.compile(
        r"\{\{(=.*|inputs\.parameters\.[a-z0-9A-Z_-]+|item|workflow\.(name|uid|namespace|labels\.[a-z./-]+))\}\}", re.S
    ),
)


class TestRendering(on_kubernetes.Rendering):
    engine = ARGO


class TestSchemas(on_kubernetes.Schemas):
    engine = ARGO


class TestServer(on_kubernetes.Server):
    engine = ARGO


class TestScenarios(on_kubernetes.Scenarios):
    engine = ARGO


class TestValues(on_kubernetes.Values):
    engine = ARGO


class TestExamples(on_kubernetes.Examples):
    engine = ARGO


class TestPermissions(on_kubernetes.Permissions):
    engine = ARGO


class TestBadInput(on_kubernetes.BadInput):
    engine = ARGO


class TestFaults(on_kubernetes.Faults):
    engine = ARGO
