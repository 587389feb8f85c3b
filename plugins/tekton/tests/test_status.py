"""What Tekton says of TaskRuns and of tasks without one, as leaves; the words are those of Tekton 1.15."""

from __future__ import annotations

from typing import Any

import pytest

from flowcore.plugin import Leaf, Phase
from flowcore_kubernetes import Cause
from flowcore_tekton.status import given_up
from flowcore_tekton.tracking import Seen
from flowcore_tekton.view import View, view_of

RUN = "run-abc"


def at(second: int) -> str:
    return f"2026-01-01T00:00:{second:02d}Z"


def task(name: str, origin: str = "", kind: str = "", own_when: bool = False, notes: Any = None, **more: Any) -> dict:
    """A task of a pipeline."""
    found = {"flowcore.dev/step": origin or name, **(notes or {})}
    if kind:
        found["flowcore.dev/kind"] = kind
    if own_when:
        found["flowcore.dev/own-when"] = "true"
    return {"name": name, "taskSpec": {"metadata": {"annotations": found}}, **more}


def asked(of: str, *words: str, result: str = "flow-status") -> dict:
    return {"input": f"$(tasks.{of}.results.{result})", "operator": "in", "values": list(words)}


def status(
    reason: str, message: str = "", *, ok: bool | None = False, main: Any = None, results: Any = None, **more: Any
) -> dict:
    """The status of a TaskRun."""
    word = {True: "True", False: "False", None: "Unknown"}[ok]
    found = {
        "conditions": [{"type": "Succeeded", "status": word, "reason": reason, "message": message}],
        "startTime": at(1),
        "podName": "pod",
        "steps": [{"name": "main", **(main or {})}],
        "results": [{"name": name, "type": "string", "value": text} for name, text in (results or {}).items()],
        **more,
    }
    if ok is not None:
        found["completionTime"] = at(9)
    return found


def exited(code: int, why: str = "Error", reason: str = "") -> dict:
    terminated = {"exitCode": code, "reason": reason or why, "startedAt": at(3), "finishedAt": at(5)}
    return {"terminated": terminated, "terminationReason": why}


SUCCEEDED = status("Succeeded", ok=True, main=exited(0, "Completed"))
FAILED = status("StepFailed", '"step-main" exited with code 3: Error', main=exited(3))
RUNNING = status("Running", ok=None, main={"running": {"startedAt": at(3)}})
CANCELLED_BY_RUN = "TaskRun cancelled as the PipelineRun it belongs to has been cancelled."
STOPPED = {**exited(1, "TaskRunCancelled")}


def ran(name: str, state: dict, item: str | None = None, **spec: Any) -> tuple[str, dict]:
    """A TaskRun of a task, by its name."""
    own = f"{RUN}-{name}" + ("" if item is None else f"-{item}")
    labels = {"tekton.dev/pipelineRun": RUN, "tekton.dev/pipelineTask": name}
    params = [] if item is None else [{"name": "i", "value": item}]
    metadata = {"name": own, "namespace": "default", "labels": labels, "annotations": {}}
    return own, {"metadata": metadata, "spec": {"params": params, **spec}, "status": state}


def view(
    tasks: list[dict],
    *runs: tuple[str, dict],
    last: Any = (),
    over: str = "",
    skipped: Any = None,
    notes: Any = None,
    **spec: Any,
) -> View:
    """The view of a run; ``over`` is the reason with which it has ended."""
    condition = {"type": "Succeeded", "status": "Unknown", "reason": "Running", "message": ""}
    if over:
        condition |= {"status": "True" if over in ("Succeeded", "Completed") else "False", "reason": over}
    run = {
        "metadata": {"name": RUN, "namespace": "default", "annotations": notes or {}},
        "spec": {"pipelineSpec": {"tasks": tasks, "finally": list(last)}, **spec},
        "status": {
            "conditions": [condition],
            "skippedTasks": [{"name": name, "reason": reason} for name, reason in (skipped or {}).items()],
        },
    }
    return view_of(Seen(run, dict(runs)))


def leaves(*args: Any, **more: Any) -> dict[str, Leaf]:
    return {leaf.origin: leaf for leaf in view(*args, **more).leaves if not leaf.helper}


