"""The commands that need no run: lint and schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowcore.cli import text
from flowcore.cli.app import app_of, say
from flowcore.cli.options import Choice, backend_options, common, load, load_params, params_option
from flowcore.errors import FlowError, Problem, WorkflowError, path_text

if TYPE_CHECKING:
    from flowcore.backend import Backend


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(allow_dash=True), metavar="FILE...")
@params_option
@backend_options
@click.option("--validate", is_flag=True, help="With -b: ask the backend itself too, without starting anything.")
@common
@click.pass_context
def lint(
    ctx: click.Context, param: tuple[str, ...], choice: Choice, validate: bool, files: tuple[str, ...] = ()
) -> int:
    """Say everything that is wrong with workflows.

    With -b or --profile it also says what that backend cannot do. Nothing is printed for a workflow that is right.
    """
    backend = choice.select() if choice.backend or choice.profile or validate else None
    found = {name or app_of(ctx).program: _problems(name, param, backend, validate) for name in files or ("",)}
    if app_of(ctx).json:
        text.print_json(
            [
                {"file": name, "problems": [_problem_json(problem) for problem in problems]}
                for name, problems in found.items()
            ]
        )
    else:
        for problems in found.values():
            for problem in problems:
                click.echo(str(problem))
        if app_of(ctx).verbose:
            say("\n".join(f"{name}: {len(problems) or 'no'} problems" for name, problems in found.items()))
    return 2 if any(found.values()) else 0


def _problems(file: str, param: tuple[str, ...], backend: Backend | None, validate: bool) -> list[Problem]:
    from flowcore.checks import check

    try:
        workflow = load(file or None)
        problems = check(workflow)
        if problems or backend is None:
            return problems
        rendered = backend.render(workflow, load_params(workflow, param))
        if validate:
            backend.validate(rendered)
        return []
    except WorkflowError as error:
        return list(error.problems)
    except FlowError as error:
        if error.exit_code != 2:
            raise
        return [Problem((), str(error))]


def _problem_json(problem: Problem) -> dict[str, str | None]:
    return {"place": problem.place, "path": path_text(problem.path), "message": problem.message}


@click.command()
@common
def schema() -> None:
    """Print the JSON Schema of workflow documents, for editors and other tools."""
    from flowcore.document import schema as document_schema

    text.print_json(document_schema())
