"""What the engine says, as a step's reason and a sentence."""

from __future__ import annotations

import re
from typing import Any, Final

from flowcore.plugin import Reason

STARTS: Final[tuple[tuple[str, Reason], ...]] = (
    (r"No such image|manifest (for .* )?(unknown|not found)|pull access denied", "image"),
    (r"container-init binary not found|rlimit", "backend"),
    (r"executable file not found|exec format error", "command"),
    (r"[Vv]olume|[Mm]ount|bind source path", "claim"),
    (r"(no such file or directory|permission denied|is a directory|not a directory)(: unknown)?$", "command"),
    (r"could not select device driver|no space left|cannot allocate memory|Range of CPUs", "capacity"),
    (r"", "backend"),
)
"""Which reason the engine's refusal of a container is; the last row takes all others."""
INIT: Final = re.compile(
    rb"(?:\[FATAL\s+tini \(\d+\)\] exec (?P<tini>.*) failed: (?P<why>.*)"
    rb"|ERROR \(catatonit:\d+\): failed to exec pid1: (?P<catatonit>.*))\s*\Z"
)
"""What the small init says when the command cannot be started. It ends with 127 or 126 then; old catatonits with 1."""
LOST_SIGNALS: Final = frozenset({"2", "3", "9", "15", "SIGINT", "SIGQUIT", "SIGKILL", "SIGTERM"})
"""Signals with which somebody ends a container through the engine."""
CUT_SHORT: Final = frozenset({137, 143, 255})
"""Exit codes of a container that its engine ended, or whose end the engine did not see."""


def spoken(error: Any) -> str:
    """The engine's own words in an error of the SDK."""
    text = getattr(error, "explanation", None) or str(error)
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return " ".join(str(text).split())


def refusal(words: str) -> Reason:
    """Why the engine made or started no container."""
    return next(reason for pattern, reason in STARTS if re.search(pattern, words))


def not_started(code: int, stderr: bytes) -> str | None:
    """What the init said of a command that cannot be started; None if the code is the command's own."""
    if code not in (1, 126, 127):
        return None
    said = INIT.search(stderr)
    if said is None:
        return None
    parts = {name: text.decode("utf-8", "replace") for name, text in said.groupdict().items() if text is not None}
    if code == 1 and "tini" in parts:
        return None
    if "tini" in parts:
        return f"{parts['tini']} cannot be started in its image: {parts['why']}"
    return f"its command cannot be started in its image: {parts['catatonit']}"


def is_settled(status: int | None, words: str) -> bool:
    """Whether a pull that failed would fail again: the registry was asked, and said no."""
    if status in (400, 401, 403, 404):
        return True
    return (
        re.search(r"unauthorized|denied|not found|manifest unknown|invalid reference|no matching manifest", words)
        is not None
    )
