"""A namespace of a test's own, with service accounts that may do what one Role says and nothing else."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import evolve, frozen
from cluster.kubernetes.access import KUBECONFIG, kubectl

from flowcore.errors import FlowError
from flowcore_kubernetes import (
    NAMESPACES,
    SERVICE_ACCOUNTS,
    Client,
    KubernetesOptions,
    Object,
    Resource,
    find_access,
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

    def account(self, name: str, granted: Object) -> None:
        """A service account that is bound to one Role."""
        self.admin.create(SERVICE_ACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
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


@contextmanager
def new_space(folder: Path, name: str) -> Iterator[Space]:
    """A namespace that is gone afterwards."""
    admin = Client(find_access(KubernetesOptions(kubeconfig=str(KUBECONFIG)), {}))
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
