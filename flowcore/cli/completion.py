"""What the shell offers behind a flag. A fault here offers nothing: completion must never write into a prompt."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable

from click.shell_completion import CompletionItem

MOST = 50


def _quietly(offer: Callable[[], list[CompletionItem]]) -> list[CompletionItem]:
    try:
        return offer()
    except Exception:
        return []


def _starting(names: list[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def backends(incomplete: str) -> list[CompletionItem]:
    """The installed backends, without importing any."""

    def offer() -> list[CompletionItem]:
        from flowcore.registry import installed

        return _starting([plugin.name for plugin in installed()], incomplete)

    return _quietly(offer)


def profiles(incomplete: str) -> list[CompletionItem]:
    """The configured profiles."""

    def offer() -> list[CompletionItem]:
        from flowcore.config import load_config

        return _starting(load_config().profiles(), incomplete)

    return _quietly(offer)


def handles(incomplete: str) -> list[CompletionItem]:
    """``@last`` and the runs of the configured backend."""

    def offer() -> list[CompletionItem]:
        from flowcore.backend import Backend

        return _starting([str(row.handle) for row in itertools.islice(Backend.select().list_runs(), MOST)], incomplete)

    return _starting(["@last"], incomplete) + _quietly(offer)


def params(incomplete: str) -> list[CompletionItem]:
    """The params of the document that stands on the line already; programs are not run for this."""

    def offer() -> list[CompletionItem]:
        from flowcore.document import read_file

        # click forgets the arguments of a line that ends in a flag without its value.
        words = os.environ.get("COMP_WORDS", "").split()
        file = next(
            (word for word in words if word.endswith((".yaml", ".yml", ".json")) and os.path.isfile(word)), None
        )
        if file is None:
            return []
        found = read_file(file).params
        return [
            CompletionItem(f"{name}=", help=param.description)
            for name, param in found.items()
            if f"{name}=".startswith(incomplete)
        ]

    return _quietly(offer)
