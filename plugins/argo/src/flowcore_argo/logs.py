"""A step's own lines, without those of Argo's executor, which writes to the same log."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from flowcore.plugin import LogLine

_NOISE: Final = re.compile(
    r"""time=\S+ level=\S+ msg=.*argo=true|Error: exit status \d+"""
    r"""|\{"time":"[^"]*","level":"DEBUG","msg":"Hydrator config".*\}"""
)


def without_noise(lines: Iterable[LogLine]) -> tuple[LogLine, ...]:
    """The lines that the step wrote."""
    return tuple(line for line in lines if line.gap or not _NOISE.match(line.line))
