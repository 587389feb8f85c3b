"""An image registry on loopback, which every Docker engine trusts without TLS: Debian's docker-registry."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from .debian import install
from .shell import sh, wait

USER, PASSWORD = "flow", "sesame"
# bcrypt of PASSWORD, as `htpasswd -nbB flow sesame` writes it.
HTPASSWD = f"{USER}:$2y$04$wjJ3qpckLmS0zCAltFyITOlhv8ECodXW2NnaNWvUfByhWa9dTiq8.\n"


class Registry:
    """A registry of a test's own; ``password`` asks every client for it."""

    def __init__(self, folder: Path, password: bool = False) -> None:
        install("docker-registry")
        self.folder = folder
        self.password = password
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Registry:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        settings = {
            "version": 0.1,
            "log": {"level": "info", "accesslog": {"disabled": False}},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")}},
            "http": {"addr": self.address},
        }
        if self.password:
            (self.folder / "htpasswd").write_text(HTPASSWD)
            settings["auth"] = {"htpasswd": {"realm": "flowcore", "path": str(self.folder / "htpasswd")}}
        (self.folder / "registry.yml").write_text(json.dumps(settings))
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["docker-registry", "serve", self.folder / "registry.yml"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait("the registry", self._answers, 30, self.log)

    @property
    def log(self) -> Path:
        return self.folder / "registry.log"

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/v2/", timeout=2) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            return error.code == 401

    def push(self, image: str, name: str, config: Path) -> str:
        """Push an image of the shared engine under a name of this registry, and give its whole name.

        ``config`` is a folder for the client's settings, so that no user's ``~/.docker`` is read or changed.
        """
        whole = f"{self.address}/{name}"
        self.login(config)
        sh("docker", "tag", image, whole, quiet=True)
        sh("docker", "--config", config, "push", "-q", whole, quiet=True)
        sh("docker", "rmi", whole, quiet=True)
        return whole

    def login(self, config: Path, password: str = PASSWORD) -> None:
        """Write the settings that ``docker login`` would write."""
        import base64

        config.mkdir(parents=True, exist_ok=True)
        secret = base64.b64encode(f"{USER}:{password}".encode()).decode()
        auths = {self.address: {"auth": secret}} if self.password else {}
        (config / "config.json").write_text(json.dumps({"auths": auths}))

    def pulls(self, name: str) -> int:
        """How often an engine was told what an image is now: once a pull, also where it has the layers already."""
        lines = self.log.read_text().splitlines()
        return sum(f'"HEAD /v2/{name}/manifests/' in line and " 200 " in line for line in lines)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None
