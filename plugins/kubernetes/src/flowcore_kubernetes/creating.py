"""Creating a run's object and what belongs to it; what a deleted run of that name has left is waited for."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from flowcore.plugin import RefusedError
from flowcore_kubernetes.client import Client
from flowcore_kubernetes.companions import owned
from flowcore_kubernetes.errors import AlreadyExistsError
from flowcore_kubernetes.marks import DIGEST, notes_of
from flowcore_kubernetes.resources import CLAIMS, CONFIG_MAPS, Object, Resource, name_of

COMPANIONS: Final = {resource.kind: resource for resource in (CONFIG_MAPS, CLAIMS)}
"""What may belong to a run, by its kind."""
_LINGERING: Final = 60.0
"""Seconds that an object of the same name may take to be gone."""
_PAUSE: Final = 0.3


def is_leaving(object: Mapping[str, Any]) -> bool:
    """Whether an object is being deleted."""
    return bool(object["metadata"].get("deletionTimestamp"))


def create_anew(client: Client, resource: Resource, object: Mapping[str, Any]) -> Object:
    """Create an object. One of that name that is being deleted is waited for: what it owns has the same names.

    Raises:
        AlreadyExistsError: if there is one of that name. It may be this very object, so compare.
    """
    end = time.monotonic() + _LINGERING
    while True:
        try:
            return client.create(resource, object)
        except AlreadyExistsError:
            found = client.find(resource, name_of(object), metadata_only=True)
            if found is not None and (not is_leaving(found) or time.monotonic() > end):
                raise
        time.sleep(_PAUSE)


def accompany(
    client: Client, objects: Iterable[Mapping[str, Any]], owner: Mapping[str, Any], patience: float = _LINGERING
) -> None:
    """Create what belongs to an object, owned by it; what is there already from an earlier try is left alone.

    Args:
        patience: seconds that something of the same name, which a deleted run may have left, has to go away.

    Raises:
        RefusedError: if something else has one of the names.
    """
    end = time.monotonic() + patience
    for object in objects:
        resource = COMPANIONS[object["kind"]]
        while True:
            found = client.ensure(resource, owned(object, owner), owner["metadata"].get("namespace"))
            if _is_ours(found, object, owner):
                break
            if time.monotonic() > end:
                raise RefusedError(
                    f"{resource.kind} {name_of(object)} in namespace {found['metadata'].get('namespace')} is not this"
                    " run's; delete it, or use a new key"
                )
            time.sleep(_PAUSE)


def _is_ours(found: Mapping[str, Any], object: Mapping[str, Any], owner: Mapping[str, Any]) -> bool:
    owners = found["metadata"].get("ownerReferences") or ()
    owned_by_us = any(each.get("uid") == owner["metadata"]["uid"] for each in owners)
    return owned_by_us and not is_leaving(found) and _digest_of(found) == _digest_of(object)


def _digest_of(object: Mapping[str, Any]) -> str:
    return str(notes_of(object).get(DIGEST, ""))
