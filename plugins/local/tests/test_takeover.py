"""A supervisor may be killed at any moment: nothing is lost, and nothing that ended runs again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowcore.runs import RunHandle

if TYPE_CHECKING:
    from engine_runs import Runs


WORK = """
params: {to: {type: string}}
parallelism: 3
steps:
  first: {script: 'echo "$FLOW_STEP $FLOW_ATTEMPT" >> "$TO"; echo "[1, 2, 3]" > "$FLOW_OUTPUTS/list"',
    env: {TO: "${{ params.to }}"}, outputs: {list: {type: list}}}
  each:
    foreach: "${{ steps.first.outputs.list }}"
    script: 'echo "$FLOW_STEP $FLOW_ATTEMPT" >> "$TO"; echo "$N" > "$FLOW_OUTPUTS/n"'
    env: {TO: "${{ params.to }}", N: "${{ item }}"}
    outputs: {n: {type: integer}}
  again:
    retry: {limit: 1}
    script: 'echo "$FLOW_STEP $FLOW_ATTEMPT" >> "$TO"; test "$FLOW_ATTEMPT" = 2'
    env: {TO: "${{ params.to }}"}
  keep:
    needs: [first]
    script: 'echo "$FLOW_STEP $FLOW_ATTEMPT" >> "$TO"; echo kept > "$FLOW_OUTPUTS/file"'
    env: {TO: "${{ params.to }}"}
    outputs: {file: {artifact: true}}
  inner:
    args: {to: "${{ params.to }}", n: "${{ steps.each.outputs.n[2] }}"}
    workflow:
      params: {to: {type: string}, n: {type: integer}}
      steps:
        one: {script: 'echo "$FLOW_STEP $FLOW_ATTEMPT" >> "$TO"', env: {TO: "${{ params.to }}"}}
        two: {needs: [one], command: [echo, "${{ params.n }}"], stdout: said, outputs: {said: {}}}
      outputs: {said: "${{ steps.two.outputs.said }}"}
  last:
    needs: [again]
    script: 'echo "$FLOW_STEP $FLOW_ATTEMPT" >> "$TO"; cat "$FILE"'
    env: {TO: "${{ params.to }}", N: "${{ steps.each.outputs.n }}", FILE: "${{ steps.keep.outputs.file.path }}"}
on_exit:
  bye: {script: 'echo "$FLOW_STEP $FLOW_ATTEMPT" >> "$TO"', env: {TO: "${{ params.to }}"}}
outputs: {said: "${{ steps.inner.outputs.said }}", all: "${{ steps.each.outputs.n }}"}
"""

ONCE = [
    *("first 1", "each[0] 1", "each[1] 1", "each[2] 1", "again 1", "again 2", "keep 1", "inner/one 1", "last 1"),
    "bye 1",
]

KILLER = """
import os, signal, sys
from pathlib import Path
from flowcore_local import engine, outputs, process, scheduler, store, supervisor, bays
from flowcore_local.places import RunFolder
points = 0
def point():
    global points
    points += 1
    if points == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
def around(owner, name):
    inner = getattr(owner, name)
    def call(*args, **kwargs):
        point()
        result = inner(*args, **kwargs)
        point()
        return result
    setattr(owner, name, call)
around(process.ProcessLauncher, "start")
around(store.Store, "intend")
around(store.Store, "record")
around(store.Store, "attempts_ended")
around(store.Store, "finish")
around(bays.Bays, "give_back")
around(engine, "collect")
around(engine, "describe")
folder = RunFolder(Path(sys.argv[1]))
supervisor.run_to_the_end(folder, store.Store(folder.database))
print(points)
"""


@pytest.fixture
def unsupervised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Submit and poll start no supervisor."""
    from flowcore_local import supervisor

    monkeypatch.setattr(supervisor, "ensure", lambda *_, **__: False)


