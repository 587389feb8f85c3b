"""Workflows out of Python programs, and the command line of a program."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import flowcore as flow
from flowcore.authoring import load_program
from flowcore.errors import UsageError, WorkflowError

HEAD = "import flowcore as flow\n"
ONE = """
@flow.step
def hello(name: str) -> str:
    return "hello " + name

@flow.workflow
def first(name: str = "world"):
    return hello(name)
"""
TWO = ONE + "\n@flow.workflow(name='the-second')\ndef second():\n    first()\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "program.py") -> str:
        Path(name).write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
        return name

    return write


def wrong(path: str, *words: str, name: str | None = None) -> UsageError:
    with pytest.raises(UsageError) as error:
        load_program(path, name)
    for word in words:
        assert word in str(error.value)
    return error.value


def test_the_only_workflow(write):
    workflow = load_program(write(ONE))
    assert workflow.name == "first"
    assert workflow.places[("steps", "hello")] == "program.py:9"


def test_by_variable_or_by_name(write):
    path = write(TWO)
    assert load_program(path, "first").name == "first"
    assert load_program(path, "second").name == "the-second"
    assert load_program(path, "the-second").name == "the-second"
    wrong(path, "has no workflow 'secnod'; did you mean 'second'?", name="secnod")


def test_several_without_a_name(write):
    wrong(write(TWO), "program.py defines 2 workflows; say which: program.py:first, program.py:second")


def test_the_one_given_to_main_is_meant_and_does_not_run(write):
    assert load_program(write(TWO + "\nflow.main(second)\nafter = 1\n")).name == "the-second"


def test_the_usual_last_lines_do_not_run(write):
    assert load_program(write(ONE + '\nif __name__ == "__main__":\n    flow.main(first)\n')).name == "first"


def test_none(write):
    wrong(write("x = 1\n"), "program.py defines no workflow; decorate a function with @flow.workflow")


def test_imported_workflows_count_if_there_is_no_other(write):
    write(ONE, "library.py")
    assert load_program(write("from library import first\n")).name == "first"
    own = "from library import first\n\n@flow.workflow\ndef own():\n    first()\n"
    assert load_program(write(own)).name == "own"
    assert str(Path.cwd()) not in sys.path


def test_a_workflow_under_two_names_is_one(write):
    assert load_program(write(ONE + "\nalias = first\n")).name == "first"


def test_the_program_sees_its_own_arguments(write):
    path = write("import sys\nassert sys.argv == ['program.py'], sys.argv\n" + ONE)
    before = list(sys.argv)
    assert load_program(path).name == "first"
    assert sys.argv == before


def test_an_exception_is_its_last_line_and_its_place(write):
    error = wrong(write("def inner():\n    return {}['k']\n\ninner()\n"), "program.py:3: KeyError: 'k'")
    assert isinstance(error.__cause__, KeyError)
    assert error.exit_code == 2


def test_an_exception_while_tracing(write):
    path = write(ONE + "\n@flow.workflow\ndef bad():\n    hello('x')\n    open('/no/such/file')\n")
    wrong(path, "program.py:14: FileNotFoundError: ", name="bad")


def test_mistakes_in_the_use_of_the_front_end(write):
    wrong(write("import os\n@flow.step\ndef bad():\n    return os.getcwd()\n"), "program.py:5: bad uses os")
    wrong(write(ONE + "\n@flow.workflow\ndef bad(x: int):\n    if x: pass\n"), "program.py:13: if, and", name="bad")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def broken(:\n", ["program.py:2:", "SyntaxError: "]),
        ("x = 1\n\t y = 2\n", ["program.py:3", "IndentationError: "]),
        ("import sys\nsys.exit(3)\n", ["the program ended itself (exit 3)", '__name__ == "__main__"']),
        ("import no_such_module\n", ["program.py:2: ModuleNotFoundError: No module named 'no_such_module'"]),
        ("raise ValueError\n", ["program.py:2: ValueError"]),
        ("open('missing.csv')\n", ["program.py:2: FileNotFoundError: "]),
    ],
)
def test_programs_that_fail(write, text, words):
    wrong(write(text), *words)


def test_files_that_are_no_program(write, tmp_path):
    wrong("missing.py", "missing.py: there is no such file")
    wrong(str(tmp_path), "is a directory")
    Path("bytes.py").write_bytes(b"x = '\xff'\n")
    wrong("bytes.py", "bytes.py", "SyntaxError")
    Path("nul.py").write_bytes(b"x = '\0'\n")
    wrong("nul.py", "nul.py")


def test_interrupts_pass_through(write):
    with pytest.raises(KeyboardInterrupt):
        load_program(write("raise KeyboardInterrupt\n"))


def test_a_workflow_error_keeps_its_problems(write):
    with pytest.raises(WorkflowError) as error:
        load_program(write("a = b = 1\n@flow.step\ndef bad():\n    return a + b\n"))
    assert len(error.value.problems) == 2
    assert [problem.place for problem in error.value.problems] == ["program.py:5", "program.py:5"]


def test_main_hands_the_workflow_to_the_command_line(write, monkeypatch):
    import types

    seen = []
    command = types.ModuleType("flowcore.cli")
    command.main_for = lambda workflow, argv: seen.append((workflow, argv)) or 7  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "flowcore.cli", command)

    @flow.workflow
    def mine() -> None: ...

    with pytest.raises(SystemExit) as end:
        flow.main(mine, ["render"])
    assert end.value.code == 7
    with pytest.raises(SystemExit):
        flow.main(mine)
    assert seen == [(mine, ["render"]), (mine, None)]


def test_a_program_has_the_command_line(write):
    path = write(ONE + '\nif __name__ == "__main__":\n    flow.main(first)\n')
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, path, "--help"], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "render" in done.stdout
