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

NAME = {"name": "flowcore-scenarios", "namespace": "default"}
RBAC = "rbac.authorization.k8s.io"
MAKES_CONFIG_MAPS = (
    {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": NAME,
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "get", "watch"]}],
    },
    {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": NAME,
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "flowcore-scenarios"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
    },
)
"""What the steps must be allowed for the scenario of a manifest."""


class TestScenarios(BackendSuite):
    backend: ClassVar[str] = "argo"
    options: ClassVar[Mapping[str, Json]] = {"kubeconfig": str(KUBECONFIG), "start_allowance": 60}
    concurrency: ClassVar[int] = 16
    deadline: ClassVar[float] = 900.0
    interval: ClassVar[float] = 1.5
    clock: ClassVar[float] = 2.0

    def make_secrets(self, folder: object, secrets: Texts, config_maps: Texts) -> dict[str, Json]:
        objects = [
            {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, field: texts}
            for kind, field, found in (("Secret", "stringData", secrets), ("ConfigMap", "data", config_maps))
            for name, texts in found.items()
        ]
        apply("\n---\n".join(json.dumps(each) for each in [*objects, *MAKES_CONFIG_MAPS]))
        return {}


TestScenarios.pytestmark = [*TestScenarios.pytestmark, pytest.mark.cluster]
