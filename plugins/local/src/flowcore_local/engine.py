"""The loop of one run: the scheduler decides, the store remembers, the launcher runs.

Each round is one transaction: what was asked (a cancel), what ended, what follows from it, and which attempts are
meant to start. Only after its commit are they started, so whoever takes over knows of every process there may be.
"""

from __future__ import annotations

import heapq
import os
import select
import shutil
import time
from collections.abc import Callable, Mapping
from typing import Final

from flowcore.plugin import EvaluationError, Json, Phase, Reason, Workflow
from flowcore_local.action import Setting, describe
from flowcore_local.bays import Bays
from flowcore_local.cache import Cache
from flowcore_local.launcher import CannotStart, Exit, Launch, Launcher, NotReady
from flowcore_local.logs import unshared
from flowcore_local.outputs import BadOutput, collect
from flowcore_local.places import RunFolder
from flowcore_local.scheduler import Outcome, Scheduler, Unit
from flowcore_local.store import Store

BATCH: Final = 64
"""Most attempts that start in one round; a kill then leaves no more than these to look after."""


class RunMemory:
    """The scheduler's memory: the run's database, the user's cache, and folders of gathered artifacts."""

    def __init__(self, store: Store, cache: Cache, folder: RunFolder) -> None:
        self._store = store
        self._cache = cache
        self._folder = folder

    def outputs(self, origin: str) -> Mapping[str, Json]:
        return self._store.outputs(origin)

    def keep(self, origin: str, outputs: Mapping[str, Json]) -> None:
        self._store.keep(origin, outputs)

    def gather(self, origin: str, output: str, places: list[str]) -> str:
        target = self._folder.gathered / origin.replace("/", "+") / output
        # An earlier supervisor may have died half-way through.
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(mode=0o700, parents=True)
        for index, place in enumerate(places):
            os.symlink(place, target / str(index))
        return str(target)

    def cached(self, step: str, key: str, max_age: float | None, now: float) -> Mapping[str, Json] | None:
        return self._cache.find(step, key, max_age, now)

    def remember(self, step: str, key: str, outputs: Mapping[str, Json], now: float) -> None:
        self._cache.store(step, key, outputs, now)


