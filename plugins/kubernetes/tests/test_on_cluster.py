"""The same on a real API server, kubelet and scheduler."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attrs import evolve
from cluster.kubernetes.access import KUBECONFIG, kubectl
from fault_proxy import Fault, FaultProxy, Storm, wait_until

from flowcore.plugin import UnreachableError
from flowcore_kubernetes import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
    SERVICE_ACCOUNTS,
    Client,
    ForbiddenError,
    InvalidError,
    KubernetesOptions,
    LogSource,
    NamespaceError,
    NotInstalledError,
    Permission,
    QuotaError,
    Resource,
    Retries,
    TooLargeError,
    accompany,
    config_maps,
    connect,
    controller_fault,
    events_of,
    missing_permissions,
    read_logs,
    require_namespace,
    require_permissions,
    require_resources,
    require_server,
    role,
    role_binding,
    wait_for,
    watch,
    why_waiting,
)

pytestmark = pytest.mark.cluster

Make = Callable[..., Client]
QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
WORKFLOWS = Resource("argoproj.io", "v1alpha1", "workflows", "Workflow", product="Argo Workflows")


@pytest.fixture(scope="module")
def space(cluster: Client) -> Iterator[Client]:
    """A client of a namespace of its own, which has its service account already."""
    name = f"flowcore-kubernetes-{secrets.token_hex(4)}"
    cluster.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    client = Client(evolve(cluster.access, namespace=name))
    wait_for(client, SERVICE_ACCOUNTS, "default", lambda found: found is not None, seconds=300)
    yield client
    cluster.delete(NAMESPACES, name)


def pod(name: str, *command: str, **container: Any) -> dict[str, Any]:
    spec = container.pop("spec", {})
    main = {"name": "main", "image": "busybox:1", "imagePullPolicy": "IfNotPresent", "command": list(command)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "containers": [{**main, **container}], **spec},
    }


def ended(found: Any) -> bool:
    return found is not None and found.get("status", {}).get("phase") in ("Succeeded", "Failed")


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


# What keeps pods from starting

CAUSES: dict[str, tuple[dict[str, Any], str, str]] = {
    "image": (pod("image", "true", image="localhost:1/nothing:1"), "image", "localhost:1/nothing:1"),
    "image-name": (pod("image-name", "true", image="NO//NAME"), "image", "the image's name is wrong"),
    "image-never": (
        pod("image-never", "true", image="nothing:1", imagePullPolicy="Never"),
        "image",
        "must not be pulled",
    ),
    "secret-env": (
        pod("secret-env", "true", env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "none", "key": "k"}}}]),
        "secret",
        'a secret is missing: secret "none" not found',
    ),
    "config-map-env": (
        pod("config-map-env", "true", env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]),
        "secret",
        'a config map is missing: configmap "c" not found',
    ),
    "secret-volume": (
        pod(
            "secret-volume",
            "true",
            volumeMounts=[{"name": "v", "mountPath": "/v"}],
            spec={"volumes": [{"name": "v", "secret": {"secretName": "none"}}]},
        ),
        "secret",
        'secret "none" not found',
    ),
    "claim": (
        pod("claim", "true", spec={"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "none"}}]}),
        "claim",
        'persistentvolumeclaim "none" not found',
    ),
    "capacity": (
        pod("capacity", "true", resources={"requests": {"cpu": "1000"}}),
        "capacity",
        "no machine can take it: 0/1 nodes are available: 1 Insufficient cpu",
    ),
    "selector": (pod("selector", "true", spec={"nodeSelector": {"a": "b"}}), "capacity", "node affinity/selector"),
    "command": (pod("command", "no-such-command"), "command", "no-such-command"),
}


@pytest.mark.parametrize("case", CAUSES)
def test_the_cause_is_found(case: str, space: Client) -> None:
    object, reason, text = CAUSES[case]
    space.create(PODS, object)
    try:
        found: list[Any] = []

        def known() -> bool:
            now = space.get(PODS, case)
            found[:] = [why_waiting(now, events_of(space, now))]
            return found[0] is not None

        wait_until(known, 120)
        assert found[0].reason == reason
        assert text in found[0].message
        assert "\n" not in found[0].message
    finally:
        space.delete(PODS, case, grace=0)


def test_a_pod_that_runs_waits_for_nothing(space: Client) -> None:
    space.create(PODS, pod("fine", "true"))
    found = wait_for(space, PODS, "fine", ended, seconds=300)
    assert found is not None
    assert why_waiting(found, events_of(space, found)) is None
    space.delete(PODS, "fine", grace=0)


# What is refused


def test_refusals_are_sentences(space: Client) -> None:
    name = space.namespace
    with pytest.raises(InvalidError, match='serviceaccount "nobody" not found'):
        space.create(PODS, pod("a", "true", spec={"serviceAccountName": "nobody"}))
    with pytest.raises(NamespaceError, match="namespace nowhere does not exist"):
        space.create(PODS, pod("a", "true"), "nowhere")
    with pytest.raises(InvalidError, match=r"finds Pod A in namespace .* invalid: metadata.name: Invalid value"):
        space.create(PODS, pod("A", "true"))
    with pytest.raises(TooLargeError, match=r"ConfigMap a in namespace .* of 1,\d+,\d+ bytes is larger"):
        space.create(CONFIG_MAPS, config_map("a", text="x" * 1_100_000))
    with pytest.raises(TooLargeError, match="limit is 3145728"):
        space.create(CONFIG_MAPS, config_map("a", text="x" * 3_500_000))
    workflow = {"apiVersion": WORKFLOWS.api_version, "kind": "Workflow", "metadata": {"name": "a"}, "spec": {}}
    script = {"image": "a", "source": "x" * 1_600_000}
    too_large = {**workflow, "spec": {"entrypoint": "a", "templates": [{"name": "a", "script": script}]}}
    calls = space.traffic.calls
    with pytest.raises(TooLargeError, match="request is too large"):
        space.create(WORKFLOWS, too_large)
    assert space.traffic.calls == calls + 1
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}}
    space.create(QUOTAS, {**quota, "spec": {"hard": {"count/secrets": "0"}}})
    secret = Resource("", "v1", "secrets", "Secret")

    found: list[str] = []

    def refused() -> bool:
        try:
            space.create(secret, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}})
        except QuotaError as error:
            found.append(str(error))
        else:
            space.delete(secret, "a")
        return bool(found)

    wait_until(refused, 300)
    assert f"namespace {name}: quota few is exceeded by Secret a" in found[0]
    assert "the limit is count/secrets=0" in found[0]


def test_what_a_cluster_has_is_known(space: Client) -> None:
    assert require_server(space).startswith("v1.")
    require_namespace(space)
    require_resources(space, [WORKFLOWS, PODS])
    with pytest.raises(NotInstalledError, match=r"does not know foos\.example\.org of version v1; install Foo"):
        require_resources(space, [Resource("example.org", "v1", "foos", "Foo", product="Foo")])
    with pytest.raises(NamespaceError, match="namespace nowhere does not exist"):
        require_namespace(Client(evolve(space.access, namespace="nowhere")))


def test_a_controller_without_a_pod_is_said(space: Client) -> None:
    labels = {"app": f"controller-{space.namespace}"}
    spec = {
        "replicas": 0,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": pod("a", "sleep", "600")["spec"] | {"restartPolicy": "Always"},
        },
    }
    found = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "c", "labels": labels}, "spec": spec}
    selector = f"app={labels['app']}"
    assert controller_fault(space, "the controller", selector) is None
    space.create(DEPLOYMENTS, found)
    fault = controller_fault(space, "the controller", selector)
    assert fault is not None
    assert f"the controller does not run: deployment c in namespace {space.namespace} is scaled to 0" in fault


# Permissions


@pytest.fixture(scope="module")
def limited(space: Client) -> Client:
    """A client that is allowed exactly what one printed Role says."""
    space.create(SERVICE_ACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "limited"}})
    granted = role(
        "limited", [Permission.on(CONFIG_MAPS, "get", "create"), Permission.on(PODS, "get")], space.namespace
    )
    space.create(ROLES, granted)
    space.create(BINDINGS, role_binding("limited", granted, "limited", space.namespace))
    done = kubectl("create", "token", "limited", "-n", space.namespace, capture_output=True, text=True)
    client = Client(evolve(space.access, token=done.stdout.strip()))
    wait_until(lambda: not missing_permissions(client, [Permission.on(PODS, "get")]), 300)
    return client


def test_a_role_grants_what_it_says_and_no_more(limited: Client) -> None:
    limited.create(CONFIG_MAPS, config_map("limited"))
    limited.get(CONFIG_MAPS, "limited")
    with pytest.raises(ForbiddenError) as caught:
        limited.delete(CONFIG_MAPS, "limited")
    text, _, yaml = str(caught.value).partition("\n")
    account = f"system:serviceaccount:{limited.namespace}:limited"
    assert text.startswith(f"{account} may not delete configmaps in namespace {limited.namespace}; this Role grants it")
    assert "kind: Role" in yaml


def test_the_role_that_a_refusal_prints_grants_it(limited: Client, space: Client) -> None:
    import yaml

    for _ in range(2):
        try:
            limited.list(PODS)
            return
        except ForbiddenError as error:
            printed = yaml.safe_load(str(error).partition("\n")[2])
            space.create(ROLES, printed)
            space.create(BINDINGS, role_binding("more", printed, "limited", space.namespace))
            wait_until(lambda: not missing_permissions(limited, [Permission.on(PODS, "list")]), 300)
    pytest.fail("the Role did not grant it")


def test_missing_permissions_are_told_together(limited: Client) -> None:
    wanted = [
        Permission.on(CONFIG_MAPS, "get", "create"),
        Permission.on(WORKFLOWS, "get", "create"),
        Permission.on(PODS, "get", subresource="log"),
    ]
    with pytest.raises(ForbiddenError) as caught:
        require_permissions(limited, wanted, "flowcore")
    assert f"may not get, create workflows.argoproj.io; get pods/log in namespace {limited.namespace}" in str(
        caught.value
    )
    assert "name: flowcore" in str(caught.value)
    require_permissions(limited, wanted[:1], "flowcore")


def test_where_one_may_not_look_nothing_is_said(limited: Client) -> None:
    require_namespace(limited)
    assert controller_fault(limited, "the controller", "app=a") is None
    assert events_of(limited, {"metadata": {"uid": "u", "namespace": limited.namespace}}) == ()


# Faults


STORM = [
    Fault("status", status=429, headers={"Retry-After": "1"}),
    Fault("status", status=500),
    Fault("status", status=503),
    Fault("status-after", status=504),
    Fault("reset"),
    Fault("reset-after"),
    Fault("half"),
    Fault("stall", seconds=1.5),
    Fault("stall-after", seconds=1.5),
    Fault("expired"),
    Fault("duplicate"),
    Fault("reorder"),
]


def test_a_storm_of_faults_creates_nothing_twice_and_loses_nothing(space: Client, make_client: Make) -> None:
    count, workers = 40, 4
    names = {f"storm-{number}" for number in range(count)}
    with FaultProxy(space.access, Storm(STORM, 0.4)) as proxy:
        client = make_client(proxy.access(), silence=1.0, seconds=120, pause=0.05)
        uids: dict[str, str] = {}
        seen: dict[str, list[int]] = {}
        stop = threading.Event()

        def look() -> None:
            for change in watch(client, CONFIG_MAPS, labels="storm=yes", seconds=120):
                metadata = change.object["metadata"]
                seen.setdefault(metadata["name"], []).append(int(metadata["resourceVersion"]))
                if stop.is_set() and len(seen) == count:
                    return

        def work(number: int) -> None:
            for index in range(number, count, workers):
                object = config_map(f"storm-{index}", text=str(index))
                object["metadata"]["labels"] = {"storm": "yes"}
                uids[f"storm-{index}"] = client.ensure(CONFIG_MAPS, object)["metadata"]["uid"]

        threads = [threading.Thread(target=look, daemon=True)]
        threads += [threading.Thread(target=work, args=(number,)) for number in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads[1:]:
            thread.join()
        stop.set()
        wait_until(lambda: set(seen) == names, 120)
        listed = {
            each["metadata"]["name"]: each["metadata"]["uid"]
            for each in client.list(CONFIG_MAPS, labels="storm=yes").items
        }
        assert listed == uids
        assert set(uids) == names
        assert all(versions == sorted(set(versions)) for versions in seen.values())
        for name in names:
            client.delete(CONFIG_MAPS, name)
        assert client.list(CONFIG_MAPS, labels="storm=yes").items == ()
        assert sum(bool(each.fault) for each in proxy.seen) > 10


def test_a_server_that_says_nothing_is_given_up_in_time(space: Client) -> None:
    with FaultProxy(space.access, [Fault("stall", times=None, seconds=30)]) as proxy:
        client = Client(proxy.access(), silence=0.5, retries=Retries(2.0))
        begun = time.monotonic()
        with pytest.raises(UnreachableError, match="it said nothing for too long"):
            client.list(PODS)
        assert time.monotonic() - begun < 20
        assert len(proxy.seen) > 1


def test_options_connect(space: Client) -> None:
    client = connect(KubernetesOptions(kubeconfig=str(KUBECONFIG), context="flowcore", namespace=space.namespace))
    assert client.namespace == space.namespace
    assert client.list(PODS).resource_version


# Companions


def test_companions_go_with_their_owner(space: Client) -> None:
    owner = space.create(CONFIG_MAPS, config_map("owner"))
    text = b"\x00\xff" * 200_000
    companions = config_maps("owned", {"a": text, "b": "x" * 900_000})
    accompany(space, companions.objects, owner)
    accompany(space, companions.objects, owner)
    assert space.get(CONFIG_MAPS, "owned-1")["data"]["b"] == "x" * 900_000
    assert space.delete(CONFIG_MAPS, "owner")
    for name in ("owned-0", "owned-1"):
        wait_for(space, CONFIG_MAPS, name, lambda found: found is None, seconds=300)


# Logs

WRITER = """
import os, time
os.write(1, b"begin \\xff\\n")
for number in range(2000):
    os.write(1 + number % 2, b"line %d %s\\n" % (number, b"x" * (number % 50)))
    if number % 100 == 0:
        time.sleep(0.05)
