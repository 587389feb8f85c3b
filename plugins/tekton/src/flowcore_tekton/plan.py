"""From a PipelineRun's tasks back to the document's names, and what each waits for.

Tekton writes down why it skipped a task, but says something else once the run stops or is cancelled. So what decides
is read again out of what Tekton decided by: what a task runs after, and the results in its ``when``. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import frozen

from flowcore_tekton.places import ARTIFACT_NAMES, KIND, OWN_WHEN, RESULTS, STEP

_RESULT: Final = re.compile(r"\$\(tasks\.([a-z0-9-]+)\.results\.([A-Za-z0-9_.-]+?)(?:\[\*\])?\)")

Results = Mapping[str, Mapping[str, Any]]
"""Values of results, by task and name; only of tasks whose results can be read."""


@frozen
class Spot:
    """What a pipeline task is.

    Attributes:
        name: its name.
        origin: the document's name.
        kind: what it does, if it is not the step's own: items, join, enter, verdict, guard.
        last: whether it is one of ``finally``.
    """

    name: str
    task: Mapping[str, Any]
    origin: str
    kind: str
    last: bool

    @property
    def continued(self) -> bool:
        """Whether the run goes on after it failed."""
        return self.task.get("onError") == "continue"

    @property
    def each(self) -> bool:
        """Whether it runs once an item."""
        return "matrix" in self.task

    @property
    def own_when(self) -> str:
        """Why the step is skipped where the task's ``when`` does not hold; empty if that is a matter of its needs."""
        return _notes(self.task).get(OWN_WHEN, "")

    @property
    def artifacts(self) -> tuple[str, ...]:
        """The artifacts that its step leaves."""
        return tuple(_notes(self.task).get(ARTIFACT_NAMES, "").split())

    @property
    def outputs(self) -> Mapping[str, str]:
        """The outputs that its results are, where they have other names."""
        found: Mapping[str, str] = json.loads(_notes(self.task).get(RESULTS, "{}"))
        return found

    @property
    def after(self) -> frozenset[str]:
        """The tasks that it runs after, without reading anything of them."""
        return frozenset(self.task.get("runAfter") or ())

    @property
    def reads(self) -> frozenset[tuple[str, str]]:
        """The results without which it does not run: task and name."""
        texts = _texts([self.task.get("params"), self.task.get("matrix")])
        return frozenset((found[1], found[2]) for text in texts for found in _RESULT.finditer(text))

    @property
    def asks(self) -> frozenset[tuple[str, str]]:
        """The results that its ``when`` looks at."""
        return frozenset(
            (found[1], found[2]) for text in _texts(self.task.get("when")) for found in _RESULT.finditer(text)
        )

    @property
    def needs(self) -> frozenset[str]:
        """All tasks that must have ended before it starts."""
        return self.after | {task for task, _ in self.reads | self.asks}

    def holds(self, results: Results) -> bool:
        """Whether its ``when`` is true. A result that is not there makes it false, whatever it is compared with."""
        for row in self.task.get("when") or ():
            found = [_filled(text, results) for text in (row.get("input", ""), *(row.get("values") or ()))]
            if None in found:
                return False
            if (found[0] in found[1:]) != (row.get("operator") == "in"):
                return False
        return True


def spots_of(run: Mapping[str, Any]) -> dict[str, Spot]:
    """The tasks of a PipelineRun, by name."""
    spec = run["spec"]["pipelineSpec"]
    return {
        task["name"]: Spot(task["name"], task, _notes(task).get(STEP, ""), _notes(task).get(KIND, ""), last)
        for field, last in (("tasks", False), ("finally", True))
        for task in spec.get(field) or ()
    }


def _notes(task: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = ((task.get("taskSpec") or {}).get("metadata") or {}).get("annotations") or {}
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)


def _filled(text: str, results: Results) -> str | None:
    """A text with the values of results; None if one is not there."""
    found = {(match[1], match[2]) for match in _RESULT.finditer(text)}
    if any(name not in results.get(task, {}) for task, name in found):
        return None
    return _RESULT.sub(lambda match: str(results[match[1]][match[2]]), text)
