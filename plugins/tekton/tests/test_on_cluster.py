"""What every engine on Kubernetes has to prove, for this one."""

from __future__ import annotations

from cluster.kubernetes.tekton import tekton_up
from kubernetes_suites import AnyTextSuite, BadInputSuite, Engine, FaultSuite, RoleSuite

from flowcore_tekton.allowed import READING
from flowcore_tekton.places import PIPELINE_RUNS

ENGINE = Engine(
    backend="tekton",
    kind=PIPELINE_RUNS,
    reading=READING,
    controller="tekton-controller",
    start=tekton_up,
)


class TestAnyText(AnyTextSuite):
    engine = ENGINE


class TestBadInput(BadInputSuite):
    engine = ENGINE


class TestFaults(FaultSuite):
    engine = ENGINE


class TestRoles(RoleSuite):
    engine = ENGINE
