"""The errors that people see: one sentence with the place, what was found, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve, frozen

Path = tuple["str | int", ...]
"""Where in a workflow: the keys from the document's root, such as ``("steps", "train", "when")``."""


def path_text(path: Path) -> str:
    """Write a path as people read it: ``steps.train.command[0]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


@frozen
class Problem:
    """One thing that is wrong with a workflow.

    ``path`` says where in the workflow; ``place`` is ``file:line:column`` (or ``file:line`` of a Python program) where
    that is known, else ``None``; ``message`` says what was found and what to do.
    """

    path: Path
    message: str
    place: str | None = None

    def __str__(self) -> str:
        where = " ".join(part for part in (self.place, path_text(self.path)) if part)
        return f"{where}: {self.message}" if where else self.message


def placed(problem: Problem, places: Mapping[Path, str]) -> Problem:
    """The problem with the place of the nearest part of its path that has one."""
    if problem.place is not None:
        return problem
    for length in range(len(problem.path), 0, -1):
        place = places.get(problem.path[:length])
        if place is not None:
            return evolve(problem, place=place)
    return problem


class FlowError(Exception):
    """Base of every error that is meant for people; ``exit_code`` is what the command line ends with."""

    exit_code = 70


class UsageError(FlowError):
    """The caller's mistake: a wrong flag, a missing file, a bad document, an unknown backend."""

    exit_code = 2


class WorkflowError(UsageError):
    """A workflow that is wrong; ``problems`` holds everything that was found, in the document's order.

    ``readable`` is what could be made of a document whose form is wrong: a workflow without the parts that have a
    problem, for checks of the rest and nothing else.
    """

    def __init__(self, problems: list[Problem], readable: object = None) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
        self.readable = readable


class UnreachableError(FlowError):
    """The backend did not answer."""

    exit_code = 3


class RefusedError(FlowError):
    """The backend answered, and said no: a missing permission, a conflict of keys, a quota."""

    exit_code = 2


class GoneError(FlowError):
    """The run that the handle names is not there any more: its ttl has passed, or somebody deleted it."""

    exit_code = 2


class PluginError(FlowError):
    """A backend's own fault: an exception that is none of the above, with the backend's name in front."""
