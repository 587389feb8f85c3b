"""Every sentence of the semantics, on processes of this machine."""

from __future__ import annotations

from flowcore.testing import BackendSuite


class TestScenarios(BackendSuite):
    backend = "local"
