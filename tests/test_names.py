import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore import names
from flowcore.names import DNS_LABEL, DNS_LABEL_1035, NameRule, Names, mangle, nearest, run_id

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
SHORT = NameRule(24, "abcdefghijklmnopqrstuvwxyz0123456789_", first="abcdefghijklmnopqrstuvwxyz", separator="_")
any_text = st.text(max_size=100)


def test_a_name_that_is_good_stays_as_it_is():
    assert mangle("extract-2", DNS_LABEL) == "extract-2"


def test_a_name_that_had_to_change_keeps_a_readable_part_and_gets_a_hash():
    assert re.fullmatch(r"publish-upload-[0-9a-f]{8}", mangle("publish/upload", DNS_LABEL))
    assert re.fullmatch(r"train-0-[0-9a-f]{8}", mangle("train[0]", DNS_LABEL))


def test_names_that_differ_only_in_dash_and_underscore_stay_apart():
    assert mangle("a_b", DNS_LABEL) != mangle("a-b", DNS_LABEL)


def test_a_long_name_is_cut_to_the_limit():
    assert len(mangle("x" * 64, DNS_LABEL)) == 63


def test_an_origin_that_looks_mangled_is_mangled_too():
    mangled = mangle("A", DNS_LABEL)
    assert mangle(mangled, DNS_LABEL) != mangled


@given(any_text)
def test_every_text_gets_a_name_by_the_rule(origin: str):
    assert LABEL.fullmatch(mangle(origin, DNS_LABEL))
    assert re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", mangle(origin, DNS_LABEL_1035))
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,23}", mangle(origin, SHORT))


@given(st.lists(any_text, unique=True))
def test_names_go_there_and_back_and_never_collide(origins: list[str]):
    table = Names(DNS_LABEL, origins)
    assert [table.back(table.name(origin)) for origin in origins] == origins
    assert len(set(table.table().values())) == len(origins)


def test_equal_hashes_are_told_apart(monkeypatch: pytest.MonkeyPatch):
    real = names.hashlib.sha256

    class Poor:
        def __init__(self, data: bytes) -> None:
            self.data = data

        def hexdigest(self) -> str:
            return "0" * 8 + real(self.data).hexdigest()[8:]

    monkeypatch.setattr(names.hashlib, "sha256", Poor)
    table = Names(DNS_LABEL)
    assert table.name("A/b") == "a-b-00000000"
    assert table.name("a/B") != "a-b-00000000"
    assert table.back(table.name("a/B")) == "a/B"


def test_a_name_that_nobody_asked_for_has_no_origin():
    with pytest.raises(KeyError):
        Names(DNS_LABEL).back("a")


def test_the_id_of_a_run():
    assert re.fullmatch(r"nightly-train-[a-z2-7]{10}", run_id("nightly_train", "key"))
    assert run_id("a", "key") == run_id("a", "key") != run_id("a", "other")
    assert len(run_id("x" * 63, "key")) == 51


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("imgae", "image"),
        ("Image", "image"),
        ("need", "needs"),
        ("pull-policy", "pull_policy"),
        ("zzz", None),
        ("", None),
    ],
)
def test_the_nearest_name(name: str, expected: "str | None"):
    assert nearest(name, ["image", "needs", "pull_policy", "args"]) == expected
