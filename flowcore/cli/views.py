"""What ``run`` and ``watch`` show while a run goes on: plain lines, or lines that change on a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from flowcore.cli import text
from flowcore.cli.app import say
from flowcore.runs import Phase, StepState, Update

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.text import Text

LINES = 50
"""Up to so many steps there is a line for each."""
NAMED = 8
"""So many running or failed steps are named where there is no line for each."""

STYLES = {
    Phase.PENDING: ("·", "dim"),
    Phase.RUNNING: ("▸", "bold cyan"),
    Phase.SUCCEEDED: ("✓", "green"),
    Phase.FAILED: ("✗", "bold red"),
    Phase.ERROR: ("!", "bold magenta"),
    Phase.CANCELLED: ("-", "yellow"),
    Phase.SKIPPED: ("~", "dim"),
}


class View(Protocol):
    """Shows a run as it goes."""

    def update(self, update: Update, steps: Mapping[str, StepState]) -> None:
        """Take in what changed; ``steps`` are all steps as they are now."""

    def close(self) -> None:
        """Show nothing more."""


class Quiet:
    """Shows nothing."""

    def update(self, update: Update, steps: Mapping[str, StepState]) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


class Plain:
    """One line on stderr for each change of phase, and for each further attempt."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Phase, int, int | None]] = {}

    def update(self, update: Update, steps: Mapping[str, StepState]) -> None:
        """Print a line for each step that changed, in the order in which it happened."""
        changed = []
        for name, state in update.steps.items():
            mark = (state.phase, max(state.attempts, 1), state.iteration)
            before = self._seen.get(name, (Phase.PENDING, 1, None))
            # An end tells its attempts itself; a step that goes on says when a further one begins.
            if state.phase is not before[0] or (state.phase is Phase.RUNNING and mark != before):
                when = state.finished if state.phase.ended else state.started
                changed.append((when if when is not None else time.time(), name, state))
            self._seen[name] = mark
        for at, name, state in sorted(changed, key=_order):
            say(text.change_line(name, state, at))

    def close(self) -> None:
        """Every line is out already."""


def _order(change: tuple[float, str, StepState]) -> tuple[float, int]:
    """By time; at the same moment a group begins before what is in it, and ends after it."""
    at, name, state = change
    depth = text.depth_of(name)
    return round(at, 3), -depth if state.phase.ended else depth


class Live:
    """Lines that change, on the terminal behind stderr."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live as RichLive

        self._console = console
        self._update: Update | None = None
        self._steps: Mapping[str, StepState] = {}
        self._counted: list[Text] | None = None
        self._live = RichLive(self, console=console, refresh_per_second=4, vertical_overflow="ellipsis")
        self._started = False

    def update(self, update: Update, steps: Mapping[str, StepState]) -> None:
        """Take in the run as it is now; the next refresh shows it."""
        # Counting a large run takes a while, so it is not done again by each refresh.
        self._counted = summary(steps) if len(steps) > self._room() else None
        self._update, self._steps = update, dict(steps)
        if not self._started:
            self._live.start()
            self._started = True

    def close(self) -> None:
        """Leave the last picture on the screen."""
        if self._started:
            self._live.refresh()
            self._live.stop()

    def _room(self) -> int:
        return min(LINES, max(self._console.size.height - 3, 5))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the run; called by rich at each refresh, so that times go on between two polls."""
        if self._update is not None:
            now = time.time()
            yield from self._counted if self._counted is not None else each(self._steps, now)
            if not self._update.done:  # the end has a sentence of its own
                yield total(self._update, now)


def each(steps: Mapping[str, StepState], now: float) -> list[Text]:
    """A styled line for each step, items and nested steps below what they belong to."""
    indented = {name: "  " * text.depth_of(name) + name for name in text.ordered(steps)}
    width = max((len(name) for name in indented.values()), default=0)
    return [_line(steps[name], shown.ljust(width), now) for name, shown in indented.items()]


def summary(steps: Mapping[str, StepState]) -> list[Text]:
    """A styled line for each phase: how many, and which ones of those that run or went wrong."""
    from rich.text import Text

    of_phase: dict[Phase, list[str]] = {}
    for name in text.leaves(steps):
        of_phase.setdefault(steps[name].phase, []).append(name)
    lines = []
    for phase, (sign, style) in STYLES.items():
        names = of_phase.get(phase, [])
        if not names:
            continue
        line = Text(f"{sign} {len(names)} {phase}", style=style, no_wrap=True, overflow="ellipsis")
        if phase in (Phase.RUNNING, Phase.FAILED, Phase.ERROR):
            line.append(": " + ", ".join(names[:NAMED]), style="default")
            if len(names) > NAMED:
                line.append(f" and {len(names) - NAMED} more", style="default")
        lines.append(line)
    return lines


def total(update: Update, now: float) -> Text:
    """The styled line of the run itself."""
    from rich.text import Text

    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(update.workflow, style="bold")
    line.append(f" {update.phase}", style=STYLES[update.phase][1])
    line.append(f" {text.span(update.started, update.finished, now)}")
    return line


def _line(state: StepState, name: str, now: float) -> Text:
    from rich.text import Text

    sign, style = STYLES[state.phase]
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{sign} ", style=style)
    line.append(f"{name}  ")
    line.append(state.phase.value.ljust(9), style=style)
    line.append(f"  {text.span(state.started, state.finished, now):>6}")
    rest = "  ".join(part for part in (text.attempt_text(state), text.why(state)) if part)
    if rest:
        line.append(f"  {rest}", style="dim" if state.phase in (Phase.PENDING, Phase.SKIPPED) else "default")
    return line


def view(quiet: bool = False, plain: bool = False) -> View:
    """The view that fits: changing lines on a terminal, plain lines elsewhere."""
    if quiet:
        return Quiet()
    if plain or not sys.stderr.isatty() or os.environ.get("TERM", "") in ("dumb", ""):
        return Plain()
    from rich.console import Console

    arguments: dict[str, Any] = {"stderr": True, "highlight": False}
    return Live(Console(**arguments))
