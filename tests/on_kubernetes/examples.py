"""The example of SQLFlow's program runs as it stands, and its tables can be fetched."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from flowcore.backend import load
from flowcore.runs import Phase
from on_kubernetes.engine import EngineSuite

IRIS = Path(__file__).parents[2] / "examples" / "iris"


@pytest.mark.cluster
class Examples(EngineSuite):
    def test_iris_trains_chooses_and_predicts(self, tmp_path: Path) -> None:
        backend = self.engine.backend()
        workflow = load(IRIS / "iris.yaml")
        handle = backend.submit(backend.render(workflow, {"data": (IRIS / "iris.csv").read_text()}))
        update = backend.wait(handle, 0.5)
        assert update.phase is Phase.SUCCEEDED, update
        assert update.outputs == {"accuracy": 0.9333, "rate": 0.1}
        page = Path(backend.artifact(handle, "report", "result", tmp_path / "report.md"))
        assert "Accuracy on 30 unseen rows: **93.3%**" in page.read_text()
        database = backend.artifact(handle, "predict", "result", tmp_path / "iris.db")
        with sqlite3.connect(database) as connection:
            assert connection.execute("SELECT count(*) FROM iris_predict").fetchone() == (30,)
        backend.delete(handle)