ENDS = {
    "succeeded": (SUCCEEDED, (Phase.SUCCEEDED, None, 0)),
    "exit code": (FAILED, (Phase.FAILED, "exit-code", 3)),
    "ignored": (
        status("FailureIgnored", '"step-main" exited with code 3: Error', main=exited(3)),
        (Phase.FAILED, "exit-code", 3),
    ),
    "continued": (status("StepFailed", main=exited(4, "Continued")), (Phase.FAILED, "exit-code", 4)),
    "signal": (status("StepFailed", main=exited(-1, "Continued")), (Phase.FAILED, "exit-code", 137)),
    "step timeout": (status("StepFailed", main=exited(1, "TimeoutExceeded")), (Phase.FAILED, "timeout", None)),
    "task timeout": (
        status("TaskRunTimeout", 'TaskRun "x" failed to finish within "5s"'),
        (Phase.FAILED, "timeout", None),
    ),
    "memory": (status("StepFailed", main=exited(137, "Error", "OOMKilled")), (Phase.FAILED, "out-of-memory", 137)),
    "bad output": (status("StepFailed", main=exited(213)), (Phase.FAILED, "output", 0)),
    "image": (
        status("TaskRunImagePullFailed", 'the step "main" in TaskRun "x" failed to pull the image ""'),
        (Phase.ERROR, "image", None),
    ),
    "secret": (
        status(
            "CreateContainerConfigError",
            "Failed to create pod due to config error",
            main={"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "nope" not found'}},
        ),
        (Phase.ERROR, "secret", None),
    ),
    "account": (
        status(
            "PodCreationFailed",
            'failed to create task run pod "x": serviceaccount "nope" not found. Maybe missing or invalid Task x',
        ),
        (Phase.ERROR, "backend", None),
    ),
    "given up": (
        status("Failed", given_up(Cause("capacity", "no machine can take it: 0/1 nodes are available"))),
        (Phase.ERROR, "capacity", None),
    ),
    "evicted": (status("PodEvicted", "The node was low on resource: memory."), (Phase.ERROR, "lost", None)),
    "evicted, and the run goes on": (
        status("FailureIgnored", "Pod ephemeral local storage usage exceeds the total limit of containers 5Mi. "),
        (Phase.ERROR, "lost", None),
    ),
    "new": (status("SomethingThatNobodyHasSeen", "well"), (Phase.ERROR, "backend", None)),
    "cancelled": (status("TaskRunCancelled", CANCELLED_BY_RUN, main=STOPPED), (Phase.CANCELLED, "cancelled", None)),
    "run timeout": (
        status("TaskRunCancelled", "as the PipelineRun it belongs to has timed out.", main=STOPPED),
        (Phase.CANCELLED, "run-timeout", None),
    ),
    "soft": (
        status("Succeeded", ok=True, main=exited(5, "Continued"), results={"flow-status": "failed"}),
        (Phase.FAILED, "exit-code", 5),
    ),
    "output": (
        status(
            "StepFailed",
            main=exited(0, "Completed"),
            results={"flow-status": "failed", "flow-said": '{"reason":"output","message":"output x","exit_code":0}'},
        ),
        (Phase.FAILED, "output", 0),
    ),
    "program": (
        status("FailureIgnored", results={"flow-status": "error", "flow-said": '{"reason":"command"}'}),
        (Phase.ERROR, "command", None),
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_the_end_of_a_step(name: str) -> None:
    state, expected = ENDS[name]
    leaf = leaves([task("x", "a/x")], ran("x", state))["a/x"]
    assert (leaf.phase, leaf.reason, leaf.exit_code) == expected
    assert leaf.attempts == 1
    assert (leaf.message is None) == (leaf.phase is Phase.SUCCEEDED)


SKIPS = {
    "when": ("skipped", "when", Phase.SKIPPED),
    "unmet": ("unmet", "needs", Phase.SKIPPED),
    "expression": ("error", "expression", Phase.ERROR),
}


@pytest.mark.parametrize("name", SKIPS)
def test_what_a_pod_decided_before_the_process_is_no_attempt(name: str) -> None:
    word, reason, phase = SKIPS[name]
    results = {"flow-status": word, "flow-said": f'{{"reason":"{reason}"}}'}
    state = status("Succeeded", ok=True, main=exited(1, "Skipped"), results=results)
    found = view([task("x")], ran("x", state))
    (leaf,) = found.leaves
    assert (leaf.phase, leaf.reason, leaf.attempts, leaf.started) == (phase, reason, 0, None)
    assert not any(attempt.begun for attempt in found.attempts)


def test_a_step_that_waits_says_why() -> None:
    full = status("ExceededNodeResources", "TaskRun Pod exceeded available resources", ok=None)
    pulls = status(
        "PullImageFailed", "x", ok=None, main={"waiting": {"reason": "ErrImagePull", "message": "not found"}}
    )
    for state, reason in ((full, "capacity"), (pulls, "image"), (status("Pending", ok=None), None)):
        leaf = leaves([task("x")], ran("x", state))["x"]
        assert (leaf.phase, leaf.reason, leaf.attempts) == (Phase.PENDING, reason, 0)
    assert leaves([task("x")], ran("x", {})) == {"x": Leaf("x", Phase.PENDING)}


def test_a_step_that_a_quota_keeps_from_a_pod_waits_since_its_task_run_was_made() -> None:
    name, run = ran("x", status("ExceededResourceQuota", "exceeded quota: none", ok=None, startTime=None, podName=""))
    run["metadata"]["creationTimestamp"] = at(1)
    found = view([task("x")], (name, run))
    assert [(leaf.phase, leaf.reason) for leaf in found.leaves] == [(Phase.PENDING, "capacity")]
    assert [(each.waits, each.since) for each in found.attempts] == [(True, 1767225601.0)]


def test_containers_run_together_but_a_process_only_begins_when_those_before_it_have_ended() -> None:
    begin = {"name": "flow-begin", "running": {"startedAt": at(2)}}
    main = {"name": "main", "running": {"startedAt": at(2)}}
    for first, phase in ((begin, Phase.PENDING), ({"name": "flow-begin", **exited(0)}, Phase.RUNNING)):
        state = status("Running", ok=None, steps=[first, main])
        assert leaves([task("x")], ran("x", state))["x"].phase is phase


def test_attempts_are_counted_and_the_last_one_is_the_step() -> None:
    one = {key: value for key, value in FAILED.items() if key != "retriesStatus"}
    waiting = status("Pending", ok=None, retriesStatus=[one])
    leaf = leaves([task("x", retries=2)], ran("x", waiting))["x"]
    assert (leaf.phase, leaf.reason, leaf.attempts, leaf.started) == (Phase.RUNNING, "retrying", 1, 1767225603.0)
    again = {**RUNNING, "retriesStatus": [one]}
    assert leaves([task("x", retries=2)], ran("x", again))["x"].attempts == 2
    done = {**SUCCEEDED, "retriesStatus": [one, one]}
    found = view([task("x", retries=2)], ran("x", done))
    (leaf,) = found.leaves
    assert (leaf.phase, leaf.attempts, leaf.exit_code) == (Phase.SUCCEEDED, 3, 0)
    assert [(each.number, each.ended) for each in found.attempts] == [(1, True), (2, True), (3, True)]


def test_a_resumed_run_counts_on() -> None:
    notes = {"flowcore.dev/attempt.x": "3"}
    assert leaves([task("x")], ran("x", SUCCEEDED), notes=notes)["x"].attempts == 3


def test_outputs_are_those_of_a_success_and_artifacts_are_places() -> None:
    results = {"flow-status": "succeeded", "n": "7", "long-name": '"a\\u0024b"', "gone": "?"}
    notes = {"flowcore.dev/results": '{"long-name": "long_name"}', "flowcore.dev/artifacts": "file"}
    state = status("Succeeded", ok=True, main=exited(0, "Completed"), results=results)
    leaf = leaves([task("x", "in/x", notes=notes)], ran("x", state))["in/x"]
    assert dict(leaf.outputs) == {"n": 7, "long_name": "a$b", "file": "in/x/file"}
    bad = status("StepFailed", main=exited(1), results={**results, "flow-status": "failed"})
    assert dict(leaves([task("x", notes=notes)], ran("x", bad))["x"].outputs) == {}


def test_items_are_told_by_their_index() -> None:
    each = task("each", matrix={"params": [{"name": "i", "value": ["0", "1"]}]})
    found = leaves([each], ran("each", SUCCEEDED, "0"), ran("each", FAILED, "1"))
    assert {name: leaf.phase for name, leaf in found.items()} == {"each[0]": Phase.SUCCEEDED, "each[1]": Phase.FAILED}
    none = leaves([each], ran("each", SUCCEEDED, "-"))
    assert none == {"each": Leaf("each", Phase.SKIPPED, "empty")}


def test_what_a_deciding_task_says_goes_for_the_whole() -> None:
    items = task("each-items", "each", kind="items")
    each = task("each", matrix={}, when=[asked("each-items", "succeeded")])
    state = status("Succeeded", ok=True, results={"flow-status": "skipped", "flow-said": '{"reason":"empty"}'})
    assert leaves([items, each], ran("each-items", state)) == {"each": Leaf("each", Phase.SKIPPED, "empty")}
    wrong = status("FailureIgnored", results={"flow-status": "error", "flow-said": '{"reason":"expression"}'})
    (leaf,) = leaves([items, each], ran("each-items", wrong)).values()
    assert (leaf.phase, leaf.reason) == (Phase.ERROR, "expression")
    enter = task("in-enter", "in", kind="enter")
    inside = task("in-a", "in/a", when=[asked("in-enter", "succeeded")])
    skipped = status("Succeeded", ok=True, results={"flow-status": "skipped", "flow-said": '{"reason":"when"}'})
    assert leaves([enter, inside], ran("in-enter", skipped)) == {"in": Leaf("in", Phase.SKIPPED, "when")}
    entered = view([enter, inside], ran("in-enter", status("Succeeded", ok=True, results={"flow-status": "succeeded"})))
    assert [(leaf.origin, leaf.phase, leaf.helper) for leaf in entered.leaves] == [("in", Phase.SUCCEEDED, True)]


def test_a_nested_step_goes_on_until_what_it_gives_is_gathered() -> None:
    tasks = [task("in-a", "in/a"), task("in-join", "in", kind="join", runAfter=["in-a"])]
    assert leaves(tasks, ran("in-a", SUCCEEDED))["in"].phase is Phase.PENDING
    state = status("Succeeded", ok=True, results={"flow-status": "succeeded", "o": '"v"'})
    leaf = leaves(tasks, ran("in-a", SUCCEEDED), ran("in-join", state))["in"]
    assert (leaf.phase, dict(leaf.outputs)) == (Phase.SUCCEEDED, {"o": "v"})


def test_what_cannot_be_gathered_is_the_error_of_the_run() -> None:
    each = task("each", matrix={"params": [{"name": "i", "value": ["0"]}]})
    join = task("each-join", "each", kind="join", runAfter=["each"], onError="continue")
    results = {"flow-status": "failed", "flow-said": '{"reason":"output","message":"output o has 9 bytes"}'}
    ends = [ran("each", SUCCEEDED, "0"), ran("each-join", status("FailureIgnored", results=results))]
    assert view([each, join], *ends).error == "what each gives could not be gathered: output o has 9 bytes"
    results = {"flow-status": "failed", "flow-said": '{"reason":"exit-code"}'}
    ends[1] = ran("each-join", status("Succeeded", ok=True, results=results))
    assert view([each, join], *ends).error is None


# Tasks without a TaskRun

NATIVE = [task("a"), task("b", runAfter=["a"]), task("c", runAfter=["b"]), task("d"), task("e", runAfter=["d"])]


def phases(*args: Any, **more: Any) -> dict[str, tuple[Phase, str | None]]:
    return {name: (leaf.phase, leaf.reason) for name, leaf in leaves(*args, **more).items()}


def test_a_failure_reaches_what_is_behind_it_and_stops_the_rest() -> None:
    reasons = dict.fromkeys("bce", "PipelineRun was stopping")
    found = phases(NATIVE, ran("a", FAILED), ran("d", SUCCEEDED), over="Failed", skipped=reasons)
    assert found["b"] == found["c"] == (Phase.SKIPPED, "needs")
    assert found["e"] == (Phase.SKIPPED, "fail-fast")


def test_a_step_whose_needs_go_on_is_undecided() -> None:
    assert set(phases(NATIVE, ran("a", RUNNING), ran("d", SUCCEEDED))) == {"a", "d"}


def test_after_a_cancel_nothing_starts_but_what_was_decided_stays() -> None:
    tasks = [task("a", own_when=False), task("b", own_when=True, when=[asked("a", '"x"', result="o")]), *NATIVE[3:]]
    done = status("Succeeded", ok=True, main=exited(0, "Completed"), results={"o": '"y"'})
    stopped = status("TaskRunCancelled", CANCELLED_BY_RUN, main=STOPPED)
    reasons = dict.fromkeys("be", "PipelineRun was stopping")
    notes = {"flowcore.dev/cancelled": "1767225605.0"}
    run = {"over": "Cancelled", "skipped": reasons, "notes": notes, "status": "CancelledRunFinally"}
    found = phases(tasks, ran("a", done), ran("d", stopped), **run)
    assert found == {
        "a": (Phase.SUCCEEDED, None),
        "b": (Phase.SKIPPED, "when"),
        "d": (Phase.CANCELLED, "cancelled"),
        "e": (Phase.CANCELLED, "cancelled"),
    }
    assert view(tasks, ran("a", done), ran("d", stopped), **run).cancelled


def test_a_pod_that_had_not_started_when_its_run_was_cancelled_is_no_attempt() -> None:
    state = status("TaskRunCancelled", CANCELLED_BY_RUN, steps=[])
    assert leaves([task("x")], ran("x", state), over="Cancelled", status="Cancelled")["x"].attempts == 0


def test_when_the_runs_time_is_over_what_ran_is_cancelled_and_the_rest_skipped() -> None:
    stopped = status("TaskRunCancelled", "cancelled as the PipelineRun it belongs to has timed out.", main=STOPPED)
    never = status("TaskRunCancelled", "cancelled as the PipelineRun it belongs to has timed out.", steps=[])
    reasons = {"e": "PipelineRun Tasks timeout has been reached"}
    found = view([task("d"), task("e", runAfter=["d"]), task("f")], ran("d", stopped), ran("f", never), skipped=reasons)
    assert {leaf.origin: (leaf.phase, leaf.reason) for leaf in found.leaves} == {
        "d": (Phase.CANCELLED, "run-timeout"),
        "e": (Phase.SKIPPED, "run-timeout"),
        "f": (Phase.SKIPPED, "run-timeout"),
    }
    assert found.timed_out


CHECKED = [
    task("a", onError="continue"),
    task("on-failed", onError="continue", when=[asked("a", "failed")]),
    task("on-succeeded", onError="continue", when=[asked("a", "succeeded")]),
    task("behind", onError="continue", when=[asked("on-succeeded", "succeeded")]),
    task("clean", onError="continue", runAfter=["on-succeeded"]),
]


def test_needs_are_told_by_the_status_of_others() -> None:
    state = status("FailureIgnored", main=exited(1, "Continued"), results={"flow-status": "failed"})
    found = phases(CHECKED, ran("a", state))
    assert found == {
        "a": (Phase.FAILED, "exit-code"),
        "on-succeeded": (Phase.SKIPPED, "needs"),
        "behind": (Phase.SKIPPED, "needs"),
    }


def test_a_pod_that_never_started_meets_no_need() -> None:
    state = status("FailureIgnored", given_up(Cause("image", "the image cannot be had")))
    assert phases(CHECKED, ran("a", state))["on-failed"] == (Phase.SKIPPED, "needs")


def test_a_run_that_tekton_could_not_run_is_its_error() -> None:
    found = view([task("a")], over="PipelineValidationFailed")
    assert found.error is not None
    assert "PipelineValidationFailed" in found.error
    assert view(NATIVE, ran("a", FAILED), over="Failed").error is None


def test_on_exit_that_was_ended_by_force_is_cancelled() -> None:
    stopped = status("TaskRunCancelled", CANCELLED_BY_RUN, main=STOPPED)
    found = phases([], ran("bye", stopped), last=[task("bye")], over="Cancelled", status="Cancelled")
    assert found == {"bye": (Phase.CANCELLED, "cancelled")}
