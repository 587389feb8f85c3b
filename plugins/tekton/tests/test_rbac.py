"""Everything works for a user who may do what ``flow render --role`` prints, and for steps that may do nothing."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import yaml
from accounts import BINDINGS, ROLES, Space, fails, new_space, until
from cluster.kubernetes.access import KUBECONFIG

from flowcore.backend import Backend
from flowcore.testing.driver import Driver, load
from flowcore.testing.scenarios import SCENARIOS
from flowcore_kubernetes import (
    Client,
    ForbiddenError,
    KubernetesOptions,
    Permission,
    find_access,
    missing_permissions,
    role,
    role_binding,
)
from flowcore_tekton.allowed import READING
from flowcore_tekton.places import PIPELINE_RUNS

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("tekton-rbac")]

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
        "missing-secret",
        "needs-diamond",
        "output-types",
        "python-gives-several-outputs",
        "resumed-run-keeps-what-succeeded",
        "timeout-of-the-run",
        "volume-that-steps-share",
    )
}


def backend_of(space: Space, account: str) -> Backend:
    options = {"namespace": space.name}
    return Backend.select("tekton", options={**options, "kubeconfig": space.kubeconfig(account)})


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Space]:
    with new_space(tmp_path_factory.mktemp("accounts"), "flowcore-tekton") as space:
        yield space


def play(space: Space, name: str) -> None:
    """A scenario, by a user who has the Role that its workflow asks for, and with steps that have none."""
    scenario = PLAYED[name]
    admin = Backend.select("tekton", options={"kubeconfig": str(KUBECONFIG), "namespace": space.name})
    rendered = admin.render(load(scenario), Driver(admin).params(scenario))
    space.account(f"user-{name}", yaml.safe_load(admin.permissions(rendered)))
    backend = backend_of(space, f"user-{name}")
    until(lambda: not fails(backend.probe))
    Driver(backend, 420, 0.7, 2.0).run(scenario)


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
    backend = backend_of(space, "looker")
    until(lambda: not fails(backend.list_runs))
    rendered = backend.render(load(PLAYED["needs-diamond"]))
    refused = fails(lambda: backend.submit(rendered))
    assert isinstance(refused, ForbiddenError)
    assert refused.exit_code == 2
    text, _, printed = str(refused).partition("\n")
    account = f"system:serviceaccount:{space.name}:looker"
    assert text.startswith(f"{account} may not create pipelineruns.tekton.dev in namespace {space.name}; this Role")
    assert yaml.safe_load(printed)["rules"] == [
        {"apiGroups": ["tekton.dev"], "resources": ["pipelineruns"], "verbs": ["create"]}
    ]


def test_probe_prints_the_whole_role_to_who_lacks_a_part(space: Space) -> None:
    space.account("prober", role("prober", READING, space.name))
    backend = backend_of(space, "prober")
    access = find_access(KubernetesOptions(kubeconfig=str(space.folder / "prober")), {})
    client = Client(access, namespace=space.name)
    until(lambda: not missing_permissions(client, READING))
    refused = fails(backend.probe)
    assert isinstance(refused, ForbiddenError)
    text, _, printed = str(refused).partition("\n")
    assert "create, patch, delete pipelineruns.tekton.dev" in text
    granted = yaml.safe_load(printed)
    space.admin.create(ROLES, granted)
    space.admin.create(BINDINGS, role_binding("prober-all", granted, "prober", space.name))
    until(lambda: not missing_permissions(client, [Permission.on(PIPELINE_RUNS, "create"), *READING]))
    assert fails(backend.probe) is None
