"""The commands that take a workflow to a backend: run, submit, render, debug."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowcore.cli import text
from flowcore.cli.app import App, app_of, say
from flowcore.cli.options import Choice, backend_options, common, file_argument, load, load_params, params_option
from flowcore.runs import Phase, Update

if TYPE_CHECKING:
    from flowcore.backend import Backend
    from flowcore.runs import Rendered

key_option = click.option(
    "--key", metavar="TEXT", help="The same key and content give the first run again instead of a second one."
)


@click.command()
@file_argument
@params_option
@backend_options
@key_option
@common
@click.pass_context
def run(ctx: click.Context, param: tuple[str, ...], choice: Choice, key: str | None, file: str | None = None) -> int:
    """Run a workflow and follow it to its end.

    FILE is a document, a Python program (PROGRAM.py, or PROGRAM.py:NAME to pick one of several workflows), or - for a
    document on stdin. Ctrl-C cancels the run and waits for its end; a second one leaves at once. What happens is told
    on stderr; the run's outputs are printed on stdout.
    """
    from flowcore.cli.follow import Interrupts, follow
    from flowcore.cli.memory import remember
    from flowcore.cli.views import view

    app = app_of(ctx)
    workflow = load(file)
    backend = choice.select()
    rendered = backend.render(workflow, load_params(workflow, param))
    for note in rendered.notes:
        say(f"note: {note}")
    with Interrupts() as interrupts:
        handle = backend.submit(rendered, key)
        remember(handle, workflow)
        say(str(handle))
        update = follow(backend, handle, view(), interrupts)
        code = finish(app, backend, update)
        return 130 if interrupts.pressed.is_set() else code


@click.command()
@file_argument
@params_option
@backend_options
@key_option
@common
@click.pass_context
def submit(
    ctx: click.Context, param: tuple[str, ...], choice: Choice, key: str | None, file: str | None = None
) -> None:
    """Start a workflow and print its handle.

    The handle is what the other commands take, from this or any other machine; @last stands for it here.
    """
    from flowcore.cli.memory import remember

    app = app_of(ctx)
    workflow = load(file)
    backend = choice.select()
    rendered = backend.render(workflow, load_params(workflow, param))
    handle = backend.submit(rendered, key)
    remember(handle, workflow)
    if app.verbose:
        tell_notes(rendered)
    if app.json:
        text.print_json({"handle": str(handle), "backend": backend.name, "notes": list(rendered.notes)})
    else:
        click.echo(str(handle))


@click.command()
@file_argument
@params_option
@click.option("--role", is_flag=True, help="Print what you and the steps must be allowed to do there, instead.")
@backend_options
@common
@click.pass_context
def render(ctx: click.Context, param: tuple[str, ...], choice: Choice, role: bool, file: str | None = None) -> None:
    """Print a workflow in the backend's own words.

    This is what submit sends. Nothing is started, and no network is used. Fields that the backend has no use for are
    named in comments on top.
    """
    app = app_of(ctx)
    workflow = load(file)
    backend = choice.select()
    rendered = backend.render(workflow, load_params(workflow, param))
    if role:
        click.echo(backend.permissions(rendered), nl=False)
        return
    if app.verbose:
        tell_notes(rendered)
    if app.json:
        text.print_json(rendered_json(rendered))
    else:
        for note in rendered.notes:
            click.echo("\n".join(f"# {line}" for line in note.splitlines()))
        click.echo(rendered.text, nl=not rendered.text.endswith("\n"))


@click.command()
@file_argument
@params_option
@common
@click.pass_context
def debug(ctx: click.Context, param: tuple[str, ...], file: str | None = None) -> int:
    """Run it in this process, one step at a time, so that breakpoints work.

    Python functions are called here, on the local backend; timeouts, retries and parallelism are left out.
    """
    from flowcore.cli.follow import follow
    from flowcore.cli.memory import remember
    from flowcore.cli.views import view

    workflow = load(file)
    backend = Choice("local", None, {"debug": True}).select()
    rendered = backend.render(workflow, load_params(workflow, param))
    tell_notes(rendered)
    # A debugger talks on this terminal, so nothing may redraw it, and Ctrl-C is the debugger's.
    handle = backend.submit(rendered, None)
    remember(handle, workflow)
    update = follow(backend, handle, view(plain=True))
    return finish(app_of(ctx), backend, update)


def finish(app: App, backend: Backend, update: Update) -> int:
    """Tell how a run ended, print its answer, and give the exit code."""
    from flowcore.cli.follow import tell_failures

    tell_failures(backend, update.handle, update.steps)
    say(("\n" if update.phase is not Phase.SUCCEEDED else "") + text.verdict(update))
    if app.json:
        text.print_json(update.to_json())
    elif update.outputs:
        click.echo(text.outputs_text(update.outputs))
    return exit_code(update.phase)


def exit_code(phase: Phase) -> int:
    """What ``run`` and ``watch`` end with."""
    return 0 if phase is Phase.SUCCEEDED else 1


def tell_notes(rendered: Rendered) -> None:
    """What the backend will not honour, on stderr."""
    for note in rendered.notes:
        say(f"note: {note}")


def rendered_json(rendered: Rendered) -> dict[str, object]:
    """What was rendered, as data."""
    return {
        "backend": rendered.backend,
        "contract": rendered.contract,
        "name": rendered.name,
        "digest": rendered.digest,
        "text": rendered.text,
        "objects": [dict(item) for item in rendered.objects],
        "files": dict(rendered.files),
        "names": dict(rendered.names),
        "notes": list(rendered.notes),
    }
