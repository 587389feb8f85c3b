"""What every engine on Kubernetes has to prove, for this one."""

from __future__ import annotations

from cluster.kubernetes.argo import argo_up
from kubernetes_suites import AnyTextSuite, BadInputSuite, Engine, FaultSuite, RoleSuite

from flowcore_argo.allowed import READING
from flowcore_argo.places import WORKFLOWS

ENGINE = Engine(
    backend="argo",
    kind=WORKFLOWS,
    reading=READING,
    controller="argo-controller",
    start=argo_up,
    options={"start_allowance": 60},
)


class TestAnyText(AnyTextSuite):
    engine = ENGINE


class TestBadInput(BadInputSuite):
    engine = ENGINE


class TestFaults(FaultSuite):
    engine = ENGINE


class TestRoles(RoleSuite):
    engine = ENGINE
