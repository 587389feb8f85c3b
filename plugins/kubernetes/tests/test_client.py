"""What a caller of the client sees, whatever happens on the way to the server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from fault_proxy import Fault, FaultProxy, Storm

from flowcore.plugin import GoneError, RefusedError, UnreachableError
from flowcore_kubernetes import (
    CONFIG_MAPS,
    Access,
    AlreadyExistsError,
    Client,
    ForbiddenError,
    NotFoundError,
    NotInstalledError,
    Resource,
    UnavailableError,
    require_server,
)

Make = Callable[..., Client]

PASSING = [
    Fault("status", status=429, headers={"Retry-After": "1"}),
    Fault("status", status=500),
    Fault("status", status=502),
    Fault("status", status=503),
    Fault("status", status=504),
    Fault("status-after", status=504),
    Fault("reset"),
    Fault("reset-after"),
    Fault("half"),
    Fault("stall", seconds=2),
    Fault("stall-after", seconds=2),
]


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_objects_are_created_found_changed_and_deleted(api: Any, make_client: Make) -> None:
    client = make_client(api.access)
    assert client.find(CONFIG_MAPS, "a") is None
    client.create(CONFIG_MAPS, config_map("a", text="1"))
    assert client.get(CONFIG_MAPS, "a")["data"] == {"text": "1"}
    client.patch(CONFIG_MAPS, "a", {"data": {"text": "2"}})
    assert client.get(CONFIG_MAPS, "a")["data"] == {"text": "2"}
    assert client.delete(CONFIG_MAPS, "a") is True
    assert client.delete(CONFIG_MAPS, "a") is False
    with pytest.raises(GoneError, match="there is no ConfigMap a in namespace default"):
        client.get(CONFIG_MAPS, "a")


def test_a_dry_run_creates_nothing(api: Any, make_client: Make) -> None:
    make_client(api.access).create(CONFIG_MAPS, config_map("a"), dry_run=True)
    assert api.objects == {}


def test_a_list_has_all_pages(api: Any, make_client: Make) -> None:
    client = make_client(api.access)
    names = [f"a{number}" for number in range(7)]
    for name in names:
        client.create(CONFIG_MAPS, config_map(name))
    listing = client.list(CONFIG_MAPS)
    assert [object["metadata"]["name"] for object in listing.items] == names
    assert listing.resource_version == "7"


def test_a_list_that_expires_half_way_begins_again(api: Any, make_client: Make) -> None:
    for number in range(7):
        api.put(f"a{number}", config_map(f"a{number}"), "ADDED")
    with FaultProxy(api.access, [Fault("expired", path="continue=4")]) as proxy:
        assert len(make_client(proxy.access()).list(CONFIG_MAPS).items) == 7
        assert proxy.met("expired") == 1


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: f"{fault.kind}-{fault.status}")
def test_what_passes_is_not_noticed(fault: Fault, api: Any, make_client: Make) -> None:
    api.put("there", config_map("there", text="1"), "ADDED")
    with FaultProxy(api.access, [fault]) as proxy:
        client = make_client(proxy.access(), silence=0.5)
        assert client.get(CONFIG_MAPS, "there")["data"] == {"text": "1"}
        assert proxy.met(fault.kind) == 1


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: f"{fault.kind}-{fault.status}")
def test_a_create_is_done_once_whatever_breaks(fault: Fault, api: Any, make_client: Make) -> None:
    with FaultProxy(api.access, [fault]) as proxy:
        client = make_client(proxy.access(), silence=0.5)
        try:
            client.create(CONFIG_MAPS, config_map("a", text="1"))
        except AlreadyExistsError:
            assert proxy.met(fault.kind) == 1  # the first try was acted on, though no answer said so
        assert client.ensure(CONFIG_MAPS, config_map("a", text="1"))["data"] == {"text": "1"}
    assert [event["type"] for _, event in api.events] == ["ADDED"]


def test_a_delete_that_is_sent_again_may_find_nothing(api: Any, make_client: Make) -> None:
    api.put("a", config_map("a"), "ADDED")
    with FaultProxy(api.access, [Fault("reset-after", "DELETE")]) as proxy:
        make_client(proxy.access()).delete(CONFIG_MAPS, "a")
    assert api.objects == {}


def test_a_storm_of_faults_is_weathered_by_many_threads(api: Any, make_client: Make) -> None:
    kinds = [Fault(fault.kind, status=fault.status, seconds=0.1) for fault in PASSING]
    with FaultProxy(api.access, Storm(kinds, 0.3)) as proxy:
        client = make_client(proxy.access(), silence=5)

        def work(number: int) -> None:
            for index in range(5):
                client.ensure(CONFIG_MAPS, config_map(f"a-{number}-{index}"))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(client.list(CONFIG_MAPS).items) == 40
        assert sum(bool(seen.fault) for seen in proxy.seen) > 10
    assert sum(event["type"] == "ADDED" for _, event in api.events) == 40


def test_a_server_that_fails_for_ever_is_given_up(api: Any, make_client: Make) -> None:
    with FaultProxy(api.access, [Fault("status", times=None, status=500)]) as proxy:
        client = make_client(proxy.access())
        with pytest.raises(UnavailableError, match=r"InternalError.*tried 5 times") as caught:
            client.get(CONFIG_MAPS, "a")
        assert isinstance(caught.value, UnreachableError)
        assert caught.value.exit_code == UnreachableError.exit_code
        assert len(proxy.seen) == 5


def test_a_server_that_asks_for_patience_gets_no_more_than_there_is(api: Any, make_client: Make) -> None:
    patience = Fault("status", times=None, status=429, headers={"Retry-After": "3600"})
    with FaultProxy(api.access, [patience]) as proxy:
        with pytest.raises(UnreachableError, match="429"):
            make_client(proxy.access()).get(CONFIG_MAPS, "a")
        assert len(proxy.seen) == 1


def test_a_refusal_is_not_asked_for_again(api: Any, make_client: Make) -> None:
    with FaultProxy(api.access) as proxy:
        client = make_client(proxy.access())
        with pytest.raises(NotFoundError):
            client.get(CONFIG_MAPS, "a")
        assert len(proxy.seen) == 1


def test_a_server_that_is_not_there_is_named(make_client: Make) -> None:
    client = make_client(Access("http://127.0.0.1:9", "context dev of a file"))
    with pytest.raises(UnreachableError, match=r"http://127.0.0.1:9 \(context dev of a file\) cannot be reached"):
        client.get(CONFIG_MAPS, "a")


def test_a_name_that_nobody_knows_is_named(make_client: Make) -> None:
    client = make_client(Access("https://nowhere.invalid", "context dev of a file"), seconds=0)
    with pytest.raises(UnreachableError, match=r"nowhere.invalid .* its name is not known here"):
        client.get(CONFIG_MAPS, "a")


def test_wrong_credentials_are_said(api: Any, make_client: Make) -> None:
    from attrs import evolve

    with pytest.raises(ForbiddenError, match="does not know who asks"):
        make_client(evolve(api.access, token="wrong")).get(CONFIG_MAPS, "a")


def test_a_kind_that_is_not_installed_is_said(api: Any, make_client: Make) -> None:
    workflows = Resource("argoproj.io", "v1alpha1", "workflows", "Workflow", product="Argo Workflows")
    with pytest.raises(NotInstalledError, match=r"workflows\.argoproj\.io .* install Argo Workflows"):
        make_client(api.access).list(workflows)


def test_what_is_no_api_server_is_said(make_client: Make) -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Page(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_error(404)

    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        client = make_client(Access(f"http://127.0.0.1:{server.server_address[1]}", "a test"))
        with pytest.raises(RefusedError, match="is its server that of a Kubernetes cluster"):
            require_server(client)
    finally:
        server.shutdown()
        server.server_close()


def test_traffic_is_counted(api: Any, make_client: Make) -> None:
    api.put("a", config_map("a", text="x" * 1000), "ADDED")
    client = make_client(api.access)
    client.get(CONFIG_MAPS, "a")
    client.get(CONFIG_MAPS, "a")
    assert client.traffic.calls == 2
    assert 2000 < client.traffic.bytes < 4000


def test_an_object_without_a_name_is_not_created(api: Any, make_client: Make) -> None:
    with pytest.raises(ValueError, match="without a name"):
        make_client(api.access).create(CONFIG_MAPS, {"metadata": {"generateName": "a-"}})
