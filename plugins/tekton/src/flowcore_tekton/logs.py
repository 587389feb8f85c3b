"""A step's own lines, without those of Tekton's entrypoint, which writes to the same log."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from flowcore.plugin import LogLine

_NOISE: Final = re.compile(
    r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (?:Error executing command|Skipping step because|Step was cancelled"
    r"|context deadline exceeded|non-fatal error copying credentials|Termination message is above"
    r"|INFO (?:Step was skipped|Step was canceling|Skipping writing to PostFile)"
    r"|ERROR Error while (?:substituting step|waiting for cancellation))"
)


def without_noise(lines: Iterable[LogLine]) -> tuple[LogLine, ...]:
    """The lines that the step wrote."""
    return tuple(line for line in lines if line.gap or not _NOISE.match(line.line))
