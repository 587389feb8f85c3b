"""For every test of the core and of the plugins: no reader's own settings, runs in a folder of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# Tests that several plugins share; what fails in them is told as in their own.
pytest.register_assert_rewrite("any_values", "on_kubernetes")

# Machines that run the tests may be slow, and a slow example is no wrong one.
hypothesis.settings.register_profile("flowcore", deadline=None, print_blob=True)
hypothesis.settings.load_profile("flowcore")


@pytest.fixture(autouse=True, scope="session")
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Config, runs and caches of the tests live in a temporary folder; a step's environment has no FLOWCORE_*."""
    home = tmp_path_factory.mktemp("home")
    patch = pytest.MonkeyPatch()
    for name in list(os.environ):
        if name.startswith("FLOWCORE_"):
            patch.delenv(name)
    patch.setenv("FLOWCORE_HOME", str(home / "flowcore"))
    patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    yield home
    patch.undo()
