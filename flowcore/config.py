"""Which backend a command uses, and with which options: flags, environment, project file, user file, in that order.

A file is called ``flowcore.yaml`` in a project (looked for from the working directory upward) and
``$XDG_CONFIG_HOME/flowcore/config.yaml`` for a user::

    profile: team                       # what is used when nobody says otherwise
    profiles:
      team: {backend: argo, namespace: ads}
    options:
      local: {parallelism: 4}           # for every use of this backend

The environment has FLOWCORE_BACKEND, FLOWCORE_PROFILE and FLOWCORE_OPTION_<NAME>. Each setting is looked up by itself:
the nearest source that has it wins.
"""

from __future__ import annotations

import collections.abc
import enum
import json
import math
import os
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
from attrs import Factory, field, frozen

from flowcore.errors import UsageError
from flowcore.syntax import Json

if TYPE_CHECKING:
    from flowcore.document import source as reader

DEFAULT_BACKEND = "local"
PROJECT_FILE = "flowcore.yaml"
_FILE_KEYS = ("backend", "profile", "profiles", "options")
_VARIABLE = "FLOWCORE_OPTION_"

T = TypeVar("T")


@frozen
class Setting:
    """One value of a file, a variable or a flag.

    ``spelling`` is how it was written, which is what an option that wants text gets: ``3.10`` stays ``3.10``.
    """

    value: Json
    place: str
    spelling: str | None = None


@frozen
class Source:
    """One file: what it says, each value with its place."""

    backend: Setting | None = None
    profile: Setting | None = None
    profiles: Mapping[str, Mapping[str, Setting]] = Factory(dict)
    options: Mapping[str, Mapping[str, Setting]] = Factory(dict)


@frozen
class Profile:
    """What was chosen: a backend and its options. ``name`` is None if no profile had a part in it."""

    name: str | None
    backend: str
    options: dict[str, Json]
    settings: Mapping[str, Setting] = field(factory=dict, repr=False)

    def make(self, options: type[T]) -> T:
        """The backend's options as an instance of its class.

        Raises:
            UsageError: if an option is unknown, missing or of the wrong type; it says where the option was given.
        """
        return _make(options, dict(self.settings), f"backend {self.backend}")


@frozen
class Config:
    """Everything that was configured outside flags; sources come nearest first."""

    sources: tuple[Source, ...] = ()
    backend: Setting | None = None
    """The environment's."""
    profile: Setting | None = None
    """The environment's."""
    options: Mapping[str, Setting] = Factory(dict)
    """The environment's."""

    def profiles(self) -> list[str]:
        """The names of all profiles, nearest source first."""
        return list(dict.fromkeys(name for source in self.sources for name in source.profiles))

    def select(
        self, backend: str | None = None, profile: str | None = None, options: Mapping[str, Json] | None = None
    ) -> Profile:
        """Choose the backend and gather its options; the arguments are what the command line or a program gave.

        A backend that is named wins over a profile of a source further away, unless that profile is of the same
        backend. Without any of them it is the local backend.

        Raises:
            UsageError: if there is no such profile, or if a profile and a backend given together do not agree.
        """
        given = [(_given(backend, "--backend"), _given(profile, "--profile")), (self.backend, self.profile)]
        given += [(source.backend, source.profile) for source in self.sources]
        chosen: str | None = None
        name: str | None = None
        for level_backend, level_profile in given:
            wanted = _name(level_backend)
            if level_profile is not None and name is None:
                candidate = str(level_profile.value)
                has = self._profile_backend(candidate, level_profile.place)
                if wanted is not None and has is not None and wanted != has:
                    raise UsageError(
                        f"{level_profile.place}: profile {candidate} is of backend {has}, not {wanted}; name one"
                    )
                if chosen is None or has in (None, chosen):
                    name = candidate
                    chosen = chosen or has
            chosen = chosen or wanted
        chosen = chosen or DEFAULT_BACKEND
        settings = self._settings(chosen, name)
        settings.update(self.options)
        for key, value in (options or {}).items():
            settings[_key(key)] = Setting(value, "")
        return Profile(name, chosen, {key: setting.value for key, setting in settings.items()}, settings)

    def _profile_backend(self, name: str, place: str) -> str | None:
        entries = [source.profiles[name] for source in self.sources if name in source.profiles]
        if not entries:
            known = self.profiles()
            hint = _nearest(name, known)
            what = (
                f"did you mean {hint}?" if hint else f"there is {', '.join(known)}" if known else "none is configured"
            )
            raise UsageError(f"{place}: no profile is called {name}; {what}")
        return next((_name(entry["backend"]) for entry in entries if "backend" in entry), None)

    def _settings(self, backend: str, profile: str | None) -> dict[str, Setting]:
        settings: dict[str, Setting] = {}
        for source in reversed(self.sources):
            for name, entry in source.options.items():
                if _backend_name(name) == backend:
                    settings.update(entry)
        for source in reversed(self.sources):
            entry = source.profiles.get(profile, {}) if profile is not None else {}
            if "backend" in entry and _name(entry["backend"]) != backend:
                # The same name stands for another backend in a source further away: its options mean nothing here.
                continue
            settings.update({key: value for key, value in entry.items() if key != "backend"})
        return settings


