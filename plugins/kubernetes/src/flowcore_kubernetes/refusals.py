"""What the API server's refusals mean: from its answer to an error whose message is one sentence. Pure.

The server's words are Kubernetes' own (``Status`` objects of API conventions, and the texts of its admission plugins).
The first row of the table that fits an answer wins; the last one fits all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from attrs import field, frozen

from flowcore_kubernetes import errors
from flowcore_kubernetes.resources import Resource
from flowcore_kubernetes.roles import Permission, role_text

_MOST: Final = 600
"""Characters of a server's message that are shown."""


@frozen
class Request:
    """What was asked for: enough to say it in a sentence."""

    verb: str
    resource: Resource | None
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    size: int = 0
    """Bytes of the body."""

    @property
    def target(self) -> str:
        """The object or objects, in words."""
        if self.resource is None:
            return self.name
        what = f"{self.resource.kind} {self.name}" if self.name else self.resource.full_name
        if self.subresource:
            what = f"the {self.subresource} of {what}"
        return f"{what} in namespace {self.namespace}" if self.namespace else what

    @property
    def permission(self) -> Permission:
        """What one must be allowed to do for it."""
        assert self.resource is not None
        return Permission.on(self.resource, self.verb, subresource=self.subresource)


@frozen
class Refusal:
    """An answer above 399, taken apart."""

    status: int
    cause: str = ""
    message: str = ""
    details: dict[str, Any] = field(factory=dict)
    is_status: bool = False
    """Whether it is the API server's own ``Status``, not the page of a proxy or an unknown path."""

    @classmethod
    def of(cls, status: int, body: bytes) -> Refusal:
        """Read the body of an answer, whatever it is."""
        text = body.decode("utf-8", "replace").strip()
        try:
            data = json.loads(text)
        except ValueError:
            data = None
        if not isinstance(data, dict) or data.get("kind") != "Status":
            return cls(status, message=text)
        details = data.get("details")
        return cls(
            status,
            str(data.get("reason") or ""),
            str(data.get("message") or ""),
            details if isinstance(details, dict) else {},
            True,
        )


def error_of(request: Request, refusal: Refusal, cluster: str) -> errors.ApiError:
    """The error that an answer stands for."""
    for row in _ROWS:
        if row.fits(refusal):
            message = row.say(request, refusal, cluster)
            return row.error(message, status=refusal.status, cause=refusal.cause, told=refusal.message)
    raise AssertionError("the last row fits everything")


@frozen
class _Row:
    error: type[errors.ApiError]
    fits: Callable[[Refusal], bool]
    say: Callable[[Request, Refusal, str], str]


def _told(refusal: Refusal) -> str:
    text = " ".join(refusal.message.split())
    return text if len(text) <= _MOST else text[:_MOST] + "..."


def _has(pattern: str, *statuses: int) -> Callable[[Refusal], bool]:
    found = re.compile(pattern, re.I)
    return lambda refusal: (not statuses or refusal.status in statuses) and found.search(refusal.message) is not None


def _causes(refusal: Refusal) -> list[dict[str, Any]]:
    causes = refusal.details.get("causes")
    return [cause for cause in causes if isinstance(cause, dict)] if isinstance(causes, list) else []


# What is said


def _unknown_caller(request: Request, refusal: Refusal, cluster: str) -> str:
    return (
        f"{cluster} does not know who asks (401): the credentials are wrong or have expired; "
        "log in again, or choose another context"
    )


def _terminating(request: Request, refusal: Refusal, cluster: str) -> str:
    return f"namespace {request.namespace} is being deleted; use another one, or wait and create it again"


def _no_namespace(request: Request, refusal: Refusal, cluster: str) -> str:
    return (
        f"namespace {request.namespace or request.name} does not exist in {cluster}; "
        "create it, or choose another one with the option namespace"
    )


_QUOTA = re.compile(
    r"exceeded quota: (?P<name>[^,]+), requested: (?P<asked>.*), used: (?P<used>.*), limited: (?P<limit>.*)", re.S
)


def _quota(request: Request, refusal: Refusal, cluster: str) -> str:
    found = _QUOTA.search(refusal.message)
    if found is None:
        return f"namespace {request.namespace}: a quota does not allow {request.target}: {_told(refusal)}"
    return (
        f"namespace {request.namespace}: quota {found['name']} is exceeded by {request.target}: it asks for "
        f"{found['asked']}, {found['used']} is used, the limit is {found['limit'].strip()}; "
        "free some, or have the quota raised"
    )


_DENIED = re.compile(
    r"User \"(?P<user>[^\"]*)\" cannot (?P<verb>\w+) resource \"(?P<resource>[^\"]*)\" in API group "
    r"\"(?P<group>[^\"]*)\" (?:in the namespace \"(?P<namespace>[^\"]*)\"|at the cluster scope)"
)


def _permission(request: Request, refusal: Refusal, cluster: str) -> str:
    found = _DENIED.search(refusal.message)
    if found is None:
        return f"{cluster} does not allow to {request.verb} {request.target}: {_told(refusal)}"
    permission = Permission(found["group"], found["resource"], (found["verb"],))
    namespace = found["namespace"] or ""
    what = f"{found['resource']}.{found['group']}" if found["group"] else found["resource"]
    place = f"in namespace {namespace}" if namespace else "in the whole cluster"
    kind = "Role" if namespace else "ClusterRole"
    return (
        f"{found['user']} may not {found['verb']} {what} {place}; "
        f"this {kind} grants it, once it is bound to that user:\n{role_text(permission, namespace)}"
    )


