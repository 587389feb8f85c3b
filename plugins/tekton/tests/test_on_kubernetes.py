"""Tekton as the suites of ``tests/on_kubernetes`` need to know it."""

from __future__ import annotations

import re

import on_kubernetes
from cluster.kubernetes.tekton import tekton_up

from flowcore_kubernetes import CONFIG_MAPS, Permission
from flowcore_tekton.allowed import READING
from flowcore_tekton.places import PIPELINE_RUNS

TEKTON = on_kubernetes.Engine(
    name="tekton",
    runs=PIPELINE_RUNS,
    controller="tekton-controller",
    start=tekton_up,
    reading=READING,
    writing="create, patch, delete pipelineruns.tekton.dev",
    steps=(Permission.on(CONFIG_MAPS, "create", "get"),),
    repeats_lost=True,
    refused={
        "cache-answers": "cache",
        "cache-keeps-only-successes": "cache",
        "cache-of-items": "cache",
        "nested-once-an-item-of-an-output": "foreach",
        "retry-waiting-holds-no-slot": "parallelism",
    },
    profiles={
        "default": {},
        "all": {
            "service_account": "runner",
            "priority_class": "low",
            "workflow_labels": {"team": "ads"},
            "pod_template": {"dnsPolicy": "Default"},
            "storage_class": "fast",
            "artifact_access": "ReadWriteMany",
            "long_outputs": "fail",
        },
    },
    escape={"pod_template": {"schedulerName": "mine"}},
    reference=re.compile(r"\$\([A-Za-z][A-Za-z0-9_-]*[.\[][^)]*\)"),
    own=re.compile(
        r"\$\((context\.(pipelineRun\.(name|uid)|task\.retry-count)|params\.[a-z][a-z0-9_-]*(\[\*\])?"
        r"|tasks\.[a-z0-9-]+\.(status|results\.[a-z0-9_-]+(\[\*\])?)|tasks\.status"
        r"|steps\.flow-begin\.results\.(v[0-9]+|go|attempt)|workspaces\.flowcore\.volume)\)"
    ),
    # Tekton reads no references there.
    unread=frozenset({"annotations"}),
)


class TestRendering(on_kubernetes.Rendering):
    engine = TEKTON


class TestSchemas(on_kubernetes.Schemas):
    engine = TEKTON


class TestServer(on_kubernetes.Server):
    engine = TEKTON


class TestScenarios(on_kubernetes.Scenarios):
    engine = TEKTON


class TestValues(on_kubernetes.Values):
    engine = TEKTON


class TestExamples(on_kubernetes.Examples):
    engine = TEKTON


class TestPermissions(on_kubernetes.Permissions):
    engine = TEKTON


class TestBadInput(on_kubernetes.BadInput):
    engine = TEKTON


class TestFaults(on_kubernetes.Faults):
    engine = TEKTON
