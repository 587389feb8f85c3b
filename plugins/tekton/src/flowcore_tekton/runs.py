"""Runs on a cluster: what is asked of the API server, and what is made of its answers."""

from __future__ import annotations

import time
from typing import Any, ClassVar, Final

from attrs import define, field

from flowcore.plugin import (
    Phase,
    RefusedError,
    RunHandle,
    Snapshot,
    UsageError,
)
from flowcore_kubernetes import (
    CANCELLED,
    CONFIG_MAPS,
    OUTLINE,
    ConflictError,
    InvalidError,
    LogSource,
    NotFoundError,
    Object,
    ObjectRuns,
    Resource,
    connect,
    controller_fault,
    notes_of,
    read_logs,
    require_namespace,
    require_permissions,
    require_resources,
    require_server,
    seconds,
    unpacked_outline,
)
from flowcore_tekton.allowed import RUNNING, USER
from flowcore_tekton.care import Care
from flowcore_tekton.logs import without_noise
from flowcore_tekton.options import Options
from flowcore_tekton.places import MAIN, OUTLINE_KEY, PIPELINE_RUNS, TASK_RUNS, TTL
from flowcore_tekton.told import Listener
from flowcore_tekton.tracking import Seen, Tracker, condition, is_over
from flowcore_tekton.view import view_of

HELD: Final = "PipelineRunPending"
"""What a PipelineRun's ``spec.status`` is while its companions are made: its pods would wait longer for them."""
GRACEFULLY: Final = "CancelledRunFinally"
AT_ONCE: Final = "Cancelled"
"""What it is once the run was cancelled: the rest still runs, or not."""


