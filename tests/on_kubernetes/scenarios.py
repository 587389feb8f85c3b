"""Every scenario on a real cluster, many at a time: most of a run's time is waiting for pods."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import pytest
from cluster.kubernetes.access import apply

from flowcore.backend import Backend
from flowcore.syntax import Json
from flowcore.testing import BackendSuite
from flowcore.testing.suite import Texts, all_secrets
from on_kubernetes.accounts import grant
from on_kubernetes.engine import CLOCK, DEADLINE, INTERVAL, Engine


@pytest.mark.cluster
class Scenarios(BackendSuite):
    engine: ClassVar[Engine]
    concurrency: ClassVar[int] = 16
    deadline: ClassVar[float] = DEADLINE
    interval: ClassVar[float] = INTERVAL
    clock: ClassVar[float] = CLOCK

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.backend, cls.refused = cls.engine.name, cls.engine.refused

    def make_backend(self, folder: Path) -> Backend:
        self.make_secrets(folder, *all_secrets())
        grant("default", self.engine.steps)
        return self.engine.backend()

    def make_secrets(self, folder: Path, secrets: Texts, config_maps: Texts) -> dict[str, Json]:
        apply(
            "\n---\n".join(
                json.dumps({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, field: texts})
                for kind, field, found in (("Secret", "stringData", secrets), ("ConfigMap", "data", config_maps))
                for name, texts in found.items()
            )
        )
        return {}
