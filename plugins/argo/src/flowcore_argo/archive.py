"""Logs of pods that are gone, where Argo archives them (``archiveLogs``): pods that read them show them again."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, Final

from flowcore_argo.places import WORKFLOWS
from flowcore_argo.readers import FOLDER, reader
from flowcore_argo.status import Pod, fnv
from flowcore_kubernetes import AlreadyExistsError, Client, ForbiddenError, LogSource, NotFoundError, Object

_LOG: Final = "main-logs"
_AT_ONCE: Final = 8
"""Logs of one run that are read at the same time."""
_PATIENCE: Final = 600.0
_ENDED: Final = ("Succeeded", "Failed", "Error")


def has_archive(node: Mapping[str, Any]) -> bool:
    """Whether Argo has archived the log of a node."""
    return _archived(node) is not None


def _archived(node: Mapping[str, Any]) -> dict[str, Any] | None:
    for artifact in (node.get("outputs") or {}).get("artifacts") or ():
        if artifact["name"] == _LOG:
            return {key: value for key, value in artifact.items() if key not in ("name", "path", "archive")}
    return None


def shown_again(client: Client, workflow: Object, pods: Iterable[Pod], image: str) -> list[LogSource]:
    """Sources for the logs of pods that are gone, as far as they can be read at once; what is missing is started.

    One whose reader cannot be started, as by somebody who may only look, is lost.
    """
    found = []
    for pod in list(pods)[:_AT_ONCE]:
        name = _reader_of(workflow, pod)
        namespace = workflow["metadata"]["namespace"]
        reading = client.find(WORKFLOWS, name, namespace)
        ended = reading is not None and (reading.get("status") or {}).get("phase") in _ENDED
        if reading is None:
            source = _archived(pod.node) or {}
            command = ["cat", f"{FOLDER}/log"]
            try:
                client.create(WORKFLOWS, reader(workflow, name, "log", source, image, command, _PATIENCE), namespace)
            except AlreadyExistsError:
                pass
            except ForbiddenError:
                ended = True
        found.append(LogSource(pod.node["id"], name, pod.step, pod.attempt, ended=ended))
    return found


def read(client: Client, workflow: Object, pods: Iterable[Pod]) -> None:
    """Take away what has read the logs of these pods."""
    for pod in pods:
        try:
            client.delete(WORKFLOWS, _reader_of(workflow, pod), workflow["metadata"]["namespace"])
        except (NotFoundError, ForbiddenError):
            pass


def _reader_of(workflow: Object, pod: Pod) -> str:
    # 63 characters at most: the name of a Workflow is a label of its pods.
    number = base64.b32encode(fnv(pod.node["id"]).to_bytes(4, "big")).decode()[:7].lower()
    return f"{workflow['metadata']['name']}-log-{number}"
