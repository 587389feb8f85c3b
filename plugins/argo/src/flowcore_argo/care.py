"""What Argo leaves to whoever looks: pods that never start, and processes that ignore their end.

Argo waits for ever for an image, a secret or a machine, and after a cancel it asks a process to end but does not make
it. So whoever polls a run takes such a pod away when its time is over; what kept it from starting is written down in
the Workflow first, since Argo only says that the pod is gone.
"""

from __future__ import annotations

import json
import time
from typing import Final

from attrs import define, field

from flowcore_argo.options import Options
from flowcore_argo.places import CANCELLED, FAULTS, PENDING
from flowcore_argo.status import Pod, View, seconds
from flowcore_kubernetes import PODS, Cause, Client, ConflictError, NotFoundError, Object, Resource, events_of, why_waiting

ENDED: Final = ("Succeeded", "Failed", "Error")


@define
class Care:
    """Looks after the pods of runs."""

    client: Client
    options: Options
    workflows: Resource
    _gone: set[str] = field(factory=set)
    """Nodes whose pods were taken away by this process already, which saves asking again."""

    def look_after(self, workflow: Object, view: View) -> None:
        """Take away what is over its time."""
        status = workflow.get("status") or {}
        cancelled = (workflow["metadata"].get("annotations") or {}).get(CANCELLED)
        now = time.time()
        if cancelled is not None and now > float(cancelled) + self.options.grace:
            self._kill(workflow, view)
        if status.get("phase") in ENDED:
            return
        for pod in view.pods:
            started = seconds(pod.node.get("startedAt"))
            if pod.node["phase"] != "Pending" or started is None or pod.node["id"] in self._gone:
                continue
            patience = _patience(pod, self.options)
            if now > started + patience:
                self._give_up(workflow, pod, patience)

    def _kill(self, workflow: Object, view: View) -> None:
        """Pods that still run although their grace is over."""
        namespace = workflow["metadata"]["namespace"]
        shutdown = workflow["spec"].get("shutdown")
        late = [
            pod
            for pod in view.pods
            if pod.node["id"] not in self._gone
            and (shutdown == "Terminate" or pod.spot.kind != "on_exit")
            and not _of_exit(workflow, pod)
        ]
        for pod in late:
            if pod.ended and "shutdown with strategy" not in (pod.node.get("message") or ""):
                continue
            found = self.client.find(PODS, pod.name, namespace)
            phase = (found or {}).get("status", {}).get("phase")
            self._gone.add(pod.node["id"])
            if phase in ("Running", "Pending"):
                self._delete(namespace, pod.name)

    def _give_up(self, workflow: Object, pod: Pod, patience: float) -> None:
        namespace, name = workflow["metadata"]["namespace"], workflow["metadata"]["name"]
        found = self.client.find(PODS, pod.name, namespace)
        if found is None or found.get("status", {}).get("phase") != "Pending":
            return
        cause = why_waiting(found, events_of(self.client, found)) or Cause("backend", "its pod did not start")
        message = f"{cause.message} (given up after {patience:g} s)"
        notes = json.loads((workflow["metadata"].get("annotations") or {}).get(FAULTS, "{}"))
        notes[pod.node["id"]] = [cause.reason, message]
        patch = {
            "metadata": {
                "resourceVersion": workflow["metadata"]["resourceVersion"],
                "annotations": {FAULTS: json.dumps(notes)},
            }
        }
        try:
            self.client.patch(self.workflows, name, patch, namespace)
        except ConflictError:
            return  # something changed meanwhile: the next poll looks again
        self._gone.add(pod.node["id"])
        self._delete(namespace, pod.name)

    def _delete(self, namespace: str, name: str) -> None:
        try:
            self.client.delete(PODS, name, namespace, grace=1)
        except NotFoundError:
            pass


def _of_exit(workflow: Object, pod: Pod) -> bool:
    """Whether a pod is one of on_exit, which a cancel leaves alone."""
    own = str(pod.node["name"])[len(workflow["metadata"]["name"]) :]
    return own.startswith(".onExit") and workflow["spec"].get("shutdown") != "Terminate"


def _patience(pod: Pod, options: Options) -> float:
    """Seconds that a pod may wait to start."""
    notes = (pod.spot.template.get("metadata") or {}).get("annotations") or {}
    return float(notes.get(PENDING, options.pending_timeout))