def _admission(request: Request, refusal: Refusal, cluster: str) -> str:
    return f"{cluster} does not take {request.target}: {_told(refusal)}"


def _webhook(request: Request, refusal: Refusal, cluster: str) -> str:
    found = re.search(r'admission webhook "([^"]*)" denied the request:?\s*(.*)', refusal.message, re.S)
    assert found is not None
    why = " ".join(found[2].split()) or "it gave no reason"
    return f"the admission webhook {found[1]} of the cluster denies {request.target}: {why[:_MOST]}"


def _not_installed(request: Request, refusal: Refusal, cluster: str) -> str:
    resource = request.resource
    if resource is None:
        return f"{cluster} has no {request.name}; is its server that of a Kubernetes cluster?"
    product = resource.product or f"what brings {resource.full_name}"
    return (
        f"{cluster} does not know {resource.full_name} of version {resource.version}; "
        f"install {product}, or choose another context"
    )


def _not_found(request: Request, refusal: Refusal, cluster: str) -> str:
    return f"there is no {request.target}"


def _exists(request: Request, refusal: Refusal, cluster: str) -> str:
    return f"there already is {request.target}; use another name"


def _conflict(request: Request, refusal: Refusal, cluster: str) -> str:
    return f"{request.target} was changed by somebody else meanwhile; try again"


def _expired(request: Request, refusal: Refusal, cluster: str) -> str:
    return f"{cluster} cannot go on with {request.target} from so long ago; list it again"


def _too_large(request: Request, refusal: Refusal, cluster: str) -> str:
    size = f"of {request.size:,} bytes " if request.size else ""
    return f"{request.target} {size}is larger than {cluster} takes ({_told(refusal)}); make it smaller"


def _invalid(request: Request, refusal: Refusal, cluster: str) -> str:
    # A cause without a field only says that more may be wrong.
    faults = [
        f"{cause['field']}: {cause.get('message', '')}" if cause.get("field") else str(cause.get("message", ""))
        for cause in _causes(refusal)
        if cause.get("field") != "<nil>"
    ]
    found = "; ".join(dict.fromkeys(" ".join(fault.split()) for fault in faults if fault)) or _told(refusal)
    return f"{cluster} finds {request.target} invalid: {found if len(found) <= _MOST else found[:_MOST] + '...'}"


def _rest(request: Request, refusal: Refusal, cluster: str) -> str:
    word = f" {refusal.cause}" if refusal.cause else ""
    said = f": {_told(refusal)}" if refusal.message else ""
    return f"{cluster} refused to {request.verb} {request.target} ({refusal.status}{word}){said}"


def _is_terminating(refusal: Refusal) -> bool:
    return any(cause.get("reason") == "NamespaceTerminating" for cause in _causes(refusal)) or (
        refusal.status == 403 and "because it is being terminated" in refusal.message
    )


def _lacks_namespace(refusal: Refusal) -> bool:
    return refusal.status == 404 and refusal.details.get("kind") == "namespaces"


_ROWS: Final = (
    _Row(errors.ForbiddenError, lambda refusal: refusal.status == 401, _unknown_caller),
    _Row(errors.NamespaceError, _is_terminating, _terminating),
    _Row(errors.NamespaceError, _lacks_namespace, _no_namespace),
    _Row(errors.InvalidError, _has(r'admission webhook "[^"]*" denied the request'), _webhook),
    _Row(errors.QuotaError, _has(r"exceeded quota: |failed quota: ", 403), _quota),
    _Row(errors.ForbiddenError, _has(r'User "[^"]*" cannot \w+ ', 403), _permission),
    _Row(
        errors.InvalidError,
        _has(r" is forbidden: .*(violates PodSecurity|per (Container|Pod)|serviceaccount )", 403),
        _admission,
    ),
    _Row(errors.ForbiddenError, lambda refusal: refusal.status == 403, _permission),
    _Row(errors.TooLargeError, lambda refusal: refusal.status == 413, _too_large),
    _Row(
        errors.TooLargeError,
        _has(
            r"request is too large|trying to send message larger than max|Too long: may not be (longer|more) than \d{5}"
        ),
        _too_large,
    ),
    _Row(errors.NotFoundError, lambda refusal: refusal.status == 404 and bool(refusal.details.get("name")), _not_found),
    _Row(errors.NotInstalledError, lambda refusal: refusal.status == 404, _not_installed),
    _Row(errors.AlreadyExistsError, lambda refusal: refusal.cause == "AlreadyExists", _exists),
    _Row(errors.ConflictError, lambda refusal: refusal.status == 409, _conflict),
    _Row(errors.ExpiredError, lambda refusal: refusal.status == 410 or refusal.cause == "Expired", _expired),
    _Row(errors.InvalidError, lambda refusal: refusal.status in (400, 422), _invalid),
    _Row(errors.ApiError, lambda refusal: True, _rest),
)
