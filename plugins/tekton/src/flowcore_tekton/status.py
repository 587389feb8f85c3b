"""What Tekton says of one attempt of a step, in flowcore's words. The first row that fits wins. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from flowcore.plugin import BAD_OUTPUT, Phase, Reason
from flowcore_kubernetes import EVICTED, Cause, cause_of, cause_of_text, seconds
from flowcore_tekton.places import MAIN, SAID, STATUS

P = Phase

Status = Mapping[str, Any]
"""The status of a TaskRun, or of one of its earlier attempts."""


@frozen
class Row:
    """One row: Tekton's reason and message of the attempt, why its main step ended and with which exit code, and what
    that is here."""

    reason: str
    message: str
    main: str
    code: str
    phase: Phase
    word: Reason | None
    says: str = ""
    """The message for people; empty: Tekton's own."""


ENDS: Final[tuple[Row, ...]] = (
    Row("Succeeded", "", "", "", P.SUCCEEDED, None),
    Row("TaskRunCancelled", "timed out", "", "", P.CANCELLED, "run-timeout", "the run's time is over"),
    Row("TaskRunCancelled", "", "", "", P.CANCELLED, "cancelled", "the run was cancelled"),
    Row("TaskRunTimeout", "", "", "", P.FAILED, "timeout", "its time is over"),
    Row("StepOOM|InitContainerOOM", "", "", "", P.FAILED, "out-of-memory", "it was killed: out of memory"),
    Row("", "", "OOMKilled", "", P.FAILED, "out-of-memory", "it was killed: out of memory"),
    Row("", "", "TimeoutExceeded", "", P.FAILED, "timeout", "its time is over"),
    Row("PodEvicted", "", "", "", P.ERROR, "lost"),
    Row("FailureIgnored", EVICTED, "", "", P.ERROR, "lost"),
    Row("TaskRunImagePullFailed", "", "", "", P.ERROR, "image"),
    Row("", "", "", str(BAD_OUTPUT), P.FAILED, "output", "an output cannot be what was declared; the log says which"),
    Row("", "", "Error|Continued", "-1", P.FAILED, "exit-code", "a signal ended it"),
    Row("", "", "Error|Continued", r"[1-9]\d*", P.FAILED, "exit-code", "it ended with exit code {code}"),
    Row("", "", "", "", P.ERROR, "backend"),
)
"""How an attempt ended, where its own helpers did not say it. The last row takes what nobody has seen yet."""

_SAYS: Final = {"exit-code": "it ended with exit code {code}", "timeout": "its time is over"}
_KILLED: Final = 137
"""The exit code of a process that a signal ended: Tekton does not tell which, and it nearly always is KILL."""
_GIVEN_UP: Final = re.compile(r"flowcore, ([a-z-]+): (.*)", re.S)


@frozen
class End:
    """How an attempt ended."""

    phase: Phase
    reason: Reason | None = None
    message: str | None = None
    exit_code: int | None = None
    ran: bool = True
    """Whether its process was started, or would have been."""


def given_up(cause: Cause) -> str:
    """The message with which a pod is declared failed that did not start."""
    return f"flowcore, {cause.reason}: {cause.message}"


def main_of(status: Status) -> Mapping[str, Any]:
    """The state of the step that is the document's process."""
    return next((step for step in status.get("steps") or () if step["name"] == MAIN), {})


def has_begun(status: Status) -> bool:
    """Whether the document's process has been started: containers start together, and wait for those before them."""
    for step in status.get("steps") or ():
        if step["name"] == MAIN:
            skipped = step.get("terminationReason") == "Skipped"
            return not skipped and _time(step, "startedAt") is not None
        if "terminated" not in step or step.get("terminationReason") in ("TaskRunCancelled", "TaskRunTimeout"):
            return False
    return False


def began(status: Status) -> float | None:
    """When the document's process started."""
    times = [_time(main_of(status), "startedAt")]
    for step in status.get("steps") or ():
        if step["name"] == MAIN:
            break
        times.append(_time(step, "finishedAt"))
    return max((time for time in times if time is not None), default=seconds(status.get("startTime")))


