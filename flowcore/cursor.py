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
    """The codes of every step of a run, in order."""
    out = bytearray()
    for group in groups:
        _encode(group, out)
    return bytes(out)


def changed(groups: tuple[Group, ...], codes: bytes) -> Iterator[Group]:
    """The steps that differ from what ``codes`` say, in order; all of them if it is empty."""
    numbers = _numbers(codes)
    for group in groups:
        yield from _compare(group, next(numbers, None), numbers)


def _code(state: StepState) -> tuple[int, int, int]:
    word = _PHASES[state.phase] * 64 + _REASONS[state.reason]
    return word, state.attempts, 0 if state.iteration is None else state.iteration + 1


def _encode(group: Group, out: bytearray) -> None:
    for number in (*_code(group.state), len(group.children)):
        _varint(number, out)
    for child in group.children:
        _encode(child, out)


def _varint(number: int, out: bytearray) -> None:
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)


def _numbers(codes: bytes) -> Iterator[tuple[int, int, int, int]]:
    quad: list[int] = []
    number = shift = 0
    for byte in codes:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            quad.append(number)
            number = shift = 0
            if len(quad) == 4:
                yield quad[0], quad[1], quad[2], quad[3]
                quad.clear()


def _compare(
    group: Group, before: tuple[int, int, int, int] | None, numbers: Iterator[tuple[int, int, int, int]]
) -> Iterator[Group]:
    if before is None or before[:3] != _code(group.state):
        yield group
    known = before[3] if before is not None else 0
    for index, child in enumerate(group.children):
        yield from _compare(child, next(numbers, None) if index < known else None, numbers if index < known else iter(()))
    for _ in range(known - len(group.children)):
        _skip(next(numbers, None), numbers)


def _skip(before: tuple[int, int, int, int] | None, numbers: Iterator[tuple[int, int, int, int]]) -> None:
    for _ in range(before[3] if before is not None else 0):
        _skip(next(numbers, None), numbers)
