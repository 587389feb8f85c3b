"""Runs on a cluster: what is asked of the API server, and what is made of its answers."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from attrs import define, evolve, field, frozen

from flowcore.plugin import (
    GoneError,
    Phase,
    RefusedError,
    Rendered,
    RunHandle,
    Snapshot,
    UsageError,
    run_id,
)
from flowcore_argo.allowed import RUNNING, USER
from flowcore_argo.archive import has_archive, shown_again
from flowcore_argo.archive import read as read_already
from flowcore_argo.care import Care
from flowcore_argo.logs import without_noise
from flowcore_argo.options import Options
from flowcore_argo.places import (
    CRON_LABEL,
    CRON_WORKFLOWS,
    EARLIER,
    GIVEN_UP,
    TASK_RESULTS,
    WORKFLOWS,
)
from flowcore_argo.plan import Plan
from flowcore_argo.server import Server
from flowcore_argo.status import Cancel, View, view_of
from flowcore_argo.stored import nodes_of
from flowcore_kubernetes import (
    CANCELLED,
    OUTLINE,
    PODS,
    ConflictError,
    ForbiddenError,
    LogPage,
    LogSource,
    NotFoundError,
    Object,
    ObjectRuns,
    Resource,
    accompany,
    cause_of_text,
    connect,
    controller_fault,
    is_leaving,
    notes_of,
    read_logs,
    require_namespace,
    require_permissions,
    require_resources,
    require_server,
    seconds,
    unpacked_outline,
)

ENDED: Final = ("Succeeded", "Failed", "Error")
_KEPT: Final = 16
"""Workflows that are kept in memory, so that a poll of one that did not change needs not fetch it."""


@frozen
class Seen:
    """A Workflow as it was fetched."""

    version: str
    workflow: Object
    plan: Plan
    view: View


@define
class Runs(ObjectRuns):
    """The runs of one namespace."""

    kind: ClassVar[Resource] = WORKFLOWS
    times: ClassVar[tuple[str, str]] = ("startedAt", "finishedAt")

    options: Options
    care: Care
    server: Server
    _seen: OrderedDict[str, Seen] = field(factory=OrderedDict)
    _lock: threading.Lock = field(factory=threading.Lock)

    @classmethod
    def of(cls, options: Options, backend: str) -> Runs:
        """The runs that the options lead to. Opens no connection."""
        client = connect(options)
        return cls(client, backend, options, Care(client, options, WORKFLOWS), Server.of(options, client.access))

    # Submit

    def hold(self, run: Object) -> None:
        run["spec"]["suspend"] = True

    def is_held(self, run: Object) -> bool:
        return bool(run["spec"].get("suspend"))

    def release(self, name: str) -> None:
        self.client.patch(WORKFLOWS, name, {"spec": {"suspend": None}})

    def phase(self, run: Object) -> Phase:
        return _PHASES.get((run.get("status") or {}).get("phase", ""), Phase.PENDING)

    def submit(self, rendered: Rendered, key: str) -> RunHandle:
        """Start a run, or a CronWorkflow that starts runs; or find what the key has started."""
        if _kind(rendered) is WORKFLOWS:
            return super().submit(rendered, key)
        name = run_id(rendered.name, key)
        cron, companions = self.named(rendered, name)
        accompany(self.client, companions, self.create(CRON_WORKFLOWS, cron))
        return self.handle(name)

    def validate(self, rendered: Rendered, kind: Resource | None = None) -> None:
        """Ask the server whether it would take this."""
        super().validate(rendered, kind or _kind(rendered))

    # Poll

    def poll(self, handle: RunHandle, cursor: str, logs: bool) -> Snapshot:
        """A run as it is now."""
        namespace, name = self.place_of(handle)
        try:
            seen = self._fetch(namespace, name)
        except GoneError:
            started = self._of_cron(namespace, name)
            if isinstance(started, Snapshot):
                return started
            seen = self._fetch(namespace, started)
        workflow, view = seen.workflow, seen.view
        alive = self.care.look_after(workflow, view)
        status = workflow.get("status") or {}
        ended = status.get("phase") in ENDED and not alive
        page = self._logs(workflow, view, cursor, ended) if logs else LogPage((), cursor)
        cancelled = CANCELLED in notes_of(workflow)
        timed_out = not cancelled and _timed_out(workflow, view)
        return Snapshot(
            outline=unpacked_outline(notes_of(workflow).get(OUTLINE, "{}")),
            leaves=view.leaves,
            done=ended and page.whole and not page.more,
            cancelled=cancelled,
            timed_out=timed_out,
            error=_fault(status, view),
            started=seconds(status.get("startedAt")),
            finished=seconds(status.get("finishedAt")) if ended else None,
            logs=page.lines,
            more=page.more,
            cursor=page.cursor,
        )

    def _logs(self, workflow: Object, view: View, cursor: str, ended: bool) -> LogPage:
        """The lines that came since a cursor, from pods and from Argo's archive."""
        namespace = workflow["metadata"]["namespace"]
        given_up = json.loads(notes_of(workflow).get(GIVEN_UP, "{}"))
        # A pod that was given up before it started has lost nothing.
        pods = [pod for pod in view.pods if pod.node["phase"] != "Pending" and pod.node["id"] not in given_up]
        sources = [
            LogSource(
                pod.node["id"],
                pod.name,
                pod.step,
                pod.attempt,
                ended=pod.ended or ended,
                archived=has_archive(pod.node),
            )
            for pod in pods
        ]
        page = read_logs(self.client, sources, cursor, namespace=namespace)
        lines = without_noise(page.lines)
        kept = [pod for pod in pods if pod.node["id"] in page.kept]
        if not kept or page.more:
            return evolve(page, lines=lines)
        again = shown_again(self.client, workflow, kept, self.options.helper_image)
        found = read_logs(self.client, again, page.cursor, namespace=namespace)
        read_already(self.client, workflow, [pod for pod in kept if pod.node["id"] not in found.kept])
        # The time of a line is when it was shown again, which says nothing.
        lines += tuple(evolve(line, time=None) for line in without_noise(found.lines))
        return evolve(found, lines=lines, whole=page.whole and found.whole and not found.kept)

    def _fetch(self, namespace: str, name: str) -> Seen:
        """The Workflow, from memory if the server says that it has not changed."""
        key = f"{namespace}/{name}"
        with self._lock:
            known = self._seen.get(key)
        try:
            if known is not None:
                head = self.client.get(WORKFLOWS, name, namespace, metadata_only=True)
                if not is_leaving(head) and head["metadata"]["resourceVersion"] == known.version:
                    return known
            workflow = self.whole(namespace, name)
        except NotFoundError:
            raise self.gone(namespace, name) from None
        plan = Plan(name, workflow["spec"])
        view = _view(plan, workflow)
        seen = Seen(workflow["metadata"]["resourceVersion"], workflow, plan, view)
        with self._lock:
            self._seen[key] = seen
            self._seen.move_to_end(key)
            while len(self._seen) > _KEPT:
                self._seen.popitem(last=False)
        return seen

    def whole(self, namespace: str, name: str) -> Object:
        """A run's Workflow with its nodes, wherever Argo keeps them."""
        return self.server.complete(self.find(namespace, name))

    def _of_cron(self, namespace: str, name: str) -> Snapshot | str:
        """The newest run that a CronWorkflow has started; if there is none yet, what is known of it.

        Raises:
            GoneError: if there is no CronWorkflow of that name.
        """
        try:
            cron = self.client.find(CRON_WORKFLOWS, name, namespace)
        except ForbiddenError:
            cron = None  # who may not see crons has made none
        if cron is None:
            raise self.gone(namespace, name)
        runs = self.client.list(WORKFLOWS, namespace, labels=f"{CRON_LABEL}={name}", metadata_only=True).items
        newest = max(
            runs, key=lambda run: (run["metadata"]["creationTimestamp"], run["metadata"]["name"]), default=None
        )
        if newest is not None:
            return str(newest["metadata"]["name"])
        return Snapshot(outline=unpacked_outline(notes_of(cron).get(OUTLINE, "{}")), leaves=())

    def probe(self) -> None:
        """See whether the cluster could run anything.

        Raises:
            UnreachableError: if it does not answer.
            RefusedError: if Argo is not installed or does not run, or the caller may not use it, with the Role.
        """
        require_server(self.client)
        require_namespace(self.client)
        require_resources(self.client, (WORKFLOWS, TASK_RESULTS))
        require_permissions(self.client, RUNNING, USER)
        self.server.probe()
        fault = controller_fault(self.client, "the controller of Argo Workflows", "app=workflow-controller")
        if fault is not None:
            raise RefusedError(fault)

    # Everything else

    def cancel(self, handle: RunHandle, now: bool) -> None:
        """Ask a run to end. Written down only while it has not ended, which the server checks as it writes."""
        namespace, name = self.place_of(handle)
        if self.client.find(WORKFLOWS, name, namespace, metadata_only=True) is None:
            started = self._of_cron(namespace, name)
            self.client.patch(CRON_WORKFLOWS, name, {"spec": {"suspend": True}}, namespace)
            if isinstance(started, Snapshot):
                return
            name = started
        while True:
            workflow = self.whole(namespace, name)
            status = workflow.get("status") or {}
            shutdown = workflow["spec"].get("shutdown", "")
            if status.get("phase") in ENDED or shutdown == "Terminate" or (shutdown and not now):
                self.care.look_after(workflow, _view(Plan(name, workflow["spec"]), workflow))
                return
            notes = {} if CANCELLED in notes_of(workflow) else {CANCELLED: _cancel_note(workflow)}
            patch: Object = {
                "metadata": {"resourceVersion": workflow["metadata"]["resourceVersion"], "annotations": notes},
                "spec": {"shutdown": "Terminate" if now else "Stop", "suspend": None},
            }
            try:
                self.client.patch(WORKFLOWS, name, patch, namespace)
                return
            except ConflictError:
                continue

    def delete(self, handle: RunHandle) -> None:
        """Remove a run that is over, or a CronWorkflow, with all that belongs to it."""
        namespace, name = self.place_of(handle)
        if self.client.find(WORKFLOWS, name, namespace, metadata_only=True) is not None:
            super().delete(handle)
            return
        self._of_cron(namespace, name)
        self.client.delete(CRON_WORKFLOWS, name, namespace)

    def artifact(self, handle: RunHandle, step: str, output: str, target: str) -> str:
        """Copy an artifact to a place on this machine."""
        from flowcore_argo.download import download

        namespace, name = self.place_of(handle)
        seen = self._fetch(namespace, name)
        leaf = next((leaf for leaf in seen.view.leaves if leaf.origin == step), None)
        place = None if leaf is None else leaf.outputs.get(output)
        if leaf is None or not isinstance(place, str) or output not in _artifact_names(seen, step):
            state = f"is {leaf.phase}" if leaf is not None else "has not started"
            raise UsageError(f"step {step} has no artifact {output} in this run; it {state}")
        return download(self.client, self.options, seen.workflow, place, output, target)

    def resume(self, handle: RunHandle) -> RunHandle:
        """Run the failed steps again; what succeeded stays."""
        from flowcore_argo.resume import resumed

        namespace, name = self.place_of(handle)
        while True:
            workflow = self.whole(namespace, name)
            phase = (workflow.get("status") or {}).get("phase")
            if phase not in ENDED:
                raise RefusedError(f"run {name} is not over, so there is nothing to resume")
            if phase == "Succeeded":
                raise RefusedError(f"run {name} succeeded, so there is nothing to resume")
            view = _view(Plan(name, workflow["spec"]), workflow)
            changed, pods = resumed(workflow, view)
            try:
                for pod in pods:
                    self.client.delete(PODS, pod, namespace)
            except NotFoundError:
                pass
            try:
                self.client.replace(WORKFLOWS, changed, namespace)
                return handle
            except ConflictError:
                continue


