"""Log lines come exactly once along a chain of cursors, whatever the kubelet's answers look like."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any
from unittest import mock

import pytest
from fault_proxy import Fault, FaultProxy
from hypothesis import given
from hypothesis import strategies as st

from flowcore.plugin import UsageError
from flowcore_kubernetes import LINE_BYTES, PAGE_BYTES, Client, LogPage, LogSource, logs, read_logs
from flowcore_kubernetes.logs import Position, take

Make = Callable[..., Client]
BEGIN = 1_700_000_000


class Kubelet:
    """One container's log, as containerd writes it and the kubelet shows it.

    What a process writes is cut into entries: whole lines, and parts of long ones. The kubelet leaves out entries from
    before the second it is asked for, joins parts, gives a time where a line begins, and stops after so many bytes.
    """

    PART = 16 * 1024

    def __init__(self) -> None:
        self.entries: list[tuple[int, bytes]] = []

    def write(self, text: bytes, at: float) -> None:
        """Lines, or without a newline what a process wrote last."""
        for line in re.findall(rb"[^\n]*\n|[^\n]+$", text):
            for start in range(0, len(line), self.PART):
                self.entries.append((BEGIN * 10**9 + int(at * 1e9), line[start : start + self.PART]))

    def show(self, since: int, limit: int) -> bytes:
        out = bytearray()
        begins = True
        for at, text in self.entries:
            if at >= since * 10**9:
                if begins:
                    moment = datetime.fromtimestamp(at // 10**9, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
                    out += f"{moment}.{at % 10**9:09}Z ".encode()
                out += text
            begins = text.endswith(b"\n") or not text
            if len(out) >= limit:
                return bytes(out[:limit])
        return bytes(out)

    @property
    def text(self) -> bytes:
        return b"".join(text for _, text in self.entries)


def whole(text: bytes, size: int = LINE_BYTES) -> list[str]:
    """The lines of a text, long ones in parts."""
    lines = []
    for line in text.removesuffix(b"\n").split(b"\n") if text else []:
        lines += [line[start : start + size] for start in range(0, len(line), size)] or [b""]
    return [line.decode("utf-8", "replace") for line in lines]


def read(api: Any, client: Client, cursor: str = "", *, ended: bool = True, **more: Any) -> tuple[list[str], str]:
    """All that is to be had at once, of all logs."""
    lines: list[str] = []
    while True:
        page = page_of(api, client, cursor, ended=ended, **more)
        assert sum(len(line.line) for line in page.lines) <= PAGE_BYTES + LINE_BYTES
        lines += ["<gap>" if line.gap else line.line for line in page.lines]
        cursor = page.cursor
        if not page.more:
            assert page.whole or not ended
            return lines, cursor


def page_of(api: Any, client: Client, cursor: str, *, ended: bool, **more: Any) -> LogPage:
    sources = [LogSource(pod, pod, pod, ended=ended) for pod in api.logs]
    return read_logs(client, sources, cursor, **more)


@pytest.fixture
def kubelet(api: Any) -> Kubelet:
    kubelet = Kubelet()
    api.logs["a"] = kubelet.show
    return kubelet


def test_lines_come_once_and_in_order(kubelet: Kubelet, api: Any, make_client: Make) -> None:
    client = make_client(api.access)
    cursor, seen = "", []
    for number in range(50):
        kubelet.write(b"line %d\n" % number, number / 10)
        if number % 7 == 0:
            lines, cursor = read(api, client, cursor, ended=False)
            seen += lines
    seen += read(api, client, cursor)[0]
    assert seen == [f"line {number}" for number in range(50)]


def test_a_log_that_was_given_whole_is_not_asked_for_again(kubelet: Kubelet, api: Any, make_client: Make) -> None:
    client = make_client(api.access)
    kubelet.write(b"a\n", 0)
    _, cursor = read(api, client)
    calls = client.traffic.calls
    assert read(api, client, cursor) == ([], cursor)
    assert client.traffic.calls == calls


def test_a_line_that_is_being_written_waits_for_its_end(kubelet: Kubelet, api: Any, make_client: Make) -> None:
    client = make_client(api.access)
    kubelet.write(b"a\nb", 0)
    lines, cursor = read(api, client, ended=False)
    assert lines == ["a"]
    assert read(api, client, cursor)[0] == ["b"]


def test_times_and_attempts_come_along(kubelet: Kubelet, api: Any, make_client: Make) -> None:
    kubelet.write(b"a\n", 0.25)
    source = LogSource("key", "a", "train[0]", attempt=2, ended=True)
    (line,) = read_logs(make_client(api.access), [source], "").lines
    assert (line.step, line.attempt, line.line, line.time, line.stream) == ("train[0]", 2, "a", BEGIN + 0.25, None)


def test_what_is_no_utf_8_is_replaced(kubelet: Kubelet, api: Any, make_client: Make) -> None:
    kubelet.write(b"\xff\xc3\n", 0)
    assert read(api, make_client(api.access))[0] == ["\ufffd\ufffd"]


def test_long_lines_come_in_parts_that_cut_no_character(kubelet: Kubelet, api: Any, make_client: Make) -> None:
    text = "x" + "ä" * 100_000
    kubelet.write(text.encode() + b"\n", 0)
    lines, _ = read(api, make_client(api.access))
    assert "".join(lines) == text
    assert all(len(line.encode()) <= LINE_BYTES for line in lines)


def test_a_line_without_an_end_is_given_while_it_grows(kubelet: Kubelet, api: Any, make_client: Make) -> None:
    client = make_client(api.access)
    kubelet.write(b"x" * 150_000, 0)
    lines, cursor = read(api, client, ended=False)
    assert [len(line) for line in lines] == [LINE_BYTES, LINE_BYTES]
    kubelet.write(b"y" * 50_000 + b"\n", 3)
    kubelet.write(b"z\n", 4)
    lines, _ = read(api, client, cursor)
    assert "".join(lines) == "x" * (150_000 - 2 * LINE_BYTES) + "y" * 50_000 + "z"


def test_much_at_once_comes_a_page_at_a_time(kubelet: Kubelet, api: Any, make_client: Make) -> None:
    for number in range(40_000):
        kubelet.write(b"%07d %s\n" % (number, b"x" * 80), number / 1e6)
    page = page_of(api, make_client(api.access), "", ended=True)
    assert page.more
    assert read(api, make_client(api.access))[0] == whole(kubelet.text)


def test_two_streams_may_be_out_of_order_by_a_moment(kubelet: Kubelet, api: Any, make_client: Make) -> None:
    client = make_client(api.access)
    kubelet.write(b"a\n", 0.98)
    kubelet.write(b"b\n", 1.001)
    lines, cursor = read(api, client, ended=False)
    kubelet.write(b"c\n", 0.999)
    assert lines + read(api, client, cursor)[0] == ["a", "b", "c"]


LINE = st.text("ab \r\0", max_size=40).map(str.encode)


@given(data=st.data())
def test_any_chain_of_pages_gives_everything_once(data: st.DataObject) -> None:
    """Many sizes of lines, pages and steps of time, the kubelet's joining and cutting, and answers that end early."""
    kubelet = Kubelet()
    kubelet.PART = 7
    position, seen, at = Position(), [], 0.0

    def look(limit: int, ended: bool, broken: bool) -> bool:
        nonlocal position
        answer = kubelet.show(position.since, limit)
        cut = len(answer) >= limit
        if broken:
            answer, cut = answer[: data.draw(st.integers(0, len(answer)))], False
        taken = take(answer, position, ended=ended, cut=cut, most=data.draw(st.integers(1, 300)))
        seen.extend(taken.texts)
        position = taken.position
        return taken.over

    with mock.patch.object(logs, "LINE_BYTES", 16):
        for _ in range(data.draw(st.integers(1, 8))):
            for _ in range(data.draw(st.integers(0, 5))):
                at += data.draw(st.sampled_from([0.0, 0.01, 0.3, 1.0, 5.0]))
                kubelet.write(data.draw(LINE) + b"\n", at)
            for _ in range(data.draw(st.integers(0, 3))):
                look(position.skip + data.draw(st.integers(1, 400)), False, data.draw(st.booleans()))
        kubelet.write(data.draw(LINE), at)
        broken = False
        while not look(1_000_000, True, broken):
            # The answers of two looks hardly break at the same byte.
            broken = not broken and data.draw(st.booleans())
    assert not [text for text in seen if text.gap]
    assert [text.text for text in seen] == whole(kubelet.text, 16)


