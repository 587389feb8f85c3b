"""Any text reaches containers byte for byte."""

from __future__ import annotations

import pytest
from value_suite import ValueSuite

from flowcore.backend import Backend

pytestmark = pytest.mark.docker


class TestAnyText(ValueSuite):
    @pytest.fixture
    def backend(self) -> Backend:
        return Backend.select("docker-local")
