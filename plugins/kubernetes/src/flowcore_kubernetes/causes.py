"""Why a pod does not start: from Kubernetes' words to a reason of flowcore and one sentence. Pure.

The words come from a pod's status, from its events, or from what an engine copied of them into a status of its own
(``ImagePullBackOff: Back-off pulling image ...``). The tables are read from the top; the first row that fits wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from flowcore_kubernetes.errors import ForbiddenError, NotFoundError
from flowcore_kubernetes.resources import EVENTS, Object

if TYPE_CHECKING:
    from flowcore.plugin import Reason
    from flowcore_kubernetes.client import Client

_MOST: Final = 400
EVICTED: Final = "low on resource|ephemeral|EmptyDir volume|imminent node shutdown|Preempted"
"""What a machine says of a pod that it would not have any more: engines pass it on as the pod's failure."""


@frozen
class Cause:
    """Why something does not start: ``reason`` as in a Leaf, and a sentence for people."""

    reason: Reason
    message: str


_WORDS: Final[tuple[tuple[str, str, Reason, str], ...]] = (
    # what Kubernetes calls it, what it says, our reason, our beginning of the sentence
    (r"ErrImageNeverPull", r"", "image", "the image is not on the machine, and must not be pulled"),
    (r"InvalidImageName", r"", "image", "the image's name is wrong"),
    (r"ErrImagePull|ImagePullBackOff|RegistryUnavailable|ImageInspectError", r"", "image", "the image cannot be had"),
    (r"", r"failed to pull( and unpack)? image|Back-off pulling image", "image", "the image cannot be had"),
    (
        r"",
        r"secret \"?[^\s\"]+\"? not found|non-existent secret key|find key \S+ in Secret",
        "secret",
        "a secret is missing",
    ),
    (
        r"",
        r"configmap \"?[^\s\"]+\"? not found|non-existent config key|find key \S+ in ConfigMap",
        "secret",
        "a config map is missing",
    ),
    (
        r"",
        r"persistentvolumeclaim \"?[^\s\"]+\"? not found|unbound (immediate )?PersistentVolumeClaim|"
        r"persistentvolumeclaim \"?[^\s\"]+\"? (is )?being deleted|volume node affinity conflict|"
        r"claim \S+ (is )?(not bound|lost)",
        "claim",
        "a claim is missing or cannot be bound",
    ),
    (r"FailedAttachVolume|VolumeResizeFailed", r"", "claim", "a volume cannot be attached"),
    (r"", r"exceeded quota", "capacity", "a quota of the namespace is used up"),
    (
        r"",
        r"service ?account \"?[^\s\"]+\"? not found|error looking up service account",
        "backend",
        "the service account does not exist",
    ),
    (r"Unschedulable|FailedScheduling|SchedulerError", r"", "capacity", "no machine can take it"),
    (r"OutOf\w+|UnexpectedAdmissionError|NodeAffinity|NodePorts", r"", "capacity", "the machine did not take it"),
    (r"", r"\d+/\d+ nodes are available", "capacity", "no machine can take it"),
    (
        r"",
        r"executable file not found|no such file or directory: unknown|permission denied: unknown|"
        r"exec format error|failed to find name in PATH",
        "command",
        "the command cannot be started",
    ),
    (r"CreateContainerConfigError", r"", "backend", "the container's settings do not work"),
    (
        r"CreateContainerError|RunContainerError|StartError|ContainerCannotRun",
        r"",
        "command",
        "the command cannot be started",
    ),
    (r"FailedMount|FailedMapVolume", r"", "claim", "a volume cannot be mounted"),
    (r"FailedCreatePodSandBox|NetworkNotReady", r"", "backend", "the machine cannot set the pod up"),
)

_PASSES: Final = re.compile(r"failed to sync \w+ cache")
"""What a kubelet says that has not looked yet; it tries again."""

_TO_SPEAK: Final = 180.0
"""Seconds that Kubernetes has to say why a pod does not start."""
_SILENT: Final = Cause("backend", "its pod did not start")


