"""A backend small enough to read in one go: commands run one by one process each, state in a folder.

It declares whatever capabilities it is given, the empty set by default, and has an honest implementation of a dozen of
them, so the same scenarios prove both the lowering onto little and the rules themselves. It keeps nothing in memory
that `poll` or `cancel` of another object would miss.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import define, evolve, field, frozen

from flowcore.plugin import (
    MISSING,
    Container,
    EvaluationError,
    GoneError,
    Leaf,
    LogLine,
    Phase,
    Reason,
    RefusedError,
    Rendered,
    RunHandle,
    Snapshot,
    Step,
    Workflow,
    document_of,
    effective_needs,
    evaluate,
    from_json,
    hookimpl,
    misfit,
    references,
    resolve_text,
    run_id,
    write_yaml,
)
from flowcore.syntax import Json, Ref

EMPTY: Final[frozenset[str]] = frozenset()
VALUES: Final = frozenset({"outputs", "when"})
WIDE: Final = VALUES | {
    "outputs.default",
    "when.logic",
    "needs.status",
    "fail_fast.off",
    "continue",
    "retry",
    "retry.only",
    "timeout",
    "run_timeout",
    "on_exit",
    "parallelism",
}
"""All that this backend can do."""

OUTPUT_BYTES: Final = 256 * 1024
GRACE: Final = 1.0
LINE: Final = 64 * 1024
_LOCK: Final = threading.Lock()


@frozen
class MiniOptions:
    """Where runs are kept."""

    root: str = ""


class Missing(Exception):
    """An output that nobody wrote, and that has no default."""


class MiniBackend:
    """Commands in the order of plain needs, and whatever more it is told to declare."""

    contract = 1
    Options = MiniOptions

    def __init__(self, options: MiniOptions, capabilities: frozenset[str] = EMPTY) -> None:
        self._root = Path(options.root)
        self._capabilities = capabilities

    def capabilities(self) -> frozenset[str]:
        return self._capabilities

    def limits(self) -> dict[str, int]:
        return {"steps": 1000, "items": 1000, "output_bytes": OUTPUT_BYTES, "argument_bytes": 128 * 1024 - 1}

    @hookimpl
    def render(self, workflow: Workflow) -> Rendered:
        document = document_of(workflow)
        digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
        return Rendered("mini", workflow.name, write_yaml(document), (document,), digest)

    @hookimpl
    def submit(self, rendered: Rendered, key: str) -> RunHandle:
        name = run_id(rendered.name, key)
        folder = self._root / name
        with _LOCK:
            if folder.exists():
                if (folder / "digest").read_text() != rendered.digest:
                    raise RefusedError(f"the key of run {name} was used for another workflow")
                return RunHandle("mini", name)
            (folder / "logs").mkdir(parents=True)
            (folder / "workflow.json").write_text(json.dumps(rendered.objects[0]))
            (folder / "digest").write_text(rendered.digest)
        run = _Run(folder, name, from_json(dict(rendered.objects[0])), "outputs.default" in self._capabilities)
        run.save()
        threading.Thread(target=run.play, daemon=True, name=name).start()
        return RunHandle("mini", name)

    @hookimpl
    def poll(self, handle: RunHandle, cursor: str, logs: bool) -> Snapshot:
        folder = self._folder(handle)
        # The state first: a step that it says has ended has written all of its log.
        state = json.loads((folder / "state.json").read_text())
        workflow = from_json(json.loads((folder / "workflow.json").read_text()))
        if workflow.ttl is not None and state["done"] and time.time() > state["finished"] + workflow.ttl:
            shutil.rmtree(folder)
            raise GoneError(f"{handle} is gone: its ttl has passed")
        offsets: dict[str, int] = json.loads(cursor) if cursor else {}
        lines: list[LogLine] = []
        more = False
        if logs:
            ended = {leaf["origin"]: leaf["attempts"] for leaf in state["leaves"] if Phase(leaf["phase"]).ended}
            more = _read_logs(folder / "logs", offsets, ended, lines)
        leaves = tuple(
            Leaf(**{**leaf, "phase": Phase(leaf["phase"])}) for leaf in state["leaves"] if leaf["phase"] != "pending"
        )
        return Snapshot(
            outline=workflow.outline,
            leaves=leaves,
            done=state["done"] and not more,
            cancelled=state["cancelled"],
            timed_out=state["timed_out"],
            started=state["started"],
            finished=state["finished"],
            logs=tuple(lines),
            more=more,
            cursor=json.dumps(offsets),
        )

    @hookimpl
    def cancel(self, handle: RunHandle, now: bool) -> None:
        folder = self._folder(handle)
        with _LOCK:
            if not json.loads((folder / "state.json").read_text())["done"]:
                (folder / "cancel").touch()
                if now:
                    (folder / "cancel-now").touch()

    @hookimpl
    def delete(self, handle: RunHandle) -> None:
        shutil.rmtree(self._folder(handle))

    def _folder(self, handle: RunHandle) -> Path:
        folder = self._root / handle.location
        if not (folder / "state.json").exists():
            raise GoneError(f"{handle} is gone")
        return folder


def _read_logs(folder: Path, offsets: dict[str, int], ended: Mapping[str, int], lines: list[LogLine]) -> bool:
    """Add the lines that came since ``offsets``, up to a mebibyte; whether more are there."""
    room = 1 << 20
    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        index, origin, attempt, stream = json.loads(path.name.replace("|", "/"))
        del index
        last = ended.get(origin, -1) >= attempt
        offset = offsets.get(path.name, 0)
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(room + LINE)
        at = 0
        while at < len(data):
            size = _line(data, at, last)
            if size > room:
                offsets[path.name] = offset + at
                return True
            if not size:
                break
            room -= size
            text = data[at : at + size].removesuffix(b"\n").decode("utf-8", "replace")
            lines.append(LogLine(origin, attempt, text, stream=stream))
            at += size
        offsets[path.name] = offset + at
    return False


def _line(data: bytes, at: int, last: bool) -> int:
    """How many bytes the line at ``at`` has, its end included; 0 if the rest of it is still to come."""
    end = data.find(b"\n", at, at + LINE + 1)
    if end >= 0:
        return end + 1 - at
    if len(data) - at <= LINE:
        return len(data) - at if last else 0
    cut = at + LINE
    while cut > at + LINE - 4 and data[cut] & 0xC0 == 0x80:
        cut -= 1  # never in the middle of a character
    return cut - at


@define
class _Unit:
    """One step and where it is."""

    name: str
    step: Step
    index: int
    leaf: Leaf
    process: subprocess.Popen[bytes] | None = None
    outputs_folder: Path = Path()
    deadline: float | None = None
    kill_at: float | None = None
    stopped_by: Reason | None = None

    @property
    def ended(self) -> bool:
        return self.leaf.phase.ended


@define
class _Run:
    """A run and the one thread that drives it."""

    folder: Path
    id: str
    workflow: Workflow
    defaults: bool
    units: dict[str, _Unit] = field(factory=dict)
    exits: dict[str, _Unit] = field(factory=dict)
    started: float = field(factory=time.time)
    finished: float | None = None
    cancelled: bool = False
    timed_out: bool = False
    done: bool = False

    def __attrs_post_init__(self) -> None:
        for steps, units in ((self.workflow.steps, self.units), (self.workflow.on_exit, self.exits)):
            for name, step in steps.items():
                leaf = Leaf(step.origin or name, Phase.PENDING, helper=step.role == "helper")
                units[name] = _Unit(name, step, len(self.units) + len(self.exits), leaf)

    def play(self) -> None:
        """Run everything; whatever happens, the run gets an end."""
        self._phase(self.units, self._start_ordinary)
        self._phase(self.exits, self._start_exit)
        with _LOCK:
            self.cancelled = self.cancelled or (self.folder / "cancel").exists()
            self.finished = time.time()
            self.done = True
            self.save()

    def _phase(self, units: Mapping[str, _Unit], start: Any) -> None:
        while not all(unit.ended for unit in units.values()):
            before = [unit.leaf for unit in units.values()]
            self._watch(units)
            for unit in units.values():
                if unit.leaf.phase is Phase.PENDING:
                    start(unit)
                elif unit.process is not None:
                    self._look(unit)
            if before != [unit.leaf for unit in units.values()]:
                self.save()
            else:
                time.sleep(0.01)

    def _watch(self, units: Mapping[str, _Unit]) -> None:
        """Act on a cancel, and on the run's own time."""
        exits = units is self.exits
        if not exits and not self.timed_out and self.workflow.timeout is not None:
            self.timed_out = time.time() > self.started + self.workflow.timeout
        if (self.folder / "cancel").exists():
            self.cancelled = True
        stop: Reason | None = "cancelled" if self.cancelled else "run-timeout" if self.timed_out else None
        if exits:
            stop = "cancelled" if (self.folder / "cancel-now").exists() else None
        if stop is None:
            return
        for unit in units.values():
            if unit.leaf.phase is Phase.PENDING:
                skipped = Phase.CANCELLED if stop == "cancelled" else Phase.SKIPPED
                self._end(unit, skipped, stop)
            elif unit.process is not None and unit.stopped_by is None:
                self._stop(unit, stop)

    def _stop(self, unit: _Unit, reason: Reason) -> None:
        unit.stopped_by = reason
        unit.kill_at = time.time() + GRACE
        self._signal(unit, signal.SIGTERM)

    def _signal(self, unit: _Unit, number: signal.Signals) -> None:
        assert unit.process is not None
        try:
            os.killpg(unit.process.pid, number)
        except ProcessLookupError:
            pass

    def _start_ordinary(self, unit: _Unit) -> None:
        needed = effective_needs(unit.step)
        for name, need in needed.items():
            other = self.units[name]
            if not other.ended:
                return
            if not _met(need, other):
                self._end(unit, Phase.SKIPPED, "needs")
                return
        slots = self.workflow.parallelism
        self._decide(unit, slots is not None and self._running() >= slots)

    def _start_exit(self, unit: _Unit) -> None:
        self._decide(unit, False)

    def _running(self) -> int:
        return sum(unit.process is not None for unit in self.units.values())

    def _decide(self, unit: _Unit, full: bool) -> None:
        step = unit.step
        action = step.action
        assert isinstance(action, Container)
        assert action.command is not None
        try:
            # Every reference is required, whatever the condition says.
            for ref in references([*action.command, *action.args, *_texts(step)]):
                self._lookup(ref, unit)
            if step.when is not None and evaluate(step.when, lambda ref: self._lookup(ref, unit)) is not True:
                self._end(unit, Phase.SKIPPED, "when")
                return
            if full:
                return
            self._spawn(unit, action)
        except Missing:
            self._end(unit, Phase.SKIPPED, "needs")
        except EvaluationError as error:
            self._end(unit, Phase.ERROR, "expression", str(error))

    def _lookup(self, ref: Ref, unit: _Unit) -> Json:
        if ref.kind == "run.id":
            return self.id
        if ref.kind == "run.phase":
            bad = self.cancelled or self.timed_out or any(_counts(other) for other in self.units.values())
            return "failed" if bad else "succeeded"
        if ref.kind == "own" and ref.path:
            return str(unit.outputs_folder / ref.name)
        if ref.kind == "output" and not ref.path:
            other = self.units[ref.step]
            if ref.name in other.leaf.outputs:
                return other.leaf.outputs[ref.name]
            default = other.step.outputs[ref.name].default
            if self.defaults and default is not MISSING:
                return default
            raise Missing
        raise AssertionError(f"{ref} reached a backend that cannot know it")

    def _spawn(self, unit: _Unit, action: Container) -> None:
        assert action.command is not None
        attempt = unit.leaf.attempts + 1
        work = self.folder / f"work-{unit.index}-{attempt}"
        unit.outputs_folder = work / "outputs"
        (work / "cwd").mkdir(parents=True)
        unit.outputs_folder.mkdir()

        def text(value: Any) -> str:
            return resolve_text(value, lambda ref: self._lookup(ref, unit))

        command = [text(word) for word in (*action.command, *action.args)]
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        env.update({name: text(value) for name, value in unit.step.env.items()})
        env.update(
            FLOW_RUN=self.id,
            FLOW_STEP=unit.leaf.origin.partition("#")[0],
            FLOW_ATTEMPT=str(attempt),
            FLOW_OUTPUTS=str(unit.outputs_folder),
        )
        unit.stopped_by = unit.deadline = unit.kill_at = None
        started = unit.leaf.started or time.time()
        unit.leaf = evolve(unit.leaf, phase=Phase.RUNNING, reason=None, attempts=attempt, started=started)
        names = [json.dumps([unit.index, unit.leaf.origin, attempt, stream]) for stream in ("stdout", "stderr")]
        logs = [self.folder / "logs" / name.replace("/", "|") for name in names]
        try:
            with logs[0].open("wb") as out, logs[1].open("wb") as err:
                unit.process = subprocess.Popen(
                    command,
                    cwd=unit.step.working_dir or work / "cwd",
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                )
        except OSError as error:
            self._attempt_ended(unit, Phase.ERROR, "command", f"{error.filename}: {error.strerror}", None)
            return
        if unit.step.timeout is not None:
            unit.deadline = time.time() + unit.step.timeout

    def _look(self, unit: _Unit) -> None:
        """See how a running process is doing."""
        assert unit.process is not None
        code = unit.process.poll()
        now = time.time()
        if code is None:
            if unit.kill_at is not None and now > unit.kill_at:
                self._signal(unit, signal.SIGKILL)
            elif unit.stopped_by is None and unit.deadline is not None and now > unit.deadline:
                self._stop(unit, "timeout")
            return
        unit.process = None
        if unit.stopped_by == "timeout":
            self._attempt_ended(unit, Phase.FAILED, "timeout", f"it ran longer than {unit.step.timeout:g} s", None)
        elif unit.stopped_by is not None:
            self._end(unit, Phase.CANCELLED, unit.stopped_by)
        elif code:
            code = code if code > 0 else 128 - code
            self._attempt_ended(unit, Phase.FAILED, "exit-code", f"it ended with exit code {code}", code)
        else:
            try:
                unit.leaf = evolve(unit.leaf, outputs=_collect(unit.step, unit.outputs_folder, self.defaults))
            except ValueError as error:
                self._attempt_ended(unit, Phase.FAILED, "output", str(error), 0)
            else:
                self._end(unit, Phase.SUCCEEDED, exit_code=0)

    def _attempt_ended(self, unit: _Unit, phase: Phase, reason: Reason, message: str, code: int | None) -> None:
        retry = unit.step.retry
        kind = "timeout" if reason == "timeout" else str(phase)
        if retry is not None and unit.leaf.attempts <= retry.limit and (not retry.only or kind in retry.only):
            unit.leaf = evolve(unit.leaf, reason="retrying")
            action = unit.step.action
            assert isinstance(action, Container)
            self._spawn(unit, action)
            return
        self._end(unit, phase, reason, message, code)

    def _end(
        self,
        unit: _Unit,
        phase: Phase,
        reason: Reason | None = None,
        message: str | None = None,
        exit_code: int | None = None,
    ) -> None:
        unit.leaf = evolve(
            unit.leaf, phase=phase, reason=reason, message=message, exit_code=exit_code, finished=time.time()
        )

    def save(self) -> None:
        """Write the state so that a reader sees it whole."""
        leaves = [_leaf_json(unit.leaf) for units in (self.units, self.exits) for unit in units.values()]
        state = {
            "leaves": leaves,
            "started": self.started,
            "finished": self.finished,
            "cancelled": self.cancelled,
            "timed_out": self.timed_out,
            "done": self.done,
        }
        place = self.folder / "state.json"
        draft = place.with_suffix(".draft")
        draft.write_text(json.dumps(state))
        draft.replace(place)


