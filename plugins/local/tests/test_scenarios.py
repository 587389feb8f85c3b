"""Every sentence of the semantics, on processes of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from flowcore.syntax import Json
from flowcore.testing import BackendSuite


class TestScenarios(BackendSuite):
    backend = "local"
    options: ClassVar[Mapping[str, Json]] = {"grace": 1.0}
