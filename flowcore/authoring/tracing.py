"""One call of a workflow function, in which the steps that it calls are written down instead of run.

The trace that is going on is a context variable, so that threads and nested workflows do not see each other's.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Final

from attrs import Factory, define, field

from flowcore.authoring.places import ProgramError
from flowcore.errors import Path
from flowcore.model import Step
from flowcore.syntax import Binary, Expr, Template, Text

_CURRENT: ContextVar[Trace | None] = ContextVar("flowcore_trace", default=None)

# A reference in text. The brackets are private-use characters, so that repr() and json.dumps() change them, and the
# mixed case makes upper() and lower() do so too: a change is noticed, and never becomes part of a value.
_MARK: Final = re.compile("\ue000Ref:([0-9a-f]{16}):([0-9]+)\ue001")
_BROKEN: Final = "\ue000ref:"
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")


@define(eq=False)
class Trace:
    """What one call of a workflow function has written down so far."""

    name: str
    """How the workflow's function is called, for error messages."""
    subject: object = None
    """Whose trace it is, so that a workflow that contains itself is noticed."""
    parent: Trace | None = None
    steps: dict[str, Step] = Factory(dict)
    on_exit: dict[str, Step] = Factory(dict)
    places: dict[Path, str] = Factory(dict)
    conditions: list[Expr] = Factory(list)
    """Conditions of the ``with flow.when(...)`` blocks that are open."""
    leaving: bool = False
    """Whether a ``with flow.on_exit()`` block is open."""
    settings: dict[str, Any] = Factory(dict)
    """What ``flow.configure`` gave."""
    reprs: set[str] = Factory(set)
    _token: str = field(factory=lambda: secrets.token_hex(8))
    _marked: list[Expr] = Factory(list)
    _taken: set[str] = Factory(set)
    _numbers: dict[str, int] = Factory(dict)
    _reset: Token[Trace | None] | None = None

    def __enter__(self) -> Trace:
        self._reset = _CURRENT.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._reset is not None
        _CURRENT.reset(self._reset)

    def mark(self, expr: Expr) -> str:
        """Text that stands for an expression until the text is stored."""
        self._marked.append(expr)
        return f"\ue000Ref:{self._token}:{len(self._marked) - 1}\ue001"

    def read(self, text: str) -> Text:
        """Turn the marks in a text back into expressions.

        Raises:
            ProgramError: if a mark was changed, or is of another workflow, or if the text holds a reference's repr.
        """
        parts: list[str | Expr] = []
        end = 0
        for match in _MARK.finditer(text):
            if match[1] != self._token:
                raise ProgramError(
                    "this text holds a reference of another workflow; pass its value as an argument instead"
                )
            if match.start() > end:
                parts.append(text[end : match.start()])
            parts.append(self._marked[int(match[2])])
            end = match.end()
        if end < len(text):
            parts.append(text[end:])
        for part in parts:
            if isinstance(part, str):
                self._intact(part)
        if not end:
            return text
        return Template(tuple(parts))

    def _intact(self, data: str) -> None:
        folded = data.lower()
        if _BROKEN in folded or self._token in folded:
            raise ProgramError(
                "a reference in this text was cut or changed; its value is known only when the workflow runs, so put "
                "it into the text as it is, or change it in a step"
            )
        if self.reprs and any(text in data for text in self.reprs):
            raise ProgramError(
                "this text holds the repr() of a reference; write {x}, not {x!r}, and no list of references"
            )

    def free_name(self, wanted: str) -> str:
        """``wanted``, or ``wanted-2`` and so on if a step has that name already."""
        name, number = wanted, self._numbers.get(wanted, 1)
        while name.replace("_", "-") in self._taken:
            number += 1
            suffix = f"-{number}"
            name = wanted[: 63 - len(suffix)] + suffix
        self._numbers[wanted] = number
        return name

    def add(self, name: str, step: Step, place: str | None) -> None:
        """Write a step down under a name that is free.

        Raises:
            ProgramError: if the name is none that a step can have, or is taken.
        """
        if not _NAME.fullmatch(name):
            raise ProgramError(
                f"a step cannot be called {name!r}; give name= a lower-case letter and then letters, digits, _ and -, "
                "63 at most",
                place=place,
            )
        plain = name.replace("_", "-")
        if plain in self._taken:
            raise ProgramError(f"there is a step {name!r} in this workflow already; give another name=", place=place)
        self._taken.add(plain)
        if self.leaving:
            self.on_exit[name] = step
        else:
            self.steps[name] = step
        if place:
            self.places["on_exit" if self.leaving else "steps", name] = place

    def ancestors(self) -> Iterator[Trace]:
        """This trace and those around it."""
        trace: Trace | None = self
        while trace is not None:
            yield trace
            trace = trace.parent


def current() -> Trace | None:
    """The trace that is going on here, if any."""
    return _CURRENT.get()


def tracing(what: str) -> Trace:
    """The trace that is going on.

    Raises:
        ProgramError: outside any, saying that ``what`` belongs inside a workflow function.
    """
    trace = _CURRENT.get()
    if trace is None:
        raise ProgramError(f"{what} belongs inside a function with @flow.workflow")
    return trace


def read_text(text: str) -> Text:
    """A text as the model keeps it: its references found, all else data."""
    trace = _CURRENT.get()
    text = str.__str__(text)
    if trace is not None:
        return trace.read(text)
    if _MARK.search(text):
        raise ProgramError("this text holds a reference, which means something inside its own workflow function only")
    return text


def join_conditions(conditions: list[Expr]) -> Expr | None:
    """All of them, by ``&&``."""
    whole: Expr | None = None
    for condition in conditions:
        whole = condition if whole is None else Binary("&&", whole, condition)
    return whole
