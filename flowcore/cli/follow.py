"""Following a run from its start to its end, and what Ctrl-C means meanwhile."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Mapping
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from attrs import evolve

from flowcore.cli import text
from flowcore.cli.app import say
from flowcore.errors import FlowError, UnreachableError
from flowcore.runs import LogLine, Phase, RunHandle, StepState, Update

if TYPE_CHECKING:
    from flowcore.backend import Backend
    from flowcore.cli.views import View

SHORTEST, LONGEST = 0.05, 1.0
"""Seconds between two polls: short while things happen, longer while nothing does."""
TRIES = 8
"""So many polls in a row may find the backend out of reach before following it is given up."""
LAST_LINES = 20
SHOWN_STEPS = 5


class Interrupts:
    """Ctrl-C, counted: the first one is left to the follower, who cancels; the next one ends the program."""

    def __init__(self) -> None:
        self.pressed = threading.Event()
        self._before: signal._HANDLER = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _press(self, _: int, __: FrameType | None) -> None:
        if self.pressed.is_set():
            raise KeyboardInterrupt
        self.pressed.set()


def follow(backend: Backend, handle: RunHandle, view: View, interrupts: Interrupts | None = None) -> Update:
    """Poll until the run is over; the answer has all its steps.

    With ``interrupts``, the first Ctrl-C cancels the run and waits for its end.

    Raises:
        UnreachableError: if the backend stays out of reach; the run itself goes on.
        KeyboardInterrupt: without ``interrupts``, or at the second Ctrl-C.
    """
    steps: dict[str, StepState] = {}
    cursor, pause, missed, cancelling = "", SHORTEST, 0, False
    wake = interrupts.pressed if interrupts is not None else threading.Event()
    try:
        while True:
            if interrupts is not None and wake.is_set() and not cancelling:
                cancelling = True
                say("flow: cancelling the run; Ctrl-C again leaves at once")
                backend.cancel(handle)
                wake = threading.Event()  # the handler of the next Ctrl-C raises, so nothing sets this one
            begun = time.monotonic()
            try:
                update = backend.poll(handle, cursor)
                missed = 0
            except UnreachableError as error:
                missed += 1
                if missed == TRIES:
                    raise
                if missed == 1:
                    say(f"flow: {error}; trying again")
                wake.wait(min(0.25 * 2**missed, 15))
                continue
            cursor = update.cursor
            steps.update(update.steps)
            view.update(update, steps)
            if update.done:
                return evolve(update, steps={name: steps[name] for name in text.ordered(steps)}, logs=())
            pause = SHORTEST if update.steps else min(pause * 1.3, LONGEST)
            # A backend that takes long to answer is not asked more often for it.
            wake.wait(max(pause, 3 * (time.monotonic() - begun)))
    finally:
        view.close()


def tell_failures(backend: Backend, handle: RunHandle, steps: Mapping[str, StepState]) -> None:
    """The last log lines of the steps that went wrong, on stderr."""
    failing = (Phase.FAILED, Phase.ERROR)
    failed = [name for name in text.leaves(steps) if steps[name].phase in failing]
    if not failed:
        return
    shown: dict[str, deque[LogLine]] = {name: deque(maxlen=LAST_LINES) for name in failed[:SHOWN_STEPS]}
    try:
        for line in backend.logs(handle, step=failed[0] if len(shown) == 1 else None):
            lines = shown.get(line.step)
            if lines is None:
                continue
            if lines and lines[-1].attempt != line.attempt:
                lines.clear()  # what the last attempt wrote is what explains the end
            lines.append(line)
    except FlowError as error:
        say(f"flow: the logs cannot be read: {error}")
    for name, lines in shown.items():
        say("\n" + text.state_line(name, steps[name]))
        for line in lines:
            say(f"  {text.log_text(line, prefix=False)}")
        if not lines:
            say("  (it wrote nothing)")
    if len(failed) > len(shown):
        more = len(failed) - len(shown)
        say(f"\nand {more} more; see flow show {handle}")
