"""The commands against the local backend: real processes, real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("flowcore_local")

WORKFLOW = """\
flowcore: 1
name: small
params: {city: Rome}
steps:
  one: {script: 'printf "%s" "$CITY" > "$FLOW_OUTPUTS/text"', env: {CITY: "${{ params.city }}"}, outputs: {text: {}}}
  each: {needs: [one], foreach: [1, 2], command: [echo, "item ${{ item }}"]}
outputs: {said: "${{ steps.one.outputs.text }}"}
"""

LONG = """\
flowcore: 1
name: long
steps:
  wait: {command: [sleep, "600"]}
  after: {needs: [wait], command: ["true"]}
"""


class Shell:
    """Runs ``flow`` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("FLOWCORE_")}
        self.env |= {
            "FLOWCORE_HOME": str(folder / "runs"),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "config"),
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "flowcore", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.env,
        )

    def __call__(self, *arguments: str, code: int = 0) -> str:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, err
        return out


@pytest.fixture
def flow(tmp_path: Path) -> Shell:
    (tmp_path / "small.yaml").write_text(WORKFLOW)
    (tmp_path / "long.yaml").write_text(LONG)
    return Shell(tmp_path)


def test_a_workflow_from_start_to_end(flow: Shell) -> None:
    assert flow("run", "small.yaml", "-p", "city=$(x) `y` {{z}}") == "said: $(x) `y` {{z}}\n"
    shown = json.loads(flow("show", "@last", "-o", "json"))
    assert shown["outputs"] == {"said": "$(x) `y` {{z}}"}
    assert list(shown["steps"]) == ["one", "each", "each[0]", "each[1]"]
    assert sorted(flow("logs", "@last").splitlines()) == ["each[0] | item 1", "each[1] | item 2"]
    assert sorted(flow("logs", "@last", "--step", "each").splitlines()) == ["each[0] | item 1", "each[1] | item 2"]
    assert "small" in flow("ls")
    assert "succeeded" in flow("graph", "@last")


def test_submit_and_watch_are_two_processes(flow: Shell) -> None:
    handle = flow("submit", "small.yaml", "--key", "k").strip()
    assert flow("submit", "small.yaml", "--key", "k").strip() == handle
    assert flow("watch", handle) == "said: Rome\n"
    flow("submit", "small.yaml", "--key", "k", "-p", "city=other", code=2)
    flow("delete", handle)
    flow("show", handle, code=2)


def press_when_running(process: subprocess.Popen[str]) -> str:
    """Ctrl-C as soon as the step is said to run; returns all that was said."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if "wait running" in line:
            process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    return said


def test_ctrl_c_cancels_a_run_and_detaches_from_a_watch(flow: Shell) -> None:
    process = flow.start("run", "long.yaml")
    said = press_when_running(process)
    assert process.returncode == 130
    assert "wait cancelled" in said
    assert json.loads(flow("show", "@last", "-o", "json"))["phase"] == "cancelled"

    handle = flow("submit", "long.yaml").strip()
    process = flow.start("watch", handle)
    assert "the run goes on" in press_when_running(process)
    assert process.returncode == 130
    assert json.loads(flow("poll", handle, "-o", "json"))["phase"] == "running"
    flow("cancel", handle)
    flow("watch", handle, code=1)


def test_render_is_the_same_each_time_and_what_is_read_again(flow: Shell) -> None:
    first = flow("render", "small.yaml")
    assert first == flow("render", "small.yaml")
    assert json.loads(flow("render", "small.yaml", "-o", "json"))["text"] in first
