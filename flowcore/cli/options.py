"""The arguments and flags that several commands share, with their completion."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from attrs import frozen

from flowcore.cli.app import app_of
from flowcore.errors import UsageError
from flowcore.syntax import Json

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from flowcore.backend import Backend
    from flowcore.model import Workflow
    from flowcore.runs import RunHandle

F = TypeVar("F", bound=Callable[..., Any])


@frozen
class Choice:
    """What the flags said about the backend."""

    backend: str | None = None
    profile: str | None = None
    options: dict[str, Json] | None = None

    def select(self, handle: RunHandle | None = None) -> Backend:
        """The facade over the chosen backend; a handle says its backend itself."""
        from flowcore.backend import Backend

        return Backend.select(
            backend=handle.backend if handle is not None else self.backend, profile=self.profile, options=self.options
        )


if TYPE_CHECKING:
    _HandleBase = click.ParamType[RunHandle]
else:
    _HandleBase = click.ParamType  # older releases of click cannot be subscripted


class HandleType(_HandleBase):
    """A run's handle, or ``@last``."""

    name = "handle"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> RunHandle:
        """Read the handle; UsageError if it is none."""
        from flowcore.cli.memory import last
        from flowcore.runs import RunHandle

        if isinstance(value, RunHandle):
            return value
        return RunHandle.parse(last() if value == "@last" else value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """``@last`` and the runs that the configured backend lists."""
        from flowcore.cli.completion import handles

        return handles(incomplete)


HANDLE = HandleType()


def _set(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        if value:
            setattr(app_of(ctx), name, value in (True, "json"))

    return callback


def common(function: F) -> F:
    """``-o``, ``-v`` and ``--debug``, which all commands have."""
    result: Any = function
    result = click.option(
        "--debug", is_flag=True, expose_value=False, is_eager=True, callback=_set("debug"), help="Show tracebacks."
    )(result)
    result = click.option(
        "-v", "--verbose", is_flag=True, expose_value=False, callback=_set("verbose"), help="Say more on stderr."
    )(result)
    result = click.option(
        "-o",
        "--output",
        "answer_form",
        type=click.Choice(["text", "json"]),
        expose_value=False,
        callback=_set("json"),
        help="How the answer is written.  [default: text]",
    )(result)
    typed: F = result
    return typed


def _complete_backends(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from flowcore.cli.completion import backends

    return backends(incomplete)


def _complete_profiles(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from flowcore.cli.completion import profiles

    return profiles(incomplete)


def _complete_params(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from flowcore.cli.completion import params

    return params(incomplete)


def pairs(texts: tuple[str, ...], flag: str) -> dict[str, str]:
    """``k=v`` texts as a mapping; UsageError for one without ``=`` or given twice."""
    found: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise UsageError(f"{flag} {text}: want NAME=VALUE")
        if name in found:
            raise UsageError(f"{flag} {name} is given twice; give it once")
        found[name] = value
    return found


def profile_options(function: F) -> F:
    """``--profile`` and ``-O``, put together as ``choice``."""
    return _choice(function, with_backend=False)


def backend_options(function: F) -> F:
    """``-b``, ``--profile`` and ``-O``, put together as ``choice``."""
    return _choice(function, with_backend=True)


def _choice(function: F, with_backend: bool) -> F:
    import functools

    @functools.wraps(function)
    def wrapped(
        *args: Any, profile: str | None, option: tuple[str, ...], backend: str | None = None, **kwargs: Any
    ) -> Any:
        options: dict[str, Json] = dict(pairs(option, "-O"))
        name = backend.replace("_", "-") if backend is not None else None
        return function(*args, choice=Choice(name, profile, options or None), **kwargs)

    result: Any = wrapped
    result = click.option(
        "-O", "--option", multiple=True, metavar="NAME=VALUE", help="An option of the backend; may be repeated."
    )(result)
    result = click.option(
        "--profile", metavar="NAME", shell_complete=_complete_profiles, help="A profile of the configuration."
    )(result)
    if with_backend:
        result = click.option(
            "-b", "--backend", metavar="NAME", shell_complete=_complete_backends, help="Where it runs."
        )(result)
    typed: F = result
    return typed


def file_argument(function: F) -> F:
    """FILE: a document, ``PROGRAM.py``, ``PROGRAM.py:NAME`` or ``-``; not there in a program of one workflow."""
    return click.argument("file", type=click.Path(allow_dash=True), metavar="FILE")(function)


def params_option(function: F) -> F:
    """``-p``, as texts by name."""
    return click.option(
        "-p",
        "--param",
        multiple=True,
        metavar="NAME=VALUE",
        shell_complete=_complete_params,
        help="A param of the workflow: text for a string, JSON for others, @FILE to read it; may be repeated.",
    )(function)


def load(file: str | None) -> Workflow:
    """The workflow of FILE, or of the program that is running.

    Raises:
        UsageError: if there is no such file; WorkflowError with everything that is wrong in it.
    """
    context = click.get_current_context()
    own: Any = app_of(context).workflow
    if own is not None:
        workflow: Workflow = getattr(own, "workflow", own)
        return workflow
    from flowcore.cli.loading import load_file

    assert file is not None
    return load_file(file)


def load_params(workflow: Workflow, given: tuple[str, ...]) -> dict[str, Json]:
    """The values of ``-p``, typed by the workflow's params."""
    from flowcore.cli.loading import read_value
    from flowcore.lowering import params_from_text

    texts = {name: read_value(name, text) for name, text in pairs(given, "-p").items()}
    return params_from_text(workflow, texts)
