"""Tasks of flowcore's own around a foreach or a nested workflow: one that decides it, one that gathers it.

They are there only where the document asks for more than a matrix, or steps side by side, can say.
"""

from __future__ import annotations

from typing import Any

from attrs import define

from flowcore.plugin import MISSING
from flowcore_tekton.gates import Gate, Gates
from flowcore_tekton.limits import MATRIX
from flowcore_tekton.places import ITEMS, KIND, MAIN, RUN, SAID, STATUS, STEP, WORKSPACE
from flowcore_tekton.reading import Reader, item_place, result_name, value_place
from flowcore_tekton.scopes import Scope, Unit, all_units, gives_params, runs
from flowcore_tekton.tasks import (
    Object,
    TaskMaker,
    continued,
    declared_params,
    end_place,
    task_params,
    waits,
)


def mark(scope: Scope, gates: Gates, names: Any) -> None:
    """Find out which steps are decided and gathered by tasks of their own, and whose end must be in the volume."""
    # Those inside come last, so that they know what the nested steps around them need.
    for unit in all_units(scope):
        if not runs(unit) or unit.kind == "leaf":
            continue
        step = unit.step
        if unit.kind == "each":
            if unit.dynamic or (step.when is not None and not (gates.native and _plain_when(unit, gates))):
                unit.decides = names.beside(unit.key, "items")
        elif not gates.native and (step.when is not None or any(ref.kind == "output" for ref in unit.refs)):
            unit.decides = names.beside(unit.key, "enter")
        softly = unit.kind == "each" and step.retry is not None and step.retry.limit > 0
        if not gates.native and (unit.asked or unit.watched or softly or gives_params(unit)):
            unit.joins = names.beside(unit.key, "join")
            if unit.inner is not None:
                for inner in unit.inner.units.values():
                    inner.watched = True
            else:
                unit.watched = True


def _plain_when(unit: Unit, gates: Gates) -> bool:
    from flowcore_tekton.conditions import native_when

    assert unit.step.when is not None
    return native_when(unit.step.when, Reader(unit, Gate(), gates.native, False)) is not None


@define
class Group:
    """Reads what the tasks of one foreach or nested step need to know."""

    unit: Unit
    gate: Gate
    decider: Reader | None = None
    when: Any = None
    list: Any = None
    joiner: Reader | None = None
    outputs: dict[str, Any] | None = None


def draft(unit: Unit, maker: TaskMaker) -> Group:
    """Read what decides and what gathers a step."""
    gate = maker.gates.of(unit)
    group = Group(unit, gate)
    step = unit.step
    if unit.decides:
        reader = group.decider = Reader(unit, gate, maker.native, maker.long)
        if step.when is not None:
            group.when = reader.resolved(step.when, unit.scope)
        if unit.kind == "each":
            if unit.dynamic:
                group.list = reader.code(step.foreach)  # type: ignore[arg-type]
        else:
            for ref in unit.refs:
                reader.reference(ref, unit.scope)
    if unit.joins and unit.inner is not None:
        reader = group.joiner = Reader(unit, Gate(), maker.native, maker.long)
        group.outputs = {}
    return group


def draft_outputs(group: Group) -> None:
    """Read what a nested workflow gives, once it is known what others read."""
    unit = group.unit
    if group.joiner is None or unit.inner is None:
        return
    assert group.outputs is not None
    for name, value in unit.inner.outputs.items():
        group.outputs[name] = group.joiner.resolved(value, unit.inner)


def tasks(group: Group, maker: TaskMaker) -> list[Object]:
    """The tasks around a foreach or a nested step."""
    found = []
    if group.decider is not None:
        found.append(_decider(group, group.decider, maker))
    if group.unit.joins:
        found.append(_joiner(group, maker))
    return found


def _decider(group: Group, reader: Reader, maker: TaskMaker) -> Object:
    unit = group.unit
    plan: Object = {"refs": reader.refs}
    if group.when is not None:
        plan["when"] = group.when
    if unit.kind == "each":
        plan["most"] = MATRIX
        if group.list is not None:
            plan["foreach"] = group.list
        else:
            plan["items"] = [None] * len(unit.step.foreach)  # type: ignore[arg-type]
    else:
        plan["only_decides"] = True
    if unit.joins:
        plan["status"] = _decided_place(unit)
    results = [STATUS, SAID, *([ITEMS] if unit.kind == "each" else [])]
    what, kind = ("items", "items") if unit.kind == "each" else ("begin", "enter")
    if not continued(unit):
        maker.counted.append(unit.decides)
    return _task(unit, unit.decides, kind, what, plan, results, reader, group.gate, maker)


