"""Names: mapped to a backend's own rules without collisions and back, names of runs, and the nearest name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from attrs import field, frozen

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_DIGITS = "0123456789"
_HASHED = re.compile(r".*[-_][0-9a-f]{8,}")


@frozen
class NameRule:
    """What a platform allows in a name.

    ``allowed`` are the characters it takes, ``first`` and ``last`` those it takes at the two ends (empty: all that
    are allowed), ``max_length`` the number of characters, at least 16. ``separator`` stands in for what is not
    allowed.
    """

    max_length: int
    allowed: str
    first: str = ""
    last: str = ""
    separator: str = "-"
    _pattern: re.Pattern[str] = field(init=False, eq=False, repr=False)

    @_pattern.default
    def _make_pattern(self) -> re.Pattern[str]:
        first = re.escape(self.first or self.allowed)
        allowed = re.escape(self.allowed)
        last = re.escape(self.last or self.allowed)
        return re.compile(f"(?=[{first}])[{allowed}]{{1,{self.max_length}}}(?<=[{last}])")

    def accepts(self, name: str) -> bool:
        """Whether the platform takes the name as it is."""
        return self._pattern.fullmatch(name) is not None

    def prefix(self, origin: str, length: int) -> str:
        """What stays readable of ``origin``, in at most ``length`` characters."""
        takes_upper = any(letter.isupper() for letter in self.allowed)
        text = origin if takes_upper else origin.lower()
        text = "".join(char if char in self.allowed else self.separator for char in text)
        text = re.sub(f"{re.escape(self.separator)}+", self.separator, text)
        start = next((i for i, char in enumerate(text) if char in (self.first or self.allowed)), len(text))
        text = text[start:].strip(self.separator)[:length].rstrip(self.separator)
        return text or (self.first or self.allowed)[0]


DNS_LABEL = NameRule(63, _LETTERS + _DIGITS + "-", first=_LETTERS + _DIGITS, last=_LETTERS + _DIGITS)
"""A label of RFC 1123, which Kubernetes wants of most names."""

DNS_LABEL_1035 = NameRule(63, _LETTERS + _DIGITS + "-", first=_LETTERS, last=_LETTERS + _DIGITS)
"""A label of RFC 1035: as above, but it begins with a letter (services, and names inside Argo and Tekton objects)."""


def mangle(origin: str, rule: NameRule) -> str:
    """Give ``origin`` a name that the platform takes: itself if it can be, else a readable prefix and a hash.

    The hash is ``-`` and 8 hex digits of the origin's SHA-256. An origin that already ends like that gets one too, so
    that no plain name is ever taken for another's mangled one.
    """
    return _mangle(origin, rule, 8)


def _mangle(origin: str, rule: NameRule, digits: int) -> str:
    if rule.accepts(origin) and not (len(origin) > 8 and _HASHED.fullmatch(origin)):
        return origin
    # Surrogates cannot be encoded strictly, and a name must never fail.
    digest = hashlib.sha256(origin.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
    return f"{rule.prefix(origin, rule.max_length - digits - 1)}{rule.separator}{digest}"


class Names:
    """The names of one submitted object, both ways. Two origins never share a name.

    Should the 8 digits of two origins be the same, the one that comes later gets more of them, so ask for names in the
    document's order.
    """

    def __init__(self, rule: NameRule, origins: Iterable[str] = ()) -> None:
        self.rule = rule
        self._names: dict[str, str] = {}
        self._origins: dict[str, str] = {}
        for origin in origins:
            self.name(origin)

    def name(self, origin: str) -> str:
        """The platform's name of ``origin``."""
        known = self._names.get(origin)
        if known is not None:
            return known
        digits = 8
        while (name := _mangle(origin, self.rule, digits)) in self._origins:
            digits += 1
            if digits > min(64, self.rule.max_length - 2):  # pragma: no cover - needs a collision of SHA-256
                raise ValueError(f"no name is left for {origin!r} in {self.rule.max_length} characters")
        self._names[origin] = name
        self._origins[name] = origin
        return name

    def back(self, name: str) -> str:
        """The origin of a name that ``name()`` gave; ``KeyError`` for any other."""
        return self._origins[name]

    def table(self) -> dict[str, str]:
        """Every origin with its name, in the order in which they were asked for."""
        return dict(self._names)


def run_id(workflow_name: str, key: str) -> str:
    """The name of the run that ``key`` makes of a workflow: 40 characters of the name and 10 of the key's hash.

    ``_`` becomes ``-``, so that the name is good on every platform.
    """
    import base64

    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
    return f"{workflow_name[:40].replace('_', '-')}-{base64.b32encode(digest)[:10].decode().lower()}"


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that the writer most likely meant, or ``None`` if none is near.

    Near is: at most a third of the letters wrong, swapped, missing or too many (and at least one may be).
    """
    wanted = _folded(name)
    best: str | None = None
    best_distance = max(1, len(wanted) // 3) + 1
    for candidate in candidates:
        folded = _folded(candidate)
        if abs(len(folded) - len(wanted)) < best_distance:
            distance = _distance(wanted, folded)
            # One letter is not near to every other letter.
            if distance < min(best_distance, max(len(wanted), len(folded))):
                best, best_distance = candidate, distance
    return best


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")


def _distance(left: str, right: str) -> int:
    """The edits between two words; two neighbours swapped are one edit."""
    before: list[int] = []
    above = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and b == left[i - 2]:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, above = above, row
    return above[-1]
