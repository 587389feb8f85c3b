"""The options of the backend ``docker-local``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal as OneOf

from attrs import Factory, frozen

from flowcore_local import EngineOptions
from flowcore_local.options import PENDING_TIMEOUT

Keep = OneOf["never", "failed", "always"]
Files = OneOf["auto", "mount", "copy"]


@frozen
class Options(EngineOptions):
    """How a Docker engine runs workflows."""

    host: str = ""
    """The engine, as ``unix:///var/run/docker.sock``. Default: as the docker command finds it."""
    context: str = ""
    """The docker command's context that says where the engine is. Default: as the docker command finds it."""
    image: str = "python:3.11"
    """The image of steps that name none."""
    python: str = "python3"
    """The interpreter of Python steps in their images."""
    network: str = ""
    """The network of all containers. Default: the engine's own."""
    claims: Mapping[str, str] = Factory(dict)
    """What a volume's claim stands for: ``{CLAIM: NAME}`` of a volume of the engine, or ``{CLAIM: /absolute/path}``."""
    pending_timeout: float = PENDING_TIMEOUT
    """Seconds that a step waits for its image unless it says otherwise."""
    keep: Keep = "never"
    """Which containers stay after their end, until the run is deleted: ``never``, ``failed`` or ``always``."""
    files: Files = "auto"
    """How files get in and out: ``mount``, ``copy``, or ``auto``: mounted if the engine sees this machine's files."""
    patience: float = 600.0
    """Seconds without an answer of the engine after which the steps that ran on it are lost."""
