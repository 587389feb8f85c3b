"""The table of commands, and what every command does about errors."""

from __future__ import annotations

import copy
import importlib
import os
import sys
from collections.abc import Callable

import click
from attrs import define

from flowcore.errors import FlowError, WorkflowError

COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Run a workflow": {
        "run": ("running", "Run a workflow and follow it to its end."),
        "submit": ("running", "Start a workflow and print its handle."),
        "debug": ("running", "Run it in this process, one step at a time, so that breakpoints work."),
    },
    "Look at a workflow": {
        "lint": ("documents", "Say everything that is wrong with workflows."),
        "graph": ("drawing", "Draw a workflow, or a run with its phases."),
        "render": ("running", "Print a workflow in the backend's own words."),
        "schema": ("documents", "Print the JSON Schema of workflow documents."),
    },
    "Look at runs": {
        "ls": ("runs", "List runs."),
        "show": ("runs", "Show a run and its steps."),
        "watch": ("runs", "Follow a run to its end."),
        "poll": ("runs", "Ask once how a run is, or what is new."),
        "logs": ("runs", "Print what steps wrote."),
        "artifact": ("runs", "Copy a step's artifact here."),
    },
    "Change runs": {
        "cancel": ("runs", "Cancel a run."),
        "resume": ("runs", "Run the failed steps of a run again."),
        "delete": ("runs", "Forget runs with all that they left."),
    },
    "Set up": {
        "backends": ("setup", "List the backends that are installed."),
        "completion": ("setup", "Print the completion script of a shell."),
    },
}


@define
class App:
    """What holds for one call of the command line."""

    workflow: object = None
    """The workflow of a Python program that ends with ``flow.main``; None for the script ``flow``."""
    program: str = "flow"
    debug: bool = False
    verbose: bool = False
    json: bool = False


def app_of(context: click.Context) -> App:
    """The call's App, made on demand for contexts that completion builds."""
    root = context.find_root()
    if not isinstance(root.obj, App):
        root.obj = App()
    return root.obj


class Commands(click.Group):
    """A group whose commands are imported when they are called, and listed without being imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the help page."""
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; in a program of one workflow it takes no FILE."""
        entry = next((section[cmd_name] for section in COMMANDS.values() if cmd_name in section), None)
        if entry is None:
            return None
        command: click.Command = getattr(importlib.import_module(f"flowcore.cli.{entry[0]}"), cmd_name)
        if app_of(ctx).workflow is not None:
            command = copy.copy(command)
            command.params = [parameter for parameter in command.params if parameter.name not in ("file", "files")]
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one names the nearest."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            from flowcore.names import nearest

            hint = nearest(args[0], self.list_commands(ctx))
            what = f"did you mean {hint}?" if hint else f"see {app_of(ctx).program} --help"
            raise click.UsageError(f"no command is called {args[0]}; {what}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The help page's table, by what people want to do."""
        width = max(len(name) for name in self.list_commands(ctx))
        for title, section in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), text) for name, (_, text) in section.items()])


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from flowcore import __version__

        click.echo(f"flowcore {__version__}")
        ctx.exit()


def _debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    app_of(ctx).debug |= value


def _flag(name: str, callback: Callable[[click.Context, click.Parameter, bool], None], text: str) -> click.Option:
    return click.Option([name], is_flag=True, expose_value=False, is_eager=True, callback=callback, help=text)


def commands(program: str) -> Commands:
    """The root of all commands."""
    return Commands(
        program,
        help="Write a workflow once and run it anywhere: on this machine or on a backend that a plugin brings.",
        context_settings={"help_option_names": ["-h", "--help"]},
        params=[
            _flag("--version", _version, "Print the version."),
            _flag("--debug", _debug, "Show tracebacks."),
        ],
    )


def execute(arguments: list[str], workflow: object = None) -> int:
    """Run one command and turn whatever happens into an exit code and a sentence on stderr."""
    app = App(workflow, "flow" if workflow is None else os.path.basename(sys.argv[0]) or "program")
    root = commands(app.program)
    instruction = os.environ.get("_FLOW_COMPLETE") if workflow is None else None
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(root, {"obj": app}, "flow", "_FLOW_COMPLETE", instruction)
    try:
        try:
            with root.make_context(app.program, arguments or ["--help"], obj=app) as context:
                code = root.invoke(context)
            sys.stdout.flush()
            return code or 0
        except BrokenPipeError:
            raise
        except Exception as error:
            # What was printed before the error comes before it on the screen too.
            sys.stdout.flush()
            return _explain(app, error)
    except BrokenPipeError:
        # The reader has what it wanted (flow logs | head); nothing that Python still flushes at its end may complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except KeyboardInterrupt:
        if app.debug:
            _traceback()
        return 130


def _explain(app: App, error: Exception) -> int:
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.Abort):
        return 130
    if app.debug:
        _traceback()
    if isinstance(error, click.ClickException):
        hint = ""
        if isinstance(error, click.UsageError) and error.ctx is not None and error.ctx.parent is not None:
            hint = f"; see {error.ctx.command_path} --help"
        say(f"flow: {error.format_message().rstrip('.')}{hint}")
        return 2
    if isinstance(error, FlowError):
        say(str(error) if isinstance(error, WorkflowError) else f"flow: {error}")
        return error.exit_code
    again = "" if app.debug else "; run it again with --debug to see where"
    say(f"flow: internal error, {type(error).__name__}: {error}{again}")
    return 70


def say(text: str) -> None:
    """One piece of talk, on stderr."""
    try:
        click.echo(text, err=True)
    except BrokenPipeError:
        pass


def _traceback() -> None:
    import traceback

    traceback.print_exc()
