"""The steps of a workflow with those of nested workflows, each with its tasks' names: what a pipeline is made of.

A pipeline is flat, so steps of nested workflows are its tasks, too. A foreach, or a nested workflow, that others ask
something of is more than the tasks of its steps: tasks of flowcore's own decide it and gather it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from typing import Literal as OneOf

from attrs import define, evolve, field

from flowcore.plugin import (
    DNS_LABEL_1035,
    MISSING,
    Literal,
    Missing,
    Names,
    Need,
    Nested,
    Ref,
    Step,
    Value,
    Workflow,
    needs_and_references,
    references,
)
from flowcore_tekton.limits import MATRIX
from flowcore_tekton.places import GUARD

TASK_NAME: Final = evolve(DNS_LABEL_1035, max_length=50)
"""What a pipeline task may be called: the annotation that numbers its attempts has its name in 63 characters."""


@define(eq=False)
class Scope:
    """The steps of one workflow, whole or nested.

    Attributes:
        owner: the nested step whose inside this is.
        params: what the nested workflow was given: values that belong to the scope of ``owner``.
        outputs: what the nested workflow gives.
    """

    units: dict[str, Unit] = field(factory=dict)
    owner: Unit | None = None
    params: Mapping[str, Value] = field(factory=dict)
    outputs: Mapping[str, Value] = field(factory=dict)
    on_exit: bool = False


@define(eq=False)
class Unit:
    """One step.

    Attributes:
        key: its place among all steps: ``publish/upload``.
        task: the name of its own task.
        chunks: the names of more such tasks, of a foreach with more items than one matrix takes, or may run at once.
        width: how many items one of these tasks has.
        never: why it is decided before the run that it never runs: ``when``, ``empty`` or ``needs``.
        refs: what it reads when it starts.
        asked: what other steps of its scope ask of it.
        lends: whether anybody reads its outputs.
        read: the outputs that tasks of others are given.
        kept: those that must be in the run's volume, since a reader may run without there being a result.
        gathered: whether a task tells its status to others, of a foreach or a nested step.
        watched: whether its end must be in the run's volume, for such a task.
    """

    step: Step
    name: str
    key: str
    scope: Scope
    kind: OneOf["leaf", "each", "nested"]
    task: str
    needs: dict[str, Need]
    refs: list[Ref]
    inner: Scope | None = None
    chunks: tuple[str, ...] = ()
    width: int = MATRIX
    never: str | None = None
    asked: set[Need] = field(factory=set)
    lends: bool = False
    read: dict[str, None] = field(factory=dict)
    kept: set[str] = field(factory=set)
    decides: str = ""
    joins: str = ""
    watched: bool = False

    @property
    def tasks(self) -> list[str]:
        """The names of all its own tasks."""
        return [self.task, *self.chunks]

    @property
    def tells(self) -> str:
        """The task whose ``flow-status`` is that of the step."""
        return self.joins or self.task

    @property
    def origin(self) -> str:
        """The document's name."""
        owner, own = self.scope.owner, self.step.origin or self.name
        return own if owner is None else f"{owner.origin}/{own}"

    @property
    def may_skip(self) -> bool:
        """Whether it may end as skipped in a way that meets a need: for ``when``, or an empty list."""
        step = self.step
        if step.when is not None:
            return True
        return step.foreach is not MISSING and not (isinstance(step.foreach, list) and step.foreach)

    @property
    def dynamic(self) -> bool:
        """Whether only the run knows how many items it has."""
        return self.step.foreach is not MISSING and not isinstance(self.step.foreach, list)

    def default(self, output: str) -> Any:
        """The default of an output, or MISSING."""
        found = self.step.outputs.get(output)
        return MISSING if found is None or found.artifact or self.kind != "leaf" else found.default


@define
class TaskNames:
    """Names of tasks that no two share."""

    names: Names = field(factory=lambda: Names(TASK_NAME, [GUARD]))
    taken: set[str] = field(factory=set)

    def name(self, wanted: str) -> str:
        """The name of a task; ``wanted`` must be unique."""
        name = self.names.name(wanted)
        self.taken.add(name)
        return name

    def beside(self, key: str, what: str) -> str:
        """The name of a task of flowcore's own for a step."""
        plain = f"{key}-{what}".replace("/", "-").replace("_", "-")
        return self.name(plain if plain not in self.taken and len(plain) <= 50 else f"{key}/{what}")


