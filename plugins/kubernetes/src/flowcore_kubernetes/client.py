"""The client: requests about objects, sent again where that is safe and helps, refused in sentences.

Objects are plain JSON dicts. A client keeps connections and credentials and nothing else; any number of threads may
share one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from typing import Literal as OneOf
from urllib.parse import urlencode

from attrs import evolve, frozen

from flowcore.plugin import UnreachableError
from flowcore_kubernetes.access import Access, find_access
from flowcore_kubernetes.errors import AlreadyExistsError, ApiError, ExpiredError, NotFoundError, UnavailableError
from flowcore_kubernetes.options import KubernetesOptions
from flowcore_kubernetes.refusals import Refusal, Request, error_of
from flowcore_kubernetes.resources import Object, Resource, name_of
from flowcore_kubernetes.retrying import PASSING, Retries
from flowcore_kubernetes.transport import Answer, BrokenError, Stream, Traffic, Transport

PatchKind = OneOf["merge", "json", "strategic", "apply"]

_PATCHES: Final[Mapping[PatchKind, str]] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
_JSON: Final = "application/json"
_METADATA: Final = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
_PAGE: Final = 500
_MANAGER: Final = "flowcore"
_RELISTS: Final = 3


@frozen
class Listing:
    """Objects, and the resource version that they were current at."""

    items: tuple[Object, ...]
    resource_version: str


def connect(options: KubernetesOptions) -> Client:
    """A client of the cluster that the options name. Opens no connection yet.

    Raises:
        UsageError: if no cluster is configured, or its configuration is wrong.
    """
    return Client(
        find_access(options),
        namespace=options.namespace,
        silence=options.answer_timeout,
        retries=Retries(options.retry_time),
    )


class Client:
    """Requests to one API server.

    Every method raises UnreachableError if the server does not answer in time, though it was asked again and again, and
    an ApiError (see the module ``errors``) if it answers with a refusal. Where ``namespace`` is not given it is the
    client's own.

    Args:
        access: how the server is reached.
        namespace: the namespace to use; empty for the one of ``access``.
        silence: seconds without a byte after which a request is given up and sent again.
        retries: how long and how often.
        sleep: how to wait between two tries.
    """

    def __init__(
        self,
        access: Access,
        *,
        namespace: str = "",
        silence: float = 30.0,
        retries: Retries | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.access = access
        self.namespace = namespace or access.namespace
        self._transport = Transport(access, silence)
        self._silence = silence
        self._retries = retries or Retries()
        self._sleep = sleep
        self._known = False

    @property
    def cluster(self) -> str:
        """The cluster in words, for messages."""
        return self.access.cluster

    @property
    def traffic(self) -> Traffic:
        """Requests and bytes so far."""
        return self._transport.traffic

    def close(self) -> None:
        """Close the connections that are kept."""
        self._transport.close()

    # Objects

    def get(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        subresource: str = "",
        metadata_only: bool = False,
    ) -> Object:
        """One object; with ``metadata_only`` without its spec and status, which is small whatever the object is.

        Raises:
            NotFoundError: if there is none of that name.
        """
        request = self._request("get", resource, name, namespace, subresource)
        accept = _METADATA.format("") if metadata_only else _JSON
        return self._object(request, "GET", self._path(request), headers={"Accept": accept})

    def find(
        self, resource: Resource, name: str, namespace: str | None = None, *, metadata_only: bool = False
    ) -> Object | None:
        """One object, or None if there is none of that name."""
        try:
            return self.get(resource, name, namespace, metadata_only=metadata_only)
        except NotFoundError:
            return None

    def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
        everywhere: bool = False,
    ) -> Listing:
        """All objects of a kind, page by page; a listing that expires half-way begins again.

        Args:
            labels: a label selector.
            fields: a field selector.
            everywhere: of all namespaces.
        """
        for attempt in range(_RELISTS):
            items: list[Object] = []
            version = ""
            try:
                for page in self._pages(resource, namespace, labels, fields, metadata_only, everywhere):
                    version = str(page.get("metadata", {}).get("resourceVersion") or version)
                    items += page.get("items") or ()
            except ExpiredError:
                if attempt == _RELISTS - 1:
                    raise
                continue
            return Listing(tuple(items), version)
        raise AssertionError("the last round returns or raises")

    def create(
        self, resource: Resource, object: Mapping[str, Any], namespace: str | None = None, *, dry_run: bool = False
    ) -> Object:
        """Create an object, which must have a name: that is what makes it safe to send it again.

        Raises:
            AlreadyExistsError: if there is one of that name. If an earlier try was sent, but its answer never came, it
                may be this very object, so compare before giving up.
        """
        name = name_of(object)
        if not name:
            raise ValueError(f"a {resource.kind} without a name cannot be created safely")
        request = self._request("create", resource, name, namespace)
        path = self._path(request, {"dryRun": "All" if dry_run else "", "fieldManager": _MANAGER}, named=False)
        return self._object(request, "POST", path, object)

    def ensure(self, resource: Resource, object: Mapping[str, Any], namespace: str | None = None) -> Object:
        """Create an object, or give the one of that name that is there already, whatever it holds."""
        try:
            return self.create(resource, object, namespace)
        except AlreadyExistsError as error:
            found = self.find(resource, name_of(object), namespace)
            if found is None:
                raise error from None
            return found

    def replace(self, resource: Resource, object: Mapping[str, Any], namespace: str | None = None) -> Object:
        """Put an object in the place of the one of that name; with its resource version only if that is still so.

        Raises:
            ConflictError: if the resource version is another one by now.
        """
        request = self._request("update", resource, name_of(object), namespace)
        return self._object(request, "PUT", self._path(request, {"fieldManager": _MANAGER}), object)

    def patch(
        self,
        resource: Resource,
        name: str,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        namespace: str | None = None,
        *,
        kind: PatchKind = "merge",
        subresource: str = "",
        dry_run: bool = False,
    ) -> Object:
        """Change an object. The patch may arrive twice, so it must do the same then as once.

        Raises:
            NotFoundError: if there is no such object.
        """
        request = self._request("patch", resource, name, namespace, subresource)
        query = {"dryRun": "All" if dry_run else "", "fieldManager": _MANAGER}
        if kind == "apply":
            query["force"] = "true"
        path = self._path(request, query)
        return self._object(request, "PATCH", path, patch, {"Content-Type": _PATCHES[kind]})

    def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        grace: int | None = None,
        uid: str = "",
        foreground: bool = False,
    ) -> bool:
        """Delete an object and, in the background, what it owns; False if there was none.

        Args:
            grace: seconds that its processes have, instead of what the object says.
            uid: only the object with this uid, not a later one of that name.
            foreground: the object stays, marked as being deleted, until the pods and others that it owns are gone.
        """
        request = self._request("delete", resource, name, namespace)
        body: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if foreground:
            body["propagationPolicy"] = "Foreground"
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            self._object(request, "DELETE", self._path(request), body)
        except NotFoundError:
            return False
        return True

    # What is not an object

    def ask(self, resource: Resource, question: Mapping[str, Any]) -> Object:
        """The server's answer to a question that is put as an object without a name and kept nowhere: a review."""
        request = self._request("create", resource, "", None)
        return self._object(request, "POST", self._path(request), question)

    def raw(self, path: str, what: str) -> bytes:
        """The body of any GET, such as ``/version``; ``what`` names it in messages.

        Raises:
            ApiError: if the server refuses it.
        """
        request = Request("get", None, name=what)
        return self._ask(request, "GET", path, None, {"Accept": _JSON})[0].body

    def bytes_of(self, request: Request, query: Mapping[str, str], tries: int | None = None) -> bytes:
        """The body of a GET that is no JSON, such as a log.

        Args:
            tries: how often it is sent at most, where a late answer is of no use.
        """
        path = self._path(request, query)
        return self._ask(request, "GET", path, None, {"Accept": "*/*"}, json_body=False, tries=tries)[0].body

    def open(self, request: Request, query: Mapping[str, str], silence: float) -> Stream:
        """A GET whose body comes in parts, for as long as the server has something to say: a watch.

        Raises:
            BrokenError: if the connection breaks before an answer; ending it is the caller's, going on too.
        """
        stream = self._transport.stream("GET", self._path(request, query), {"Accept": _JSON}, silence)
        if stream.status == 401 and self._transport.credentials.renewable:
            stream.close()
            self._transport.credentials.identity(renew=True)
            stream = self._transport.stream("GET", self._path(request, query), {"Accept": _JSON}, silence)
        if stream.status >= 400:
            with stream:
                raise self._error(request, Answer(stream.status, stream.headers, stream.read()))
        self._known = True
        return stream

    def request(
        self, verb: str, resource: Resource, name: str = "", namespace: str | None = None, subresource: str = ""
    ) -> Request:
        """The description of a request, for ``bytes_of`` and ``open``."""
        return self._request(verb, resource, name, namespace, subresource)

    # The parts

    def _request(
        self, verb: str, resource: Resource, name: str, namespace: str | None, subresource: str = ""
    ) -> Request:
        place = (self.namespace if namespace is None else namespace) if resource.namespaced else ""
        return Request(verb, resource, place, name, subresource)

    def _path(self, request: Request, query: Mapping[str, str] | None = None, *, named: bool = True) -> str:
        assert request.resource is not None
        path = request.resource.path(request.namespace, request.name if named else "", request.subresource)
        text = urlencode({key: value for key, value in (query or {}).items() if value})
        return f"{path}?{text}" if text else path

    def _pages(
        self,
        resource: Resource,
        namespace: str | None,
        labels: str,
        fields: str,
        metadata_only: bool,
        everywhere: bool,
    ) -> Iterator[Object]:
        request = self._request("list", resource, "", "" if everywhere else namespace)
        accept = _METADATA.format("List") if metadata_only else _JSON
        query = {"labelSelector": labels, "fieldSelector": fields, "limit": str(_PAGE), "continue": ""}
        while True:
            page = self._object(request, "GET", self._path(request, query), headers={"Accept": accept})
            yield page
            query["continue"] = str(page.get("metadata", {}).get("continue") or "")
            if not query["continue"]:
                return

    def _object(
        self,
        request: Request,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Object:
        data = None if body is None else json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        _, found = self._ask(request, method, path, data, {"Accept": _JSON, "Content-Type": _JSON, **(headers or {})})
        return found

    def _ask(
        self,
        request: Request,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        json_body: bool = True,
        tries: int | None = None,
    ) -> tuple[Answer, Object]:
        """Send a request until it has an answer that will not change; a body that is not whole is no answer."""
        sent = {"Accept-Encoding": "gzip", "User-Agent": "flowcore", **headers}
        begun = time.monotonic()
        tried, renewed = 0, False
        while True:
            tried += 1
            outcome: Answer | BrokenError
            try:
                outcome = self._transport.send(method, path, body, sent)
                self._known = True
                if outcome.status < 300:
                    found = json.loads(outcome.body) if json_body else {}
                    return outcome, found
            except BrokenError as error:
                outcome = error
            except ValueError:
                outcome = BrokenError("short", "its answer is no whole JSON")
            if isinstance(outcome, Answer) and outcome.status == 401 and not renewed:
                renewed = True
                if self._transport.credentials.renewable:
                    self._transport.credentials.identity(renew=True)
                    continue
            failure: ApiError | BrokenError
            if isinstance(outcome, Answer):
                failure = self._error(request, outcome, len(body or b""))
                if type(failure) is not ApiError:
                    raise failure  # it has a known meaning, whatever its status
            else:
                failure = outcome
            pause = self._retries.pause(outcome, tried, time.monotonic() - begun, self._known)
            if pause is None or tried == tries:
                raise self._failure(failure, tried, time.monotonic() - begun)
            self._sleep(pause)

    def _failure(self, outcome: ApiError | BrokenError, tried: int, seconds: float) -> Exception:
        often = f" (tried {tried} times in {seconds:.0f} s)" if tried > 1 else ""
        if isinstance(outcome, BrokenError):
            hint = {
                "tls": "check its certificate-authority in the kubeconfig",
                "name": "check the server in the kubeconfig",
                "proxy": "check the proxy",
            }.get(outcome.breach, "try again when it is up, or choose another context")
            place = f"{self.access.server} ({self.access.source})"
            return UnreachableError(f"{place} cannot be reached{often}: {outcome.text}; {hint}")
        if outcome.status not in PASSING:
            return outcome
        return UnavailableError(f"{outcome}{often}", status=outcome.status, cause=outcome.cause, told=outcome.told)

    def _error(self, request: Request, answer: Answer, size: int = 0) -> ApiError:
        refusal = Refusal.of(answer.status, answer.body)
        return error_of(evolve(request, size=size), refusal, self.cluster)
