"""Log lines of containers, exactly once along a chain of cursors, at most 1 MiB at a time (S30, S31).

The API gives a container's log from a whole second on, each line with the time at which it was written; there is no
other way to say where to go on. A position is therefore a second and how many lines after it were given already. The
times of the first and the last of them prove that the log still is the same: the kubelet only shows the newest file of
a log, so when it begins another one (10 MiB by default), what was not read before is lost, and that is said.

The API server does not tell where its connection to the kubelet broke, so an answer may end early without a sign. The
log of a container that ended is therefore whole only when a second look at its end shows the same.

Standard output and error are merged, as the API gives them; their times may be out of order by a moment, so a position
stays a little behind the last line. A clock that is set back loses the lines that fall into time that was read.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from functools import partial
from typing import Any, Final

from attrs import astuple, evolve, frozen

from flowcore.plugin import LogLine, UnreachableError, UsageError
from flowcore_kubernetes.client import Client
from flowcore_kubernetes.errors import InvalidError, NotFoundError, UnavailableError
from flowcore_kubernetes.resources import PODS

LINE_BYTES: Final = 64 * 1024
"""A longer line is given in parts."""
PAGE_BYTES: Final = 1024 * 1024
_OVERHEAD: Final = 96
"""What a line costs in an Update besides its text."""
_BEHIND: Final = 50_000_000
"""Nanoseconds that a position stays behind the last line: two streams may be written out of order."""
_SLACK: Final = LINE_BYTES + 64
_LARGEST: Final = 256 * 1024 * 1024
_FETCHERS: Final = 8
_PATIENCE: Final = 60.0
"""Seconds after which the log of an ended container is given up, if its machine does not give it."""

_PREFIX: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ")
_EMPTY: Final = -1
_NOT_YET: Final = re.compile(r"waiting to start|does not have a host assigned|is not available", re.I)


@frozen
class LogSource:
    """One container whose log is wanted.

    ``key`` names it in cursors and must stay the same between polls; ``ended`` says that it had ended before this
    call, so that its log is whole; ``archived`` that its lines are kept elsewhere: if the pod is gone before any was
    read, the page says so (``LogPage.kept``), and the caller brings a pod that shows them under the same key.
    """

    key: str
    pod: str
    step: str
    attempt: int = 1
    container: str = "main"
    ended: bool = False
    archived: bool = False


@frozen
class Position:
    """How far one log was given.

    ``since``: the second to ask from, 0 for the beginning. ``lines``: how many lines from there on were given whole,
    and ``part``: how many bytes of the next one. ``anchor``: the time of the last of them, in nanoseconds. ``skip``:
    bytes that all these take in the server's answer. ``head``: the time of the first of them. ``tail``: if the last
    look at a log that had ended gave all but its last words without a newline, their length and 1; -1 if it showed
    nothing. ``failing``: since when the log cannot be had, 0 if it can.
    """

    since: int = 0
    lines: int = 0
    part: int = 0
    anchor: int = 0
    skip: int = 0
    head: int = 0
    tail: int = 0
    failing: int = 0


@frozen
class Text:
    """One line, or a part of one, or (``gap``) a note that some were lost."""

    time: float | None
    text: str
    gap: bool = False


@frozen
class Taken:
    """What one look at a log gave. ``rest``: more is there at once; ``over``: nothing more will come; ``kept``: the pod
    is gone, and its lines are kept elsewhere.
    """

    texts: tuple[Text, ...]
    position: Position
    rest: bool = False
    over: bool = False
    kept: bool = False


@frozen
class LogPage:
    """What one poll gives. ``more``: at once, the next would give more. ``whole``: every ended source was given
    that is not kept. ``kept``: the keys of archived sources whose pods are gone, until they are read elsewhere.
    """

    lines: tuple[LogLine, ...]
    cursor: str
    more: bool = False
    whole: bool = True
    kept: tuple[str, ...] = ()


def read_logs(
    client: Client,
    sources: Iterable[LogSource],
    cursor: str,
    *,
    namespace: str | None = None,
    budget: int = PAGE_BYTES,
    clock: Callable[[], float] = time.time,
) -> LogPage:
    """The lines that came since a cursor, of all sources together. Waits for nothing that is still to come.

    Each source is asked once, those that were given whole no more. None is starved by another: the next call begins
    where this one stopped.

    Args:
        sources: the containers that have started; what was left out may come again later.
        cursor: what an earlier call gave; empty for the beginning.
        budget: about how many bytes the lines may take in an Update.

    Raises:
        UsageError: if the cursor is not one.
        UnreachableError: if the API server does not answer.
    """
    state = _State.parse(cursor)
    open = [source for source in sources if state.is_open(source)]
    first = next((index for index, source in enumerate(open) if source.key == state.turn), 0)
    open = open[first:] + open[:first]
    lines: list[LogLine] = []
    more = False
    whole = True
    turn = ""
    index = 0
    while index < len(open) and budget > 0:
        batch = open[index : index + _FETCHERS]
        share = max(budget // len(open), min(budget, LINE_BYTES))
        look = partial(_look, client, namespace, state, share, clock)
        looks = _each(batch, look)
        for source, taken in zip(batch, looks, strict=True):
            if budget <= 0:
                break
            index += 1
            for text in taken.texts:
                lines.append(LogLine(source.step, source.attempt, text.text, text.time, None, text.gap))
                budget -= _cost(text)
            state.put(source.key, taken)
            more = more or taken.rest
            whole = whole and (taken.over or taken.kept or not source.ended)
    if index < len(open):
        more, whole, turn = True, False, open[index].key
    return LogPage(tuple(lines), state.text(turn), more, whole, tuple(state.kept))


def _each(batch: list[LogSource], look: Callable[[LogSource], Taken]) -> list[Taken]:
    if len(batch) == 1:
        return [look(batch[0])]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_FETCHERS) as pool:
        return list(pool.map(look, batch))


def _cost(text: Text) -> int:
    return len(text.text.encode("utf-8", "replace")) + _OVERHEAD


# One log


def _look(
    client: Client, namespace: str | None, state: _State, most: int, clock: Callable[[], float], source: LogSource
) -> Taken:
    """Ask for one log once; for more of it only if what came held nothing new."""
    position = state.of(source.key)
    limit = position.skip + most + _SLACK
    while True:
        try:
            data = _fetch(client, source, namespace, position, limit)
        except NotFoundError:
            if not source.ended and position == Position():
                return Taken((), position)  # it is not there yet
            if source.archived and position == Position():
                return Taken((), position, kept=True)
            return _lost(position, "the pod is gone, and with it what it wrote here")
        except InvalidError as error:
            if _NOT_YET.search(error.told):
                return Taken((), position, over=source.ended)
            return _lost(position, f"the log cannot be had: {error.told}") if source.ended else Taken((), position)
        except UnavailableError as error:
            return _failing(source, position, int(clock()), error)
        except UnreachableError:
            return Taken((), position)  # it answered a moment ago, and may again: nothing is lost yet
        cut = len(data) >= limit
        taken = take(data, evolve(position, failing=0), ended=source.ended, cut=cut, most=most)
        if taken.texts or not cut or limit >= _LARGEST:
            return taken
        limit *= 4


def _fetch(client: Client, source: LogSource, namespace: str | None, position: Position, limit: int) -> bytes:
    query = {"container": source.container, "timestamps": "true", "limitBytes": str(limit)}
    if position.since:
        query["sinceTime"] = datetime.fromtimestamp(position.since, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return client.bytes_of(client.request("get", PODS, source.pod, namespace, "log"), query, tries=2)


def _lost(position: Position, why: str) -> Taken:
    return Taken((Text(None, why, gap=True),), position, over=True)


def _failing(source: LogSource, position: Position, now: int, error: UnavailableError) -> Taken:
    """The API server answers, but the machine of the pod does not: that may pass, but not for ever."""
    since = position.failing or now
    if source.ended and now - since >= _PATIENCE:
        return _lost(position, f"the log cannot be had: {error.told or error}")
    return Taken((), evolve(position, failing=since))


def take(data: bytes, position: Position, *, ended: bool, cut: bool, most: int = PAGE_BYTES) -> Taken:
    """The new lines in an answer of the server, and the position after them. Pure.

    Args:
        data: the answer to a question from ``position.since`` on, with times.
        ended: whether the container had ended before it was asked.
        cut: whether the answer may end before the log does.
        most: bytes after which no further line is begun.
    """
    start = _first_time(data)
    lines = _lines(data, start)
    if not lines:
        return _nothing(data[:start].decode("utf-8", "replace").strip(), position, ended, cut)
    texts: list[Text] = []
    place = _resume(lines, position)
    if place is None:
        return Taken((), evolve(position, tail=0))
    index, part = place
    if index < 0:
        texts.append(Text(None, "lines may be missing here: the log was rotated before they were read", gap=True))
        index, part = next((i for i, line in enumerate(lines) if line.time > position.anchor), len(lines)), 0
        position = Position(position.since)
    room = most
    while index < len(lines) and room > 0:
        line = lines[index]
        body = data[line.begin + part : line.end]
        while len(body) > LINE_BYTES and room > 0:
            size = _boundary(body, LINE_BYTES)
            texts.append(_text(line, body[:size]))
            room -= size + _OVERHEAD
            part += size
            body = body[size:]
        if len(body) > LINE_BYTES or not line.terminated or room <= 0:
            break
        if body or not part:
            texts.append(_text(line, body))
            room -= len(body) + _OVERHEAD
        index, part = index + 1, 0
    last = data[lines[index].begin + part : lines[index].end] if index < len(lines) else b""
    unfinished = index < len(lines) and (lines[index].terminated or room <= 0)
    tail = len(last) + 1 if ended and not cut and not unfinished else 0
    if tail and tail == position.tail and not texts:
        return Taken((_text(lines[index], last),) if last else (), position, over=True)
    return Taken(
        tuple(texts),
        evolve(_position(lines, index, part, position), tail=tail),
        rest=cut or unfinished or tail > 0,
    )


def _nothing(said: str, position: Position, ended: bool, cut: bool) -> Taken:
    """What an answer without any line means; ``said`` is the kubelet's word that it cannot read the log just now."""
    if cut or not ended:
        return Taken((), position, rest=cut)
    if position.tail != _EMPTY:
        return Taken((), evolve(position, tail=_EMPTY), rest=True)
    lost = said or ("the log is gone" if position.anchor else "")
    return Taken((Text(None, lost, gap=True),) if lost else (), position, over=True)


