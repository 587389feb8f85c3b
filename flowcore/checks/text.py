"""Names, and what no text may hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from flowcore.checks.references import Report
from flowcore.errors import Path
from flowcore.syntax import Template, Text, Value

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_UNFIT = re.compile("[\x00\ud800-\udfff]")

ARGUMENT_BYTES = 128 * 1024
"""What one argument, or one variable with its name, may hold: Linux's MAX_ARG_STRLEN, the final NUL included."""

_SHORT = (ARGUMENT_BYTES - 1000) // 4
"""Characters that need not be counted in bytes to fit: one has four bytes at most."""


def check_name(kind: str, name: str, path: Path, report: Report) -> None:
    """Report a name that is not ``[a-z][a-z0-9_-]*`` of at most 63 characters."""
    if _NAME.fullmatch(name):
        return
    if len(name) > 63 and _NAME.match(name):
        report(path, f"the {kind} is {len(name)} characters long; shorten it to 63")
        return
    better = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:63]
    advice = f"write {better}" if _NAME.fullmatch(better) else "begin with a letter from a to z"
    report(path, f"{name!r} is not a {kind}: lower-case letters, digits, - and _, after a first letter; {advice}")


def check_clashes(kind: str, names: Iterable[str], path: Path, report: Report) -> None:
    """Report names of one scope that differ only in ``-`` and ``_``."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.replace("_", "-"), name)
        if other != name:
            report((*path, name), f"the {kind}s {other!r} and {name!r} differ only in - and _; rename one")


def check_text(text: str, path: Path, report: Report) -> None:
    """Report a NUL or half a surrogate pair, which no process can be given."""
    found = _UNFIT.search(text)
    if found is None:
        return
    what = "a NUL character" if found[0] == "\0" else f"half of a surrogate pair (U+{ord(found[0]):04X})"
    report(path, f"the text holds {what} at index {found.start()}, which no process can be given; take it out")


def check_value(value: Value, path: Path, report: Report) -> None:
    """``check_text`` for every text in a value, keys included."""
    if isinstance(value, str):
        check_text(value, path, report)
        return
    for where, text in _texts(value, path):
        check_text(text, where, report)


def is_short(text: Text) -> bool:
    """Whether a text has no expressions and passes both checks at first sight, as nearly all do."""
    return type(text) is str and len(text) < _SHORT and _UNFIT.search(text) is None


def check_argument(text: Text, name: str, path: Path, report: Report) -> None:
    """Report text that is longer than one argument or variable may be; ``name`` is the variable's, or empty."""
    data = text if isinstance(text, str) else "".join(part for part in text.parts if isinstance(part, str))
    if len(data) < _SHORT:
        return
    size = len(data.encode("utf-8", "surrogatepass"))
    room = ARGUMENT_BYTES - 1 - (len(name.encode("utf-8", "surrogatepass")) + 1 if name else 0)
    if size > room:
        what = f"the value of {name}" if name else "the argument"
        report(
            path, f"{what} has {size} bytes, and the kernel takes {room}; pass it as a file: a script or python.args"
        )


def _texts(value: Value, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Template):
        for part in value.parts:
            if isinstance(part, str):
                yield path, part
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _texts(item, (*path, i))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield path, key
            yield from _texts(item, (*path, key))
