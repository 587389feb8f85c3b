"""What the command line remembers from one call to the next: the last handle, and what lately started runs look like.

It lies in ``$XDG_STATE_HOME/flowcore`` (``~/.local/state/flowcore``). Losing it loses a convenience: ``@last``, and
the arrows of ``flow graph HANDLE``. A folder that cannot be written is therefore no error.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from flowcore.errors import FlowError, UsageError

if TYPE_CHECKING:
    from flowcore.model import Workflow
    from flowcore.runs import RunHandle

KEPT = 50
"""So many workflows are remembered; the oldest go."""
LARGEST = 2000
"""A workflow of more steps is not remembered: nobody could read its drawing."""


def folder() -> Path:
    """Where it lies."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "flowcore"


def remember(handle: RunHandle, workflow: Workflow | None = None) -> None:
    """Make this run ``@last``, and keep its workflow for drawings."""
    try:
        _write(folder() / "last", f"{handle}\n")
        if workflow is not None and len(workflow.steps) <= LARGEST:
            from flowcore.document import write_document

            _write(_kept(handle), write_document(workflow))
            files = sorted(_kept(handle).parent.iterdir(), key=lambda file: file.stat().st_mtime)
            for file in files[:-KEPT]:
                file.unlink(missing_ok=True)
    except (OSError, RuntimeError):
        pass


def last() -> str:
    """The handle that ``@last`` stands for.

    Raises:
        UsageError: if nothing was started yet.
    """
    try:
        text = (folder() / "last").read_text("utf-8").strip()
    except (OSError, RuntimeError):
        text = ""
    if not text:
        raise UsageError("@last: nothing was started from here yet; give the run's handle, as submit prints it")
    return text


def recall(handle: RunHandle) -> Workflow | None:
    """The workflow that a run was made of, if this user started it from this machine lately."""
    try:
        text = _kept(handle).read_text("utf-8")
    except (OSError, RuntimeError):
        return None
    from flowcore.document import read_document

    try:
        return read_document(text, "the remembered workflow")
    except FlowError:  # written by another version
        return None


def _kept(handle: RunHandle) -> Path:
    import hashlib

    return folder() / "workflows" / (hashlib.sha256(str(handle).encode()).hexdigest()[:24] + ".yaml")


def _write(file: Path, text: str) -> None:
    """All or nothing, and for the user's eyes only: a workflow may hold what a param's default says."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    draft.replace(file)
