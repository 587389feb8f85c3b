"""Log lines: whole, in order, exactly once, and never more than an Update holds."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcore.errors import UsageError
from flowcore.runs import LogLine
from flowcore_local import logs
from flowcore_local.logs import LINE_BYTES, UPDATE_BYTES, Position
from flowcore_local.places import RunFolder
from flowcore_local.store import Store


class Run:
    """The files and records of some attempts, without a run."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.folder = RunFolder(path)
        for old in path.glob("run.db*"):
            old.unlink()
        Store.create(
            self.folder.database,
            id="r",
            name="r",
            digest="",
            backend="local",
            document="{}",
            outline="",
            settings={},
            ttl=None,
            now=0.0,
        )
        self.store = Store(self.folder.database)

    def attempt(self, seq: int, out: bytes = b"", err: bytes = b"", ended: bool = False, step: str = "a") -> None:
        base = Path(self.folder.attempt(seq))
        base.parent.mkdir(parents=True, exist_ok=True)
        Path(f"{base}.out").write_bytes(out)
        Path(f"{base}.err").write_bytes(err)
        try:
            self.store.intend([(seq, step, 0, 1, 0.0, seq, 0, 0)])
        except sqlite3.IntegrityError:
            pass
        if ended:
            self.store.attempts_ended([(len(out), len(err), seq)])

    def read(self, position: Position | None = None) -> tuple[list[LogLine], Position, bool]:
        # As text, which is how a position travels.
        start = Position.parse((position or Position()).text())
        return logs.read(self.store, self.folder, start)

    def all(self) -> list[str]:
        found: list[str] = []
        position, more = Position(), True
        while more:
            lines, position, more = self.read(position)
            found += [line.line for line in lines]
        return found


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "run")


def test_whole_lines_come_once(run: Run) -> None:
    run.attempt(1, b"one\ntw", b"oops\n")
    lines, position, more = run.read()
    assert [(line.stream, line.line) for line in lines] == [("stdout", "one"), ("stderr", "oops")]
    assert not more
    run.attempt(1, b"one\ntwo\nthree", b"oops\n")
    lines, position, _ = run.read(position)
    assert [line.line for line in lines] == ["two"]
    run.attempt(1, b"one\ntwo\nthree", b"oops\n", ended=True)
    lines, position, _ = run.read(position)
    assert [line.line for line in lines] == ["three"]
    assert run.read(position)[0] == []
    assert position == Position(1)


def test_attempts_come_in_the_order_in_which_they_began(run: Run) -> None:
    run.attempt(1, b"slow\n")
    run.attempt(2, b"quick\n", ended=True, step="b")
    run.attempt(3, ended=True, step="c")
    lines, position, _ = run.read()
    assert [(line.step, line.line) for line in lines] == [("a", "slow"), ("b", "quick")]
    assert position.seq == 3
    assert list(position.open) == [1]


def test_long_lines_are_split_between_characters(run: Run) -> None:
    text = "é" * 50_000
    run.attempt(1, text.encode() + b"\nnext\n", ended=True)
    lines = run.all()
    assert "".join(lines[:-1]) == text
    assert all(len(line.encode()) <= LINE_BYTES for line in lines)
    assert lines[-1] == "next"
    assert len(lines) == 3


def test_a_line_of_exactly_the_limit_is_one_line(run: Run) -> None:
    run.attempt(1, b"x" * LINE_BYTES + b"\ny\n", ended=True)
    assert [len(line) for line in run.all()] == [LINE_BYTES, 1]


def test_bad_bytes_become_the_replacement_character(run: Run) -> None:
    run.attempt(1, b"a\xffb\n\x80\x80\x80\x80\x80\n", ended=True)
    assert run.all() == ["a\ufffdb", "\ufffd" * 5]


def test_bad_bytes_without_end_are_split_too(run: Run) -> None:
    run.attempt(1, b"\x80" * (LINE_BYTES * 2 + 5), ended=True)
    assert "".join(run.all()) == "\ufffd" * (LINE_BYTES * 2 + 5)


