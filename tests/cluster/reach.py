"""Engines that are reached in other ways than by the socket of this machine's dockerd: TLS, ssh, Podman's service."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

from .debian import install
from .docker import load
from .images import busybox_image
from .shell import sh, wait, works


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def certificates(folder: Path) -> None:
    """``ca.pem``, and ``cert.pem`` and ``key.pem`` of a client, ``server.pem`` and ``server-key.pem`` of 127.0.0.1."""
    install("openssl")
    folder.mkdir()
    new = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    sh(*new, "-subj", "/CN=ca", "-keyout", folder / "ca-key.pem", "-out", folder / "ca.pem", quiet=True)
    signed = (*new, "-CA", folder / "ca.pem", "-CAkey", folder / "ca-key.pem", "-addext", "basicConstraints=CA:FALSE")
    for cert, key, extra in (
        ("server.pem", "server-key.pem", ("-addext", "subjectAltName=IP:127.0.0.1")),
        ("cert.pem", "key.pem", ("-addext", "extendedKeyUsage=clientAuth")),
    ):
        sh(*signed, *extra, "-subj", f"/CN={cert}", "-keyout", folder / key, "-out", folder / cert, quiet=True)


def tls_options(folder: Path, port: int) -> list[str]:
    """What makes an engine listen there, for clients with a certificate."""
    files = (f"--tlscacert={folder}/ca.pem", f"--tlscert={folder}/server.pem", f"--tlskey={folder}/server-key.pem")
    return [f"--host=tcp://127.0.0.1:{port}", "--tlsverify", *files]


class Ssh:
    """An ssh server of a test's own, where a login finds the engine ``host``.

    ``folder/bin`` has an ``ssh`` that takes the test's key and asks nothing; it belongs at the front of PATH.
    """

    def __init__(self, folder: Path, host: str) -> None:
        install("openssh-server", "openssh-client")
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "bin").mkdir(parents=True)
        for name in ("server", "client"):
            sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name, quiet=True)
        shutil.copy(folder / "client.pub", folder / "authorized")
        (folder / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {folder}/server\nAuthorizedKeysFile {folder}/authorized\n"
            f"PermitRootLogin yes\nStrictModes no\nUsePAM no\nPidFile {folder}/pid\nSetEnv DOCKER_HOST={host}\n"
            f"MaxStartups 100\nMaxSessions 100\n"
        )
        (folder / "ssh_config").write_text(
            f"IdentityFile {folder}/client\nStrictHostKeyChecking no\n"
            f"UserKnownHostsFile {folder}/known\nLogLevel ERROR\n"
        )
        program = folder / "bin/ssh"
        program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/ssh_config "$@"\n')
        program.chmod(0o755)

    def __enter__(self) -> Ssh:
        os.makedirs("/run/sshd", exist_ok=True)
        with open(self.folder / "log", "ab") as log:
            words = ["/usr/sbin/sshd", "-D", "-e", "-f", self.folder / "sshd_config"]
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        probe = (self.folder / "bin/ssh", "-p", self.port, "127.0.0.1", "true")
        wait("sshd", lambda: works(*probe), 30, self.folder / "log")
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()


class Podman:
    """Podman's service with a store of its own, and busybox in it."""

    def __init__(self, folder: Path) -> None:
        # runc, since crun refuses machines with both versions of cgroups.
        install("podman", "catatonit", "runc")
        self.folder = folder
        self.host = f"unix://{folder}/podman.sock"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        # Its own limits are higher than what a container of ours may ask for.
        (folder / "containers.conf").write_text(
            '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
        )
        self.words = ["podman", "--runtime=runc", f"--root={folder}/data", f"--runroot={folder}/run"]
        self.words += ["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=file"]

    def __enter__(self) -> Podman:
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*self.words, "system", "service", "--time=0", self.host],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "CONTAINERS_CONF": str(self.folder / "containers.conf")},
            )
        wait("Podman", lambda: works("docker", "--host", self.host, "info"), 60, self.folder / "log")
        load(busybox_image(), self.host)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            mount = line.split()[1]
            if mount.startswith(f"{self.folder}/"):
                sh("umount", "-l", mount, check=False, quiet=True)
        shutil.rmtree(self.folder, ignore_errors=True)
