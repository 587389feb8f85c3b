"""Runs documents on a real Docker engine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster.docker import Engine
from cluster.registry import Registry
from engine_runs import Runs


@pytest.fixture
def docker(tmp_path: Path) -> Runs:
    return Runs("docker-local", tmp_path / "home", {"image": "busybox:1"})


@pytest.fixture
def docker_with(tmp_path: Path) -> Callable[..., Runs]:
    return lambda **options: Runs("docker-local", tmp_path / "home", {"image": "busybox:1", **options})


@pytest.fixture(params=[False, True], ids=["stops-containers", "live-restore"])
def own_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine that the test may stop, pause and kill."""
    # A socket's path must be short.
    with Engine(Path(tempfile.mkdtemp(prefix="flowcore-", dir="/tmp")), live_restore=request.param) as engine:
        yield engine


@pytest.fixture(params=[False, True], ids=["open", "password"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry", password=request.param) as registry:
        yield registry
