"""Runs that are one object of some kind each, with companions: what is the same whoever executes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import ClassVar

from attrs import define

from flowcore.plugin import (
    GoneError,
    Phase,
    RefusedError,
    Rendered,
    RunHandle,
    RunSummary,
    UsageError,
    run_id,
)
from flowcore_kubernetes.client import Client
from flowcore_kubernetes.creating import COMPANIONS, accompany, create_anew, is_leaving
from flowcore_kubernetes.errors import AlreadyExistsError
from flowcore_kubernetes.marks import CANCELLED, DIGEST, MANAGED, RUN, WORKFLOW, notes_of
from flowcore_kubernetes.resources import Object, Resource, seconds


@define
class ObjectRuns:
    """The runs of one namespace; a backend's own class says how its objects are held, and how they are.

    Attributes:
        kind: of a run's own object.
        times: the fields of its status that say when it began and ended.
    """

    kind: ClassVar[Resource]
    times: ClassVar[tuple[str, str]]

    client: Client
    backend: str

    # What a backend says of its objects

    def hold(self, run: Object) -> None:
        """Change an object that is not created yet so that nothing runs before its companions are there."""
        raise NotImplementedError

    def is_held(self, run: Object) -> bool:
        """Whether it is held."""
        raise NotImplementedError

    def release(self, name: str) -> None:
        """Let a run begin that is held, unless it was cancelled meanwhile."""
        raise NotImplementedError

    def phase(self, run: Object) -> Phase:
        """The phase of a run, as far as its own object tells it, cancelled or not."""
        raise NotImplementedError

    # What follows from it

    def submit(self, rendered: Rendered, key: str) -> RunHandle:
        """Start a run, or find the one that the key has started.

        Raises:
            RefusedError: for the same key with other content.
        """
        name = run_id(rendered.name, key)
        run, companions = self.named(rendered, name)
        created = self.create(self.kind, run)
        if self.is_held(created):
            accompany(self.client, companions, created)
            self.release(name)
        return self.handle(name)

    def create(self, kind: Resource, run: Object) -> Object:
        """Create a run's own object, or find the one that is there already because the same was asked before."""
        try:
            return create_anew(self.client, kind, run)
        except AlreadyExistsError:
            name = run["metadata"]["name"]
            found = self.client.get(kind, name)
            if notes_of(found).get(DIGEST) != notes_of(run)[DIGEST]:
                raise RefusedError(
                    f"the key was used for run {name} already, with other content; use another key for this one"
                ) from None
            return found

    def named(self, rendered: Rendered, name: str) -> tuple[Object, list[Object]]:
        """The objects of a run: what was rendered, with the run's name, and held where there is more than one."""
        first, *rest = (json.loads(json.dumps(each)) for each in rendered.objects)
        first["metadata"]["name"] = name
        first["metadata"].setdefault("annotations", {})[DIGEST] = rendered.digest
        if rest and first["kind"] == self.kind.kind:
            self.hold(first)
        for each in rest:
            each["metadata"]["name"] = f"{name}-{each['metadata']['name']}"
            each["metadata"].setdefault("labels", {}).update({MANAGED: "flowcore", RUN: name})
        return first, rest

    def validate(self, rendered: Rendered, kind: Resource | None = None) -> None:
        """Ask the server, and with it its admission webhooks, whether it would take this."""
        run, companions = self.named(rendered, run_id(rendered.name, "validate"))
        self.client.create(kind or self.kind, run, dry_run=True)
        for each in companions:
            self.client.create(COMPANIONS[each["kind"]], each, dry_run=True)

    def list_runs(self) -> Iterator[RunSummary]:
        """The runs of the namespace, newest first."""
        runs = [run for run in self.client.list(self.kind, labels=f"{MANAGED}=flowcore").items if not is_leaving(run)]
        runs.sort(key=lambda run: (run["metadata"]["creationTimestamp"], run["metadata"]["name"]), reverse=True)
        return map(self._summary, runs)

    def _summary(self, run: Object) -> RunSummary:
        name, status = run["metadata"]["name"], run.get("status") or {}
        phase = self.phase(run)
        if phase.ended and CANCELLED in notes_of(run):
            phase = Phase.CANCELLED
        begun, ended = (seconds(status.get(field)) for field in self.times)
        return RunSummary(self.handle(name), notes_of(run).get(WORKFLOW, name), phase, begun, ended)

    def delete(self, handle: RunHandle) -> None:
        """Remove a run that is over, with all that belongs to it.

        Raises:
            RefusedError: if it is not over.
        """
        namespace, name = self.place_of(handle)
        if not self.phase(self.find(namespace, name)).ended:
            raise RefusedError(f"run {name} is not over; cancel it first, then delete it")
        self.client.delete(self.kind, name, namespace, foreground=True)

    # Names and places

    def handle(self, name: str) -> RunHandle:
        """The handle of a run of this namespace."""
        return RunHandle(self.backend, f"{self.client.namespace}/{name}")

    def place_of(self, handle: RunHandle) -> tuple[str, str]:
        """The namespace and the name that a handle says.

        Raises:
            UsageError: if it says none.
        """
        namespace, slash, name = handle.location.partition("/")
        if not slash or not namespace or not name:
            raise UsageError(f"{handle} is no run of {self.kind.product}; a handle is {self.backend}://NAMESPACE/NAME")
        return namespace, name

    def find(self, namespace: str, name: str) -> Object:
        """A run's own object.

        Raises:
            GoneError: if there is none any more.
        """
        found = self.client.find(self.kind, name, namespace)
        if found is None or is_leaving(found):
            raise self.gone(namespace, name)
        return found

    def gone(self, namespace: str, name: str) -> GoneError:
        """The error of a run that is not there."""
        return GoneError(f"{self.backend}://{namespace}/{name}: this run is gone")
