"""Every scenario on the real cluster, many at a time: most of a run's time is waiting for pods."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest
from cluster.kubernetes.access import apply

from flowcore.plugin import Json
from flowcore.testing import BackendSuite
from flowcore.testing.suite import Texts
from kubernetes_suites.engine import DEADLINE

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
"""What the steps must be allowed for the scenarios of manifests."""


class ScenarioSuite(BackendSuite):
    """The scenarios; a subclass says the backend and its options."""

    concurrency: ClassVar[int] = 16
    deadline: ClassVar[float] = DEADLINE
    interval: ClassVar[float] = 1.5
    clock: ClassVar[float] = 2.0

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.pytestmark = [*cls.pytestmark, pytest.mark.cluster]

    def make_secrets(self, folder: object, secrets: Texts, config_maps: Texts) -> dict[str, Json]:
        objects = [
            {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, field: texts}
            for kind, field, found in (("Secret", "stringData", secrets), ("ConfigMap", "data", config_maps))
            for name, texts in found.items()
        ]
        apply("\n---\n".join(json.dumps(each) for each in [*objects, *MAKES_CONFIG_MAPS]))
        return {}
