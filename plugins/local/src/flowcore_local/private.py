"""Secrets, config maps and the base environment: captured at submit into one file that is deleted at the run's end."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from flowcore.plugin import ConfigMapKey, Nested, RefusedError, SecretKey, Step, Workflow
from flowcore_local.action import Sources
from flowcore_local.options import EngineOptions

Table = Mapping[str, Mapping[str, Mapping[str, str]]]


def capture(workflow: Workflow, options: EngineOptions, environ: Mapping[str, str], base: tuple[str, ...]) -> Sources:
    """Everything that the workflow's steps may read, from where the options say it is.

    Raises:
        RefusedError: if a secret or config map that the workflow names is not there; names each.
    """
    secrets: dict[str, dict[str, str]] = {}
    config_maps: dict[str, dict[str, str]] = {}
    faults: list[str] = []
    for kind, name, key in sorted(set(_wanted(workflow))):
        given: Table = options.secrets if kind == "secret" else options.config_maps
        found = secrets if kind == "secret" else config_maps
        if name not in given:
            faults.append(_absent(kind, name))
            continue
        keys = [key] if key else list(given[name])
        for each in keys:
            if each not in given[name]:
                faults.append(f"the {_word(kind)} {name} has no key {each}; add it to {kind}s.{name} of the profile")
                continue
            try:
                found.setdefault(name, {})[each] = _value(given[name][each], environ)
            except _Unavailable as error:
                faults.append(f"the {_word(kind)} {name}, key {each}: {error}")
        found.setdefault(name, {})
    if faults:
        raise RefusedError("\n".join(faults))
    return Sources(base_environment(options, environ, base), secrets, config_maps)


def base_environment(options: EngineOptions, environ: Mapping[str, str], base: tuple[str, ...]) -> dict[str, str]:
    """The variables of the submitter that every step sees."""
    patterns = (*base, *options.pass_env)
    return {name: value for name, value in frozen(environ).items() if any(_fits(name, pattern) for pattern in patterns)}


def frozen(environ: Mapping[str, str]) -> dict[str, str]:
    """A copy of an environment that another thread may be changing."""
    values = [(name, environ.get(name)) for name in list(environ)]
    return {name: value for name, value in values if value is not None}


def _fits(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _word(kind: str) -> str:
    return kind.replace("_", " ")


def _absent(kind: str, name: str) -> str:
    return (
        f"nothing says where the {_word(kind)} {name} comes from; add it to the profile, as in "
        f"`{kind}s: {{{name}: {{KEY: {{env: VARIABLE}}}}}}`"
    )


class _Unavailable(Exception):
    pass


def _value(source: Mapping[str, str], environ: Mapping[str, str]) -> str:
    if "env" in source:
        value = environ.get(source["env"])
        if value is None:
            raise _Unavailable(f"the environment variable {source['env']} is not set")
        return value
    if "file" in source:
        try:
            return Path(source["file"]).expanduser().read_text(encoding="utf-8")
        except OSError as error:
            raise _Unavailable(f"{source['file']} cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            raise _Unavailable(f"{source['file']} is not UTF-8") from None
    if "value" in source:
        return source["value"]
    raise _Unavailable("say `env: VARIABLE` or `file: PATH`")


def _wanted(workflow: Workflow) -> Iterator[tuple[str, str, str]]:
    """Kind, name and key (empty: all) of every secret and config map that a workflow reads."""
    for value in workflow.env.values():
        yield from _of_value(value)
    for volume in workflow.volumes.values():
        if volume.kind == "secret" or volume.kind == "config_map":
            yield volume.kind, volume.value, ""
    for step in (*workflow.steps.values(), *workflow.on_exit.values()):
        yield from _of_step(step)


def _of_step(step: Step) -> Iterator[tuple[str, str, str]]:
    for value in step.env.values():
        yield from _of_value(value)
    for source in step.env_from:
        yield source.kind, source.name, ""
    if isinstance(step.action, Nested):
        yield from _wanted(step.action.workflow)


def _of_value(value: object) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, SecretKey):
        yield "secret", value.secret, value.key
    elif isinstance(value, ConfigMapKey):
        yield "config_map", value.config_map, value.key


def write(path: Path, sources: Sources) -> None:
    """Write the file, mode 0600 from its first moment."""
    data = {"env": sources.env, "secrets": sources.secrets, "config_maps": sources.config_maps}
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    # surrogateescape: the environment may hold bytes that are not UTF-8, and they reach the steps as they are.
    text = json.dumps(data).encode("ascii")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(text)
    new.replace(path)


def read(path: Path) -> Sources:
    """Read the file back."""
    data = json.loads(path.read_bytes())
    return Sources(data["env"], data["secrets"], data["config_maps"])
