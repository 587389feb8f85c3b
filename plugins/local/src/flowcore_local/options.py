"""The options of the backend ``local``, set in a profile or by ``--option``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from attrs import Factory, frozen

BASE: Final = ("PATH", "HOME", "USER", "LANG", "LC_*", "TZ", "TMPDIR", "VIRTUAL_ENV")
"""Variables of the submitter that processes see."""
PENDING_TIMEOUT: Final = 600.0
"""Seconds that a step waits for what it needs to begin, unless it says otherwise (S13b)."""


@frozen
class EngineOptions:
    """What every backend on this engine is told."""

    home: str = ""
    """Folder of runs and caches. Default: ``$FLOWCORE_HOME``, else flowcore in the user's data folder."""
    pass_env: tuple[str, ...] = ()
    """More variables of the submitter's environment that steps see; a trailing ``*`` takes all with that beginning."""
    secrets: Mapping[str, Mapping[str, Mapping[str, str]]] = Factory(dict)
    """Where secrets come from: ``{NAME: {KEY: {env: VARIABLE}}}`` or ``{NAME: {KEY: {file: PATH}}}``."""
    config_maps: Mapping[str, Mapping[str, Mapping[str, str]]] = Factory(dict)
    """Where config maps come from: as secrets, or ``{NAME: {KEY: {value: TEXT}}}``."""
    max_parallel: int = 0
    """Most attempts at once in a run that sets no parallelism. Default: 16, or twice the processors if that is more."""
    grace: float = 10.0
    """Seconds between TERM and KILL."""

    @property
    def slots(self) -> int:
        """How many attempts may run at once, if the workflow does not say."""
        return self.max_parallel if self.max_parallel > 0 else max(16, 2 * (os.cpu_count() or 1))


@frozen
class Options(EngineOptions):
    """How this machine runs workflows."""

    python: str = ""
    """The interpreter of Python steps. Default: the one that submits."""
    debug: bool = False
    """Run the steps one by one in the calling process, so that breakpoints work."""
