"""How runs and steps are written for people: words, times, tables. Pure; colours are the terminal view's."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from flowcore.runs import LogLine, Phase, StepState, Update
from flowcore.syntax import Json


def print_json(data: Any) -> None:
    """One answer under ``-o json``."""
    click.echo(json_text(data, indent=2))


def json_text(data: Any, indent: int | None = None) -> str:
    """JSON in UTF-8; half a surrogate pair, which UTF-8 cannot hold, turns all that is not ASCII into escapes."""
    text = json.dumps(data, indent=indent, ensure_ascii=False)
    return text if text.isascii() or text == utf8(text) else json.dumps(data, indent=indent)


def utf8(text: str) -> str:
    """Text that can be printed: half a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")


def seconds_text(seconds: float) -> str:
    """A time span as people read it: ``0.4s``, ``12s``, ``3m05s``, ``2h03m``."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours < 48 else f"{hours // 24}d{hours % 24:02}h"


def clock(seconds: float) -> str:
    """A moment as the local time of day."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def moment(seconds: float | None) -> str:
    """A moment as local date and time, or ``-``."""
    return "-" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def span(started: float | None, finished: float | None, now: float | None = None) -> str:
    """How long something took, or takes so far; empty if it has not started."""
    end = finished if finished is not None else now
    return "" if started is None or end is None else seconds_text(end - started)


def why(state: StepState) -> str:
    """The reason and the message of a step, as far as they say more than its phase."""
    return ": ".join(part for part in (reason_text(state), message_text(state)) if part)


def reason_text(state: StepState) -> str:
    """The reason, unless it is the phase again."""
    return state.reason if state.reason is not None and state.reason != state.phase.value else ""


def message_text(state: StepState) -> str:
    """The last line of the message; the exit code where a step that failed by it has none."""
    lines = (state.message or "").strip().splitlines()
    if lines:
        return lines[-1]
    return f"exit code {state.exit_code}" if state.reason == "exit-code" and state.exit_code is not None else ""


def attempt_text(state: StepState) -> str:
    """``attempt 2``, ``iteration 3``; empty for the first attempt of what is done once."""
    parts = [f"iteration {state.iteration}"] if state.iteration is not None else []
    if state.attempts > 1:
        parts.append(f"attempt {state.attempts}")
    return ", ".join(parts)


def state_line(name: str, state: StepState) -> str:
    """A step in one line: ``train[0] failed (attempt 2, timeout): it ran longer than 5 s``."""
    facts = ", ".join(part for part in (attempt_text(state), reason_text(state)) if part)
    line = f"{name} {state.phase}" + (f" ({facts})" if facts else "")
    message = message_text(state)
    return f"{line}: {message}" if message else line


def change_line(name: str, state: StepState, at: float) -> str:
    """One plain line for one change: ``12:00:01 train[0] running``."""
    return f"{clock(at)} {state_line(name, state)}"


def parent_of(name: str) -> str | None:
    """The step that an item or a nested step belongs to: ``pub[0]`` of ``pub[0]/upload``, ``pub`` of ``pub[0]``."""
    if name.endswith("]"):
        return name[: name.rindex("[")]
    head, slash, _ = name.rpartition("/")
    return head if slash else None


def leaves(names: Iterable[str]) -> list[str]:
    """The names that no other name belongs to."""
    listed = list(names)
    parents = {parent_of(name) for name in listed}
    return [name for name in listed if name not in parents]


def ordered(names: Iterable[str]) -> list[str]:
    """Names so that items and nested steps follow what they belong to, items by number."""
    listed = list(names)
    known = set(listed)
    children: dict[str | None, list[str]] = {}
    for name in listed:
        parent = parent_of(name)
        children.setdefault(parent if parent in known else None, []).append(name)
    for parent, below in children.items():
        if parent is not None and below[0].endswith("]"):
            below.sort(key=lambda name: int(name[name.rindex("[") + 1 : -1]))
    result: list[str] = []
    stack = list(reversed(children.get(None, [])))
    while stack:
        name = stack.pop()
        result.append(name)
        stack.extend(reversed(children.get(name, [])))
    return result


def depth_of(name: str) -> int:
    """How deep a name lies: 0 for a step of the document, 1 for its items or inner steps."""
    depth, parent = 0, parent_of(name)
    while parent is not None:
        depth, parent = depth + 1, parent_of(parent)
    return depth


def counts(states: Iterable[StepState]) -> str:
    """``3 succeeded, 1 running, 2 pending``."""
    found: dict[Phase, int] = {}
    for state in states:
        found[state.phase] = found.get(state.phase, 0) + 1
    return ", ".join(f"{found[phase]} {phase}" for phase in Phase if phase in found)


def table(rows: Sequence[Sequence[str]], header: Sequence[str] = ()) -> str:
    """Columns, each as wide as its widest cell; nothing trails a line."""
    lines = [*([header] if header else []), *rows]
    if not lines:
        return ""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def step_table(steps: Mapping[str, StepState], now: float | None = None) -> str:
    """All steps, one a line."""
    rows = [
        (
            "  " * depth_of(name) + name,
            steps[name].phase.value,
            attempt_text(steps[name]),
            span(steps[name].started, steps[name].finished, now),
            why(steps[name]),
        )
        for name in ordered(steps)
    ]
    return table(rows, ("STEP", "PHASE", "ATTEMPT", "TIME", "WHY"))


def outputs_text(outputs: Mapping[str, Json]) -> str:
    """The outputs of a run, one a line; text of several lines is indented below its name."""
    lines = []
    for name, value in outputs.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if "\n" in text.rstrip("\n"):
            lines += [f"{name}:", *(f"  {line}" for line in text.rstrip("\n").split("\n"))]
        else:
            lines.append(f"{name}: {text.rstrip(chr(10))}")
    return utf8("\n".join(lines))


def verdict(update: Update) -> str:
    """One sentence on how a run stands or ended."""
    took = span(update.started, update.finished)
    text = f"{update.workflow} {update.phase}" + (f" in {took}" if took and update.phase.ended else "")
    if update.phase in (Phase.FAILED, Phase.ERROR, Phase.CANCELLED):
        said = update.message or (update.reason if update.reason != update.phase.value else None)
        if said:
            text += f": {said}"
    return text


def log_text(line: LogLine, prefix: bool, times: bool = False) -> str:
    """One log line, with its step in front where several are mixed."""
    text = "... lines were lost here ..." if line.gap and not line.line else line.line
    stamp = f"{moment(line.time)} " if times and line.time is not None else ""
    return f"{stamp}{line.step} | {text}" if prefix else stamp + text
