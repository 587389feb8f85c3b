"""The pure parts: what is asked of an engine, and what is made of what it says. No engine is needed."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest
from flowcore_docker_local import spec, words
from flowcore_docker_local.archive import pack, unpack
from flowcore_docker_local.endpoint import Endpoint, find
from flowcore_docker_local.images import Layers
from flowcore_docker_local.options import Options
from flowcore_docker_local.streams import Demultiplexer, Lines, there

from flowcore.backend import Backend
from flowcore.document import read_document
from flowcore.errors import FlowError, UsageError


def test_the_sdk_is_imported_only_to_speak_to_an_engine() -> None:
    import subprocess
    import sys

    program = (
        "import sys\nfrom flowcore.backend import Backend\nfrom flowcore.document import read_document\n"
        "w = read_document('flowcore: 1\\nname: a\\nsteps: {b: {image: x, command: [c]}}')\n"
        "Backend.select('docker-local').render(w)\n"
        "print([name for name in ('docker', 'requests', 'urllib3') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "name",
    [
        "busybox",
        "busybox:1",
        "python:3.11",
        "ghcr.io/acme/extract:3",
        "127.0.0.1:5000/team/tool:1",
        "localhost/a/b_c__d-e.f",
        "a@sha256:" + "0" * 64,
        "host:5000/a:tag@sha256:" + "f" * 64,
    ],
)
def test_names_that_images_can_have(name: str) -> None:
    assert spec.is_image(name)


@pytest.mark.parametrize(
    "name",
    ["", "Busybox", "busy box", "a:", ":1", "a/", "/a", "a//b", "a@sha256:00", "a;b", "$(id)", "a\n", "-a", "a:é"],
)
def test_names_that_no_image_can_have(name: str) -> None:
    assert not spec.is_image(name)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("busybox", ("busybox", "latest")),
        ("busybox:1", ("busybox", "1")),
        ("host:5000/a", ("host:5000/a", "latest")),
        ("host:5000/a:2", ("host:5000/a", "2")),
        ("a@sha256:00", ("a", "sha256:00")),
    ],
)
def test_an_image_is_a_repository_and_a_tag(name: str, parts: tuple[str, str]) -> None:
    assert spec.split_image(name) == parts


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("image: 'Not An Image', command: [a]", "'Not An Image' cannot be the name of an image"),
        ("image: a, command: [a], resources: {memory: 5Mi}", "5Mi is less memory than a Docker engine can"),
        ("image: a, command: [a], mounts: {/x: v, /x/: v}", "nothing can be mounted at /x/: /x is the same place"),
        ("image: a, command: [a], mounts: {/: v}", "it is the whole file tree"),
        ("image: a, command: [a], env: {'A=B': c}", "A=B"),
    ],
)
def test_what_no_engine_can_run_is_refused_with_its_place(step: str, said: str) -> None:
    workflow = read_document(f"flowcore: 1\nname: a\nvolumes: {{v: {{size: 1Mi}}}}\nsteps: {{bad: {{{step}}}}}\n")
    with pytest.raises(FlowError, match="bad") as found:
        Backend.select("docker-local").render(workflow)
    assert said in str(found.value)


def test_a_claim_that_stands_for_nothing_is_refused() -> None:
    workflow = read_document(
        "flowcore: 1\nname: a\nvolumes: {v: {claim: c}}\nsteps: {b: {image: a, command: [x], mounts: {/x: v}}}\n"
    )
    with pytest.raises(FlowError, match="nothing says what the claim c stands for"):
        Backend.select("docker-local").render(workflow)
    Backend.select("docker-local", options={"claims": {"c": "/data"}}).render(workflow)


def test_notes_name_the_default_image_and_what_has_no_meaning() -> None:
    workflow = read_document(
        "flowcore: 1\nname: a\nservice_account: x\nsteps: {b: {command: [c], node_selector: {d: e}}}\n"
    )
    notes = Backend.select("docker-local", options={"image": "i"}).render(workflow).notes
    assert any("b: no image is given, so i is used" in note for note in notes)
    assert any("node_selector (b)" in note and "service_account" in note for note in notes)


# Where the engine is


def test_an_engine_is_found_as_the_docker_command_finds_it(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch()
    assert find(Options(host="tcp://a:1"), {**home, "DOCKER_HOST": "unix:///x"}) == Endpoint("tcp://a:1")
    assert find(Options(), {**home, "DOCKER_HOST": "unix:///x"}).socket == "/x"
    secured = find(
        Options(), {**home, "DOCKER_HOST": "tcp://a:2", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    )
    assert (secured.tls, secured.verify, secured.ca) == (True, True, str(tmp_path / "ca.pem"))
    with pytest.raises(UsageError, match=r"ca\.pem"):
        find(Options(), {**home, "DOCKER_HOST": "tcp://a:2", "DOCKER_TLS_VERIFY": "1"})


def test_a_context_says_where_the_engine_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib
    import json

    folder = tmp_path / "contexts/meta" / hashlib.sha256(b"far").hexdigest()
    folder.mkdir(parents=True)
    meta = {"Name": "far", "Metadata": {}, "Endpoints": {"docker": {"Host": "tcp://far:2375", "SkipTLSVerify": False}}}
    (folder / "meta.json").write_text(json.dumps(meta))
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "far"}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert find(Options(), {"DOCKER_CONFIG": str(tmp_path)}).host == "tcp://far:2375"
    assert find(Options(context="far"), {}).host == "tcp://far:2375"
    assert find(Options(), {"DOCKER_CONTEXT": "far"}).host == "tcp://far:2375"
    with pytest.raises(UsageError, match="there is no docker context 'near'"):
        find(Options(context="near"), {})


def test_a_socket_that_is_there_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    podman = tmp_path / "podman"
    podman.mkdir()
    (podman / "podman.sock").touch()
    monkeypatch.setattr("flowcore_docker_local.endpoint.SOCKETS", ("/no/such.sock", "{runtime}/podman/podman.sock"))
    assert find(Options(), {"XDG_RUNTIME_DIR": str(tmp_path)}).socket == str(podman / "podman.sock")


def test_a_socket_that_is_not_for_this_user_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rootless engine of one's own, beside the machine's: Docker's socket is there, for others."""
    for name in ("all", "own"):
        (tmp_path / name).touch()
    monkeypatch.setattr("flowcore_docker_local.endpoint.SOCKETS", (f"{tmp_path}/all", f"{tmp_path}/own"))
    # Whoever is root may use every file.
    monkeypatch.setattr("os.access", lambda place, mode: str(place) != f"{tmp_path}/all")
    assert find(Options(), {}).socket == f"{tmp_path}/own"
    monkeypatch.setattr("os.access", lambda place, mode: False)
    assert find(Options(), {}).socket == f"{tmp_path}/all"


