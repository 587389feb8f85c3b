"""The commands about the installation: backends and completion."""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Any

import click

from flowcore.cli import text
from flowcore.cli.app import app_of
from flowcore.cli.options import Choice, common, profile_options
from flowcore.errors import FlowError

if TYPE_CHECKING:
    from flowcore.registry import Plugin


@click.command()
@click.argument("name", required=False)
@click.option("--check", is_flag=True, help="Try each one: are its options right, does it answer?")
@profile_options
@common
@click.pass_context
def backends(ctx: click.Context, name: str | None, check: bool, choice: Choice) -> int:
    """List the backends that are installed.

    With NAME only that one, with its capabilities, limits and options. A broken one is listed with what is wrong.
    """
    from flowcore.registry import canonical, installed, load

    found = installed()
    if name is not None:
        found = [plugin for plugin in found if plugin.name == canonical(name)]
        if not found:
            load(name)  # says what to install
    rows = [_describe(plugin, check, choice) for plugin in found]
    if app_of(ctx).json:
        text.print_json(rows)
    elif name is not None:
        click.echo("\n\n".join(_page(row) for row in rows))
    elif rows:
        cells = [(row["name"], row["distribution"], row["version"], _state(row)) for row in rows]
        click.echo(text.table(cells, ("BACKEND", "PACKAGE", "VERSION", "STATE")))
    else:
        click.echo('no backend is installed; run: pip install "flowcore[local]"')
    return max((row["exit_code"] for row in rows), default=0) if check else 0


def _describe(plugin: Plugin, check: bool, choice: Choice) -> dict[str, Any]:
    """What is known of one backend; whatever goes wrong in it is its state, and no other's."""
    from flowcore.registry import load

    row: dict[str, Any] = {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "value": plugin.value,
        "state": "ok",
        "message": None,
        "exit_code": 0,
        "capabilities": None,
        "limits": None,
        "options": None,
    }
    try:
        row["options"] = _options(load(plugin.name).Options)
        row["state"] = "misconfigured"
        backend = Choice(plugin.name, choice.profile, choice.options).select()
        row["capabilities"] = sorted(backend.capabilities)
        row["limits"] = dict(backend.limits)
        row["state"] = "ok"
        if check:
            row["state"] = "unreachable"
            backend.probe()
            row["state"] = "ok"
    except FlowError as error:
        row["state"] = row["state"] if row["options"] is not None else "broken"
        row["message"], row["exit_code"] = str(error), error.exit_code
    except Exception as error:
        row["state"], row["exit_code"] = "broken", 70
        row["message"] = f"{type(error).__name__}: {error}"
    return row


def _options(options: type) -> dict[str, dict[str, Any]]:
    """A backend's options as its class declares them, described by the texts below its fields."""
    import attrs

    from flowcore.config import option_fields, option_type

    texts = _texts(options)
    described = {}
    for name, field in option_fields(options).items():
        default = field.default
        if default is not None and hasattr(default, "takes_self"):  # an attrs Factory
            default = None if default.takes_self else default.factory()
        required = default is attrs.NOTHING
        plain = default if isinstance(default, bool | int | float | str) or default is None else _plain(default)
        described[name] = {
            "type": option_type(options, name),
            "required": required,
            "default": None if required else plain,
            "description": field.metadata.get("help", "") or texts.get(name, ""),
        }
    return described


def _texts(options: type) -> dict[str, str]:
    """The string below each field, inherited ones too, in one line; nothing where there is no source."""
    texts: dict[str, str] = {}
    for cls in reversed(options.__mro__[:-1]):
        texts |= _own_texts(cls)
    return texts


def _own_texts(options: type) -> dict[str, str]:
    import ast
    import inspect
    import textwrap

    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(options)))
    except (OSError, TypeError, SyntaxError):
        return {}
    body = next((node.body for node in tree.body if isinstance(node, ast.ClassDef)), [])
    texts = {}
    for field, below in itertools.pairwise(body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            texts[field.target.id] = " ".join(str(below.value.value).replace("``", "").split())
    return texts


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)


def _state(row: dict[str, Any]) -> str:
    return row["state"] if row["message"] is None else f"{row['state']}: {row['message']}"


def _page(row: dict[str, Any]) -> str:
    import json

    from flowcore.capabilities import CAPABILITIES

    lines = [f"{row['name']}  ({row['distribution']} {row['version']})  {_state(row)}"]
    if row["options"]:
        lines += ["", "options:"]
        cells = []
        for name, option in row["options"].items():
            default = "needed" if option["required"] else json.dumps(option["default"], ensure_ascii=False)
            cells.append((f"  {name}", option["type"], default, option["description"]))
        lines.append(text.table(cells))
    if row["limits"]:
        lines += ["", "limits:", text.table([(f"  {name}", str(value)) for name, value in row["limits"].items()])]
    if row["capabilities"] is not None:
        can = [(f"  {name}", CAPABILITIES.get(name, "")) for name in CAPABILITIES if name in row["capabilities"]]
        cannot = [name for name in CAPABILITIES if name not in row["capabilities"]]
        lines += ["", "capabilities:", text.table(can)] if can else []
        lines += ["", f"lowered or refused: {', '.join(cannot)}"] if cannot else []
    return "\n".join(lines)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@common
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    For bash, put this into ~/.bashrc: eval "$(flow completion bash)"; for zsh the same in ~/.zshrc; for fish:
    flow completion fish > ~/.config/fish/completions/flow.fish
    """
    from click.shell_completion import get_completion_class

    if app_of(ctx).workflow is not None:
        raise click.UsageError("completion is for the command flow; run: flow completion " + shell)
    kind = get_completion_class(shell)
    assert kind is not None
    script = (
        kind(ctx.find_root().command, {}, "flow", "_FLOW_COMPLETE").source_template
        % kind(ctx.find_root().command, {}, "flow", "_FLOW_COMPLETE").source_vars()
    )
    if app_of(ctx).json:
        text.print_json({"shell": shell, "script": script})
    else:
        click.echo(script)
    sys.stdout.flush()
