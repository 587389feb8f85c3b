"""Python programs as files: reading a workflow out of one, and giving one the command line."""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

from flowcore.authoring.places import ProgramError, place
from flowcore.authoring.workflows import WorkflowFunction
from flowcore.errors import FlowError, UsageError
from flowcore.model import Workflow

_LOADING: ContextVar[list[Any] | None] = ContextVar("flowcore_loading", default=None)


def load_program(path: str, name: str | None = None) -> Workflow:
    """Run a Python program and take a workflow that it defines.

    Without a name it is the one that the program gave to ``flow.main``, else the only one that it defines.

    Args:
        path: the program's file.
        name: the variable, or the workflow's name.

    Raises:
        UsageError: if the program cannot be read or fails, with its own exception as the cause; if there is no such
            workflow, or more than one.
    """
    if os.path.isdir(path):
        raise UsageError(f"{path} is a directory; give the Python program in it")
    if not os.path.exists(path):
        raise UsageError(f"{path}: there is no such file")
    mains: list[Any] = []
    token = _LOADING.set(mains)
    try:
        with _as_script(path):
            found = runpy.run_path(path, run_name="flow_program")
    except FlowError:
        raise
    except SyntaxError as error:
        raise _syntax_error(path, error) from error
    except OSError as error:
        if error.__traceback__ is not None and not _frames(error, path):
            raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
        raise _failed(path, error) from error
    except SystemExit as error:
        raise UsageError(
            f"{path}: the program ended itself (exit {error.code}) before its workflow was read; put that under "
            'if __name__ == "__main__"'
        ) from error
    except Exception as error:
        raise _failed(path, error) from error
    finally:
        _LOADING.reset(token)
    return _choose(path, name, found, mains)


def _choose(path: str, name: str | None, found: dict[str, Any], mains: list[Any]) -> Workflow:
    variables: dict[str, WorkflowFunction[Any] | Workflow] = {
        variable: value for variable, value in found.items() if isinstance(value, (WorkflowFunction, Workflow))
    }
    if name is not None:
        for variable, value in variables.items():
            if name in (variable, value.name):
                return _model(value)
        from flowcore.names import nearest

        guess = nearest(name, [*variables, *(value.name for value in variables.values())])
        raise UsageError(
            f"{path} has no workflow {name!r}"
            + (f"; did you mean {guess!r}?" if guess else f" (it has {', '.join(variables) or 'none'})")
        )
    if len(mains) == 1:
        return _model(mains[0])
    own = os.path.abspath(path)
    distinct = list({id(value): value for value in variables.values()}.values())
    here = [
        value
        for value in distinct
        if isinstance(value, WorkflowFunction) and os.path.abspath(value.function.__code__.co_filename) == own
    ]
    choices = here or distinct
    if len(choices) == 1:
        return _model(choices[0])
    if not choices:
        raise UsageError(f"{path} defines no workflow; decorate a function with @flow.workflow")
    names = [variable for variable, value in variables.items() if any(value is choice for choice in choices)]
    raise UsageError(
        f"{path} defines {len(choices)} workflows; say which: " + ", ".join(f"{path}:{variable}" for variable in names)
    )


def _model(value: Any) -> Workflow:
    found = getattr(value, "workflow", value)
    assert isinstance(found, Workflow)
    return found


@contextmanager
def _as_script(path: str) -> Iterator[None]:
    """The program sees what it would see as ``python path``: its folder on the import path, its own sys.argv."""
    folder = os.path.dirname(os.path.abspath(path))
    before = sys.argv
    sys.argv = [path]
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.argv = before
        if folder in sys.path:
            sys.path.remove(folder)


def _frames(error: BaseException, path: str) -> list[int]:
    """The lines of a program that an exception went through, outermost first."""
    own, lines = os.path.abspath(path), []
    trace = error.__traceback__
    while trace is not None:
        if os.path.abspath(trace.tb_frame.f_code.co_filename) == own:
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return lines


def _failed(path: str, error: BaseException) -> ProgramError:
    lines = _frames(error, path)
    text = str(error)
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return ProgramError(said, place=place(path, lines[-1]) if lines else path)


def _syntax_error(path: str, error: SyntaxError) -> ProgramError:
    file = error.filename or path
    where = place(file, error.lineno) if error.lineno else file
    if error.lineno and error.offset:
        where += f":{error.offset}"
    return ProgramError(f"{type(error).__name__}: {error.msg}", place=where)


def main(workflow: Any, argv: Sequence[str] | None = None) -> None:
    """Give the program the whole command line: ``python train.py run -p rows=10``, ``python train.py render``.

    Ends the process with the command's exit code. While ``flow run train.py`` reads the program, it only says which of
    the program's workflows is meant.

    Args:
        workflow: a function with ``@flow.workflow``, or a Workflow.
        argv: the command's words; default: the program's own.
    """
    mains = _LOADING.get()
    if mains is not None:
        mains.append(workflow)
        return
    _exit(workflow, argv)


def _exit(workflow: Any, argv: Sequence[str] | None) -> NoReturn:
    # By name: the command line stands above the front ends, and is loaded only by a program that uses it.
    command = importlib.import_module("flowcore.cli")
    sys.exit(command.main_for(workflow, None if argv is None else list(argv)))
