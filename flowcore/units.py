"""Durations as Go writes them, plus days, and quantities as Kubernetes writes them."""

from __future__ import annotations

import re
from fractions import Fraction

_SECONDS = {
    "d": Fraction(86400),
    "h": Fraction(3600),
    "m": Fraction(60),
    "s": Fraction(1),
    "ms": Fraction(1, 1000),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),  # the micro sign, as Go prints it
    "μs": Fraction(1, 10**6),  # the Greek letter, which Go reads too
    "ns": Fraction(1, 10**9),
}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ms|us|µs|μs|ns|d|h|m|s)")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
_LONGEST = 100 * 366 * 86400
"""A hundred years: above it a number was mistyped, and platforms overflow."""


def parse_duration(text: str) -> float:
    """Read a duration such as ``90s``, ``1h30m``, ``1.5h`` or ``2d``; in seconds.

    Raises:
        ValueError: in one sentence, if the text is none.
    """
    text = text.strip()
    if text == "0":
        return 0.0
    if _NUMBER.fullmatch(text):
        raise ValueError(f"a duration needs a unit; write {text}s")
    if text.startswith("-"):
        raise ValueError(f"{text!r} is negative; a duration is 0s or more")
    total, at = Fraction(0), 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None:
            break
        total += Fraction(part[1]) * _SECONDS[part[2]]
        at = part.end()
    if at == 0 or at != len(text):
        raise ValueError(f"{text!r} is not a duration; write one like 90s, 10m, 1h30m or 2d")
    if total > _LONGEST:
        raise ValueError(f"{text!r} is longer than 100 years; write a shorter duration")
    return float(total)


def format_duration(seconds: float) -> str:
    """Write seconds so that ``parse_duration`` reads the same number back: ``5400.0`` is ``1h30m``.

    Raises:
        ValueError: if the number is negative or not finite.
    """
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{seconds!r} is not a duration; it is 0 or more seconds")
    if seconds == 0:
        return "0s"
    if seconds != int(seconds):
        return _fractional(seconds)
    whole, text = int(seconds), ""
    for unit in ("d", "h", "m", "s"):
        count, whole = divmod(whole, int(_SECONDS[unit]))
        if count:
            text += f"{count}{unit}"
    return text


def _fractional(seconds: float) -> str:
    """A fraction of a second, in the unit that reads best; decimals, since Go takes no exponents."""
    milliseconds = seconds * 1000
    if seconds < 1 and milliseconds == int(milliseconds) and parse_duration(f"{int(milliseconds)}ms") == seconds:
        return f"{int(milliseconds)}ms"
    text = repr(seconds)
    if "e" in text:
        from decimal import Decimal

        text = format(Decimal(text), "f")
    return f"{text}s"


_SUFFIX = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}
_QUANTITY = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:[eE]([+-]?[0-9]{1,2})|([A-Za-z]*))")


def parse_quantity(text: str) -> Fraction:
    """Read a quantity as Kubernetes does: ``500m`` is a half, ``256Mi`` is 268435456, ``1e3`` is 1000.

    Raises:
        ValueError: in one sentence, if the text is none or is negative.
    """
    text = text.strip()
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity; write one like 500m, 2 or 256Mi")
    number, exponent, suffix = match[1], match[2], match[3] or ""
    if exponent is None and suffix not in _SUFFIX:
        bare = suffix.removesuffix("b").removesuffix("B")
        near = bare if bare in _SUFFIX else next((unit for unit in _SUFFIX if unit.lower() == bare.lower()), None)
        hint = f"; write {number}{near}" if near else f"; the units are {' '.join(filter(None, _SUFFIX))}"
        raise ValueError(f"{text!r} has the unknown unit {suffix!r}{hint}")
    value = Fraction(number) * (Fraction(10) ** int(exponent) if exponent else _SUFFIX[suffix])
    if value < 0:
        raise ValueError(f"{text!r} is negative; a quantity is 0 or more")
    return value
