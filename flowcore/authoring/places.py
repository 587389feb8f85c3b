"""Where in the user's program something was written, and the error that says so."""

from __future__ import annotations

import os
import sys
from types import CodeType, FrameType

from flowcore.errors import Path, Problem, WorkflowError

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class ProgramError(WorkflowError):
    """A mistake in a Python program that writes a workflow; it says ``file.py:LINE`` and the remedy."""

    def __init__(self, message: str, *, place: str | None = None, path: Path = ()) -> None:
        super().__init__([Problem(path, message, place or caller_place())])

    @classmethod
    def of(cls, problems: list[Problem]) -> ProgramError:
        """One error for everything that was found in one place."""
        error = cls("")
        WorkflowError.__init__(error, problems)
        return error


def caller() -> FrameType | None:
    """The innermost frame that is not the front end's own: the user's line."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and os.path.abspath(frame.f_code.co_filename).startswith(_HERE):
        frame = frame.f_back
    return frame


def caller_place() -> str | None:
    """The user's line as ``file.py:LINE``."""
    frame = caller()
    return None if frame is None else place(frame.f_code.co_filename, frame.f_lineno)


def code_place(code: CodeType) -> str:
    """Where a function begins (its first decorator, if it has one)."""
    return place(code.co_filename, code.co_firstlineno)


def place(file: str, line: int) -> str:
    """``file.py:LINE``; a file below the current folder is named from there."""
    try:
        inside = os.getcwd() + os.sep
    except OSError:
        inside = ""
    return f"{file.removeprefix(inside) if len(inside) > 1 else file}:{line}"