def cause_of(word: str, message: str) -> Cause | None:
    """The cause that Kubernetes' word (``ImagePullBackOff``; empty if there is none) and message stand for.

    None if they say nothing that keeps a pod from starting, such as ``PodInitializing``.
    """
    if _PASSES.search(message):
        return None
    for word_pattern, message_pattern, reason, beginning in _WORDS:
        if word_pattern and not re.fullmatch(word_pattern, word):
            continue
        if message_pattern and not re.search(message_pattern, message, re.I):
            continue
        return Cause(reason, _sentence(beginning, message))
    return None


def cause_of_text(text: str) -> Cause | None:
    """As ``cause_of``, for a text that begins with the word: ``Unschedulable: 0/1 nodes are available: ...``."""
    found = re.match(r"\s*(\w+)(?::\s*|$)", text)
    if found is not None:
        cause = cause_of(found[1], text[found.end() :])
        if cause is not None:
            return cause
    return cause_of("", text)


def why_waiting(pod: Mapping[str, Any], events: Iterable[Mapping[str, Any]] = ()) -> Cause | None:
    """Why a pod that has not started does not; None if nothing is known to keep it.

    Args:
        pod: the pod; its own status is enough for images, config errors and capacity.
        events: its events, in any order; missing secrets and config maps in volumes are told nowhere else.
    """
    status = pod.get("status", {})
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (container.get("state") or {}).get("waiting") or {}
        word, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
        cause = cause_of(word, message)
        if cause is not None:
            fuller = _told_by_events(cause, message, events)
            return fuller or cause
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            cause = cause_of(str(condition.get("reason") or ""), str(condition.get("message") or ""))
            if cause is not None:
                return cause
    if status.get("phase") not in (None, "Pending"):
        return None
    return why_by_events(events)


def why_by_events(events: Iterable[Mapping[str, Any]]) -> Cause | None:
    """The cause that the last warning among an object's events tells; a success after it takes it back."""
    found: Cause | None = None
    for event in sorted(events, key=_when):
        if event.get("type") == "Warning":
            cause = cause_of(str(event.get("reason") or ""), str(event.get("message") or ""))
            found = cause or found
        elif event.get("reason") in ("Scheduled", "Pulled", "SuccessfulAttachVolume", "Started"):
            found = None
    return found


def why_never_started(pod: Mapping[str, Any], events: Iterable[Mapping[str, Any]], overdue: float) -> Cause | None:
    """Why a pod has not started that should have; None while Kubernetes may still say it.

    Args:
        overdue: seconds since it should have. A busy machine takes long to look at a pod.
    """
    events = tuple(events)
    cause = why_waiting(pod, events)
    if cause is None and overdue >= _TO_SPEAK:
        return Cause("image", "its image is still being pulled") if _pulls(events) else _SILENT
    return cause


def _pulls(events: Iterable[Mapping[str, Any]]) -> bool:
    """Whether an image was being pulled when the last of a pod's events came."""
    told = [
        str(event["reason"])
        for event in sorted(events, key=_when)
        if event["reason"] in ("Pulling", "Pulled", "Failed", "Created", "Started")
    ]
    return bool(told) and told[-1] == "Pulling"


def events_of(client: Client, object: Mapping[str, Any]) -> tuple[Object, ...]:
    """The events of an object; none where the caller may not see events."""
    metadata = object["metadata"]
    fields = f"involvedObject.uid={metadata['uid']}"
    try:
        return client.list(EVENTS, metadata["namespace"], fields=fields).items
    except (ForbiddenError, NotFoundError):
        return ()


def _told_by_events(cause: Cause, message: str, events: Iterable[Mapping[str, Any]]) -> Cause | None:
    """For a pull that is only said to back off, what the last pull said."""
    if cause.reason != "image" or "failed to pull" in message.lower():
        return None
    pulls = [event for event in events if "failed to pull" in str(event.get("message") or "").lower()]
    return cause_of("ErrImagePull", str(max(pulls, key=_when)["message"])) if pulls else None


def _when(event: Mapping[str, Any]) -> str:
    """When an event happened last; RFC 3339 in UTC sorts as text."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    first = next((time for time in times if time), event.get("metadata", {}).get("creationTimestamp"))
    return str(first or "")


def _sentence(beginning: str, message: str) -> str:
    text = " ".join(message.removeprefix("Error: ").split()).rstrip(".")
    if not text:
        return beginning
    return f"{beginning}: {text if len(text) <= _MOST else text[:_MOST] + '...'}"
