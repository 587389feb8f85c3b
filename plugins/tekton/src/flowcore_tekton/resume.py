"""A run that is over goes on: what succeeded stays, all else is forgotten and runs again.

Tekton's controller goes by what the status of the PipelineRun says: without an end, and without the TaskRuns that shall
run again, it has to start them. The spec of a PipelineRun that has ended cannot be changed, so which attempt is the
next one is told by annotations, which Tekton hands on to the TaskRuns that it makes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from graphlib import TopologicalSorter
from typing import Any, Final

from flowcore.plugin import Phase, RefusedError
from flowcore_kubernetes import Client, seconds
from flowcore_tekton.places import ATTEMPT, PIPELINE_RUNS, TASK_RUNS
from flowcore_tekton.plan import spots_of
from flowcore_tekton.tracking import OF_TASK, Seen, condition
from flowcore_tekton.view import View

_PATIENCE: Final = 120.0
"""Seconds that TaskRuns and their pods may take to be gone."""
_LOOKS: Final = 3
_PAUSE: Final = 0.5


def resume(client: Client, seen: Seen, view: View) -> None:
    """Let a run go on that has ended.

    Raises:
        RefusedError: if what has to run again does not go away, the run was cancelled, or its time is over.
    """
    metadata = seen.run["metadata"]
    name, namespace = metadata["name"], metadata["namespace"]
    if seen.run["spec"].get("status"):
        raise RefusedError(f"run {name} was cancelled, which Tekton does not take back; submit it again")
    limit = seen.run["spec"].get("timeouts", {}).get("tasks")
    started = seconds((seen.run.get("status") or {}).get("startTime"))
    if limit and started is not None and time.time() > started + _in_seconds(limit):
        raise RefusedError(f"the time of run {name}, {limit} from its start, is over; submit it again")
    again = _again(seen, view)
    client.patch(PIPELINE_RUNS, name, {"metadata": {"annotations": _attempts(seen, view, again)}}, namespace)
    for each in again:
        client.delete(TASK_RUNS, each, namespace, foreground=True)
    end = time.monotonic() + _PATIENCE
    while any(client.find(TASK_RUNS, each, namespace, metadata_only=True) is not None for each in again):
        if time.monotonic() > end:
            raise RefusedError(f"the TaskRuns of run {name} that have to run again are not gone after {_PATIENCE:g} s")
        time.sleep(0.3)
    _go_on(client, seen, again, end)


def _go_on(client: Client, seen: Seen, again: Iterable[str], end: float) -> None:
    """Make the PipelineRun one that has not ended.

    Tekton's controller, which saw the TaskRuns go, may write down once more what it knew: so it is looked at, twice.

    Raises:
        RefusedError: if it does not stay so.
    """
    name, namespace = seen.run["metadata"]["name"], seen.run["metadata"]["namespace"]
    change = _going_on(seen, again)
    goes_on = 0
    while goes_on < _LOOKS:
        run = client.get(PIPELINE_RUNS, name, namespace)
        if run["status"].get("completionTime") != seen.run["status"].get("completionTime"):
            goes_on += 1
        elif time.monotonic() > end:
            raise RefusedError(f"Tekton's controller does not let run {name} go on; submit it again")
        else:
            goes_on = 0
            client.patch(PIPELINE_RUNS, name, change, namespace, subresource="status")
        time.sleep(_PAUSE)


def _again(seen: Seen, view: View) -> list[str]:
    """The TaskRuns that must go: Tekton makes all of a matrix at once, so an item that runs again takes all with it."""
    good = {leaf.origin for leaf in view.leaves if leaf.phase is Phase.SUCCEEDED}
    spots = spots_of(seen.run)
    parted: set[str] = set()
    for each in view.attempts:
        task = _task_of(seen.tasks[each.task])
        fine = condition(seen.tasks[each.task]).get("status") == "True" if each.helper else each.step in good
        if not fine or spots[task].last or spots[task].kind == "verdict":
            parted.add(task)
    # Whatever gathers or decides after a task that runs again has to do so anew.
    for name in TopologicalSorter({name: spot.needs for name, spot in spots.items()}).static_order():
        if name in spots and spots[name].kind and spots[name].needs & parted:
            parted.add(name)
    return [name for name, task in seen.tasks.items() if _task_of(task) in parted]


def _attempts(seen: Seen, view: View, again: Iterable[str]) -> dict[str, str]:
    """The number of the next attempt of each task that runs again."""
    counts: dict[str, int] = {}
    for each in view.attempts:
        if each.task in again and not each.helper and (each.begun or each.never_ran):
            task = _task_of(seen.tasks[each.task])
            counts[task] = max(counts.get(task, 0), each.number)
    return {f"{ATTEMPT}{task}": str(count + 1) for task, count in counts.items()}


def _going_on(seen: Seen, again: Iterable[str]) -> dict[str, Any]:
    """The change of the PipelineRun's status by which it has not ended."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    state = {"type": "Succeeded", "status": "Unknown", "reason": "Running", "message": "it was resumed"}
    references = (seen.run.get("status") or {}).get("childReferences") or ()
    return {
        "status": {
            "conditions": [{**state, "lastTransitionTime": now}],
            "childReferences": [each for each in references if each["name"] not in again],
            **dict.fromkeys(("completionTime", "skippedTasks", "finallyStartTime")),
        }
    }


def _task_of(task: Mapping[str, Any]) -> str:
    return str(task["metadata"]["labels"][OF_TASK])


def _in_seconds(text: str) -> float:
    """A duration as Tekton writes it: ``1h0m5s``."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([0-9.]+)(h|ms|m|s)", text))
