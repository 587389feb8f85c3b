"""Bays: the folders in which attempts run, used again and again.

Making and removing folders costs more than everything else that the engine does for a small step, so an attempt gets
a bay that an earlier one has left, swept: an empty ``work`` (its working folder) and an empty ``out`` (its
``FLOW_OUTPUTS``). What stays of an attempt (logs, artifacts) is moved out first.
"""

from __future__ import annotations

import heapq
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

_KEPT = ("work", "out")


class Bays:
    """The bays of one run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._free: list[int] = []
        self._made = 0
        folder.mkdir(mode=0o700, exist_ok=True)

    def path(self, bay: int) -> str:
        return f"{self._folder}/{bay}"

    def recover(self, used: Iterable[int]) -> None:
        """After a takeover: those in ``used`` are taken, all others are swept."""
        taken = set(used)
        known = {int(entry.name) for entry in os.scandir(self._folder) if entry.name.isdigit()}
        self._made = max(known | taken, default=-1) + 1
        for bay in range(self._made):
            if bay not in taken:
                self._make(bay)
                heapq.heappush(self._free, bay)

    def take(self) -> int:
        """A bay that is empty. The lowest one, so that no more are made than attempts run at once."""
        if self._free:
            return heapq.heappop(self._free)
        bay = self._made
        self._made += 1
        self._make(bay)
        return bay

    def give_back(self, bay: int) -> None:
        """The attempt in it is over, and that is recorded."""
        place = self.path(bay)
        try:
            os.unlink(f"{place}/function.py")
        except FileNotFoundError:
            pass
        for name in _KEPT:
            _empty(f"{place}/{name}")
        heapq.heappush(self._free, bay)

    def _make(self, bay: int) -> None:
        place = self.path(bay)
        shutil.rmtree(place, ignore_errors=True)
        for folder in (place, *(f"{place}/{name}" for name in _KEPT)):
            os.mkdir(folder, 0o700)


def _empty(folder: str) -> None:
    """Make a folder empty and private again, whatever a step did to it."""
    try:
        status = os.lstat(folder)
        plain = status.st_mode == 0o40700 and status.st_uid == os.geteuid()
        if plain:
            for entry in os.scandir(folder):
                if entry.is_dir(follow_symlinks=False):
                    plain = False
                    break
                os.unlink(entry.path)
    except OSError:
        plain = False
    if not plain:
        _remove(folder)
        os.mkdir(folder, 0o700)


def _remove(folder: str) -> None:
    if os.path.islink(folder) or not os.path.isdir(folder):
        try:
            os.unlink(folder)
        except FileNotFoundError:
            pass
        return
    # A step may have taken its own rights away.
    os.chmod(folder, 0o700)
    for parent, names, _ in os.walk(folder):
        for name in names:
            if not os.path.islink(f"{parent}/{name}"):
                os.chmod(f"{parent}/{name}", 0o700)
    shutil.rmtree(folder, ignore_errors=True)