def _leaf_json(leaf: Leaf) -> dict[str, Any]:
    return {
        "origin": leaf.origin,
        "phase": str(leaf.phase),
        "reason": leaf.reason,
        "message": leaf.message,
        "attempts": leaf.attempts,
        "started": leaf.started,
        "finished": leaf.finished,
        "exit_code": leaf.exit_code,
        "outputs": dict(leaf.outputs),
        "helper": leaf.helper,
    }


def _met(need: str, other: _Unit) -> bool:
    phase, reason = other.leaf.phase, other.leaf.reason
    if need == "finished":
        return phase is not Phase.CANCELLED
    if need == "failed":
        return phase is Phase.FAILED
    skipped = phase is Phase.SKIPPED and reason in ("when", "empty")
    if need == "skipped":
        return skipped
    if phase is Phase.SUCCEEDED:
        return True
    if need == "succeeded":
        return False
    return skipped or (phase in (Phase.FAILED, Phase.ERROR) and other.step.continue_on_failure)


def _counts(unit: _Unit) -> bool:
    return unit.leaf.phase in (Phase.FAILED, Phase.ERROR) and not unit.step.continue_on_failure


def _texts(step: Step) -> Iterator[Any]:
    yield from step.env.values()
    if step.image is not None:
        yield step.image


def _collect(step: Step, folder: Path, defaults: bool) -> dict[str, Json]:
    """The outputs that a command left, by S27."""
    found: dict[str, Json] = {}
    for name, output in step.outputs.items():
        place = folder / name
        if not place.is_file():
            if defaults and output.default is not MISSING:
                found[name] = output.default
                continue
            raise ValueError(f"output {name} was not written")
        data = place.read_bytes()
        if len(data) > OUTPUT_BYTES:
            raise ValueError(f"output {name} has {len(data)} bytes; {OUTPUT_BYTES} is the most")
        try:
            text = data.decode()
            value = text.removesuffix("\n") if output.type.name == "string" else json.loads(text)
        except ValueError as error:
            raise ValueError(f"output {name} cannot be read: {error}") from error
        fault = misfit(value, output.type)
        if fault:
            raise ValueError(f"output {name} is {fault}, not {output.type}")
        found[name] = value
    return found
