"""Every example runs on the local backend and ends as its page says; the iris ones give the same result both ways."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from attrs import Factory, frozen

from flowcore.backend import Backend, check, load
from flowcore.model import Workflow
from flowcore.runs import Update
from flowcore.syntax import Json

EXAMPLES = Path(__file__).parent.parent / "examples"
FEATURES = EXAMPLES / "features"


@frozen
class Expected:
    """How an example ends. ``steps`` are those whose phase is not plainly succeeded."""

    params: Mapping[str, Json] = Factory(dict)
    phase: str = "succeeded"
    steps: Mapping[str, str] = Factory(dict)
    outputs: Mapping[str, Json] = Factory(dict)


HOSTILE = "Den \"Haag\"; $(date) `id` 'x' ${{ params.rows }} %s\n{{x}}"

EXPECTED = {
    "clean_up.py": Expected(outputs={"attempts": 3}),
    "commands.py": Expected(outputs={"lines": 3}),
    "decisions.py": Expected(steps={"publish": "skipped", "notify": "failed"}),
    "fan_out.py": Expected(outputs={"letters": 13}),
    "functions.py": Expected(params={"who": "you"}, outputs={"text": "HELLO YOU, HELLO YOU"}),
    "nested.py": Expected(outputs={"lines": ["uploaded: orders is fine", "uploaded: users is fine"]}),
    "waiting.py": Expected(outputs={"ready": "yes"}),
    "artifacts.yaml": Expected(outputs={"lines": 4}),
    "cache.yaml": Expected(outputs={"rows": 1234}),
    "continue.yaml": Expected(steps={"optional": "failed"}),
    "env.yaml": Expected(outputs={"told": "show:debug:hello"}),
    "fan_in.yaml": Expected(outputs={"squares": [1, 4, 9, 16], "total": 30}),
    "foreach.yaml": Expected(),
    "foreach_dynamic.yaml": Expected(outputs={"lines": ["a has 3 bytes", "b has 5 bytes"]}),
    "hello.yaml": Expected(),
    "needs.yaml": Expected(phase="failed", steps={"load": "failed", "publish": "skipped"}),
    "nested.yaml": Expected(outputs={"lines": ["uploaded orders", "uploaded users"]}),
    "on_exit.yaml": Expected(phase="failed", steps={"work": "failed", "praise": "skipped"}),
    "outputs.yaml": Expected(outputs={"line": "42 rows, first column a", "rows": 42, "warning": "none"}),
    "parallelism.yaml": Expected(),
    "params.yaml": Expected(
        params={"city": HOSTILE, "rows": 3, "tags": ["a", "b"]},
        outputs={"line": f'3 rows of {HOSTILE} tagged ["a","b"]'},
    ),
    "repeat.yaml": Expected(outputs={"turns": 3}),
    "retry.yaml": Expected(),
    "secrets.yaml": Expected(),
    "timeout.yaml": Expected(phase="failed", steps={"slow": "failed"}),
    "when.yaml": Expected(steps={"tune": "skipped"}),
}


def workflow(path: Path) -> Workflow:
    """What a document or a program has; of a program with several, the one of its own name."""
    return load(path, path.stem if path.name == "nested.py" else None)


def run(path: Path, params: Mapping[str, Json] | None = None) -> Update:
    """Run a document or a program on the local backend, with the configuration of the working directory."""
    backend = Backend.select("local")
    return backend.wait(backend.submit(backend.render(workflow(path), params)))


def compact(value: Json) -> Json:
    """Text that shows a list may show it with or without spaces (S28)."""
    return re.sub(r'", "', '","', value) if isinstance(value, str) else value


def files() -> list[str]:
    return sorted(path.name for path in FEATURES.iterdir() if path.suffix in (".py", ".yaml"))


def test_every_example_of_a_feature_is_tested() -> None:
    assert [name for name in files() if name != "flowcore.yaml"] == sorted(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_an_example_says_what_it_shows_and_how_to_run_it(name: str) -> None:
    text = (FEATURES / name).read_text()
    head = text.split('"""')[1] if name.endswith(".py") else "\n".join(re.findall(r"^#(.*)", text, re.M))
    assert f"flow run examples/features/{name}" in head


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_an_example_ends_as_expected(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = EXPECTED[name]
    monkeypatch.chdir(FEATURES)  # its flowcore.yaml says where the secret comes from
    monkeypatch.setenv("WAREHOUSE_TOKEN", "sesame")
    assert check(workflow(FEATURES / name)) == []
    update = run(FEATURES / name, expected.params)
    unusual = {step: str(state.phase) for step, state in update.steps.items() if state.phase != "succeeded"}
    assert unusual == dict(expected.steps), update.message
    assert update.phase == expected.phase
    assert {key: compact(value) for key, value in update.outputs.items()} == dict(expected.outputs)


def test_a_cached_step_is_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FEATURES)
    run(FEATURES / "cache.yaml", {"day": "2026-02-03"})
    again = run(FEATURES / "cache.yaml", {"day": "2026-02-03"})
    assert again.steps["count"].reason == "cached"
    assert again.outputs == {"rows": 1234}


def test_a_retried_step_needs_its_third_attempt() -> None:
    assert run(FEATURES / "retry.yaml").steps["flaky"].attempts == 3


@pytest.mark.parametrize("name", ["iris.yaml", "iris.py"])
def test_iris_trains_chooses_and_predicts(name: str, tmp_path: Path) -> None:
    rows = (EXAMPLES / "iris" / "iris.csv").read_text()
    backend = Backend.select("local")
    handle = backend.submit(backend.render(load(EXAMPLES / "iris" / name), {"data": rows}))
    update = backend.wait(handle)
    assert update.phase == "succeeded", update.message
    assert update.outputs == {"accuracy": 0.9333, "rate": 0.1}
    models = update.steps["train"].outputs["result"]
    assert isinstance(models, list)
    assert [model["rate"] for model in models if isinstance(model, dict)] == [0.001, 0.1, 1.0]
    assert {"train[0]", "train[1]", "train[2]"} <= set(update.steps)

    page = Path(backend.artifact(handle, "report", "result", tmp_path / "report.md")).read_text()
    assert "Accuracy on 30 unseen rows: **93.3%**" in page
    assert "| 0.1 | 96.7% | chosen |" in page

    import sqlite3

    database = backend.artifact(handle, "predict", "result", tmp_path / "predicted.db")
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM iris_predict").fetchone() == (30,)


def test_the_iris_program_brings_its_own_rows() -> None:
    workflow = load(EXAMPLES / "iris" / "iris.py")
    assert workflow.params["data"].default == (EXAMPLES / "iris" / "iris.csv").read_text()
