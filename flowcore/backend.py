"""The facade: what programs and the command line call.

``Backend`` is one selected backend with its options; the functions below it are the short form for programs, where a
workflow may be a ``Workflow``, a ``@flow.workflow`` function, a path, or a document's text.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import frozen

from flowcore.config import load_config
from flowcore.cursor import Cursor, changed, codes_of
from flowcore.errors import FlowError, PluginError, Problem, UsageError, WorkflowError, placed
from flowcore.fold import Folded, fold
from flowcore.model import Workflow
from flowcore.registry import Hooks, able, connect
from flowcore.runs import LogLine, Rendered, RunHandle, RunSummary, Snapshot, Update
from flowcore.syntax import Json

if TYPE_CHECKING:
    from flowcore.hookspecs import Backend as PluginProtocol

CURSOR_LIMIT: Final = 96 * 1024


class HasWorkflow(Protocol):
    """What ``@flow.workflow`` makes: an object with a workflow."""

    @property
    def workflow(self) -> Workflow: ...


Source = Workflow | HasWorkflow | str | os.PathLike[str]


@frozen
class Backend:
    """A backend that was selected, with its options. Make one with ``select``, or ``of`` for a plugin at hand."""

    hooks: Hooks

    @classmethod
    def select(
        cls, backend: str | None = None, profile: str | None = None, options: Mapping[str, Json] | None = None
    ) -> Backend:
        """The backend that the arguments, the environment and the configuration files name; local if none does.

        Raises:
            UsageError: for an unknown backend, profile or option.
            PluginError: if the plugin is broken.
        """
        return cls(connect(load_config().select(backend, profile, options)))

    @classmethod
    def of(cls, plugin: PluginProtocol, name: str) -> Backend:
        """A backend made of a plugin object, without an entry point."""
        return cls(Hooks(name, plugin))

    @property
    def name(self) -> str:
        return self.hooks.name

    @property
    def capabilities(self) -> frozenset[str]:
        return self.hooks.capabilities()

    @property
    def limits(self) -> dict[str, int]:
        return self.hooks.limits()

    def lower(self, workflow: Workflow, params: Mapping[str, Json] | None = None) -> Workflow:
        """Check, bind and lower a workflow for this backend.

        Raises:
            WorkflowError: with everything that is wrong, or that this backend cannot do.
        """
        from flowcore.checks import check
        from flowcore.lowering import bind, lower

        _raise(check(workflow))
        bound = bind(workflow, params or {})
        lowered = lower(bound, self.capabilities, self.limits, self.name, able)
        if self.hooks.has("check"):
            _raise(_placed(self.hooks.call("check", workflow=lowered) or [], workflow))
        return lowered

    def render(self, workflow: Workflow, params: Mapping[str, Json] | None = None) -> Rendered:
        """The workflow in the backend's own words. Touches no network.

        Raises:
            WorkflowError: with everything that is wrong, or that this backend cannot do.
        """
        rendered = self.hooks.call("render", workflow=self.lower(workflow, params))
        if not isinstance(rendered, Rendered):
            raise PluginError(f"backend {self.name}: render returned {type(rendered).__name__}, not a Rendered")
        return rendered

    def submit(self, rendered: Rendered, key: str | None = None) -> RunHandle:
        """Start a run of what was rendered. The same key and content give the first run's handle (S33).

        Raises:
            RefusedError: for the same key with other content, or if the backend says no.
            UnreachableError: if the backend does not answer.
        """
        handle: RunHandle = self.hooks.call("submit", rendered=rendered, key=key or secrets.token_hex(16))
        return handle

    def snapshot(self, handle: RunHandle, cursor: str = "", logs: bool = False) -> Snapshot:
        """What the backend says of a run, unfolded."""
        found: Snapshot = self.hooks.call("poll", handle=handle, cursor=cursor, logs=logs)
        return found

    def poll(self, handle: RunHandle, since: str = "", logs: bool = False) -> Update:
        """What changed since a cursor (everything, if it is empty). Never waits.

        Raises:
            GoneError: if the run is not there any more.
            UsageError: if the cursor is not one of this run's.
        """
        seen = Cursor.parse(since)
        snapshot = self.snapshot(handle, seen.backend, logs)
        return _update(handle, snapshot, fold(snapshot), seen)

    def wait(self, handle: RunHandle, interval: float = 0.1) -> Update:
        """Wait until a run is over; the last Update, whole. ``interval`` is in seconds and grows to ten times that."""
        pause = interval
        while True:
            update = self.poll(handle)
            if update.done:
                return update
            time.sleep(pause)
            pause = min(pause * 1.2, interval * 10)

    def logs(self, handle: RunHandle, step: str | None = None, follow: bool = False) -> Iterator[LogLine]:
        """The log lines of a run, or of one step and what is in it, until now; all of them of a run that has ended.

        ``follow`` goes on until it has.
        """
        cursor = ""
        pause = 0.05
        while True:
            update = self.poll(handle, cursor, logs=True)
            cursor = update.cursor
            for line in update.logs:
                if step is None or belongs(line.step, step):
                    yield line
            if update.more:
                continue
            if update.done or not (follow or update.phase.ended):
                return
            pause = 0.05 if update.logs else min(pause * 1.3, 1.0)
            time.sleep(pause)

    def cancel(self, handle: RunHandle, now: bool = False) -> None:
        """Ask a run to end; returns once that is recorded (S25). ``now`` ends on_exit steps too."""
        self.hooks.call("cancel", handle=handle, now=now)

    def artifact(self, handle: RunHandle, step: str, output: str, target: str | os.PathLike[str]) -> str:
        """Copy an artifact of a step to ``target``; returns the place it has there."""
        place: str = self._optional("artifact", handle=handle, step=step, output=output, target=os.fspath(target))
        return place

    def list_runs(self) -> list[RunSummary]:
        """The runs that this backend knows, newest first."""
        return list(self._optional("list_runs"))

    def delete(self, handle: RunHandle) -> None:
        """Remove an ended run: its records, logs and artifacts."""
        self._optional("delete", handle=handle)

    def resume(self, handle: RunHandle) -> RunHandle:
        """Go on with an ended run: steps that succeeded are kept, all others start again."""
        again: RunHandle = self._optional("resume", handle=handle)
        return again

    def validate(self, rendered: Rendered) -> None:
        """Ask the backend whether it would take this, without starting anything."""
        if self.hooks.has("validate"):
            self.hooks.call("validate", rendered=rendered)

    def probe(self) -> None:
        """See whether the backend could run anything, where it can tell.

        Raises:
            FlowError: with what is wrong.
        """
        if self.hooks.has("probe"):
            self.hooks.call("probe")
        elif self.hooks.has("list_runs"):
            next(iter(self.list_runs()), None)

    def permissions(self, rendered: Rendered) -> str:
        """The least that whoever submits this, and its steps, must be allowed, in the backend's own words."""
        text: str = self._optional("permissions", rendered=rendered)
        return text

    def _optional(self, hook: str, **arguments: Any) -> Any:
        if not self.hooks.has(hook):
            raise UsageError(f"backend {self.name} cannot do this: it has no {hook.replace('_', ' ')}")
        return self.hooks.call(hook, **arguments)