def _supervise(folder: Path, kill_at: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", KILLER, str(folder), str(kill_at)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _submit(local: Runs, tmp_path: Path, kill_at: int) -> tuple[Path, Path]:
    effects = tmp_path / f"effects-{kill_at}"
    handle = local.submit(WORK, key=str(kill_at), to=str(effects))
    return local.folder(handle), effects


@pytest.mark.usefixtures("unsupervised")
def test_killed_at_any_point_loses_nothing_and_repeats_nothing(local: Runs, tmp_path: Path) -> None:
    folder, effects = _submit(local, tmp_path, 0)
    points = int(_supervise(folder, 0).stdout)
    assert Counter(effects.read_text().splitlines()) == Counter(ONCE)
    # FLOW_TEST_KILLS=1 tries every point; by default some, a different kind each time.
    stride = int(os.environ.get("FLOW_TEST_KILLS", points // 6))
    for kill_at in range(1, points, stride):
        folder, effects = _submit(local, tmp_path, kill_at)
        died = _supervise(folder, kill_at)
        assert died.returncode in (-signal.SIGKILL, 0), died.stderr
        # A second one dies, too, a little further on; the third one comes to the end.
        _supervise(folder, 6)
        ended = _supervise(folder, 0)
        assert ended.returncode == 0, ended.stderr
        update = local.backend.poll(_handle(folder))
        assert update.done, (kill_at, update)
        assert update.phase == "succeeded", (kill_at, update)
        assert update.outputs == {"said": "3", "all": [1, 2, 3]}
        assert Counter(effects.read_text().splitlines()) == Counter(ONCE), kill_at
        assert local.lines(_handle(folder), "last") == ["kept"], kill_at


def _handle(folder: Path) -> RunHandle:
    return RunHandle("local", folder.name)


def test_next_command_takes_over_and_adopts_what_runs(local: Runs, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    handle = local.submit(
        """
        params: {gate: {type: string}}
        steps:
          waits: {script: 'echo up; read word < "$GATE"; echo "$word"; exit 3', env: {GATE: "${{ params.gate }}"}}
        """,
        gate=str(gate),
    )
    local.until_line(handle, "up")
    os.kill(local.supervisor(handle), signal.SIGKILL)
    assert local.backend.poll(handle).steps["waits"].phase == "running"
    gate.write_text("go\n")
    update = local.wait(handle)
    assert update.steps["waits"].exit_code == 3
    assert update.steps["waits"].attempts == 1
    assert local.lines(handle) == ["up", "go"]


def test_what_ended_without_a_supervisor_is_not_run_again(local: Runs, tmp_path: Path) -> None:
    gate, effects = tmp_path / "gate", tmp_path / "effects"
    os.mkfifo(gate)
    handle = local.submit(
        """
        params: {gate: {type: string}, effects: {type: string}}
        steps:
          waits:
            script: 'echo up; read word < "$GATE"; echo once >> "$EFFECTS"; echo 7 > "$FLOW_OUTPUTS/n"'
            env: {GATE: "${{ params.gate }}", EFFECTS: "${{ params.effects }}"}
            outputs: {n: {type: integer}}
        outputs: {n: "${{ steps.waits.outputs.n }}"}
        """,
        gate=str(gate),
        effects=str(effects),
    )
    local.until_line(handle, "up")
    lock = next((local.folder(handle) / "bays").glob("*/lock"))
    os.kill(local.supervisor(handle), signal.SIGKILL)
    gate.write_text("go\n")
    while lock.read_text().count("\n") < 2:
        os.sched_yield()
    assert local.wait(handle).outputs == {"n": 7}
    assert effects.read_text() == "once\n"


def test_an_end_that_nobody_knows_is_lost_and_retried(local: Runs) -> None:
    handle = local.submit(
        """
        steps:
          dies: {retry: {limit: 1, only: [error]}, script: 'echo up; [ "$FLOW_ATTEMPT" = 2 ] || sleep 300'}
        """
    )
    local.until_line(handle, "up")
    lock = next((local.folder(handle) / "bays").glob("*/lock"))
    os.kill(local.supervisor(handle), signal.SIGKILL)
    os.killpg(int(lock.read_text().split()[1]), signal.SIGKILL)
    update = local.wait(handle)
    assert update.phase == "succeeded"
    assert update.steps["dies"].attempts == 2


def test_an_end_that_nobody_knows_is_an_error(local: Runs) -> None:
    handle = local.submit("steps: {dies: {script: 'echo up; sleep 300'}}")
    local.until_line(handle, "up")
    lock = next((local.folder(handle) / "bays").glob("*/lock"))
    os.killpg(int(lock.read_text().split()[1]), signal.SIGKILL)
    state = local.wait(handle).steps["dies"]
    assert (state.phase, state.reason, state.exit_code) == ("error", "lost", None)


def test_nothing_of_a_lost_attempt_goes_on(local: Runs) -> None:
    handle = local.submit("steps: {dies: {script: 'echo $$; exec sleep 300'}}")
    local.until_running(handle, "dies")
    while not (lines := local.lines(handle)):
        os.sched_yield()
    lock = next((local.folder(handle) / "bays").glob("*/lock"))
    os.kill(local.supervisor(handle), signal.SIGKILL)
    os.kill(int(lock.read_text().split()[1]), signal.SIGKILL)
    assert local.wait(handle).steps["dies"].reason == "lost"
    process = Path("/proc") / lines[0]
    # A container's process 1 may leave the dead unburied.
    assert not process.exists() or (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_cancel_reaches_a_run_without_supervisor(local: Runs) -> None:
    handle = local.submit("steps: {slow: {script: 'echo up; exec sleep 300'}}\non_exit: {bye: {command: [echo, bye]}}")
    local.until_line(handle, "up")
    os.kill(local.supervisor(handle), signal.SIGKILL)
    local.backend.cancel(handle)
    update = local.wait(handle)
    assert update.phase == "cancelled"
    assert update.steps["slow"].phase == "cancelled"
    assert update.steps["bye"].phase == "succeeded"


def test_a_timeout_goes_on_while_nobody_watches(local: Runs) -> None:
    handle = local.submit("steps: {slow: {timeout: 1s, script: 'echo up; exec sleep 300'}}")
    local.until_line(handle, "up")
    os.kill(local.supervisor(handle), signal.SIGKILL)
    state = local.wait(handle).steps["slow"]
    assert (state.phase, state.reason, state.exit_code) == ("failed", "timeout", None)


def test_a_supervisor_that_fails_says_so(local: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    from flowcore_local.local import LocalBackend

    monkeypatch.setattr(LocalBackend, "launcher", "flowcore_local.process:NoSuchLauncher")
    update = local.run("steps: {a: {command: [echo, a]}}")
    assert update.phase == "error"
    assert "NoSuchLauncher" in (update.message or "")
