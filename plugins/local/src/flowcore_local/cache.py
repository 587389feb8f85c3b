"""Earlier successes by key, kept across runs (S26). A fault of the cache never fails a step."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from flowcore.plugin import Json

_SCHEMA = """
CREATE TABLE IF NOT EXISTS success (
    workflow TEXT NOT NULL, step TEXT NOT NULL, key TEXT NOT NULL, stored REAL NOT NULL, outputs TEXT NOT NULL,
    PRIMARY KEY (workflow, step, key)
) WITHOUT ROWID
"""


class Cache:
    """The cache of one workflow on one backend; it is opened at the first use."""

    def __init__(self, path: Path, workflow: str) -> None:
        self._path = path
        self._workflow = workflow
        self._db: sqlite3.Connection | None = None

    def find(self, step: str, key: str, max_age: float | None, now: float) -> dict[str, Json] | None:
        """The outputs of the last success under the key, if it is not older than ``max_age`` seconds."""
        try:
            row = (
                self._open()
                .execute(
                    "SELECT stored, outputs FROM success WHERE workflow = ? AND step = ? AND key = ?",
                    (self._workflow, step, key),
                )
                .fetchone()
            )
            if row is None or (max_age is not None and now - row[0] > max_age):
                return None
            found: dict[str, Json] = json.loads(row[1])
            return found
        except (sqlite3.Error, ValueError):
            return None

    def store(self, step: str, key: str, outputs: Mapping[str, Json], now: float) -> None:
        """Remember a success."""
        try:
            self._open().execute(
                "INSERT OR REPLACE INTO success (workflow, step, key, stored, outputs) VALUES (?, ?, ?, ?, ?)",
                (self._workflow, step, key, now, json.dumps(outputs, ensure_ascii=False)),
            )
        except sqlite3.Error:
            pass

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            db = sqlite3.connect(self._path, timeout=5, isolation_level=None)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute(_SCHEMA)
            self._db = db
        return self._db

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
