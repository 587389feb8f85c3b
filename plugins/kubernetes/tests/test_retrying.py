"""When a request is sent again: pure decisions."""

from __future__ import annotations

import pytest

from flowcore_kubernetes import Retries
from flowcore_kubernetes.retrying import retry_after
from flowcore_kubernetes.transport import Answer, Breach, BrokenError

RETRIES = Retries(60.0, jitter=lambda: 1.0)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_status_is_tried_again(status: int) -> None:
    assert RETRIES.pause(Answer(status, {}, b""), 1, 0.0, True) == 0.2


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 409, 410, 413, 422, 501])
def test_any_other_status_is_not(status: int) -> None:
    assert RETRIES.pause(Answer(status, {}, b""), 1, 0.0, True) is None


@pytest.mark.parametrize("breach", ["name", "connect", "proxy", "reset", "silence", "short"])
def test_what_broke_is_tried_again(breach: Breach) -> None:
    assert RETRIES.pause(BrokenError(breach, ""), 1, 0.0, True) == 0.2


def test_a_certificate_that_is_not_trusted_stays_so() -> None:
    assert RETRIES.pause(BrokenError("tls", ""), 1, 0.0, True) is None


def test_pauses_double_up_to_a_limit() -> None:
    answer = Answer(503, {}, b"")
    assert [RETRIES.pause(answer, tried, 0.0, True) for tried in range(1, 9)] == [
        0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 8.0, 8.0,
    ]  # fmt: skip
    assert Retries(60.0, jitter=lambda: 0.0).pause(answer, 1, 0.0, True) == 0.1


def test_no_try_begins_after_the_time_is_over() -> None:
    assert RETRIES.pause(Answer(503, {}, b""), 7, 52.0, True) == 8.0
    assert RETRIES.pause(Answer(503, {}, b""), 7, 52.1, True) is None


def test_an_internal_error_is_tried_five_times() -> None:
    assert RETRIES.pause(Answer(500, {}, b""), 4, 0.0, True) is not None
    assert RETRIES.pause(Answer(500, {}, b""), 5, 0.0, True) is None


def test_a_server_that_never_answered_is_given_up_sooner() -> None:
    broken = BrokenError("connect", "")
    assert RETRIES.pause(broken, 4, 5.0, True) is not None
    assert RETRIES.pause(broken, 4, 5.0, False) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0.0),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "soon"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:05 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 5.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:05 GMT"}, 0.0),
    ],
)
def test_the_server_says_how_long_to_wait(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(Answer(429, headers, b"")) == seconds
    pause = RETRIES.pause(Answer(429, headers, b""), 1, 0.0, True)
    assert pause == max(seconds, 0.2)
