"""Log lines from the attempts' files, exactly once along a chain of cursors (S30, S31)."""

from __future__ import annotations

import fcntl
import json
import os
from typing import Final
from typing import Literal as OneOf

from attrs import Factory, frozen

from flowcore.plugin import LogLine, UsageError
from flowcore_local.places import RunFolder
from flowcore_local.store import AttemptRecord, Store

LINE_BYTES: Final = 64 * 1024
UPDATE_BYTES: Final = 1024 * 1024
_OVERHEAD: Final = 96
"""What a line costs in an Update besides its text."""
_LONGEST: Final = 16 * 1024 * 1024
"""Bytes of a log file above which the next attempt gets another one."""


@frozen
class Position:
    """How far logs were given: all attempts up to ``seq``, but for those in ``open``, given to these offsets."""

    seq: int = 0
    open: dict[int, tuple[int, int]] = Factory(dict)

    def text(self) -> str:
        return json.dumps([self.seq, [[seq, *places] for seq, places in self.open.items()]], separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Position:
        if not text:
            return cls()
        try:
            seq, open = json.loads(text)
            return cls(int(seq), {int(entry[0]): (int(entry[1]), int(entry[2])) for entry in open})
        except (ValueError, TypeError, IndexError):
            raise UsageError("this cursor is not one that poll gave; leave it out to get the whole run") from None


def read(store: Store, folder: RunFolder, start: Position) -> tuple[list[LogLine], Position, bool]:
    """Lines that came since ``start``, at most 1 MiB; the new position; and whether there is more at once."""
    lines: list[LogLine] = []
    open: dict[int, tuple[int, int]] = {}
    budget = UPDATE_BYTES
    more = False
    waiting = sorted(start.open)
    for record in store.attempts_of(waiting):
        places = start.open[record.seq]
        if budget <= 0:
            open[record.seq] = places
            more = True
            continue
        places, rest, budget = _attempt(store, folder, record, places, lines, budget)
        more = more or rest
        if rest or not record.ended:
            open[record.seq] = places
    seq = start.seq
    while budget > 0 and not (more and budget <= 0):
        batch = store.attempts_from(seq, 500)
        for record in batch:
            if budget <= 0:
                more = True
                break
            seq = record.seq
            if record.ended and not record.out_bytes and not record.err_bytes:
                continue
            places, rest, budget = _attempt(store, folder, record, (0, 0), lines, budget)
            more = more or rest
            if rest or not record.ended:
                open[record.seq] = places
        if len(batch) < 500:
            break
    if budget <= 0 and not more:
        more = bool(store.attempts_from(seq, 1))
    return lines, Position(seq, open), more


def _attempt(
    store: Store, folder: RunFolder, record: AttemptRecord, places: tuple[int, int], lines: list[LogLine], budget: int
) -> tuple[tuple[int, int], bool, int]:
    base = folder.attempt(record.log)
    out, err = places
    out_data = _data(f"{base}.out", record.out_from + out, budget)
    err_data = _data(f"{base}.err", record.err_from + err, budget)
    if not record.ended:
        # Another attempt may go on with the files as soon as this one's end is recorded: what was read is surely its
        # own only if it still runs now, and else what its record says.
        record = store.attempts_of([record.seq])[0]
    out, rest_out, budget = _lines(out_data, "stdout", record, out, lines, budget)
    err, rest_err, budget = _lines(err_data, "stderr", record, err, lines, budget)
    return (out, err), rest_out or rest_err, budget


def _data(path: str, start: int, budget: int) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(start)
            # One line more than the budget, so that there is always progress.
            return file.read(budget + LINE_BYTES)
    except OSError:
        return b""


def _lines(
    data: bytes,
    stream: OneOf["stdout", "stderr"],
    record: AttemptRecord,
    start: int,
    lines: list[LogLine],
    budget: int,
) -> tuple[int, bool, int]:
    """Append the lines of an attempt after ``start``; where it stopped, whether more is there, what budget is left."""
    written = record.out_bytes if stream == "stdout" else record.err_bytes
    if record.ended:
        data = data[: max(0, written - start)]
    if budget <= 0:
        return start, bool(data), budget
    position = 0
    while position < len(data) and budget > 0:
        end = data.find(b"\n", position, position + LINE_BYTES + 1)
        if end >= 0:
            line, after = data[position:end], end + 1
        elif len(data) - position > LINE_BYTES:
            after = _character_boundary(data, position + LINE_BYTES)
            line = data[position:after]
        elif record.ended and start + len(data) >= written:
            line, after = data[position:], len(data)
        else:
            break
        text = line.decode("utf-8", "replace")
        lines.append(LogLine(record.origin, record.number, text, None, stream))
        budget -= len(line) + _OVERHEAD
        position = after
    stopped = start + position
    rest = budget <= 0 and (stopped < written if record.ended else position < len(data))
    return stopped, rest, budget


def unshared(base: str) -> bool:
    """Whether no other process has an attempt's log files open, so that another attempt can go on with them.

    A step may have left a process behind that writes on. Where this cannot be known, the answer is no.
    """
    lease = getattr(fcntl, "F_SETLEASE", None)
    if lease is None:
        return False
    for path in (f"{base}.out", f"{base}.err"):
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            if os.fstat(file).st_size > _LONGEST:
                return False
            # The kernel grants a write lease only to the one who alone has the file open.
            fcntl.fcntl(file, lease, fcntl.F_WRLCK)
            fcntl.fcntl(file, lease, fcntl.F_UNLCK)
        except OSError:
            return False
        finally:
            os.close(file)
    return True


def _character_boundary(data: bytes, end: int) -> int:
    """The last place at or before ``end`` that does not cut a UTF-8 character in two."""
    for back in range(4):
        if data[end - back] & 0xC0 != 0x80:
            return end - back
    return end