def belongs(origin: str, step: str) -> bool:
    """Whether ``origin`` is the step, one of its items, or inside it."""
    return origin == step or (origin.startswith(step) and origin[len(step)] in "[/")


def _raise(problems: list[Problem]) -> None:
    if problems:
        raise WorkflowError(problems)


def _placed(problems: list[Problem], workflow: Workflow) -> list[Problem]:
    return [placed(problem, workflow.places) for problem in problems]


def _update(handle: RunHandle, snapshot: Snapshot, folded: Folded, seen: Cursor) -> Update:
    steps = {group.name: group.state for group in changed(folded.steps, seen.codes)}
    cursor = Cursor(snapshot.cursor, codes_of(folded.steps)).text()
    if len(cursor) > CURSOR_LIMIT:
        raise FlowError(f"{handle}: this run is too large for a cursor ({len(cursor)} of {CURSOR_LIMIT} bytes)")
    return Update(
        handle=handle,
        workflow=folded.workflow,
        phase=folded.phase,
        reason=folded.reason,
        message=folded.message,
        done=snapshot.done,
        cursor=cursor,
        started=snapshot.started,
        finished=snapshot.finished,
        outputs=folded.outputs,
        steps=steps,
        logs=snapshot.logs,
        more=snapshot.more,
    )