def test_a_rotated_log_says_that_lines_may_be_missing(kubelet: Kubelet, api: Any, make_client: Make) -> None:
    client = make_client(api.access)
    for number in range(3):
        kubelet.write(b"a%d\n" % number, number)
    _, cursor = read(api, client, ended=False)
    kubelet.entries.clear()
    assert read(api, client, cursor, ended=False) == ([], cursor)  # the new file is still empty
    kubelet.write(b"b\n", 10)
    lines, cursor = read(api, client, cursor, ended=False)
    assert lines == ["<gap>", "b"]
    kubelet.write(b"c\n", 11)
    assert read(api, client, cursor)[0] == ["c"]


def test_an_answer_that_ends_early_without_a_sign_loses_nothing(kubelet: Kubelet, api: Any, make_client: Make) -> None:
    client = make_client(api.access)
    sizes = iter([200, 300, 40, 10_000, 0, 500])
    api.logs["a"] = lambda since, limit: kubelet.show(since, limit)[: next(sizes, 10_000)]
    for number in range(20):
        kubelet.write(b"line %d\n" % number, number / 10)
    page = page_of(api, client, "", ended=False)
    page = page_of(api, client, page.cursor, ended=False)
    page = page_of(api, client, page.cursor, ended=False)
    assert page.lines == ()
    lines, _ = read(api, client, ended=True)
    assert lines == [f"line {number}" for number in range(20)]


