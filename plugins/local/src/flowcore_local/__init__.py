"""flowcore's backend for this machine: processes, a detached supervisor, SQLite."""

from flowcore_local.backend import LocalBackend
from flowcore_local.options import Options

__all__ = ["LocalBackend", "Options"]
