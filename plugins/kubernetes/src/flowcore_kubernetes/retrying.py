"""When a request is sent again, and when it is given up. Pure decisions; the clock is the caller's."""

from __future__ import annotations

import random
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final

from attrs import frozen

from flowcore_kubernetes.transport import Answer, BrokenError

PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that another try may change."""
_FIRST: Final = 0.2
_LONGEST: Final = 8.0
_TRIES: Final = {500: 5}
"""An internal error may be for ever, so it is not tried as long as the others."""
_UNKNOWN_SECONDS: Final = 3.0
"""A server that never answered yet may be no server at all: a wrong address should say so soon."""


@frozen
class Retries:
    """How long, and how often.

    Args:
        seconds: after the first try, no further one begins later than this.
        jitter: a number from 0 to 1, so that many clients do not come back at the same moment.
    """

    seconds: float = 60.0
    jitter: Callable[[], float] = random.random

    def pause(self, outcome: Answer | BrokenError, tried: int, elapsed: float, known: bool) -> float | None:
        """Seconds to wait before the request is sent again, or None if it shall not be.

        Args:
            outcome: what the last try gave.
            tried: how often it was sent, at least 1.
            elapsed: seconds since the first try began.
            known: whether this server ever answered.
        """
        seconds = self.seconds
        wait = min(_FIRST * 2.0 ** (tried - 1), _LONGEST) * (0.5 + 0.5 * self.jitter())
        if isinstance(outcome, BrokenError):
            if outcome.breach == "tls":
                return None
            if outcome.breach in ("name", "connect", "proxy") and not known:
                seconds = min(seconds, _UNKNOWN_SECONDS)
        elif outcome.status not in PASSING or tried >= _TRIES.get(outcome.status, tried + 1):
            return None
        else:
            wait = max(wait, retry_after(outcome))
        return wait if elapsed + wait <= seconds else None


def retry_after(answer: Answer) -> float:
    """Seconds that the server asks to wait; 0 if it does not."""
    text = (answer.headers.get("Retry-After") or "").strip()
    if text.isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
        now = parsedate_to_datetime(answer.headers.get("Date") or "")
    except (ValueError, TypeError, IndexError):
        return 0.0
    return max(0.0, (until - now).total_seconds())
