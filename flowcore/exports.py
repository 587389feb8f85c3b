"""Public names that are imported when they are first used, so that nobody waits for what they do not use (PEP 562)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy(module: str, names: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` of a module whose names live elsewhere.

    Args:
        module: the module's own name.
        names: public names, parted by blanks, by the module below ``flowcore`` that they come from.
    """
    homes = {name: home for home, listed in names.items() for name in listed.split()}

    def find(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"flowcore.{home}"), name)
        setattr(sys.modules[module], name, value)
        return value

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[module]), *homes})

    return find, listed
