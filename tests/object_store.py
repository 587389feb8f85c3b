"""As much of S3 as Argo needs to keep artifacts, in memory, for tests: put, get, head, delete and list, no signatures.

Pods reach it at the address that it listens on; in the project's cluster that is the node's.
"""

from __future__ import annotations

import re
import threading
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class ObjectStore:
    """Listens while it is used in a ``with``; ``objects`` is what it holds, by ``bucket/key``."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.objects: dict[str, bytes] = {}
        handler = type("Handler", (_Handler,), {"store": self})
        self._server = ThreadingHTTPServer((address, 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def endpoint(self) -> str:
        host, port = self._server.server_address[:2]
        return f"{host}:{port}"

    def __enter__(self) -> ObjectStore:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def chunks(body: bytes) -> bytes:
    """The content of a body that was signed piece by piece: each piece has its length, in hex, and a signature."""
    found = []
    while body:
        head, _, body = body.partition(b"\r\n")
        size = int(re.match(rb"[0-9a-fA-F]+", head)[0], 16)  # type: ignore[index]
        if not size:
            break
        found.append(body[:size])
        body = body[size + 2 :]
    return b"".join(found)


class _Handler(BaseHTTPRequestHandler):
    store: ObjectStore
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def _key(self) -> tuple[str, dict[str, list[str]]]:
        parts = urlsplit(self.path)
        return unquote(parts.path).strip("/"), parse_qs(parts.query, keep_blank_values=True)

    def _answer(self, status: int, body: bytes = b"", kind: str = "application/xml", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", headers.pop("length", str(len(body))))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_PUT(self) -> None:
        key, _ = self._key()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "STREAMING" in self.headers.get("X-Amz-Content-Sha256", ""):
            body = chunks(body)
        self.store.objects[key] = body
        self._answer(200, ETag=f'"{md5(body).hexdigest()}"')

    def do_DELETE(self) -> None:
        self.store.objects.pop(self._key()[0], None)
        self._answer(204)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        key, query = self._key()
        if "location" in query:
            self._answer(200, b"<LocationConstraint>us-east-1</LocationConstraint>")
        elif "/" not in key:
            self._answer(200, self._listed(key, query.get("prefix", [""])[0], query.get("delimiter", [""])[0]))
        elif key in self.store.objects:
            body = self.store.objects[key]
            tag, when = f'"{md5(body).hexdigest()}"', formatdate(usegmt=True)
            self._answer(200, body, "application/octet-stream", **{"ETag": tag, "Last-Modified": when})
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>")

    def _listed(self, bucket: str, prefix: str, delimiter: str) -> bytes:
        keys = sorted(key[len(bucket) + 1 :] for key in self.store.objects if key.startswith(f"{bucket}/{prefix}"))
        folders = (
            {
                prefix + key[len(prefix) :].split(delimiter)[0] + delimiter
                for key in keys
                if delimiter in key[len(prefix) :]
            }
            if delimiter
            else set()
        )
        plain = [key for key in keys if not delimiter or delimiter not in key[len(prefix) :]]
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;x&quot;</ETag><Size>{len(self.store.objects[f'{bucket}/{key}'])}</Size></Contents>"
            for key in plain
        )
        rows += "".join(f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in sorted(folders))
        return (
            f"<ListBucketResult><Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(plain)}</KeyCount>"
            f"<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"
        ).encode()
