"""Everything works for a user, and for steps, who may do what ``flow render --role`` prints and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import yaml

from flowcore.backend import Backend, load
from flowcore.runs import RunHandle
from flowcore.testing.driver import load as load_scenario
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
from on_kubernetes.accounts import BINDINGS, ROLES, Space, fails, new_space, until
from on_kubernetes.engine import Engine, EngineSuite, scenarios

PLAYED = scenarios(
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
HELLO = 'flowcore: 1\nname: hello\nsteps: {x: {image: "busybox:1", command: [echo, hello]}}\n'


def backend_of(engine: Engine, space: Space, account: str, steps: str = "default") -> Backend:
    """The backend as a service account uses it, with steps that have another one."""
    return engine.backend(namespace=space.name, service_account=steps, kubeconfig=space.kubeconfig(account))


def play(engine: Engine, space: Space, name: str) -> None:
    """A scenario, by a user and with steps that have the Roles that its workflow asks for."""
    admin = engine.backend(namespace=space.name)
    driver = engine.driver(admin)
    rendered = admin.render(load_scenario(PLAYED[name]), driver.params(PLAYED[name]))
    user, *steps = yaml.safe_load_all(admin.permissions(rendered))
    space.account(f"user-{name}", user)
    space.account(f"steps-{name}", *steps)
    backend = backend_of(engine, space, f"user-{name}", f"steps-{name}")
    until(lambda: not fails(backend.probe))
    engine.driver(backend).run(PLAYED[name])


@pytest.mark.cluster
class Permissions(EngineSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Space]:
        with new_space(tmp_path_factory.mktemp("accounts"), f"flowcore-{cls.engine.name}") as space:
            yield space

    @pytest.fixture(scope="class")
    @classmethod
    def played(cls, space: Space) -> Iterator[dict[str, Future[None]]]:
        """All scenarios at the same time: they mostly wait for pods."""
        with ThreadPoolExecutor(len(PLAYED)) as pool:
            names = [name for name in PLAYED if name not in cls.engine.refused]
            yield {name: pool.submit(play, cls.engine, space, name) for name in names}

    @pytest.mark.parametrize("name", PLAYED)
    def test_the_printed_roles_are_enough(self, name: str, played: dict[str, Future[None]]) -> None:
        if name in self.engine.refused:
            pytest.skip(f"{self.engine.name} refuses it for {self.engine.refused[name]}")
        played[name].result()

    def test_who_may_only_look_is_told_what_is_missing(self, space: Space) -> None:
        space.account("looker", role("looker", self.engine.reading, space.name))
        backend = backend_of(self.engine, space, "looker")
        until(lambda: not fails(backend.list_runs))
        refused = fails(lambda: backend.submit(backend.render(load(HELLO))))
        assert isinstance(refused, ForbiddenError)
        assert refused.exit_code == 2
        text, _, printed = str(refused).partition("\n")
        account, runs = f"system:serviceaccount:{space.name}:looker", self.engine.runs
        assert text.startswith(f"{account} may not create {runs.full_name} in namespace {space.name}; this Role")
        assert yaml.safe_load(printed)["rules"] == [
            {"apiGroups": [runs.group], "resources": [runs.plural], "verbs": ["create"]}
        ]

    def test_who_may_do_nothing_in_a_namespace_is_told_so_by_every_call(self, space: Space) -> None:
        space.account("stranger")
        backend = backend_of(self.engine, space, "stranger")
        handle = RunHandle(self.engine.name, f"{space.name}/some-run")
        calls = {
            "submit": lambda: backend.submit(backend.render(load(HELLO))),
            "list": lambda: list(backend.list_runs()),
            "poll": lambda: backend.poll(handle),
            "cancel": lambda: backend.cancel(handle),
            "delete": lambda: backend.delete(handle),
            "resume": lambda: backend.resume(handle),
        }
        for name, call in calls.items():
            refused = fails(call)
            assert isinstance(refused, ForbiddenError), (name, refused)
            text, _, printed = str(refused).partition("\n")
            assert f"system:serviceaccount:{space.name}:stranger may not " in text, name
            assert f"{self.engine.runs.full_name} in namespace {space.name}" in text, name
            assert yaml.safe_load(printed)["kind"] == "Role", name

    def test_probe_prints_the_whole_role_to_who_lacks_a_part(self, space: Space) -> None:
        reading = self.engine.reading
        space.account("prober", role("prober", reading, space.name))
        backend = backend_of(self.engine, space, "prober")
        access = find_access(KubernetesOptions(kubeconfig=str(space.folder / "prober")), {})
        client = Client(access, namespace=space.name)
        until(lambda: not missing_permissions(client, reading))
        refused = fails(backend.probe)
        assert isinstance(refused, ForbiddenError)
        text, _, printed = str(refused).partition("\n")
        assert self.engine.writing in text
        granted = yaml.safe_load(printed)
        space.admin.create(ROLES, granted)
        space.admin.create(BINDINGS, role_binding("prober-all", granted, "prober", space.name))
        until(lambda: not missing_permissions(client, [Permission.on(self.engine.runs, "create"), *reading]))
        assert fails(backend.probe) is None