time.sleep(0.5)
os.write(1, b"y" * 150_000 + b"\\n")
time.sleep(0.5)
os.write(1, b"the end")
"""


def test_the_lines_of_a_pod_come_once(space: Client) -> None:
    space.create(PODS, pod("writer", "python3", "-c", WRITER, image="python:3.11"))
    cursor, lines = "", []
    deadline = time.monotonic() + 300
    while True:
        over = ended(space.get(PODS, "writer"))
        page = read_logs(space, [LogSource("writer", "writer", "w", ended=over)], cursor, budget=50_000)
        cursor = page.cursor
        lines += page.lines
        if over and not page.more:
            break
        assert time.monotonic() < deadline
    assert not [line for line in lines if line.gap]
    texts = [line.line for line in lines]
    assert texts[0] == "begin \ufffd"
    assert texts[-1] == "the end"
    for stream in (0, 1):
        mine = [text for text in texts if text.startswith("line ") and int(text.split()[1]) % 2 == stream]
        assert mine == [f"line {n} {'x' * (n % 50)}" for n in range(stream, 2000, 2)]
    assert "".join(text for text in texts if text.startswith("y")) == "y" * 150_000
    space.delete(PODS, "writer", grace=0)
    page = read_logs(space, [LogSource("writer", "writer", "w", ended=True)], cursor)
    assert page.lines == ()


def test_the_log_of_a_pod_that_was_deleted_is_a_gap(space: Client) -> None:
    space.create(PODS, pod("deleted", "sh", "-c", "echo one; sleep 600"))
    source = LogSource("deleted", "deleted", "w")
    cursor, lines = "", []

    def written() -> bool:
        nonlocal cursor
        page = read_logs(space, [source], cursor)
        cursor = page.cursor
        lines.extend(page.lines)
        return bool(lines)

    wait_until(written, 120)
    space.delete(PODS, "deleted", grace=0)
    wait_for(space, PODS, "deleted", lambda found: found is None, seconds=300)
    page = read_logs(space, [evolve(source, ended=True)], cursor)
    assert [line.line for line in lines] == ["one"]
    assert [line.gap for line in page.lines] == [True]
