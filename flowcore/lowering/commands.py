"""Functions become scripts, scripts become commands."""

from __future__ import annotations

from attrs import evolve

from flowcore.lowering.origins import map_steps
from flowcore.model import Container, Python, Script, Step, Workflow
from flowcore.shim import function_arguments, function_script


def functions_to_scripts(workflow: Workflow) -> Workflow:
    """Every Python step as a script that holds the function's source; args with references become its arguments."""
    return map_steps(workflow, function_to_script)


def function_to_script(origin: str, step: Step) -> Step:
    """A Python step as a script step; any other step as it is."""
    if not isinstance(step.action, Python):
        return step
    source = function_script(step.action, step.outputs, origin)
    return evolve(step, action=Script(source, ("python3",), function_arguments(step.action)))


_TAKE_TEXT = {"sh", "bash", "dash", "ash", "ksh", "zsh", "python3", "python"}
"""Interpreters that run a text given by ``-c``; the shells among them name it by the next word."""


def to_command(origin: str, step: Step) -> Step:
    """A Python or script step as a container step; any other step as it is."""
    return script_to_command(origin, function_to_script(origin, step))


def scripts_to_commands(workflow: Workflow) -> Workflow:
    """Every script as a command with the source as one argument: no platform needs files for it."""
    return map_steps(workflow, script_to_command)


def script_to_command(origin: str, step: Step) -> Step:
    """A script step as a container step; any other step as it is."""
    if not isinstance(step.action, Script):
        return step
    script = step.action
    program = script.interpreter[0].rpartition("/")[2]
    if program in _TAKE_TEXT:
        name = () if program.startswith("python") else (origin,)
        command = (*script.interpreter, "-c", script.source, *name)
    else:
        # This interpreter wants a file, so a shell makes one. Source and words are its arguments, never its code.
        count = len(script.interpreter)
        take = "".join(f"w{index}=$1; shift; " for index in range(count))
        words = " ".join(f'"$w{index}"' for index in range(count))
        text = f'f=$(mktemp) && printf %s "$1" >"$f" || exit 1; shift; {take}exec {words} "$f" "$@"'
        command = ("sh", "-c", text, "flow", script.source, *script.interpreter)
    return evolve(step, action=Container(command, script.args))
