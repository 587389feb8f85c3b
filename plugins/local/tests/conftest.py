"""Runs documents on the local backend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from engine_runs import Runs


@pytest.fixture
def local(tmp_path: Path) -> Runs:
    return Runs("local", tmp_path / "home", {})


@pytest.fixture
def local_with(tmp_path: Path) -> Callable[..., Runs]:
    return lambda **options: Runs("local", tmp_path / "home", options)
