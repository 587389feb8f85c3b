"""Real connections: TLS, client certificates, tokens that are renewed, programs that give them, proxies."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from flowcore.plugin import UnreachableError, UsageError
from flowcore_kubernetes import Access, Client, ForbiddenError, KubernetesOptions, find_access, require_server
from flowcore_kubernetes.access import Certificate, Exec
from flowcore_kubernetes.credentials import run_program

Make = Callable[..., Client]

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with openssl")


def require_token(api: Any, make_client: Make, access: Access) -> str:
    """Ask the small API server, which only knows the token sesame."""
    return require_server(make_client(access))


# Tokens


def test_a_token_file_is_read_again_when_the_token_has_expired(api: Any, make_client: Make, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")
    client = make_client(evolve(api.access, token="", token_file=str(file)))
    with pytest.raises(ForbiddenError, match="does not know who asks"):
        require_server(client)
    file.write_text("sesame\n")
    assert require_server(client) == "v1.99.0"


def test_a_token_file_that_is_missing_is_named(api: Any, make_client: Make) -> None:
    with pytest.raises(UsageError, match="a test: the token /nowhere: No such file or directory"):
        require_server(make_client(evolve(api.access, token="", token_file="/nowhere")))


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], Exec]:
    """A program that gives credentials, of a Python text."""

    def make(text: str, **more: Any) -> Exec:
        file = tmp_path / "login"
        file.write_text(f"#!{sys.executable}\nimport json, os, sys\n{text}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        return Exec("client.authentication.k8s.io/v1", str(file), **more)

    return make


GIVE = 'print(json.dumps({"kind": "ExecCredential", "status": {"token": %s}}))'


def test_a_program_gives_the_token_and_is_asked_once(api: Any, make_client: Make, program: Any, tmp_path: Path) -> None:
    count = f"open({str(tmp_path / 'asked')!r}, 'a').write('x')\n"
    client = make_client(evolve(api.access, token="", exec=program(count + GIVE % "'sesame'")))
    assert require_server(client) == require_server(client) == "v1.99.0"
    assert (tmp_path / "asked").read_text() == "x"


def test_a_program_is_asked_again_when_its_token_is_not_taken_or_has_expired(
    api: Any, make_client: Make, program: Any, tmp_path: Path
) -> None:
    state = tmp_path / "asked"
    text = f"path = {str(state)!r}\nopen(path, 'a').write('x')\nsize = os.path.getsize(path)\n"
    client = make_client(evolve(api.access, token="", exec=program(text + GIVE % "'sesame' if size > 1 else 'old'")))
    assert require_server(client) == "v1.99.0"
    assert state.read_text() == "xx"
    expired = '{"token": "sesame", "expirationTimestamp": "2020-01-01T00:00:00Z"}'
    client = make_client(
        evolve(api.access, token="", exec=program(text + f'print(json.dumps({{"status": {expired}}}))'))
    )
    state.write_text("")
    assert require_server(client) == require_server(client) == "v1.99.0"
    assert state.read_text() == "xx"


def test_a_program_is_told_what_it_may_ask(program: Any) -> None:
    text = 'print(json.dumps({"status": {"token": os.environ["KUBERNETES_EXEC_INFO"] + os.environ["A"]}}))'
    told = run_program(program(text, env={"A": "b"}, interactive="Never", cluster={"server": "s"}), "x")["token"]
    assert told.endswith("}b")
    assert json.loads(told[:-1]) == {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "spec": {"interactive": False, "cluster": {"server": "s"}},
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sys.exit('please log in')", r"gave no credentials \(exit code 1\): please log in"),
        ("print('hello')", "is no ExecCredential with a token or a certificate"),
        ("print('{}')", "is no ExecCredential"),
        ("print('{\"status\": {}}')", "is no ExecCredential"),
    ],
)
def test_a_program_that_gives_nothing_is_named(text: str, said: str, program: Any) -> None:
    with pytest.raises(UsageError, match=f"context dev: .*/login.*{said}|context dev: what .*/login printed {said}"):
        run_program(program(text, interactive="Never"), "context dev")


def test_a_program_that_is_missing_is_named_with_its_hint() -> None:
    missing = Exec("client.authentication.k8s.io/v1", "no-such-login", hint="Run\n this")
    with pytest.raises(UsageError, match="the program no-such-login that gives credentials is missing: Run this"):
        run_program(missing, "context dev")


def test_a_name_and_a_password_are_sent(make_client: Make, heard: Heard) -> None:
    require_server(make_client(Access(heard.url, "a test", basic=("jane", "s:x"))))
    assert heard.headers[0]["Authorization"] == "Basic amFuZTpzOng="


def test_impersonation_is_sent(make_client: Make, heard: Heard) -> None:
    groups = (("Impersonate-User", "jane"), ("Impersonate-Group", "a"), ("Impersonate-Group", "b"))
    require_server(make_client(Access(heard.url, "a test", headers=groups)))
    assert heard.headers[0].get_all("Impersonate-Group") == ["a", "b"]


# Servers


class Heard:
    """A server that answers everything with a version, and keeps what it heard."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.headers: list[Any] = []
        self.peers: list[Any] = []
        heard = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                heard.headers.append(self.headers)
                if isinstance(self.connection, ssl.SSLSocket):
                    heard.peers.append(self.connection.getpeercert())
                data = b'{"gitVersion": "v1.99.0"}'
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                pass  # a caller that does not trust the certificate leaves

        self.server = Server(("127.0.0.1", 0), Handler)
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def heard() -> Iterator[Heard]:
    heard = Heard()
    yield heard
    heard.close()


