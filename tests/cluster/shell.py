"""Runs programs, and waits for what they bring up."""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from .place import DIR, LOG


def say(text: str) -> None:
    print(f"[cluster] {text}", file=sys.stderr, flush=True)


def sh(*args: object, check: bool = True, quiet: bool = False, **more: Any) -> subprocess.CompletedProcess[Any]:
    """Run a program; ``quiet`` keeps its output and shows it only if it fails."""
    if not quiet:
        return subprocess.run([str(arg) for arg in args], check=check, **more)
    done = subprocess.run([str(arg) for arg in args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    if check and done.returncode:
        text = done.stdout if isinstance(done.stdout, str) else done.stdout.decode(errors="replace")
        raise SystemExit(f"cluster: {' '.join(map(str, args))} exited {done.returncode}:\n{text[-4000:]}")
    return done


def out(*args: object, **more: Any) -> str:
    """What a program printed."""
    done = subprocess.run([str(arg) for arg in args], check=True, capture_output=True, text=True, **more)
    return str(done.stdout).strip()


def works(*args: object, **more: Any) -> bool:
    return sh(*args, check=False, quiet=True, **more).returncode == 0


@contextlib.contextmanager
def alone(what: str) -> Iterator[None]:
    """Do something that one process of this machine does at a time; a second one waits for the first."""
    DIR.mkdir(parents=True, exist_ok=True)
    with open(DIR / f"{what}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def wait(what: str, probe: Callable[[], object], timeout: float = 120, log: object = LOG) -> None:
    """Ask until the answer is yes; an exception is a no.

    Raises:
        SystemExit: if the answer is not yes within ``timeout`` seconds.
    """
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        try:
            if probe():
                return
        except Exception:
            pass
        time.sleep(0.1)
    raise SystemExit(f"cluster: {what} did not come up in {timeout:.0f} s; see {log}")
