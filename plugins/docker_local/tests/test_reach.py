"""Engines that are reached over TLS, over ssh, and Podman's: each runs the same workflow."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.docker import Engine
from cluster.reach import Podman, Ssh, certificates, free_port, tls_options
from engine_runs import Runs

pytestmark = pytest.mark.docker

DOCUMENT = """
    steps:
      a:
        script: |
          echo out; echo err >&2
          printf 7 > "$FLOW_OUTPUTS/n"
          mkdir "$FLOW_OUTPUTS/d"; echo deep > "$FLOW_OUTPUTS/d/f"
        outputs: {n: {type: integer}, d: {artifact: true}}
      b:
        command: [sh, -c, 'cat "$0/f"; echo "$1"', "${{ steps.a.outputs.d.path }}", "${{ steps.a.outputs.n }}"]
      code: {command: [sh, -c, "exit 3"], continue_on_failure: true}
      command: {command: [no-such-program], continue_on_failure: true}
      timeout: {timeout: 1s, command: [sleep, "100"], continue_on_failure: true}
      image: {image: "no.such.example/image:1", image_pull_policy: never, command: [x], continue_on_failure: true}
"""


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path, as a socket needs it."""
    with tempfile.TemporaryDirectory(prefix="flowcore-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def check(runs: Runs, tmp_path: Path) -> None:
    runs.backend.probe()
    handle = runs.submit(DOCUMENT)
    update = runs.wait(handle)
    seen = {name: (step.phase.value, step.reason) for name, step in update.steps.items()}
    assert seen == {
        "a": ("succeeded", None),
        "b": ("succeeded", None),
        "code": ("failed", "exit-code"),
        "command": ("error", "command"),
        "timeout": ("failed", "timeout"),
        "image": ("error", "image"),
    }, update
    assert update.steps["a"].outputs["n"] == 7
    assert {(line.stream, line.line) for line in runs.backend.logs(handle, "a")} == {
        ("stdout", "out"),
        ("stderr", "err"),
    }
    assert runs.lines(handle, "b") == ["deep", "7"]
    assert (Path(runs.backend.artifact(handle, "a", "d", tmp_path / "got")) / "f").read_text() == "deep\n"
    runs.backend.delete(handle)

    handle = runs.submit("steps: {long: {command: [sh, -c, 'echo up; sleep 100']}}")
    runs.until_line(handle, "up")
    runs.backend.cancel(handle)
    assert runs.wait(handle).phase == "cancelled"
    runs.backend.delete(handle)


def runs_on(host: str, tmp_path: Path) -> Runs:
    return Runs("docker-local", tmp_path / "home", {"image": "busybox:1", "network": "none", "host": host})


def test_an_engine_behind_tls(tmp_path: Path, short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificates(tmp_path / "certificates")
    port = free_port()
    with Engine(short, also=tls_options(tmp_path / "certificates", port)) as engine:
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path / "certificates"))
        check(runs_on(f"tcp://127.0.0.1:{port}", tmp_path), tmp_path)
        monkeypatch.undo()
        assert engine.ask("ps", "-aq") == []


def test_an_engine_behind_ssh(tmp_path: Path, short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Engine(short) as engine, Ssh(tmp_path / "ssh", engine.host) as ssh:
        monkeypatch.setenv("PATH", f"{ssh.folder}/bin:{os.environ['PATH']}")
        check(runs_on(f"ssh://root@127.0.0.1:{ssh.port}", tmp_path), tmp_path)
        assert engine.ask("ps", "-aq") == []


def test_podmans_engine(tmp_path: Path, short: Path) -> None:
    with Podman(short) as podman:
        check(runs_on(podman.host, tmp_path), tmp_path)
