"""Docker engines: the one that all tests share, and engines of a test's own that it may stop, pause and kill."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from . import services
from .debian import install
from .images import busybox_image, step_images
from .place import DIR, RUN
from .shell import out, sh, wait, works

# What dockerd calls. Debian's docker.io has the client as well.
PACKAGES = ("docker.io", "containerd", "runc", "iptables", "iproute2")


def packages() -> None:
    install(*PACKAGES)


def load(archive: Path, host: str | None = None) -> None:
    """Put an image of ours into an engine, unless it is there."""
    short = {"docker.io_library_busybox_1": "busybox:1", "docker.io_library_python_3.11": "python:3.11"}[archive.stem]
    where = () if host is None else ("--host", host)
    if not works("docker", *where, "image", "inspect", short):
        sh("docker", *where, "load", "-q", "-i", archive, quiet=True)


def up() -> None:
    """Start the shared engine, unless one answers already, and load the images."""
    packages()
    if not works("docker", "info"):
        services.start("dockerd", "dockerd", "--data-root", DIR / "docker", "--pidfile", RUN / "dockerd-own.pid")
        wait("dockerd", lambda: works("docker", "info"))
    for archive in step_images():
        load(archive)


def down() -> None:
    services.stop("dockerd")


class Engine:
    """A second engine on this machine, with nothing of the first one's; its folder's path must be short.

    It has a bridge of its own: one that is told to have none removes the other engine's. No firewall rule is made.
    ``also`` are more options of its program.
    """

    def __init__(self, folder: Path, live_restore: bool = False, also: Sequence[str] = ()) -> None:
        self.folder = folder
        self.also = also
        self.live_restore = live_restore
        self.host = f"unix://{folder}/docker.sock"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        # At most 15 letters, and no network that anybody else has.
        number = int(hashlib.sha256(str(folder).encode()).hexdigest()[:4], 16)
        self.bridge = f"flow{number}"
        self.address = f"10.{200 + number % 50}.{number // 256 % 256}.1/24"

    def __enter__(self) -> Engine:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()

    def start(self) -> None:
        """Start it, or start it again: containers and images of before are there."""
        if not works("ip", "link", "show", self.bridge):
            sh("ip", "link", "add", self.bridge, "type", "bridge", quiet=True)
            sh("ip", "address", "add", self.address, "dev", self.bridge, quiet=True)
            sh("ip", "link", "set", self.bridge, "up", quiet=True)
        settings = self.folder / "daemon.json"
        settings.write_text(json.dumps({"live-restore": self.live_restore}))
        # What a killed engine leaves would keep the next one from starting.
        (self.folder / "dockerd.pid").unlink(missing_ok=True)
        with open(self.folder / "dockerd.log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    "dockerd",
                    f"--config-file={settings}",
                    f"--data-root={self.folder}/data",
                    f"--exec-root={self.folder}/exec",
                    f"--pidfile={self.folder}/dockerd.pid",
                    f"--host={self.host}",
                    f"--bridge={self.bridge}",
                    "--iptables=false",
                    "--shutdown-timeout=2",
                    *self.also,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait("the second dockerd", lambda: works(*self.client("info")), 60, self.folder / "dockerd.log")
        load(busybox_image(), self.host)

    def stop(self) -> None:
        """End the engine as a service manager does; with ``live_restore`` its containers go on."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def pause(self) -> None:
        """It hangs: connections are taken, nothing is answered."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def client(self, *args: str) -> list[str]:
        """A command line for it."""
        return ["docker", "--host", self.host, *args]

    def ask(self, *args: str) -> list[str]:
        """The lines that the client prints."""
        return out(*self.client(*args)).splitlines()

    def destroy(self) -> None:
        """End it with all its containers, and remove its folder."""
        if self.process is not None:
            self.go_on()
            left = self.ask("ps", "-aq")
            if left:
                sh(*self.client("rm", "-fv", *left), check=False, quiet=True)
        self.stop()
        # Its containerd ends with it, except where containers were to go on.
        try:
            os.kill(int((self.folder / "exec/containerd/containerd.pid").read_text()), signal.SIGTERM)
        except (OSError, ValueError):
            pass
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            mount = line.split()[1]
            if mount.startswith(f"{self.folder}/"):
                sh("umount", "-l", mount, check=False, quiet=True)
        sh("ip", "link", "delete", self.bridge, check=False, quiet=True)
        shutil.rmtree(self.folder, ignore_errors=True)