def _decided_place(unit: Unit) -> str:
    return f"ends/{unit.key}.decided"


def _joiner(group: Group, maker: TaskMaker) -> Object:
    unit = group.unit
    plan: Object = {"refs": {}, "outputs": {}, **maker.room(1)}
    gate = Gate(conditions=dict(group.gate.conditions))
    if unit.decides:
        plan["decided"] = _decided_place(unit)
        gate.after[unit.decides] = None
    reader = group.joiner or Reader(unit, gate, maker.native, maker.long)
    names = list(unit.read)
    if unit.inner is None:
        gate.after.update(dict.fromkeys(unit.tasks))
        plan["joins"] = "items"
        plan["member"] = end_place(unit)
        if not unit.decides:
            plan["count"] = len(unit.step.foreach)  # type: ignore[arg-type]
        if unit.step.continue_on_failure:
            plan["continued"] = True
        for name in names:
            default = unit.step.outputs[name].default
            plan["outputs"][name] = {
                "place": item_place(unit, name),
                **({} if default is MISSING else {"default": default}),
            }
    else:
        plan["joins"] = "steps"
        inner = [each for each in unit.inner.units.values() if not each.never]
        for each in inner:
            gate.after.update(dict.fromkeys(maker.gates.ends(each)))
        plan["members"] = {each.name: join_place(each) for each in inner}
        plan["gates"] = {
            each.name: [
                [join_place(condition.unit), list(condition.words)]
                for condition in maker.gates.of(each).conditions
                if condition.unit is not None
            ]
            for each in inner
        }
        plan["continued"] = [each.name for each in inner if each.step.continue_on_failure]
        plan["outputs"] = group.outputs or {}
        names = list(plan["outputs"])
        plan["refs"] = reader.refs
    places = {name: value_place(unit, name) for name in names if maker.long or name in unit.kept}
    plan["places"] = places
    plan["kept"] = [name for name in names if name in unit.kept]
    plan["read"] = list(unit.read)
    plan["results"] = {name: result_name(name) for name in names}
    if unit.watched:
        plan["status"] = join_place(unit)
    results = [STATUS, SAID, *(result_name(name) for name in names)]
    if not continued(unit):
        maker.counted.append(unit.joins)
    return _task(unit, unit.joins, "join", "join", plan, results, reader, gate, maker)


def join_place(unit: Unit) -> str:
    """Where in the run's volume it stands how a step as a whole ended."""
    return f"ends/{unit.key}.joined" if unit.kind != "leaf" else end_place(unit)


def _task(
    unit: Unit,
    name: str,
    kind: str,
    what: str,
    plan: Object,
    results: list[str],
    reader: Reader,
    gate: Gate,
    maker: TaskMaker,
) -> Object:
    program = maker.program(name)
    step = maker.helper(MAIN, what, program, reader)
    if not step["env"]:
        del step["env"]
    task: Object = {"name": name}
    waits(task, gate, [each.entry() for each in gate.conditions], reader)
    params = task_params(reader)
    if params:
        task["params"] = params
    if not maker.native:
        task["onError"] = "continue"
    spec: Object = {"metadata": {"annotations": {STEP: unit.origin, KIND: kind}}}
    declared = declared_params(reader)
    if declared:
        spec["params"] = declared
    spec["results"] = [{"name": each, **({"type": "array"} if each == ITEMS else {})} for each in results]
    spec["volumes"] = [maker.files_volume]
    if reader.volume or "status" in plan or kind == "join":
        maker.uses_volume = True
        spec["workspaces"] = [{"name": WORKSPACE, "mountPath": RUN}]
        task["workspaces"] = [{"name": WORKSPACE, "workspace": WORKSPACE}]
    spec["steps"] = [step]
    task["taskSpec"] = spec
    maker.keep_plan(name, plan)
    return task
