"""What Argo leaves to whoever looks: pods that never start, and processes that ignore their end.

Argo waits for ever for an image, a secret or a machine, and after a cancel it asks a process to end but does not make
it. So whoever polls a run ends such a pod when its time is over; what kept it from starting is written down in the
Workflow, since Argo only says that the pod failed.
"""

from __future__ import annotations

import json
import time
from datetime import datetime, timezone
from typing import Final

from attrs import define, field

from flowcore_argo.options import Options
from flowcore_argo.places import GIVEN_UP, PENDING, WOKEN
from flowcore_argo.status import Pod, View
from flowcore_argo.stored import with_end
from flowcore_kubernetes import (
    CANCELLED,
    PODS,
    Client,
    ConflictError,
    NotFoundError,
    Object,
    Resource,
    cause_of_text,
    events_of,
    notes_of,
    seconds,
    why_never_started,
)

ENDED: Final = ("Succeeded", "Failed", "Error")
_STILL: Final = 10.0
"""Seconds without anything that runs or waits for a machine after which Argo is asked to look."""


@define
class Care:
    """Looks after the pods of runs."""

    client: Client
    options: Options
    workflows: Resource
    _gone: set[str] = field(factory=set)
    """Nodes whose pods were taken away by this process already, which saves asking again."""

    def look_after(self, workflow: Object, view: View) -> bool:
        """Take away what is over its time.

        Returns:
            Whether processes of a cancelled run go on although its Workflow has ended.
        """
        self._sweep(workflow, view)
        over = (workflow.get("status") or {}).get("phase") in ENDED
        cancelled = notes_of(workflow).get(CANCELLED)
        if cancelled is not None:
            return self._end(workflow, view, time.time() > json.loads(cancelled)[0] + self.options.grace, over)
        if over:
            return False
        now = time.time()
        for pod in view.pods:
            started = seconds(pod.node.get("startedAt"))
            if pod.node["phase"] != "Pending" or started is None:
                continue
            if now > started + _patience(pod, self.options):
                self._give_up(workflow, pod, now - started)
        self._wake(workflow, view, now)
        return False

    def _wake(self, workflow: Object, view: View, now: float) -> None:
        """A run that stands still: Argo may have missed what it waited for.

        It does not look at a run whose time is over before the wait for an attempt is, nor at one that was resumed just
        as it ended. Any change makes it look.
        """
        started = seconds((workflow.get("status") or {}).get("startedAt"))
        if started is None or any(not pod.ended for pod in view.pods):
            return
        times = [seconds(pod.node.get("finishedAt")) or started for pod in view.pods]
        woken = float(notes_of(workflow).get(WOKEN, 0))
        if now < max(started, woken, *times) + _STILL:
            return
        patch = {"metadata": {"annotations": {WOKEN: f"{now:.0f}"}}}
        self.client.patch(self.workflows, workflow["metadata"]["name"], patch, workflow["metadata"]["namespace"])

    def _end(self, workflow: Object, view: View, late: bool, over: bool) -> bool:
        """The processes that a cancel has to end: those that are late are made to."""
        namespace = workflow["metadata"]["namespace"]
        alive = False
        for pod in view.pods:
            marked = "shutdown with strategy" in (pod.node.get("message") or "")
            if not marked or pod.node.get("finishedAt") is not None or pod.node["id"] in self._gone:
                continue
            if not late and not over:
                continue
            found = self.client.find(PODS, pod.name, namespace)
            if (found or {}).get("status", {}).get("phase") not in ("Running", "Pending"):
                self._gone.add(pod.node["id"])
                continue
            alive = True
            if late:
                self._delete(namespace, pod.name)
        return alive and over

    def _give_up(self, workflow: Object, pod: Pod, waited: float) -> None:
        """End a pod that does not start: it is declared failed. If it were only deleted, Argo would make it anew."""
        metadata = workflow["metadata"]
        namespace = metadata["namespace"]
        found = self.client.find(PODS, pod.name, namespace)
        if found is not None and found.get("status", {}).get("phase") != "Pending":
            return
        patience = _patience(pod, self.options)
        if found is None:
            cause = cause_of_text(pod.node.get("message") or "")  # if None, Argo has not come to make it
        else:
            cause = why_never_started(found, events_of(self.client, found), waited - patience)
        if cause is None:
            return
        # The kubelet may have said since that the pod waits, and Argo have made another one: then all of it again.
        self._gone.discard(pod.node["id"])
        # The cause is written down first: a poll from elsewhere may be the next to look.
        notes = _given_up(workflow)
        notes[pod.node["id"]] = [cause.reason, f"{cause.message} (given up after {patience:g} s)"]
        patch: Object = {
            "metadata": {
                "resourceVersion": metadata["resourceVersion"],
                "annotations": {GIVEN_UP: json.dumps(notes)},
            }
        }
        if found is None:
            # There is no pod that could fail: Argo is refused it, again and again.
            now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            end = {"phase": "Error", "message": notes[pod.node["id"]][1], "finishedAt": now, "taskResultSynced": True}
            patch["status"] = with_end(workflow, pod.node["id"], end)
        try:
            changed = self.client.patch(self.workflows, metadata["name"], patch, namespace)
            metadata.update(changed["metadata"])
            if found is not None:
                self.client.patch(PODS, pod.name, failed(found), namespace, subresource="status")
        except (ConflictError, NotFoundError):
            pass  # something changed meanwhile: the next poll looks again

    def _sweep(self, workflow: Object, view: View) -> None:
        """Delete the pods that were given up, once Argo has seen that they failed."""
        notes = _given_up(workflow)
        for pod in view.pods if notes else ():
            ended = pod.ended and pod.node.get("finishedAt") is not None
            if pod.node["id"] in notes and ended and pod.node["id"] not in self._gone:
                self._gone.add(pod.node["id"])
                self._delete(workflow["metadata"]["namespace"], pod.name)

    def _delete(self, namespace: str, name: str) -> None:
        try:
            self.client.delete(PODS, name, namespace, grace=1)
        except NotFoundError:
            pass


def failed(pod: Object) -> Object:
    """The change of a pod's status by which Argo takes it for one that could not be run.

    That takes a container that waits; a pod without a machine has none yet.
    """
    status: Object = {"phase": "Failed"}
    if not pod.get("status", {}).get("containerStatuses"):
        waiting = {"waiting": {"reason": "GivenUp", "message": "it did not start in time"}}
        main = next(each for each in pod["spec"]["containers"] if each["name"] == "main")
        fields = {"ready": False, "restartCount": 0, "image": main["image"], "imageID": ""}
        status["containerStatuses"] = [{"name": "main", "state": waiting, **fields}]
    return {"status": status}


def _given_up(workflow: Object) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(notes_of(workflow).get(GIVEN_UP, "{}"))
    return found


def _patience(pod: Pod, options: Options) -> float:
    """Seconds that a pod may wait to start."""
    notes = (pod.spot.template.get("metadata") or {}).get("annotations") or {}
    return float(notes.get(PENDING, options.pending_timeout))
