"""The commands that take a handle."""

from __future__ import annotations

import time

import click

from flowcore.cli import text
from flowcore.cli.app import app_of, say
from flowcore.cli.options import HANDLE, Choice, backend_options, common, profile_options
from flowcore.runs import RunHandle

handle_argument = click.argument("handle", type=HANDLE, metavar="HANDLE")


@click.command()
@handle_argument
@profile_options
@common
@click.pass_context
def watch(ctx: click.Context, handle: RunHandle, choice: Choice) -> int:
    """Follow a run to its end.

    Ctrl-C only stops watching; the run goes on.
    """
    from flowcore.cli.follow import follow
    from flowcore.cli.running import finish
    from flowcore.cli.views import view

    backend = choice.select(handle)
    try:
        update = follow(backend, handle, view())
    except KeyboardInterrupt:
        say(f"flow: the run goes on; watch it again with: {app_of(ctx).program} watch {handle}")
        return 130
    return finish(app_of(ctx), backend, update)


@click.command()
@handle_argument
@click.option("--since", default="", metavar="CURSOR", help="Only what changed since the poll that gave this cursor.")
@click.option("--logs", is_flag=True, help="Log lines too: those since the cursor.")
@profile_options
@common
@click.pass_context
def poll(ctx: click.Context, handle: RunHandle, since: str, logs: bool, choice: Choice) -> None:
    """Ask once how a run is, or what is new.

    With -o json the answer has a cursor; give it back with --since to get only what happened after it.
    """
    update = choice.select(handle).poll(handle, since, logs)
    if app_of(ctx).json:
        text.print_json(update.to_json())
        return
    for line in update.logs:
        click.echo(text.log_text(line, prefix=True))
    if update.steps:
        click.echo(text.step_table(update.steps, time.time()))
    click.echo(text.verdict(update))


@click.command()
@handle_argument
@profile_options
@common
@click.pass_context
def show(ctx: click.Context, handle: RunHandle, choice: Choice) -> None:
    """Show a run and its steps."""
    update = choice.select(handle).poll(handle)
    if app_of(ctx).json:
        text.print_json(update.to_json())
        return
    facts = [
        ("run", str(handle)),
        ("workflow", update.workflow),
        ("phase", ": ".join(part for part in (update.phase.value, update.reason, update.message) if part)),
        ("started", text.moment(update.started)),
        ("took", text.span(update.started, update.finished, time.time()) or "-"),
        ("steps", text.counts(update.steps[name] for name in text.leaves(update.steps))),
    ]
    click.echo(text.table(facts))
    click.echo("\n" + text.step_table(update.steps, time.time()))
    if update.outputs:
        click.echo("\n" + text.outputs_text(update.outputs))


@click.command()
@handle_argument
@click.option("-f", "--follow", is_flag=True, help="Go on until the run is over.")
@click.option("--step", metavar="STEP", help="Only this step, with its items or inner steps.")
@click.option("-t", "--timestamps", is_flag=True, help="Put the time in front of each line.")
@profile_options
@common
@click.pass_context
def logs(
    ctx: click.Context, handle: RunHandle, follow: bool, step: str | None, timestamps: bool, choice: Choice
) -> None:
    """Print what steps wrote.

    With -o json each line is an object on a line of its own.
    """
    from flowcore.wire import log_json

    backend = choice.select(handle)
    if step is not None and not follow:
        _known_step(step, list(backend.poll(handle).steps))
    as_json = app_of(ctx).json
    for line in backend.logs(handle, step=step, follow=follow):
        if as_json:
            click.echo(text.json_text(log_json(line)))
        else:
            click.echo(text.log_text(line, prefix=line.step != step, times=timestamps))


def _known_step(step: str, names: list[str]) -> None:
    if step not in names:
        from flowcore.names import nearest

        hint = nearest(step, names)
        what = f"did you mean {hint}?" if hint else f"it has {', '.join(names[:10])}"
        raise click.UsageError(f"--step {step}: the run has no such step; {what}")


@click.command()
@handle_argument
@click.argument("step")
@click.argument("output")
@click.argument("target", required=False, type=click.Path())
@profile_options
@common
@click.pass_context
def artifact(ctx: click.Context, handle: RunHandle, step: str, output: str, target: str | None, choice: Choice) -> None:
    """Copy a step's artifact here.

    STEP and OUTPUT are the document's names. TARGET is the file or folder to make; without it, OUTPUT in the working
    directory. Its path is printed.
    """
    place = choice.select(handle).artifact(handle, step, output, target or output)
    if app_of(ctx).json:
        text.print_json({"path": place})
    else:
        click.echo(place)


@click.command()
@click.option("-n", "--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N.")
@backend_options
@common
@click.pass_context
def ls(ctx: click.Context, limit: int | None, choice: Choice) -> None:
    """List runs, the newest first."""
    from flowcore.wire import summary_json

    rows = list(choice.select().list_runs())[:limit]
    if app_of(ctx).json:
        text.print_json([summary_json(row) for row in rows])
        return
    if not rows:
        say("no runs")
        return
    now = time.time()
    cells = [
        (
            str(row.handle),
            row.workflow,
            row.phase.value,
            text.moment(row.started),
            text.span(row.started, row.finished, None if row.phase.ended else now),
        )
        for row in rows
    ]
    click.echo(text.table(cells, ("HANDLE", "WORKFLOW", "PHASE", "STARTED", "TIME")))


@click.command()
@handle_argument
@click.option("--now", is_flag=True, help="End on_exit steps too, without grace.")
@profile_options
@common
@click.pass_context
def cancel(ctx: click.Context, handle: RunHandle, now: bool, choice: Choice) -> None:
    """Cancel a run.

    Returns once the backend has taken note; running steps get their time to end, and on_exit steps run. A run that
    ended already stays as it is.
    """
    choice.select(handle).cancel(handle, now)
    if app_of(ctx).json:
        text.print_json({"handle": str(handle)})


@click.command()
@click.argument("handle", type=HANDLE, metavar="HANDLE...", nargs=-1, required=True)
@profile_options
@common
@click.pass_context
def delete(ctx: click.Context, handle: tuple[RunHandle, ...], choice: Choice) -> None:
    """Forget runs with all that they left: records, logs and artifacts."""
    for one in handle:
        choice.select(one).delete(one)
    if app_of(ctx).json:
        text.print_json([{"handle": str(one)} for one in handle])


@click.command()
@handle_argument
@profile_options
@common
@click.pass_context
def resume(ctx: click.Context, handle: RunHandle, choice: Choice) -> None:
    """Run the failed steps of a run again.

    What succeeded is kept. The handle to follow is printed.
    """
    from flowcore.cli.memory import recall, remember

    again = choice.select(handle).resume(handle)
    remember(again, recall(handle))
    if app_of(ctx).json:
        text.print_json({"handle": str(again)})
    else:
        click.echo(str(again))
