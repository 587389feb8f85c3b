"""The cursor of ``poll``: what a caller has seen already, in text that stays small for large runs.

A cursor holds no names: the steps come in the outline's order and items in theirs, so one walk over both the run and
the cursor's codes tells what changed. New items only ever come at a group's end.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterator
from typing import Final, get_args

from attrs import frozen

from flowcore.errors import UsageError
from flowcore.fold import Group
from flowcore.runs import Phase, Reason, StepState

_PHASES: Final = {phase: index for index, phase in enumerate(Phase)}
_REASONS: Final = {reason: index for index, reason in enumerate((None, *get_args(Reason)))}
_VERSION: Final = 1


@frozen
class Cursor:
    """What was given before: the backend's own cursor, and the code of every step."""

    backend: str = ""
    codes: bytes = b""

    def text(self) -> str:
        """The cursor as opaque text."""
        head = json.dumps([_VERSION, self.backend]).encode()
        packed = zlib.compress(len(head).to_bytes(4, "big") + head + self.codes, 6)
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read a cursor's text; the empty text is the beginning.

        Raises:
            UsageError: if the text did not come from ``poll``.
        """
        if not text:
            return cls()
        try:
            data = zlib.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            size = int.from_bytes(data[:4], "big")
            version, backend = json.loads(data[4 : 4 + size])
            if version == _VERSION:
                return cls(backend, data[4 + size :])
        except (binascii.Error, zlib.error, ValueError, TypeError):
            pass
        raise UsageError("this cursor is not one that poll gave; leave it out to get the whole run")


def codes_of(groups: tuple[Group, ...]) -> bytes:
    """The codes of every step of a run, in order.

    A run has few distinct states, so they go into a table and each step is one small number: that packs to a few bits
    a step. The numbers of children follow, for the few steps that have any.
    """
    table: dict[_State, int] = {}
    states = bytearray()
    families = bytearray()
    for count, group in enumerate(group for top in groups for group in top.walk()):
        _varint(table.setdefault(_state(group.state), len(table)), states)
        if group.children:
            _varint(count, families)
            _varint(len(group.children), families)
    head = json.dumps([list(table), len(families)], separators=(",", ":")).encode()
    return len(head).to_bytes(4, "big") + head + bytes(families) + bytes(states)


def changed(groups: tuple[Group, ...], codes: bytes) -> Iterator[Group]:
    """The steps that differ from what ``codes`` say, in order; all of them if it is empty."""
    seen = _read(codes) if codes else iter(())
    for group in groups:
        yield from _compare(group, next(seen, None), seen)


_State = tuple[int, int, int]
_Seen = tuple[_State, int]
"""A step's state and its number of children."""


def _state(state: StepState) -> _State:
    word = _PHASES[state.phase] * 64 + _REASONS[state.reason]
    return word, state.attempts, 0 if state.iteration is None else state.iteration + 1


def _read(codes: bytes) -> Iterator[_Seen]:
    size = int.from_bytes(codes[:4], "big")
    table, split = json.loads(codes[4 : 4 + size])
    body = codes[4 + size :]
    numbers = _varints(body[:split])
    families = dict(zip(numbers, numbers, strict=True))
    for count, number in enumerate(_varints(body[split:])):
        word, attempts, iteration = table[number]
        yield (word, attempts, iteration), families.get(count, 0)


def _varint(number: int, out: bytearray) -> None:
    """Append a number in the base-128 form: seven bits a byte, the high bit where more follow."""
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)


def _varints(data: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in data:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield number
            number = shift = 0


def _compare(group: Group, before: _Seen | None, seen: Iterator[_Seen]) -> Iterator[Group]:
    if before is None or before[0] != _state(group.state):
        yield group
    known = before[1] if before is not None else 0
    for index, child in enumerate(group.children):
        if index < known:
            yield from _compare(child, next(seen, None), seen)
        else:
            yield from child.walk()
    for _ in range(known - len(group.children)):
        _skip(next(seen, None), seen)


def _skip(before: _Seen | None, seen: Iterator[_Seen]) -> None:
    for _ in range(before[1] if before is not None else 0):
        _skip(next(seen, None), seen)
