"""The process that runs a run: detached from whoever submitted it, and replaceable at any moment.

Its lease is a lock on a file. Whoever finds an unfinished run's lease free takes the lock and hands it, as an open
file, to a new supervisor; so there are never two, and never a moment in which two could start.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flowcore_local.places import Home, RunFolder
from flowcore_local.store import Store

if TYPE_CHECKING:
    from flowcore_local.launcher import Launcher

_MODULE: Final = "flowcore_local.supervisor"


def ensure(folder: RunFolder, patience: float = 0.0) -> bool:
    """Start a supervisor for an unfinished run if none lives; True if one was started.

    ``patience`` is how many seconds to wait for one that is about to leave.
    """
    deadline = time.monotonic() + patience
    while alive(folder) and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        lease = os.open(folder.lease, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return False
    try:
        try:
            fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        store = Store(folder.database)
        try:
            if store.run().done:
                return False
        finally:
            store.close()
        _spawn(folder, lease)
        return True
    finally:
        os.close(lease)


def alive(folder: RunFolder) -> bool:
    """Whether a supervisor holds the lease."""
    try:
        lease = os.open(folder.lease, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lease)
    return False


def wake(folder: RunFolder) -> None:
    """Make a living supervisor look at the database now."""
    try:
        pipe = os.open(folder.wake, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return  # nobody listens; whoever takes over reads the database first
    try:
        os.write(pipe, b"!")
    except BlockingIOError:
        pass
    finally:
        os.close(pipe)


def _spawn(folder: RunFolder, lease: int) -> None:
    import subprocess

    from flowcore_local.private import frozen

    environment = frozen(os.environ)
    # The same packages as here, however this process found them.
    environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(place) for place in sys.path if place)
    environment.pop("PYTHONSTARTUP", None)
    log = os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        # sh ends at once and leaves the supervisor to process 1, so no zombie stays with the caller.
        subprocess.run(
            ["/bin/sh", "-c", '"$@" &', "sh", sys.executable, "-m", _MODULE, str(folder.path), str(lease)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment,
            pass_fds=(lease,),
            start_new_session=True,
            check=True,
        )
    finally:
        os.close(log)


def main(arguments: list[str]) -> int:
    """Run the run in the folder; the lease is held already, as the given open file."""
    import signal

    folder = RunFolder(Path(arguments[0]))
    lease = int(arguments[1])
    os.set_inheritable(lease, False)
    os.ftruncate(lease, 0)
    os.pwrite(lease, f"{os.getpid()}\n".encode(), 0)
    # sh starts what it puts in the background with these ignored, and steps would inherit that.
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    store = Store(folder.database)
    try:
        try:
            run_to_the_end(folder, store)
        except Exception as error:
            import traceback

            traceback.print_exc()
            fail(folder, store, f"{type(error).__name__}: {error}")
    finally:
        store.close()
        os.close(lease)
    return 0


def run_to_the_end(folder: RunFolder, store: Store) -> None:
    """Go on with the run until it is over."""
    import gc
    import json
    import signal

    from attrs import evolve

    from flowcore.plugin import from_json
    from flowcore_local import private
    from flowcore_local.action import Setting, Sources
    from flowcore_local.cache import Cache
    from flowcore_local.engine import Engine

    run = store.run()
    if run.done:
        return
    # Sent if somebody opens a log file in the moment in which it is looked at (see logs.unshared).
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    settings = store.settings()
    document = json.loads(store.document())
    workflow = evolve(from_json(document), outline="")
    del document
    folder.files.mkdir(mode=0o700, exist_ok=True)
    sources = private.read(folder.private) if folder.private.exists() else Sources({}, {}, {})
    launcher = make_launcher(settings)
    setting = Setting(
        run.id,
        settings["python"],
        str(folder.files),
        sources,
        (f"{folder.attempts}/", f"{folder.gathered}/"),
        str(folder.volumes),
        workflow.volumes,
        launcher.working_folder,
    )
    home = Home(folder.path.parent.parent)
    cache = Cache(home.cache, run.name)
    # The workflow stays to the end; the collector need not walk it again and again.
    gc.collect()
    gc.freeze()
    try:
        Engine(
            workflow,
            store,
            folder,
            launcher,
            setting,
            cache=cache,
            slots=settings["slots"],
            grace=settings["grace"],
            pending_timeout=settings["pending_timeout"],
        ).run()
    finally:
        launcher.close()
        cache.close()
    mark_expiry(home, folder, store)


def make_launcher(settings: Mapping[str, Any]) -> Launcher:
    """The launcher that a run's settings name."""
    from importlib import import_module

    module, _, name = settings["launcher"].partition(":")
    launcher: Launcher = getattr(import_module(module), name)(**settings["launcher_options"])
    return launcher


def fail(folder: RunFolder, store: Store, message: str) -> None:
    """End a run whose engine cannot go on: attempts that run are killed, and the run is an error."""
    from flowcore.plugin import Phase

    try:
        launcher = make_launcher(store.settings())
        launcher.end_all([(attempt.seq, f"{folder.bays}/{attempt.bay}") for attempt in store.running()])
        launcher.close()
    except Exception:
        import traceback

        traceback.print_exc()  # into the log that the message names
    with store.writing():
        store.finish(Phase.ERROR, time.time(), f"the supervisor failed ({message}); {folder.log} has more")
    folder.private.unlink(missing_ok=True)
    mark_expiry(Home(folder.path.parent.parent), folder, store)


def mark_expiry(home: Home, folder: RunFolder, store: Store) -> None:
    """Leave a mark that says when the run's records are to go, so that nobody opens every run to find out."""
    run = store.run()
    if run.ttl is not None and run.finished is not None:
        home.expiring.mkdir(mode=0o700, exist_ok=True)
        (home.expiring / f"{run.finished + run.ttl:.3f}_{folder.id}").touch(mode=0o600)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
