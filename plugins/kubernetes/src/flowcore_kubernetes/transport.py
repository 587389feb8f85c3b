"""One HTTP request to the API server: connections that are kept, TLS, proxies, and what can break, in few words."""

from __future__ import annotations

import gzip
import os
import ssl
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from typing import Literal as OneOf

from attrs import field, frozen

from flowcore.plugin import UsageError
from flowcore_kubernetes.access import Access, Certificate
from flowcore_kubernetes.credentials import Credentials, Identity

if TYPE_CHECKING:
    import urllib3

_CONNECT_SECONDS: Final = 10.0
_WHOLE: Final = 10.0
"""An answer that comes in drops may take so many times as long as the server may be silent."""
_CHUNK: Final = 64 * 1024

Breach = OneOf["name", "connect", "proxy", "tls", "reset", "silence", "short"]
"""How a request broke: the server's name is not known; nobody takes the connection; the proxy refuses; the
certificates do not fit; the connection broke off; nothing came for too long; the body ended early."""


class BrokenError(Exception):
    """A request that got no whole answer. ``sent``: the server may have acted on it all the same."""

    def __init__(self, breach: Breach, text: str) -> None:
        super().__init__(text)
        self.breach = breach
        self.text = text

    @property
    def sent(self) -> bool:
        return self.breach in ("reset", "silence", "short")


@frozen
class Answer:
    """A whole answer of the server, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Traffic:
    """How much went over the wire: requests that were sent, and bytes of the answers' bodies as they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.calls = 0
        self.bytes = 0

    def add(self, calls: int, size: int) -> None:
        with self._lock:
            self.calls += calls
            self.bytes += size


class Transport:
    """Sends requests, each once. Thread-safe; connections are kept and used again."""

    def __init__(self, access: Access, silence: float) -> None:
        self.access = access
        self.credentials = Credentials(access)
        self.traffic = Traffic()
        self._silence = silence
        self._lock = threading.Lock()
        self._pool: urllib3.PoolManager | None = None
        self._pool_certificate: Certificate | None = None

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request and read the whole answer.

        Raises:
            BrokenError: if no whole answer came.
            UsageError: if the credentials cannot be had.
        """
        deadline = time.monotonic() + self._silence * _WHOLE
        response = self._open(method, path, body, headers or {}, self._silence)
        try:
            with _named_breaches(self.access):
                parts = []
                # Unpacked here and not by urllib3, which does not tell how many bytes of a chunked answer came.
                for part in response.stream(_CHUNK, decode_content=False):
                    self.traffic.add(0, len(part))
                    parts.append(part)
                    if time.monotonic() > deadline:
                        raise BrokenError("silence", f"the answer took more than {self._silence * _WHOLE:.0f} s")
            body = _unpacked(b"".join(parts), response.headers.get("Content-Encoding", ""))
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return Answer(response.status, response.headers, body)

    def stream(self, method: str, path: str, headers: Mapping[str, str], silence: float) -> Stream:
        """Send one request, and give the answer's body while it comes.

        Raises:
            BrokenError: if no answer came within ``silence`` seconds.
        """
        return Stream(self, self._open(method, path, None, headers, silence))

    def close(self) -> None:
        """Close the connections that are kept; the next request opens one again."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.clear()

    def _open(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], silence: float
    ) -> urllib3.BaseHTTPResponse:
        import urllib3

        identity = self.credentials.identity()
        sent = urllib3.HTTPHeaderDict(headers)
        for name, value in identity.headers:
            sent.add(name, value)
        pool = self._pool_for(identity)
        self.traffic.add(1, 0)
        with _named_breaches(self.access):
            return pool.request(
                method,
                self.access.server + path,
                body=body,
                headers=sent,
                preload_content=False,
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(connect=min(_CONNECT_SECONDS, silence), read=silence),
            )

    def _pool_for(self, identity: Identity) -> urllib3.PoolManager:
        with self._lock:
            if self._pool is None or self._pool_certificate != identity.certificate:
                self._pool = _pool(self.access, identity.certificate)
                self._pool_certificate = identity.certificate
            return self._pool


class Stream:
    """An answer whose body is still coming. Close it, or use it in a ``with``."""

    def __init__(self, transport: Transport, response: urllib3.BaseHTTPResponse) -> None:
        self._transport = transport
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def chunks(self) -> Iterator[bytes]:
        """The body's bytes as they come; ends with the body.

        Raises:
            BrokenError: if the connection breaks off, or nothing comes for too long.
        """
        with _named_breaches(self._transport.access):
            for part in self._response.stream(_CHUNK, decode_content=False):
                self._transport.traffic.add(0, len(part))
                yield part

    def read(self) -> bytes:
        """The rest of the body."""
        return b"".join(self.chunks())

    def close(self) -> None:
        self._response.close()


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding.strip().lower() != "gzip":
        return body
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error):
        raise BrokenError("short", "its answer ended early") from None


