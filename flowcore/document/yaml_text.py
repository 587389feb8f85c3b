"""JSON as YAML text that every reader takes for the same: YAML 1.1, YAML 1.2, and Go's."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from flowcore.syntax import Json

# Text that no reader takes for anything else: words that begin with a letter (or with _ or /), and durations and sizes,
# which begin with digits. A colon only inside a word, as in python:3.11. Whatever ends a run of _INSIDE is none of it,
# so no text is tried in two ways.
_INSIDE: Final = r"A-Za-z0-9_./@+,=()$*%\[\]'<>|&!-"
_PLAIN = re.compile(
    rf"[A-Za-z_/][{_INSIDE}]*(?:(?::(?=[A-Za-z0-9_./-])| (?=[{_INSIDE}]))[{_INSIDE}]*)*"
    r"|(?:[0-9]+(?:ms|s|m|h|d|Ki|Mi|Gi|Ti))+"
)
_WORDS: Final = frozenset(
    ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity", "none"]
)
_LONGEST_KEY = 120

# What may stand in a literal block as it is. No carriage return (readers change it), no line separators.
_LITERAL = re.compile("[\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]*")
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_QUOTE: Final = json.JSONEncoder(ensure_ascii=False).encode
_BLOCK_INDENT = 2


def write_yaml(data: Json, *, header: str = "") -> str:
    """Write JSON as YAML, in block style, with ``header`` as comment lines in front.

    Strings that some reader could take for something else are quoted; text of several lines is a literal block where
    that is exact. Keys keep their order.

    Raises:
        ValueError: if a number is not finite, which JSON has no word for.
    """
    lines = [f"# {line}".rstrip() for line in header.splitlines()]
    lines = [_ESCAPED.sub("?", line) for line in lines]
    writer = _Writer(lines)
    if isinstance(data, Mapping) and data:
        writer.mapping(data, "", "")
    elif isinstance(data, list | tuple) and data:
        writer.sequence(data, "", "")
    else:
        lines.append(writer.text(data, "") if isinstance(data, str) else _leaf(data))
    return "\n".join(lines) + "\n"


class _Writer:
    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.keys: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        """Short texts as they are written: names come again and again."""

    def text(self, text: str, indent: str) -> str:
        """A string, in one line or as a literal block."""
        if len(text) > 64 or "\n" in text:
            return _text(text, indent)
        known = self.texts[text] = _inline(text)
        return known

    def key(self, key: str) -> str:
        """A key as it is written, with its colon; a long one needs a line of its own."""
        text = f"{_inline(key)}:"
        if len(text) <= _LONGEST_KEY:
            self.keys[key] = text
        return text

    def mapping(self, data: Mapping[str, Any], first: str, indent: str) -> None:
        """Write a mapping; its first line begins with ``first``, the others with ``indent``."""
        lines, keys, texts = self.lines, self.keys, self.texts
        start = first
        inner = indent + "  "
        for key, value in data.items():
            text = keys.get(key)
            if text is None:
                text = self.key(key)
                if len(text) > _LONGEST_KEY:
                    lines.append(f"{start}? {text[:-1]}")
                    text, start = ":", indent
            shape = type(value)
            if shape not in _EXACT:
                shape = _shape(value)
            if shape is str:
                lines.append(f"{start}{text} {texts.get(value) or self.text(value, indent)}")
            elif shape is dict and value:
                lines.append(start + text)
                self.mapping(value, inner, inner)
            elif shape is list and value:
                lines.append(start + text)
                self.sequence(value, inner, inner)
            else:
                lines.append(f"{start}{text} {_leaf(value)}")
            start = indent

    def sequence(self, data: list[Any] | tuple[Any, ...], first: str, indent: str) -> None:
        """Write a list, likewise."""
        lines, texts = self.lines, self.texts
        start = f"{first}- "
        inner = indent + "  "
        for value in data:
            shape = type(value)
            if shape not in _EXACT:
                shape = _shape(value)
            if shape is str:
                lines.append(start + (texts.get(value) or self.text(value, indent)))
            elif shape is dict and value:
                self.mapping(value, start, inner)
            elif shape is list and value:
                self.sequence(value, start, inner)
            else:
                lines.append(start + _leaf(value))
            start = f"{indent}- "


_EXACT: Final = frozenset([str, dict, list, int, bool, float, type(None)])
"""The types that nearly all values are of; to ask for more is slow."""


def _shape(value: Any) -> type:
    """How a value of another type is written: as a string, a mapping, a list, or else."""
    if isinstance(value, str):
        return str
    if isinstance(value, Mapping):
        return dict
    return list if isinstance(value, list | tuple) else object


def _leaf(value: Any) -> str:
    """What is neither a string nor has anything in it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    raise TypeError(f"{type(value).__name__} is not JSON")


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    text = repr(value)
    # YAML 1.1 wants a point in a number with an exponent.
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


def _text(text: str, indent: str) -> str:
    if "\n" in text:
        block = _block(text, indent + "  ")
        if block is not None:
            return block
    return _inline(text)


def _inline(text: str) -> str:
    """Text in one line: plain, or in double quotes with escapes."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return quoted(text)


def quoted(text: str) -> str:
    """Text in double quotes, as JSON and YAML read alike: what YAML has no word for, or folds, is an escape."""
    return _ESCAPED.sub(lambda match: f"\\u{ord(match.group()):04x}", _QUOTE(text))


def _block(text: str, indent: str) -> str | None:
    """A literal block, or ``None`` if one would not be exact."""
    body = text.lstrip("\n")
    # The first line that is not empty sets the indentation, so it must not begin with white space itself.
    if not body or body[0] == "\t" or not _LITERAL.fullmatch(text):
        return None
    if body[0] == " " and (text != body or not body.split("\n", 1)[0].strip()):
        return None
    hint = str(_BLOCK_INDENT) if body[0] == " " else ""
    if not text.endswith("\n"):
        chomp, content = "-", text
    else:
        chomp, content = ("+", text[:-1]) if text.endswith("\n\n") else ("", text[:-1])
    if not content.rsplit("\n", 1)[-1].strip() and chomp != "+":
        return None
    lines = "\n".join(indent + line if line else "" for line in content.split("\n"))
    return f"|{hint}{chomp}\n{lines}"