def test_a_pod_that_is_gone_is_a_gap_once(kubelet: Kubelet, api: Any, make_client: Make) -> None:
    client = make_client(api.access)
    kubelet.write(b"a\n", 0)
    _, cursor = read(api, client, ended=False)
    sources = [LogSource("a", "nobody", "a", ended=True)]
    page = read_logs(client, sources, cursor)
    assert [(line.gap, "the pod is gone" in line.line) for line in page.lines] == [(True, True)]
    assert read_logs(client, sources, page.cursor).lines == ()


def test_a_pod_that_is_not_there_yet_says_nothing(api: Any, make_client: Make) -> None:
    page = read_logs(make_client(api.access), [LogSource("a", "nobody", "a")], "")
    assert page == LogPage((), "", False, True)


def test_a_container_that_has_not_started_says_nothing(api: Any, make_client: Make) -> None:
    api.logs["a"] = lambda since, limit: (400, 'container "main" in pod "a" is waiting to start: PodInitializing')
    assert read(api, make_client(api.access), ended=False) == ([], "")
    lines, cursor = read(api, make_client(api.access), ended=True)
    assert lines == []
    assert cursor


def test_a_log_that_the_kubelet_cannot_read_is_a_gap_at_the_end(api: Any, make_client: Make) -> None:
    client = make_client(api.access)
    api.logs["a"] = lambda since, limit: b"unable to retrieve container logs for containerd://0123"
    assert read(api, client, ended=False) == ([], "")
    page = page_of(api, client, page_of(api, client, "", ended=True).cursor, ended=True)
    assert [(line.gap, line.line) for line in page.lines] == [
        (True, "unable to retrieve container logs for containerd://0123")
    ]
    assert page.whole


def test_a_machine_that_does_not_answer_is_waited_for_but_not_for_ever(
    kubelet: Kubelet, api: Any, make_client: Make
) -> None:
    kubelet.write(b"a\n", 0)
    with FaultProxy(api.access, [Fault("status", path="/log", status=500, times=None)]) as proxy:
        client = make_client(proxy.access())
        page = page_of(api, client, "", ended=True, clock=lambda: 1000.0)
        assert (page.lines, page.whole) == ((), False)
        page = page_of(api, client, page.cursor, ended=True, clock=lambda: 1059.0)
        assert (page.lines, page.whole) == ((), False)
        page = page_of(api, client, page.cursor, ended=True, clock=lambda: 1060.0)
        assert [line.gap for line in page.lines] == [True]
        assert page.whole


