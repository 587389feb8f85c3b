"""Text to tokens, and the remedies for what other languages write differently."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Literal as OneOf
from typing import NamedTuple

from flowcore.errors import UsageError
from flowcore.syntax import Json
from flowcore.values import INTEGER_MAX, INTEGER_MIN


class ExpressionError(UsageError):
    """Text that is no expression; ``offset`` is the index of the character in the text that was given."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class Token(NamedTuple):
    """One token: ``text`` as written, ``value`` of a string or number, ``offset`` in the whole text."""

    kind: OneOf["name", "string", "number", "symbol", "end"]
    text: str
    value: Json
    offset: int


_TOKEN = re.compile(
    r"""\s*(?:
    (?P<name>[A-Za-z_](?:[A-Za-z0-9_]|-(?=[A-Za-z0-9_]))*)
  | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<number>-?[0-9]+(?P<fraction>(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?))(?![A-Za-z0-9_])
  | (?P<symbol>==|!=|<=|>=|&&|\|\||[<>!()\[\]{}.,:])
  | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)

_ARITHMETIC = "expressions have no arithmetic; compute the value in a step"
_REMEDIES = {
    "=": "write == to compare",
    "&": "write && for and",
    "|": "write || for or",
    "~": "write ! for not",
    "?": "expressions have no ?:; use when on two steps",
    "$": "an expression holds no other ${{ }}; write the name alone",
    "`": "text goes in '...' or \"...\"",
    ";": "an expression is one condition or value",
    **dict.fromkeys("+-*/%^", _ARITHMETIC),
}


def tokens(text: str, start: int = 0, *, closing: bool = False) -> Iterator[Token]:
    """Give the tokens of ``text`` from ``start``; with ``closing``, up to the ``}}`` that ends a ``${{``.

    The last token is of kind ``end``; with ``closing`` it sits at the ``}}``.

    Raises:
        ExpressionError: at the first character that begins no token.
    """
    at, braces = start, 0
    while True:
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unexpected(text, _skip_space(text, at))
        kind = match.lastgroup if match.lastgroup != "fraction" else "number"
        offset, at = match.start(kind or 0), match.end()
        if kind == "symbol":
            symbol = match[kind]
            if closing and symbol == "}" and not braces and text.startswith("}", at):
                yield Token("end", "}}", None, offset)
                return
            braces += (symbol == "{") - (symbol == "}")
            yield Token("symbol", symbol, None, offset)
        elif kind == "name":
            yield Token("name", match[kind], None, offset)
        elif kind == "string":
            yield Token("string", match[kind], _string(match[kind], offset), offset)
        elif kind == "number":
            yield Token("number", match[kind], _number(match[kind], bool(match["fraction"]), offset), offset)
        else:
            if closing:
                raise ExpressionError("this ${{ is never closed; end it with }}", start - 3)
            yield Token("end", "", None, offset)
            return


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _unexpected(text: str, at: int) -> ExpressionError:
    found = text[at]
    if found in "\"'":
        return ExpressionError(f"the text that begins with {found} is never closed", at)
    word = re.match(r"-?[0-9][0-9A-Za-z_.]*", text[at:])
    if word:
        return ExpressionError(f"{word[0]!r} is not a number; text goes in quotes", at)
    remedy = _REMEDIES.get(found)
    return ExpressionError(f"unexpected {found!r}" + (f"; {remedy}" if remedy else ""), at)


_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.|$)", re.DOTALL)
_ESCAPES = {'"': '"', "'": "'", "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def _string(written: str, offset: int) -> str:
    body = written[1:-1]
    if "\\" in body:

        def replace(match: re.Match[str]) -> str:
            code = match[1]
            if len(code) == 5:
                return chr(int(code[1:], 16))
            if code not in _ESCAPES:
                raise ExpressionError(
                    f"unknown escape \\{code}; the escapes are JSON's, and a backslash is written \\\\",
                    offset + 1 + match.start(),
                )
            return _ESCAPES[code]

        body = _ESCAPE.sub(replace, body)
        # Two escaped halves of one character become that character; a half alone stays one, and is refused.
        body = body.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    if any("\ud800" <= char <= "\udfff" for char in body):
        raise ExpressionError("half of a surrogate pair is not text; write both halves", offset)
    return body


def _number(written: str, fraction: bool, offset: int) -> int | float:
    digits = written.lstrip("-")
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        raise ExpressionError(f"{written} has leading zeros; write {json.dumps(written)} for text, or no zeros", offset)
    if fraction:
        value = float(written)
        if value in (float("inf"), float("-inf")):
            raise ExpressionError(f"{written} is too large for a number", offset)
        return value
    if len(digits) > 19 or not INTEGER_MIN <= int(written) <= INTEGER_MAX:
        raise ExpressionError(f"{written} does not fit an integer of 64 bits", offset)
    return int(written)
