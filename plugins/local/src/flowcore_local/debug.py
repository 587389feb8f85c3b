"""The option ``debug``: the steps of a run one by one in the calling process, so that a breakpoint works.

Python functions are called here; everything else is a plain child that shares the terminal. Timeouts, retries and
parallelism are ignored, which the notes say.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from attrs import evolve

from flowcore.plugin import EvaluationError, Nested, Phase, Python, RefusedError, Step, Workflow, from_json
from flowcore_local import private
from flowcore_local.action import Setting, describe, function_program
from flowcore_local.bays import Bays
from flowcore_local.cache import Cache
from flowcore_local.engine import RunMemory, exit_message
from flowcore_local.launcher import CannotStart, Launch
from flowcore_local.outputs import BadOutput, collect
from flowcore_local.places import Home, RunFolder
from flowcore_local.process import find_program
from flowcore_local.scheduler import Outcome, Scheduler, Unit
from flowcore_local.store import Store
from flowcore_local.supervisor import mark_expiry


def run_here(folder: RunFolder) -> None:
    """Run a submitted run to its end in this process."""
    lease = os.open(folder.lease, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    store = Store(folder.database)
    try:
        try:
            fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError(f"run {folder.id} is running already; use another key to debug it") from None
        run = store.run()
        if run.done:
            return
        home = Home(folder.path.parent.parent)
        workflow = unhurried(evolve(from_json(json.loads(store.document())), outline=""))
        cache = Cache(home.cache, run.name)
        scheduler = Scheduler(workflow, RunMemory(store, cache, folder), run_id=run.id, slots=1)
        folder.files.mkdir(mode=0o700, exist_ok=True)
        setting = Setting(run.id, store.settings()["python"], str(folder.files), private.read(folder.private))
        try:
            _run(scheduler, store, folder, setting)
        except BaseException as error:
            with store.writing():
                store.finish(Phase.ERROR, time.time(), f"debugging ended with {type(error).__name__}")
            raise
        finally:
            cache.close()
            folder.private.unlink(missing_ok=True)
        mark_expiry(home, folder, store)
    finally:
        store.close()
        os.close(lease)


def unhurried(workflow: Workflow) -> Workflow:
    """The workflow without timeouts, retries and parallelism."""
    return evolve(
        workflow,
        timeout=None,
        parallelism=1,
        steps={name: _patient(step) for name, step in workflow.steps.items()},
        on_exit={name: _patient(step) for name, step in workflow.on_exit.items()},
    )


def _patient(step: Step) -> Step:
    if isinstance(step.action, Nested):
        step = evolve(step, action=evolve(step.action, workflow=unhurried(step.action.workflow)))
    return evolve(step, timeout=None, retry=None, parallelism=None)


def _run(scheduler: Scheduler, store: Store, folder: RunFolder, setting: Setting) -> None:
    started = time.time()
    seq = 0
    bays = Bays(folder.bays)
    with store.writing():
        store.start_run(started)
        scheduler.begin(started)
    while True:
        with store.writing():
            now = time.time()
            scheduler.tick(now)
            taken = [] if scheduler.done else scheduler.take(now, 1)
            store.record(scheduler.changed.values())
            scheduler.changed.clear()
        if not taken:
            due = scheduler.next_due()
            if scheduler.done or due is None:
                break
            time.sleep(max(0.0, due - time.time()))
            continue
        unit = taken[0]
        seq += 1
        with store.writing():
            store.intend([(seq, unit.origin, 0, unit.attempts, time.time(), seq, 0, 0)])
        bay = bays.take()
        outcome = _attempt(scheduler, unit, seq, bays.path(bay), folder.attempt(seq), setting)
        with store.writing():
            store.attempts_ended([(0, 0, seq)])
            scheduler.ended(unit, outcome, time.time())
        bays.give_back(bay)
    with store.writing():
        bad = scheduler.top.failed or (scheduler.exit is not None and scheduler.exit.failed)
        store.finish(Phase.FAILED if bad else Phase.SUCCEEDED, time.time())


def _attempt(scheduler: Scheduler, unit: Unit, seq: int, place: str, streams: str, setting: Setting) -> Outcome:
    os.makedirs(os.path.dirname(streams), 0o700, exist_ok=True)
    print(f"-- {unit.origin}", file=sys.stderr)
    try:
        launch = describe(unit, seq, place, streams, scheduler.lookup(unit), setting)
        action = unit.step.action
        if isinstance(action, Python):
            code = _call(function_program(unit, action, scheduler.lookup(unit)), launch)
        else:
            find_program(launch.argv[0], launch.env.get("PATH", os.defpath), launch.work)
            code = _child(launch, unit.step.stdout)
    except EvaluationError as error:
        return Outcome(Phase.ERROR, "expression", str(error))
    except CannotStart as problem:
        return Outcome(Phase.ERROR, problem.reason, str(problem))
    if code != 0:
        return Outcome(Phase.FAILED, "exit-code", exit_message(code), code)
    try:
        outputs = collect(unit.step.outputs, launch.outputs, unit.step.stdout, (launch.stdout, 0), streams + ".kept")
    except BadOutput as error:
        return Outcome(Phase.FAILED, "output", str(error), 0)
    return Outcome(Phase.SUCCEEDED, exit_code=0, outputs=outputs)


def _child(launch: Launch, stdout: str | None) -> int:
    if stdout is None:
        done = subprocess.run(launch.argv, env=dict(launch.env), cwd=launch.work, check=False)
    else:
        with open(launch.stdout, "wb") as file:
            done = subprocess.run(launch.argv, env=dict(launch.env), cwd=launch.work, stdout=file, check=False)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def _call(program: str, launch: Launch) -> int:
    """Run the function's program as a module of this process, in the attempt's folder and environment."""
    module = types.ModuleType("flow_program")
    with _surroundings(launch.work, launch.env):
        exec(compile(program, f"<{launch.origin}: flowcore>", "exec"), module.__dict__)
        space: dict[str, Any] = module.__dict__
        try:
            code: int = space["main"](json.loads(space["CALL"]), [])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return code


@contextmanager
def _surroundings(work: str, env: Mapping[str, str]) -> Iterator[None]:
    before, place = dict(os.environ), os.getcwd()
    os.environ.update(env)
    os.chdir(work)
    try:
        yield
    finally:
        os.chdir(place)
        os.environ.clear()
        os.environ.update(before)
