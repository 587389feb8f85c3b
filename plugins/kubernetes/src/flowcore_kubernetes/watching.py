"""Watching objects: what is there, then what changes, through breaks, repetitions and events out of order.

A watch that breaks, or that the server cannot continue because it remembers changes for some minutes only (410), begins
again with what is there now. Of one object only what is newer than the last is given, so nobody sees it go back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from attrs import evolve, frozen

from flowcore.plugin import UnreachableError
from flowcore_kubernetes.client import Client
from flowcore_kubernetes.errors import ApiError, ExpiredError
from flowcore_kubernetes.refusals import Refusal, error_of
from flowcore_kubernetes.resources import Object, Resource
from flowcore_kubernetes.retrying import PASSING
from flowcore_kubernetes.transport import BrokenError, Stream

_LONGEST: Final = 16 * 1024 * 1024
"""An object has at most a few MB, so a longer line is no event."""
_PAUSE: Final = 0.25


@frozen
class Change:
    """One object as it is now, or (``gone``) as it was last."""

    object: Object
    gone: bool = False


def watch(
    client: Client,
    resource: Resource,
    namespace: str | None = None,
    *,
    labels: str = "",
    fields: str = "",
    seconds: float,
) -> Iterator[Change]:
    """All objects that there are, then what changes, for so many seconds.

    Raises:
        UnreachableError: if the server does not answer any more.
    """
    deadline = time.monotonic() + seconds
    seen: dict[str, Change] = {}
    """The last of each object that was given, by uid."""
    while True:
        listing = client.list(resource, namespace, labels=labels, fields=fields)
        yield from _newer((Change(object) for object in listing.items), seen)
        present = {object["metadata"]["uid"] for object in listing.items}
        for uid in [uid for uid in seen if uid not in present]:
            last = seen.pop(uid)
            if not last.gone:
                yield evolve(last, gone=True)
        query = {
            "watch": "true",
            "resourceVersion": listing.resource_version,
            "labelSelector": labels,
            "fieldSelector": fields,
        }
        try:
            yield from _newer(_events(client, resource, namespace, query, deadline), seen)
            return
        except BrokenError:
            pass
        except ApiError as error:
            if not isinstance(error, ExpiredError) and error.status not in PASSING:
                raise
        left = deadline - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(_PAUSE, left))


def wait_for(
    client: Client,
    resource: Resource,
    name: str,
    holds: Callable[[Object | None], bool],
    namespace: str | None = None,
    *,
    seconds: float,
) -> Object | None:
    """Wait until something holds of an object (of None, while it is not there); the object as it is then.

    Raises:
        UnreachableError: if it does not hold within ``seconds``, or the server does not answer any more.
    """
    found = client.find(resource, name, namespace)
    if holds(found):
        return found
    for change in watch(client, resource, namespace, fields=f"metadata.name={name}", seconds=seconds):
        found = None if change.gone else change.object
        if holds(found):
            return found
    found = client.find(resource, name, namespace)
    if holds(found):
        return found
    raise UnreachableError(
        f"{client.cluster} did not bring {resource.kind} {name} to where it has to be within {seconds:.0f} s; try again"
    )


def _newer(changes: Iterable[Change], seen: dict[str, Change]) -> Iterator[Change]:
    """Those that are newer than what was given of the same object before."""
    for change in changes:
        uid = change.object["metadata"]["uid"]
        known = seen.get(uid)
        if known is None or _version(change) > _version(known):
            seen[uid] = change
            yield change


def _version(change: Change) -> int:
    return int(change.object["metadata"]["resourceVersion"])


def _events(
    client: Client, resource: Resource, namespace: str | None, query: dict[str, str], deadline: float
) -> Iterator[Change]:
    """What one connection tells, until the deadline."""
    request = client.request("watch", resource, "", namespace)
    left = deadline - time.monotonic()
    query = {**query, "timeoutSeconds": str(max(1, int(left)))}
    with client.open(request, query, silence=max(left, 0) + 1) as stream:
        for line in _lines(stream):
            kind, object = _event(line)
            if kind == "ERROR":
                body = json.dumps(object).encode()
                raise error_of(request, Refusal.of(int(object.get("code") or 500), body), client.cluster)
            yield Change(object, gone=kind == "DELETED")
            if time.monotonic() >= deadline:
                return


def _lines(stream: Stream) -> Iterator[bytes]:
    rest = b""
    for chunk in stream.chunks():
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, lines)
        if len(rest) > _LONGEST:
            raise BrokenError("short", "an event of a watch has no end")
    if rest:
        raise BrokenError("short", "the last event of a watch is not whole")


def _event(line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        event = json.loads(line)
        return event["type"], event["object"]
    except (ValueError, KeyError, TypeError):
        raise BrokenError("short", "an event of a watch is not whole") from None
