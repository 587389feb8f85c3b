"""Durations and quantities."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.units import format_duration, parse_duration, parse_quantity


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("90s", 90),
        ("10m", 600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("2d", 172800),
        ("1d1h", 90000),
        ("250ms", 0.25),
        ("1m500ms", 60.5),
        ("20us", 0.00002),
        ("20µs", 0.00002),
        (" 5s ", 5),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("60", "write 60s"),
        ("1.5", "write 1.5s"),
        ("", "not a duration"),
        ("5x", "not a duration"),
        ("5 s", "not a duration"),
        ("ten", "not a duration"),
        ("-5s", "negative"),
        ("1e3s", "not a duration"),
        ("99999999h", "longer than 100 years"),
        ("٣s", "not a duration"),
    ],
)
def test_what_is_no_duration(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (90, "1m30s"), (3600, "1h"), (5400.0, "1h30m"), (90061, "1d1h1m1s"), (0.25, "250ms"), (1.5, "1.5s")],
)
def test_writing_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.floats(min_value=0, max_value=3e9) | st.integers(0, 3 * 10**9).map(float))
def test_a_written_duration_reads_back_the_same(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan])
def test_what_cannot_be_written(seconds: float) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        format_duration(seconds)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500m", Fraction(1, 2)),
        ("2", 2),
        ("0.5", Fraction(1, 2)),
        ("256Mi", 256 * 2**20),
        ("1Gi", 2**30),
        ("1k", 1000),
        ("1.5G", 1500000000),
        ("1e3", 1000),
        ("2E", 2 * 10**18),
        ("100n", Fraction(1, 10**7)),
    ],
)
def test_quantities(text: str, value: Fraction) -> None:
    assert parse_quantity(text) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a quantity"),
        ("lots", "not a quantity"),
        ("1 Gi", "not a quantity"),
        ("256MB", "write 256M"),
        ("256mib", "write 256Mi"),
        ("5K", "write 5k"),
        ("5x", "the units are"),
        ("-1", "negative"),
    ],
)
def test_what_is_no_quantity(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_quantity(text)
