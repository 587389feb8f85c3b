"""What the commands print, where, and what they end with."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from played_backend import Played

from flowcore.backend import Backend
from flowcore.cli import main, main_for
from flowcore.errors import RefusedError, UnreachableError
from flowcore.runs import Leaf, LogLine, Phase

DOCUMENT = """\
flowcore: 1
name: small
params:
  rows: 10
  city: {type: string}
steps:
  one: {command: [echo, "${{ params.city }}"], outputs: {text: {}}, stdout: text}
  two: {needs: [one], command: [echo, "${{ params.rows }}"]}
outputs: {said: "${{ steps.one.outputs.text }}"}
"""

BAD = """\
flowcore: 1
name: x
steps:
  a: {comand: [x]}
  b: {command: [x], needs: 3}
"""

ONE = Leaf("one", Phase.SUCCEEDED, attempts=1, started=100.0, finished=101.0, exit_code=0, outputs={"text": "hello"})
TWO = Leaf("two", Phase.SUCCEEDED, attempts=1, started=101.0, finished=103.0, exit_code=0)


@define
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Flow = Callable[..., Answer]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("FLOWCORE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def flow(capfd: pytest.CaptureFixture[str]) -> Flow:
    def call(*arguments: str) -> Answer:
        capfd.readouterr()
        code = main(list(arguments))
        captured = capfd.readouterr()
        return Answer(code, captured.out, captured.err)

    return call


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    plugin = Played([[Leaf("one", Phase.RUNNING, attempts=1, started=100.0)], [ONE, TWO]])

    def select(
        backend: str | None = None, profile: str | None = None, options: Mapping[str, Any] | None = None
    ) -> Backend:
        plugin.calls.append(f"select {backend} {profile} {dict(options) if options else None}")
        return Backend.of(plugin, "played")

    monkeypatch.setattr(Backend, "select", staticmethod(select))
    return plugin


@pytest.fixture
def document(tmp_path: Path) -> str:
    (tmp_path / "small.yaml").write_text(DOCUMENT)
    return "small.yaml"


# run, submit, render


def test_run_prints_the_outputs_on_stdout_and_the_rest_on_stderr(flow: Flow, played: Played, document: str) -> None:
    answer = flow("run", document, "-p", "city=Rome")
    assert (answer.code, answer.out) == (0, "said: hello\n")
    assert "played://small" in answer.err
    assert "one running" in answer.err
    assert "two succeeded" in answer.err
    assert "small succeeded in 3.5s" in answer.err


def test_plain_lines_tell_each_change_once(flow: Flow, played: Played, document: str) -> None:
    played.pictures.insert(1, list(played.pictures[0]))
    lines = [line[9:] for line in flow("run", document, "-p", "city=Rome").err.splitlines() if line[2:3] == ":"]
    assert lines == ["one running", "one succeeded", "two succeeded"]


def test_a_further_attempt_is_told(flow: Flow, played: Played, document: str) -> None:
    played.pictures.insert(1, [Leaf("one", Phase.RUNNING, "retrying", attempts=2, started=100.0)])
    assert "one running (attempt 2, retrying)" in flow("run", document, "-p", "city=x").err


def test_run_as_json_is_one_whole_update(flow: Flow, played: Played, document: str) -> None:
    answer = flow("run", document, "-p", "city=Rome", "-o", "json")
    assert answer.json["phase"] == "succeeded"
    assert answer.json["outputs"] == {"said": "hello"}
    assert answer.json["steps"]["one"]["outputs"] == {"text": "hello"}
    assert list(answer.json["steps"]) == ["one", "two"]
    assert answer.json["done"] is True


def test_a_failed_run_ends_with_1_and_shows_the_last_lines_of_the_failed_step(
    flow: Flow, played: Played, document: str
) -> None:
    played.pictures[:] = [
        [Leaf("one", Phase.FAILED, "exit-code", None, 1, exit_code=3), Leaf("two", Phase.SKIPPED, "needs")]
    ]
    played.lines[:] = [LogLine("one", 1, f"line {number}") for number in range(30)] + [LogLine("two", 1, "other")]
    answer = flow("run", document, "-p", "city=Rome")
    assert answer.code == 1
    assert "one failed (exit-code): exit code 3" in answer.err
    assert "  line 29" in answer.err
    assert "  line 10" in answer.err
    assert "line 9\n" not in answer.err
    assert "other" not in answer.err
    assert answer.out == ""


def test_submit_prints_the_handle_and_nothing_else(flow: Flow, played: Played, document: str) -> None:
    played.notes = ("image is not used here",)
    answer = flow("submit", document, "-p", "city=Rome")
    assert (answer.code, answer.out, answer.err) == (0, "played://small\n", "")


def test_submit_tells_notes_when_asked(flow: Flow, played: Played, document: str) -> None:
    played.notes = ("image is not used here",)
    answer = flow("submit", document, "-p", "city=Rome", "-v", "-o", "json")
    assert answer.err == "note: image is not used here\n"
    assert answer.json == {"handle": "played://small", "backend": "played", "notes": ["image is not used here"]}


def test_render_puts_notes_on_top_as_comments(flow: Flow, played: Played, document: str) -> None:
    played.notes = ("image is not used here",)
    answer = flow("render", document, "-p", "city=Rome")
    assert (answer.code, answer.out, answer.err) == (0, "# image is not used here\nworkflow: small\n", "")
    assert "submit" not in played.calls


def test_render_as_json_has_text_objects_and_digest(flow: Flow, played: Played, document: str) -> None:
    data = flow("render", document, "-p", "city=Rome", "-o", "json").json
    assert (data["text"], data["objects"], data["digest"]) == ("workflow: small\n", [{"name": "small"}], "d1")


def test_the_flags_of_the_backend_reach_it(flow: Flow, played: Played, document: str) -> None:
    flow("render", document, "-p", "city=x", "-b", "played", "--profile", "team", "-O", "workers=2", "-O", "a=b=c")
    assert played.calls[0] == "select played team {'workers': '2', 'a': 'b=c'}"


def test_the_same_key_is_given_to_the_backend(flow: Flow, played: Played, document: str) -> None:
    flow("submit", document, "-p", "city=x", "--key", "k")
    assert "k" in played.keys


# Params


def test_a_param_may_be_read_from_a_file(flow: Flow, played: Played, document: str, tmp_path: Path) -> None:
    (tmp_path / "city.txt").write_text("Rome\n")
    (tmp_path / "rows.json").write_text("12\n")
    assert flow("render", document, "-p", "city=@city.txt", "-p", "rows=@rows.json").code == 0
    assert flow("render", document, "-p", "city=@@literal").code == 0
    answer = flow("render", document, "-p", "city=@none.txt")
    assert answer.code == 2
    assert "none.txt: No such file" in answer.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-p", "rows=ten", "-p", "city=x"], "rows"),
        ([], "city"),
        (["-p", "city"], "-p city: want NAME=VALUE"),
        (["-p", "city=x", "-p", "city=y"], "-p city is given twice"),
        (["-p", "city=x", "-p", "cty=y"], "cty"),
    ],
)
def test_a_wrong_param_is_told(flow: Flow, played: Played, document: str, arguments: list[str], said: str) -> None:
    answer = flow("render", document, *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


# Errors


def test_all_problems_of_a_document_are_told_with_their_places(flow: Flow, played: Played, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        "flowcore: 1\nname: x\nsteps:\n  a: {comand: [x]}\n  b: {command: [x], needs: 3}\n"
    )
    for command in ("run", "render", "submit", "lint"):
        answer = flow(command, "bad.yaml")
        said = answer.out + answer.err
        assert answer.code == 2
        assert "bad.yaml:4:7 steps.a.comand" in said
        assert "bad.yaml:5:" in said
        assert "Traceback" not in said


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (UnreachableError("the cluster does not answer"), 3),
        (RefusedError("no permission to create workflows"), 2),
        (ValueError("a bug"), 70),
    ],
)
def test_a_fault_of_the_backend_is_one_sentence(
    flow: Flow, played: Played, document: str, fault: Exception, code: int
) -> None:
    played.faults["submit"] = fault
    answer = flow("submit", document, "-p", "city=x")
    assert answer.code == code
    assert str(fault) in answer.err
    assert answer.err.startswith("flow: ")
    assert len(answer.err.splitlines()) == 1


def test_debug_shows_where_it_happened(flow: Flow, played: Played, document: str) -> None:
    played.faults["submit"] = RefusedError("no")
    assert "Traceback" in flow("submit", document, "-p", "city=x", "--debug").err
    assert "Traceback" in flow("--debug", "submit", document, "-p", "city=x").err


def test_a_fault_of_flowcore_itself_says_so(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    import flowcore.document

    def broken() -> dict[str, Any]:
        raise RuntimeError("odd")

    monkeypatch.setattr(flowcore.document, "schema", broken)
    answer = flow("schema")
    assert answer.code == 70
    assert answer.err == "flow: internal error, RuntimeError: odd; run it again with --debug to see where\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnu"], "no command is called rnu; did you mean run?"),
        (["run"], "Missing argument 'FILE'"),
        (["run", "x.yaml", "--no-such"], "No such option"),
        (["show", "nonsense"], "'nonsense' is not a run's handle"),
        (["show", "@last"], "nothing was started from here yet"),
        (["run", "missing.yaml"], "missing.yaml"),
        (["run", "missing.py"], "missing.py"),
        (["run", "."], "directory"),
        (["run", "small.yaml:one"], "Python program"),
        (["ls", "-n", "0"], "0"),
        (["graph", "-f", "pdf", "x"], "pdf"),
    ],
)
def test_wrong_usage_is_one_sentence_and_2(flow: Flow, document: str, arguments: list[str], said: str) -> None:
    answer = flow(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_help_lists_every_command_without_importing_it() -> None:
    code = "import sys; from flowcore.cli import main; main(['--help']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Run a workflow and follow it to its end." in done.stdout
    for module in ("'flowcore.cli.running'", "'rich'", "'yaml'", "'flowcore.backend'", "'pluggy'"):
        assert module not in done.stdout


def test_every_command_has_help(flow: Flow) -> None:
    from flowcore.cli.app import COMMANDS

    for section in COMMANDS.values():
        for name in section:
            answer = flow(name, "--help")
            assert answer.code == 0
            assert f"flow {name}" in answer.out
            assert "--output" in answer.out


def test_version_and_no_command(flow: Flow) -> None:
    assert flow("--version").out.startswith("flowcore ")
    assert "Usage: flow" in flow().out


# Ctrl-C


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_in_run_cancels_and_waits(flow: Flow, played: Played, document: str) -> None:
    played.pictures = [[], [], [ONE, TWO]]
    played.before_poll = [press]
    answer = flow("run", document, "-p", "city=x")
    assert answer.code == 130
    assert "cancel" in played.calls
    assert "Ctrl-C again leaves" in answer.err
    assert "small cancelled" in answer.err


def test_a_second_ctrl_c_leaves_at_once(flow: Flow, played: Played, document: str) -> None:
    played.pictures = [[], [], [ONE, TWO]]
    played.before_poll = [press, press]
    answer = flow("run", document, "-p", "city=x")
    assert answer.code == 130
    assert "small cancelled" not in answer.err
    assert "Traceback" not in answer.err


def test_ctrl_c_in_watch_only_detaches(flow: Flow, played: Played, document: str) -> None:
    flow("submit", document, "-p", "city=x")
    played.before_poll = [press]
    answer = flow("watch", "@last")
    assert answer.code == 130
    assert "cancel" not in played.calls
    assert "the run goes on; watch it again with: flow watch played://small" in answer.err


def test_the_handler_of_ctrl_c_is_put_back(flow: Flow, played: Played, document: str) -> None:
    before = signal.getsignal(signal.SIGINT)
    flow("run", document, "-p", "city=x")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_backend_out_of_reach_for_a_moment_is_asked_again(
    flow: Flow, played: Played, document: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    monkeypatch.setattr(threading.Event, "wait", lambda self, timeout=None: self.is_set())

    failing = iter([True, True])

    def flaky(self: Backend, handle: Any, since: str = "", logs: bool = False) -> Any:
        if next(failing, False):
            raise UnreachableError("no answer")
        return real(self, handle, since, logs)

    real = Backend.poll
    monkeypatch.setattr(Backend, "poll", flaky)
    answer = flow("run", document, "-p", "city=x")
    assert answer.code == 0
    assert answer.err.count("no answer; trying again") == 1


def test_a_backend_that_stays_out_of_reach_ends_with_3(
    flow: Flow, played: Played, document: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    monkeypatch.setattr(threading.Event, "wait", lambda self, timeout=None: self.is_set())
    flow("submit", document, "-p", "city=x")
    played.faults["poll"] = UnreachableError("no answer")
    assert flow("watch", "@last").code == 3


# Runs


def test_poll_gives_what_is_new_after_a_cursor(flow: Flow, played: Played, document: str) -> None:
    flow("submit", document, "-p", "city=x")
    first = flow("poll", "@last", "-o", "json").json
    assert first["steps"]["one"]["phase"] == "running"
    assert first["steps"]["two"]["phase"] == "pending"
    second = flow("poll", "@last", "--since", first["cursor"], "-o", "json").json
    assert set(second["steps"]) == {"one", "two"}
    third = flow("poll", "@last", "--since", second["cursor"], "-o", "json").json
    assert third["steps"] == {}
    assert third["done"] is True


def test_poll_gives_log_lines_when_asked(flow: Flow, played: Played, document: str) -> None:
    played.lines = [LogLine("one", 1, "a", 100.0, "stdout")]
    flow("submit", document, "-p", "city=x")
    assert flow("poll", "@last", "--logs", "-o", "json").json["logs"] == [
        {"step": "one", "attempt": 1, "time": "1970-01-01T00:01:40.000Z", "stream": "stdout", "line": "a"}
    ]
    assert "one | a" in flow("poll", "@last", "--logs").out


def test_poll_says_how_the_call_went_not_how_the_run_went(flow: Flow, played: Played, document: str) -> None:
    played.pictures = [[Leaf("one", Phase.FAILED, "exit-code"), Leaf("two", Phase.SKIPPED, "needs")]]
    flow("submit", document, "-p", "city=x")
    assert flow("poll", "@last").code == 0
    assert flow("show", "@last").code == 0
    assert flow("watch", "@last").code == 1


def test_a_wrong_cursor_and_a_run_that_is_gone_are_usage(flow: Flow, played: Played, document: str) -> None:
    flow("submit", document, "-p", "city=x")
    assert flow("poll", "@last", "--since", "rubbish").code == 2
    answer = flow("show", "played://gone")
    assert (answer.code, answer.err) == (2, "flow: played://gone: this run is gone\n")


def test_show_is_a_table_of_steps(flow: Flow, played: Played, document: str) -> None:
    flow("submit", document, "-p", "city=x")
    played.polls = 1
    out = flow("show", "@last").out
    assert "workflow  small" in out
    assert "2 succeeded" in out
    assert "said: hello" in out


def test_logs_name_their_steps_unless_one_was_asked_for(flow: Flow, played: Played, document: str) -> None:
    played.lines = [LogLine("one", 1, "a"), LogLine("two", 1, "b"), LogLine("two", 1, "", gap=True)]
    played.polls = 5
    flow("submit", document, "-p", "city=x")
    assert flow("logs", "@last").out == "one | a\ntwo | b\ntwo | ... lines were lost here ...\n"
    assert flow("logs", "@last", "--step", "one").out == "a\n"
    assert flow("logs", "@last", "-f", "--step", "one").out == "a\n"
    data = [json.loads(line) for line in flow("logs", "@last", "-o", "json").out.splitlines()]
    assert [entry["line"] for entry in data] == ["a", "b", ""]


def test_logs_of_a_run_that_has_ended_come_whole(flow: Flow, played: Played, document: str) -> None:
    played.lines, played.late = [LogLine("one", 1, "a")], [LogLine("two", 1, "b")]
    played.polls = 5
    flow("submit", document, "-p", "city=x")
    assert flow("logs", "@last").out == "one | a\ntwo | b\n"


def test_logs_of_an_unknown_step_name_the_nearest(flow: Flow, played: Played, document: str) -> None:
    flow("submit", document, "-p", "city=x")
    answer = flow("logs", "@last", "--step", "tow")
    assert answer.code == 2
    assert "did you mean two?" in answer.err


def test_ls_lists_runs(flow: Flow, played: Played) -> None:
    lines = flow("ls").out.splitlines()
    assert lines[0].split() == ["HANDLE", "WORKFLOW", "PHASE", "STARTED", "TIME"]
    assert lines[1].startswith("played://b")
    assert lines[2].endswith("1m05s")
    assert [row["handle"] for row in flow("ls", "-n", "1", "-o", "json").json] == ["played://b"]


def test_commands_that_change_runs(flow: Flow, played: Played, document: str) -> None:
    flow("submit", document, "-p", "city=x")
    assert flow("cancel", "@last", "--now") == Answer(0, "", "")
    assert "cancel now" in played.calls
    assert flow("cancel", "@last", "-o", "json").json == {"handle": "played://small"}
    assert flow("resume", "@last").out == "played://small-again\n"
    assert flow("artifact", "@last", "one", "table").out == "/copied/one/table/table\n"
    assert flow("artifact", "@last", "one", "table", "here", "-o", "json").json == {"path": "/copied/one/table/here"}
    assert flow("delete", "@last", "played://a").code == 0
    assert "delete played://small-again" in played.calls
    assert "delete played://a" in played.calls


# Documents


def test_lint_is_silent_about_what_is_right(flow: Flow, document: str) -> None:
    assert flow("lint", document) == Answer(0, "", "")


def test_lint_takes_many_files_and_tells_all(flow: Flow, document: str, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("flowcore: 1\nname: x\nsteps: {a: {command: [x], needs: [b]}}\n")
    answer = flow("lint", document, "bad.yaml", "none.yaml")
    assert answer.code == 2
    assert "bad.yaml:3:" in answer.out
    assert "none.yaml" in answer.out
    rows = flow("lint", document, "bad.yaml", "-o", "json").json
    assert rows[0] == {"file": "small.yaml", "problems": []}
    assert rows[1]["problems"][0]["path"].startswith("steps.a")


def test_lint_asks_a_backend_when_one_is_named(flow: Flow, played: Played, document: str) -> None:
    assert flow("lint", document, "-b", "played", "-p", "city=x", "--validate").code == 0
    assert "validate" in played.calls
    played.faults["render"] = RefusedError("this cannot be said here")
    assert "this cannot be said here" in flow("lint", document, "-b", "played", "-p", "city=x").out


def test_a_document_may_come_from_stdin(flow: Flow, played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(DOCUMENT.encode())))
    assert flow("render", "-", "-p", "city=x").out == "workflow: small\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"flowcore: \xff")))
    assert "<stdin>:1: not UTF-8" in flow("lint", "-").out


def test_schema_is_a_json_schema(flow: Flow) -> None:
    assert flow("schema").json["$schema"].startswith("https://json-schema.org/draft/2020-12")


# Programs

PROGRAM = """
import flowcore as flow

