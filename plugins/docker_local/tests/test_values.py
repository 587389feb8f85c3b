"""Any text at all, through containers of a real engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from any_values import AnyValues

from flowcore.backend import Backend

pytestmark = pytest.mark.docker


class TestValues(AnyValues):
    @pytest.fixture(autouse=True)
    def _home(self, tmp_path: Path) -> None:
        self.home = tmp_path

    def make_backend(self) -> Backend:
        return Backend.select("docker-local", options={"home": str(self.home)})