def test_carriage_returns_and_empty_lines_are_kept(run: Run) -> None:
    run.attempt(1, b"\n\r\n10%\r20%\n", ended=True)
    assert run.all() == ["", "\r", "10%\r20%"]


def test_an_update_has_its_limit_and_says_that_there_is_more(run: Run) -> None:
    line = b"z" * 999 + b"\n"
    run.attempt(1, line * 3000, line * 10, ended=True)
    run.attempt(2, line, ended=True)
    position, more, total, updates = Position(), True, 0, 0
    while more:
        lines, position, more = run.read(position)
        assert sum(len(found.line) for found in lines) <= UPDATE_BYTES
        total, updates = total + len(lines), updates + 1
    assert total == 3011
    assert updates == 4


def test_what_is_written_after_the_end_is_not_the_attempts(run: Run) -> None:
    run.attempt(1, b"own\n", ended=True)
    with open(f"{run.folder.attempt(1)}.out", "ab") as file:
        file.write(b"late\n")
    assert run.all() == ["own"]


def test_a_position_stays_small(run: Run) -> None:
    for seq in range(1, 2001):
        run.attempt(seq, b"x\n", ended=seq != 5)
    lines, position, more = run.read()
    assert (len(lines), more) == (2000, False)
    assert position.text() == "[2000,[[5,2,0]]]"


@pytest.mark.parametrize("text", ["x", "[]", "[1]", "{}", '["a",[]]', "[1,[[2]]]", "null"])
def test_a_foreign_cursor_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Position.parse(text)


@settings(max_examples=30)
@given(
    pieces=st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"x", b"\n")), max_size=12),
    err=st.binary(max_size=60),
)
def test_however_it_is_polled_it_reads_the_same(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], err: bytes
) -> None:
    run = Run(tmp_path_factory.mktemp("run"))
    position, found = Position(), []
    written = b""
    for piece in pieces:
        written += piece
        run.attempt(1, written, err)
        lines, position, _ = run.read(position)
        found += lines
    run.attempt(1, written, err, ended=True)
    found += run.read(position)[0]
    for stream, data in (("stdout", written), ("stderr", err)):
        wanted = [line.decode("utf-8", "replace") for line in data.split(b"\n")]
        if wanted[-1] == "":
            wanted.pop()
        assert [line.line for line in found if line.stream == stream] == wanted
    run.store.close()


def test_attempts_that_share_files_have_each_their_own_part(run: Run) -> None:
    run.attempt(1, b"first\nno end", ended=True)
    run.store.intend([(2, "b", 0, 1, 0.0, 1, 12, 0)])
    with open(f"{run.folder.attempt(1)}.out", "ab") as file:
        file.write(b"second\n")
    lines, position, _ = run.read()
    assert [(line.step, line.line) for line in lines] == [("a", "first"), ("a", "no end"), ("b", "second")]
    run.store.attempts_ended([(7, 0, 2)])
    assert run.read(position)[0] == []


def test_an_attempt_that_ends_while_it_is_read_gives_no_line_of_the_next(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.attempt(1, b"own\n")
    data = logs._data

    def slow(path: str, start: int, budget: int) -> bytes:
        if path.endswith(".out"):
            # Between the look at the records and the look at the file it ends, and another one goes on with it.
            run.store.attempts_ended([(4, 0, 1)])
            with open(path, "ab") as file:
                file.write(b"the next one's\n")
        return data(path, start, budget)

    monkeypatch.setattr(logs, "_data", slow)
    assert [line.line for line in run.read()[0]] == ["own"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the answer is always no")
def test_files_that_another_process_has_open_are_not_shared(tmp_path: Path) -> None:
    import subprocess

    base = str(tmp_path / "1")
    for suffix in ("out", "err"):
        Path(f"{base}.{suffix}").touch()
    assert logs.unshared(base)
    with open(f"{base}.out", "ab") as file:
        writer = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=file)
    assert not logs.unshared(base)
    writer.communicate(b"")
    assert logs.unshared(base)
