"""How a cluster is reached, as data: read from kubeconfig files, or from the pod that this runs in.

The rules are those of kubectl: files of ``$KUBECONFIG`` are merged and the first one that names a thing wins, paths in
a file are relative to it, and a pod's own service account is used only where no file is.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import field, frozen

from flowcore.plugin import UsageError
from flowcore_kubernetes.options import KubernetesOptions

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where every pod finds its service account."""


@frozen
class Certificate:
    """A client's certificate and its key, as PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


@frozen
class Exec:
    """A program that prints credentials (``client.authentication.k8s.io``)."""

    api_version: str
    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(factory=dict, repr=False)
    hint: str = ""
    interactive: str = "IfAvailable"
    cluster: Mapping[str, Any] | None = None
    """What the program is told of the cluster, if it asks for that."""


@frozen
class Access:
    """Everything that a connection takes."""

    server: str
    """Its URL, without a slash at the end."""
    source: str
    """Where this was read, for messages: ``context dev of ~/.kube/config``."""
    cluster: str = "the cluster"
    """The cluster in few words, for messages about what it refused."""
    namespace: str = "default"
    authority: str = ""
    """Certificates that the server's is checked against, as PEM; empty for those of this machine."""
    insecure: bool = False
    server_name: str = ""
    proxy: str = ""
    token: str = field(default="", repr=False)
    token_file: str = ""
    basic: tuple[str, str] | None = field(default=None, repr=False)
    certificate: Certificate | None = None
    exec: Exec | None = None
    headers: tuple[tuple[str, str], ...] = ()
    """Impersonation, as the API wants it; a name may come more than once."""


def find_access(
    options: KubernetesOptions,
    environ: Mapping[str, str] = os.environ,
    account: Path = SERVICE_ACCOUNT,
) -> Access:
    """The cluster that the options, the environment and the files of this machine name.

    Raises:
        UsageError: if nothing names one, or if what names it is wrong.
    """
    files, given = _files(options, environ)
    present = [file for file in files if file.is_file()]
    if not present:
        if given and options.kubeconfig:
            raise UsageError(f"there is no kubeconfig {given}; correct the option kubeconfig")
        if environ.get("KUBERNETES_SERVICE_HOST") and (account / "token").exists():
            return _in_cluster(environ, account)
        looked = f"{given} names no file that exists" if given else f"there is no {_short(files[0])}"
        raise UsageError(
            f"no cluster is configured: {looked}, and this is no pod of one; set the option kubeconfig or $KUBECONFIG"
        )
    access = _of_config(_merged(present), options, environ)
    if not access.server:
        raise UsageError(f"{access.source} has no server; name another context with the option context")
    return access


def _files(options: KubernetesOptions, environ: Mapping[str, str]) -> tuple[list[Path], str]:
    given = options.kubeconfig or environ.get("KUBECONFIG", "")
    home = environ.get("HOME") or str(Path.home())
    names = [name for name in given.split(os.pathsep) if name] or [os.path.join(home, ".kube", "config")]
    return [Path(home + name[1:] if name == "~" or name.startswith("~/") else name) for name in names], given


# In a pod


def _in_cluster(environ: Mapping[str, str], account: Path) -> Access:
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT") or "443"
    try:
        authority = (account / "ca.crt").read_text()
        space = account / "namespace"
        namespace = space.read_text().strip() if space.exists() else ""
    except OSError as error:
        raise UsageError(f"the service account of this pod cannot be read: {error}") from None
    return Access(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        source="the service account of this pod",
        cluster="this pod's cluster",
        namespace=namespace or "default",
        authority=authority,
        token_file=str(account / "token"),
    )


# Kubeconfig files


@frozen
class _Entry:
    """A named thing of a kubeconfig, and the file that it is from, to which its paths are relative."""

    value: Mapping[str, Any]
    file: Path


@frozen
class _Config:
    clusters: Mapping[str, _Entry]
    users: Mapping[str, _Entry]
    contexts: Mapping[str, _Entry]
    current: str
    source: str


