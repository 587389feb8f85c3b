"""Kubernetes' words become a reason and a sentence. The words are a real kubelet's and scheduler's (1.34)."""

from __future__ import annotations

from typing import Any

import pytest

from flowcore_kubernetes import Cause, cause_of, cause_of_text, why_by_events, why_never_started, why_waiting

PULL = 'failed to pull and unpack image "x": dial tcp: connection refused'

TEXTS = [
    (f"ErrImagePull: {PULL}", "image", f"the image cannot be had: {PULL}"),
    ('ImagePullBackOff: Back-off pulling image "x"', "image", 'the image cannot be had: Back-off pulling image "x"'),
    ("InvalidImageName: couldn't parse image name", "image", "the image's name is wrong: couldn't parse image name"),
    ("ErrImageNeverPull: Container image is not present", "image", "the image is not on the machine"),
    ('CreateContainerConfigError: secret "a" not found', "secret", 'a secret is missing: secret "a" not found'),
    ("CreateContainerConfigError: couldn't find key k in Secret ns/a", "secret", "a secret is missing: couldn't find"),
    ('CreateContainerConfigError: configmap "a" not found', "secret", "a config map is missing: configmap"),
    (
        "CreateContainerConfigError: couldn't find key k in ConfigMap ns/a",
        "secret",
        "a config map is missing: ",
    ),
    ('Unschedulable: persistentvolumeclaim "a" not found', "claim", "a claim is missing or cannot be bound"),
    (
        "Unschedulable: 0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found",
        "claim",
        "a claim is missing or cannot be bound: 0/1 nodes are available: pod has unbound",
    ),
    (
        "Unschedulable: 0/3 nodes are available: 3 Insufficient cpu. preemption: no victims.",
        "capacity",
        "no machine can take it: 0/3 nodes are available: 3 Insufficient cpu. preemption: no victims",
    ),
    ("CreateContainerConfigError: container has runAsNonRoot and image will run as root", "backend", "the container's"),
    (
        'RunContainerError: failed to start containerd task: exec: "nope": executable file not found in $PATH: unknown',
        "command",
        "the command cannot be started",
    ),
    (
        'task errored: pods "a" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1',
        "capacity",
        "a quota of the namespace is used up",
    ),
    (
        'pods "a" is forbidden: error looking up service account ns/sa: serviceaccount "sa" not found',
        "backend",
        "the service account does not exist",
    ),
]


@pytest.mark.parametrize(("text", "reason", "message"), TEXTS, ids=[text.split(":")[0] for text, _, _ in TEXTS])
def test_a_text_tells_its_cause(text: str, reason: str, message: str) -> None:
    cause = cause_of_text(text)
    assert cause is not None
    assert cause.reason == reason
    assert cause.message.startswith(message)


@pytest.mark.parametrize(
    "text",
    ["", "PodInitializing", "ContainerCreating", "failed to sync secret cache", "main: Error (exit code 3)"],
)
def test_what_passes_by_itself_is_no_cause(text: str) -> None:
    assert cause_of_text(text) is None
    assert cause_of("CreateContainerConfigError", "failed to sync secret cache: timed out") is None


def pod(phase: str = "Pending", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a"}, "status": {"phase": phase, **status}}


def waiting(reason: str, message: str) -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason, "message": message}}}


def event(reason: str, message: str, at: int, kind: str = "Warning") -> dict[str, Any]:
    return {"type": kind, "reason": reason, "message": message, "lastTimestamp": f"2026-01-01T00:00:{at:02}Z"}


def test_a_pull_that_backs_off_says_what_the_last_pull_said() -> None:
    container = waiting("ImagePullBackOff", 'Back-off pulling image "x"')
    events = [
        event("Failed", 'Failed to pull image "x": not found', 2),
        event("Failed", 'Failed to pull image "x": no route', 1),
        event("Failed", "Error: ErrImagePull", 3),
    ]
    assert why_waiting(pod(containerStatuses=[container]), events) == Cause(
        "image", 'the image cannot be had: Failed to pull image "x": not found'
    )
    assert why_waiting(pod(containerStatuses=[container])) == Cause(
        "image", 'the image cannot be had: Back-off pulling image "x"'
    )


def test_an_init_container_keeps_a_pod_too() -> None:
    initial, main = waiting("ErrImagePull", PULL), waiting("PodInitializing", "")
    cause = why_waiting(pod(initContainerStatuses=[initial], containerStatuses=[main]))
    assert cause is not None
    assert cause.reason == "image"


def test_only_events_tell_of_volumes() -> None:
    mount = event("FailedMount", 'MountVolume.SetUp failed for volume "v" : secret "s" not found', 5)
    found = pod(containerStatuses=[waiting("ContainerCreating", "")])
    assert why_waiting(found) is None
    cause = why_waiting(found, [event("Scheduled", "", 1, "Normal"), mount])
    assert cause is not None
    assert cause.reason == "secret"


def test_a_success_takes_an_earlier_warning_back() -> None:
    failed = event("FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu.", 1)
    assert why_by_events([event("Scheduled", "", 2, "Normal"), failed]) is None
    assert why_by_events([event("Scheduled", "", 0, "Normal"), failed]) is not None


def test_events_of_the_newer_kind_are_read() -> None:
    newer = {
        "type": "Warning",
        "reason": "FailedScheduling",
        "message": "0/1 nodes are available",
        "lastTimestamp": None,
    }
    newer["eventTime"] = "2026-01-01T00:00:05.000000Z"
    assert why_by_events([event("Scheduled", "", 1, "Normal"), newer]) is not None


@pytest.mark.parametrize(
    ("events", "overdue", "expected"),
    [
        ([], 10, None),
        ([], 200, "backend"),
        ([event("Pulling", "", 1, "Normal")], 10, None),
        ([event("Pulling", "", 1, "Normal")], 200, "image"),
        ([event("Pulling", "", 1, "Normal"), event("Pulled", "", 2, "Normal")], 200, "backend"),
        ([event("FailedMount", 'secret "s" not found', 1)], 0, "secret"),
    ],
)
def test_a_pod_that_should_have_started_has_a_reason_once_there_was_time_to_say_it(
    events: list[dict[str, Any]], overdue: float, expected: str | None
) -> None:
    cause = why_never_started(pod(), events, overdue)
    assert (None if cause is None else cause.reason) == expected


def test_a_pod_that_runs_waits_for_nothing() -> None:
    assert why_waiting(pod("Running"), [event("FailedMount", 'secret "s" not found', 5)]) is None


def test_a_long_message_is_cut_and_has_one_line() -> None:
    cause = cause_of("ErrImagePull", "a\nb " + "x" * 2000)
    assert cause is not None
    assert len(cause.message) < 500
    assert "\n" not in cause.message
