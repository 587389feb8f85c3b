"""A scope with more steps than one dag may have, cut into parts: dags that one dag runs.

Steps that have nothing to do with each other go into parts that run side by side. Where a single web of needs is too
large it is cut into parts that run one after another, in the order of the needs: no such part ever fails, it says
instead what became of its steps, by outputs that the later ones are given. The dag around them fails if one of them
says that a step failed.
"""

from __future__ import annotations

import re
from typing import Final

from flowcore.plugin import MISSING, Need, Nested, RefusedError
from flowcore_argo.build import FAILED, Builder, finish, needs_finish
from flowcore_argo.frames import E, F, Frame, K, O, S
from flowcore_argo.limits import TASKS
from flowcore_argo.parts import Part
from flowcore_argo.places import FINISH
from flowcore_argo.pods import Object
from flowcore_argo.quoting import member, tag

_WORD: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9]*")
ROOM: Final = TASKS - 1
"""Tasks of a part, besides the one that ends it."""
CUT: Final = 120
"""Steps of a part that was cut out of a larger web: what it tells and is told takes tasks, too."""


def too_many(frame: Frame) -> bool:
    """Whether a scope may have more tasks than one dag takes; each step may come with gates."""
    return len(frame.steps) > ROOM // 2 and len(frame.steps) + gates_at_most(frame) > ROOM


def gates_at_most(frame: Frame) -> int:
    """How many gates a scope has at most."""
    return sum(_may_gate(frame, other, need) for needs in frame.needs.values() for other, need in needs.items())


def _may_gate(frame: Frame, other: str, need: Need) -> bool:
    step = frame.steps[other]
    return need == "failed" or step.foreach is not MISSING or isinstance(step.action, Nested)


def must_cut(frame: Frame, web: list[str]) -> bool:
    """Whether a web of steps may have more tasks than a dag takes."""
    return len(web) > CUT and len(web) + gates_at_most(frame) > ROOM


def webs(frame: Frame) -> list[list[str]]:
    """The steps in groups that have nothing to do with each other, each in the order of its needs."""
    beside: dict[str, list[str]] = {name: list(needs) for name, needs in frame.needs.items()}
    for name, needs in frame.needs.items():
        for other in needs:
            beside[other].append(name)
    order = {name: place for place, name in enumerate(_levels(frame))}
    found = []
    seen: set[str] = set()
    for name in frame.steps:
        if name in seen:
            continue
        seen.add(name)
        web, left = [], [name]
        while left:
            each = left.pop()
            web.append(each)
            for other in beside[each]:
                if other not in seen:
                    seen.add(other)
                    left.append(other)
        found.append(sorted(web, key=order.__getitem__))
    return found


def _levels(frame: Frame) -> list[str]:
    """The steps with each behind all that it needs, those that can start first first."""
    waits = {name: len(needs) for name, needs in frame.needs.items()}
    behind: dict[str, list[str]] = {}
    for name, needs in frame.needs.items():
        for other in needs:
            behind.setdefault(other, []).append(name)
    order = [name for name, count in waits.items() if not count]
    for name in order:
        for after in behind.get(name, ()):
            waits[after] -= 1
            if not waits[after]:
                order.append(after)
    return order


def in_parts(builder: Builder, frame: Frame, name: str) -> None:
    """The dag of a scope that is too large for one, and those of its parts."""
    main: list[Object] = []
    whole = needs_finish(frame)
    pack: list[Object] = []
    packed_steps: list[str] = []
    chains: list[list[str]] = []

    def close() -> None:
        if not pack:
            return
        own = builder.name(f"{name}-part-{len(main) + 1}")
        tasks, dag = list(pack), {}
        if whole:
            tasks.append({"name": FINISH, "template": builder.noop(), "depends": finish(frame, packed_steps)})
            dag = {"target": FINISH}
        builder.keep(own, {"dag": {"failFast": False, "tasks": tasks, **dag}}, "part", "", None)
        main.append({"name": own, "template": own})
        pack.clear()
        packed_steps.clear()

    for web in webs(frame):
        if must_cut(frame, web):
            chains.append(web)
            continue
        tasks = [task for step in web for task in builder.tasks(frame, step)]
        if len(tasks) > ROOM:
            raise RefusedError(f"{len(tasks)} tasks belong together, and a dag of Argo takes {ROOM}")
        if len(pack) + len(tasks) > ROOM:
            close()
        pack += tasks
        packed_steps += web
    close()
    for web in chains:
        main += _chain(builder, frame, name, web)
    if len(main) > ROOM:
        raise RefusedError(f"{len(frame.steps)} steps are more than {ROOM} dags of {ROOM} tasks hold")
    tails = [task for task in main if task.pop("tells", False)]
    dag: Object = {"failFast": False, "tasks": main}
    if tails:
        failed = " || ".join(
            f"{member(member('tasks', task['name']) + '.outputs.parameters', FAILED)} == 'true'" for task in tails
        )
        ends = " && ".join(task["name"] for task in main)
        when = tag(f"{failed} ? sprig.fail('a step failed') : true")
        main.append({"name": FINISH, "template": builder.noop(), "depends": ends, "when": when})
        dag["target"] = FINISH
    builder.keep(name, {"dag": dag}, "", "", None)


def _chain(builder: Builder, frame: Frame, name: str, web: list[str]) -> list[Object]:
    """The parts of one web, each behind the one before it."""
    owners: dict[str, Part] = {}
    parts = []
    for start in range(0, len(web), CUT):
        own = web[start : start + CUT]
        part = Part(
            frame.steps,
            frame.outputs,
            frame.prefix,
            frame.each,
            frame.params,
            frame.names,
            frame.needs,
            frame.asked,
            frame.lists,
            frame.refs,
            task=builder.name(f"{name}-web-{len(owners)}"),
            own=frozenset(own),
            owners=owners,
        )
        for step in own:
            owners[step] = part
        parts.append((part, own, [task for step in own for task in builder.tasks(part, step)]))
    main: list[Object] = []
    for part, own, tasks in parts:
        tasks = [*part.extra, *tasks]
        if len(tasks) > ROOM:
            raise RefusedError(
                f"{len(own)} steps and what they are told of others are {len(tasks)} tasks, and a dag of Argo takes"
                f" {ROOM}: let fewer steps need steps that are far before them"
            )
        needed = {word for task in tasks for word in _WORD.findall(task.get("depends", ""))}
        every = " && ".join(_ended(task["name"]) for task in tasks if task["name"] not in needed)
        tasks.append({"name": FINISH, "template": builder.noop(), "depends": every})
        dag = {"failFast": False, "target": FINISH, "tasks": tasks}
        template = builder.keep(part.task, {"dag": dag}, "part", "", part.inputs)
        counted = [
            f"{member('tasks', frame.names.name(step))}.status"
            for step in own
            if not frame.steps[step].continue_on_failure
        ]
        failed = f"toJson(any([{', '.join(counted)}], # in ['Failed', 'Error']))"
        told = {**part.told, FAILED: failed}
        template["outputs"] = {
            "parameters": [{"name": key, "valueFrom": {"expression": code}} for key, code in told.items()]
        }
        call: Object = {"name": part.task, "template": part.task, "tells": True}
        if main:
            call["depends"] = main[-1]["name"]
        if part.inputs.arguments:
            call["arguments"] = {"parameters": part.inputs.passed()}
        main.append(call)
    return main


def _ended(task: str) -> str:
    return f"({' || '.join(f'{task}.{end}' for end in (S, K, O, F, E))})"
