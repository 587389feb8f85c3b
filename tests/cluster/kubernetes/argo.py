"""The Argo Workflows controller, which watches every namespace but runs workflows in ``default``."""

from __future__ import annotations

import urllib.request

from ..place import BIN
from ..services import start
from ..shell import wait
from .access import KUBECONFIG, apply
from .build import ARGO
from .golang import module_folder
from .images import image_name


def argo_up() -> None:
    source = module_folder(ARGO)
    crds = source / "manifests/base/crds/full"
    apply("\n---\n".join(f.read_text() for f in sorted(crds.glob("argoproj.io_*.yaml"))))
    apply("""
apiVersion: v1
kind: Namespace
metadata: {name: argo}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: workflow-controller-configmap, namespace: argo}
data: {}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: argo-executor}
rules:
- {apiGroups: [argoproj.io], resources: [workflowtaskresults], verbs: [create, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: argo-executor, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: argo-executor}
subjects: [{kind: ServiceAccount, name: default, namespace: default}]
""")
    start(
        "argo-controller",
        BIN / "argo-controller",
        "--kubeconfig",
        KUBECONFIG,
        "--namespace",
        "argo",
        "--executor-image",
        image_name("argoexec"),
        "--executor-image-pull-policy",
        "IfNotPresent",
        "--qps",
        "200",
        "--burst",
        "400",
        env={
            "LEADER_ELECTION_DISABLE": "true",
            "ARGO_PROGRESS_PATCH_TICK_DURATION": "0",
            "DEFAULT_REQUEUE_TIME": "500ms",
        },
    )
    wait("argo controller", lambda: urllib.request.urlopen("http://127.0.0.1:6060/healthz", timeout=2))
