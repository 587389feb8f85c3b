"""Debian packages, installed without their services being started."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .shell import alone, say, sh

POLICY = Path("/usr/sbin/policy-rc.d")


def install(*packages: str) -> None:
    """Install those that are missing.

    Raises:
        SystemExit: if this is not root on Debian, or apt fails.
    """
    try:
        asked = ("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *packages)
        have = set(subprocess.run(asked, capture_output=True, text=True).stdout.splitlines())
    except FileNotFoundError:
        raise SystemExit("cluster: this needs Debian's packages; run it on Debian 12") from None
    missing = [package for package in packages if f"{package} installed" not in have]
    if not missing:
        return
    if os.geteuid():
        raise SystemExit(f"cluster: installing {' '.join(missing)} needs root")
    say("apt-get install " + " ".join(missing))
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # Two that install at once would refuse each other, and start each other's services.
    with alone("packages"), _no_services():
        sh("apt-get", "update", quiet=True, env=env)
        sh("apt-get", "install", "-y", "--no-install-recommends", *missing, quiet=True, env=env)


@contextlib.contextmanager
def _no_services() -> Iterator[None]:
    """Installed services are not started: Debian asks this file, and 101 is its no."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
