"""What Tekton leaves to whoever looks: pods that never start, and processes that ignore their end.

Tekton waits for ever for a machine, a volume or a quota, and after a cancel it deletes a pod but does not care whether
its process ends in time. So whoever polls a run ends such a pod when its time is over. A pod that does not start is
declared failed, with the cause as its message: Tekton then ends the attempt itself, tells the cause in the TaskRun,
and retries where that is asked for.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone

from attrs import define, field

from flowcore_kubernetes import (
    CANCELLED,
    PODS,
    Cause,
    Client,
    NotFoundError,
    Object,
    cause_of_text,
    events_of,
    is_leaving,
    notes_of,
    why_never_started,
)
from flowcore_tekton.options import Options
from flowcore_tekton.places import PENDING_TIMEOUT, RUN_LABEL, TASK_RUNS
from flowcore_tekton.status import given_up
from flowcore_tekton.tracking import Seen
from flowcore_tekton.view import Attempt, View


@define
class Care:
    """Looks after the pods of runs."""

    client: Client
    options: Options
    _done: set[str] = field(factory=set)
    """What was seen to already by this process, which saves asking again: uids of runs, and pods."""

    def look_after(self, seen: Seen, view: View) -> bool:
        """Take away what is over its time.

        Returns:
            Whether processes of a cancelled run go on.
        """
        now = time.time()
        for attempt in view.attempts:
            if attempt.waits and attempt.since is not None:
                patience = self._patience(seen, attempt)
                if now > attempt.since + patience:
                    self._give_up(seen, attempt, now - attempt.since, patience)
            elif attempt.ended and attempt.never_ran and attempt.pod not in self._done:
                self._done.add(attempt.pod)
                self._delete(seen, attempt.pod)
        return self._end(seen, now)

    def _patience(self, seen: Seen, attempt: Attempt) -> float:
        """Seconds that a pod may wait to start."""
        return float(notes_of(seen.tasks[attempt.task]).get(PENDING_TIMEOUT, self.options.pending_timeout))

    def _give_up(self, seen: Seen, attempt: Attempt, waited: float, patience: float) -> None:
        namespace = seen.run["metadata"]["namespace"]
        pod = self.client.find(PODS, attempt.pod, namespace) if attempt.pod else None
        if pod is None:
            cause = cause_of_text(attempt.message)  # if None, Tekton has not come to make it
        elif pod.get("status", {}).get("phase") != "Pending":
            return
        else:
            cause = why_never_started(pod, events_of(self.client, pod), waited - patience)
        if cause is None:
            return
        message = given_up(Cause(cause.reason, f"{cause.message} (given up after {patience:g} s)"))
        try:
            if pod is not None:
                self.client.patch(
                    PODS,
                    attempt.pod,
                    {"status": {"phase": "Failed", "message": message}},
                    namespace,
                    subresource="status",
                )
            else:
                # There is no pod that could fail: Tekton is refused it, again and again.
                self.client.patch(TASK_RUNS, attempt.task, _failed(message), namespace, subresource="status")
        except NotFoundError:
            pass  # it went meanwhile: the next poll looks again

    def _end(self, seen: Seen, now: float) -> bool:
        """The processes that a cancel has to end: those that are late are made to."""
        cancelled = notes_of(seen.run).get(CANCELLED)
        metadata = seen.run["metadata"]
        if not cancelled or metadata["uid"] in self._done:
            return False
        labels = f"{RUN_LABEL}={metadata['name']}"
        pods = self.client.list(PODS, metadata["namespace"], labels=labels, metadata_only=True).items
        leaving = [pod for pod in pods if is_leaving(pod)]
        if now > float(cancelled) + self.options.grace:
            for pod in leaving:
                self._delete(seen, pod["metadata"]["name"])
        if seen.over and not leaving:
            self._done.add(metadata["uid"])
        return bool(leaving)

    def _delete(self, seen: Seen, pod: str) -> None:
        self.client.delete(PODS, pod, seen.run["metadata"]["namespace"], grace=1)


def _failed(message: str) -> Object:
    """The change of a TaskRun's status by which it has ended."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    end = {"type": "Succeeded", "status": "False", "reason": "Failed", "message": message, "lastTransitionTime": now}
    return {"status": {"conditions": [end], "completionTime": now}}
