"""Supervisors and engines that die, stop or hang: nothing is lost, nothing that ended runs twice."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from cluster.docker import Engine
from engine_runs import Runs

pytestmark = pytest.mark.docker


def document(folder: Path, retry: str = "") -> str:
    return (
        f"volumes: {{w: {{host_path: {folder}}}}}\n"
        "steps:\n"
        "  first: {command: [sh, -c, 'echo first >> /w/log'], mounts: {/w: w}}\n"
        "  a:\n"
        "    needs: [first]\n"
        f"    {retry}\n"
        "    command: [sh, -c, 'echo a >> /w/log; echo up; sleep 4; echo down; printf 7 > $FLOW_OUTPUTS/n']\n"
        "    outputs: {n: {type: integer}}\n"
        "    mounts: {/w: w}\n"
        "  last: {needs: [a], command: [sh, -c, 'echo last >> /w/log'], mounts: {/w: w}}\n"
    )


def on(engine: Engine, tmp_path: Path, **options: object) -> Runs:
    settings = {"image": "busybox:1", "host": engine.host, "network": "none", **options}
    return Runs("docker-local", tmp_path / "home", settings)  # type: ignore[arg-type]


def test_a_killed_supervisors_container_is_adopted(docker: Runs, tmp_path: Path) -> None:
    handle = docker.submit(document(tmp_path))
    docker.until_line(handle, "up")
    os.kill(docker.supervisor(handle), signal.SIGKILL)
    update = docker.wait(handle)
    assert update.phase == "succeeded"
    assert update.steps["a"].outputs == {"n": 7}
    assert docker.lines(handle, "a") == ["up", "down"]
    assert (tmp_path / "log").read_text().split() == ["first", "a", "last"]


def test_an_end_that_nobody_watched_is_read_afterwards(docker: Runs, tmp_path: Path) -> None:
    handle = docker.submit(document(tmp_path))
    docker.until_line(handle, "up")
    os.kill(docker.supervisor(handle), signal.SIGKILL)
    time.sleep(6)
    update = docker.wait(handle)
    assert update.phase == "succeeded"
    assert docker.lines(handle, "a") == ["up", "down"]
    assert (tmp_path / "log").read_text().split() == ["first", "a", "last"]


def test_a_supervisor_that_is_killed_again_and_again_repeats_nothing(docker: Runs, tmp_path: Path) -> None:
    handle = docker.submit(
        f"volumes: {{w: {{host_path: {tmp_path}}}}}\nparallelism: 3\n"
        "steps: {each: {foreach: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], mounts: {/w: w},"
        " command: [sh, -c, 'echo $0 >> /w/log; sleep 0.2', '${{ item }}']}}"
    )
    for _ in range(12):
        time.sleep(0.25)
        update = docker.backend.poll(handle)
        if update.done:
            break
        try:
            os.kill(docker.supervisor(handle), signal.SIGKILL)
        except ProcessLookupError:
            pass
    assert docker.wait(handle).phase == "succeeded"
    assert sorted(int(word) for word in (tmp_path / "log").read_text().split()) == list(range(12))


def test_an_engine_that_stops_and_starts(own_engine: Engine, tmp_path: Path) -> None:
    """With live-restore its containers go on and are adopted; without it their end is unknowable, so lost."""
    docker = on(own_engine, tmp_path)
    handle = docker.submit(document(tmp_path))
    docker.until_line(handle, "up")
    own_engine.stop()
    own_engine.start()
    update = docker.wait(handle)
    if own_engine.live_restore:
        assert update.phase == "succeeded", update
        assert docker.lines(handle, "a") == ["up", "down"]
        assert (tmp_path / "log").read_text().split() == ["first", "a", "last"]
    else:
        assert (update.steps["a"].phase, update.steps["a"].reason) == ("error", "lost")
        assert (tmp_path / "log").read_text().split() == ["first", "a"]


def test_what_an_engine_took_with_it_runs_again_where_its_retry_allows(own_engine: Engine, tmp_path: Path) -> None:
    docker = on(own_engine, tmp_path)
    handle = docker.submit(document(tmp_path, "retry: {limit: 1, only: [error]}"))
    docker.until_line(handle, "up")
    own_engine.stop()
    own_engine.start()
    update = docker.wait(handle)
    assert update.phase == "succeeded", update
    wanted = ["first", "a", "last"] if own_engine.live_restore else ["first", "a", "a", "last"]
    assert (tmp_path / "log").read_text().split() == wanted


def test_an_engine_that_hangs_for_a_while_changes_nothing(own_engine: Engine, tmp_path: Path) -> None:
    docker = on(own_engine, tmp_path)
    handle = docker.submit(document(tmp_path))
    docker.until_line(handle, "up")
    own_engine.pause()
    time.sleep(20)
    own_engine.go_on()
    update = docker.wait(handle)
    assert update.phase == "succeeded", update
    assert (tmp_path / "log").read_text().split() == ["first", "a", "last"]


def test_an_engine_that_stays_away_ends_what_ran_on_it(own_engine: Engine, tmp_path: Path) -> None:
    docker = on(own_engine, tmp_path, patience=2.0)
    handle = docker.submit(document(tmp_path))
    docker.until_line(handle, "up")
    own_engine.stop()
    update = docker.wait(handle)
    assert (update.steps["a"].phase, update.steps["a"].reason) == ("error", "lost")
    own_engine.start()
