"""What may be said about a step beyond what it runs: the fields of the document, as keyword arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypedDict

from flowcore.authoring.annotations import output_type
from flowcore.authoring.places import ProgramError
from flowcore.authoring.references import Expression, StepResult, condition
from flowcore.authoring.tracing import current
from flowcore.authoring.values import (
    boolean_of,
    choice_of,
    data_of,
    duration_of,
    env_of,
    integer_of,
    json_of,
    mapping_of,
    names_of,
    strings_of,
    text_of,
    value_of,
)
from flowcore.errors import Path
from flowcore.model import (
    Cache,
    Defaults,
    EnvFrom,
    Mount,
    Need,
    Output,
    Repeat,
    Retry,
    Volume,
)
from flowcore.names import nearest
from flowcore.syntax import Json

if TYPE_CHECKING:
    Duration = str | timedelta


class DefaultsOptions(TypedDict, total=False):
    """What every step of a workflow has unless it says otherwise."""

    image: Any
    timeout: Duration
    pending_timeout: Duration
    retry: Retry | int
    working_dir: str
    user: str | int
    image_pull_policy: str
    resources: Mapping[str, Any]
    requests: Mapping[str, Any]
    labels: Mapping[str, Any]
    annotations: Mapping[str, Any]
    node_selector: Mapping[str, Any]
    tolerations: Sequence[Mapping[str, Json]]


class StepOptions(DefaultsOptions, total=False):
    """The keyword arguments of ``flow.container``, ``flow.script`` and the like.

    ``needs`` takes steps or their names, in a list or as
    ``{step: "finished"}``; ``env`` takes text, ``flow.secret(name, key)`` and ``flow.config_map(name, key)``;
    ``outputs`` takes ``{"lines": int}``, ``{"file": Path}`` or ``flow.Output(...)``. The rest is as in the document.
    """

    description: str
    needs: Any
    when: Any
    foreach: Any
    repeat: Repeat
    outputs: Mapping[str, Any] | Sequence[str]
    stdout: str
    env: Mapping[str, Any]
    env_from: Sequence[EnvFrom]
    retry: Retry | int
    continue_on_failure: bool
    parallelism: int
    cache: Cache
    mounts: Mapping[str, Mount | str]
    backends: Mapping[str, Mapping[str, Json]]


class NamedStepOptions(StepOptions, total=False):
    """The keyword arguments of ``@flow.step`` and ``.options()``: ``name`` is the step's (default: its function's)."""

    name: str


# From what users write to the model, a row an option.


def _retry(value: object, path: Path) -> Retry:
    if isinstance(value, Retry):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Retry(value)
    raise ProgramError("write retry=2, or retry=flow.Retry(limit=2, ...)", path=path)


def instance_of(kind: type, hint: str) -> Callable[[object, Path], Any]:
    """A converter that takes only what ``hint`` makes."""

    def convert(value: object, path: Path) -> Any:
        if not isinstance(value, kind):
            raise ProgramError(f"write {path[-1]}={hint}, not {value!r}", path=path)
        return value

    return convert


def _needs(value: object, path: Path) -> dict[str, Need]:
    if isinstance(value, Mapping):
        found: dict[str, Need] = {}
        for step, status in value.items():
            found[_step_name(step, path)] = choice_of(
                status, ("met", "succeeded", "failed", "skipped", "finished"), path
            )
        return found
    if isinstance(value, (str, StepResult)):
        value = [value]
    if not isinstance(value, Iterable) or isinstance(value, Expression):
        raise ProgramError("needs takes steps, in a list or as {step: 'finished'}", path=path)
    return {_step_name(step, path): "met" for step in value}


def _step_name(step: object, path: Path) -> str:
    if isinstance(step, StepResult):
        trace = current()
        if step._owner is not trace and step._owner is not None:
            raise ProgramError(f"step {step.name} belongs to the workflow function {step._owner.name}", path=path)
        return step.name
    if isinstance(step, str):
        return data_of(step, path)
    raise ProgramError(f"needs takes steps or their names, not {step!r}", path=path)


def outputs_of(value: object, path: Path) -> dict[str, Output]:
    """Declared outputs: names alone are text."""
    if isinstance(value, (list, tuple)):
        value = {data_of(name, path): Output() for name in value}
    found = {}
    for name, kind in mapping_of(value, path).items():
        found[data_of(name, path)] = (
            kind
            if isinstance(kind, Output)
            else output_type(kind, lambda message, name=name: ProgramError(message, path=(*path, name)))  # type: ignore[misc]
        )
    return found


def _foreach(value: object, path: Path) -> Any:
    if isinstance(value, (Expression, list, tuple)):
        return value_of(value, path)
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)):
        return value_of(list(value), path)
    raise ProgramError(f"foreach takes a list, or a reference to one, not {value!r}", path=path)


def _env_from(value: object, path: Path) -> tuple[EnvFrom, ...]:
    if isinstance(value, EnvFrom):
        return (value,)
    items = tuple(value) if isinstance(value, Iterable) else (value,)
    for entry in items:
        if not isinstance(entry, EnvFrom):
            raise ProgramError("write env_from=[flow.secret(NAME)] or [flow.config_map(NAME)]", path=path)
    return items


def _mounts(value: object, path: Path) -> dict[str, Mount]:
    return {
        data_of(where, path): entry if isinstance(entry, Mount) else Mount(data_of(entry, path))
        for where, entry in mapping_of(value, path).items()
    }


def _objects(value: object, path: Path) -> tuple[Any, ...]:
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise ProgramError(f"{path[-1]} takes a list of dicts", path=path)
    return tuple(json_of(mapping_of(entry, path), path) for entry in value)


def backends_of(value: object, path: Path) -> dict[str, Any]:
    """What single backends alone read."""
    return {
        data_of(name, path): json_of(mapping_of(entry, path), (*path, name))
        for name, entry in mapping_of(value, path).items()
    }


def _pull_policy(value: object, path: Path) -> Any:
    return choice_of(value, ("always", "if-missing", "never"), path)


Convert = Callable[[object, Path], Any]

DEFAULTS: Final[dict[str, Convert]] = {
    "image": text_of,
    "timeout": duration_of,
    "pending_timeout": duration_of,
    "retry": _retry,
    "working_dir": data_of,
    "user": data_of,
    "image_pull_policy": _pull_policy,
    "resources": strings_of,
    "requests": strings_of,
    "labels": strings_of,
    "annotations": strings_of,
    "node_selector": strings_of,
    "tolerations": _objects,
}

STEP: Final[dict[str, Convert]] = {
    **DEFAULTS,
    "description": data_of,
    "needs": _needs,
    "when": lambda value, path: condition(value),
    "foreach": _foreach,
    "repeat": instance_of(Repeat, "flow.Repeat(until=..., max=...)"),
    "outputs": outputs_of,
    "stdout": data_of,
    "env": env_of,
    "env_from": _env_from,
    "continue_on_failure": boolean_of,
    "parallelism": integer_of,
    "cache": instance_of(Cache, "flow.Cache(key)"),
    "mounts": _mounts,
    "backends": backends_of,
}


def known_options(options: Mapping[str, Any], known: Iterable[str], what: str) -> None:
    """Refuse options that there are not.

    Raises:
        ProgramError: naming the nearest one.
    """
    names = list(known)
    for name in options:
        if name not in names:
            guess = nearest(name, names)
            raise ProgramError(
                f"{what} has no option {name!r}"
                + (f"; did you mean {guess!r}?" if guess else f" (it has {', '.join(names)})")
            )


def convert(options: Mapping[str, Any], table: Mapping[str, Convert], path: Path) -> dict[str, Any]:
    """Options as fields of the model; ``None`` is an option that is not given."""
    return {name: table[name](value, (*path, name)) for name, value in options.items() if value is not None}


def defaults_of(value: object, path: Path) -> Defaults:
    """What every step has, from a dict of options."""
    options = mapping_of(value, path)
    known_options(options, DEFAULTS, "defaults")
    return Defaults(**convert(options, DEFAULTS, path))


def volumes_of(value: object, path: Path) -> dict[str, Volume]:
    """Volumes by name."""
    return {
        data_of(name, path): instance_of(Volume, "flow.Volume(...)")(entry, (*path, name))
        for name, entry in mapping_of(value, path).items()
    }


def image_pull_secrets_of(value: object, path: Path) -> tuple[str, ...]:
    """Names of secrets."""
    return names_of([value] if isinstance(value, str) else value, path)