class Engine:
    """Runs one run to its end, from wherever it is."""

    def __init__(
        self,
        workflow: Workflow,
        store: Store,
        folder: RunFolder,
        launcher: Launcher,
        setting: Setting,
        *,
        cache: Cache,
        slots: int,
        grace: float,
        pending_timeout: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._folder = folder
        self._launcher = launcher
        self._setting = setting
        self._grace = grace
        self._clock = clock
        memory = RunMemory(store, cache, folder)
        self._scheduler = Scheduler(
            workflow, memory, run_id=setting.run_id, slots=slots, pending_timeout=pending_timeout
        )
        self._flying: dict[int, Unit] = {}
        self._seq = 0
        self._asked = 0
        self._timed_out = False
        self._held: dict[str, tuple[Reason, list[Unit]]] = {}
        """Units that wait for something, by the launcher's word for it."""
        self._exits: list[Exit] = []
        self._refused: list[tuple[int, CannotStart]] = []
        self._landed: list[tuple[int, int, int]] = []
        self._stopping: list[tuple[int, bool]] = []
        self._kills: list[tuple[float, int]] = []
        self._left: list[tuple[int, int | None]] = []
        self._logs: dict[int, int] = {}
        """For each free bay the log files that its next attempt goes on with: making files is not cheap."""
        self._bays = Bays(folder.bays)
        self._folders = ""
        self._wake = os.open(folder.wake, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> None:
        """Go on until the run is over."""
        try:
            self._begin()
            while not self._round():
                self._wait()
            self._clean()
        finally:
            os.close(self._wake)

    # The beginning

    def _begin(self) -> None:
        run = self._store.run()
        self._seq = self._store.last_attempt()
        self._asked = run.cancel
        self._timed_out = run.timed_out
        now = self._clock()
        with self._store.writing():
            if run.started is None:
                self._store.start_run(now)
            records = self._store.saved()
            if not records:
                self._scheduler.begin(now)
                flying: list[Unit] = []
            else:
                flying = self._scheduler.restore(
                    records,
                    run.started if run.started is not None else now,
                    now,
                    timed_out=run.timed_out,
                    cancelled=run.cancel > 0,
                    at_once=run.cancel > 1,
                )
            if run.cancel and not records:
                self._scheduler.cancel(now, run.cancel > 1)
            self._adopt(flying, now)

    def _adopt(self, flying: list[Unit], now: float) -> None:
        attempts = {attempt.origin: attempt for attempt in self._store.running()}
        self._bays.recover(attempt.bay for attempt in attempts.values())
        for unit in flying:
            attempt = attempts.pop(unit.origin, None)
            if attempt is None:
                self._scheduler.again(unit, now)
                continue
            unit.bay, unit.log, unit.wrote = attempt.bay, attempt.log, (attempt.out_from, attempt.err_from)
            folder = self._bays.path(attempt.bay)
            base = self._folder.attempt(attempt.log)
            streams = (f"{base}.out", f"{base}.err")
            state = self._launcher.adopt(unit.step, attempt.seq, attempt.began, folder, streams, unit.wrote)
            if state == "never":
                self._store.forget(attempt.seq)
                self._scheduler.again(unit, now)
                continue
            unit.seq = attempt.seq
            self._flying[attempt.seq] = unit
            if unit.stop is None and attempt.stop in ("timeout", "out-of-memory"):
                unit.stop = attempt.stop  # type: ignore[assignment]
            if isinstance(state, Exit):
                self._exits.append(state)
                continue
            if attempt.stop is not None:
                # Whether the earlier supervisor got to sending TERM is not known.
                self._stop(unit)
        for attempt in attempts.values():  # pragma: no cover - both are always recorded together
            self._landed.append((0, 0, attempt.seq))

    # One round

    def _round(self) -> bool:
        """Everything that can be done now; True once the run is over."""
        scheduler = self._scheduler
        now = self._clock()
        self._exits += self._launcher.exits()
        over = self._launcher.excessive()
        launches: list[Launch] = []
        with self._store.writing():
            asked = self._store.asked()
            if asked > self._asked:
                self._asked = asked
                scheduler.cancel(now, asked > 1)
            for seq in over:
                unit = self._flying.get(seq)
                if unit is not None:
                    scheduler.exceeded(unit)
            exits, self._exits = self._exits, []
            for exit in exits:
                self._end(exit, now)
            refused, self._refused = self._refused, []
            for seq, problem in refused:
                self._refuse(seq, problem, now)
            self._hear()
            scheduler.tick(now)
            if scheduler.timed_out and not self._timed_out:
                self._timed_out = True
                self._store.time_out()
            while len(launches) < BATCH:
                taken = scheduler.take(now, BATCH - len(launches))
                if not taken:
                    break
                for unit in taken:
                    self._intend(unit, now, launches)
                scheduler.settle(now)
            while scheduler.stops:
                self._stop(scheduler.stops.popleft())
            self._store.record(scheduler.changed.values())
            scheduler.changed.clear()
            self._store.attempts_ended(self._landed)
            self._landed.clear()
            done = self._over()
            if done:
                # Before the end is recorded, so that no kill can leave secrets behind; nothing is left to need them.
                self._folder.private.unlink(missing_ok=True)
                shutil.rmtree(self._folder.volumes, ignore_errors=True)
                self._store.finish(self._phase(), now)
        for exit in exits:
            self._launcher.release(exit.seq)
        for launch in launches:
            try:
                self._launcher.start(launch)
            except CannotStart as problem:
                self._refused.append((launch.seq, problem))
        for seq, began in self._launcher.begun():
            if seq in self._flying:
                scheduler.time(self._flying[seq], began)
        self._send(now)
        self._tidy()
        return done

    def _over(self) -> bool:
        """Whether nothing is left to do."""
        return self._scheduler.done and not self._flying and self._launcher.settled()

    def _intend(self, unit: Unit, now: float, launches: list[Launch]) -> None:
        """Write an attempt's files and its intent."""
        self._seq += 1
        seq = unit.seq = self._seq
        parent = os.path.dirname(self._folder.attempt(seq))
        if parent != self._folders:
            os.makedirs(parent, 0o700, exist_ok=True)
            self._folders = parent
        unit.bay = self._bays.take()
        bay = self._bays.path(unit.bay)
        unit.log = self._logs.pop(unit.bay, seq)
        streams = self._folder.attempt(unit.log)
        unit.wrote = (size_of(f"{streams}.out"), size_of(f"{streams}.err")) if unit.log != seq else (0, 0)
        self._store.intend([(seq, unit.origin, unit.bay, unit.attempts, now, unit.log, *unit.wrote)])
        self._flying[seq] = unit
        try:
            launch = describe(unit, seq, bay, streams, self._scheduler.lookup(unit), self._setting)
            self._launcher.prepare(launch)
        except NotReady as problem:
            del self._flying[seq]
            self._store.forget(seq)
            self._leave(unit)
            self._scheduler.hold(unit, problem.reason, str(problem), now)
            self._held.setdefault(problem.key, (problem.reason, []))[1].append(unit)
        except EvaluationError as error:
            del self._flying[seq]
            self._landed.append((0, 0, seq))
            self._leave(unit)
            self._scheduler.withdrawn(unit, Outcome(Phase.ERROR, "expression", str(error)), now)
        except CannotStart as problem:
            self._refuse(seq, problem, now)
        except Exception as error:
            # Whatever is odd about one step must not end the run of all others.
            self._refuse(seq, CannotStart(f"{type(error).__name__}: {error}", "backend"), now)
        else:
            launches.append(launch)

    def _hear(self) -> None:
        """What became of what units wait for."""
        for news in self._launcher.news():
            if news.message is None:
                for unit in self._held.pop(news.key, (None, []))[1]:
                    self._scheduler.admit(unit)
            elif news.key in self._held:
                reason, units = self._held[news.key]
                for unit in units:
                    self._scheduler.told(unit, reason, news.message)

    def _refuse(self, seq: int, problem: CannotStart, now: float) -> None:
        unit = self._flying.pop(seq, None)
        self._landed.append((0, 0, seq))
        if unit is not None:
            self._leave(unit)
            self._scheduler.ended(unit, Outcome(Phase.ERROR, problem.reason, str(problem)), now)

    def _end(self, exit: Exit, now: float) -> None:
        unit = self._flying.pop(exit.seq, None)
        if unit is None:
            return
        streams = self._folder.attempt(unit.log)
        out, err = size_of(f"{streams}.out") - unit.wrote[0], size_of(f"{streams}.err") - unit.wrote[1]
        self._landed.append((out, err, exit.seq))
        outcome = self._outcome(unit, exit, streams)
        self._leave(unit)
        finished = min(now, exit.finished) if exit.finished is not None else now
        self._scheduler.ended(unit, outcome, finished)

    def _outcome(self, unit: Unit, exit: Exit, streams: str) -> Outcome:
        if exit.code is None:
            reason = exit.reason or "lost"
            phase = Phase.FAILED if reason == "out-of-memory" else Phase.ERROR
            return Outcome(phase, reason, exit.message or "nobody knows how its process ended; it was killed")
        if exit.code != 0:
            return Outcome(Phase.FAILED, "exit-code", exit.message or exit_message(exit.code), exit.code)
        try:
            out = f"{self._bays.path(unit.bay)}/out"
            written = (f"{streams}.out", unit.wrote[0])
            kept = f"{self._folder.attempt(exit.seq)}.kept"
            outputs = collect(unit.step.outputs, out, unit.step.stdout, written, kept, self._launcher.apart)
        except (BadOutput, OSError) as error:
            return Outcome(Phase.FAILED, "output", str(error), 0)
        except Exception as error:
            return Outcome(Phase.ERROR, "backend", f"its outputs cannot be read ({type(error).__name__}: {error})", 0)
        return Outcome(Phase.SUCCEEDED, exit_code=0, outputs=outputs)

    def _phase(self) -> Phase:
        """The run's phase by S8, for lists of runs; everything else asks the core's fold."""
        scheduler = self._scheduler
        if scheduler.cancelled:
            return Phase.CANCELLED
        exit_failed = scheduler.exit is not None and scheduler.exit.failed is not None
        if scheduler.timed_out or scheduler.top.failed is not None or exit_failed:
            return Phase.FAILED
        return Phase.SUCCEEDED

    # Stopping

    def _stop(self, unit: Unit) -> None:
        """Record why an attempt is stopped; the signal follows the commit."""
        if unit.seq in self._flying:
            self._store.stop(unit.seq, unit.stop or "cancelled")
            self._stopping.append((unit.seq, unit.stop == "out-of-memory"))

    def _send(self, now: float) -> None:
        for seq, kill in self._stopping:
            self._launcher.stop(seq, kill)
            if not kill:
                heapq.heappush(self._kills, (now + self._grace, seq))
        self._stopping.clear()
        while self._kills and self._kills[0][0] <= now:
            _, seq = heapq.heappop(self._kills)
            if seq in self._flying:
                self._launcher.stop(seq, kill=True)

    # Waiting

    def _wait(self) -> None:
        if self._refused or self._exits or self._scheduler.waits_for_slot() or self._over():
            return
        now = self._clock()
        times = [due for due in (self._scheduler.next_due(), self._kills[0][0] if self._kills else None) if due]
        timeout = max(0.0, min(times) - now) if times else None
        pause = self._launcher.pause()
        if pause is not None:
            timeout = pause if timeout is None else min(timeout, pause)
        ready, _, _ = select.select([self._wake, *self._launcher.descriptors()], [], [], timeout)
        if self._wake in ready:
            try:
                os.read(self._wake, 4096)
            except BlockingIOError:
                pass

    # Leftovers

    def _tidy(self) -> None:
        """The bays of attempts whose end is recorded are free."""
        for bay, log in self._left:
            self._bays.give_back(bay)
            if log is not None and unshared(self._folder.attempt(log)):
                self._logs[bay] = log
        self._left.clear()

    def _leave(self, unit: Unit) -> None:
        self._left.append((unit.bay, unit.log))

    def _clean(self) -> None:
        """The end of the run: what only running steps need goes."""
        for folder in (self._folder.files, self._folder.bays):
            shutil.rmtree(folder, ignore_errors=True)


def size_of(file: str) -> int:
    """Bytes in a file; 0 if it is not there."""
    try:
        return os.stat(file).st_size
    except OSError:
        return 0


def exit_message(code: int) -> str:
    if code > 128:
        import signal

        try:
            return f"it ended with exit code {code} ({signal.Signals(code - 128).name})"
        except ValueError:
            pass
    return f"it ended with exit code {code}"
