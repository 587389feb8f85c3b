"""How runs are written outside Python: Updates and rows of ``ls`` as JSON, times as RFC 3339 text."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from flowcore.syntax import Json

if TYPE_CHECKING:
    from flowcore.runs import LogLine, RunSummary, StepState, Update


def time_text(seconds: float | None) -> str | None:
    """Seconds since the epoch as RFC 3339 text in UTC, to the millisecond: ``2026-01-31T12:00:00.000Z``."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def step_json(state: StepState) -> dict[str, Json]:
    """One entry of an Update's ``steps``."""
    return {
        "phase": state.phase.value,
        "reason": state.reason,
        "message": state.message,
        "attempts": state.attempts,
        "iteration": state.iteration,
        "started": time_text(state.started),
        "finished": time_text(state.finished),
        "exit_code": state.exit_code,
        "outputs": dict(state.outputs),
    }


def log_json(line: LogLine) -> dict[str, Json]:
    """One entry of an Update's ``logs``; ``gap`` is there only where lines were lost."""
    data: dict[str, Json] = {
        "step": line.step,
        "attempt": line.attempt,
        "time": time_text(line.time),
        "stream": line.stream,
        "line": line.line,
    }
    if line.gap:
        data["gap"] = True
    return data


def update_json(update: Update) -> dict[str, Json]:
    """An Update as design section 10 lays it out; ``more`` is there only while log lines wait."""
    data: dict[str, Json] = {
        "handle": str(update.handle),
        "workflow": update.workflow,
        "phase": update.phase.value,
        "reason": update.reason,
        "message": update.message,
        "done": update.done,
        "cursor": update.cursor,
        "started": time_text(update.started),
        "finished": time_text(update.finished),
        "outputs": dict(update.outputs),
        "steps": {name: step_json(state) for name, state in update.steps.items()},
        "logs": [log_json(line) for line in update.logs],
    }
    if update.more:
        data["more"] = True
    return data


def summary_json(row: RunSummary) -> dict[str, Json]:
    """One row of ``flow ls -o json``."""
    return {
        "handle": str(row.handle),
        "workflow": row.workflow,
        "phase": row.phase.value,
        "started": time_text(row.started),
        "finished": time_text(row.finished),
    }
