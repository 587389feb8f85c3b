"""The wheels, built from the source distributions and installed where this checkout cannot be seen."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLUGINS = {f"flowcore_{file.parent.name}": file.parent for file in sorted(ROOT.glob("plugins/*/pyproject.toml"))}
DISTRIBUTIONS = {"flowcore": ROOT, **PLUGINS}

pytestmark = pytest.mark.wheels

WORKFLOW = """\
flowcore: 1
name: outside
params: {numbers: {type: list, items: integer, default: [1, 2, 3]}}
steps:
  square:
    foreach: "${{ params.numbers }}"
    env: {NUMBER: "${{ item }}"}
    script: echo $((NUMBER * NUMBER)) > "$FLOW_OUTPUTS/result"
    outputs: {result: {type: integer}}
  add:
    python:
      function: add
      source: |
        def add(numbers):
            return sum(numbers)
      args: {numbers: "${{ steps.square.outputs.result }}"}
    outputs: {result: {type: integer}}
outputs: {total: "${{ steps.add.outputs.result }}"}
"""

PROGRAM = """\
import flowcore as flow


@flow.step
def double(number: int) -> int:
    return number * 2


@flow.workflow
def outside(number: int = 21):
    return {"answer": double(number=number).result}


if __name__ == "__main__":
    flow.main(outside)
"""


def call(*command: object, folder: Path, environment: dict[str, str] | None = None) -> str:
    """The standard output of a command that must succeed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution and the wheel of each distribution; the wheel is made from the former."""
    folder = tmp_path_factory.mktemp("dist")
    for source in DISTRIBUTIONS.values():
        call(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source, folder=folder)
    return folder


@pytest.fixture(scope="module")
def outside(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Outside:
    """A fresh environment with all wheels, and an empty folder to work in."""
    place = tmp_path_factory.mktemp("outside")
    venv.create(place / "venv", with_pip=True)
    program = place / "venv" / "bin" / "python"
    core, *plugins = (next(built.glob(f"{name}-*.whl")) for name in DISTRIBUTIONS)
    call(program, "-m", "pip", "install", "--quiet", f"{core}[all]", *plugins, folder=place)
    (place / "work").mkdir()
    return Outside(place)


class Outside:
    """Commands run in that environment and folder, with nothing of this process's environment but the essentials."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.folder = place / "work"
        self.environment = {
            "PATH": f"{place / 'venv' / 'bin'}:{os.environ['PATH']}",
            "HOME": str(place),
            "FLOWCORE_HOME": str(place / "runs"),
        }

    def __call__(self, *command: object) -> str:
        return call(*command, folder=self.folder, environment=self.environment)


def test_each_wheel_has_its_own_package_and_no_other(built: Path) -> None:
    for name in DISTRIBUTIONS:
        with zipfile.ZipFile(next(built.glob(f"{name}-*.whl"))) as wheel:
            names = wheel.namelist()
        assert {entry.split("/")[0] for entry in names if ".dist-info/" not in entry} == {name}
        assert f"{name}/py.typed" in names


def test_the_core_wheel_has_every_file_of_the_package(built: Path) -> None:
    tracked = call("git", "ls-files", "flowcore", folder=ROOT).split()
    with zipfile.ZipFile(next(built.glob("flowcore-*.whl"))) as wheel:
        names = wheel.namelist()
    assert set(tracked) <= set(names)
    assert any(re.fullmatch(r"flowcore-.*\.dist-info/licenses/LICENSE", name) for name in names)


def test_the_core_source_distribution_leaves_the_plugins_out(built: Path) -> None:
    with tarfile.open(next(built.glob("flowcore-*.tar.gz"))) as archive:
        tops = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    assert "plugins" not in tops
    assert {"flowcore", "tests", "README.md", "LICENSE", "pyproject.toml"} <= tops


def test_the_commands_work_outside_the_checkout(outside: Outside) -> None:
    modules = ", ".join(DISTRIBUTIONS)
    places = outside("python", "-c", f"import {modules}; print([module.__file__ for module in ({modules})])")
    assert str(ROOT) not in places
    assert re.search(r"\d+\.\d+", outside("flow", "--version"))
    assert outside("flow", "--version") == outside("flowcore", "--version")
    assert "local" in outside("flow", "backends")
    assert "broken" not in outside("flow", "backends")


def test_a_document_runs_outside_the_checkout(outside: Outside) -> None:
    (outside.folder / "outside.yaml").write_text(WORKFLOW)
    update = json.loads(
        outside("flow", "run", "outside.yaml", "-p", "numbers=[3, 4]", "--backend", "local", "-o", "json")
    )
    assert update["phase"] == "succeeded"
    assert update["outputs"] == {"total": 25}


def test_a_program_runs_outside_the_checkout(outside: Outside) -> None:
    (outside.folder / "outside.py").write_text(PROGRAM)
    update = json.loads(outside("python", "outside.py", "run", "-o", "json"))
    assert update["phase"] == "succeeded"
    assert update["outputs"] == {"answer": 42}
