"""Every sentence of the semantics, as PipelineRuns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from cluster.kubernetes.access import KUBECONFIG
from kubernetes_suites import ScenarioSuite

from flowcore.plugin import Json


class TestScenarios(ScenarioSuite):
    backend: ClassVar[str] = "tekton"
    options: ClassVar[Mapping[str, Json]] = {"kubeconfig": str(KUBECONFIG)}
    refused: ClassVar[Mapping[str, str]] = {"retry-waiting-holds-no-slot": "parallelism"}
