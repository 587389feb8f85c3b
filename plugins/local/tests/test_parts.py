"""The small parts: outputs, bays, places, the cache, options."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from flowcore.model import ANY, BOOLEAN, INTEGER, LIST, NUMBER, OBJECT, STRING, Output, Type
from flowcore.syntax import Json
from flowcore_local.bays import Bays
from flowcore_local.cache import Cache
from flowcore_local.options import Options
from flowcore_local.outputs import OUTPUT_BYTES, BadOutput, collect, parse
from flowcore_local.places import data_folder, file_system

# Outputs


@pytest.mark.parametrize(
    ("text", "type", "value"),
    [
        ("x\n", STRING, "x"),
        ("x\n\n", STRING, "x\n"),
        ("x\r\n", STRING, "x\r"),
        ("", STRING, ""),
        (" 7\n\n", INTEGER, 7),
        ("-9223372036854775808", INTEGER, -(2**63)),
        ("7", NUMBER, 7),
        ("7.5e2", NUMBER, 750.0),
        ("true", BOOLEAN, True),
        ('[1, "a"]', LIST, [1, "a"]),
        ('{"a": null}', OBJECT, {"a": None}),
        ("null", ANY, None),
        ('"5"', ANY, "5"),
        (r'"\ud83d\ude00"', ANY, "\U0001f600"),
    ],
)
def test_values_are_typed(text: str, type: Type, value: Json) -> None:
    found = parse("o", text, Output(type))
    assert found == value
    assert found.__class__ is value.__class__


@pytest.mark.parametrize(
    ("text", "type"),
    [
        ("7.0", INTEGER),
        ("1e2", INTEGER),
        ("9223372036854775808", INTEGER),
        ("true", INTEGER),
        ("1", BOOLEAN),
        ("True", BOOLEAN),
        ("NaN", NUMBER),
        ("Infinity", ANY),
        ("1e999", NUMBER),
        ("", INTEGER),
        ("[", LIST),
        ("{}", LIST),
        ("[]", OBJECT),
        ("null", OBJECT),
        ("[" * 100_000, ANY),
        ("word", ANY),
        (r'"\ud800"', ANY),
        (r'{"\udc00": 1}', OBJECT),
        ("1" * 5000, INTEGER),
    ],
)
def test_values_of_another_type_are_bad(text: str, type: Type) -> None:
    with pytest.raises(BadOutput, match="output o must be"):
        parse("o", text, Output(type))


def _collect(folder: Path, outputs: dict[str, Output]) -> dict[str, Json]:
    return collect(outputs, str(folder / "out"), None, (str(folder / "stdout"), 0), str(folder / "kept"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_what_was_not_written_is_its_default_or_bad(out: Path) -> None:
    assert _collect(out.parent, {"o": Output(INTEGER, 3)}) == {"o": 3}
    with pytest.raises(BadOutput, match="output o was not written"):
        _collect(out.parent, {"o": Output()})
    with pytest.raises(BadOutput, match="artifact o was not written"):
        _collect(out.parent, {"o": Output(artifact=True)})


def test_what_cannot_be_a_value_is_bad(out: Path) -> None:
    (out / "folder").mkdir()
    os.mkfifo(out / "pipe")
    (out / "bytes").write_bytes(b"\xff")
    (out / "big").write_bytes(b"x" * (OUTPUT_BYTES + 1))
    for name, said in (("folder", "not a file"), ("pipe", "not a file"), ("bytes", "UTF-8"), ("big", "is the most")):
        with pytest.raises(BadOutput, match=said):
            _collect(out.parent, {name: Output()})
    (out / "fits").write_bytes(b"x" * OUTPUT_BYTES)
    assert _collect(out.parent, {"fits": Output()}) == {"fits": "x" * OUTPUT_BYTES}


def test_artifacts_are_moved_and_found_again(out: Path) -> None:
    (out / "file").write_text("text")
    (out / "tree" / "sub").mkdir(parents=True)
    os.symlink("tree", out / "link")
    outputs = {name: Output(artifact=True) for name in ("file", "link", "tree")}
    first = _collect(out.parent, outputs)
    assert os.listdir(out) == []
    assert not os.path.islink(str(first["link"]))
    assert _collect(out.parent, outputs) == first
    os.symlink("/no/such/place", out / "dangling")
    with pytest.raises(BadOutput, match="not there"):
        _collect(out.parent, {"dangling": Output(artifact=True)})


# Bays


def test_a_bay_is_swept_whatever_was_done_to_it(tmp_path: Path) -> None:
    bays = Bays(tmp_path / "bays")
    bay = bays.take()
    place = Path(bays.path(bay))
    (place / "work" / "deep" / "er").mkdir(parents=True)
    (place / "work" / "deep" / "er" / "file").touch()
    (place / "work" / "deep").chmod(0)
    (place / "work").chmod(0o500)
    (place / "out").rmdir()
    os.symlink("/etc", place / "out")
    bays.give_back(bay)
    assert bays.take() == bay
    for name in ("work", "out"):
        assert os.listdir(place / name) == []
        assert stat.S_IMODE((place / name).lstat().st_mode) == 0o700
    assert os.listdir("/etc")


def test_after_a_takeover_only_bays_in_use_keep_what_is_in_them(tmp_path: Path) -> None:
    bays = Bays(tmp_path / "bays")
    for bay in (bays.take(), bays.take(), bays.take()):
        Path(bays.path(bay), "work", "file").touch()
    again = Bays(tmp_path / "bays")
    again.recover([1])
    assert [again.take(), again.take(), again.take()] == [0, 2, 3]
    assert os.listdir(f"{again.path(1)}/work") == ["file"]
    assert os.listdir(f"{again.path(2)}/work") == []


# Places

MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /mnt/with\040blank rw - nfs4 server:/export rw
31 22 0:41 / /home rw - btrfs /dev/sdb rw
32 31 0:42 / /home/remote rw master:1 - fuse.sshfs me@there: rw
33 22 0:43 / /mnt/over rw - tmpfs tmpfs rw
34 22 0:44 / /mnt/over rw - cifs //server/share rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/var/x", "ext4"),
        ("/home/me", "btrfs"),
        ("/home/remote/x", "fuse.sshfs"),
        ("/home/remotely", "btrfs"),
        ("/mnt/with blank/x", "nfs4"),
        ("/mnt/over", "cifs"),
    ],
)
def test_the_file_system_of_a_path(path: str, kind: str) -> None:
    assert file_system(path, MOUNTS) == kind


def test_the_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_folder("/option") == Path("/option")
    monkeypatch.setenv("FLOWCORE_HOME", "/own")
    assert data_folder() == Path("/own")
    monkeypatch.delenv("FLOWCORE_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert data_folder() == Path("/data/flowcore")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/me")
    assert data_folder() == Path("/home/me/.local/share/flowcore")


# The cache


def test_the_cache_knows_age_and_scope(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.db", "w")
    assert cache.find("s", "k", None, 0) is None
    cache.store("s", "k", {"o": [1]}, 100)
    assert cache.find("s", "k", None, 1e9) == {"o": [1]}
    assert cache.find("s", "k", 50, 150) == {"o": [1]}
    assert cache.find("s", "k", 50, 150.1) is None
    assert cache.find("s", "other", None, 0) is None
    assert cache.find("t", "k", None, 0) is None
    assert Cache(tmp_path / "cache.db", "other").find("s", "k", None, 0) is None


def test_a_broken_cache_never_fails_a_step(tmp_path: Path) -> None:
    (tmp_path / "cache.db").write_bytes(b"this is no database" * 100)
    cache = Cache(tmp_path / "cache.db", "w")
    cache.store("s", "k", {}, 0)
    assert cache.find("s", "k", None, 0) is None
    assert Cache(tmp_path / "no" / "folder" / "cache.db", "w").find("s", "k", None, 0) is None


def test_the_slots_have_a_default() -> None:
    assert Options().slots >= 16
    assert Options(max_parallel=3).slots == 3
