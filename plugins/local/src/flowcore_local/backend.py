"""The hooks of a backend on this engine; ``local.py`` is one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from flowcore.plugin import (
    CAPABILITIES,
    CONTRACT,
    GoneError,
    Json,
    Phase,
    RefusedError,
    Rendered,
    RunHandle,
    RunSummary,
    Snapshot,
    UnreachableError,
    UsageError,
    hookimpl,
    run_id,
)
from flowcore_local.options import PENDING_TIMEOUT, EngineOptions
from flowcore_local.outputs import OUTPUT_BYTES
from flowcore_local.places import Home, RunFolder

if TYPE_CHECKING:
    from flowcore.plugin import Workflow
    from flowcore_local.store import RunRecord, Store


class EngineBackend:
    """Runs workflows on this machine; what runs the steps is a launcher that a subclass names."""

    contract: ClassVar[int] = CONTRACT
    Options: ClassVar[type] = EngineOptions
    name: ClassVar[str]
    launcher: ClassVar[str]
    """Where the supervisor finds the class that runs attempts."""
    apart: ClassVar[bool] = False
    """Whether steps see another file tree than this process, so that a link they leave means nothing here."""
    lacks: ClassVar[frozenset[str]] = frozenset()
    """Capabilities that it has not."""
    base_env: ClassVar[tuple[str, ...]] = ()
    """Variables of the submitter that every step sees."""

    def __init__(self, options: EngineOptions) -> None:
        if sys.platform == "win32":
            raise UsageError(f"the backend {self.name} needs Linux or macOS; on Windows, run flowcore inside WSL")
        self.options = options

    # What a backend on this engine has of its own

    @property
    def python(self) -> str:
        """The interpreter of Python steps."""
        raise NotImplementedError

    @property
    def pending_timeout(self) -> float:
        """Seconds that a step waits for what it needs to begin, unless it says otherwise."""
        return PENDING_TIMEOUT

    def notes(self, workflow: Workflow) -> list[str]:
        """What a render has to say (see ``Rendered.notes``)."""
        return []

    def launcher_options(self, run: str, workflow: Workflow) -> dict[str, Json]:
        """What the launcher's class is called with for a run; raises what keeps it from being submitted now."""
        return {}

    def dispose(self, run: str) -> None:
        """Remove what a run has elsewhere than in its folder."""

    def begin(self, folder: RunFolder) -> None:
        """Make a run that was submitted go on."""
        from flowcore_local import supervisor

        supervisor.ensure(folder)

    def capabilities(self) -> frozenset[str]:
        return frozenset(CAPABILITIES) - self.lacks

    def limits(self) -> dict[str, int]:
        return {
            "steps": 1_000_000,
            "items": 1_000_000,
            "output_bytes": OUTPUT_BYTES,
            "script_bytes": 64 * 1024 * 1024,
            # The kernel's: 32 pages with the NUL at the end.
            "argument_bytes": 131_071,
        }

    @hookimpl
    def render(self, workflow: Workflow) -> Rendered:
        from flowcore.plugin import document_of, write_yaml

        document: dict[str, Json] = dict(document_of(workflow))
        document["x-outline"] = workflow.outline
        canonical = json.dumps(document, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
        return Rendered(
            backend=self.name,
            name=workflow.name,
            text=write_yaml(_readable(document)),
            objects=(document,),
            digest=hashlib.sha256(canonical.encode("ascii")).hexdigest(),
            notes=tuple(self.notes(workflow)),
        )

    @hookimpl
    def submit(self, rendered: Rendered, key: str) -> RunHandle:
        home = self._home()
        home.prepare()
        name = run_id(rendered.name, key)
        folder = RunFolder(home.runs / name)
        if not folder.database.exists():
            self._create(home, folder, rendered)
        self._same_content(folder, rendered)
        self.begin(folder)
        return RunHandle(self.name, name)

    def _create(self, home: Home, folder: RunFolder, rendered: Rendered) -> None:
        """Make the run's folder whole under another name, then give it its own: two submitters make one run."""
        from flowcore.plugin import from_json
        from flowcore_local import private
        from flowcore_local.store import Store

        document = rendered.objects[0]
        workflow = from_json(dict(document))
        settings = self._settings(folder, workflow)
        sources = private.capture(workflow, self.options, os.environ, self.base_env)
        new = RunFolder(Path(tempfile.mkdtemp(prefix=".new-", dir=home.runs)))
        try:
            private.write(new.private, sources)
            os.mkfifo(new.wake, 0o600)
            os.close(os.open(new.lease, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            Store.create(
                new.database,
                id=folder.id,
                name=rendered.name,
                digest=rendered.digest,
                backend=self.name,
                document=json.dumps(document),
                outline=str(document.get("x-outline", "")),
                settings=settings,
                ttl=workflow.ttl,
                now=time.time(),
            )
            try:
                os.rename(new.path, folder.path)
            except OSError:
                # Somebody else was faster, or an interrupted delete left a part of an old run.
                if not folder.database.exists():
                    shutil.rmtree(folder.path, ignore_errors=True)
                    os.rename(new.path, folder.path)
        finally:
            shutil.rmtree(new.path, ignore_errors=True)

    def _settings(self, folder: RunFolder, workflow: Workflow) -> Mapping[str, Json]:
        return {
            "launcher": self.launcher,
            "launcher_options": self.launcher_options(folder.id, workflow),
            "slots": self.options.slots,
            "grace": self.options.grace,
            "python": self.python,
            "pending_timeout": self.pending_timeout,
        }

    @staticmethod
    def _same_content(folder: RunFolder, rendered: Rendered) -> None:
        with _store(folder) as store:
            if store.run().digest != rendered.digest:
                raise RefusedError(
                    f"the key was used for run {folder.id} already, with other content; use another key for this one"
                )

    @hookimpl
    def poll(self, handle: RunHandle, cursor: str, logs: bool) -> Snapshot:
        from flowcore_local import logs as log_files

        folder = self._run(handle)
        start = log_files.Position.parse(cursor)
        with _store(folder) as store:
            with store.reading():
                run = store.run()
                leaves = store.leaves()
            # After the view is let go: whether an attempt still runs must be asked anew once its files were read.
            lines, position, more = log_files.read(store, folder, start) if logs else ([], start, False)
        self._look_after(folder, run)
        return Snapshot(
            outline=run.outline,
            leaves=tuple(leaves),
            done=run.done and not more,
            cancelled=run.cancel > 0,
            timed_out=run.timed_out,
            error=run.error,
            started=run.started,
            finished=run.finished,
            logs=tuple(lines),
            more=more,
            cursor=position.text() if logs else cursor,
        )

    @hookimpl
    def cancel(self, handle: RunHandle, now: bool) -> None:
        from flowcore_local import supervisor

        folder = self._run(handle)
        with _store(folder) as store:
            if store.ask_cancel(2 if now else 1):
                supervisor.wake(folder)
                supervisor.ensure(folder)

    @hookimpl
    def artifact(self, handle: RunHandle, step: str, output: str, target: str) -> str:
        folder = self._run(handle)
        with _store(folder) as store:
            phase = store.unit_phase(step)
            place = store.outputs(step).get(output)
        if not isinstance(place, str) or not place.startswith(str(folder.path)) or not os.path.exists(place):
            state = f"is {phase}" if phase is not None else "has not started"
            raise UsageError(f"step {step} has no artifact {output} in this run; it {state}")
        if os.path.isdir(target):
            target = os.path.join(target, output)
        return _copy(place, target, place.startswith(f"{folder.gathered}/"), self.apart)

    @hookimpl
    def list_runs(self) -> Iterator[RunSummary]:
        from flowcore_local import supervisor

        home = self._home()
        self._sweep(home)
        found: list[tuple[float, RunSummary]] = []
        try:
            entries = list(os.scandir(home.runs))
        except OSError:
            entries = []
        for entry in entries:
            folder = RunFolder(Path(entry.path))
            if entry.name.startswith(".") or not folder.database.exists():
                continue
            with _store(folder) as store:
                run = store.run()
            if not run.done:
                supervisor.ensure(folder)
            handle = RunHandle(self.name, folder.id)
            summary = RunSummary(handle, run.name, run.phase, run.started, run.finished)
            found.append((run.created, summary))
        found.sort(key=lambda entry: -entry[0])
        return iter([summary for _, summary in found])

    @hookimpl
    def delete(self, handle: RunHandle) -> None:
        folder = self._run(handle)
        with _store(folder) as store:
            if not store.run().done:
                raise RefusedError(f"run {folder.id} is not over; cancel it first, then delete it")
        self.dispose(folder.id)
        _remove_run(folder)

    @hookimpl
    def resume(self, handle: RunHandle) -> RunHandle:
        from flowcore.plugin import from_json
        from flowcore_local import private, supervisor

        folder = self._run(handle)
        with _store(folder) as store:
            run = store.run()
            if not run.done:
                raise RefusedError(f"run {folder.id} is not over, so there is nothing to resume")
            if run.phase is Phase.SUCCEEDED:
                raise RefusedError(f"run {folder.id} succeeded, so there is nothing to resume")
            workflow = from_json(json.loads(store.document()))
            settings = self._settings(folder, workflow)
            private.write(folder.private, private.capture(workflow, self.options, os.environ, self.base_env))
            with store.writing():
                if store.run().done:
                    store.change_settings(settings)
                    saved = store.saved()
                    store.reset(
                        origin
                        for origin, unit in saved.items()
                        if unit.phase is Phase.SUCCEEDED and origin not in workflow.on_exit
                    )
        for mark in self._home().expiring.glob(f"*_{folder.id}"):
            mark.unlink(missing_ok=True)
        supervisor.ensure(folder, patience=5.0)
        return handle

    # Helpers

    def _home(self) -> Home:
        return Home.of(self.name, self.options.home)

    def _run(self, handle: RunHandle) -> RunFolder:
        home = self._home()
        self._sweep(home)
        return home.run(handle.location)

    @staticmethod
    def _look_after(folder: RunFolder, run: RunRecord) -> None:
        """Start a supervisor for a run that has lost its own."""
        from flowcore_local import supervisor

        if not run.done:
            supervisor.ensure(folder)

    def _sweep(self, home: Home) -> None:
        """Remove the runs whose ttl has passed (S32)."""
        try:
            marks = os.listdir(home.expiring)
        except OSError:
            return
        now = time.time()
        for mark in marks:
            due, _, name = mark.partition("_")
            if float(due) <= now:
                folder = RunFolder(home.runs / name)
                # A run that was resumed meanwhile is not over.
                if folder.database.exists() and _expired(folder, now):
                    try:
                        self.dispose(folder.id)
                    except UnreachableError:
                        continue  # the next command tries again
                    _remove_run(folder)
                (home.expiring / mark).unlink(missing_ok=True)


def _readable(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document without what only flowcore's own parts read: the outline, and origins, which are the names here."""
    text = {key: value for key, value in document.items() if key != "x-outline"}
    for group in ("steps", "on_exit"):
        if group in text:
            text[group] = {name: _readable_step(step) for name, step in text[group].items()}
    return text


def _readable_step(step: Mapping[str, Any]) -> dict[str, Any]:
    text = {key: value for key, value in step.items() if key != "x-origin"}
    if "workflow" in text:
        text["workflow"] = _readable(text["workflow"])
    return text


class _store:
    """A run's database for the length of a block; a run that is gone says so."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def __enter__(self) -> Store:
        import sqlite3

        from flowcore_local.store import Store

        try:
            self._store = Store(self._folder.database)
            self._store.run()
        except sqlite3.OperationalError:
            raise GoneError(f"{self._folder.id}: this run is gone") from None
        return self._store

    def __exit__(self, *_: object) -> None:
        self._store.close()


def _expired(folder: RunFolder, now: float) -> bool:
    with _store(folder) as store:
        run = store.run()
    return run.done and run.ttl is not None and run.finished is not None and run.finished + run.ttl <= now + 0.001


def _remove_run(folder: RunFolder) -> None:
    """Remove a run so that nobody ever sees half of one."""
    gone = folder.path.with_name(f".gone-{folder.id}-{os.getpid()}-{time.monotonic_ns()}")
    try:
        os.rename(folder.path, gone)
    except FileNotFoundError:
        return
    shutil.rmtree(gone, ignore_errors=True)


def _copy(place: str, target: str, gathered: bool, apart: bool) -> str:
    """Copy a file or a folder. ``gathered``: its entries are the engine's own links to what is to be copied."""
    parts = {f"/{name}": os.path.realpath(f"{place}/{name}") for name in os.listdir(place)} if gathered else {"": place}
    try:
        os.makedirs(target if gathered else os.path.dirname(os.path.abspath(target)), exist_ok=True)
        for name, part in parts.items():
            if os.path.isdir(part):
                shutil.copytree(part, target + name, symlinks=apart, dirs_exist_ok=True)
            else:
                shutil.copyfile(part, target + name)
    except (OSError, shutil.Error) as error:
        raise UsageError(f"{target}: cannot be written ({error})") from None
    return target