def test_an_engine_that_is_not_there_is_unreachable_in_one_sentence() -> None:
    workflow = read_document("flowcore: 1\nname: a\nsteps: {b: {image: a, command: [c]}}\n")
    backend = Backend.select("docker-local", options={"host": "unix:///no/such/docker.sock"})
    for ask in (backend.probe, lambda: backend.submit(backend.render(workflow))):
        with pytest.raises(FlowError) as found:
            ask()
        assert found.value.exit_code == 3
        assert "unix:///no/such/docker.sock cannot be reached (No such file or directory)" in str(found.value)
        assert "\n" not in str(found.value)


# Streams


def frame(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


class Sorted:
    def __init__(self, folder: Path, skip: Any = ((0, 0), (0, 0))) -> None:
        self.files = [folder / "out", folder / "err"]
        descriptors = [os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for file in self.files]
        self.sorter = Demultiplexer((descriptors[0], descriptors[1]), skip)

    def read(self) -> list[bytes]:
        return [file.read_bytes() for file in self.files]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 1000])
def test_frames_are_sorted_however_they_are_cut(tmp_path: Path, size: int) -> None:
    found = Sorted(tmp_path)
    data = frame(1, b"a\nb") + frame(2, b"\xff\x00") + frame(1, b"") + frame(1, b"c" * 20)
    for start in range(0, len(data), size):
        found.sorter.feed(data[start : start + size])
    assert found.read() == [b"a\nb" + b"c" * 20, b"\xff\x00"]


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize("had", [b"", b"one\n", b"one\ntw", b"one\ntwo\n\xff\xffth", b"one\ntwo\n\xff\xffthree\n"])
def test_an_output_that_comes_again_goes_on_where_the_files_end(tmp_path: Path, size: int, had: bytes) -> None:
    """The engine's record says U+FFFD for what is not UTF-8, so that its bytes are not the output's."""
    whole = b"one\ntwo\n\xff\xffthree\nfour\n"
    file = tmp_path / "had"
    file.write_bytes(b"earlier\n" + had)
    found = Sorted(tmp_path, (there(str(file), 8), (0, 0)))
    record = frame(1, whole.replace(b"\xff", "\ufffd".encode()))
    for start in range(0, len(record), size):
        found.sorter.feed(record[start : start + size])
    text = had + found.read()[0]
    assert text.count(b"\n") == 4
    assert text.endswith(b"four\n")
    if b"\xff" not in had:
        assert text.decode() == whole.decode("utf-8", "replace")


def test_events_are_whole_lines() -> None:
    lines = Lines()
    assert lines.feed(b'{"a": 1}\n{"b"') == [{"a": 1}]
    assert lines.feed(b": 2}\n\n") == [{"b": 2}]


# Archives


