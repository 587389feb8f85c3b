"""Namespaces of a test's own, and service accounts that may do what one Role says and nothing else."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import evolve, frozen
from cluster.kubernetes.access import KUBECONFIG, apply, kubectl

from flowcore.errors import FlowError
from flowcore_kubernetes import (
    NAMESPACES,
    SERVICE_ACCOUNTS,
    Client,
    KubernetesOptions,
    Object,
    Permission,
    Resource,
    find_access,
    role,
    role_binding,
    wait_for,
)

ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")


@frozen
class Space:
    """The namespace, as its administrator sees it; ``folder`` takes kubeconfigs."""

    admin: Client
    folder: Path

    @property
    def name(self) -> str:
        return self.admin.namespace

    def account(self, name: str, granted: Object | None = None) -> None:
        """A service account that is bound to one Role, or to none."""
        self.admin.create(SERVICE_ACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
        if granted is None:
            return
        granted = {**granted, "metadata": {"name": name, "namespace": self.name}}
        self.admin.create(ROLES, granted)
        self.admin.create(BINDINGS, role_binding(name, granted, name, self.name))

    def kubeconfig(self, account: str) -> str:
        """A kubeconfig with which one is that service account."""
        token = kubectl("create", "token", account, "-n", self.name, capture_output=True, text=True).stdout.strip()
        config = json.loads(KUBECONFIG.read_text())
        config["users"] = [{"name": "admin", "user": {"token": token}}]
        file = self.folder / account
        file.write_text(json.dumps(config))
        return str(file)


def administrator() -> Client:
    """A client that may do everything."""
    return Client(find_access(KubernetesOptions(kubeconfig=str(KUBECONFIG)), {}))


def grant(namespace: str, permissions: Iterable[Permission]) -> None:
    """Let the steps of a namespace do more: its default service account."""
    granted = role("flowcore-steps", permissions, namespace)
    if granted["rules"]:
        apply("\n---\n".join(map(json.dumps, (granted, role_binding("flowcore-steps", granted, "default", namespace)))))


@contextmanager
def new_space(folder: Path, name: str) -> Iterator[Space]:
    """A namespace that is gone afterwards."""
    admin = administrator()
    name = f"{name}-{secrets.token_hex(4)}"
    admin.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    own = Client(evolve(admin.access, namespace=name))
    wait_for(own, SERVICE_ACCOUNTS, "default", lambda found: found is not None, seconds=300)
    try:
        yield Space(own, folder)
    finally:
        admin.delete(NAMESPACES, name)


def fails(action: Callable[[], object]) -> FlowError | None:
    """The error that an action ends with."""
    try:
        action()
    except FlowError as error:
        return error
    return None


def until(holds: Callable[[], Any], seconds: float = 300.0) -> None:
    """Wait until something holds: the API server takes a moment to know a new binding."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)
