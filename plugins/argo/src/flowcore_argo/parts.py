"""A part of a scope that was cut: its own steps, and what it is told of those in the parts before it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define, field

from flowcore.plugin import Nested, Ref
from flowcore_argo.expressions import Code
from flowcore_argo.frames import Frame
from flowcore_argo.pods import Inputs, Object
from flowcore_argo.quoting import member, packed, tag, unpacked


@define
class Part(Frame):
    """One part of a web that was cut: its own steps, and what it is told of those before it."""

    task: str = ""
    own: frozenset[str] = frozenset()
    owners: Mapping[str, Part] = field(factory=dict)
    inputs: Inputs = field(factory=Inputs)
    extra: list[Object] = field(factory=list)
    told: dict[str, str] = field(factory=dict)
    """What it tells: the output's name, and the expression."""
    gates: dict[str, str] = field(factory=dict)
    """Its tasks that say whether a term holds, for the parts behind it."""
    standing: dict[str, str] = field(factory=dict)
    """Its tasks that stand for terms of the parts before it."""

    def lookup(self, ref: Ref) -> Code:
        if ref.kind != "output" or ref.step in self.own or (ref.path and not _nested(self, ref)):
            return Frame.lookup(self, ref)
        owner = self.owners[ref.step]
        code = Frame.lookup(owner, ref)
        task = member("tasks", self.names.name(ref.step))
        # Where the value is missing nobody who reads it runs.
        status = f"{task}.status"
        sure = code.raw.startswith(f"({status}")
        name = f"VALUE-{ref.step}-{ref.name}"
        owner.told[name] = code.raw if sure else f"{status} == 'Succeeded' ? ({code.raw}) : ''"
        place = member(f"{member('tasks', owner.task)}.outputs.parameters", name)
        return Code(unpacked(self.inputs.add(f"{ref.step}-{ref.name}", packed(place))), code.type)

    def stands_for(self, other: str, term: str, noop: str) -> str:
        """A task of this part that ends well if, and only if, a term holds in the part of a step before it."""
        known = self.standing.get(term)
        if known is not None:
            return known
        owner = self.owners[other]
        gate = owner.gates.get(term)
        if gate is None:
            gate = owner.gates[term] = self.names.name(f"{other}/met {len(owner.gates)} of {owner.task}")
            owner.extra.append({"name": gate, "template": noop, "depends": term})
            owner.told[f"MET-{gate}"] = f"{member('tasks', gate)}.status"
        name = f"MET-{gate}"
        place = member(f"{member('tasks', owner.task)}.outputs.parameters", name)
        given = self.inputs.add(f"met-{gate}", "{{=" + place + "}}")
        own = self.names.name(f"{other}/met {len(self.standing)} in {self.task}")
        unmet = f"{member('inputs.parameters', given)} == 'Succeeded' ? true : sprig.fail('not met')"
        self.extra.append({"name": own, "template": noop, "when": tag(unmet)})
        self.standing[term] = own
        return own


def _nested(frame: Frame, ref: Ref) -> bool:
    return isinstance(frame.steps[ref.step].action, Nested)