def scope_of(
    steps: Mapping[str, Step],
    names: TaskNames,
    prefix: str = "",
    owner: Unit | None = None,
    on_exit: bool = False,
    slots: int | None = None,
) -> Scope:
    """The units of one workflow's steps; ``slots``: how many may run at once."""
    scope = Scope(owner=owner, on_exit=on_exit)
    if owner is not None:
        assert isinstance(owner.step.action, Nested)
        scope.params = owner.step.action.args
        scope.outputs = owner.step.action.workflow.outputs
    for name, step in steps.items():
        key = prefix + name
        nested = isinstance(step.action, Nested)
        needs, refs = needs_and_references(step)
        unit = Unit(
            step=step,
            name=name,
            key=key,
            scope=scope,
            kind="nested" if nested else "each" if step.foreach is not MISSING else "leaf",
            task=names.name(key),
            needs=needs,
            refs=refs,
        )
        if isinstance(step.foreach, list):
            items = len(step.foreach)
            unit.width = max(1, min(MATRIX, step.parallelism or MATRIX, slots or MATRIX))
            count = max(0, items - 1) // unit.width
            unit.chunks = tuple(names.beside(key, str(index + 2)) for index in range(count))
        if isinstance(step.action, Nested):
            unit.inner = scope_of(step.action.workflow.steps, names, f"{key}/", unit, slots=slots)
        scope.units[name] = unit
    for unit in scope.units.values():
        for other, need in unit.needs.items():
            scope.units[other].asked.add(need)
        for ref in unit.refs:
            if ref.kind == "output":
                scope.units[ref.step].lends = True
    for ref in references(dict(scope.outputs)):
        if ref.kind == "output":
            scope.units[ref.step].lends = True
    _find_never(scope)
    return scope


def all_units(scope: Scope) -> Iterator[Unit]:
    """Every unit, those of nested workflows included; a nested step comes before what is in it."""
    for unit in scope.units.values():
        yield unit
        if unit.inner is not None:
            yield from all_units(unit.inner)


def runs(unit: Unit) -> bool:
    """Whether it may run at all: neither it nor a nested step around it is decided otherwise before the run."""
    if unit.never:
        return False
    return unit.scope.owner is None or runs(unit.scope.owner)


def _find_never(scope: Scope) -> None:
    """Mark the steps that are decided before the run, each after those it needs (S4)."""
    if any(unit.step.when == Literal(False) or unit.step.foreach == [] for unit in scope.units.values()):
        for unit in in_order(scope):
            unit.never = _never(unit)


def in_order(scope: Scope) -> list[Unit]:
    """The units with each behind all that it needs."""
    waits = {name: len(unit.needs) for name, unit in scope.units.items()}
    behind: dict[str, list[str]] = {}
    for name, unit in scope.units.items():
        for other in unit.needs:
            behind.setdefault(other, []).append(name)
    order = [name for name, count in waits.items() if not count]
    for name in order:
        for after in behind.get(name, ()):
            waits[after] -= 1
            if not waits[after]:
                order.append(after)
    return [scope.units[name] for name in order]


def _never(unit: Unit) -> str | None:
    for name, need in unit.needs.items():
        known = unit.scope.units[name].never
        if known is not None and need != "finished" and not (need in ("met", "skipped") and known != "needs"):
            return "needs"
    for ref in unit.refs:
        if ref.kind == "output":
            other = unit.scope.units[ref.step]
            if other.never in ("when", "needs") and isinstance(other.default(ref.name), Missing):
                return "needs"
    if unit.step.when == Literal(False):
        return "when"
    return "empty" if unit.step.foreach == [] and unit.step.when is None else None


def is_native(workflow: Workflow, scope: Scope) -> bool:
    """Whether Tekton's own rules mean what the document's do: a failure stops the run, and nothing may be missing.

    Then tasks simply run after each other. Else each need becomes a condition, and every task's failure is one that
    Tekton goes on after.
    """
    if workflow.fail_fast is False:
        return False
    for unit in all_units(scope):
        step = unit.step
        if step.continue_on_failure or any(need != "met" for need in unit.needs.values()):
            return False
        if step.retry is not None and step.retry.limit and set(step.retry.only) not in (set(), ALL_CAUSES):
            return False
        if unit.kind == "nested" and (step.when is not None or gives_params(unit)):
            return False
        if unit.kind == "each" and step.when is not None and unit.dynamic:
            return False
        for ref in unit.refs:
            if ref.kind == "output" and _may_be_missing(unit.scope.units[ref.step]):
                return False
        if unit.inner is not None:
            for ref in references(dict(unit.inner.outputs)):
                if ref.kind == "output" and _may_be_missing(unit.inner.units[ref.step]):
                    return False
    return True


def gives_params(unit: Unit) -> bool:
    """Whether outputs of a nested step are made of params that only the run knows: then no reader of the run's steps
    can tell them, and a task has to."""
    return unit.inner is not None and any(ref.kind == "param" for ref in references(dict(unit.inner.outputs)))


ALL_CAUSES: Final = {"failed", "error", "timeout"}


def _may_be_missing(unit: Unit) -> bool:
    return unit.step.when is not None
