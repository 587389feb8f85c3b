"""The records of one run in SQLite: what happened to each unit, and what is asked of the supervisor.

WAL with ``synchronous=NORMAL``: what is committed survives the death of any process.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from flowcore.plugin import Json, Leaf, Phase
from flowcore_local.scheduler import Saved, Unit

_SCHEMA: Final = """
CREATE TABLE run (
    one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL,
    backend TEXT NOT NULL, document TEXT NOT NULL, outline TEXT NOT NULL, settings TEXT NOT NULL, ttl REAL,
    created REAL NOT NULL, started REAL, finished REAL, cancel INTEGER NOT NULL DEFAULT 0,
    timed_out INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0, phase TEXT NOT NULL DEFAULT 'pending',
    error TEXT
);
CREATE TABLE unit (
    origin TEXT PRIMARY KEY, phase TEXT NOT NULL, reason TEXT, message TEXT, attempts INTEGER NOT NULL,
    base INTEGER NOT NULL DEFAULT 0, iteration INTEGER, started REAL, finished REAL, exit_code INTEGER, items INTEGER,
    due REAL
) WITHOUT ROWID;
CREATE TABLE output (origin TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE attempt (
    seq INTEGER PRIMARY KEY, origin TEXT NOT NULL, bay INTEGER NOT NULL, number INTEGER NOT NULL, began REAL NOT NULL,
    log INTEGER NOT NULL, out_from INTEGER NOT NULL, err_from INTEGER NOT NULL,
    stop TEXT, ended INTEGER NOT NULL DEFAULT 0, out_bytes INTEGER NOT NULL DEFAULT 0,
    err_bytes INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX attempt_running ON attempt (ended) WHERE ended = 0;
"""


@frozen
class RunRecord:
    """The row of the run itself."""

    id: str
    name: str
    digest: str
    backend: str
    outline: str
    ttl: float | None
    created: float
    started: float | None
    finished: float | None
    cancel: int
    """0: nobody asked; 1: cancel; 2: cancel, on_exit too."""
    timed_out: bool
    done: bool
    phase: Phase
    error: str | None


@frozen
class AttemptRecord:
    """One attempt: its number in the run, whose it is, and how much it wrote."""

    seq: int
    origin: str
    bay: int
    number: int
    began: float
    log: int
    """The attempt whose files this one writes to, too; it has them for itself from the two places on."""
    out_from: int
    err_from: int
    stop: str | None
    ended: bool
    out_bytes: int
    err_bytes: int


class Store:
    """One run's database."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA synchronous=NORMAL")

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        id: str,
        name: str,
        digest: str,
        backend: str,
        document: str,
        outline: str,
        settings: Mapping[str, Json],
        ttl: float | None,
        now: float,
    ) -> None:
        """Make the database of a new run."""
        store = cls(path)
        try:
            store._db.execute("PRAGMA journal_mode=WAL")
            store._db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
            store._db.execute(
                "INSERT INTO run (one, id, name, digest, backend, document, outline, settings, ttl, created)"
                " VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (id, name, digest, backend, document, outline, json.dumps(settings), ttl, now),
            )
        finally:
            store.close()

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction; nobody else writes meanwhile."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One consistent view."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    # The run

    def run(self) -> RunRecord:
        row = self._db.execute(
            "SELECT id, name, digest, backend, outline, ttl, created, started, finished, cancel, timed_out, done,"
            " phase, error FROM run"
        ).fetchone()
        values: list[Any] = [*row[:10], bool(row[10]), bool(row[11]), Phase(row[12]), row[13]]
        return RunRecord(*values)

    def document(self) -> str:
        return str(self._db.execute("SELECT document FROM run").fetchone()[0])

    def settings(self) -> dict[str, Any]:
        """What was decided at submit: options and paths. Never secrets."""
        found: dict[str, Any] = json.loads(self._db.execute("SELECT settings FROM run").fetchone()[0])
        return found

    def change_settings(self, settings: Mapping[str, Json]) -> None:
        self._db.execute("UPDATE run SET settings = ?", (json.dumps(settings),))

    def start_run(self, now: float) -> None:
        self._db.execute("UPDATE run SET started = ?, phase = 'running' WHERE started IS NULL", (now,))

    def ask_cancel(self, level: int) -> bool:
        """Record a cancel; False if the run is over."""
        with self.writing():
            row = self._db.execute("UPDATE run SET cancel = max(cancel, ?) WHERE done = 0", (level,))
            return row.rowcount > 0

    def asked(self) -> int:
        return int(self._db.execute("SELECT cancel FROM run").fetchone()[0])

    def time_out(self) -> None:
        self._db.execute("UPDATE run SET timed_out = 1")

    def finish(self, phase: Phase, now: float, error: str | None = None) -> None:
        self._db.execute("UPDATE run SET done = 1, phase = ?, finished = ?, error = ?", (phase.value, now, error))

    # Units

    def record(self, units: Iterable[Unit]) -> None:
        self._db.executemany(
            "INSERT INTO unit (origin, phase, reason, message, attempts, base, iteration, started, finished, exit_code,"
            " items, due) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (origin) DO UPDATE SET"
            " phase = excluded.phase, reason = excluded.reason, message = excluded.message,"
            " attempts = excluded.attempts, base = excluded.base, iteration = excluded.iteration,"
            " started = excluded.started, finished = excluded.finished, exit_code = excluded.exit_code,"
            " items = excluded.items, due = excluded.due",
            [
                (
                    unit.origin,
                    unit.phase.value,
                    unit.reason,
                    unit.message,
                    unit.attempts,
                    unit.base,
                    unit.iteration,
                    unit.started,
                    unit.finished,
                    unit.exit_code,
                    unit.items,
                    unit.due,
                )
                for unit in units
            ],
        )

    def saved(self) -> dict[str, Saved]:
        """Every unit as it was recorded."""
        rows = self._db.execute(
            "SELECT origin, phase, reason, message, attempts, base, iteration, started, finished, exit_code, items, due"
            " FROM unit"
        )
        return {row[0]: Saved(Phase(row[1]), *row[2:]) for row in rows}

    def leaves(self) -> list[Leaf]:
        """Every unit that is no longer pending, or of which there is something to say, as poll gives it."""
        rows = self._db.execute(
            "SELECT unit.origin, phase, reason, message, attempts, iteration, started, finished, exit_code, items,"
            " CASE WHEN items IS NULL THEN value END FROM unit LEFT JOIN output ON output.origin = unit.origin"
            " WHERE phase != 'pending' OR reason IS NOT NULL"
        )
        phases = {phase.value: phase for phase in Phase}
        return [
            Leaf(
                origin=row[0],
                phase=phases[row[1]],
                reason=row[2],
                message=row[3],
                attempts=row[4],
                iteration=row[5],
                started=row[6],
                finished=row[7],
                exit_code=row[8],
                items=row[9],
                outputs=json.loads(row[10]) if row[10] else {},
            )
            for row in rows
        ]

    def unit_phase(self, origin: str) -> Phase | None:
        row = self._db.execute("SELECT phase FROM unit WHERE origin = ?", (origin,)).fetchone()
        return Phase(row[0]) if row else None

    def reset(self, keep: Iterable[str]) -> None:
        """Make every unit pending again that is not in ``keep``; attempts go on counting. For resume."""
        kept = set(keep)
        origins = [row[0] for row in self._db.execute("SELECT origin FROM unit") if row[0] not in kept]
        self._db.executemany("DELETE FROM output WHERE origin = ?", [(origin,) for origin in origins])
        self._db.executemany(
            "UPDATE unit SET phase = 'pending', reason = NULL, message = NULL, base = attempts, iteration = NULL,"
            " started = NULL, finished = NULL, exit_code = NULL, items = NULL, due = NULL WHERE origin = ?",
            [(origin,) for origin in origins],
        )
        self._db.execute(
            "UPDATE run SET done = 0, cancel = 0, timed_out = 0, error = NULL, phase = 'running', finished = NULL,"
            " started = NULL"
        )

    # Outputs

    def outputs(self, origin: str) -> dict[str, Json]:
        row = self._db.execute("SELECT value FROM output WHERE origin = ?", (origin,)).fetchone()
        found: dict[str, Json] = json.loads(row[0]) if row else {}
        return found

    def keep(self, origin: str, outputs: Mapping[str, Json]) -> None:
        if outputs:
            text = json.dumps(outputs, ensure_ascii=False)
            self._db.execute("INSERT OR REPLACE INTO output (origin, value) VALUES (?, ?)", (origin, text))

    # Attempts

    def intend(self, attempts: Iterable[tuple[int, str, int, int, float, int, int, int]]) -> None:
        """Record attempts (their first eight fields) before their processes can have any effect."""
        self._db.executemany(
            "INSERT INTO attempt (seq, origin, bay, number, began, log, out_from, err_from)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            attempts,
        )

    def stop(self, seq: int, why: str) -> None:
        self._db.execute("UPDATE attempt SET stop = ? WHERE seq = ?", (why, seq))

    def attempts_ended(self, attempts: Iterable[tuple[int, int, int]]) -> None:
        """Record that attempts ended: (bytes on stdout, bytes on stderr, seq)."""
        self._db.executemany("UPDATE attempt SET ended = 1, out_bytes = ?, err_bytes = ? WHERE seq = ?", attempts)

    def forget(self, seq: int) -> None:
        """Remove an attempt that never began."""
        self._db.execute("DELETE FROM attempt WHERE seq = ?", (seq,))

    def last_attempt(self) -> int:
        return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM attempt").fetchone()[0])

    def running(self) -> list[AttemptRecord]:
        return self._attempts("WHERE ended = 0 ORDER BY seq", ())

    def attempts_from(self, seq: int, limit: int) -> list[AttemptRecord]:
        """Attempts after ``seq``, in the order in which they began."""
        return self._attempts("WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit))

    def attempts_of(self, seqs: Iterable[int]) -> list[AttemptRecord]:
        found: list[AttemptRecord] = []
        for seq in seqs:
            found += self._attempts("WHERE seq = ?", (seq,))
        return found

    def _attempts(self, where: str, values: tuple[Any, ...]) -> list[AttemptRecord]:
        rows = self._db.execute(
            "SELECT seq, origin, bay, number, began, log, out_from, err_from, stop, ended, out_bytes, err_bytes"
            f" FROM attempt {where}",
            values,
        )
        return [AttemptRecord(*row) for row in rows]
