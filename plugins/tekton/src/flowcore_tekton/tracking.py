"""A run as the server has it: its PipelineRun and its TaskRuns, fetched again only if something changed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field, frozen

from flowcore_kubernetes import Client, NotFoundError, Object, is_leaving
from flowcore_tekton.places import PIPELINE_RUNS, RUN_LABEL, TASK_RUNS

OF_TASK: Final = "tekton.dev/pipelineTask"
"""Tekton's own label of a TaskRun: its task in the PipelineRun."""
_KEPT: Final = 16
"""Runs that are kept in memory."""
_ASKED: Final = 16
"""Tasks that are asked for by name, 3 KB each; of more than that all are listed: the API server compresses answers over
128 KiB (its feature APIResponseCompression), to a tenth."""


@frozen
class Seen:
    """One run: its PipelineRun, and its TaskRuns by name."""

    run: Object
    tasks: Mapping[str, Object]

    @property
    def over(self) -> bool:
        """Whether the PipelineRun has ended."""
        return is_over(self.run)


def condition(object: Mapping[str, Any]) -> Mapping[str, Any]:
    """The condition by which Tekton says how a run of either kind is; empty before it has looked at it."""
    for each in (object.get("status") or {}).get("conditions") or ():
        if each.get("type") == "Succeeded":
            found: Mapping[str, Any] = each
            return found
    return {}


def is_over(object: Mapping[str, Any]) -> bool:
    """Whether a PipelineRun or TaskRun has ended, for whatever reason."""
    return condition(object).get("status") in ("True", "False")


@define
class Tracker:
    """Fetches runs. What it remembers only saves traffic."""

    client: Client
    _seen: OrderedDict[str, Seen] = field(factory=OrderedDict)
    _lock: threading.Lock = field(factory=threading.Lock)

    def fetch(self, namespace: str, name: str) -> Seen:
        """A run as it is now: one call for one that has ended, two if nothing changed.

        Raises:
            NotFoundError: if there is no such PipelineRun, or it is being deleted.
        """
        key = f"{namespace}/{name}"
        with self._lock:
            known = self._seen.get(key)
        if known is not None and self._is_same(known, namespace, name):
            return known
        run = self.client.get(PIPELINE_RUNS, name, namespace)
        if is_leaving(run):
            raise NotFoundError(f"run {name} is being deleted", status=404)
        # After the PipelineRun: what it says of a TaskRun is then never newer than the TaskRun.
        found = self.client.list(TASK_RUNS, namespace, labels=f"{RUN_LABEL}={name}").items
        uid = run["metadata"]["uid"]
        seen = Seen(run, {each["metadata"]["name"]: each for each in found if _belongs(each, uid)})
        with self._lock:
            self._seen[key] = seen
            self._seen.move_to_end(key)
            while len(self._seen) > _KEPT:
                self._seen.popitem(last=False)
        return seen

    def forget(self, namespace: str, name: str) -> None:
        """Fetch a run anew the next time."""
        with self._lock:
            self._seen.pop(f"{namespace}/{name}", None)

    def _is_same(self, known: Seen, namespace: str, name: str) -> bool:
        head = self.client.get(PIPELINE_RUNS, name, namespace, metadata_only=True)
        if is_leaving(head) or _version(head) != _version(known.run):
            return False
        going = {each["metadata"]["name"]: each for each in known.tasks.values() if not is_over(each)}
        if not going:
            # A TaskRun that comes changes the PipelineRun, and one that has ended changes no more.
            return True
        labels = f"{RUN_LABEL}={name}"
        tasks = sorted({each["metadata"]["labels"][OF_TASK] for each in going.values()})
        if len(tasks) <= _ASKED:
            labels += f",{OF_TASK} in ({','.join(tasks)})"
        found = self.client.list(TASK_RUNS, namespace, labels=labels, metadata_only=True).items
        now = {each["metadata"]["name"]: _version(each) for each in found}
        return all(now.get(each) == _version(task) for each, task in going.items())


def _version(object: Mapping[str, Any]) -> str:
    return str(object["metadata"]["resourceVersion"])


def _belongs(task: Mapping[str, Any], uid: str) -> bool:
    """Whether a TaskRun is of this PipelineRun, not left by an earlier one of its name."""
    return any(owner.get("uid") == uid for owner in task["metadata"].get("ownerReferences") or ())