# The short form for programs


def load(source: Source, name: str | None = None) -> Workflow:
    """A workflow from wherever it is.

    Args:
        source: a Workflow or ``@flow.workflow`` function (returned as it is), a document's text (text with a newline),
            or the path of a document or of a Python program.
        name: which workflow of a program, where it has several.

    Raises:
        WorkflowError: with everything that is wrong with the document's form.
        UsageError: if there is no such file, or no such workflow in it.
    """
    if isinstance(source, Workflow):
        return source
    if not isinstance(source, (str, os.PathLike)):
        return source.workflow
    try:
        return _read(source, name)
    except WorkflowError as error:
        from flowcore.checks import with_the_rest

        raise with_the_rest(error) from None


def _read(source: str | os.PathLike[str], name: str | None) -> Workflow:
    if isinstance(source, str) and "\n" in source:
        from flowcore.document import read_document

        return read_document(source)
    if Path(source).suffix == ".py":
        from flowcore.authoring import load_program

        return load_program(os.fspath(source), name)
    from flowcore.document import read_file

    return read_file(source)


def check(source: Source) -> list[Problem]:
    """Everything that is wrong with a workflow; the empty list if nothing is."""
    from flowcore.checks import check as check_workflow

    try:
        return check_workflow(load(source))
    except WorkflowError as error:
        return list(error.problems)


def render(
    source: Source,
    backend: str | None = None,
    params: Mapping[str, Json] | None = None,
    profile: str | None = None,
    options: Mapping[str, Json] | None = None,
) -> str:
    """A workflow as the text that ``flow render`` prints."""
    return Backend.select(backend, profile, options).render(load(source), params).text


def submit(
    source: Source,
    backend: str | None = None,
    params: Mapping[str, Json] | None = None,
    profile: str | None = None,
    options: Mapping[str, Json] | None = None,
    key: str | None = None,
) -> RunHandle:
    """Start a run; returns at once."""
    selected = Backend.select(backend, profile, options)
    return selected.submit(selected.render(load(source), params), key)


def of_run(handle: RunHandle | str, profile: str | None = None) -> tuple[Backend, RunHandle]:
    """The backend that a handle belongs to, and the handle."""
    parsed = RunHandle.parse(handle) if isinstance(handle, str) else handle
    return Backend.select(parsed.backend, profile), parsed


def poll(handle: RunHandle | str, since: str | None = None, logs: bool = False, profile: str | None = None) -> Update:
    """What changed in a run since a cursor. Never waits."""
    backend, parsed = of_run(handle, profile)
    return backend.poll(parsed, since or "", logs)


def wait(handle: RunHandle | str, profile: str | None = None) -> Update:
    """Wait until a run is over."""
    backend, parsed = of_run(handle, profile)
    return backend.wait(parsed)


def cancel(handle: RunHandle | str, now: bool = False, profile: str | None = None) -> None:
    """Ask a run to end."""
    backend, parsed = of_run(handle, profile)
    backend.cancel(parsed, now)


def logs(
    handle: RunHandle | str, step: str | None = None, follow: bool = False, profile: str | None = None
) -> Iterator[LogLine]:
    """The log lines of a run, or of one step."""
    backend, parsed = of_run(handle, profile)
    return backend.logs(parsed, step, follow)


def run(
    source: Source,
    backend: str | None = None,
    params: Mapping[str, Json] | None = None,
    profile: str | None = None,
    options: Mapping[str, Json] | None = None,
    key: str | None = None,
) -> Update:
    """Start a run and wait until it is over."""
    selected = Backend.select(backend, profile, options)
    return selected.wait(selected.submit(selected.render(load(source), params), key))
