"""A cursor tells what changed, stays small, and holds no names."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.cursor import Cursor, changed, codes_of
from flowcore.errors import UsageError
from flowcore.fold import Group
from flowcore.runs import Phase, StepState


def group(name: str, phase: Phase = Phase.PENDING, *children: Group, attempts: int = 0) -> Group:
    return Group(name, StepState(phase, attempts=attempts), children)


def names(groups: tuple[Group, ...], codes: bytes) -> list[str]:
    return [found.name for found in changed(groups, codes)]


def test_everything_is_new_to_the_empty_cursor():
    groups = (group("a"), group("b", Phase.RUNNING, group("b[0]"), group("b[1]")))
    assert names(groups, b"") == ["a", "b", "b[0]", "b[1]"]


def test_nothing_changed_against_its_own_codes():
    groups = (group("a"), group("b", Phase.RUNNING, group("b[0]"), group("b[1]", attempts=300)), group("c"))
    assert names(groups, codes_of(groups)) == []


def test_new_items_are_told_and_later_steps_are_not():
    before = (group("a", Phase.PENDING), group("b", Phase.SUCCEEDED))
    after = (group("a", Phase.RUNNING, group("a[0]"), group("a[1]")), group("b", Phase.SUCCEEDED))
    assert names(after, codes_of(before)) == ["a", "a[0]", "a[1]"]


def test_items_that_went_away_do_not_confuse_what_follows():
    before = (group("a", Phase.RUNNING, group("a[0]", Phase.RUNNING, group("a[0]/x"))), group("b"))
    after = (group("a", Phase.SKIPPED), group("b"))
    assert names(after, codes_of(before)) == ["a"]


phases = st.sampled_from(list(Phase))
trees = st.recursive(
    st.builds(lambda phase, attempts: group("x", phase, attempts=attempts), phases, st.integers(0, 500)),
    lambda inner: st.builds(lambda phase, kids: group("x", phase, *kids), phases, st.lists(inner, max_size=4)),
    max_leaves=20,
)


@given(st.lists(trees, max_size=6))
def test_codes_always_match_the_run_they_are_of(groups: list[Group]):
    assert names(tuple(groups), codes_of(tuple(groups))) == []


@given(st.lists(trees, max_size=5), trees, st.lists(trees, max_size=5))
def test_one_changed_step_never_hides_or_touches_another(left: list[Group], middle: Group, right: list[Group]):
    before = (*left, group("m", Phase.PENDING), *right)
    after = (*left, Group("m", StepState(Phase.RUNNING), (middle,)), *right)
    found = names(after, codes_of(before))
    assert found == ["m", *(sub.name for sub in middle.walk())]


def test_a_cursor_of_100_000_steps_in_every_phase_fits():
    mix = random.Random(1)
    groups = tuple(group("x", mix.choice(list(Phase)), attempts=mix.choice((0, 1))) for _ in range(100_000))
    assert len(Cursor("offsets", codes_of(groups)).text()) < 96 * 1024


def test_a_cursor_survives_its_text():
    assert Cursor.parse(Cursor("log ☃", b"\x01\x02").text()) == Cursor("log ☃", b"\x01\x02")
    assert Cursor.parse("") == Cursor()


@pytest.mark.parametrize("text", ["x", "AAAA", "ünïcode", Cursor("a", b"b").text()[:-3]])
def test_a_text_that_is_no_cursor_is_refused(text: str):
    with pytest.raises(UsageError, match="cursor"):
        Cursor.parse(text)
