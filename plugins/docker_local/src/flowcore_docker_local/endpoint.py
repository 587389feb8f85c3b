"""Where the engine is, found as the docker command finds it, and clients for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, frozen

from flowcore.plugin import UnreachableError, UsageError

if TYPE_CHECKING:
    import docker

    from flowcore_docker_local.options import Options

SOCKETS: Final = (
    "/var/run/docker.sock",
    "{runtime}/docker.sock",
    "{home}/.docker/run/docker.sock",
    "{runtime}/podman/podman.sock",
)
"""Where engines of this machine listen: Docker's, a rootless one's, Docker Desktop's, Podman's."""
ANSWER: Final = 60.0
"""Seconds in which an engine that is well answers anything but a pull."""


@frozen
class Endpoint:
    """An engine's address, and the files for TLS; plain values, so that the settings of a run can hold it."""

    host: str
    ca: str = ""
    cert: str = ""
    key: str = ""
    tls: bool = False
    verify: bool = True

    def settings(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def socket(self) -> str | None:
        """The path of its Unix socket, if it has one."""
        for scheme in ("http+unix://", "unix://"):
            if self.host.startswith(scheme):
                return "/" + self.host[len(scheme) :].lstrip("/")
        return None


def find(options: Options, environ: Mapping[str, str]) -> Endpoint:
    """The engine that the options name, else ``DOCKER_HOST``, ``DOCKER_CONTEXT``, the current context, a known socket.

    Raises:
        UsageError: if a context or a file for TLS is not there.
    """
    if options.host:
        return _secured(options.host, environ)
    if options.context:
        return _of_context(options.context)
    if environ.get("DOCKER_HOST"):
        return _secured(environ["DOCKER_HOST"], environ)
    name = environ.get("DOCKER_CONTEXT") or _current_context(environ)
    if name and name != "default":
        return _of_context(name)
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    places = [place.format(runtime=runtime, home=environ.get("HOME", "")) for place in SOCKETS]
    # Docker's own may be there for others only, beside a rootless one for this user.
    found = [place for place in places if os.path.exists(place)]
    return Endpoint("unix://" + next((place for place in found if os.access(place, os.W_OK)), (found or places)[0]))


def _secured(host: str, environ: Mapping[str, str]) -> Endpoint:
    """An address with TLS where the environment asks for it, as the docker command reads it."""
    folder = environ.get("DOCKER_CERT_PATH", "")
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    if not host.startswith(("tcp://", "https://")) or not (verify or folder):
        return Endpoint(host)
    folder = folder or os.path.join(environ.get("HOME", ""), ".docker")
    files = {name: os.path.join(folder, f"{name}.pem") for name in ("ca", "cert", "key")}
    for file in files.values():
        if not os.path.isfile(file):
            raise UsageError(f"there is no {file}, which DOCKER_TLS_VERIFY or DOCKER_CERT_PATH asks for")
    return Endpoint(host, **files, tls=True, verify=verify)


def _current_context(environ: Mapping[str, str]) -> str:
    import json

    folder = environ.get("DOCKER_CONFIG") or os.path.join(environ.get("HOME", ""), ".docker")
    try:
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            return str(json.load(file).get("currentContext", ""))
    except (OSError, ValueError, AttributeError):
        return ""  # as the docker command: no configuration, or none that it can read


def _of_context(name: str) -> Endpoint:
    from docker.context import ContextAPI
    from docker.errors import DockerException

    try:
        context = ContextAPI.get_context(name)
    except (DockerException, OSError, ValueError, KeyError) as error:
        raise UsageError(f"the docker context {name!r} cannot be read ({error})") from None
    if context is None:
        raise UsageError(f"there is no docker context {name!r}; `docker context ls` lists them")
    tls: Any = context.TLSConfig
    if tls is None:
        return Endpoint(str(context.Host))
    cert, key = tls.cert or ("", "")
    return Endpoint(str(context.Host), str(tls.ca_cert or ""), cert, key, True, bool(tls.verify))


def make_client(endpoint: Endpoint, version: str | None = None) -> docker.APIClient:
    """A client for one thread, for a version of the engine's API; None: the engine's own.

    Raises:
        UnreachableError: if the engine does not answer (where the version is asked of it).
        UsageError: if the address is none.
    """
    from importlib.util import find_spec

    import docker
    from docker.errors import DockerException, TLSParameterError
    from requests.exceptions import RequestException

    if endpoint.host.startswith("ssh://") and find_spec("paramiko") is None:
        raise UsageError(
            f'{endpoint.host} is reached by ssh, which needs one more package: pip install "flowcore-docker-local[ssh]"'
        )
    try:
        tls: Any = False
        if endpoint.tls:
            pair = (endpoint.cert, endpoint.key) if endpoint.cert else None
            tls = docker.tls.TLSConfig(client_cert=pair, ca_cert=endpoint.ca or None, verify=endpoint.verify)
        client = docker.APIClient(
            base_url=endpoint.host,
            tls=tls,
            version=version or docker.constants.MINIMUM_DOCKER_API_VERSION,
            timeout=ANSWER,
            use_ssh_client=True,
            user_agent="flowcore",
        )
        # Else REQUESTS_CA_BUNDLE would be believed more than the engine's own authority (requests issue 3829).
        client.trust_env = False
        if version is None:
            return make_client(endpoint, str(client.version(api_version=False)["ApiVersion"]))
    except TLSParameterError as error:
        raise UsageError(f"the Docker engine's TLS files cannot be used ({cause(error)})") from None
    except (DockerException, RequestException) as error:
        raise unreachable(endpoint, error) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{endpoint.host!r} is not the address of a Docker engine ({error})") from None
    return client


def unreachable(endpoint: Endpoint, error: Exception) -> UnreachableError:
    return UnreachableError(
        f"the Docker engine at {endpoint.host} cannot be reached ({cause(error)}); start it, or say where it is with "
        "DOCKER_HOST, a docker context or the option host"
    )


def cause(error: BaseException) -> str:
    """The innermost reason of an error, without the layers of the libraries around it."""
    words = str(error)
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            words = seen.strerror
        nested = [part for part in seen.args if isinstance(part, BaseException)]
        reason = getattr(seen, "reason", None)
        seen = nested[0] if nested else reason if isinstance(reason, BaseException) else seen.__cause__
    return words
