"""Which cluster is meant, as kubectl would say."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from flowcore.plugin import UsageError
from flowcore_kubernetes import Access, KubernetesOptions, find_access

Write = Callable[..., Path]


def config(**more: Any) -> dict[str, Any]:
    """A kubeconfig with one context ``dev``."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "dev",
        "clusters": [{"name": "c", "cluster": {"server": "https://dev:6443/", **more.pop("cluster", {})}}],
        "users": [{"name": "u", "user": more.pop("user", {"token": "t"})}],
        "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u", "namespace": "ads"}}],
        **more,
    }


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(data: object, name: str = "config") -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(data if isinstance(data, str) else json.dumps(data))
        return file

    return write


def find(environ: Mapping[str, str], account: Path = Path("/nowhere"), **options: str) -> Access:
    return find_access(KubernetesOptions(**options), environ, account)  # type: ignore[arg-type]


def test_the_current_context_is_used(write: Write) -> None:
    access = find({"KUBECONFIG": str(write(config()))})
    assert (access.server, access.namespace, access.token) == ("https://dev:6443", "ads", "t")
    assert access.source.startswith("context dev of ")


def test_the_option_kubeconfig_wins_over_the_environment(write: Write) -> None:
    here = write(config(cluster={"server": "https://here"}), "here")
    assert find({"KUBECONFIG": "/nowhere"}, kubeconfig=str(here)).server == "https://here"


def test_the_file_in_the_home_folder_is_the_default(write: Write, tmp_path: Path) -> None:
    write(config(), ".kube/config")
    assert find({"HOME": str(tmp_path)}).server == "https://dev:6443"
    assert find({"HOME": str(tmp_path), "KUBECONFIG": "~/.kube/config"}).server == "https://dev:6443"


def test_the_first_of_several_files_that_names_a_thing_wins(write: Write) -> None:
    first = write({"current-context": "dev", "users": [{"name": "u", "user": {"token": "first"}}]}, "first")
    second = write(config(), "second")
    access = find({"KUBECONFIG": f"{first}::/nowhere:{second}"})
    assert (access.server, access.token) == ("https://dev:6443", "first")


def test_another_context_can_be_named(write: Write) -> None:
    data = config()
    data["contexts"].append({"name": "prod", "context": {"cluster": "c"}})
    access = find({"KUBECONFIG": str(write(data))}, context="prod")
    assert (access.namespace, access.token) == ("default", "")


def test_yaml_is_read_too(write: Write) -> None:
    text = "current-context: a\nclusters:\n- {name: c, cluster: {server: 'https://y'}}\n"
    text += "contexts:\n- {name: a, context: {cluster: c}}\n"
    assert find({"KUBECONFIG": str(write(text))}).server == "https://y"


def test_certificates_are_data_or_files_beside_the_kubeconfig(write: Write) -> None:
    write("CERT", "pki/cert.pem")
    write("KEY", "pki/key.pem")
    data = config(
        cluster={"certificate-authority-data": base64.b64encode(b"CA").decode(), "certificate-authority": "/nowhere"},
        user={"client-certificate": "pki/cert.pem", "client-key": "pki/key.pem"},
    )
    access = find({"KUBECONFIG": str(write(data))})
    assert access.authority == "CA"
    assert access.certificate is not None
    assert (access.certificate.certificate, access.certificate.key) == (b"CERT", b"KEY")


