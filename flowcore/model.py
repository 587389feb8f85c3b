"""What a workflow is: frozen attrs classes, data only.

The same classes hold a workflow as it was written and as it is handed to a backend, where it is *bound* (no params
left) and *lowered* (nothing left that the backend did not declare). Durations are seconds. Mappings keep the
document's order.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final
from typing import Literal as OneOf

from attrs import Factory, field, frozen

from flowcore.errors import Path
from flowcore.syntax import Expr, Json, Text, Value


class Missing(enum.Enum):
    """The type of ``MISSING``, which stands where no value is (``None`` is a value: JSON's null)."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING

TypeName = OneOf["string", "integer", "number", "boolean", "list", "object", "any"]


@frozen
class Type:
    """A type of the expression language; ``items`` is a list's element type (``None``: any)."""

    name: TypeName
    items: Type | None = None

    def __str__(self) -> str:
        return f"list of {self.items}" if self.items else self.name


STRING: Final = Type("string")
INTEGER: Final = Type("integer")
NUMBER: Final = Type("number")
BOOLEAN: Final = Type("boolean")
LIST: Final = Type("list")
OBJECT: Final = Type("object")
ANY: Final = Type("any")


@frozen
class Param:
    """A parameter of a workflow; required if it has no default."""

    type: Type = STRING
    default: Json | Missing = MISSING
    description: str = ""


@frozen
class Output:
    """What a step leaves behind: a value (the text of a file, typed) or an artifact (a file or a folder)."""

    type: Type = STRING
    default: Json | Missing = MISSING
    artifact: bool = False
    description: str = ""


@frozen
class SecretKey:
    """The value of one key of a secret; secrets are named, never held."""

    secret: str
    key: str


@frozen
class ConfigMapKey:
    """The value of one key of a config map."""

    config_map: str
    key: str


EnvValue = Text | SecretKey | ConfigMapKey


@frozen
class EnvFrom:
    """Every key of a secret or a config map as an environment variable."""

    kind: OneOf["secret", "config_map"]
    name: str


@frozen
class Backoff:
    """The wait before retry ``n``: ``min(initial * factor ** (n - 1), max)`` seconds."""

    initial: float
    factor: int = 1
    max: float | None = None

    def delay(self, retry: int) -> float:
        """Seconds to wait before retry number ``retry`` (from 1)."""
        # A float power overflows with an exception long before anyone would wait that long.
        wait: float = self.initial * float(self.factor) ** min(retry - 1, 64)
        return wait if self.max is None else min(wait, self.max)


Retryable = OneOf["failed", "error", "timeout"]


@frozen
class Retry:
    """``limit`` more attempts; ``only`` narrows what is tried again (empty: failed, error and timeout)."""

    limit: int
    backoff: Backoff | None = None
    only: tuple[Retryable, ...] = ()


@frozen
class Cache:
    """Reuse the outputs of an earlier success under ``key``, if it is not older than ``max_age`` seconds."""

    key: Text
    max_age: float | None = None


@frozen
class Repeat:
    """Iterations one after another until ``until`` holds; at most ``max``, ``delay`` seconds between two."""

    until: Expr
    max: int
    delay: float = 0


@frozen
class Volume:
    """A volume by kind; ``value`` is its size, claim, host path, secret or config map (``""`` for ``empty``)."""

    kind: OneOf["size", "claim", "host_path", "secret", "config_map", "empty"]
    value: str = ""


@frozen
class Mount:
    """A volume in a step's file tree."""

    volume: str
    sub_path: str = ""
    read_only: bool = False


@frozen
class Container:
    """Run a program: ``command`` (``None``: the image's own entry point), then ``args``."""

    command: tuple[Text, ...] | None = None
    args: tuple[Text, ...] = ()


@frozen
class Script:
    """Run ``source`` as a file by ``interpreter``, then ``args``. The source is never interpolated."""

    source: str
    interpreter: tuple[str, ...] = ("sh", "-e")
    args: tuple[Text, ...] = ()


@frozen
class Python:
    """Call ``function`` of the Python module text ``source`` with keyword arguments ``args``."""

    function: str
    source: str
    args: Mapping[str, Value] = Factory(dict)


@frozen
class Nested:
    """Run a whole workflow as one step; ``args`` are its params."""

    workflow: Workflow
    args: Mapping[str, Value] = Factory(dict)


@frozen
class Manifest:
    """Create a Kubernetes object and wait until one of two conditions on it holds."""

    object: Mapping[str, Value]
    success_when: Expr | None = None
    failure_when: Expr | None = None


Action = Container | Script | Python | Nested | Manifest

Need = OneOf["met", "succeeded", "failed", "skipped", "finished"]
"""What a step asks of another; ``met`` is the plain need (S1), the others are S2."""

PullPolicy = OneOf["always", "if-missing", "never"]


@frozen
class Step:
    """One step of a workflow.

    ``origin`` and ``role`` are the lowering's: the name in the document that this step stands for (``train[0]``,
    ``publish/upload``; empty where that is its own), and whether it is that step or a helper that no Update shows.
    """

    action: Action
    description: str = ""
    image: Text | None = None
    needs: Mapping[str, Need] = Factory(dict)
    when: Expr | None = None
    foreach: Value | Missing = MISSING
    """A list, or a template of one expression that gives a list."""
    repeat: Repeat | None = None
    outputs: Mapping[str, Output] = Factory(dict)
    stdout: str | None = None
    env: Mapping[str, EnvValue] = Factory(dict)
    env_from: tuple[EnvFrom, ...] = ()
    timeout: float | None = None
    pending_timeout: float | None = None
    retry: Retry | None = None
    continue_on_failure: bool = False
    parallelism: int | None = None
    cache: Cache | None = None
    working_dir: str | None = None
    user: str | None = None
    image_pull_policy: PullPolicy | None = None
    mounts: Mapping[str, Mount] = Factory(dict)
    resources: Mapping[str, str] = Factory(dict)
    requests: Mapping[str, str] = Factory(dict)
    labels: Mapping[str, str] = Factory(dict)
    annotations: Mapping[str, str] = Factory(dict)
    node_selector: Mapping[str, str] = Factory(dict)
    tolerations: tuple[Mapping[str, Json], ...] = ()
    backends: Mapping[str, Mapping[str, Json]] = Factory(dict)
    origin: str = ""
    role: OneOf["step", "helper"] = "step"


@frozen
class Defaults:
    """What every step of the workflow has unless it says otherwise; fields as in ``Step``."""

    image: Text | None = None
    timeout: float | None = None
    pending_timeout: float | None = None
    retry: Retry | None = None
    working_dir: str | None = None
    user: str | None = None
    image_pull_policy: PullPolicy | None = None
    resources: Mapping[str, str] = Factory(dict)
    requests: Mapping[str, str] = Factory(dict)
    labels: Mapping[str, str] = Factory(dict)
    annotations: Mapping[str, str] = Factory(dict)
    node_selector: Mapping[str, str] = Factory(dict)
    tolerations: tuple[Mapping[str, Json], ...] = ()


@frozen
class Workflow:
    """A workflow, whole or nested (a nested one has only description, params, defaults, env, steps and outputs).

    ``places`` maps paths to ``file:line:column`` for error messages and is no part of what the workflow means.
    ``outline`` is made by the lowering: what the core needs to fold a run's leaves (see ``fold.py``), as text that a
    backend keeps with the run and gives back in each Snapshot.
    """

    name: str = ""
    description: str = ""
    params: Mapping[str, Param] = Factory(dict)
    defaults: Defaults = Factory(Defaults)
    env: Mapping[str, EnvValue] = Factory(dict)
    parallelism: int | None = None
    timeout: float | None = None
    fail_fast: bool | None = None
    """``None`` is the default of S9: true, unless a need asks failed or finished of a step that is not continued."""
    ttl: float | None = None
    labels: Mapping[str, str] = Factory(dict)
    annotations: Mapping[str, str] = Factory(dict)
    service_account: str | None = None
    image_pull_secrets: tuple[str, ...] = ()
    volumes: Mapping[str, Volume] = Factory(dict)
    steps: Mapping[str, Step] = Factory(dict)
    on_exit: Mapping[str, Step] = Factory(dict)
    outputs: Mapping[str, Value] = Factory(dict)
    backends: Mapping[str, Mapping[str, Json]] = Factory(dict)
    outline: str = ""
    places: Mapping[Path, str] = field(factory=dict, eq=False, repr=False)
