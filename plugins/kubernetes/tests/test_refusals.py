"""Each answer of the API server is one sentence with what to do. The texts are a real server's (1.34)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flowcore_kubernetes import (
    PODS,
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    NamespaceError,
    NotFoundError,
    NotInstalledError,
    QuotaError,
    Resource,
    TooLargeError,
)
from flowcore_kubernetes.refusals import Refusal, Request, error_of

WORKFLOWS = Resource("argoproj.io", "v1alpha1", "workflows", "Workflow", product="Argo Workflows")


def told(status: int, reason: str, message: str, **details: Any) -> tuple[int, bytes]:
    data = {"kind": "Status", "status": "Failure", "code": status, "reason": reason, "message": message}
    return status, json.dumps({**data, "details": details}).encode()


CASES = {
    "permission": (
        told(
            403,
            "Forbidden",
            'workflows.argoproj.io is forbidden: User "system:serviceaccount:ads:ci" cannot create resource '
            '"workflows" in API group "argoproj.io" in the namespace "ads"',
            group="argoproj.io",
            kind="workflows",
        ),
        ForbiddenError,
        "system:serviceaccount:ads:ci may not create workflows.argoproj.io in namespace ads; this Role grants it",
    ),
    "permission-cluster": (
        told(
            403,
            "Forbidden",
            'nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster scope',
        ),
        ForbiddenError,
        "jane may not list nodes in the whole cluster; this ClusterRole grants it",
    ),
    "quota": (
        told(
            403,
            "Forbidden",
            'pods "a" is forbidden: exceeded quota: few, requested: pods=1, used: pods=3, limited: pods=3',
            name="a",
        ),
        QuotaError,
        "namespace ads: quota few is exceeded by Workflow w in namespace ads: it asks for pods=1, pods=3 is used, "
        "the limit is pods=3; free some, or have the quota raised",
    ),
    "terminating": (
        told(
            403,
            "Forbidden",
            'workflows.argoproj.io "w" is forbidden: unable to create new content in namespace ads because it is being '
            "terminated",
            causes=[{"reason": "NamespaceTerminating", "message": "namespace ads is being terminated"}],
        ),
        NamespaceError,
        "namespace ads is being deleted; use another one",
    ),
    "no-namespace": (
        told(404, "NotFound", 'namespaces "ads" not found', name="ads", kind="namespaces"),
        NamespaceError,
        "namespace ads does not exist in the cluster; create it, or choose another one with the option namespace",
    ),
    "webhook": (
        told(403, "Forbidden", 'admission webhook "policy.corp" denied the request: no latest tags\n'),
        InvalidError,
        "the admission webhook policy.corp of the cluster denies Workflow w in namespace ads: no latest tags",
    ),
    "pod-security": (
        told(403, "Forbidden", 'pods "a" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'),
        InvalidError,
        'the cluster does not take Workflow w in namespace ads: pods "a" is forbidden: violates PodSecurity',
    ),
    "no-service-account": (
        told(
            403,
            "Forbidden",
            'pods "a" is forbidden: error looking up service account ads/ci: serviceaccount "ci" not found',
        ),
        InvalidError,
        'serviceaccount "ci" not found',
    ),
    "too-large": (
        told(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728"),
        TooLargeError,
        "of 5,000,000 bytes is larger",
    ),
    "too-large-for-etcd": (
        told(500, "", "etcdserver: request is too large"),
        TooLargeError,
        "etcdserver: request is too large",
    ),
    "too-large-text": (
        told(422, "Invalid", 'ConfigMap "c" is invalid: []: Too long: may not be more than 1048576 bytes'),
        TooLargeError,
        "may not be more than 1048576 bytes",
    ),
    "invalid": (
        told(
            422,
            "Invalid",
            'Workflow.argoproj.io "w" is invalid: [spec.a: Required value, spec.b: Invalid value: 1]',
            name="w",
            causes=[
                {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.a"},
                {"reason": "FieldValueInvalid", "message": "Invalid value: 1", "field": "spec.b"},
                {"reason": "FieldValueInvalid", "message": "some rules were not checked", "field": "<nil>"},
            ],
        ),
        InvalidError,
        "the cluster finds Workflow w in namespace ads invalid: spec.a: Required value; spec.b: Invalid value: 1",
    ),
    "bad-request": (
        told(400, "BadRequest", "strict decoding error: unknown field"),
        InvalidError,
        "strict decoding error",
    ),
    "not-found": (
        told(404, "NotFound", 'workflows.argoproj.io "w" not found', name="w"),
        NotFoundError,
        "there is no Workflow w in namespace ads",
    ),
    "not-installed": (
        (404, b"404 page not found\n"),
        NotInstalledError,
        "does not know workflows.argoproj.io of version v1alpha1; install Argo Workflows",
    ),
    "exists": (
        told(409, "AlreadyExists", 'workflows "w" already exists', name="w"),
        AlreadyExistsError,
        "there already is Workflow w",
    ),
    "conflict": (
        told(409, "Conflict", "the object has been modified", name="w"),
        ConflictError,
        "changed by somebody else",
    ),
    "expired": (told(410, "Expired", "too old resource version: 1 (2)"), ExpiredError, "list it again"),
    "unknown-caller": (told(401, "Unauthorized", "Unauthorized"), ForbiddenError, "does not know who asks"),
    "something-else": (
        told(405, "MethodNotAllowed", "no such thing"),
        ApiError,
        "the cluster refused to create Workflow w in namespace ads (405 MethodNotAllowed): no such thing",
    ),
    "a-page": ((405, b"<html>\n<h1>No</h1>"), ApiError, "(405): <html> <h1>No</h1>"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_refusal_is_a_sentence(case: str) -> None:
    (status, body), kind, text = CASES[case]
    request = Request("create", WORKFLOWS, "ads", "w", size=5_000_000)
    error = error_of(request, Refusal.of(status, body), "the cluster")
    assert type(error) is kind
    assert text in str(error)
    assert error.status == status
    assert "\n" not in str(error) or kind is ForbiddenError


def test_a_missing_permission_comes_with_its_role() -> None:
    message = 'pods "a" is forbidden: User "ci" cannot get resource "pods/log" in API group "" in the namespace "ads"'
    request = Request("get", PODS, "ads", "a", "log")
    error = error_of(request, Refusal.of(*told(403, "Forbidden", message, name="a")), "the cluster")
    assert str(error).partition("\n")[2] == (
        "apiVersion: rbac.authorization.k8s.io/v1\n"
        "kind: Role\n"
        "metadata:\n"
        "  name: flowcore-pods-log\n"
        "  namespace: ads\n"
        "rules:\n"
        "  - apiGroups:\n"
        '      - ""\n'
        "    resources:\n"
        "      - pods/log\n"
        "    verbs:\n"
        "      - get\n"
    )
