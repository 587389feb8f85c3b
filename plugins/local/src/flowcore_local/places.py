"""Where runs live on this machine: one folder for each, private to the user, never on a network file system."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from attrs import frozen

from flowcore.plugin import GoneError, UsageError

NETWORK: Final = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "afs", "afpfs", "webdav", "ceph", "fuse.ceph"),
        *("glusterfs", "fuse.glusterfs", "lustre", "gpfs", "beegfs", "fuse.sshfs", "fuse.s3fs", "fuse.rclone"),
        *("fuse.gcsfuse", "9p", "orangefs", "pvfs2", "ocfs2", "gfs2"),
    )
)
"""File systems on which locks or SQLite's shared memory cannot be trusted."""


def data_folder(option: str = "") -> Path:
    """The user's data folder: the option, ``$FLOWCORE_HOME``, else ``flowcore`` in the folder for data (XDG)."""
    if option:
        return Path(option).expanduser().absolute()
    own = os.environ.get("FLOWCORE_HOME")
    if own:
        return Path(own).expanduser().absolute()
    shared = os.environ.get("XDG_DATA_HOME")
    if shared and os.path.isabs(shared):
        return Path(shared) / "flowcore"
    return Path.home() / ".local" / "share" / "flowcore"


def file_system(path: str, mounts: str) -> str | None:
    """The type of the file system that holds ``path``, from the text of Linux' ``/proc/self/mountinfo``."""
    best, found = -1, None
    for line in mounts.splitlines():
        left, separator, right = line.partition(" - ")
        fields = left.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = fields[4].encode("ascii", "surrogateescape").decode("unicode_escape", "replace")
        inside = point == "/" or path == point or path.startswith(point + "/")
        # The last of several mounts on one place is the one that is seen.
        if inside and len(point) >= best:
            best, found = len(point), right.split(" ")[0]
    return found


def _mounts() -> str:
    try:
        return Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return _mac_mounts() if sys.platform == "darwin" else ""


def _mac_mounts() -> str:
    """What ``mount`` says on macOS, in the form of mountinfo."""
    import re
    import subprocess

    text = subprocess.run(["/sbin/mount"], capture_output=True, text=True, check=False).stdout
    found = re.findall(r"^\S.* on (/.*?) \((\w+)[,)]", text, re.MULTILINE)
    return "\n".join(f"0 0 0:0 / {point.replace(' ', chr(92) + '040')} rw - {kind} - rw" for point, kind in found)


def refuse_network(path: Path) -> None:
    """Raise UsageError if the folder (or its nearest parent that exists) is on a network file system."""
    existing = path
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    kind = file_system(os.path.realpath(existing), _mounts())
    if kind in NETWORK:
        raise UsageError(
            f"{path} is on a network file system ({kind}), where locks and SQLite cannot be trusted; "
            "set FLOWCORE_HOME to a folder on a local disk"
        )


@frozen
class Home:
    """The folder of one backend's runs."""

    root: Path

    @classmethod
    def of(cls, backend: str, option: str = "") -> Home:
        return cls(data_folder(option) / backend)

    def prepare(self) -> None:
        """Make the folders, private to the user."""
        refuse_network(self.root)
        try:
            for folder in (self.root.parent, self.root, self.root / "runs", self.root / "expiring"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"{self.root}: the folder for runs cannot be made ({error.strerror}); set FLOWCORE_HOME to one that can"
            ) from None

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def expiring(self) -> Path:
        return self.root / "expiring"

    @property
    def cache(self) -> Path:
        return self.root / "cache.db"

    def run(self, location: str) -> RunFolder:
        """The folder of a run.

        Raises:
            UsageError: if the location is not one that submit gives.
            GoneError: if there is no such run.
        """
        if not location or "/" in location or location.startswith("."):
            raise UsageError(f"{location!r} is not the name of a run; submit and ls print them")
        folder = RunFolder(self.runs / location)
        if not folder.database.exists():
            raise GoneError(f"{location}: this run is gone (its ttl has passed, or it was deleted), or it never was")
        return folder


@frozen
class RunFolder:
    """The files of one run."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def database(self) -> Path:
        return self.path / "run.db"

    @property
    def lease(self) -> Path:
        """Locked by the supervisor as long as it lives; its process's number is in it."""
        return self.path / "lease"

    @property
    def wake(self) -> Path:
        """A FIFO: a byte in it makes the supervisor look at the database."""
        return self.path / "wake"

    @property
    def private(self) -> Path:
        """Secrets and the steps' base environment, mode 0600, deleted at the end of the run."""
        return self.path / "private.json"

    @property
    def log(self) -> Path:
        """What the supervisor itself has to say: nothing, unless it crashed."""
        return self.path / "supervisor.log"

    @property
    def files(self) -> Path:
        """Scripts, by the hash of their text."""
        return self.path / "files"

    @property
    def volumes(self) -> Path:
        """Secrets and config maps that steps see as folders; deleted at the end of the run."""
        return self.path / "volumes"

    @property
    def attempts(self) -> Path:
        """What stays of attempts: see ``attempt``."""
        return self.path / "attempts"

    @property
    def gathered(self) -> Path:
        return self.path / "gathered"

    @property
    def bays(self) -> Path:
        """Where attempts run."""
        return self.path / "bays"

    def attempt(self, seq: int) -> str:
        """Where what stays of an attempt is: ``.out`` and ``.err`` are its streams, ``.kept`` its artifacts.

        A thousand attempts in each folder, so that none grows without bound.
        """
        return f"{self.attempts}/{seq // 1000}/{seq}"
