"""A small API server for the tests that need no cluster, and the real one for those that do."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cluster.kubernetes.access import KUBECONFIG

from flowcore_kubernetes import Access, Client, KubernetesOptions, Retries, find_access


class Api:
    """Keeps config maps, and the logs that tests give it, and answers as an API server does."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.events: list[tuple[int, dict[str, Any]]] = []
        self.version = 0
        self.changed = threading.Condition()
        self.forgotten = 0
        """Changes up to this version are not remembered."""
        self.reviews: list[dict[str, Any]] = []
        self.logs: dict[str, Callable[[int, int], bytes | tuple[int, str]]] = {}
        api = self

        class Handler(_Handler):
            server_api = api

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def access(self) -> Access:
        return Access(f"http://127.0.0.1:{self._server.server_address[1]}", "a test", token="sesame")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def put(self, name: str, object: dict[str, Any], kind: str) -> dict[str, Any]:
        with self.changed:
            self.version += 1
            metadata = {"uid": f"uid-{name}-{self.version}", **object["metadata"]}
            metadata |= {"name": name, "namespace": "default", "resourceVersion": str(self.version)}
            object = {"kind": "ConfigMap", "apiVersion": "v1", **object, "metadata": metadata}
            if kind == "DELETED":
                self.objects.pop(name, None)
            else:
                self.objects[name] = object
            self.events.append((self.version, {"type": kind, "object": object}))
            self.changed.notify_all()
            return object


class _Handler(BaseHTTPRequestHandler):
    server_api: Api
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, body: object) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status: int, reason: str, message: str = "", **details: object) -> None:
        told = {"kind": "Status", "status": "Failure", "code": status, "reason": reason, "details": details}
        self.answer(status, {**told, "message": message or reason})

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True  # the caller went away

    def do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        log = re.fullmatch(r"/api/v1/namespaces/default/pods/([^/]+)/log", parts.path)
        found = re.fullmatch(r"/api/v1/namespaces/default/configmaps(?:/([^/]+))?", parts.path)
        if self.headers.get("Authorization") != "Bearer sesame":
            self.refuse(401, "Unauthorized")
        elif parts.path == "/version":
            self.answer(200, {"gitVersion": "v1.99.0"})
        elif log is not None:
            self.log(log[1], query)
        elif found is not None:
            self.config_maps(found[1] or "", query, json.loads(body) if body else {})
        else:
            self.answer(404, b"404 page not found\n")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do

    def log(self, pod: str, query: dict[str, str]) -> None:
        log = self.server_api.logs.get(pod)
        if log is None:
            self.refuse(404, "NotFound", name=pod, kind="pods")
            return
        since = query.get("sinceTime", "1970-01-01T00:00:00Z")
        found = log(int(_seconds(since)), int(query["limitBytes"]))
        if isinstance(found, tuple):
            self.refuse(found[0], "BadRequest", found[1])
        else:
            self.answer(200, found)

    def config_maps(self, name: str, query: dict[str, str], data: dict[str, Any]) -> None:
        api = self.server_api
        if self.command == "POST":
            name = data["metadata"]["name"]
            if name in api.objects:
                self.refuse(409, "AlreadyExists", name=name)
            else:
                self.answer(201, data if "dryRun" in query else api.put(name, data, "ADDED"))
        elif "watch" in query:
            self.watch(query)
        elif not name:
            self.list(query)
        elif name not in api.objects:
            self.refuse(404, "NotFound", name=name, kind="configmaps")
        elif self.command == "GET":
            self.answer(200, api.objects[name])
        elif self.command == "DELETE":
            self.answer(200, api.put(name, api.objects[name], "DELETED"))
        else:
            object = {**api.objects[name], **data, "metadata": api.objects[name]["metadata"]}
            self.answer(200, api.put(name, object, "MODIFIED"))

    def list(self, query: dict[str, str]) -> None:
        api = self.server_api
        if query.get("continue") == "expired":
            self.refuse(410, "Expired")
            return
        start = int(query.get("continue") or 0)
        size = min(int(query["limit"]), 2)
        names = sorted(api.objects)
        page = [api.objects[name] for name in names[start : start + size]]
        rest = str(start + size) if start + size < len(names) else ""
        self.answer(200, {"metadata": {"resourceVersion": str(api.version), "continue": rest}, "items": page})

    def watch(self, query: dict[str, str]) -> None:
        api = self.server_api
        version = int(query["resourceVersion"])
        if version < api.forgotten:
            told = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}
            self.answer(200, json.dumps(told).encode() + b"\n")
            return
        end = time.monotonic() + float(query["timeoutSeconds"])
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while time.monotonic() < end:
            with api.changed:
                events = [event for at, event in api.events if at > version]
                version = api.version
                if not events:
                    api.changed.wait(0.05)
                    continue
            for event in events:
                line = json.dumps(event).encode() + b"\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


def _seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    api.close()


@pytest.fixture
def make_client() -> Callable[..., Client]:
    """A client that waits as little as a test can bear."""

    def make(access: Access, *, silence: float = 5.0, seconds: float = 5.0, pause: float = 0.001) -> Client:
        return Client(
            access, silence=silence, retries=Retries(seconds), sleep=lambda wanted: time.sleep(min(wanted, pause))
        )

    return make


@pytest.fixture(scope="session")
def cluster() -> Client:
    """The real API server, which make cluster has started."""
    return Client(find_access(KubernetesOptions(kubeconfig=str(KUBECONFIG)), {}))
