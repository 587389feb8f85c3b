"""Who a client is: tokens, also from files that are renewed and from programs that print them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from datetime import datetime
from typing import Any, Final

from attrs import frozen

from flowcore.plugin import UsageError
from flowcore_kubernetes.access import Access, Certificate, Exec

_FILE_SECONDS: Final = 60.0
"""A token's file is read again after so long; the kubelet renews it well before it expires."""
_EARLY: Final = 30.0
"""Seconds before its end at which a program's token counts as expired."""
_PROGRAM_SECONDS: Final = 120.0


@frozen
class Identity:
    """What goes with a request: headers, and a client's certificate for the connection."""

    headers: tuple[tuple[str, str], ...] = ()
    certificate: Certificate | None = None
    expires: float | None = None
    """Seconds since the epoch."""


class Credentials:
    """Gives the identity to use now; thread-safe. Whatever is costly to get is kept until it expires."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._identity: Identity | None = None

    def identity(self, renew: bool = False) -> Identity:
        """The identity to use; ``renew`` gets it anew, because the server did not know the last one.

        Raises:
            UsageError: if a token's file cannot be read, or a program gives no credentials.
        """
        with self._lock:
            known = self._identity
            expired = known is None or (known.expires is not None and known.expires <= time.time())
            if known is None or expired or (renew and self.renewable):
                known = self._identity = self._get()
            return known

    @property
    def renewable(self) -> bool:
        """Whether getting the identity anew can give another one."""
        return bool(self._access.token_file or self._access.exec)

    def _get(self) -> Identity:
        access = self._access
        if access.token:
            return self._of_token(access.token, None)
        if access.token_file:
            try:
                with open(access.token_file, encoding="utf-8") as file:
                    return self._of_token(file.read().strip(), time.time() + _FILE_SECONDS)
            except OSError as error:
                raise UsageError(f"{access.source}: the token {access.token_file}: {error.strerror}") from None
        if access.exec is not None:
            return self._of_program(access.exec)
        if access.basic is not None:
            pair = base64.b64encode(":".join(access.basic).encode()).decode()
            return Identity((*access.headers, ("Authorization", f"Basic {pair}")), access.certificate)
        return Identity(access.headers, access.certificate)

    def _of_token(self, token: str, expires: float | None) -> Identity:
        return Identity(
            (*self._access.headers, ("Authorization", f"Bearer {token}")), self._access.certificate, expires
        )

    def _of_program(self, program: Exec) -> Identity:
        status = run_program(program, self._access.source)
        certificate = self._access.certificate
        if status.get("clientCertificateData"):
            certificate = Certificate(
                str(status["clientCertificateData"]).encode(), str(status.get("clientKeyData") or "").encode()
            )
        headers = self._access.headers
        if status.get("token"):
            headers = (*headers, ("Authorization", f"Bearer {status['token']}"))
        expires = None
        if status.get("expirationTimestamp"):
            text = str(status["expirationTimestamp"]).replace("Z", "+00:00")
            try:
                expires = datetime.fromisoformat(text).timestamp() - _EARLY
            except ValueError:
                expires = None
        return Identity(headers, certificate, expires)


def run_program(program: Exec, source: str) -> dict[str, Any]:
    """The ``status`` of the ExecCredential that a program prints.

    Raises:
        UsageError: if it is not there, fails, or prints something else.
    """
    terminal = program.interactive != "Never" and sys.stdin is not None and sys.stdin.isatty()
    if program.interactive == "Always" and not terminal:
        raise UsageError(f"{source}: {program.command} asks for credentials on a terminal, and there is none")
    spec: dict[str, Any] = {"interactive": terminal}
    if program.cluster is not None:
        spec["cluster"] = dict(program.cluster)
    told = {"apiVersion": program.api_version, "kind": "ExecCredential", "spec": spec}
    environment = {**os.environ, **program.env, "KUBERNETES_EXEC_INFO": json.dumps(told)}
    try:
        done = subprocess.run(
            [program.command, *program.args],
            env=environment,
            stdin=None if terminal else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if terminal else subprocess.PIPE,
            timeout=None if terminal else _PROGRAM_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        hint = f": {' '.join(program.hint.split())}" if program.hint else ""
        raise UsageError(f"{source}: the program {program.command} that gives credentials is missing{hint}") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"{source}: {program.command} gave no credentials in {_PROGRAM_SECONDS:.0f} s") from None
    except OSError as error:
        raise UsageError(f"{source}: {program.command} cannot be run: {error.strerror}") from None
    if done.returncode:
        said = (done.stderr or b"").decode("utf-8", "replace").strip().splitlines()
        raise UsageError(
            f"{source}: {program.command} gave no credentials (exit code {done.returncode})"
            + (f": {said[-1]}" if said else "")
        )
    try:
        status = json.loads(done.stdout)["status"]
        if isinstance(status, dict) and (status.get("token") or status.get("clientCertificateData")):
            return status
    except (ValueError, KeyError, TypeError):
        pass
    raise UsageError(f"{source}: what {program.command} printed is no ExecCredential with a token or a certificate")
