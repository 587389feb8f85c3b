"""What is asked of an engine outside of a run: what it can do, what it would refuse, what of a run is left on it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from attrs import define

from flowcore.plugin import Json, Workflow
from flowcore_docker_local import spec
from flowcore_docker_local.endpoint import Endpoint, find, make_client, unreachable
from flowcore_docker_local.words import spoken
from flowcore_local.fitness import all_steps

if TYPE_CHECKING:
    import docker

    from flowcore_docker_local.options import Files, Options


@define(slots=False)
class Engine:
    """An engine that answered."""

    endpoint: Endpoint
    client: docker.APIClient

    @cached_property
    def info(self) -> Mapping[str, Any]:
        """What it says of itself (Docker Engine API, SystemInfo)."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        try:
            found: Mapping[str, Any] = self.client.info()
        except (DockerException, RequestException) as error:
            raise unreachable(self.endpoint, error) from None
        return found

    @property
    def here(self) -> bool:
        """Whether it runs on this machine and sees its files, as far as can be told."""
        return self.endpoint.socket is not None and self.info.get("Name") == platform.node()

    @property
    def foreign(self) -> str | None:
        """Why nothing of ours can run on it, if so."""
        system = self.info.get("OSType", "linux")
        return (
            None
            if system == "linux"
            else f"the engine at {self.endpoint.host} runs {system} containers, not Linux ones"
        )

    @property
    def rootless(self) -> bool:
        return any("name=rootless" in option for option in self.info.get("SecurityOptions") or ())

    def settings(self, files: Files, folder: str) -> dict[str, Json]:
        """What the launcher of a run with that folder needs to know of it."""
        user = os.geteuid()
        # The engine cannot be told of a path with a colon in it.
        mounted = self.here and ":" not in folder if files == "auto" else files == "mount"
        # Without root on the engine's side, its containers' root is the user who runs the engine.
        owned = None if user == 0 else "0" if self.rootless else str(user)
        return {
            "endpoint": self.endpoint.settings(),
            "version": str(self.client.api_version),
            "processors": int(self.info.get("NCPU") or 1),
            # N/A is what it says when the program cannot be run.
            "init": (self.info.get("InitCommit") or {}).get("ID") != "N/A",
            "mounted": mounted,
            "owned": owned,
        }


def ask(options: Options, environ: Mapping[str, str]) -> Engine:
    """The engine that the options and the environment mean.

    Raises:
        UnreachableError: if it does not answer.
        UsageError: if what says where it is cannot be read.
    """
    endpoint = find(options, environ)
    return Engine(endpoint, make_client(endpoint))


def faults(engine: Engine, workflow: Workflow, options: Options) -> list[str]:
    """What this engine would refuse of a workflow, a sentence each."""
    found = [engine.foreign] if engine.foreign else []
    for name, volume in workflow.volumes.items():
        place = spec.folder_of(volume, options.claims)
        if place is not None and engine.here and not os.path.exists(place):
            found.append(f"volumes.{name}: there is no {place} on this machine; make it, or name another place")
    for flag, resource in (("MemoryLimit", "memory"), ("CpuCfsQuota", "cpu")):
        if engine.info.get(flag) is False:
            names = [str(path[-1]) for path, step in all_steps(workflow) if resource in step.resources]
            if names:
                found.append(
                    f"the engine at {engine.endpoint.host} cannot limit {resource}, as {', '.join(names)} asks; take "
                    f"resources.{resource} out, or give the engine the cgroup controller"
                )
    return found


def remove(options: Options, environ: Mapping[str, str], run: str) -> None:
    """Remove what a run has left: containers with their own volumes, then the run's volumes.

    Raises:
        UnreachableError: if the engine does not answer.
    """
    from docker.errors import APIError
    from requests.exceptions import RequestException

    engine = ask(options, environ)
    client = engine.client
    label = {"label": f"{spec.RUN}={run}"}
    try:
        for container in client.containers(all=True, filters=label):
            _gone(lambda id=container["Id"]: client.remove_container(id, v=True, force=True))
        for volume in client.volumes(filters=label).get("Volumes") or ():
            _gone(lambda name=volume["Name"]: client.remove_volume(name))
    except (APIError, RequestException) as error:
        raise unreachable(engine.endpoint, Exception(spoken(error))) from None


def _gone(remove: Any) -> None:
    from docker.errors import APIError

    try:
        remove()
    except APIError as error:
        if error.status_code not in (404, 409):
            raise  # 404: it is gone; 409: its removal is under way
