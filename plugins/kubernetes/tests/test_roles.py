"""The same permissions are the same Role, as small as it can be."""

from __future__ import annotations

from flowcore_kubernetes import PODS, SECRETS, Permission, Resource, role, role_binding

WORKFLOWS = Resource("argoproj.io", "v1alpha1", "workflows", "Workflow")


def test_verbs_are_gathered_and_resources_with_the_same_verbs_share_a_rule() -> None:
    permissions = [
        Permission.on(WORKFLOWS, "create"),
        Permission.on(PODS, "get", subresource="log"),
        Permission.on(SECRETS, "get"),
        Permission.on(WORKFLOWS, "get", "create"),
        Permission.on(PODS, "list", "get"),
    ]
    found = role("flow", permissions, "ads")
    assert found == role("flow", reversed(permissions), "ads")
    assert found["metadata"] == {"name": "flow", "namespace": "ads"}
    assert found["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods/log", "secrets"], "verbs": ["get"]},
        {"apiGroups": ["argoproj.io"], "resources": ["workflows"], "verbs": ["get", "create"]},
    ]


def test_a_cluster_role_has_no_namespace() -> None:
    found = role("flow", [Permission.on(PODS, "get")], "ads", cluster=True)
    assert found["kind"] == "ClusterRole"
    assert found["metadata"] == {"name": "flow"}


def test_a_binding_gives_a_role_to_an_account() -> None:
    found = role_binding("flow", role("flow", [], "ads"), "ci", "ads")
    assert found["roleRef"]["name"] == "flow"
    assert found["subjects"] == [{"kind": "ServiceAccount", "name": "ci", "namespace": "ads"}]
