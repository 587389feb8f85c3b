"""Everything works for a user, and for steps, who may do what ``flow render --role`` prints and nothing else."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from attrs import evolve, frozen
from cluster.kubernetes.access import KUBECONFIG, kubectl

from flowcore.backend import Backend
from flowcore.errors import FlowError
from flowcore.testing.driver import Driver, load
from flowcore.testing.scenarios import SCENARIOS
from flowcore_argo.allowed import READING
from flowcore_argo.places import WORKFLOWS
from flowcore_kubernetes import (
    NAMESPACES,
    SERVICE_ACCOUNTS,
    Client,
    ForbiddenError,
    KubernetesOptions,
    Object,
    Permission,
    Resource,
    find_access,
    missing_permissions,
    role,
    role_binding,
    wait_for,
)

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("argo-rbac")]

ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
PLAYED = {
    each.name: each
    for each in SCENARIOS
    if each.name
    in (
        "artifact-file-and-folder",
        "cancel-kills-what-ignores-it",
        "cancel-still-runs-on-exit",
        "deleted-run-is-gone",
        "key-makes-submit-idempotent",
        "logs-come-while-it-runs",
        "manifest-of-a-config-map",
        "missing-secret",
        "needs-diamond",
        "output-types",
        "python-gives-several-outputs",
        "resumed-run-keeps-what-succeeded",
        "timeout-of-the-run",
        "volume-that-steps-share",
    )
}


@frozen
class Space:
    """A namespace of the tests' own."""

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

    def backend(self, account: str, steps: str = "default") -> Backend:
        options = {"namespace": self.name, "service_account": steps, "start_allowance": 60}
        return Backend.select("argo", options={**options, "kubeconfig": self.kubeconfig(account)})


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Space]:
    admin = Client(find_access(KubernetesOptions(kubeconfig=str(KUBECONFIG)), {}))
    name = f"flowcore-argo-{secrets.token_hex(4)}"
    admin.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    own = Client(evolve(admin.access, namespace=name))
    wait_for(own, SERVICE_ACCOUNTS, "default", lambda found: found is not None, seconds=300)
    yield Space(own, tmp_path_factory.mktemp("accounts"))
    admin.delete(NAMESPACES, name)


def play(space: Space, name: str) -> None:
    """A scenario, by a user and with steps that have the two Roles that its workflow asks for."""
    scenario = PLAYED[name]
    admin = Backend.select("argo", options={"kubeconfig": str(KUBECONFIG), "namespace": space.name})
    rendered = admin.render(load(scenario), Driver(admin).params(scenario))
    user, steps = yaml.safe_load_all(admin.permissions(rendered))
    space.account(f"user-{name}", user)
    space.account(f"steps-{name}", steps)
    backend = space.backend(f"user-{name}", f"steps-{name}")
    until(lambda: not fails(backend.probe))
    Driver(backend, 900, 0.7, 2.0).run(scenario)


def fails(action: Callable[[], object]) -> FlowError | None:
    try:
        action()
    except FlowError as error:
        return error
    return None


def until(holds: Callable[[], Any], seconds: float = 300.0) -> None:
    """The API server takes a moment to know a new binding."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture(scope="module")
def played(space: Space) -> Iterator[dict[str, Future[None]]]:
    """All scenarios at the same time: they mostly wait for pods."""
    with ThreadPoolExecutor(len(PLAYED)) as pool:
        yield {name: pool.submit(play, space, name) for name in PLAYED}


@pytest.mark.parametrize("name", PLAYED)
def test_the_printed_roles_are_enough(name: str, played: dict[str, Future[None]]) -> None:
    played[name].result()


def test_who_may_only_look_is_told_what_is_missing(space: Space) -> None:
    space.account("looker", role("looker", READING, space.name))
    backend = space.backend("looker")
    until(lambda: not fails(backend.list_runs))
    rendered = backend.render(load(PLAYED["needs-diamond"]))
    refused = fails(lambda: backend.submit(rendered))
    assert isinstance(refused, ForbiddenError)
    assert refused.exit_code == 2
    text, _, printed = str(refused).partition("\n")
    account = f"system:serviceaccount:{space.name}:looker"
    assert text.startswith(f"{account} may not create workflows.argoproj.io in namespace {space.name}; this Role")
    assert yaml.safe_load(printed)["rules"] == [
        {"apiGroups": ["argoproj.io"], "resources": ["workflows"], "verbs": ["create"]}
    ]


def test_probe_prints_the_whole_role_to_who_lacks_a_part(space: Space) -> None:
    space.account("prober", role("prober", READING, space.name))
    backend = space.backend("prober")
    access = find_access(KubernetesOptions(kubeconfig=str(space.folder / "prober")), {})
    client = Client(access, namespace=space.name)
    until(lambda: not missing_permissions(client, READING))
    refused = fails(backend.probe)
    assert isinstance(refused, ForbiddenError)
    text, _, printed = str(refused).partition("\n")
    assert "create, patch, update, delete workflows.argoproj.io; delete pods" in text
    granted = yaml.safe_load(printed)
    space.admin.create(ROLES, granted)
    space.admin.create(BINDINGS, role_binding("prober-all", granted, "prober", space.name))
    until(lambda: not missing_permissions(client, [Permission.on(WORKFLOWS, "create"), *READING]))
    assert fails(backend.probe) is None
