"""Permissions: what a user needs, as a Role that a person can apply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from flowcore.plugin import write_yaml
from flowcore_kubernetes.resources import Object, Resource

_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")


@frozen
class Permission:
    """That some verbs may be used on one resource; ``resource`` may have a subresource: ``pods/log``."""

    group: str
    resource: str
    verbs: tuple[str, ...]

    @classmethod
    def on(cls, resource: Resource, *verbs: str, subresource: str = "") -> Permission:
        """The permission for verbs on a kind of object."""
        plural = f"{resource.plural}/{subresource}" if subresource else resource.plural
        return cls(resource.group, plural, verbs)


def role(name: str, permissions: Iterable[Permission], namespace: str = "", *, cluster: bool = False) -> Object:
    """The least Role that grants these permissions, as an object; ``cluster`` makes it a ClusterRole.

    Verbs of one resource are gathered, and resources of one group with the same verbs share a rule, so that the same
    permissions always give the same Role.
    """
    verbs: dict[tuple[str, str], set[str]] = {}
    for permission in permissions:
        verbs.setdefault((permission.group, permission.resource), set()).update(permission.verbs)
    shared: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (group, resource), wanted in sorted(verbs.items()):
        shared.setdefault((group, tuple(sorted(wanted, key=_rank))), []).append(resource)
    rules = [
        {"apiGroups": [group], "resources": resources, "verbs": list(wanted)}
        for (group, wanted), resources in shared.items()
    ]
    metadata = {"name": name} if cluster or not namespace else {"name": name, "namespace": namespace}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole" if cluster else "Role",
        "metadata": metadata,
        "rules": rules,
    }


def role_binding(name: str, role: Object, account: str, namespace: str) -> Object:
    """What gives a role to a service account, in its namespace."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": role["metadata"]["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }


def role_text(permission: Permission, namespace: str) -> str:
    """The Role (without a namespace, the ClusterRole) that grants one permission, as YAML to apply."""
    name = f"flowcore-{permission.resource.replace('/', '-')}"
    return write_yaml(role(name, [permission], namespace, cluster=not namespace))


def _rank(verb: str) -> tuple[int, str]:
    return (_VERBS.index(verb) if verb in _VERBS else len(_VERBS)), verb


def made(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """The group and the plural of what a manifest makes; the plural is English, as nearly all are."""
    group, slash, _ = str(manifest.get("apiVersion", "")).partition("/")
    kind = str(manifest.get("kind", "")).lower()
    if kind.endswith(("s", "x", "ch", "sh")):
        plural = f"{kind}es"
    elif kind.endswith("y") and kind[-2:-1] not in "aeiou":
        plural = f"{kind[:-1]}ies"
    else:
        plural = f"{kind}s"
    return (group if slash else ""), plural
