"""How the cluster is reached: addresses, keys, the network bridge, kubectl."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from ..place import BIN, DIR
from ..shell import sh

BRIDGE_ADDRESS = "0a:58:0a:f4:00:01"
"""Without one of its own a bridge takes that of a port, and another one when that port goes: pods that know the old one
then talk to nobody for half a minute."""
BRIDGE, POD_NET, GATEWAY, API_IP = "flowcni0", "10.244.0.0/16", "10.244.0.1", "10.96.0.1"
PKI = DIR / "pki"
KUBECONFIG = DIR / "kubeconfig"


def keys() -> None:
    """A certificate authority, the API server's certificate, the key of service accounts, the admin's token."""
    if (PKI / "done").exists():
        return
    PKI.mkdir(parents=True, exist_ok=True)

    def openssl(*args: str) -> None:
        sh("openssl", *args, quiet=True, cwd=PKI)

    openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "365",
        "-subj",
        "/CN=flowcore-ca",
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
    )
    openssl(
        "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=kube-apiserver", "-keyout", "api.key", "-out", "api.csr"
    )
    (PKI / "san").write_text(
        f"subjectAltName=IP:{API_IP},IP:{GATEWAY},IP:127.0.0.1,DNS:localhost,DNS:kubernetes,"
        "DNS:kubernetes.default,DNS:kubernetes.default.svc\n"
    )
    openssl(
        "x509",
        "-req",
        "-in",
        "api.csr",
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "365",
        "-extfile",
        "san",
        "-out",
        "api.crt",
    )
    openssl("genrsa", "-out", "sa.key", "2048")
    openssl("rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")
    (PKI / "tokens.csv").write_text("flowcore-admin-token,admin,admin,system:masters\n")
    (PKI / "done").touch()


def kubeconfig() -> None:
    ca = base64.b64encode((PKI / "ca.crt").read_bytes()).decode()
    KUBECONFIG.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "flowcore",
                "clusters": [
                    {
                        "name": "flowcore",
                        "cluster": {"server": f"https://{API_IP}:443", "certificate-authority-data": ca},
                    }
                ],
                "users": [{"name": "admin", "user": {"token": "flowcore-admin-token"}}],
                "contexts": [{"name": "flowcore", "context": {"cluster": "flowcore", "user": "admin"}}],
            }
        )
    )


def network() -> None:
    if not Path(f"/sys/class/net/{BRIDGE}").exists():
        sh("ip", "link", "add", "name", BRIDGE, "type", "bridge")
    sh("ip", "link", "set", "dev", BRIDGE, "address", BRIDGE_ADDRESS)
    for address in (f"{GATEWAY}/16", f"{API_IP}/32"):
        sh("ip", "address", "replace", address, "dev", BRIDGE)
    sh("ip", "link", "set", BRIDGE, "up")
    cni = DIR / "cni"
    cni.mkdir(parents=True, exist_ok=True)
    (cni / "10-flowcore.conflist").write_text(
        json.dumps(
            {
                "cniVersion": "0.4.0",
                "name": "flowcore",
                "plugins": [
                    {
                        "type": "bridge",
                        "bridge": BRIDGE,
                        "isGateway": True,
                        "ipMasq": False,
                        "ipam": {
                            "type": "host-local",
                            "ranges": [[{"subnet": POD_NET}]],
                            "dataDir": "/run/flowcore-cni",
                            "routes": [{"dst": "0.0.0.0/0"}],
                        },
                    }
                ],
            }
        )
    )


def api(path: str) -> bytes:
    headers = {"Authorization": "Bearer flowcore-admin-token"}
    request = urllib.request.Request(f"https://{API_IP}{path}", headers=headers)
    trust = ssl.create_default_context(cafile=str(PKI / "ca.crt"))
    with urllib.request.urlopen(request, context=trust, timeout=5) as answer:
        return bytes(answer.read())


def kubectl(*args: object, **more: Any) -> subprocess.CompletedProcess[Any]:
    return sh(BIN / "kubenode", "kubectl", "--kubeconfig", KUBECONFIG, *args, **more)


def apply(text: str) -> None:
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=text, text=True, quiet=True)