_PHASES: Final = {
    "Pending": Phase.PENDING,
    "Running": Phase.RUNNING,
    "Succeeded": Phase.SUCCEEDED,
    "Failed": Phase.FAILED,
    "Error": Phase.FAILED,
}


def _kind(rendered: Rendered) -> Resource:
    return CRON_WORKFLOWS if rendered.objects[0]["kind"] == "CronWorkflow" else WORKFLOWS


def _view(plan: Plan, workflow: Object) -> View:
    notes = notes_of(workflow)
    earlier = json.loads(notes.get(EARLIER, "{}"))
    given_up = json.loads(notes.get(GIVEN_UP, "{}"))

    def cause(message: str) -> Any:
        found = cause_of_text(message) if message else None
        return None if found is None else (found.reason, found.message)

    started = seconds((workflow.get("status") or {}).get("startedAt"))
    limit = workflow["spec"].get("activeDeadlineSeconds")
    deadline = None if started is None or limit is None else started + float(limit)
    over = (workflow.get("status") or {}).get("phase") in ENDED
    return view_of(plan, nodes_of(workflow), given_up, earlier, cause, deadline, _cancel(notes), over)


def _cancel_note(workflow: Object) -> str:
    """What has to be known of a cancel later: our time, the last one in the Workflow, what ended in that second."""
    nodes = nodes_of(workflow)
    times = [seconds(node.get(field)) or 0.0 for node in nodes for field in ("startedAt", "finishedAt")]
    last = max(times, default=0.0)
    ended = [node["id"] for node in nodes if seconds(node.get("finishedAt")) == last]
    return json.dumps([round(time.time(), 3), last, ended])


def _cancel(notes: Mapping[str, str]) -> Cancel | None:
    if CANCELLED not in notes:
        return None
    _, last, ended = json.loads(notes[CANCELLED])
    return Cancel(last, frozenset(ended))


def _timed_out(workflow: Object, view: View) -> bool:
    if not workflow["spec"].get("activeDeadlineSeconds"):
        return False
    return any(leaf.reason == "run-timeout" for leaf in view.leaves)


def _fault(status: Mapping[str, Any], view: View) -> str | None:
    """Why the whole could not be run, where no step says it."""
    if status.get("phase") != "Error":
        return None
    if any(leaf.phase in (Phase.ERROR, Phase.FAILED) for leaf in view.leaves):
        return None
    return " ".join((status.get("message") or "Argo could not run the workflow").split())


def _artifact_names(seen: Seen, step: str) -> set[str]:
    from flowcore_argo.places import ARTIFACT_NAMES

    for pod in seen.view.pods:
        if pod.step == step:
            notes = (pod.spot.template.get("metadata") or {}).get("annotations") or {}
            return set(notes.get(ARTIFACT_NAMES, "").split())
    return set()
