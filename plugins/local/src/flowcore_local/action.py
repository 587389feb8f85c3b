"""What an attempt runs: a step's action with its values in place, as a program's arguments and environment."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from flowcore.plugin import (
    ConfigMapKey,
    Container,
    EvaluationError,
    Json,
    Python,
    Ref,
    Script,
    SecretKey,
    Step,
    function_script,
    parse_quantity,
    resolve,
    resolve_text,
)
from flowcore_local.launcher import CannotStart, Launch
from flowcore_local.scheduler import Lookup, MissingOutput, Unit


@frozen
class Sources:
    """Where values come from that no workflow holds: the base environment, secrets and config maps."""

    env: Mapping[str, str]
    secrets: Mapping[str, Mapping[str, str]]
    config_maps: Mapping[str, Mapping[str, str]]


@frozen
class Setting:
    """What all attempts of a run share."""

    run_id: str
    python: str
    files: str
    """Folder for scripts."""
    sources: Sources


def describe(unit: Unit, seq: int, bay: str, streams: str, find: Lookup, setting: Setting) -> Launch:
    """The attempt of a unit in a bay, its files written; its streams go to ``streams`` with ``.out`` and ``.err``.

    Raises:
        EvaluationError: if a value cannot be made.
        CannotStart: if the step is one that cannot run here.
    """
    step = unit.step
    outputs = f"{bay}/out"
    work = f"{bay}/work"

    def lookup(ref: Ref) -> Json:
        if ref.kind == "own":
            return f"{outputs}/{ref.name}"
        try:
            return find(ref)
        except MissingOutput as error:
            raise EvaluationError(f"steps.{error} has no value") from None

    env = dict(setting.sources.env)
    env.update(_environment(unit, lookup, setting.sources))
    env["FLOW_RUN"] = setting.run_id
    env["FLOW_STEP"] = unit.origin
    env["FLOW_ATTEMPT"] = str(unit.attempts)
    env["FLOW_OUTPUTS"] = outputs
    argv = _argv(unit, bay, lookup, setting)
    for word in (*argv, *env.values()):
        if "\0" in word:
            raise CannotStart("an argument or environment value holds a NUL character, which no process can be given")
    return Launch(
        seq=seq,
        origin=unit.origin,
        step=step,
        image=resolve_text(step.image, lookup) if step.image is not None else None,
        argv=argv,
        env=env,
        folder=bay,
        work=_working_folder(step, work),
        outputs=outputs,
        stdout=f"{streams}.out",
        stderr=f"{streams}.err",
        memory=memory_limit(step),
    )


def memory_limit(step: Step) -> int | None:
    """Bytes of memory that a step may use."""
    text = step.resources.get("memory")
    return int(parse_quantity(text)) if text is not None else None


def _working_folder(step: Step, work: str) -> str:
    if step.working_dir is None:
        return work
    place = os.path.normpath(os.path.join(work, step.working_dir))
    if place.startswith(work):
        os.makedirs(place, 0o700, exist_ok=True)
    elif not os.path.isdir(place):
        raise CannotStart(f"there is no folder {step.working_dir} on this machine (working_dir)")
    return place


def _environment(unit: Unit, lookup: Lookup, sources: Sources) -> dict[str, str]:
    found: dict[str, str] = {}
    for source in unit.step.env_from:
        table = sources.secrets if source.kind == "secret" else sources.config_maps
        if source.name not in table:
            raise CannotStart(f"there is no {source.kind.replace('_', ' ')} {source.name}", "secret")
        found.update(table[source.name])
    values = {**unit.scope.workflow.env, **unit.step.env}
    for name, value in values.items():
        if isinstance(value, SecretKey):
            found[name] = _key(sources.secrets, "secret", value.secret, value.key)
        elif isinstance(value, ConfigMapKey):
            found[name] = _key(sources.config_maps, "config map", value.config_map, value.key)
        else:
            found[name] = resolve_text(value, lookup)
    return found


def _key(table: Mapping[str, Mapping[str, str]], kind: str, name: str, key: str) -> str:
    try:
        return table[name][key]
    except KeyError:
        raise CannotStart(f"there is no {kind} {name} with a key {key}", "secret") from None


def _argv(unit: Unit, bay: str, lookup: Lookup, setting: Setting) -> tuple[str, ...]:
    action: Any = unit.step.action
    if isinstance(action, Container):
        return tuple(resolve_text(text, lookup) for text in (*(action.command or ()), *action.args))
    if isinstance(action, Script):
        file = _shared_file(setting.files, action.source)
        return (*action.interpreter, file, *(resolve_text(text, lookup) for text in action.args))
    if isinstance(action, Python):
        args: dict[str, Any] = {name: resolve(value, lookup) for name, value in action.args.items()}
        file = f"{bay}/function.py"
        _write(
            file, function_script(Python(action.function, action.source, args), unit.step.outputs, unit.origin), 0o600
        )
        return (setting.python, file)
    raise CannotStart(f"a {type(action).__name__.lower()} cannot run as a process")


def function_program(unit: Unit, action: Python, lookup: Lookup) -> str:
    """The program that calls a Python step's function, its args in place."""
    args: dict[str, Any] = {name: resolve(value, lookup) for name, value in action.args.items()}
    return function_script(Python(action.function, action.source, args), unit.step.outputs, unit.origin)


def _shared_file(folder: str, text: str) -> str:
    """A file with a script's text, shared by all attempts that run it; nobody may write to it."""
    data = text.encode("utf-8")
    place = f"{folder}/{hashlib.sha256(data).hexdigest()[:32]}"
    if not os.path.exists(place):
        # Whole under another name first: an earlier supervisor may have died while it wrote.
        _write(place + ".new", text, 0o500)
        os.replace(place + ".new", place)
    return place


def _write(place: str, text: str, mode: int) -> None:
    try:
        os.unlink(place)
    except FileNotFoundError:
        pass
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(descriptor, "wb") as file:
        file.write(text.encode("utf-8"))