def ended(status: Status) -> float | None:
    """When the document's process ended, or else the attempt."""
    return _time(main_of(status), "finishedAt") or seconds(status.get("completionTime"))


def results_of(status: Status) -> dict[str, Any]:
    """The results of an attempt, by name."""
    return {each["name"]: each.get("value") for each in status.get("results") or ()}


def end_of(status: Status, condition: Mapping[str, Any]) -> End:
    """How an attempt ended that has."""
    native, message = str(condition.get("reason", "")), str(condition.get("message", ""))
    found = _GIVEN_UP.search(message)
    if found is not None:
        return End(P.ERROR, found[1], found[2], ran=False)  # type: ignore[arg-type]
    if native == "CreateContainerConfigError" or native == "PodCreationFailed":
        cause = _waiting(status) or cause_of_text(message) or Cause("backend", _plain(message))
        return End(P.ERROR, cause.reason, cause.message, ran=False)
    told = results_of(status)
    word = told.get(STATUS)
    if word is not None and native != "TaskRunCancelled":
        said = json.loads(told.get(SAID) or "{}")
        if word == "succeeded":
            return End(P.SUCCEEDED, exit_code=0)
        if word in ("skipped", "unmet"):
            return End(P.SKIPPED, said.get("reason", "when"), said.get("message"), ran=False)
        if "reason" in said:
            phase = P.ERROR if word == "error" else P.FAILED
            reason, code = said["reason"], said.get("exit_code")
            message = said.get("message") or _SAYS.get(reason, reason).format(code=code)
            return End(phase, reason, message, code, reason != "expression")
        if native == "Succeeded":
            native = ""  # softly: it failed, and what comes after it shall decide
    return _by_table(status, native, message)


def _by_table(status: Status, native: str, message: str) -> End:
    main = main_of(status)
    terminated = main.get("terminated") or {}
    why = str(main.get("terminationReason") or terminated.get("reason") or "")
    if terminated.get("reason") == "OOMKilled":
        why = "OOMKilled"
    code = str(terminated.get("exitCode", ""))
    row = next(row for row in ENDS if _fits(row, native, message, why, code))
    if row.phase is P.SUCCEEDED:
        return End(P.SUCCEEDED, exit_code=0)
    said = row.says.format(code=code) if row.says else _plain(message)
    return End(row.phase, row.word, said or row.word, _exit_code(row, code))


def _fits(row: Row, native: str, message: str, main: str, code: str) -> bool:
    return bool(
        (not row.reason or re.fullmatch(row.reason, native))
        and (not row.message or re.search(row.message, message))
        and (not row.main or re.fullmatch(row.main, main))
        and (not row.code or re.fullmatch(row.code, code))
    )


def _exit_code(row: Row, code: str) -> int | None:
    if row.word == "output":
        return 0
    if row.word == "out-of-memory" or (row.word == "exit-code" and row.code == "-1"):
        return _KILLED
    return int(code) if row.word == "exit-code" else None


def why_pending(status: Status, condition: Mapping[str, Any]) -> Cause | None:
    """What keeps an attempt from starting, as far as Tekton says it."""
    native, message = str(condition.get("reason", "")), str(condition.get("message", ""))
    if native == "ExceededNodeResources":
        return Cause("capacity", "no machine can take it")
    if native == "ExceededResourceQuota":
        return Cause("capacity", f"a quota of the namespace is used up: {_plain(message)}")
    return _waiting(status) or cause_of_text(message)


def _waiting(status: Status) -> Cause | None:
    for step in status.get("steps") or ():
        waiting = step.get("waiting") or {}
        cause = cause_of(str(waiting.get("reason") or ""), str(waiting.get("message") or ""))
        if cause is not None:
            return cause
    return None


def _time(step: Mapping[str, Any], field: str) -> float | None:
    for state in ("terminated", "running"):
        if state in step:
            return seconds(step[state].get(field))
    return None


def _plain(text: str) -> str:
    """Tekton's message in one line."""
    return " ".join(text.split())[:500]
