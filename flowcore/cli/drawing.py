"""The command that draws."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from flowcore.cli import text
from flowcore.cli.app import app_of, say
from flowcore.cli.options import HANDLE, Choice, common, load, profile_options
from flowcore.runs import RunHandle, Update

if TYPE_CHECKING:
    from flowcore.graph import Graph
    from flowcore.model import Workflow


@click.command()
@click.argument("file", metavar="FILE|HANDLE", type=click.Path(allow_dash=True))
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(["text", "mermaid", "svg"]),
    default="text",
    help="What to draw.  [default: text]",
)
@click.option("--run", "run_handle", type=HANDLE, metavar="HANDLE", help="Colour FILE with the phases of this run.")
@profile_options
@common
@click.pass_context
def graph(ctx: click.Context, form: str, run_handle: RunHandle | None, choice: Choice, file: str | None = None) -> None:
    """Draw a workflow, or a run with its phases.

    A run that was started elsewhere is drawn without arrows, as its backend keeps none; give its document beside it:
    flow graph FILE --run HANDLE
    """
    from flowcore.graph import graph_of, graph_of_run, mermaid, svg
    from flowcore.graph import text as text_drawing

    handle, workflow = run_handle, None
    if handle is None and file is not None and (file == "@last" or "://" in file):
        handle = HANDLE.convert(file, None, ctx)
    else:
        workflow = load(file)
        _require_right(workflow)
    update = choice.select(handle).poll(handle) if handle is not None else None
    if workflow is None and handle is not None:
        from flowcore.cli.memory import recall

        workflow = recall(handle)
    if workflow is not None:
        drawn = graph_of(workflow, update.steps if update else None, update.phase if update else None)
    else:
        assert update is not None
        say(f"note: the arrows are not known here; to see them: flow graph FILE --run {update.handle}")
        drawn = graph_of_run(update.workflow, update.steps, update.phase)
    if app_of(ctx).json:
        text.print_json(_as_data(drawn, update))
    elif form == "svg":
        click.echo(svg(drawn), nl=False)
    elif form == "mermaid":
        click.echo(mermaid(drawn), nl=False)
    else:
        import shutil

        columns = shutil.get_terminal_size((100, 24)).columns
        encoding = (sys.stdout.encoding or "ascii").lower()
        ascii_only = not encoding.startswith("utf") or os.environ.get("TERM") == "linux"
        click.echo(text_drawing(drawn, columns, ascii_only), nl=False)


def _require_right(workflow: Workflow) -> None:
    from flowcore.checks import check
    from flowcore.errors import WorkflowError

    problems = check(workflow)
    if problems:
        raise WorkflowError(problems)


def _as_data(graph: Graph, update: Update | None) -> dict[str, Any]:
    """The graph as data: every node with what it needs and its phase."""
    return {
        "workflow": graph.name,
        "handle": str(update.handle) if update is not None else None,
        "phase": graph.phase.value if graph.phase is not None else None,
        "steps": {
            node.name: {
                "kind": node.kind,
                "marks": list(node.marks),
                "needs": {edge.source: edge.word or "met" for edge in node.edges},
                "phase": node.phase.value if node.phase is not None else None,
            }
            for node in graph.walk()
        },
    }