def test_the_rest_of_clusters_and_users_is_read(write: Write) -> None:
    data = config(
        cluster={"insecure-skip-tls-verify": True, "tls-server-name": "api", "proxy-url": "http://proxy:3128"},
        user={"tokenFile": "token", "as": "jane", "as-groups": ["a", "b"], "as-user-extra": {"why": ["x"]}},
    )
    file = write(data)
    access = find({"KUBECONFIG": str(file)})
    assert (access.insecure, access.server_name, access.proxy) == (True, "api", "http://proxy:3128")
    assert access.token_file == str(file.parent / "token")
    assert access.headers == (
        ("Impersonate-User", "jane"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-why", "x"),
    )


def test_a_pod_uses_its_service_account(tmp_path: Path) -> None:
    for name, text in (("token", "t"), ("ca.crt", "CA"), ("namespace", "ads\n")):
        (tmp_path / name).write_text(text)
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443", "HOME": str(tmp_path)}
    access = find(environ, tmp_path)
    assert (access.server, access.namespace, access.authority) == ("https://[fd00::1]:443", "ads", "CA")
    assert access.token_file == str(tmp_path / "token")


def test_a_kubeconfig_wins_over_the_pod(write: Write, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBECONFIG": str(write(config()))}
    assert find(environ, tmp_path).server == "https://dev:6443"


WRONG: dict[str, tuple[object, dict[str, str], str]] = {
    "no-context": (
        {**config(), "current-context": ""},
        {},
        "no current context; set the option context to dev",
    ),
    "no-contexts": ({"kind": "Config"}, {}, "no current context; it has none at all"),
    "unknown-context": (config(), {"context": "prod"}, "no context prod; set the option context to dev"),
    "unknown-cluster": ({**config(), "clusters": []}, {}, "names the cluster c, which is not there"),
    "unknown-user": ({**config(), "users": []}, {}, "names the user u, which is not there"),
    "no-server": (config(cluster={"server": ""}), {}, "has no server"),
    "nameless": ({**config(), "users": [{"user": {}}]}, {}, "an entry of users has no name"),
    "no-yaml": ("{", {}, "is no YAML"),
    "no-config": ("[1]", {}, "is not a kubeconfig"),
    "no-base64": (config(cluster={"certificate-authority-data": "a"}), {}, "certificate-authority-data is not base64"),
    "no-file": (config(cluster={"certificate-authority": "ca"}), {}, "ca cannot be read: No such file or directory"),
    "provider": (config(user={"auth-provider": {"name": "gcp"}}), {}, "auth-provider gcp is not known here; use exec"),
    "exec": (config(user={"exec": {"command": "x"}}), {}, "exec needs a command and an apiVersion"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(case: str, write: Write) -> None:
    data, options, text = WRONG[case]
    with pytest.raises(UsageError) as caught:
        find({"KUBECONFIG": str(write(data))}, **options)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_cluster_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no kubeconfig /nowhere/config; correct the option"):
        find({}, kubeconfig="/nowhere/config")
    with pytest.raises(UsageError, match=r"no cluster is configured: there is no .*\.kube/config, and this is no pod"):
        find({"HOME": str(tmp_path)})
    with pytest.raises(UsageError, match="no cluster is configured: /nowhere/config names no file that exists"):
        find({"KUBECONFIG": "/nowhere/config"})


@pytest.mark.parametrize(
    ("server", "environ", "proxy"),
    [
        ("https://a.corp:6443", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://a.corp:6443", {"https_proxy": "p:1"}, "http://p:1"),
        ("https://a.corp:6443", {"HTTP_PROXY": "http://p:1"}, ""),
        ("http://a.corp", {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        ("https://a.corp", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "b.corp, a.corp"}, ""),
        ("https://a.corp", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".corp"}, ""),
        ("https://a.corp", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*.corp"}, ""),
        ("https://a.corp", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "corp"}, ""),
        ("https://acorp", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "corp"}, "http://p:1"),
        ("https://a.corp", {"HTTPS_PROXY": "http://p:1", "no_proxy": "*"}, ""),
        ("https://a.corp:6443", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.corp:443"}, "http://p:1"),
        ("https://a.corp:6443", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.corp:6443"}, ""),
        ("https://10.1.2.3", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, ""),
        ("https://11.1.2.3", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, "http://p:1"),
        ("https://[fd00::1]", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "fd00::1"}, ""),
        ("https://127.0.0.1:6443", {"HTTPS_PROXY": "http://p:1"}, ""),
        ("https://localhost:6443", {"HTTPS_PROXY": "http://p:1"}, ""),
    ],
)
def test_the_environment_names_a_proxy(server: str, environ: dict[str, str], proxy: str, write: Write) -> None:
    file = write(config(cluster={"server": server}))
    assert find({"KUBECONFIG": str(file), **environ}).proxy == proxy
