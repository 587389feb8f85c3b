"""What the engine is asked for: one attempt as the body of a container's creation. Pure, no engine is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from flowcore.plugin import Mount, Volume, parse_quantity
from flowcore_local.launcher import Launch

RUN: Final = "flowcore.run"
STEP: Final = "flowcore.step"
ATTEMPT: Final = "flowcore.attempt"
SEQ: Final = "flowcore.seq"
"""Labels of what a run has on the engine. ``flowcore.seq`` numbers the attempts of the whole run."""
MEMORY_MINIMUM: Final = 6 * 1024 * 1024
"""Bytes; the engine refuses less."""
_NAME: Final = re.compile(
    r"(?:[a-zA-Z0-9][a-zA-Z0-9.-]*(?::[0-9]+)?/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
    r"(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?",
    re.ASCII,
)


@frozen
class Machine:
    """What matters of the engine's machine."""

    processors: int
    init: bool
    """Whether it has the small init."""


def is_image(name: str) -> bool:
    """Whether the name is one that an image can have (the OCI distribution reference's grammar)."""
    return _NAME.fullmatch(name) is not None


def split_image(name: str) -> tuple[str, str]:
    """An image's repository, and its tag or digest."""
    if "@" in name:
        repository, _, digest = name.partition("@")
        return repository, digest
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, "latest")


def container_name(run: str, seq: int) -> str:
    return f"{run}-{seq}"


def volume_name(run: str, volume: str) -> str:
    return f"{run}-{volume}"


def volume_of(mount: Mount, source: Volume, run: str, claims: Mapping[str, str]) -> str | None:
    """The engine's volume that a mount means; None if it is a folder, or nobody's but the container's own."""
    if source.kind == "size":
        return volume_name(run, mount.volume)
    if source.kind == "claim" and not claims.get(source.value, "/").startswith("/"):
        return claims[source.value]
    return None


def folder_of(source: Volume, claims: Mapping[str, str]) -> str | None:
    """The folder of the engine's machine that a volume stands for."""
    if source.kind == "host_path":
        return source.value
    place = claims.get(source.value, "") if source.kind == "claim" else ""
    return place if place.startswith("/") else None


def mount_entry(target: str, mount: Mount, place: str | None, labels: Mapping[str, str]) -> dict[str, Any]:
    """A mount in the engine's words; ``place`` is its volume's name or its folder, None for one of the container's own.

    A folder that is not there is refused by the engine (Docker Engine API, Mount: type bind).
    """
    entry: dict[str, Any] = {"Target": target, "ReadOnly": mount.read_only}
    if place is not None and place.startswith("/"):
        path = f"{place.rstrip('/')}/{mount.sub_path}" if mount.sub_path else place
        return entry | {"Type": "bind", "Source": path}
    return entry | {"Type": "volume", "Source": place or "", "VolumeOptions": {"Labels": dict(labels)}}


def body(
    launch: Launch,
    image: str,
    mounts: Sequence[Mapping[str, Any]],
    binds: Sequence[str],
    labels: Mapping[str, str],
    network: str,
    machine: Machine,
) -> dict[str, Any]:
    """The body of a container's creation (Docker Engine API, ContainerCreate)."""
    step = launch.step
    host: dict[str, Any] = {
        "Mounts": list(mounts),
        "Binds": list(binds),
        # As process 1 a program is deaf to TERM unless it says otherwise; with a small init before it, it is not.
        "Init": machine.init,
        "LogConfig": {"Type": "json-file", "Config": {}},
    }
    if network:
        host["NetworkMode"] = network
    if launch.memory is not None:
        host["Memory"] = host["MemorySwap"] = launch.memory
    if "cpu" in step.resources:
        # More than the machine has is no limit, and the engine refuses it.
        wanted = min(float(parse_quantity(step.resources["cpu"])), machine.processors)
        host["NanoCpus"] = max(int(wanted * 10**9), 10**7)
    if "gpu" in step.resources:
        count = int(parse_quantity(step.resources["gpu"]))
        host["DeviceRequests"] = [{"Driver": "", "Count": count, "Capabilities": [["gpu"]]}]
    made: dict[str, Any] = {
        "Image": image,
        "Env": [f"{name}={value}" for name, value in launch.env.items()],
        "Labels": {**step.labels, **labels},
        "HostConfig": host,
    }
    if launch.entry_point:
        made["Cmd"] = list(launch.argv) or None
    else:
        made["Entrypoint"] = list(launch.argv[:1])
        made["Cmd"] = list(launch.argv[1:])
    if step.working_dir is not None:
        made["WorkingDir"] = step.working_dir
    if step.user is not None:
        made["User"] = step.user
    return made