class _named_breaches:
    """Turns what urllib3 raises inside the block into BrokenErrors."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        import http.client

        from urllib3.exceptions import HTTPError

        if isinstance(error, (HTTPError, OSError, http.client.HTTPException)):
            raise _broken(error, self._access) from error


def _broken(error: BaseException, access: Access) -> BrokenError:
    from urllib3 import exceptions as known

    text = _innermost(error)
    if isinstance(error, known.ProxyError):
        return BrokenError("proxy", f"the proxy {_without_password(access.proxy)} does not let it through: {text}")
    if isinstance(error, known.SSLError | ssl.SSLError):
        # A connection that breaks off during the handshake is an SSL error too, and passes.
        certificate = isinstance(_root(error), ssl.SSLCertVerificationError) or "certificate" in text.lower()
        return BrokenError("tls", f"TLS: {text}") if certificate else BrokenError("reset", f"TLS: {text}")
    if isinstance(error, known.NameResolutionError):
        return BrokenError("name", "its name is not known here")
    if isinstance(error, known.ConnectTimeoutError):
        return BrokenError("connect", "it does not take connections")
    if isinstance(error, known.NewConnectionError):
        return BrokenError("connect", text)
    if isinstance(error, known.ReadTimeoutError | TimeoutError):
        return BrokenError("silence", "it said nothing for too long")
    if isinstance(error, known.IncompleteRead | known.InvalidChunkLength | known.DecodeError):
        return BrokenError("short", "its answer ended early")
    return BrokenError("reset", f"the connection broke off: {text}")


def _root(error: BaseException) -> BaseException:
    """The error that began it, as far as the others carry it along."""
    for _ in range(8):
        inner = next((arg for arg in error.args if isinstance(arg, BaseException)), None)
        inner = inner or getattr(error, "reason", None) or error.__cause__
        if not isinstance(inner, BaseException):
            break
        error = inner
    return error


def _innermost(error: BaseException) -> str:
    root = _root(error)
    if isinstance(root, ssl.SSLCertVerificationError) and root.verify_message:
        return f"its certificate is not trusted: {root.verify_message}"
    if isinstance(root, OSError) and root.strerror:
        return root.strerror.lower() if not isinstance(root, ssl.SSLError) else str(root.reason or root.strerror)
    text = str(root).strip() or type(root).__name__
    return text.splitlines()[0]


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _pool(access: Access, certificate: Certificate | None) -> urllib3.PoolManager:
    import urllib3

    # Connections above maxsize work too, but urllib3 warns of them.
    settings: dict[str, Any] = {"maxsize": 64, "num_pools": 4, "block": False}
    if access.server.startswith("https://"):
        settings["ssl_context"] = _context(access, certificate)
        if access.server_name:
            settings["server_hostname"] = access.server_name
        if access.insecure:
            import warnings

            # The kubeconfig asks for it, so nobody needs to be warned at every request.
            warnings.filterwarnings("ignore", category=urllib3.exceptions.InsecureRequestWarning)
    if not access.proxy:
        return urllib3.PoolManager(**settings)
    if access.proxy.startswith("socks"):
        try:
            from urllib3.contrib.socks import SOCKSProxyManager
        except ImportError:
            raise UsageError(
                f"the proxy {_without_password(access.proxy)} needs PySocks; "
                'run: pip install "flowcore-kubernetes[socks]"'
            ) from None
        return SOCKSProxyManager(access.proxy, **settings)
    userinfo, at, _ = access.proxy.partition("://")[2].rpartition("@")
    headers = urllib3.make_headers(proxy_basic_auth=userinfo) if at else None
    return urllib3.ProxyManager(access.proxy, proxy_headers=headers, **settings)


def _context(access: Access, certificate: Certificate | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=access.authority or None)
    except (ssl.SSLError, ValueError):
        raise UsageError(f"{access.source}: its certificate-authority is no PEM certificate") from None
    # Private authorities of clusters are often made without what RFC 5280 asks of them; kubectl takes them too.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        _load(context, certificate, access.source)
    return context


def _load(context: ssl.SSLContext, certificate: Certificate, source: str) -> None:
    """Give a context the client's certificate, which OpenSSL only reads from a file: a private one, for a moment."""
    handle, name = tempfile.mkstemp(prefix="flowcore-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(certificate.certificate + b"\n" + certificate.key)
        context.load_cert_chain(name)
    except ssl.SSLError:
        raise UsageError(f"{source}: its client certificate and key are no PEM, or do not belong together") from None
    finally:
        os.unlink(name)