def load_config(cwd: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read the files and the environment.

    Raises:
        WorkflowError: if a file cannot be read or says something that is not known; every problem has its place.
    """
    sources = []
    for file in (_project_file(cwd or Path.cwd()), _user_file(environ)):
        if file is not None and file.is_file():
            from flowcore.document import text_of_file

            sources.append(read_source(text_of_file(file), _display(file, cwd or Path.cwd())))
    options = {
        _key(name[len(_VARIABLE) :]): Setting(value, name, value)
        for name, value in environ.items()
        if name.startswith(_VARIABLE) and len(name) > len(_VARIABLE)
    }
    backend, profile = environ.get("FLOWCORE_BACKEND"), environ.get("FLOWCORE_PROFILE")
    return Config(
        tuple(sources),
        _given(backend or None, "FLOWCORE_BACKEND"),
        _given(profile or None, "FLOWCORE_PROFILE"),
        options,
    )


def options_from(
    options: type[T], mapping: Mapping[str, Json], place: str = "", settings: Mapping[str, Setting] | None = None
) -> T:
    """Make a backend's options from plain data, checked by the types of the attrs class ``options``.

    Text is read as the type of its field: ``"4"`` for an integer, ``"30s"`` for a number of seconds, JSON for lists
    and mappings. ``place`` says in errors where the options came from; ``settings`` gives the place of each one.

    Raises:
        UsageError: with a line for each option that is unknown, missing or of the wrong type.
    """
    known = settings or {}
    return _make(options, {_key(k): known.get(_key(k)) or Setting(v, "") for k, v in mapping.items()}, place)


def option_fields(options: type) -> dict[str, attrs.Attribute[Any]]:
    """The options that a class has, by name."""
    return {attribute.name: attribute for attribute in attrs.fields(options) if attribute.init}


def option_type(options: type, name: str) -> str:
    """The type of an option as people read it."""
    return _type_text(_hints(options).get(name, Any))


# Files


def read_source(text: str, name: str) -> Source:
    """Read one configuration file from its text; ``name`` stands for it in errors.

    Raises:
        WorkflowError: with everything that is wrong, each with its place.
    """
    from flowcore.document import source as reader

    if all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines()):
        return Source()
    document = reader.Source.parse(text, name)
    root = document.root
    names: dict[str, Setting | None] = {"backend": None, "profile": None}
    groups: dict[str, dict[str, dict[str, Setting]]] = {"profiles": {}, "options": {}}
    if not isinstance(root, reader.Map):
        document.problem((), f"a configuration is a mapping with the keys {', '.join(_FILE_KEYS)}")
    elif "steps" in root and "profiles" not in root:
        document.problem(
            (),
            "this is a workflow, but a file of this name is a project's configuration; "
            "give the workflow another name, such as workflow.yaml",
        )
    else:
        for key, node in root.items():
            if key in names:
                names[key] = _setting(document, node)
                if not isinstance(node, str):
                    document.problem((key,), "want a name", getattr(node, "at", None))
            elif key in groups:
                groups[key] = _group(document, key, node)
            elif not key.startswith("x-"):
                hint = _nearest(key, _FILE_KEYS)
                what = f"did you mean {hint}?" if hint else f"known are {', '.join(_FILE_KEYS)}"
                document.problem((key,), f"unknown key; {what}")
    document.finish()
    return Source(names["backend"], names["profile"], groups["profiles"], groups["options"])


def _group(document: reader.Source, group: str, node: reader.Node) -> dict[str, dict[str, Setting]]:
    """The entries of ``profiles`` or ``options``: a mapping of settings for each name."""
    found: dict[str, dict[str, Setting]] = {}
    if not isinstance(node, dict):
        document.problem((group,), "want a mapping of names", getattr(node, "at", None))
        return found
    for name, entry in node.items():
        if isinstance(entry, dict):
            found[name] = {_key(key): _setting(document, value) for key, value in entry.items()}
            backend = entry.get("backend")
            if group == "profiles" and backend is not None and not isinstance(backend, str):
                document.problem((group, name, "backend"), "want a backend's name", getattr(backend, "at", None))
        elif getattr(entry, "value", entry) is None:
            found[name] = {}
        else:
            document.problem((group, name), "want a mapping of options", getattr(entry, "at", None))
    return found


def _setting(document: reader.Source, node: reader.Node) -> Setting:
    from flowcore.document.source import plain

    at = getattr(node, "at", None)
    spelling = node if isinstance(node, str) else getattr(node, "text", None)
    return Setting(plain(node), document.name if at is None else document.place(at), spelling)


def _project_file(cwd: Path) -> Path | None:
    here = cwd.absolute()
    return next((folder / PROJECT_FILE for folder in (here, *here.parents) if (folder / PROJECT_FILE).is_file()), None)


def _user_file(environ: Mapping[str, str]) -> Path | None:
    base = environ.get("XDG_CONFIG_HOME") or (f"{environ['HOME']}/.config" if environ.get("HOME") else "")
    return Path(base) / "flowcore" / "config.yaml" if base else None


def _display(file: Path, cwd: Path) -> str:
    here = cwd.absolute()
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)


def _given(value: str | None, place: str) -> Setting | None:
    return None if value is None else Setting(value, place, value)


def _name(setting: Setting | None) -> str | None:
    return None if setting is None else _backend_name(str(setting.value))


def _backend_name(name: str) -> str:
    return name.replace("_", "-")


def _key(name: str) -> str:
    return name.lower().replace("-", "_")


def _nearest(name: str, candidates: collections.abc.Iterable[str]) -> str | None:
    from flowcore.names import nearest

    return nearest(name, candidates)


# Options


def _hints(options: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(options)
    except NameError:  # a type that was imported for type checkers alone: it cannot be checked here
        return {}


def _make(options: type[T], settings: dict[str, Setting], owner: str) -> T:
    fields = option_fields(options)
    hints = _hints(options)
    problems: list[str] = []
    values: dict[str, Any] = {}
    prefix = f"{owner}: " if owner else ""
    for name, setting in settings.items():
        where = ": ".join(part for part in (setting.place, owner) if part)
        if name not in fields:
            hint = _nearest(name, fields)
            known = f"did you mean {hint}?" if hint else f"there is {', '.join(fields)}" if fields else "it has none"
            problems.append(f"{where}: no option is called {name}; {known}")
            continue
        try:
            values[fields[name].alias or name] = _convert(hints.get(name, Any), setting.value, setting.spelling)
        except ValueError as error:
            problems.append(f"{where}: option {name}: {error}")
    for name, attribute in fields.items():
        if attribute.default is attrs.NOTHING and name not in settings:
            problems.append(f"{prefix}option {name} is needed; give it in a profile or with -O {name}=...")
    if problems:
        raise UsageError("\n".join(problems))
    try:
        return options(**values)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{prefix}{error}") from error


def _convert(kind: Any, value: Json, spelling: str | None = None) -> Any:
    """``value`` as an instance of ``kind``; ValueError says what was wanted and found."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any or isinstance(kind, TypeVar | str):
        return value
    if origin in (typing.Union, types.UnionType):
        return _convert_union(kind, arguments, value, spelling)
    if origin is typing.Literal:
        if value not in arguments:
            raise ValueError(f"want one of {', '.join(map(str, arguments))}, found {_found(value)}")
        return value
    if kind in (bool, int, float, str, type(None)) or kind is Path:
        return _convert_scalar(kind, value, spelling)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        try:
            return kind(value)
        except ValueError:
            raise ValueError(f"want one of {', '.join(str(m.value) for m in kind)}, found {_found(value)}") from None
    container = origin or kind
    if isinstance(value, str):
        value = _json(value, _type_text(kind))
    if isinstance(container, type) and attrs.has(container):
        if not isinstance(value, dict):
            raise ValueError(f"want a mapping, found {_found(value)}")
        try:
            return options_from(container, value)
        except UsageError as error:
            raise ValueError(str(error)) from error
    if isinstance(container, type) and issubclass(container, collections.abc.Mapping):
        if not isinstance(value, dict):
            raise ValueError(f"want a mapping, found {_found(value)}")
        inner = arguments[1] if len(arguments) == 2 else Any
        return {key: _within(key, inner, item) for key, item in value.items()}
    if isinstance(container, type) and issubclass(container, collections.abc.Collection):
        if not isinstance(value, list):
            raise ValueError(f"want a list, found {_found(value)}")
        inner = arguments[0] if arguments else Any
        items = [_within(f"[{index}]", inner, item) for index, item in enumerate(value)]
        return items if container in (list, collections.abc.Sequence, collections.abc.Collection) else container(items)  # type: ignore[call-arg]
    return value


def _within(key: str, kind: Any, value: Json) -> Any:
    try:
        return _convert(kind, value)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _convert_union(kind: Any, arguments: tuple[Any, ...], value: Json, spelling: str | None) -> Any:
    if value is None and type(None) in arguments:
        return None
    # Text stays text where text is allowed; nothing is guessed then.
    if isinstance(value, str) and str in arguments:
        return value
    if value == "null" and type(None) in arguments:
        return None
    # An exact type first, so that 1 is not taken for text or a float where an integer is allowed.
    ordered = sorted(arguments, key=lambda argument: argument is not type(value))
    for argument in ordered:
        try:
            return _convert(argument, value, spelling)
        except ValueError as error:
            if len([a for a in arguments if a is not type(None)]) == 1 and argument is not type(None):
                raise ValueError(str(error)) from None
    raise ValueError(f"want {_type_text(kind)}, found {_found(value)}")


def _convert_scalar(kind: Any, value: Json, spelling: str | None) -> Any:
    if kind is type(None):
        if value is None:
            return None
        raise ValueError(f"want null, found {_found(value)}")
    if kind in (str, Path):
        if isinstance(value, str):
            return kind(value)
        if spelling is not None and isinstance(value, bool | int | float):
            return kind(spelling)
        raise ValueError(f"want text, found {_found(value)}")
    if kind is bool:
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return value == "true"
        raise ValueError(f"want true or false, found {_found(value)}")
    if kind is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str):
            try:
                return int(value)
            except ValueError:
                pass
        raise ValueError(f"want a whole number, found {_found(value)}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        return _seconds(value)
    raise ValueError(f"want a number, found {_found(value)}")


def _seconds(text: str) -> float:
    """A number, or a duration in seconds."""
    try:
        number = float(text)
    except ValueError:
        from flowcore.units import parse_duration

        return parse_duration(text)
    if not math.isfinite(number):
        raise ValueError(f"want a finite number, found {text}")
    return number


def _json(text: str, wanted: str) -> Json:
    try:
        data: Json = json.loads(text)
    except ValueError:
        raise ValueError(f"want {wanted} as JSON, found {text!r}") from None
    return data


def _found(value: Json) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return json.dumps(value, ensure_ascii=False)


_NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number or a duration",
    str: "text",
    Path: "a path",
    type(None): "null",
    Any: "anything",
}


def _type_text(kind: Any) -> str:
    if kind in _NAMES:
        return _NAMES[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type_text(argument) for argument in arguments if argument is not type(None))
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, arguments))
    container = origin or kind
    if isinstance(container, type) and (issubclass(container, collections.abc.Mapping) or attrs.has(container)):
        return "a mapping"
    if isinstance(container, type) and issubclass(container, enum.Enum):
        return "one of " + ", ".join(str(member.value) for member in container)
    return "a list"
