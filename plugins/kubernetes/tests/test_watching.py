"""Watches go on through breaks, and show no object twice and none going back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from fault_proxy import Fault, FaultProxy

from flowcore.plugin import UnreachableError
from flowcore_kubernetes import CONFIG_MAPS, Client, wait_for, watch

Make = Callable[..., Client]


def config_map(name: str, text: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": name}, "data": {"text": text}}


def write(api: Any, name: str, *texts: str) -> None:
    for text in texts:
        api.put(name, config_map(name, text), "MODIFIED" if name in api.objects else "ADDED")


def until(client: Client, last: str, seconds: float = 20) -> list[str]:
    """What a watch shows until a text comes."""
    seen = []
    for change in watch(client, CONFIG_MAPS, seconds=seconds):
        seen.append("gone" if change.gone else change.object["data"]["text"])
        if seen[-1] == last:
            return seen
    return seen


@pytest.mark.parametrize("kind", ["", "reset", "half", "expired", "duplicate", "reorder", "status"])
def test_a_watch_shows_what_is_there_and_what_comes(kind: str, api: Any, make_client: Make) -> None:
    write(api, "a", "0")
    with FaultProxy(api.access, [Fault(kind, path="watch=true", times=2)] if kind else []) as proxy:
        client = make_client(proxy.access())
        thread = threading.Timer(0.3, write, (api, "a", *"123456789"))
        thread.start()
        seen = until(client, "9")
        thread.join()
        assert proxy.met(kind) >= 1 or not kind
    assert seen[0] == "0"
    assert seen[-1] == "9"
    assert seen == sorted(set(seen))


def test_what_went_while_the_watch_was_broken_is_gone(api: Any, make_client: Make) -> None:
    write(api, "a", "0")
    write(api, "b", "1")
    seen = []
    with FaultProxy(api.access, [Fault("half", path="watch=true")]) as proxy:
        for change in watch(make_client(proxy.access()), CONFIG_MAPS, seconds=20):
            seen.append((change.object["metadata"]["name"], change.gone))
            if len(seen) == 2:
                api.put("a", config_map("a", "0"), "DELETED")
                api.put("b", config_map("b", "2"), "MODIFIED")
            if seen[2:] and {("a", True), ("b", False)} <= set(seen[2:]):
                break
    assert set(seen[:2]) == {("a", False), ("b", False)}
    assert sorted(seen[2:]) == [("a", True), ("b", False)]


def test_a_version_that_the_server_forgot_is_listed_again(api: Any, make_client: Make) -> None:
    write(api, "a", "0")
    api.forgotten = 5
    threading.Timer(0.3, write, (api, "a", *"12345")).start()
    assert until(make_client(api.access), "5")[-1] == "5"


def test_a_watch_ends_when_its_time_is_over(api: Any, make_client: Make) -> None:
    write(api, "a", "0")
    assert until(make_client(api.access), "never", seconds=1) == ["0"]


def test_waiting_ends_when_it_holds(api: Any, make_client: Make) -> None:
    client = make_client(api.access)
    threading.Timer(0.2, write, (api, "a", "1", "2")).start()
    found = wait_for(client, CONFIG_MAPS, "a", lambda it: it is not None and it["data"]["text"] == "2", seconds=20)
    assert found is not None
    threading.Timer(0.2, api.put, ("a", config_map("a", "2"), "DELETED")).start()
    assert wait_for(client, CONFIG_MAPS, "a", lambda it: it is None, seconds=20) is None


def test_waiting_in_vain_says_for_what(api: Any, make_client: Make) -> None:
    with pytest.raises(UnreachableError, match=r"ConfigMap a .* within 1 s"):
        wait_for(make_client(api.access), CONFIG_MAPS, "a", lambda it: it is not None, seconds=1)
