"""The engine's streams as sockets that never block: a container's output, and what happens to containers."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
from typing import Any, Final
from urllib.parse import quote, urlsplit

from flowcore_docker_local.endpoint import ANSWER, Endpoint

CHUNK: Final = 256 * 1024
_HEAD: Final = 64 * 1024


class StreamRefused(Exception):
    """The engine's answer was no; ``status`` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def open_stream(endpoint: Endpoint, method: str, path: str, **query: str) -> Stream:
    """Ask for a stream and wait for its headers. HTTP/1.0, so that the body is not cut into chunks.

    Raises:
        OSError: if the engine cannot be reached.
        StreamRefused: if it says no.
    """
    text = "&".join(f"{key}={quote(value)}" for key, value in query.items())
    helper: subprocess.Popen[bytes] | None = None
    if endpoint.host.startswith("ssh://"):
        link, helper = _over_ssh(endpoint)
    else:
        link = _connect(endpoint)
    try:
        link.settimeout(ANSWER)
        link.sendall(f"{method} {path}?{text} HTTP/1.0\r\nHost: docker\r\nContent-Length: 0\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            # A byte at a time: what follows is the stream's.
            byte = link.recv(1)
            if not byte or len(head) > _HEAD:
                raise ConnectionError("the engine closed the connection")
            head += byte
        status = int(head.split(b" ", 2)[1])
        if status not in (200, 101):
            raise StreamRefused(status, _message(link))
        link.setblocking(False)
        return Stream(link, helper)
    except BaseException:
        Stream(link, helper).close()
        raise


def _message(link: socket.socket) -> str:
    body = b""
    while len(body) < _HEAD:
        part = link.recv(4096)
        if not part:
            break
        body += part
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace").strip()


def _connect(endpoint: Endpoint) -> socket.socket:
    path = endpoint.socket
    if path is not None:
        link = socket.socket(socket.AF_UNIX)
        try:
            link.settimeout(ANSWER)
            link.connect(path)
        except BaseException:
            link.close()
            raise
        return link
    address = urlsplit(endpoint.host)
    port = address.port or (2376 if endpoint.tls else 2375)
    link = socket.create_connection((address.hostname or "127.0.0.1", port), ANSWER)
    if not endpoint.tls:
        return link
    try:
        context = ssl.create_default_context(cafile=endpoint.ca or None)
        if not endpoint.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if endpoint.cert:
            context.load_cert_chain(endpoint.cert, endpoint.key)
        return context.wrap_socket(link, server_hostname=address.hostname)
    except BaseException:
        link.close()
        raise


def _over_ssh(endpoint: Endpoint) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """A connection as the docker command makes it: the other machine's docker command speaks to its engine."""
    address = urlsplit(endpoint.host)
    words = ["ssh", "-T", "-o", "ConnectTimeout=30"]
    if address.username:
        words += ["-l", address.username]
    if address.port:
        words += ["-p", str(address.port)]
    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(
            [*words, "--", address.hostname or "", "docker", "system", "dial-stdio"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return ours, process


class Stream:
    """A stream that gives what has come, and never waits."""

    def __init__(self, link: socket.socket, helper: subprocess.Popen[bytes] | None = None) -> None:
        self._link = link
        self._helper = helper
        self.more = False
        """Whether more is here already, of which no selector tells (TLS keeps it back)."""

    def fileno(self) -> int:
        return self._link.fileno()

    def read(self) -> bytes | None:
        """What has come, at most 256 KiB; None if nothing has; empty at the end."""
        self.more = False
        try:
            data = self._link.recv(CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except OSError:
            return b""  # broken off: the end of the stream, too
        self.more = isinstance(self._link, ssl.SSLSocket) and self._link.pending() > 0
        return data

    def close(self) -> None:
        self._link.close()
        if self._helper is not None:
            self._helper.terminate()
            self._helper.wait()


class Demultiplexer:
    """Sorts a container's output, frames of 8 bytes of header and a payload, into two files, with bounded memory.

    Source of the frames: the Docker Engine API, ContainerAttach, "Stream format". ``skip`` is what the files hold of
    the output already, when it comes again from its beginning: whole lines, and bytes of the line after them. Lines,
    since the engine's own record of an output replaces bytes that are not UTF-8.
    """

    def __init__(
        self, files: tuple[int, int], skip: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    ) -> None:
        self._files = files
        self._lines = [skip[0][0], skip[1][0]]
        self._bytes = [skip[0][1], skip[1][1]]
        self._head = b""
        self._left = 0
        self._stream = 0

    def feed(self, data: bytes) -> None:
        """Take what came."""
        view = memoryview(data)
        while view:
            if not self._left:
                need = 8 - len(self._head)
                self._head += bytes(view[:need])
                view = view[need:]
                if len(self._head) == 8:
                    self._stream = 1 if self._head[0] == 2 else 0
                    self._left = int.from_bytes(self._head[4:], "big")
                    self._head = b""
                continue
            part, view = view[: self._left], view[self._left :]
            self._left -= len(part)
            part = self._rest(part)
            while part:
                part = part[os.write(self._files[self._stream], part) :]

    def _rest(self, part: memoryview) -> memoryview:
        """A piece of the output without what is there already."""
        stream = self._stream
        while part and self._lines[stream]:
            end = bytes(part).find(b"\n")
            if end < 0:
                return part[:0]
            part = part[end + 1 :]
            self._lines[stream] -= 1
        # What the record made longer or shorter is not past the end of its line.
        while part and self._bytes[stream]:
            size = min(self._bytes[stream], len(part))
            end = bytes(part[:size]).find(b"\n")
            if end >= 0:
                self._bytes[stream] = 0
                return part[end:]
            part = part[size:]
            self._bytes[stream] -= size
        return part

    def close(self) -> None:
        for file in self._files:
            os.close(file)


def there(file: str, start: int) -> tuple[int, int]:
    """What a file holds from ``start`` on: how many whole lines, and how many bytes after them."""
    lines = rest = 0
    try:
        with open(file, "rb") as data:
            data.seek(start)
            while part := data.read(CHUNK):
                count = part.count(b"\n")
                lines += count
                rest = len(part) - part.rfind(b"\n") - 1 if count else rest + len(part)
    except FileNotFoundError:
        pass
    return lines, rest


class Lines:
    """JSON objects, one a line, out of a stream."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The objects that are whole now."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in whole if line.strip()]
