"""Any text at all, through pods."""

from __future__ import annotations

import pytest
from any_values import AnyValues

from flowcore.backend import Backend
from on_kubernetes.engine import EngineSuite


@pytest.mark.cluster
class Values(EngineSuite, AnyValues):
    def make_backend(self) -> Backend:
        return self.engine.backend()
