"""The command line: reads flags, calls the facade, prints. Nothing is imported here before a command is known."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the scripts ``flow`` and ``flowcore`` end with what this returns.

    Args:
        argv: the arguments without the program's name; those of the process if None.

    Returns:
        0 succeeded, 1 the run failed or was cancelled, 2 wrong usage or a bad workflow, 3 the backend is out of
        reach, 70 a fault of flowcore or of a plugin, 130 interrupted.
    """
    from flowcore.cli.app import execute

    return execute(list(sys.argv[1:] if argv is None else argv))


def main_for(workflow: object, argv: Sequence[str] | None = None) -> NoReturn:
    """The same commands for one workflow, without the FILE argument; ``flow.main`` ends a Python program with it.

    Args:
        workflow: a Workflow, or anything whose attribute ``workflow`` is one.
        argv: the arguments without the program's name; those of the process if None.

    Raises:
        SystemExit: always, with the exit code that ``main`` describes.
    """
    from flowcore.cli.app import execute

    raise SystemExit(execute(list(sys.argv[1:] if argv is None else argv), workflow))
