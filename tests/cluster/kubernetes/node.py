"""The node: containerd, etcd, API server, controller manager, scheduler and kubelet."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from ..images import name_in
from ..place import BIN, DIR
from ..services import running, start, stop
from ..shell import out, sh, wait, works
from .access import API_IP, KUBECONFIG, PKI, api, apply, keys, kubeconfig, kubectl, network

SOCK = "/run/flowcore-containerd.sock"
SERVICES = (
    "tekton-webhook",
    "tekton-controller",
    "argo-controller",
    "kubelet",
    "kube-scheduler",
    "kube-controller-manager",
    "kube-apiserver",
    "etcd",
    "containerd",
)


def _ready() -> bool:
    conditions = json.loads(api("/api/v1/nodes/flowcore-node"))["status"]["conditions"]
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def node_up(images: Iterable[Path]) -> None:
    """One node that is ready, with a default StorageClass and a service account."""
    keys()
    kubeconfig()
    network()
    (DIR / "containerd.toml").write_text(f"""version = 2
root = "{DIR}/containerd"
state = "/run/flowcore-containerd"
[grpc]
  address = "{SOCK}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "flowcore.local/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{DIR}/cni"
""")
    start("containerd", "containerd", "--config", DIR / "containerd.toml")
    wait("containerd", lambda: works("ctr", "-a", SOCK, "version"))
    have = out("ctr", "-a", SOCK, "-n", "k8s.io", "images", "ls", "-q").split()
    for archive in images:
        if name_in(archive) not in have:
            sh("ctr", "-a", SOCK, "-n", "k8s.io", "images", "import", archive, quiet=True)
    node = BIN / "kubenode"
    start(
        "etcd",
        node,
        "etcd",
        "--data-dir",
        DIR / "etcd",
        "--unsafe-no-fsync",
        "--log-level",
        "warn",
        "--listen-client-urls",
        "http://127.0.0.1:23790",
        "--advertise-client-urls",
        "http://127.0.0.1:23790",
        "--listen-peer-urls",
        "http://127.0.0.1:23800",
        "--initial-advertise-peer-urls",
        "http://127.0.0.1:23800",
        "--initial-cluster",
        "default=http://127.0.0.1:23800",
    )
    start(
        "kube-apiserver",
        node,
        "kube-apiserver",
        "--etcd-servers",
        "http://127.0.0.1:23790",
        "--bind-address",
        API_IP,
        "--advertise-address",
        API_IP,
        "--secure-port",
        "443",
        "--tls-cert-file",
        PKI / "api.crt",
        "--tls-private-key-file",
        PKI / "api.key",
        "--service-cluster-ip-range",
        "10.96.0.0/24",
        "--service-account-issuer",
        "https://kubernetes.default.svc",
        "--service-account-key-file",
        PKI / "sa.pub",
        "--service-account-signing-key-file",
        PKI / "sa.key",
        "--token-auth-file",
        PKI / "tokens.csv",
        "--authorization-mode",
        "RBAC",
        "--allow-privileged",
        "--enable-aggregator-routing",
        "--endpoint-reconciler-type",
        "none",
        "--kubelet-preferred-address-types",
        "InternalIP",
    )
    wait("kube-apiserver", lambda: api("/readyz"))
    start(
        "kube-controller-manager",
        node,
        "kube-controller-manager",
        "--kubeconfig",
        KUBECONFIG,
        "--service-account-private-key-file",
        PKI / "sa.key",
        "--root-ca-file",
        PKI / "ca.crt",
        "--leader-elect=false",
        "--enable-hostpath-provisioner",
        "--bind-address",
        "127.0.0.1",
        "--kube-api-qps",
        "200",
        "--kube-api-burst",
        "400",
    )
    start(
        "kube-scheduler",
        node,
        "kube-scheduler",
        "--kubeconfig",
        KUBECONFIG,
        "--leader-elect=false",
        "--bind-address",
        "127.0.0.1",
        "--kube-api-qps",
        "200",
        "--kube-api-burst",
        "400",
    )
    (DIR / "resolv.conf").write_text("")
    (DIR / "kubelet.yaml").write_text(
        json.dumps(
            {
                "apiVersion": "kubelet.config.k8s.io/v1beta1",
                "kind": "KubeletConfiguration",
                "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
                "authorization": {"mode": "AlwaysAllow"},
                "address": API_IP,
                "healthzBindAddress": "127.0.0.1",
                "containerRuntimeEndpoint": f"unix://{SOCK}",
                "cgroupDriver": "cgroupfs",
                "cgroupsPerQOS": False,
                "enforceNodeAllocatable": [],
                "failSwapOn": False,
                "failCgroupV1": False,
                "resolvConf": str(DIR / "resolv.conf"),
                "evictionHard": {
                    "memory.available": "50Mi",
                    "nodefs.available": "0%",
                    "imagefs.available": "0%",
                    "nodefs.inodesFree": "0%",
                },
                "imageGCHighThresholdPercent": 100,
                "imageGCLowThresholdPercent": 99,
                "maxPods": 400,
                "kubeAPIQPS": 200,
                "kubeAPIBurst": 400,
                "serializeImagePulls": False,
                "podLogsDir": str(DIR / "pods-log"),
            }
        )
    )
    start(
        "kubelet",
        node,
        "kubelet",
        "--kubeconfig",
        KUBECONFIG,
        "--config",
        DIR / "kubelet.yaml",
        "--hostname-override",
        "flowcore-node",
        "--node-ip",
        API_IP,
        "--root-dir",
        DIR / "kubelet",
    )
    wait("node", _ready)
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    apply(
        json.dumps(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "provisioner": "kubernetes.io/host-path",
                "metadata": {"name": "standard", "annotations": default},
            }
        )
    )
    wait("default service account", lambda: api("/api/v1/namespaces/default/serviceaccounts/default"))


def node_down() -> None:
    """Stop every part, kill what runs in pods, forget the state."""
    if running("kube-apiserver") and KUBECONFIG.exists():
        kubectl("delete", "pods", "--all", "-A", "--grace-period=0", "--force", "--wait=false", check=False, quiet=True)
    for name in SERVICES:
        if name == "containerd" and running("containerd"):
            for task in out("ctr", "-a", SOCK, "-n", "k8s.io", "tasks", "ls", "-q").split():
                sh("ctr", "-a", SOCK, "-n", "k8s.io", "tasks", "kill", "-s", "SIGKILL", task, check=False, quiet=True)
        stop(name, timeout=5)
    for line in Path("/proc/mounts").read_text().splitlines()[::-1]:
        mount = line.split()[1]
        if mount.startswith((str(DIR / "kubelet"), "/run/flowcore-containerd")):
            sh("umount", "-l", mount, check=False, quiet=True)
    for state in ("etcd", "kubelet", "pods-log"):
        shutil.rmtree(DIR / state, ignore_errors=True)
