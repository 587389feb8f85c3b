"""What users build options from: ``flow.Output(int)``, ``flow.Retry(2)``, ``flow.secret("name", "key")``.

Each gives what the model holds, with durations and types read from the way that people write them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flowcore import model
from flowcore.authoring.annotations import output_type
from flowcore.authoring.places import ProgramError
from flowcore.authoring.references import condition
from flowcore.authoring.values import boolean_of, choice_of, data_of, duration_of, integer_of, json_of, text_of
from flowcore.syntax import Json

if TYPE_CHECKING:
    from flowcore.authoring.options import Duration


def Output(
    type: Any = model.STRING,
    *,
    default: Json | model.Missing = model.MISSING,
    artifact: bool = False,
    description: str = "",
) -> model.Output:
    """What a step leaves behind: ``flow.Output(int, default=0)``, or a file or folder: ``flow.Output(artifact=True)``.

    Args:
        type: ``int``, ``list[str]``, ``"integer"``, ``Path`` (an artifact)...
        default: the value when the step does not write it.
        artifact: whether it is a file or folder instead of a value.
        description: for people.
    """
    found = output_type(type, ProgramError)
    constant = default if default is model.MISSING else json_of(default, ("default",))
    return model.Output(found.type, constant, artifact or found.artifact, description)


def Param(type: Any = None, *, default: Any = model.MISSING, description: str = "") -> Any:
    """A param of a workflow: a default in a signature, or a value of ``params={...}``.

    ``def nightly(rows: int = flow.Param(default=1000, description="how many")): ...``

    Args:
        type: as for ``flow.Output``; default: the parameter's annotation, else the type of the default, else text.
        default: the value if none is given; without one the param is required.
        description: for people.
    """
    return ParamNote(type, default, description)


class ParamNote:
    """What ``flow.Param`` said, until the param's annotation is known."""

    def __init__(self, type: Any, default: Any, description: str) -> None:
        self.type = type
        self.default = default
        self.description = description


def Retry(limit: int, *, backoff: model.Backoff | None = None, only: Iterable[model.Retryable] = ()) -> model.Retry:
    """``limit`` more attempts after a failure.

    Args:
        limit: how many more.
        backoff: the wait before each; none by default.
        only: some of ``failed``, ``error``, ``timeout``; all by default.
    """
    kinds = (only,) if isinstance(only, str) else tuple(only)
    words = tuple(choice_of(kind, ("failed", "error", "timeout"), ("retry", "only")) for kind in kinds)
    return model.Retry(integer_of(limit, ("retry", "limit")), backoff, words)


def Backoff(initial: Duration, *, factor: int = 1, max: Duration | None = None) -> model.Backoff:
    """The wait before retry n: ``min(initial * factor ** (n - 1), max)``."""
    most = None if max is None else duration_of(max, ("backoff", "max"))
    return model.Backoff(duration_of(initial, ("backoff", "initial")), integer_of(factor, ("backoff", "factor")), most)


def Cache(key: Any, *, max_age: Duration | None = None) -> model.Cache:
    """Reuse the outputs of an earlier success under the same key.

    Args:
        key: text, which may hold references.
        max_age: how old that success may be.
    """
    return model.Cache(
        text_of(key, ("cache", "key")), None if max_age is None else duration_of(max_age, ("cache", "max_age"))
    )


def Repeat(*, until: Any, max: int, delay: Duration = "0s") -> model.Repeat:
    """Run the step again until a condition on its own outputs holds: ``until=flow.own("ready") == "yes"``.

    Args:
        until: the condition, asked after each success.
        max: how many iterations at most.
        delay: the wait between two.
    """
    return model.Repeat(condition(until), integer_of(max, ("repeat", "max")), duration_of(delay, ("repeat", "delay")))


def Volume(
    *,
    size: str | None = None,
    claim: str | None = None,
    host_path: str | None = None,
    secret: str | None = None,
    config_map: str | None = None,
    empty: bool = False,
) -> model.Volume:
    """A volume: exactly one of a new one of a size, a claim, a folder of the host, a secret, a config map, empty."""
    given = {
        "size": size,
        "claim": claim,
        "host_path": host_path,
        "secret": secret,
        "config_map": config_map,
        "empty": "" if empty else None,
    }
    found = [(kind, value) for kind, value in given.items() if value is not None]
    if len(found) != 1:
        raise ProgramError(f"a volume is exactly one of {', '.join(given)}; this one is {len(found)}")
    kind, value = found[0]
    return model.Volume(kind, data_of(value, ("volume", kind)))  # type: ignore[arg-type]


def Mount(volume: str, *, sub_path: str = "", read_only: bool = False) -> model.Mount:
    """A volume in a step's file tree: ``mounts={"/models": flow.Mount("models", read_only=True)}``."""
    return model.Mount(
        data_of(volume, ("volume",)), data_of(sub_path, ("sub_path",)), boolean_of(read_only, ("read_only",))
    )


def secret(name: str, key: str | None = None) -> Any:
    """The value of a secret's key, for ``env``; without a key the whole secret, for ``env_from``."""
    return model.EnvFrom("secret", name) if key is None else model.SecretKey(name, key)


def config_map(name: str, key: str | None = None) -> Any:
    """The value of a config map's key, for ``env``; without a key the whole map, for ``env_from``."""
    return model.EnvFrom("config_map", name) if key is None else model.ConfigMapKey(name, key)
