"""Programs in the background, known by a file with their process number."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from .place import LOG, RUN


def running(name: str) -> int | None:
    """The process number of a service that runs."""
    try:
        pid, program = (RUN / f"{name}.pid").read_text().split(" ", 1)
        # A number is used again after a reboot, so the program must be the right one, too.
        return int(pid) if program.encode() in Path(f"/proc/{pid}/cmdline").read_bytes() else None
    except (OSError, ValueError):
        return None


def start(name: str, *command: object, env: Mapping[str, str] | None = None) -> None:
    """Start a service that does not run yet; it outlives this process."""
    if running(name):
        return
    RUN.mkdir(parents=True, exist_ok=True)
    LOG.mkdir(parents=True, exist_ok=True)
    with open(LOG / f"{name}.log", "ab") as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, **(env or {})},
        )
    (RUN / f"{name}.pid").write_text(f"{process.pid} {Path(str(command[0])).name}")


def stop(name: str, timeout: float = 15) -> None:
    """Ask a service to end, and make it end after ``timeout`` seconds."""
    pid = running(name)
    if pid:
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + timeout
        while time.monotonic() < end and running(name):
            time.sleep(0.1)
        if running(name):
            os.kill(pid, signal.SIGKILL)
    (RUN / f"{name}.pid").unlink(missing_ok=True)