def _text(line: _Line, body: bytes) -> Text:
    seconds, rest = divmod(line.time, 1_000_000_000)
    return Text(seconds + rest / 1e9, body.decode("utf-8", "replace"))


@frozen
class _Line:
    """One line of an answer: its time in nanoseconds, where it and its text begin, where the text ends."""

    time: int
    first: int
    begin: int
    end: int
    terminated: bool


def _first_time(data: bytes) -> int:
    """Where the first line with a time begins.

    What is before it is the rest of a long line that was begun before the second that was asked for, or the kubelet's.
    """
    start = 0
    while start < len(data) and _PREFIX.match(data, start) is None:
        end = data.find(b"\n", start)
        start = len(data) if end < 0 else end + 1
    return start


def _lines(data: bytes, start: int) -> list[_Line]:
    lines: list[_Line] = []
    while start < len(data):
        end = data.find(b"\n", start)
        terminated = end >= 0
        end = end if terminated else len(data)
        prefix = _PREFIX.match(data, start, end)
        if prefix is None and not terminated:
            break  # cut within the time
        at = _nanoseconds(prefix) if prefix is not None else (lines[-1].time if lines else 0)
        lines.append(_Line(at, start, prefix.end() if prefix is not None else start, end, terminated))
        start = end + 1
    return lines


