"""Every scenario on a real cluster, many at a time: most of a run's time is waiting for pods."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar

import pytest
from cluster.kubernetes.access import KUBECONFIG, apply

from flowcore.plugin import Json
from flowcore.testing import BackendSuite
from flowcore.testing.suite import Texts


class TestScenarios(BackendSuite):
    backend: ClassVar[str] = "tekton"
    options: ClassVar[Mapping[str, Json]] = {"kubeconfig": str(KUBECONFIG)}
    concurrency: ClassVar[int] = 16
    deadline: ClassVar[float] = 420.0
    interval: ClassVar[float] = 1.5
    clock: ClassVar[float] = 2.0
    refused: ClassVar[Mapping[str, str]] = {"retry-waiting-holds-no-slot": "parallelism"}

    def make_secrets(self, folder: object, secrets: Texts, config_maps: Texts) -> dict[str, Json]:
        objects = [
            {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, field: texts}
            for kind, field, found in (("Secret", "stringData", secrets), ("ConfigMap", "data", config_maps))
            for name, texts in found.items()
        ]
        apply("\n---\n".join(json.dumps(each) for each in objects))
        return {}


TestScenarios.pytestmark = [*TestScenarios.pytestmark, pytest.mark.cluster]
