"""What a task waits for: tasks that it runs after, and conditions on how they ended."""

from __future__ import annotations

from typing import Final

from attrs import define, field, frozen

from flowcore.plugin import MISSING, Need
from flowcore_tekton.places import STATUS
from flowcore_tekton.scopes import Scope, Unit

SUCCEEDED: Final = ("succeeded",)
SKIPPED: Final = ("skipped",)


@frozen
class Condition:
    """That the task of a step ended in one of some ways; without a task it never holds."""

    task: str
    words: tuple[str, ...] = SUCCEEDED
    unit: Unit | None = field(default=None, eq=False)

    def entry(self) -> dict[str, object]:
        """As an entry of a task's ``when``."""
        if not self.task:
            return {"input": "false", "operator": "in", "values": ["true"]}
        return {"input": f"$(tasks.{self.task}.results.{STATUS})", "operator": "in", "values": list(self.words)}


NEVER: Final = Condition("")


@define
class Gate:
    """All that one task waits for."""

    conditions: dict[Condition, None] = field(factory=dict)
    after: dict[str, None] = field(factory=dict)

    def add(self, other: Gate) -> None:
        """Wait for what another gate waits for, too."""
        self.conditions.update(other.conditions)
        self.after.update(other.after)

    def ensures(self, task: str) -> bool:
        """Whether the step of a task has succeeded when this gate is open."""
        return any(each.task == task and each.words == SUCCEEDED for each in self.conditions)

    def asks(self, task: str) -> bool:
        """Whether there are results of a task when this gate is open."""
        return any(each.task == task for each in self.conditions)


@define
class Gates:
    """The gates of one run's steps."""

    native: bool
    _known: dict[str, Gate] = field(factory=dict)

    def of(self, unit: Unit) -> Gate:
        """The gate of a step: of its own task, or of the first of its tasks."""
        known = self._known.get(unit.key)
        if known is None:
            known = self._known[unit.key] = self._native(unit) if self.native else self._checked(unit)
        return known

    # Tekton's own rules: whatever stands before has succeeded, or was skipped for `when`

    def _native(self, unit: Unit) -> Gate:
        gate = Gate()
        for other in unit.needs:
            for task in tails(unit.scope.units[other]):
                gate.after[task] = None
        if not unit.needs and unit.scope.owner is not None:
            gate.add(self.of(unit.scope.owner))
        return gate

    # Every need is a condition

    def _checked(self, unit: Unit) -> Gate:
        gate = Gate()
        owner = unit.scope.owner
        if owner is not None:
            if owner.decides:
                gate.conditions[Condition(owner.decides)] = None
            else:
                gate.add(self.of(owner))
        for name, need in unit.needs.items():
            other = unit.scope.units[name]
            gate.add(self._need(other, "succeeded" if needs_success(unit, other) and need == "met" else need))
        return gate

    def _need(self, other: Unit, need: Need) -> Gate:
        gate = Gate()
        if need == "finished":
            gate.after.update(dict.fromkeys(self.ends(other)))
        elif other.never == "needs" or (other.never and need in ("succeeded", "failed")):
            gate.conditions[NEVER] = None
        elif other.never:
            gate.add(self.of(other))
        elif need == "met" and other.step.continue_on_failure:
            # However it ended once it had its turn.
            gate.add(self.of(other))
            gate.after[other.tells] = None
        else:
            words: tuple[str, ...] = (need,) if need != "met" else SUCCEEDED
            if need == "met" and other.may_skip:
                words = SUCCEEDED + SKIPPED
            gate.conditions[Condition(other.tells, words, other)] = None
        return gate

    def ends(self, unit: Unit) -> list[str]:
        """Tasks after whose end the step has ended, too, or will never start."""
        if not unit.never:
            return [unit.joins] if unit.joins else tails(unit)
        return [task for other in unit.needs for task in self.ends(unit.scope.units[other])]


def needs_success(unit: Unit, other: Unit) -> bool:
    """Whether a step reads what another one leaves only if it succeeded."""
    for ref in unit.refs:
        if ref.kind != "output" or ref.step != other.name:
            continue
        if other.kind == "leaf" and (ref.path or other.default(ref.name) is MISSING):
            return True
        if other.kind == "nested":
            return True
    return False


def tails(unit: Unit) -> list[str]:
    """The tasks after whose end a step has succeeded, under Tekton's own rules."""
    if unit.inner is None or unit.never:
        return unit.tasks
    return inner_tails(unit.inner)


def inner_tails(scope: Scope) -> list[str]:
    """The same for all the steps of a scope."""
    needed = {other for unit in scope.units.values() for other in unit.needs}
    return [task for name, unit in scope.units.items() if name not in needed for task in tails(unit)]
