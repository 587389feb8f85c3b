"""Refuses what is left: each feature that the backend did not declare, by step, field and the backends that can."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from flowcore.capabilities import CAPABILITIES
from flowcore.checks import step_references
from flowcore.errors import Path, Problem, WorkflowError, placed
from flowcore.lowering.missing import may_be_missing
from flowcore.lowering.origins import origin_of, path_of
from flowcore.model import (
    MISSING,
    ConfigMapKey,
    Container,
    EnvValue,
    Manifest,
    Nested,
    Python,
    Script,
    SecretKey,
    Step,
    Workflow,
)
from flowcore.syntax import Binary, Expr, Not

Found = tuple[str, str]
"""A capability that is needed, and the field that needs it."""


def verify(
    workflow: Workflow,
    capabilities: frozenset[str],
    limits: Mapping[str, int],
    backend: str,
    able: Callable[[str], list[str]],
) -> None:
    """Check that a lowered workflow asks only for what was declared, within the limits.

    Raises:
        WorkflowError: with a problem for each feature and each number that is too much.
    """
    problems: dict[tuple[Path, str], Problem] = {}
    known: dict[str, str] = {}

    def refuse(path: Path, capability: str) -> None:
        if capability in capabilities or (path, capability) in problems:
            return
        if capability not in known:
            others = [name for name in able(capability) if name != backend]
            known[capability] = f"; installed backends that can: {', '.join(others)}" if others else ""
        message = (
            f"backend {backend} cannot do this: it has no {capability} ({CAPABILITIES[capability]}){known[capability]}"
        )
        problems[path, capability] = placed(Problem(path, message), workflow.places)

    for capability, field in _workflow_features(workflow):
        refuse((field,), capability)
    if not capabilities >= CAPABILITIES.keys():
        fields = [each for each in _FIELDS if each[0] not in capabilities]
        for path, step, siblings in _walk(workflow):
            for capability, field in _step_features(step, siblings, fields):
                refuse((*path(), field), capability)
    found = [*problems.values(), *_too_much(workflow, limits, backend)]
    if found:
        raise WorkflowError(found)


def _walk(
    workflow: Workflow, outer: Callable[[], Path] = tuple
) -> Iterator[tuple[Callable[[], Path], Step, Mapping[str, Step]]]:
    """Every step with its siblings; its place in the document is made when somebody asks: of most, nobody does."""

    def path(name: str, step: Step, on_exit: bool) -> Path:
        # Origins of unrolled iterations end in `#n`, which is no part of the document's name.
        return (*outer(), *path_of(origin_of(name, step).partition("#")[0], on_exit))

    for on_exit, steps in ((False, workflow.steps), (True, workflow.on_exit)):
        for name, step in steps.items():
            place = partial(path, name, step, on_exit)
            yield place, step, steps
            if isinstance(step.action, Nested):
                yield from _walk(step.action.workflow, partial(_inside, place))


def _inside(place: Callable[[], Path]) -> Path:
    return (*place(), "workflow")


def _workflow_features(workflow: Workflow) -> Iterator[Found]:
    if workflow.fail_fast is False:
        yield "fail_fast.off", "fail_fast"
    if workflow.timeout is not None:
        yield "run_timeout", "timeout"
    if workflow.parallelism is not None:
        yield "parallelism", "parallelism"
    if workflow.on_exit:
        yield "on_exit", "on_exit"
    if workflow.volumes and any(step.mounts for _, step, _ in _walk(workflow)):
        yield "volumes", "volumes"


Asks = tuple[str, str, Callable[[Step], bool]]
_FIELDS: Final[tuple[Asks, ...]] = (
    ("stdout", "stdout", lambda step: step.stdout is not None),
    ("when", "when", lambda step: step.when is not None),
    ("when.logic", "when", lambda step: step.when is not None and _has_logic(step.when)),
    ("needs.status", "needs", lambda step: any(need != "met" for need in step.needs.values())),
    ("continue", "continue_on_failure", lambda step: step.continue_on_failure),
    ("retry", "retry", lambda step: step.retry is not None),
    ("retry.backoff", "retry", lambda step: step.retry is not None and step.retry.backoff is not None),
    ("retry.only", "retry", lambda step: step.retry is not None and bool(step.retry.only)),
    ("timeout", "timeout", lambda step: step.timeout is not None),
    ("foreach", "foreach", lambda step: step.foreach is not MISSING),
    ("foreach.dynamic", "foreach", lambda step: step.foreach is not MISSING and not isinstance(step.foreach, list)),
    ("foreach.nested", "foreach", lambda step: step.foreach is not MISSING and isinstance(step.action, Nested)),
    ("nested", "workflow", lambda step: isinstance(step.action, Nested)),
    ("repeat", "repeat", lambda step: step.repeat is not None),
    ("outputs", "outputs", lambda step: any(not output.artifact for output in step.outputs.values())),
    ("artifacts", "outputs", lambda step: any(output.artifact for output in step.outputs.values())),
    ("volumes", "mounts", lambda step: bool(step.mounts)),
    ("secrets", "env_from", lambda step: bool(step.env_from)),
    (
        "secrets",
        "env",
        lambda step: any(isinstance(value, (SecretKey, ConfigMapKey)) for value in step.env.values()),
    ),
    ("parallelism", "parallelism", lambda step: step.parallelism is not None),
    ("cache", "cache", lambda step: step.cache is not None),
    ("manifest", "manifest", lambda step: isinstance(step.action, Manifest)),
    ("script", "script", lambda step: isinstance(step.action, Script)),
    ("python", "python", lambda step: isinstance(step.action, Python)),
)
"""What in a step asks for which capability: capability, field, whether it does."""


def _step_features(step: Step, siblings: Mapping[str, Step], fields: Sequence[Asks]) -> Iterator[Found]:
    """What a step needs, of its own ``fields`` and by what it reads of others."""
    for capability, field, asks in fields:
        if asks(step):
            yield capability, field
    if isinstance(step.action, Container) and step.action.command is None:
        # The shim would do these, but it has to know the command.
        values = [output for output in step.outputs.values() if not output.artifact]
        if values:
            yield "outputs.typed", "outputs"
        if any(output.default is not MISSING for output in values):
            yield "outputs.default", "outputs"
    for ref in step_references(step):
        if ref.kind != "output" or ref.step not in siblings:
            continue
        producer = siblings[ref.step]
        if producer.foreach is not MISSING:
            yield "fanin", "foreach"
            if producer.continue_on_failure:
                yield "fanin.partial", "continue_on_failure"
        output = producer.outputs.get(ref.name)
        if output is not None and output.default is not MISSING and may_be_missing(ref.step, siblings):
            yield "outputs.default", "outputs"


def _has_logic(expr: Expr) -> bool:
    if isinstance(expr, Not):
        return True
    if isinstance(expr, Binary):
        if expr.operator in ("||", "<", "<=", ">", ">="):
            return True
        return _has_logic(expr.left) or _has_logic(expr.right)
    return False


def _too_much(workflow: Workflow, limits: Mapping[str, int], backend: str) -> Iterator[Problem]:
    def over(path: Path, what: str, found: int, limit: str) -> Iterator[Problem]:
        if limit in limits and found > limits[limit]:
            message = f"{what}, and backend {backend} takes {limits[limit]} at most"
            yield placed(Problem(path, message), workflow.places)

    count = 0
    # Four bytes a character at most: most texts need not be encoded to be counted.
    short = limits.get("argument_bytes", 0) // 4
    for path, step, _ in _walk(workflow):
        count += 1
        if isinstance(step.foreach, list):
            items = len(step.foreach)
            yield from over((*path(), "foreach"), f"the list has {items} items", items, "items")
        if isinstance(step.action, (Script, Python)):
            size = len(step.action.source.encode("utf-8", "surrogatepass"))
            field = "script" if isinstance(step.action, Script) else "python"
            yield from over((*path(), field), f"the source has {size} bytes", size, "script_bytes")
        for field, words in _texts(step):
            for word in words:
                if type(word) is not str or len(word) > short:
                    size = _size(word)
                    yield from over((*path(), field), f"one text has {size} bytes", size, "argument_bytes")
    yield from over(("steps",), f"the workflow has {count} steps once it is lowered", count, "steps")


def _texts(step: Step) -> Iterator[tuple[str, Iterable[EnvValue]]]:
    """The texts of a step, by field."""
    if step.env:
        yield "env", step.env.values()
    if isinstance(step.action, Container):
        yield "command", step.action.command or ()
        yield "command", step.action.args
    elif isinstance(step.action, Script):
        yield "args", step.action.args


def _size(value: EnvValue) -> int:
    """The bytes of a text that are known before the run."""
    if isinstance(value, (SecretKey, ConfigMapKey)):
        return 0
    text = value if isinstance(value, str) else "".join(part for part in value.parts if isinstance(part, str))
    return len(text.encode("utf-8", "surrogatepass"))