def _merged(files: list[Path]) -> _Config:
    found: dict[str, dict[str, _Entry]] = {"clusters": {}, "users": {}, "contexts": {}}
    current = ""
    for file in files:
        data = _read(file)
        current = current or str(data.get("current-context") or "")
        for key, entries in found.items():
            for entry in data.get(key) or ():
                if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
                    raise UsageError(f"{_short(file)}: an entry of {key} has no name; mend the kubeconfig")
                value = entry.get(key[:-1])
                entries.setdefault(entry["name"], _Entry(value if isinstance(value, Mapping) else {}, file))
    names = ", ".join(_short(file) for file in files)
    return _Config(found["clusters"], found["users"], found["contexts"], current, names)


def _read(file: Path) -> Mapping[str, Any]:
    import yaml

    try:
        data = yaml.load(file.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except OSError as error:
        raise UsageError(f"{_short(file)} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{_short(file)} is no YAML: {' '.join(str(error).split())}") from None
    if data is None:
        return {}
    if not isinstance(data, Mapping) or not all(
        isinstance(data.get(key) or [], list) for key in ("clusters", "users", "contexts")
    ):
        raise UsageError(f"{_short(file)} is not a kubeconfig; correct the option kubeconfig or $KUBECONFIG")
    return data


def _of_config(config: _Config, options: KubernetesOptions, environ: Mapping[str, str]) -> Access:
    name = options.context or config.current
    if not name:
        raise UsageError(
            f"{config.source} has no current context; {_choose(config.contexts, 'set the option context')}"
        )
    context = config.contexts.get(name)
    if context is None:
        raise UsageError(f"{config.source} has no context {name}; {_choose(config.contexts, 'set the option context')}")
    source = f"context {name} of {_short(context.file)}"
    cluster = _named(config.clusters, context.value.get("cluster"), "cluster", source)
    user = _named(config.users, context.value.get("user"), "user", source)
    server = str(cluster.value.get("server") or "").rstrip("/")
    authority = _pem(cluster, "certificate-authority", source)
    insecure = cluster.value.get("insecure-skip-tls-verify") is True
    server_name = str(cluster.value.get("tls-server-name") or "")
    token_file = str(user.value.get("tokenFile") or "")
    basic = (str(user.value.get("username") or ""), str(user.value.get("password") or ""))
    return Access(
        server=server if "://" in server or not server else f"https://{server}",
        source=source,
        cluster=f"the cluster of context {name}",
        namespace=str(context.value.get("namespace") or "default"),
        authority=authority.decode("utf-8", "replace"),
        insecure=insecure,
        server_name=server_name,
        proxy=str(cluster.value.get("proxy-url") or "") or _proxy(server, environ),
        token="" if token_file else str(user.value.get("token") or "") or _id_token(user, source),
        token_file=str(user.file.parent / token_file) if token_file else "",
        basic=basic if basic[0] else None,
        certificate=_certificate(user, source),
        exec=_exec(user, cluster, source),
        headers=_impersonation(user),
    )


def _choose(contexts: Mapping[str, _Entry], what: str) -> str:
    return f"{what} to {' or '.join(contexts)}" if contexts else "it has none at all"


def _named(entries: Mapping[str, _Entry], name: object, what: str, source: str) -> _Entry:
    if not name and what == "user":
        return _Entry({}, Path())
    if isinstance(name, str) and name in entries:
        return entries[name]
    raise UsageError(f"{source} names the {what} {name}, which is not there; mend the kubeconfig")


def _pem(entry: _Entry, key: str, source: str) -> bytes:
    """A certificate or key: as base64 in the file itself, which wins, or in a file of its own."""
    data, name = entry.value.get(f"{key}-data"), entry.value.get(key)
    if data:
        try:
            return base64.b64decode(str(data), validate=False)
        except (binascii.Error, ValueError):
            raise UsageError(f"{source}: {key}-data is not base64; mend the kubeconfig") from None
    if name:
        file = entry.file.parent / str(name)
        try:
            return file.read_bytes()
        except OSError as error:
            raise UsageError(f"{source}: {key} {file} cannot be read: {error.strerror}") from None
    return b""


def _certificate(user: _Entry, source: str) -> Certificate | None:
    certificate = _pem(user, "client-certificate", source)
    return Certificate(certificate, _pem(user, "client-key", source)) if certificate else None


def _exec(user: _Entry, cluster: _Entry, source: str) -> Exec | None:
    given = user.value.get("exec")
    if not isinstance(given, Mapping):
        return None
    version, command = str(given.get("apiVersion") or ""), str(given.get("command") or "")
    if not command or not version:
        raise UsageError(f"{source}: exec needs a command and an apiVersion; mend the kubeconfig")
    if os.sep in command and not os.path.isabs(command):
        command = str(user.file.parent / command)
    told = None
    if given.get("provideClusterInfo"):
        keys = ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url")
        told = {key: cluster.value[key] for key in keys if cluster.value.get(key)}
        authority = _pem(cluster, "certificate-authority", source)
        if authority:
            told["certificate-authority-data"] = base64.b64encode(authority).decode()
        for extension in cluster.value.get("extensions") or ():
            if isinstance(extension, Mapping) and extension.get("name") == "client.authentication.k8s.io/exec":
                told["config"] = extension.get("extension")
    return Exec(
        api_version=version,
        command=command,
        args=tuple(str(word) for word in given.get("args") or ()),
        env={str(each["name"]): str(each.get("value", "")) for each in given.get("env") or ()},
        hint=str(given.get("installHint") or ""),
        interactive=str(given.get("interactiveMode") or "IfAvailable"),
        cluster=told,
    )


def _id_token(user: _Entry, source: str) -> str:
    """The token of the one provider that kubectl still has built in; renewing it is left to kubectl, which keeps it."""
    provider = user.value.get("auth-provider")
    if not isinstance(provider, Mapping):
        return ""
    config = provider.get("config") or {}
    if provider.get("name") != "oidc" or not config.get("id-token"):
        raise UsageError(
            f"{source}: the auth-provider {provider.get('name')} is not known here; "
            "use exec or a token in the kubeconfig"
        )
    return str(config["id-token"])


def _impersonation(user: _Entry) -> tuple[tuple[str, str], ...]:
    value = user.value
    headers = [("Impersonate-User", str(value["as"]))] if value.get("as") else []
    if value.get("as-uid"):
        headers.append(("Impersonate-Uid", str(value["as-uid"])))
    headers += [("Impersonate-Group", str(group)) for group in value.get("as-groups") or ()]
    for key, texts in (value.get("as-user-extra") or {}).items():
        headers += [(f"Impersonate-Extra-{key}", str(text)) for text in texts]
    return tuple(headers)


# Proxies


def _proxy(server: str, environ: Mapping[str, str]) -> str:
    """The proxy that the environment names for a server, as Go reads these variables."""
    parts = urlsplit(server)
    host = parts.hostname or ""
    loopback = host == "localhost" or _is(host, lambda address: address.is_loopback)
    scheme = parts.scheme or "https"
    port = parts.port or (443 if scheme == "https" else 80)
    named = next((environ[name] for name in (f"{scheme.upper()}_PROXY", f"{scheme}_proxy") if environ.get(name)), "")
    bypass = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    if (
        not named
        or loopback
        or any(_bypasses(entry.strip().lower(), host.lower(), port) for entry in bypass.split(","))
    ):
        return ""
    return named if "://" in named else f"http://{named}"


def _bypasses(entry: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY is about a host: ``*``, a network, an address or domain; perhaps with a port."""
    if entry in ("", "*"):
        return entry == "*"
    if "/" in entry:
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
        return _is(host, lambda address: address in network)
    name, colon, tail = entry.rpartition(":")
    if colon and tail.isdigit() and (":" not in name or name.endswith("]")):
        if int(tail) != port:
            return False
        entry = name
    entry = entry.strip("[]")
    if entry.startswith("*."):
        entry = entry[1:]
    return host == entry or host.endswith(entry if entry.startswith(".") else f".{entry}")


def _is(host: str, holds: Callable[[ipaddress.IPv4Address | ipaddress.IPv6Address], bool]) -> bool:
    try:
        return holds(ipaddress.ip_address(host))
    except ValueError:
        return False


def _short(file: Path) -> str:
    """A path as people write it."""
    home = str(Path.home())
    text = str(file)
    return f"~{text[len(home) :]}" if text.startswith(home + os.sep) else text
