"""Checks what is readable of a document whose form is wrong, so that a person gets everything in one go."""

from __future__ import annotations

from collections.abc import Iterable

from flowcore.checks.sites import sites
from flowcore.checks.workflows import check
from flowcore.errors import Path, Problem, WorkflowError
from flowcore.model import Workflow


def with_the_rest(error: WorkflowError) -> WorkflowError:
    """The error with what is also wrong in the parts that could be read.

    What may only follow from an unreadable part is left out: everything in it, in a step that names it, and the
    params or outputs that nobody can know then.
    """
    workflow = error.readable
    if not isinstance(workflow, Workflow):
        return error
    broken = [problem.path for problem in error.problems]
    doubtful = _doubtful(workflow, broken)
    more = [
        problem
        for problem in check(workflow)
        if problem.path[:2] not in doubtful and not any(_follows(problem.path, path) for path in broken)
    ]
    return WorkflowError(sorted([*error.problems, *more], key=_position))


_GROUPS = ("steps", "on_exit")
_WHAT_IT_IS = frozenset(
    {"command", "args", "script", "python", "workflow", "manifest", "image", "outputs", "foreach", "repeat"}
)
"""The keys of a step on which what is said of its others, and of its readers, may depend."""


def _follows(path: Path, broken: Path) -> bool:
    """Whether a problem may only be there because of a part that could not be read."""
    if not broken:
        return len(path) <= 1
    shorter = min(len(path), len(broken))
    return path[:shorter] == broken[:shorter]


def _doubtful(workflow: Workflow, broken: Iterable[Path]) -> set[Path]:
    """The steps of which not enough is known, and those that refer to such a step or to an unreadable param."""
    known = [path for path in broken if path]
    unclear = {path[:2] for path in known if path[0] in _GROUPS and (len(path) < 3 or path[2] in _WHAT_IT_IS)}
    unclear |= {path[:2] for path in known if path[0] == "params"}
    found: set[Path] = set()
    for group, steps in zip(_GROUPS, (workflow.steps, workflow.on_exit)):
        for name, step in steps.items():
            refs = [ref for site in sites(step) for ref in site.references()]
            named: set[Path] = {("steps", ref.step) for ref in refs if ref.kind == "output"}
            named |= {("params", ref.name) for ref in refs if ref.kind == "param"}
            named |= {("steps", need) for need in step.needs if need not in workflow.steps}
            if (group, name) in unclear or any(part in unclear or part[:1] in unclear for part in named):
                found.add((group, name))
    return found


def _position(problem: Problem) -> tuple[int, int]:
    """Line and column, where they are known."""
    parts = (problem.place or "").rsplit(":", 2)
    return (int(parts[1]), int(parts[2])) if len(parts) == 3 and parts[1].isdigit() and parts[2].isdigit() else (0, 0)
