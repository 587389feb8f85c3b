"""A proxy in front of an API server that breaks requests by plan, for the fault tests of backends on Kubernetes.

It speaks plain HTTP on loopback and passes everything on, credentials too::

    with FaultProxy(client.access, [Fault("reset-after", "POST", times=1)]) as proxy:
        broken = Client(proxy.access(client.access))

A fault happens before the server sees the request, or after it acted on it, which is the harder case.
"""

from __future__ import annotations

import http.client
import json
import random
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from attrs import evolve, field, frozen

from flowcore_kubernetes import Access

KINDS = {
    "status": "answers with `status` instead of asking the server",
    "status-after": "lets the server act, then answers with `status`",
    "reset": "breaks the connection off instead of asking the server",
    "reset-after": "lets the server act, then breaks the connection off",
    "half": "sends half of the answer, then closes",
    "stall": "says nothing for `seconds`, then breaks off, without asking the server",
    "stall-after": "lets the server act, then says nothing for `seconds` and breaks off",
    "expired": "answers a list that goes on, or a watch, with 410",
    "duplicate": "gives each event of a watch twice",
    "reorder": "gives each two events of a watch in the wrong order",
}


@frozen
class Fault:
    """What breaks, for which requests, and how often.

    ``path`` is a regular expression that is searched in the path with its query; ``skip`` lets so many such requests
    pass first; ``times`` breaks so many, None all.
    """

    kind: str
    method: str = ""
    path: str = ""
    times: int | None = 1
    skip: int = 0
    status: int = 503
    seconds: float = 30.0
    headers: Mapping[str, str] = field(factory=dict)

    def fits(self, method: str, path: str) -> bool:
        return self.method in ("", method) and re.search(self.path, path) is not None


@frozen
class Seen:
    """One request that reached the proxy: what became of it, and whether the server acted on it."""

    method: str
    path: str
    fault: str = ""
    status: int | None = None


class Plan:
    """Decides which fault a request meets; thread-safe."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._faults = [[fault, 0] for fault in faults]
        self._lock = threading.Lock()

    def choose(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for entry in self._faults:
                fault, count = entry
                if not fault.fits(method, path):
                    continue
                entry[1] += 1
                if count < fault.skip:
                    continue
                if fault.times is None or count < fault.skip + fault.times:
                    return fault
        return None


class Storm(Plan):
    """Breaks a share of all requests, each by a fault drawn from those of a list that fit; a seed draws the same."""

    def __init__(self, faults: Iterable[Fault], share: float, seed: int = 1) -> None:
        super().__init__(())
        self._choices = list(faults)
        self._share = share
        self._random = random.Random(seed)

    def choose(self, method: str, path: str) -> Fault | None:
        with self._lock:
            drawn, which = self._random.random(), self._random.random()
        fitting = [fault for fault in self._choices if fault.fits(method, path)]
        return fitting[int(which * len(fitting))] if fitting and drawn < self._share else None


class FaultProxy:
    """Listens while it is used in a ``with``; ``seen`` has every request in order."""

    def __init__(self, upstream: Access, plan: Plan | Iterable[Fault] = ()) -> None:
        self.upstream = upstream
        self.plan = plan if isinstance(plan, Plan) else Plan(plan)
        self.seen: list[Seen] = []
        self.stopping = threading.Event()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def access(self, upstream: Access | None = None) -> Access:
        """The same access, but through this proxy."""
        return evolve(upstream or self.upstream, server=self.url, authority="", server_name="", proxy="")

    def kubeconfig(self) -> dict[str, Any]:
        """A kubeconfig for programs and options that want one."""
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "faults",
            "clusters": [{"name": "faults", "cluster": {"server": self.url}}],
            "users": [{"name": "faults", "user": {"token": self.upstream.token}}],
            "contexts": [
                {
                    "name": "faults",
                    "context": {"cluster": "faults", "user": "faults", "namespace": self.upstream.namespace},
                }
            ],
        }

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def met(self, kind: str) -> int:
        """How many requests met a fault of that kind."""
        return sum(seen.fault == kind for seen in list(self.seen))

    def connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.upstream.server)
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=600)
        context = ssl.create_default_context(cadata=self.upstream.authority or None)
        return http.client.HTTPSConnection(host, port, timeout=600, context=context)


class _Handler(BaseHTTPRequestHandler):
    proxy: ClassVar[FaultProxy]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = parse_qs(urlsplit(self.path).query)
        fault = self.proxy.plan.choose(self.command, self.path)
        kind = fault.kind if fault is not None else ""
        watching = "watch" in query
        if kind == "expired" and not watching and "continue" not in query:
            fault, kind = None, ""
        if kind in ("duplicate", "reorder") and not watching:
            fault, kind = None, ""
        if kind == "half" and watching:
            kind = "half-events"
        if fault is not None and kind in ("status", "reset", "stall", "expired"):
            self.note(kind, None)
            self.break_off(fault, kind, watching)
            return
        self.forward(body, fault, kind)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do

    def note(self, kind: str, status: int | None) -> None:
        self.proxy.seen.append(Seen(self.command, self.path, kind, status))

    def forward(self, body: bytes, fault: Fault | None, kind: str) -> None:
        upstream = self.proxy.connect()
        try:
            dropped = ("host", "connection", "content-length", "accept-encoding", "transfer-encoding")
            headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
            upstream.request(self.command, self.path, body or None, headers)
            answer = upstream.getresponse()
            self.note(fault.kind if fault is not None else "", answer.status)
            if answer.chunked and self.is_stream():
                self.pass_stream(answer, kind)
                return
            data = answer.read()
        finally:
            upstream.close()
        if fault is not None and kind in ("status-after", "reset-after", "stall-after"):
            self.break_off(fault, kind.removesuffix("-after"), False)
            return
        self.send_response(answer.status)
        for name in ("Content-Type", "Retry-After"):
            if answer.headers.get(name):
                self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if kind == "half" else data)
        self.close_connection = kind == "half"

    def is_stream(self) -> bool:
        query = parse_qs(urlsplit(self.path).query)
        return "watch" in query or "follow" in query

    def pass_stream(self, answer: http.client.HTTPResponse, kind: str) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in _disturbed(iter(answer.readline, b""), kind):
            if kind == "half-events":
                self.wfile.write(b"%x\r\n%s" % (len(line), line[: len(line) // 2]))
                self.close_connection = True
                return
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def break_off(self, fault: Fault, kind: str, watching: bool) -> None:
        if kind == "stall":
            self.proxy.stopping.wait(fault.seconds)
        if kind in ("stall", "reset"):
            # Closing with linger 0 sends RST rather than FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        status = 410 if kind == "expired" else fault.status
        words = {410: "Expired", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}
        told: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "message": f"the proxy of the tests says {status}",
            "reason": words.get(status, "Unknown"),
            "code": status,
        }
        if watching and kind == "expired":
            # A watch is told so in an event, in an answer that is fine otherwise.
            status, told = 200, {"type": "ERROR", "object": told}
        data = json.dumps(told).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def _disturbed(lines: Iterator[bytes], kind: str) -> Iterator[bytes]:
    """The events of a watch, doubled or with each two exchanged; none is held back for more than a moment."""
    if kind == "duplicate":
        for line in lines:
            yield line
            yield line
    elif kind == "reorder":
        held: list[bytes] = []
        for line in lines:
            held.append(line)
            if len(held) == 2:
                yield held[1]
                yield held[0]
                held.clear()
        yield from held
    else:
        yield from lines


def wait_until(holds: Any, seconds: float = 30.0) -> None:
    """Wait until something holds, and fail if it does not."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never held"
        time.sleep(0.02)
