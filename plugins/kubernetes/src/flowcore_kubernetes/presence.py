"""Whether a cluster has what a backend needs: a server, a namespace, kinds of objects, permissions, a controller.

``flow backends --check`` asks all of it, in the order in which people have to mend it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from flowcore.plugin import write_yaml
from flowcore_kubernetes.client import Client
from flowcore_kubernetes.errors import ApiError, ForbiddenError, NamespaceError, NotInstalledError
from flowcore_kubernetes.resources import DEPLOYMENTS, NAMESPACES, Resource
from flowcore_kubernetes.roles import Permission, role

_RULES: Final = Resource(
    "authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", namespaced=False
)
_ACCESS: Final = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)


def require_server(client: Client) -> str:
    """The version of the API server, such as ``v1.34.2``.

    Raises:
        UnreachableError: if it does not answer.
        ApiError: if what answers is no API server, or does not know who asks.
    """
    data = json.loads(client.raw("/version", "version"))
    return str(data.get("gitVersion", ""))


def require_namespace(client: Client) -> None:
    """That the client's namespace exists; nothing is said where the caller may not look.

    Raises:
        NamespaceError: if it does not exist or is being deleted.
    """
    try:
        found = client.get(NAMESPACES, client.namespace)
    except ForbiddenError:
        return
    if found["metadata"].get("deletionTimestamp"):
        raise NamespaceError(f"namespace {client.namespace} is being deleted; choose another one", status=409)


def require_resources(client: Client, resources: Iterable[Resource]) -> None:
    """That the cluster knows these kinds of objects.

    Raises:
        NotInstalledError: with the first that it does not know, and what to install.
    """
    known: dict[str, set[str]] = {}
    for resource in resources:
        version = resource.api_version
        if version not in known:
            known[version] = _served(client, version)
        if resource.plural not in known[version]:
            product = resource.product or f"what brings {resource.full_name}"
            raise NotInstalledError(
                f"{client.cluster} does not know {resource.full_name} of version {resource.version}; "
                f"install {product}, or choose another context",
                status=404,
            )


def _served(client: Client, version: str) -> set[str]:
    path = f"/apis/{version}" if "/" in version else f"/api/{version}"
    try:
        data = json.loads(client.raw(path, version))
    except NotInstalledError:
        return set()
    return {str(each.get("name")) for each in data.get("resources") or ()}


def require_permissions(client: Client, permissions: Iterable[Permission], name: str) -> None:
    """That the caller has these permissions in the client's namespace.

    Args:
        name: what the Role is called that the message prints.

    Raises:
        ForbiddenError: with those that are missing, and the Role that grants all.
    """
    wanted = tuple(permissions)
    missing = missing_permissions(client, wanted)
    if missing:
        texts = [f"{', '.join(each.verbs)} {_full_name(each)}" for each in missing]
        text = write_yaml(role(name, wanted, client.namespace))
        raise ForbiddenError(
            f"{client.access.source} may not {'; '.join(texts)} in namespace {client.namespace}; "
            f"this Role grants all that is needed, once it is bound to the user:\n{text}",
            status=403,
        )


def missing_permissions(client: Client, permissions: Iterable[Permission]) -> list[Permission]:
    """Which of the permissions the caller lacks in the client's namespace.

    One request tells nearly always; what it leaves open is asked one by one.
    """
    rules = _rules(client)
    missing = []
    for permission in permissions:
        verbs = tuple(
            verb
            for verb in permission.verbs
            if not _granted(rules, permission, verb) and not _allowed(client, permission, verb)
        )
        if verbs:
            missing.append(Permission(permission.group, permission.resource, verbs))
    return missing


def controller_fault(client: Client, name: str, labels: str) -> str | None:
    """A sentence if a controller is installed as a Deployment and none of its pods is ready.

    None where it is ready, and where that cannot be known: no such Deployment (it may run as something else), or the
    caller may not look.

    Args:
        name: the controller in words: ``the controller of Argo Workflows``.
        labels: a selector of its Deployment.
    """
    try:
        found = client.list(DEPLOYMENTS, labels=labels, everywhere=True).items
    except ApiError:
        return None
    if not found or any((each.get("status") or {}).get("readyReplicas") for each in found):
        return None
    place = found[0]["metadata"]
    wanted = (found[0].get("spec") or {}).get("replicas", 1)
    why = "is scaled to 0" if not wanted else "has no ready pod"
    return (
        f"{name} does not run: deployment {place['name']} in namespace {place['namespace']} {why}; "
        "runs will not start until it does"
    )


def _rules(client: Client) -> list[Mapping[str, Any]]:
    body = {
        "apiVersion": _RULES.api_version,
        "kind": _RULES.kind,
        "metadata": {},
        "spec": {"namespace": client.namespace},
    }
    try:
        status = client.ask(_RULES, body).get("status") or {}
    except ApiError:
        return []
    return list(status.get("resourceRules") or ())


def _granted(rules: Iterable[Mapping[str, Any]], permission: Permission, verb: str) -> bool:
    return any(
        _names(rule.get("apiGroups"), permission.group)
        and (_names(rule.get("resources"), permission.resource) or _names_subresource(rule, permission.resource))
        and _names(rule.get("verbs"), verb)
        and not rule.get("resourceNames")
        for rule in rules
    )


def _names(listed: object, wanted: str) -> bool:
    return isinstance(listed, list) and (wanted in listed or "*" in listed)


def _names_subresource(rule: Mapping[str, Any], resource: str) -> bool:
    _, slash, subresource = resource.partition("/")
    return bool(slash) and f"*/{subresource}" in (rule.get("resources") or ())


def _allowed(client: Client, permission: Permission, verb: str) -> bool:
    resource, _, subresource = permission.resource.partition("/")
    attributes = {"namespace": client.namespace, "verb": verb, "group": permission.group, "resource": resource}
    if subresource:
        attributes["subresource"] = subresource
    body = {
        "apiVersion": _ACCESS.api_version,
        "kind": _ACCESS.kind,
        "metadata": {},
        "spec": {"resourceAttributes": attributes},
    }
    return bool((client.ask(_ACCESS, body).get("status") or {}).get("allowed"))


def _full_name(permission: Permission) -> str:
    resource, slash, subresource = permission.resource.partition("/")
    return f"{resource}{'.' + permission.group if permission.group else ''}{slash}{subresource}"
