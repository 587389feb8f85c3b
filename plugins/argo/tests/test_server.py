"""Nodes that Argo keeps in its database, as its server shows them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from flowcore.errors import FlowError, UsageError
from flowcore_argo.options import Options
from flowcore_argo.resume import resumed
from flowcore_argo.server import Server
from flowcore_argo.status import View
from flowcore_argo.stored import nodes_of, with_end
from flowcore_kubernetes import Access

NODES = {"run": {"id": "run", "name": "run", "type": "DAG", "phase": "Failed", "children": ["a"]}}
WORKFLOW = {
    "metadata": {"name": "run", "namespace": "here", "uid": "u1"},
    "spec": {},
    "status": {"phase": "Failed", "offloadNodeStatusVersion": "fnv:1"},
}
ACCESS = Access(server="https://cluster", source="a test", token="secret")


class Argo(ThreadingHTTPServer):
    """Argo's server, which takes one token; ``shown`` is what it answers."""

    def __init__(self, shown: Any) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.shown = shown
        self.asked: list[str] = []


class Answers(BaseHTTPRequestHandler):
    server: Argo

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        allowed = self.headers["Authorization"] == "Bearer secret"
        body = json.dumps(self.server.shown if allowed else {"code": 16, "message": "token not valid"}).encode()
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def argo() -> Iterator[Argo]:
    with Argo({"metadata": {"uid": "u1"}, "status": {"nodes": NODES}}) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def server_at(argo: Argo, access: Access = ACCESS) -> Server:
    return Server.of(Options(server=f"http://127.0.0.1:{argo.server_port}/"), access)


def test_offloaded_nodes_are_asked_of_argo_s_server(argo):
    whole = server_at(argo).complete(WORKFLOW)
    assert nodes_of(whole) == list(NODES.values())
    assert argo.asked == ["/api/v1/workflows/here/run?fields=metadata.uid,status.nodes"]


def test_nobody_is_asked_for_nodes_that_are_there(argo):
    status = {"phase": "Running", "nodes": NODES}
    assert server_at(argo).complete({**WORKFLOW, "status": status})["status"] == status
    assert argo.asked == []


def test_without_a_server_it_is_said_which_option_names_one():
    with pytest.raises(FlowError, match=r"run run in its database .* the option server"):
        nodes_of(Server.of(Options(), ACCESS).complete(WORKFLOW))


@pytest.mark.parametrize("status", [{"status": {}}, {"status": None}, {}])
def test_a_run_may_have_no_nodes_yet(argo, status):
    argo.shown = {"metadata": {"uid": "u1"}, **status}
    assert nodes_of(server_at(argo).complete(WORKFLOW)) == []


def test_another_run_of_that_name_is_not_taken_for_it(argo):
    argo.shown = {"metadata": {"uid": "u2"}, "status": {"nodes": NODES}}
    with pytest.raises(FlowError, match="shows another run of this name"):
        server_at(argo).complete(WORKFLOW)


@pytest.mark.parametrize("shown", [[], {}, {"metadata": None}, {"metadata": {}}])
def test_an_answer_that_argo_s_server_would_not_give_is_said(argo, shown):
    argo.shown = shown
    with pytest.raises(FlowError, match=r"http://127\.0\.0\.1:\d+ is not Argo's server .* correct the option server"):
        server_at(argo).complete(WORKFLOW)


@pytest.mark.parametrize("shown", [[], {}, {"version": None}])
def test_the_probe_takes_nothing_else_for_argo_s_server(argo, shown):
    argo.shown = shown
    with pytest.raises(FlowError, match="is not Argo's server"):
        server_at(argo).probe()
    argo.shown = {"version": "v4.0.5"}
    server_at(argo).probe()


@pytest.mark.parametrize("server", ["argo-server:2746", "ftp://argo", "https://", "argo"])
def test_a_server_that_is_no_url_is_said_before_it_is_asked(server):
    with pytest.raises(UsageError, match=f"the option server is a URL such as https://.*, not '{server}'"):
        Server.of(Options(server=server), ACCESS)


def test_a_refused_token_is_said(argo):
    with pytest.raises(FlowError, match="Argo's server") as caught:
        server_at(argo, Access(server="https://cluster", source="a test", token="wrong")).complete(WORKFLOW)
    assert "\n" not in str(caught.value)


def test_certificates_that_cannot_be_read_are_said():
    with pytest.raises(FlowError, match="server_ca: /no/such cannot be read"):
        Server.of(Options(server="https://argo", server_ca="/no/such"), ACCESS)


def test_what_is_changed_is_in_the_workflow_from_then_on(argo):
    whole = server_at(argo).complete(WORKFLOW)
    changed = with_end(whole, "run", {"phase": "Error"})
    assert changed["offloadNodeStatusVersion"] is None
    assert nodes_of({**WORKFLOW, "status": changed})[0]["phase"] == "Error"
    going = resumed(whole, View())[0]["status"]
    assert "offloadNodeStatusVersion" not in going
    assert nodes_of({"status": going})[0]["phase"] == "Running"
