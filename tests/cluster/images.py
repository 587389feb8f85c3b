"""Images, made without a registry: one layer each, in archives that ``docker load`` and ``ctr images import`` take."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .debian import install
from .place import DIR, IMAGES
from .shell import alone, out, say, sh

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BUSYBOX, PYTHON = "docker.io/library/busybox:1", "docker.io/library/python:3.11"


class Link(NamedTuple):
    """A symbolic link in an image."""

    target: str


class Folder(NamedTuple):
    """A folder in an image."""

    mode: int = 0o755


Entry = bytes | Path | Link | Folder
Entries = Sequence[tuple[str, Entry]]


def archive_of(name: str) -> Path:
    return IMAGES / (name.replace("/", "_").replace(":", "_") + ".tar")


def name_in(archive: Path) -> str:
    """The image's name in an archive."""
    with tarfile.open(archive) as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        (entry,) = json.load(manifest)
    return str(entry["RepoTags"][0])


def digest(file: Path) -> str:
    found = hashlib.sha256()
    with file.open("rb") as data:
        while part := data.read(1 << 20):
            found.update(part)
    return found.hexdigest()


def make(name: str, content: Entries | Path, config: Mapping[str, Any]) -> Path:
    """Write an image's archive unless it is there; ``content`` is its entries, or a folder that is its root."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    archive = archive_of(name)
    if archive.exists():
        return archive
    layer = archive.with_suffix(".layer")
    with tarfile.open(layer, "w", format=tarfile.GNU_FORMAT) as tar:
        if isinstance(content, Path):
            tar.add(content, arcname=".")
        else:
            for path, entry in content:
                _add_entry(tar, path, entry)
    layer_digest = digest(layer)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]}
    about = json.dumps({"architecture": machine, "os": "linux", "config": config, "rootfs": rootfs}).encode()
    about_name = hashlib.sha256(about).hexdigest() + ".json"
    manifest = [{"Config": about_name, "RepoTags": [name], "Layers": [f"{layer_digest}/layer.tar"]}]
    part = archive.with_suffix(".part")
    with tarfile.open(part, "w", format=tarfile.GNU_FORMAT) as tar:
        _add_file(tar, about_name, about)
        tar.add(layer, arcname=f"{layer_digest}/layer.tar")
        _add_file(tar, "manifest.json", json.dumps(manifest).encode())
    layer.unlink()
    part.rename(archive)
    return archive


def _add_entry(tar: tarfile.TarFile, path: str, entry: Entry) -> None:
    if isinstance(entry, Link):
        info = tarfile.TarInfo(path)
        info.type, info.linkname = tarfile.SYMTYPE, entry.target
        tar.addfile(info)
    elif isinstance(entry, Folder):
        info = tarfile.TarInfo(path)
        info.type, info.mode = tarfile.DIRTYPE, entry.mode
        tar.addfile(info)
    else:
        _add_file(tar, path, entry if isinstance(entry, bytes) else entry.read_bytes())


def _add_file(tar: tarfile.TarFile, path: str, data: bytes) -> None:
    info = tarfile.TarInfo(path)
    info.size, info.mode = len(data), 0o755
    tar.addfile(info, io.BytesIO(data))


def busybox() -> Path:
    """Debian's static busybox, from its package."""
    install("busybox-static")
    found = shutil.which("busybox")
    assert found is not None
    return Path(found)


def busybox_image() -> Path:
    """``busybox:1``: a shell and the usual tools."""
    archive = archive_of(BUSYBOX)
    if archive.exists():
        return archive
    program = busybox()
    applets = [applet for applet in out(program, "--list").split() if applet != "busybox"]
    entries: list[tuple[str, Entry]] = [
        ("bin", Folder()),
        ("tmp", Folder(0o1777)),
        ("etc", Folder()),
        ("bin/busybox", program),
        ("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"),
        *((f"bin/{applet}", Link("busybox")) for applet in applets),
    ]
    return make(BUSYBOX, entries, {"Env": [PATH], "Cmd": ["sh"]})


def python_image() -> Path:
    """``python:3.11``: Debian's Python with its standard library."""
    archive = archive_of(PYTHON)
    if archive.exists():
        return archive
    install("debootstrap")
    root = DIR / "python-root"
    shutil.rmtree(root, ignore_errors=True)
    say("debootstrap: a Debian root with python3 (a minute)")
    sh("debootstrap", "--variant=minbase", "--include=python3", "bookworm", root, quiet=True)
    for junk in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(root / junk, ignore_errors=True)
    (root / "usr/bin/python").symlink_to("python3")
    made = make(PYTHON, root, {"Env": [PATH], "Cmd": ["python3"]})
    shutil.rmtree(root)
    return made


def step_images() -> list[Path]:
    """The images that steps of the tests run in."""
    with alone("images"):
        return [busybox_image(), python_image()]
