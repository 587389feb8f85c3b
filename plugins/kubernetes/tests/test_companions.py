"""Config maps hold any bytes, in as few objects as it takes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.plugin import RefusedError
from flowcore_kubernetes import (
    CONFIG_MAPS,
    MOST_BYTES,
    Client,
    Companions,
    accompany,
    config_maps,
    digest,
    owned,
)

FILES = st.dictionaries(
    st.from_regex(r"[a-z][-._a-zA-Z0-9]{0,20}", fullmatch=True), st.one_of(st.text(), st.binary()), max_size=8
)


def content(companions: Companions) -> dict[str, bytes]:
    """What is in the config maps, by the key that was asked for."""
    maps = {object["metadata"]["name"]: object for object in companions.objects}
    found = {}
    for name, place in companions.places.items():
        object = maps[place.config_map]
        if place.key in object.get("data", {}):
            found[name] = object["data"][place.key].encode()
        else:
            found[name] = base64.b64decode(object["binaryData"][place.key])
    return found


@given(FILES)
def test_every_file_is_there_byte_for_byte(files: dict[str, str | bytes]) -> None:
    companions = config_maps("run", files)
    assert content(companions) == {key: it.encode() if isinstance(it, str) else it for key, it in files.items()}
    assert companions == config_maps("run", files)


def test_many_large_files_take_several_config_maps() -> None:
    files = {f"f{number}": b"\xff" * (512 * 1024) for number in range(5)}
    companions = config_maps("run", files, {"a": "b"})
    assert [object["metadata"]["name"] for object in companions.objects] == [f"run-{number}" for number in range(5)]
    files = {f"f{number}": "x" * (512 * 1024 - 2) for number in range(4)}
    companions = config_maps("run", files)
    assert [place.config_map for place in companions.places.values()] == ["run-0", "run-0", "run-1", "run-1"]


def test_a_file_that_no_config_map_holds_is_refused() -> None:
    config_maps("run", {"f": "x" * (MOST_BYTES - 1)})
    with pytest.raises(ValueError, match="1,048,576"):
        config_maps("run", {"f": "x" * MOST_BYTES})


@pytest.mark.parametrize("key", ["", ".", "..", "..a", "a/b", "a b", "ä", "x" * 254])
def test_a_key_that_no_config_map_has_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        config_maps("run", {key: ""})


def test_a_digest_is_that_of_the_content() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": "1"})
    assert digest("\ud800")


OWNER = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "metadata": {"name": "w", "uid": "u-1", "namespace": "default"},
}


def test_an_owned_object_goes_with_its_owner() -> None:
    (object,) = config_maps("run", {"a": "1"}).objects
    assert owned(object, OWNER)["metadata"]["ownerReferences"] == [
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": "w", "uid": "u-1"}
    ]
    assert owned(owned(object, OWNER), OWNER) == owned(object, OWNER)
    assert "ownerReferences" not in object["metadata"]


def test_creating_companions_again_changes_nothing(api: Any, make_client: Callable[..., Client]) -> None:
    client = make_client(api.access)
    objects = config_maps("run", {"a": "1"}).objects
    accompany(client, objects, OWNER)
    accompany(client, objects, OWNER)
    assert len(api.events) == 1
    assert client.get(CONFIG_MAPS, "run-0")["data"] == {"a": "1"}


def test_what_somebody_else_owns_is_not_taken(api: Any, make_client: Callable[..., Client]) -> None:
    client = make_client(api.access)
    accompany(client, config_maps("run", {"a": "1"}).objects, OWNER)
    with pytest.raises(RefusedError, match="ConfigMap run-0 in namespace default is not this run's"):
        accompany(client, config_maps("run", {"a": "2"}).objects, OWNER, patience=0)
    other = {**OWNER, "metadata": {**OWNER["metadata"], "uid": "u-2"}}  # type: ignore[dict-item]
    with pytest.raises(RefusedError, match="not this run's"):
        accompany(client, config_maps("run", {"a": "1"}).objects, other, patience=0)