def test_files_go_in_and_come_out(tmp_path: Path) -> None:
    (tmp_path / "src/sub").mkdir(parents=True)
    (tmp_path / "src/sub/a").write_text("A")
    (tmp_path / "src/run").write_text("B")
    (tmp_path / "src/run").chmod(0o700)
    os.symlink("sub/a", tmp_path / "src/link")
    archive = io.BytesIO()
    pack(archive, ["/w/out"], [(str(tmp_path / "src"), "/w/in", 0o644)])
    archive.seek(0)
    with tarfile.open(fileobj=archive) as tar:
        entries = {entry.name: entry for entry in tar}
        assert entries["w/out"].mode == 0o777
        assert entries["w/in/sub/a"].mode == 0o644
        assert entries["w/in/run"].mode & 0o111
        assert entries["w/in/link"].linkname == "sub/a"
        assert entries["w"].mode == 0o755


def test_nothing_of_a_container_gets_outside_the_folder(tmp_path: Path) -> None:
    archive = io.BytesIO()
    outside = tmp_path / "outside"
    outside.mkdir()
    with tarfile.open(fileobj=archive, mode="w") as tar:

        def add(name: str, **fields: Any) -> None:
            entry = tarfile.TarInfo(name)
            data = fields.pop("data", b"")
            entry.size = len(data)
            for field, value in fields.items():
                setattr(entry, field, value)
            tar.addfile(entry, io.BytesIO(data))

        add("out", type=tarfile.DIRTYPE, mode=0o777)
        add("out/a", data=b"A", mode=0)
        add("out/evil", type=tarfile.SYMTYPE, linkname=str(outside))
        add("out/evil/x", data=b"X")
        add("out/../../y", data=b"Y")
        add("out/folder", type=tarfile.DIRTYPE, mode=0)
        add("out/folder/b", data=b"B", mode=0o4755)
        add("out/device", type=tarfile.CHRTYPE)
        add("out/unasked", data=b"U")
    archive.seek(0)
    folder = tmp_path / "out"
    folder.mkdir()
    unpack(archive, str(folder), frozenset({"a", "evil", "folder", "device"}))
    assert not list(outside.iterdir())
    assert sorted(entry.name for entry in folder.iterdir()) == ["a", "evil", "folder"]
    assert (folder / "a").read_bytes() == b"A"
    assert stat.S_IMODE((folder / "folder/b").stat().st_mode) == 0o755


# What the engine says


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("No such image: a:1", "image"),
        ('OCI runtime create failed: exec: "x": executable file not found in $PATH: unknown', "command"),
        ('invalid mount config for type "bind": bind source path does not exist: /x', "claim"),
        ("could not select device driver with capabilities: [[gpu]]", "capacity"),
        ("something else", "backend"),
    ],
)
def test_a_refusal_has_a_reason(said: str, reason: str) -> None:
    assert words.refusal(said) == reason


def test_the_init_tells_a_command_that_is_not_there() -> None:
    tini = b"a line\n[FATAL tini (8)] exec nosuch failed: No such file or directory\n"
    assert words.not_started(127, tini) == "nosuch cannot be started in its image: No such file or directory"
    assert words.not_started(127, b"sh: nosuch: not found\n") is None
    assert words.not_started(1, tini) is None
    catatonit = b"ERROR (catatonit:2): failed to exec pid1: No such file or directory\n"
    assert words.not_started(127, catatonit) == "its command cannot be started in its image: No such file or directory"


@pytest.mark.parametrize(
    ("status", "said", "settled"),
    [
        (404, "pull access denied for a", True),
        (None, "unauthorized: authentication required", True),
        (None, "manifest for a:1 not found: manifest unknown", True),
        (500, "dial tcp 127.0.0.1:1: connect: connection refused", False),
        (500, "Get https://a/v2/: net/http: request canceled while waiting for connection", False),
        (None, "received unexpected HTTP status: 503 Service Unavailable", False),
    ],
)
def test_only_a_registry_that_said_no_is_believed(status: int | None, said: str, settled: bool) -> None:
    assert words.is_settled(status, said) is settled


def test_the_progress_of_a_pull_is_told_in_layers_and_bytes() -> None:
    layers = Layers()
    assert str(layers) == "asking the registry"
    for line in (
        {"status": "Pulling from library/a", "id": "1"},
        {"status": "Pulling fs layer", "id": "aa"},
        {"status": "Already exists", "id": "bb"},
        {"status": "Downloading", "id": "aa", "progressDetail": {"current": 500000, "total": 2000000}},
    ):
        layers.take(line)
    assert str(layers) == "1 of 2 layers, 0.5 of 2.0 MB (aa 0.5 of 2.0 MB)"
    layers.take({"status": "Pull complete", "id": "aa", "progressDetail": {}})
    assert str(layers) == "2 of 2 layers, 2.0 of 2.0 MB"
