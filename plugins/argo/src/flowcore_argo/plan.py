"""From the names of nodes back to the document's names, by the templates of the Workflow itself.

A node is called by its way through the templates: ``RUN.publish.upload``, ``RUN.train(3:3)`` for an item,
``RUN.tries(1)`` for an attempt, ``RUN.onExit[0].notify``. Templates say in an annotation what they stand for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, evolve, field, frozen

from flowcore_argo.places import KIND, PATTERN, STEP

_PART: Final = re.compile(r"\.([A-Za-z0-9-]+)|\((\d+)(?::[^()]*)?\)|\[(\d+)\]")


@frozen
class Spot:
    """What a node is.

    Attributes:
        template: its template.
        origin: the document's name; empty for what the document knows nothing of.
        kind: what the template is, if it is more than a leaf: nested, foreach, item, repeat, on_exit.
        group: whether the node is the loop over a foreach's items, and ``origin`` the foreach.
        attempt: which attempt it is, from 0, where the step has a retry strategy.
        iteration: of a repeat, from 1.
        helper: what a repeat's own small steps are: delay, next, limit.
    """

    template: Mapping[str, Any]
    origin: str = ""
    kind: str = ""
    group: bool = False
    attempt: int | None = None
    iteration: int | None = None
    helper: str = ""


@define
class _Way:
    template: Mapping[str, Any]
    numbers: tuple[int, ...] = ()
    looping: bool = False
    attempt: int | None = None
    iteration: int | None = None
    helper: str = ""


@define
class Plan:
    """The way through one Workflow's templates."""

    name: str
    spec: Mapping[str, Any]
    _templates: dict[str, Mapping[str, Any]] = field(factory=dict)
    _tasks: dict[int, dict[str, Mapping[str, Any]]] = field(factory=dict)
    _known: dict[str, _Way | None] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        for template in self.spec.get("templates") or ():
            self._templates[template["name"]] = template

    def template(self, name: str) -> Mapping[str, Any]:
        """A template by name."""
        return self._templates.get(name, {})

    def spot(self, node: str) -> Spot | None:
        """What a node is, by its name; None for what is not of this Workflow."""
        if node == self.name:
            return Spot(self.template(self.spec.get("entrypoint", "")))
        if not node.startswith(self.name):
            return None
        way = self._walk(node[len(self.name) :])
        return None if way is None else _spot(way)

    def _walk(self, path: str) -> _Way | None:
        """The way that a path takes; that of its beginning is remembered."""
        if path in self._known:
            return self._known[path]
        parts = list(_PART.finditer(path))
        if not parts or parts[-1].end() != len(path):
            return None
        last = parts[-1]
        before = self._start(path) if len(parts) == 1 else self._walk(path[: last.start()])
        way = None if before is None else self._step(before, last)
        self._known[path] = way
        return way

    def _start(self, path: str) -> _Way:
        return _Way(self.template(self.spec.get("entrypoint", "")))

    def _step(self, way: _Way, part: re.Match[str]) -> _Way | None:
        task, number, _ = part.groups()
        if task is not None:
            return self._enter(way, task)
        if number is not None:
            if way.looping:
                return evolve(way, numbers=(*way.numbers, int(number)), looping=False)
            return evolve(way, attempt=int(number))
        return way

    def _enter(self, way: _Way, name: str) -> _Way | None:
        if name == "onExit":
            return _Way(self.template(self.spec.get("onExit", "")))
        task = self._tasks_of(way.template).get(name)
        if task is None:
            return None
        template = task.get("inline") or self.template(task.get("template", ""))
        iteration, helper = way.iteration, ""
        if _kind(way.template) == "repeat":
            iteration = iteration or 1
            if name == "next":
                iteration += 1
            elif name != "run":
                helper = name
        return _Way(template, way.numbers, bool(task.get("withSequence")), None, iteration, helper)

    def _tasks_of(self, template: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        known = self._tasks.get(id(template))
        if known is None:
            calls = list((template.get("dag") or {}).get("tasks") or ())
            for group in template.get("steps") or ():
                calls += group
            known = self._tasks[id(template)] = {call["name"]: call for call in calls}
        return known


def _notes(template: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = (template.get("metadata") or {}).get("annotations") or {}
    return found


def _kind(template: Mapping[str, Any]) -> str:
    return _notes(template).get(KIND, "")


def _spot(way: _Way) -> Spot:
    notes = _notes(way.template)
    pattern = notes.get(PATTERN) or notes.get(STEP, "")
    kind = _kind(way.template)
    origin = pattern
    for number in way.numbers:
        origin = origin.replace("[*]", f"[{number}]", 1)
    group = way.looping or origin.endswith("[*]")
    if group:
        origin = origin.removesuffix("[*]")
    return Spot(
        template=way.template,
        origin=origin if not way.helper else "",
        kind=kind,
        group=group,
        attempt=way.attempt,
        iteration=way.iteration,
        helper=way.helper,
    )