def test_a_machine_that_answers_again_loses_nothing(kubelet: Kubelet, api: Any, make_client: Make) -> None:
    kubelet.write(b"a\n", 0)
    with FaultProxy(api.access, [Fault("status", path="/log", status=500, times=2)]) as proxy:
        client = make_client(proxy.access())
        page = page_of(api, client, "", ended=True)
        assert page.lines == ()
        assert [line.line for line in page_of(api, client, page.cursor, ended=True).lines] == ["a"]


@pytest.mark.parametrize("kind", ["half", "reset", "reset-after", "status", "stall"])
def test_faults_lose_and_repeat_no_line(kind: str, kubelet: Kubelet, api: Any, make_client: Make) -> None:
    with FaultProxy(api.access, [Fault(kind, skip=1, times=1, seconds=2)]) as proxy:
        client = make_client(proxy.access(), silence=0.5)
        cursor, seen = "", []
        for number in range(30):
            kubelet.write(b"line %d\n" % number, number / 3)
            if number % 10 == 5:
                lines, cursor = read(api, client, cursor, ended=False)
                seen += lines
        seen += read(api, client, cursor)[0]
        assert proxy.met(kind) == 1
    assert seen == [f"line {number}" for number in range(30)]


def test_a_loud_log_does_not_starve_the_others(api: Any, make_client: Make) -> None:
    for pod in "abc":
        kubelet = Kubelet()
        api.logs[pod] = kubelet.show
        for number in range(2000 if pod == "a" else 2):
            kubelet.write(b"%s %d %s\n" % (pod.encode(), number, b"x" * 80), number / 100)
    page = page_of(api, make_client(api.access), "", ended=True, budget=20_000)
    assert page.more
    seen = {line.step for line in page.lines}
    page = page_of(api, make_client(api.access), page.cursor, ended=True, budget=20_000)
    assert seen | {line.step for line in page.lines} == {"a", "b", "c"}


def test_cursors_of_thousands_of_logs_stay_small(api: Any, make_client: Make) -> None:
    kubelet = Kubelet()
    kubelet.write(b"a\n", 0)
    for number in range(300):
        api.logs[f"some-workflow-name-{number}"] = kubelet.show
    lines, cursor = read(api, make_client(api.access))
    assert len(lines) == 300
    assert len(cursor) / 300 < 10


@pytest.mark.parametrize("cursor", ["x", "[]", '{"open": 1}', '{"open": {"a": ["b"]}}', '{"over": "?"}'])
def test_a_cursor_that_is_none_is_said(cursor: str, api: Any, make_client: Make) -> None:
    with pytest.raises(UsageError, match="not one that poll gave"):
        read_logs(make_client(api.access), [], cursor)


def test_a_pod_that_is_gone_before_it_was_read_may_be_shown_again_by_another(api: Any, make_client: Make) -> None:
    client = make_client(api.access)
    gone = LogSource("a", "a", "s", ended=True, archived=True)
    page = read_logs(client, [gone], "")
    assert (page.lines, page.kept, page.more) == ((), ("a",), False)
    calls = client.traffic.calls
    assert read_logs(client, [gone], page.cursor).kept == ("a",)
    assert client.traffic.calls == calls
    kubelet = Kubelet()
    kubelet.write(b"one\ntwo\n", 0)
    api.logs["reader"] = kubelet.show
    lines: list[str] = []
    while page.kept:
        page = read_logs(client, [LogSource("a", "reader", "s", ended=True)], page.cursor)
        lines += [line.line for line in page.lines]
    assert lines == ["one", "two"]
    assert page.whole
    assert read_logs(client, [gone], page.cursor).lines == ()


def test_what_was_read_in_part_is_not_read_again_elsewhere(kubelet: Kubelet, api: Any, make_client: Make) -> None:
    client = make_client(api.access)
    kubelet.write(b"one\n", 0)
    page = read_logs(client, [LogSource("a", "a", "s", archived=True)], "")
    assert [line.line for line in page.lines] == ["one"]
    del api.logs["a"]
    page = read_logs(client, [LogSource("a", "a", "s", ended=True, archived=True)], page.cursor)
    assert [line.gap for line in page.lines] == [True]
    assert page.kept == ()
