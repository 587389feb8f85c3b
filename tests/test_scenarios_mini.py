"""The scenarios on the small backend: with nothing declared, with little, and with all that it can do."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import mini_backend

from flowcore.backend import Backend
from flowcore.testing import BackendSuite


class Mini(BackendSuite):
    """What the three have in common."""

    declares: ClassVar[frozenset[str]]
    interval = 0.02
    refused: ClassVar[dict[str, str]] = {"values-of-100-kilobytes-in-python": "bytes"}  # an argument here, not a file

    def make_backend(self, folder: Path) -> Backend:
        options = mini_backend.MiniOptions(str(folder))
        return Backend.of(mini_backend.MiniBackend(options, self.declares), "mini")


class TestNothingDeclared(Mini):
    declares = mini_backend.EMPTY


class TestValuesDeclared(Mini):
    declares = mini_backend.VALUES


class TestAllDeclared(Mini):
    declares = mini_backend.WIDE
