"""What an attempt runs: a step's action with its values in place, as a program's arguments and environment."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import Factory, frozen

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
    Volume,
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
    kept: tuple[str, ...] = ()
    """How the places of artifacts begin."""
    folders: str = ""
    """Folder for secrets and config maps that steps see as folders."""
    volumes: Mapping[str, Volume] = Factory(dict)
    working_folder: Callable[[Step, str], str] = lambda step, work: working_folder(step, work)
    """The launcher's."""


def describe(unit: Unit, seq: int, bay: str, streams: str, find: Lookup, setting: Setting) -> Launch:
    """The attempt of a unit in a bay, its files written; its streams go to ``streams`` with ``.out`` and ``.err``.

    Raises:
        EvaluationError: if a value cannot be made.
        CannotStart: if the step is one that cannot run here.
    """
    step = unit.step
    outputs = f"{bay}/out"
    work = f"{bay}/work"
    artifacts: dict[str, None] = {}

    def lookup(ref: Ref) -> Json:
        if ref.kind == "own":
            return f"{outputs}/{ref.name}"
        try:
            value = find(ref)
        except MissingOutput as error:
            raise EvaluationError(f"steps.{error} has no value") from None
        artifacts.update(dict.fromkeys(_artifacts(value, setting.kept)))
        return value

    env = dict(setting.sources.env)
    env.update(_environment(unit, lookup, setting.sources))
    env["FLOW_RUN"] = setting.run_id
    env["FLOW_STEP"] = unit.origin
    env["FLOW_ATTEMPT"] = str(unit.attempts)
    env["FLOW_OUTPUTS"] = outputs
    argv, files = _argv(unit, bay, lookup, setting)
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
        work=setting.working_folder(step, work),
        outputs=outputs,
        stdout=f"{streams}.out",
        stderr=f"{streams}.err",
        memory=memory_limit(step),
        entry_point=isinstance(step.action, Container) and step.action.command is None,
        files=files,
        artifacts=tuple(artifacts),
        volumes=setting.volumes,
        folders=_folders(step, setting),
    )


def _artifacts(value: Json, kept: tuple[str, ...]) -> Iterator[str]:
    """The places of artifacts in a value."""
    if isinstance(value, str):
        if kept and value.startswith(kept):
            yield value
    elif isinstance(value, list):
        for entry in value:
            yield from _artifacts(entry, kept)
    elif isinstance(value, dict):
        for entry in value.values():
            yield from _artifacts(entry, kept)


def _folders(step: Step, setting: Setting) -> dict[str, str]:
    """Secrets and config maps that the step mounts, each as a folder that is there."""
    found: dict[str, str] = {}
    for mount in step.mounts.values():
        volume = setting.volumes[mount.volume]
        if volume.kind not in ("secret", "config_map"):
            continue
        table = setting.sources.secrets if volume.kind == "secret" else setting.sources.config_maps
        if volume.value not in table:
            raise CannotStart(f"there is no {volume.kind.replace('_', ' ')} {volume.value}", "secret")
        folder = found[mount.volume] = f"{setting.folders}/{mount.volume}"
        if not os.path.isdir(folder):
            # Whole under another name first: an earlier supervisor may have died while it wrote.
            new = f"{folder}.new"
            shutil.rmtree(new, ignore_errors=True)
            os.makedirs(new, 0o755)
            for key, text in table[volume.value].items():
                _write(f"{new}/{key}", text, 0o444)
            os.rename(new, folder)
    return found


def memory_limit(step: Step) -> int | None:
    """Bytes of memory that a step may use."""
    text = step.resources.get("memory")
    return int(parse_quantity(text)) if text is not None else None


def working_folder(step: Step, work: str) -> str:
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


def _argv(unit: Unit, bay: str, lookup: Lookup, setting: Setting) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """An attempt's command line, and the files that it names."""
    action: Any = unit.step.action
    if isinstance(action, Container):
        return tuple(resolve_text(text, lookup) for text in (*(action.command or ()), *action.args)), ()
    if isinstance(action, Script):
        file = _shared_file(setting.files, action.source)
        return (*action.interpreter, file, *(resolve_text(text, lookup) for text in action.args)), (file,)
    if isinstance(action, Python):
        args: dict[str, Any] = {name: resolve(value, lookup) for name, value in action.args.items()}
        file = f"{bay}/function.py"
        _write(
            file, function_script(Python(action.function, action.source, args), unit.step.outputs, unit.origin), 0o600
        )
        return (setting.python, file), (file,)
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
