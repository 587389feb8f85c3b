"""The engines and registries that the tests bring up: they do what tests of a container backend rely on."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.docker import Engine
from cluster.registry import Registry

pytestmark = pytest.mark.docker


@pytest.fixture(params=[False, True], ids=["stops-containers", "live-restore"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    # A socket's path must be short.
    with Engine(Path(tempfile.mkdtemp(prefix="flowcore-", dir="/tmp")), live_restore=request.param) as engine:
        yield engine


def test_an_engine_of_its_own_can_be_stopped_and_started(engine: Engine) -> None:
    engine.ask("run", "-d", "--name", "sleeper", "busybox:1", "sh", "-c", "trap 'exit 3' TERM; sleep 600 & wait")
    engine.stop()
    engine.start()
    assert engine.ask("ps", "-a", "--format", "{{.Names}}") == ["sleeper"]
    running = engine.ask("inspect", "--format", "{{.State.Running}}", "sleeper")
    assert running == [str(engine.live_restore).lower()]
    engine.ask("rm", "-f", "sleeper")
    # Its own: engines of other tests run beside it.
    mounts = Path("/proc/mounts").read_text().splitlines()
    assert not [line for line in mounts if line.startswith("overlay ") and f"{engine.folder}/" in line]


def test_nothing_is_left_of_an_engine_of_its_own(engine: Engine) -> None:
    engine.ask("run", "-d", "busybox:1", "sleep", "600")
    engine.destroy()
    assert not engine.folder.exists()
    assert f"{engine.folder}/" not in Path("/proc/mounts").read_text()


@pytest.fixture(params=[False, True], ids=["open", "password"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry", password=request.param) as registry:
        yield registry


def pull(image: str, config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", "--config", config, "pull", image], capture_output=True, text=True, check=False)


def test_images_are_pulled_from_a_registry_and_pulls_are_counted(registry: Registry, tmp_path: Path) -> None:
    image = registry.push("busybox:1", "team/tool:1", tmp_path / "docker")
    assert registry.pulls("team/tool") == 0
    try:
        done = pull(image, tmp_path / "docker")
        assert done.returncode == 0, done.stderr
        assert registry.pulls("team/tool") == 1
    finally:
        subprocess.run(["docker", "rmi", image], capture_output=True, check=False)


def test_a_wrong_password_matters_where_one_is_asked_for(registry: Registry, tmp_path: Path) -> None:
    image = registry.push("busybox:1", "team/tool:1", tmp_path / "docker")
    registry.login(tmp_path / "wrong", "open")
    try:
        done = pull(image, tmp_path / "wrong")
        assert (done.returncode != 0) == registry.password
        if registry.password:
            assert "unauthorized" in done.stderr
    finally:
        subprocess.run(["docker", "rmi", image], capture_output=True, check=False)
