"""Every sentence of the semantics, in containers of a real engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from flowcore.syntax import Json
from flowcore.testing import BackendSuite

pytestmark = pytest.mark.docker


class TestScenarios(BackendSuite):
    backend = "docker-local"
    options: ClassVar[Mapping[str, Json]] = {"grace": 1.0}
    deadline = 120.0