@flow.step
def hello(name: str) -> str:
    return "hello " + name

@flow.workflow
def greet(name: str = "you"):
    hello(name)

@flow.workflow
def other():
    hello("other")

if __name__ == "__main__":
    flow.main(greet)
"""


def test_a_program_is_a_file_too(flow: Flow, played: Played, tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(PROGRAM)
    assert flow("render", "two.py:greet").out == "workflow: greet\n"
    assert flow("render", "two.py:other").out == "workflow: other\n"
    answer = flow("render", "two.py")
    assert answer.code == 2
    assert "two.py:greet" in answer.err
    assert "did you mean" in flow("render", "two.py:gret").err


def test_a_program_that_ends_with_main_has_the_same_commands(tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(PROGRAM)

    def python(*arguments: str) -> Answer:
        done = subprocess.run([sys.executable, "two.py", *arguments], capture_output=True, text=True, cwd=tmp_path)
        return Answer(done.returncode, done.stdout, done.stderr)

    assert python("lint") == Answer(0, "", "")
    assert "greet" in python("graph").out
    assert "Usage: two.py run [OPTIONS]" in python("run", "--help").out
    assert python("rnu").code == 2


def test_main_for_ends_the_program_with_the_code(played: Played, capfd: pytest.CaptureFixture[str]) -> None:
    from flowcore.document import read_document

    with pytest.raises(SystemExit) as ended:
        main_for(read_document(DOCUMENT), ["render", "-p", "city=x"])
    assert ended.value.code == 0
    assert capfd.readouterr().out == "workflow: small\n"


# What is remembered


def test_last_is_the_run_that_was_started_last(flow: Flow, played: Played, document: str, tmp_path: Path) -> None:
    flow("run", document, "-p", "city=x")
    assert (tmp_path / "state" / "flowcore" / "last").read_text() == "played://small\n"
    assert flow("show", "@last").code == 0


def test_a_folder_that_cannot_be_written_stops_nothing(
    flow: Flow, played: Played, document: str, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    assert flow("submit", document, "-p", "city=x").code == 0


def test_only_so_many_workflows_are_remembered(
    flow: Flow, played: Played, document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flowcore.cli import memory
    from flowcore.document import read_document
    from flowcore.runs import RunHandle

    monkeypatch.setattr(memory, "KEPT", 3)
    for number in range(6):
        memory.remember(RunHandle("played", str(number)), read_document(DOCUMENT))
    assert len(list((tmp_path / "state" / "flowcore" / "workflows").iterdir())) == 3


# Drawings


def test_graph_draws_a_document(flow: Flow, document: str) -> None:
    assert "│ one" in flow("graph", document).out
    assert flow("graph", document, "-f", "mermaid").out.startswith("flowchart TD\n")
    assert flow("graph", document, "-f", "svg").out.startswith("<svg ")
    assert flow("graph", document, "-o", "json").json["steps"]["two"]["needs"] == {"one": "met"}


def test_graph_of_a_handle_has_phases_and_the_arrows_that_are_remembered(
    flow: Flow, played: Played, document: str
) -> None:
    flow("submit", document, "-p", "city=x")
    played.polls = 1
    answer = flow("graph", "@last")
    assert "✓ succeeded" in answer.out
    assert "▼" in answer.out
    assert answer.err == ""
    assert "✓ succeeded" in flow("graph", document, "--run", "@last").out


def test_graph_of_a_foreign_run_says_that_arrows_are_not_known(flow: Flow, played: Played, document: str) -> None:
    flow("submit", document, "-p", "city=x")
    answer = flow("graph", "played://elsewhere")
    assert "one" in answer.out
    assert "▼" not in answer.out
    assert "flow graph FILE --run played://elsewhere" in answer.err


def test_graph_of_a_wrong_document_tells_what_is_wrong(flow: Flow, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("flowcore: 1\nname: x\nsteps: {a: {command: [x], needs: [a]}}\n")
    assert flow("graph", "bad.yaml").code == 2


# Set up


def test_backends_lists_what_is_installed_and_breaks_for_none(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    from flowcore import registry

    points = [
        EntryPoint("played", "played_backend:Installed", registry.GROUP),
        EntryPoint("broken", "no_such_module:Backend", registry.GROUP),
        EntryPoint("old", "pathlib:Path", registry.GROUP),
    ]
    monkeypatch.setattr(registry, "_points", lambda: points)
    answer = flow("backends")
    assert answer.code == 0
    lines = {line.split()[0]: line for line in answer.out.splitlines()}
    assert "no_such_module" in lines["broken"]
    assert "contract" in lines["old"]
    rows = {row["name"]: row for row in flow("backends", "-o", "json").json}
    assert rows["broken"]["state"] == "broken"
    assert flow("backends", "broken", "--check").code == 70


def test_backends_of_a_name_tells_its_options_and_what_it_can(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    from flowcore import registry

    points = [EntryPoint("played", "played_backend:Installed", registry.GROUP)]
    monkeypatch.setattr(registry, "_points", lambda: points)
    out = flow("backends", "played").out
    assert re.search(r"workers +a whole number +4 +How many at once, at most\.", out)
    assert re.search(r"place +text +\"here\" +Where things are\.", out)
    assert "carries values of steps to later steps" in out
    row = flow("backends", "played", "-o", "json").json[0]
    assert row["options"]["secrets"] == {"type": "a mapping", "required": False, "default": {}, "description": ""}
    assert row["state"] == "ok"
    bad = flow("backends", "played", "--check", "-O", "worker=3")
    assert bad.code == 2
    assert "did you mean workers?" in bad.out


def test_backends_of_a_name_that_is_not_there_says_what_to_install(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    from flowcore import registry

    monkeypatch.setattr(registry, "_points", list)
    assert 'pip install "flowcore[local]"' in flow("backends").out
    answer = flow("backends", "argo")
    assert answer.code == 2
    assert 'pip install "flowcore[argo]"' in answer.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(flow: Flow, shell: str) -> None:
    answer = flow("completion", shell)
    assert answer.code == 0
    assert "_FLOW_COMPLETE" in answer.out


def test_completion_offers_commands_params_and_handles(
    flow: Flow, played: Played, document: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def complete(line: str) -> list[str]:
        monkeypatch.setenv("_FLOW_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        return [entry.split(",")[1] for entry in flow().out.splitlines()]

    assert complete("flow ren") == ["render"]
    assert complete(f"flow run {document} -p ci") == ["city="]
    assert complete("flow show @") == ["@last"]
    assert complete("flow show played") == ["played://b", "played://a"]


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m flowcore schema | head -c 10"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == ""