@define
class Runs(ObjectRuns):
    """The runs of one namespace."""

    kind: ClassVar[Resource] = PIPELINE_RUNS
    times: ClassVar[tuple[str, str]] = ("startTime", "completionTime")

    options: Options
    tracker: Tracker
    care: Care
    listener: Listener
    _outlines: dict[str, str] = field(factory=dict)

    @classmethod
    def of(cls, options: Options, backend: str) -> Runs:
        """The runs that the options lead to. Opens no connection."""
        client = connect(options)
        return cls(client, backend, options, Tracker(client), Care(client, options), Listener(client))

    # Submit

    def hold(self, run: Object) -> None:
        run["spec"]["status"] = HELD

    def is_held(self, run: Object) -> bool:
        return bool(run["spec"].get("status") == HELD)

    def phase(self, run: Object) -> Phase:
        if not is_over(run):
            return Phase.RUNNING if (run.get("status") or {}).get("startTime") else Phase.PENDING
        return Phase.SUCCEEDED if condition(run)["status"] == "True" else Phase.FAILED

    def release(self, name: str) -> None:
        """Let a run start that waited for its companions, unless it was cancelled meanwhile."""
        path = "/spec/status"
        patch = [{"op": "test", "path": path, "value": HELD}, {"op": "remove", "path": path}]
        try:
            self.client.patch(PIPELINE_RUNS, name, patch, kind="json")
        except InvalidError:
            # An earlier try may have arrived.
            if self.is_held(self.client.get(PIPELINE_RUNS, name)):
                raise

    # Poll

    def poll(self, handle: RunHandle, cursor: str, logs: bool) -> Snapshot:
        """A run as it is now."""
        namespace, name = self.place_of(handle)
        seen = self._fetch(namespace, name)
        self._expire(seen)
        view = view_of(seen, self.listener.told(seen))
        alive = self.care.look_after(seen, view)
        ended = seen.over and all(is_over(task) for task in seen.tasks.values()) and not alive
        lines: tuple[Any, ...] = ()
        more, whole = False, True
        if logs:
            sources = [
                LogSource(
                    f"{each.pod}#{each.number}", each.pod, each.step, each.number, f"step-{MAIN}", each.ended or ended
                )
                for each in view.attempts
                if each.begun and not each.helper
            ]
            page = read_logs(self.client, sources, cursor, namespace=namespace)
            lines, cursor, more, whole = without_noise(page.lines), page.cursor, page.more, page.whole
        status = seen.run.get("status") or {}
        return Snapshot(
            outline=self._outline(seen.run),
            leaves=view.leaves,
            done=ended and (not logs or (whole and not more)),
            cancelled=view.cancelled,
            timed_out=view.timed_out,
            error=view.error,
            started=seconds(status.get("startTime")),
            finished=seconds(status.get("completionTime")) if ended else None,
            logs=lines,
            more=more,
            cursor=cursor,
        )

    def _expire(self, seen: Seen) -> None:
        """Delete a run whose time to live is over: Tekton does not.

        Raises:
            GoneError: if it was.
        """
        ttl, end = notes_of(seen.run).get(TTL), seconds((seen.run.get("status") or {}).get("completionTime"))
        if ttl is None or end is None or time.time() < end + float(ttl):
            return
        metadata = seen.run["metadata"]
        self.client.delete(PIPELINE_RUNS, metadata["name"], metadata["namespace"], uid=metadata["uid"])
        raise self.gone(metadata["namespace"], metadata["name"])

    def _outline(self, run: Object) -> str:
        """The outline, which is in a companion if it is long: annotations are copied to every TaskRun and pod."""
        text = notes_of(run).get(OUTLINE, "{}")
        if not text.startswith("@"):
            return unpacked_outline(text)
        uid = run["metadata"]["uid"]
        if uid not in self._outlines:
            name = f"{run['metadata']['name']}-{text[1:]}"
            found = self.client.get(CONFIG_MAPS, name, run["metadata"]["namespace"])
            self._outlines[uid] = unpacked_outline(found["data"][OUTLINE_KEY])
        return self._outlines[uid]

    def _fetch(self, namespace: str, name: str) -> Seen:
        try:
            return self.tracker.fetch(namespace, name)
        except NotFoundError:
            raise self.gone(namespace, name) from None

    def probe(self) -> None:
        """See whether the cluster could run anything.

        Raises:
            UnreachableError: if it does not answer.
            RefusedError: if Tekton is not installed or does not run, or the caller may not use it, with the Role.
        """
        require_server(self.client)
        require_namespace(self.client)
        require_resources(self.client, (PIPELINE_RUNS, TASK_RUNS))
        require_permissions(self.client, RUNNING, USER)
        for name, labels in (
            (
                "the controller of Tekton Pipelines",
                "app.kubernetes.io/name=controller,app.kubernetes.io/part-of=tekton-pipelines",
            ),
            (
                "the webhook of Tekton Pipelines",
                "app.kubernetes.io/name=webhook,app.kubernetes.io/part-of=tekton-pipelines",
            ),
        ):
            fault = controller_fault(self.client, name, labels)
            if fault is not None:
                raise RefusedError(fault)

    # Everything else

    def cancel(self, handle: RunHandle, now: bool) -> None:
        """Ask a run to end. Written down only while it has not ended, which the server checks as it writes."""
        namespace, name = self.place_of(handle)
        while True:
            run = self.find(namespace, name)
            asked = run["spec"].get("status", "")
            if is_over(run) or asked == AT_ONCE or (asked == GRACEFULLY and not now):
                break
            notes = {} if CANCELLED in notes_of(run) else {CANCELLED: f"{time.time():.3f}"}
            patch: Object = {
                "metadata": {"resourceVersion": run["metadata"]["resourceVersion"], "annotations": notes},
                "spec": {"status": AT_ONCE if now else GRACEFULLY},
            }
            try:
                self.client.patch(PIPELINE_RUNS, name, patch, namespace)
                break
            except ConflictError:
                continue
        seen = self._fetch(namespace, name)
        self.care.look_after(seen, view_of(seen, self.listener.told(seen)))

    def artifact(self, handle: RunHandle, step: str, output: str, target: str) -> str:
        """Copy an artifact to a place on this machine."""
        from flowcore_tekton.download import download

        namespace, name = self.place_of(handle)
        seen = self._fetch(namespace, name)
        view = view_of(seen, self.listener.told(seen))
        leaf = next((leaf for leaf in view.leaves if leaf.origin == step), None)
        attempt = next(
            (each for each in reversed(view.attempts) if each.step == step and output in each.artifacts), None
        )
        if leaf is None or attempt is None or leaf.phase is not Phase.SUCCEEDED:
            state = f"is {leaf.phase}" if leaf is not None else "has not started"
            raise UsageError(f"step {step} has no artifact {output} in this run; it {state}")
        return download(self.client, self.options, seen.run, seen.tasks[attempt.task], step, output, target)

    def resume(self, handle: RunHandle) -> RunHandle:
        """Run the failed steps again; what succeeded stays."""
        from flowcore_tekton.resume import resume

        namespace, name = self.place_of(handle)
        seen = self._fetch(namespace, name)
        if not seen.over:
            raise RefusedError(f"run {name} is not over, so there is nothing to resume")
        if condition(seen.run)["status"] == "True":
            raise RefusedError(f"run {name} succeeded, so there is nothing to resume")
        resume(self.client, seen, view_of(seen, self.listener.told(seen)))
        self.tracker.forget(namespace, name)
        return handle
