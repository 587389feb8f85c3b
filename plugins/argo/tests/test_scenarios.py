"""Every sentence of the semantics, as Workflows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from cluster.kubernetes.access import KUBECONFIG
from kubernetes_suites import ScenarioSuite

from flowcore.plugin import Json


class TestScenarios(ScenarioSuite):
    backend: ClassVar[str] = "argo"
    options: ClassVar[Mapping[str, Json]] = {"kubeconfig": str(KUBECONFIG), "start_allowance": 60}
