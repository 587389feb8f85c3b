"""Everything works for a user, and for steps, who may do what ``flow render --role`` prints and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import yaml
from accounts import BINDINGS, ROLES, Space, fails, new_space, until

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
from kubernetes_suites.engine import DEADLINE, EngineSuite

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


class RoleSuite(EngineSuite):
    """Permissions, on one engine."""

    @pytest.fixture(scope="class")
    def space(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Space]:
        with new_space(tmp_path_factory.mktemp("accounts"), f"flowcore-{self.engine.backend}") as space:
            yield space

    @pytest.fixture(scope="class")
    def played(self, space: Space) -> Iterator[dict[str, Future[None]]]:
        """All scenarios at the same time: they mostly wait for pods."""
        with ThreadPoolExecutor(len(PLAYED)) as pool:
            yield {name: pool.submit(self.play, space, name) for name in PLAYED}

    def as_account(self, space: Space, account: str, steps: str = "default") -> Backend:
        """The backend of somebody who is one account, for steps that are another."""
        return self.engine.select(space.kubeconfig(account), namespace=space.name, service_account=steps)

    def play(self, space: Space, name: str) -> None:
        """A scenario, by a user and with steps that have the Roles that its workflow asks for."""
        scenario = PLAYED[name]
        admin = self.engine.select(namespace=space.name)
        if scenario.capabilities - admin.capabilities:
            return
        rendered = admin.render(load(scenario), Driver(admin).params(scenario))
        user, *steps = yaml.safe_load_all(admin.permissions(rendered))
        space.account(f"user-{name}", user)
        for granted in steps:
            space.account(f"steps-{name}", granted)
        backend = self.as_account(space, f"user-{name}", f"steps-{name}" if steps else "default")
        until(lambda: not fails(backend.probe))
        Driver(backend, DEADLINE, 1.5, 2.0).run(scenario)

    @pytest.mark.parametrize("name", PLAYED)
    def test_the_printed_roles_are_enough(self, name: str, played: dict[str, Future[None]]) -> None:
        played[name].result()

    def test_who_may_only_look_is_told_what_is_missing(self, space: Space) -> None:
        kind = self.engine.kind
        space.account("looker", role("looker", self.engine.reading, space.name))
        backend = self.as_account(space, "looker")
        until(lambda: not fails(backend.list_runs))
        rendered = backend.render(load(PLAYED["needs-diamond"]))
        refused = fails(lambda: backend.submit(rendered))
        assert isinstance(refused, ForbiddenError)
        assert refused.exit_code == 2
        text, _, printed = str(refused).partition("\n")
        account = f"system:serviceaccount:{space.name}:looker"
        assert text.startswith(f"{account} may not create {kind.full_name} in namespace {space.name}; this Role")
        assert yaml.safe_load(printed)["rules"] == [
            {"apiGroups": [kind.group], "resources": [kind.plural], "verbs": ["create"]}
        ]

    def test_probe_prints_the_whole_role_to_who_lacks_a_part(self, space: Space) -> None:
        kind, reading = self.engine.kind, self.engine.reading
        space.account("prober", role("prober", reading, space.name))
        backend = self.as_account(space, "prober")
        access = find_access(KubernetesOptions(kubeconfig=str(space.folder / "prober")), {})
        client = Client(access, namespace=space.name)
        until(lambda: not missing_permissions(client, reading))
        refused = fails(backend.probe)
        assert isinstance(refused, ForbiddenError)
        text, _, printed = str(refused).partition("\n")
        assert re.search(rf"create, [a-z, ]*delete {re.escape(kind.full_name)}", text), text
        assert "delete pods" in text
        granted = yaml.safe_load(printed)
        space.admin.create(ROLES, granted)
        space.admin.create(BINDINGS, role_binding("prober-all", granted, "prober", space.name))
        until(lambda: not missing_permissions(client, [Permission.on(kind, "create"), *reading]))
        assert fails(backend.probe) is None