class Pki:
    """A certificate authority, a server's certificate for the name ``api`` and a client's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.crt")
        for name, extension in (("api", "subjectAltName=DNS:api,IP:127.0.0.1"), ("jane", "basicConstraints=CA:FALSE")):
            (folder / "ext").write_text(extension)
            self.openssl(f"req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out csr")
            self.openssl(
                f"x509 -req -in csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out {name}.crt"
            )

    def openssl(self, words: str) -> None:
        subprocess.run(["openssl", *words.split()], cwd=self.folder, check=True, capture_output=True)

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def secure(pki: Pki) -> Iterator[Heard]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.folder / "api.crt", pki.folder / "api.key")
    context.load_verify_locations(pki.folder / "ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    heard = Heard(context)
    yield heard
    heard.close()


@needs_openssl
class TestTls:
    def test_a_server_is_trusted_by_its_authority(self, secure: Heard, pki: Pki, make_client: Make) -> None:
        assert require_server(make_client(Access(secure.url, "a test", authority=pki.read("ca.crt").decode())))

    def test_a_server_that_is_not_trusted_is_said_at_once(self, secure: Heard, make_client: Make) -> None:
        with pytest.raises(UnreachableError, match=r"its certificate is not trusted: .*; check its certificate-auth"):
            require_server(make_client(Access(secure.url, "a test"), seconds=60, pause=60))

    def test_a_server_need_not_be_trusted(self, secure: Heard, make_client: Make) -> None:
        assert require_server(make_client(Access(secure.url, "a test", insecure=True)))

    def test_a_server_may_have_another_name(self, secure: Heard, pki: Pki, make_client: Make) -> None:
        access = Access(secure.url, "a test", authority=pki.read("ca.crt").decode(), server_name="api")
        assert require_server(make_client(access))
        with pytest.raises(UnreachableError, match="not trusted"):
            require_server(make_client(evolve(access, server_name="other")))

    def test_a_client_shows_its_certificate(self, secure: Heard, pki: Pki, make_client: Make) -> None:
        jane = Certificate(pki.read("jane.crt"), pki.read("jane.key"))
        authority = pki.read("ca.crt").decode()
        require_server(make_client(Access(secure.url, "a test", authority=authority, certificate=jane)))
        assert secure.peers[0]["subject"] == ((("commonName", "jane"),),)

    def test_a_program_may_give_a_certificate(self, secure: Heard, pki: Pki, make_client: Make, program: Any) -> None:
        status = {
            "clientCertificateData": pki.read("jane.crt").decode(),
            "clientKeyData": pki.read("jane.key").decode(),
        }
        text = f"print(json.dumps({{'status': {status!r}}}))"
        access = Access(secure.url, "a test", authority=pki.read("ca.crt").decode(), exec=program(text))
        require_server(make_client(access))
        assert secure.peers[0]["subject"] == ((("commonName", "jane"),),)

    def test_a_key_that_is_another_s_is_said(self, secure: Heard, pki: Pki, make_client: Make) -> None:
        wrong = Certificate(pki.read("jane.crt"), pki.read("api.key"))
        with pytest.raises(UsageError, match="do not belong together"):
            require_server(make_client(Access(secure.url, "a test", insecure=True, certificate=wrong)))

    def test_an_authority_that_is_none_is_said(self, secure: Heard, make_client: Make) -> None:
        with pytest.raises(UsageError, match="its certificate-authority is no PEM certificate"):
            require_server(make_client(Access(secure.url, "a test", authority="hello")))

    def test_a_proxy_carries_the_connection(self, secure: Heard, pki: Pki, make_client: Make, proxy: Proxy) -> None:
        access = Access(secure.url, "a test", authority=pki.read("ca.crt").decode(), proxy=proxy.url)
        assert require_server(make_client(access))
        assert proxy.asked == [secure.url.removeprefix("https://")]

    def test_a_proxy_that_refuses_is_named_without_its_password(
        self, secure: Heard, make_client: Make, proxy: Proxy
    ) -> None:
        proxy.refuses = True
        named = proxy.url.replace("http://", "http://jane:secret@")
        with pytest.raises(UnreachableError, match=f"the proxy {proxy.url} does not let it through") as caught:
            require_server(make_client(Access(secure.url, "a test", insecure=True, proxy=named), seconds=0))
        assert "secret" not in str(caught.value)
        assert proxy.headers[0] == "Basic amFuZTpzZWNyZXQ="


class Proxy:
    """A proxy that knows CONNECT."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.headers: list[str | None] = []
        self.refuses = False
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_CONNECT(self) -> None:
                proxy.asked.append(self.path)
                proxy.headers.append(self.headers.get("Proxy-Authorization"))
                if proxy.refuses:
                    self.send_error(403)
                    return
                host, _, port = self.path.partition(":")
                with socket.create_connection((host, int(port))) as upstream:
                    self.send_response(200)
                    self.end_headers()
                    back = threading.Thread(target=_pump, args=(upstream, self.connection), daemon=True)
                    back.start()
                    _pump(self.connection, upstream)
                    back.join()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy()
    yield proxy
    proxy.server.shutdown()
    proxy.server.server_close()


def test_connections_are_used_again(make_client: Make) -> None:
    connections = 0

    class Counting(ThreadingHTTPServer):
        def get_request(self) -> Any:
            nonlocal connections
            connections += 1
            return super().get_request()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

    server = Counting(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        client = make_client(Access(f"http://127.0.0.1:{server.server_address[1]}", "a test"))
        for _ in range(5):
            require_server(client)
        assert connections == 1
        client.close()
        require_server(client)
        assert connections == 2
    finally:
        server.shutdown()
        server.server_close()


def test_no_secret_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "config"
    user = {"token": "s3cret", "exec": {"apiVersion": "v1", "command": "x", "env": [{"name": "A", "value": "s3cret"}]}}
    data = {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://x"}}],
        "users": [{"name": "u", "user": user}],
    }
    file.write_text(json.dumps(data))
    access = find_access(KubernetesOptions(kubeconfig=str(file)), os.environ)
    assert access.token == "s3cret"
    assert "s3cret" not in repr(access)
