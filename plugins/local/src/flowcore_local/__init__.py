"""flowcore's backend for this machine: processes, a detached supervisor, SQLite."""

from flowcore_local.backend import EngineBackend
from flowcore_local.local import LocalBackend
from flowcore_local.options import EngineOptions, Options

__all__ = ["EngineBackend", "EngineOptions", "LocalBackend", "Options"]
