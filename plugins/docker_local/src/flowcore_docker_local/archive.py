"""Files into and out of a container through the engine's API, where the two do not see the same file tree."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
from collections.abc import Iterable
from typing import IO

Entry = tuple[str, str, int]
"""A path of this machine, its path in the container, and the mode of a plain file there."""


def pack(archive: IO[bytes], folders: Iterable[str], entries: Iterable[Entry]) -> None:
    """Write a tar for the container's root: empty folders that anybody may write to, and files that anybody may read.

    An entry that is a link stands for what it points to.
    """
    with tarfile.open(fileobj=archive, mode="w") as tar:
        made: set[str] = set()
        for folder in folders:
            _parents(tar, folder, made)
            _folder(tar, folder, 0o777, made)
        for source, target, mode in entries:
            _parents(tar, target, made)
            _add(tar, os.path.realpath(source), target, mode, made)


def _parents(tar: tarfile.TarFile, path: str, made: set[str]) -> None:
    parts = path.strip("/").split("/")[:-1]
    for depth in range(1, len(parts) + 1):
        _folder(tar, "/".join(parts[:depth]), 0o755, made)


def _folder(tar: tarfile.TarFile, path: str, mode: int, made: set[str]) -> None:
    path = path.strip("/")
    if path not in made:
        made.add(path)
        entry = tarfile.TarInfo(path)
        entry.type = tarfile.DIRTYPE
        entry.mode = mode
        tar.addfile(entry)


def _add(tar: tarfile.TarFile, source: str, target: str, mode: int, made: set[str]) -> None:
    status = os.lstat(source)
    if stat.S_ISDIR(status.st_mode):
        _folder(tar, target, 0o755, made)
        for name in sorted(os.listdir(source)):
            _add(tar, f"{source}/{name}", f"{target}/{name}", mode, made)
        return
    entry = tarfile.TarInfo(target.strip("/"))
    entry.mtime = int(status.st_mtime)
    if stat.S_ISLNK(status.st_mode):
        entry.type = tarfile.SYMTYPE
        entry.linkname = os.readlink(source)
        tar.addfile(entry)
    elif stat.S_ISREG(status.st_mode):
        entry.size = status.st_size
        entry.mode = mode | (status.st_mode & 0o111)
        with open(source, "rb") as file:
            tar.addfile(entry, file)


def unpack(archive: IO[bytes], folder: str, wanted: frozenset[str]) -> None:
    """Take what a container left in a folder out of its tar, into ``folder``: the entries that are wanted.

    Everything becomes this user's own, and can be read and removed; nothing gets outside the folder.
    """
    with tarfile.open(fileobj=archive, mode="r:") as tar:
        for entry in tar:
            _, _, path = entry.name.strip("/").partition("/")
            parts = path.split("/")
            if parts[0] not in wanted or ".." in parts:
                continue
            place = f"{folder}/{path}"
            root, parent = os.path.realpath(folder), os.path.realpath(os.path.dirname(place))
            if parent != root and not parent.startswith(root + "/"):
                continue  # a link that the container made leads away
            if entry.isdir():
                os.makedirs(place, 0o700, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(place), 0o700, exist_ok=True)
            if os.path.lexists(place):
                os.unlink(place)
            if entry.issym():
                os.symlink(entry.linkname, place)
            elif entry.isfile() or entry.islnk():
                data = tar.extractfile(entry)
                if data is not None:
                    with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                        shutil.copyfileobj(data, file)
                    os.chmod(place, 0o600 | (entry.mode & 0o777))