def _resume(lines: list[_Line], position: Position) -> tuple[int, int] | None:
    """The line to go on with, and the bytes of it to leave out.

    None if this is the beginning of what was given already, and -1 if it is another file than the one that was read.
    """
    if not position.anchor:
        return 0, 0
    last = position.lines if position.part else position.lines - 1
    if last >= len(lines) and lines[0].time == position.head:
        return None
    if last < len(lines) and lines[last].time == position.anchor:
        return position.lines, position.part
    # The kubelet misreads a line that is being written, and shows it right the next time.
    again = [index for index, line in enumerate(lines) if line.time == position.anchor]
    if again:
        return (again[-1], position.part) if position.part else (again[-1] + 1, 0)
    return -1, 0


def _position(lines: list[_Line], index: int, part: int, before: Position) -> Position:
    """The position after ``index`` whole lines and ``part`` bytes of the next one."""
    given = lines[: index + 1] if part else lines[:index]
    if not given:
        return before
    anchor = given[-1].time
    since = max(before.since, (min(anchor, max(line.time for line in given)) - _BEHIND) // 1_000_000_000)
    kept = [line for line in lines[:index] if line.time >= since * 1_000_000_000]
    return Position(
        since=since,
        lines=len(kept),
        part=part,
        anchor=anchor,
        skip=sum(line.end + 1 - line.first for line in kept) + part,
        head=kept[0].time if kept else anchor,
    )


def _nanoseconds(prefix: re.Match[bytes]) -> int:
    seconds, fraction, zone = (group.decode() if group else "" for group in prefix.groups())
    moment = datetime.fromisoformat(f"{seconds}{'+00:00' if zone == 'Z' else zone}")
    return int(moment.timestamp()) * 1_000_000_000 + int(fraction.ljust(9, "0") or 0)


def _boundary(data: bytes, end: int) -> int:
    """The last place at or before ``end`` that does not cut a UTF-8 character in two."""
    for back in range(4):
        if data[end - back] & 0xC0 != 0x80:
            return end - back
    return end


# The cursor


class _State:
    """All positions: of the sources that are still open, and a short digest of each that is over."""

    def __init__(self, positions: dict[str, Position], over: set[bytes], kept: list[str], turn: str) -> None:
        self._positions = positions
        self._over = over
        self.kept = kept
        """The sources whose pods are gone, and whose lines are elsewhere."""
        self.turn = turn
        """Which source is next, if not the first one."""

    def of(self, key: str) -> Position:
        return self._positions.get(key, Position())

    def is_open(self, source: LogSource) -> bool:
        """Whether to ask a source; a pod that is gone does not come again."""
        return _digest(source.key) not in self._over and not (source.archived and source.key in self.kept)

    def put(self, key: str, taken: Taken) -> None:
        if taken.kept:
            self.kept.append(key)
        elif taken.over:
            self._positions.pop(key, None)
            self._over.add(_digest(key))
            self.kept = [each for each in self.kept if each != key]
        elif taken.position != Position():
            self._positions[key] = taken.position

    def text(self, turn: str) -> str:
        data: dict[str, Any] = {}
        if self._positions:
            data["open"] = {key: list(astuple(place)) for key, place in self._positions.items()}
        if self._over:
            data["over"] = base64.b64encode(b"".join(sorted(self._over))).decode()
        if self.kept:
            data["kept"] = self.kept
        if turn:
            data["turn"] = turn
        return json.dumps(data, separators=(",", ":")) if data else ""

    @classmethod
    def parse(cls, text: str) -> _State:
        if not text:
            return cls({}, set(), [], "")
        try:
            data: Mapping[str, Any] = json.loads(text)
            positions = {key: Position(*map(int, place)) for key, place in data.get("open", {}).items()}
            packed = base64.b64decode(data.get("over", ""), validate=True)
            over = {packed[start : start + _DIGEST] for start in range(0, len(packed), _DIGEST)}
            return cls(positions, over, list(map(str, data.get("kept", ()))), str(data.get("turn", "")))
        except (ValueError, TypeError, AttributeError, binascii.Error):
            raise UsageError("this cursor is not one that poll gave; leave it out to get the whole run") from None


_DIGEST: Final = 6


def _digest(key: str) -> bytes:
    """48 bits: two of 5,000 sources are the same once in twenty million runs."""
    return hashlib.sha256(key.encode()).digest()[:_DIGEST]
