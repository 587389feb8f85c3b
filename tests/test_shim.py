"""The shim's two texts do what they promise in every shell and awk that is here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flowcore.model import ANY, BOOLEAN, INTEGER, LIST, NUMBER, OBJECT, STRING, Backoff, Output, Python, Type
from flowcore.shim import BAD_OUTPUT, function_arguments, function_script, step_shim, step_words
from flowcore.syntax import Ref, Template

SHELLS = [shell for shell in (["sh"], ["bash", "--posix"], ["busybox", "sh"]) if shutil.which(shell[0])]


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def shim(request: pytest.FixtureRequest, tmp_path: Path):
    """Run a command under ``step.sh``: the finished process."""

    def run(words: list[str], *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*request.param, "-c", step_shim(), "flow", *words, "--", *command],
            env={**os.environ, "FLOW_OUTPUTS": str(tmp_path), **env},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def typed(name: str, type: Type) -> list[str]:
    return step_words({name: Output(type)}, stdout=name, typed=True, defaults=False, backoff=None)


GOOD = [
    (INTEGER, "9223372036854775807"),
    (INTEGER, "-9223372036854775808"),
    (INTEGER, "0"),
    (NUMBER, "1"),
    (NUMBER, "-2.5e+3"),
    (BOOLEAN, "true"),
    (LIST, '[1, "a\\n\\u00e9", [], {}]'),
    (OBJECT, '{"a": {"b": [null, false]}, "é": "\\\\"}'),
    (ANY, "null"),
    (ANY, ' "x"\n'),
    (STRING, "anything at all"),
]
BAD = [
    (INTEGER, "9223372036854775808"),
    (INTEGER, "-9223372036854775809"),
    (INTEGER, "01"),
    (INTEGER, "1.0"),
    (NUMBER, ".5"),
    (NUMBER, "NaN"),
    (BOOLEAN, "True"),
    (LIST, "[1,]"),
    (OBJECT, "[]"),
    (OBJECT, '{"a" 1}'),
    (ANY, "x"),
    (ANY, '"a\nb"'),
    (ANY, "1 2"),
    (ANY, ""),
]


@pytest.mark.parametrize(("type", "text"), GOOD, ids=repr)
def test_an_output_of_its_type_is_taken(shim, type, text):
    assert shim(typed("o", type), "printf", "%s\n", text).returncode == 0


@pytest.mark.parametrize(("type", "text"), BAD, ids=repr)
def test_an_output_of_another_type_is_refused(shim, type, text):
    done = shim(typed("o", type), "printf", "%s\n", text)
    assert done.returncode == BAD_OUTPUT
    assert f"output o is not of type {type.name}" in done.stderr


def test_stdout_is_captured_and_still_printed(shim, tmp_path):
    done = shim(typed("o", STRING), "printf", "%s\n", "a\\nb")
    assert done.stdout == "a\\nb\n"
    assert (tmp_path / "o").read_text() == "a\\nb\n"


def test_defaults_are_written_byte_for_byte(shim, tmp_path):
    hostile = "a'\"$(x)`y`\\n%s ${{ é"
    words = step_words(
        {"s": Output(STRING, hostile), "n": Output(INTEGER, 5)}, stdout=None, typed=True, defaults=True, backoff=None
    )
    assert shim(words, "true").returncode == 0
    assert (tmp_path / "s").read_text() == hostile + "\n"
    assert (tmp_path / "n").read_text() == "5\n"


def test_the_commands_exit_code_passes(shim):
    words = step_words({"o": Output()}, stdout="o", typed=True, defaults=False, backoff=None)
    assert shim(words, "sh", "-c", "exit 7").returncode == 7
    assert shim([], "no-such-program").returncode == 127


def test_an_unwritten_output_is_named(shim):
    done = shim(["output", "lines", "string"], "true")
    assert done.returncode == BAD_OUTPUT
    assert "output lines was not written" in done.stderr


@pytest.mark.parametrize(("attempt", "waited"), [("1", ""), ("2", "1\n"), ("3", "2\n"), ("9", "3\n")])
def test_backoff_sleeps_by_attempt(shim, tmp_path, attempt, waited):
    record = tmp_path / "slept"
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "sleep").write_text(f'#!/bin/sh\necho "$1" >>{record}\n')
    (fake / "sleep").chmod(0o755)
    words = step_words({}, stdout=None, typed=False, defaults=False, backoff=Backoff(1, 2, 3))
    path = f"{fake}:{os.environ['PATH']}"
    done = shim(words, "true", PATH=path, FLOW_ATTEMPT=attempt)
    assert done.returncode == 0
    if "busybox" not in done.args[0]:  # busybox prefers its own sleep
        assert (record.read_text() if record.exists() else "") == waited


def call(tmp_path: Path, source: str, outputs: dict[str, Output], args: dict[str, object], *texts: str):
    script = tmp_path / "script.py"
    script.write_text(function_script(Python("f", source, args), outputs, "train"))
    done = subprocess.run(
        [sys.executable, str(script), *texts],
        env={**os.environ, "FLOW_OUTPUTS": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done


RESULT = {"result": Output(ANY)}


def test_a_function_gets_its_arguments_as_they_are(tmp_path):
    args = {"a": "'\"\\${{ }} \n é \U0001f600", "b": [1, 2.5, None, True, {"k": "v"}]}
    assert call(tmp_path, "def f(a, b):\n    return [a, b]\n", RESULT, args).returncode == 0
    assert json.loads((tmp_path / "result").read_text()) == [args["a"], args["b"]]


def test_templates_come_as_arguments_and_keep_their_type(tmp_path):
    ref = Ref("output", "x", "o")
    args = {"a": {"deep": [Template((ref,))]}, "b": Template(("<", ref, ">"))}
    python = Python("f", "", args)
    assert len(function_arguments(python)) == 2
    done = call(tmp_path, "def f(a, b):\n    return [a, b]\n", RESULT, args, '["5"]', "<5>")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "result").read_text()) == [{"deep": ["5"]}, "<5>"]


def test_an_exception_shows_the_functions_own_lines_only(tmp_path):
    done = call(tmp_path, "def f():\n    g()\ndef g():\n    raise ValueError('no')\n", RESULT, {})
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ValueError: no"
    assert "function.py" not in done.stderr and "script.py" not in done.stderr
    assert "raise ValueError('no')" in done.stderr


def test_named_fields_and_paths(tmp_path):
    source = (
        "from __future__ import annotations\nfrom typing import NamedTuple\n"
        "class R(NamedTuple):\n    n: int\n    file: object\n"
        "def f(where: Path):\n"
        "    (where / 'made').write_text('x')\n    return R(3, where / 'made')\n"
    )
    outputs = {"n": Output(INTEGER), "file": Output(artifact=True)}
    done = call(tmp_path, source, outputs, {"where": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "n").read_text() == "3\n"
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.parametrize(
    ("body", "output"),
    [("return object()", ANY), ("return float('nan')", NUMBER), ("return 3", STRING), ("return '\\ud800'", STRING)],
)
def test_a_result_that_is_not_what_was_declared_is_a_bad_output(tmp_path, body, output):
    done = call(tmp_path, f"def f():\n    {body}\n", {"result": Output(output)}, {})
    assert done.returncode == BAD_OUTPUT
    assert done.stderr.startswith("flowcore: ")


def test_a_coroutine_is_awaited(tmp_path):
    assert call(tmp_path, "async def f():\n    return 1\n", RESULT, {}).returncode == 0
    assert (tmp_path / "result").read_text() == "1\n"


UTF_8 = [b"", b"plain\n", "é ü \u0800 \ud7ff \ue000 \uffff 😀 \U0010ffff".encode(), b"nul \0 inside"]
NOT_UTF_8 = [
    b"\xff\xfe\n",
    b"cut \xc3",
    b"cut \xf0\x9f\x98",
    b"\xc0\xaf over-long",
    b"\xe0\x80\xaf over-long",
    b"\xed\xa0\x80 a surrogate",
    b"\xf4\x90\x80\x80 too high",
    b"\x80 alone",
    b"\xc3( broken off",
]


@pytest.mark.parametrize("data", UTF_8 + NOT_UTF_8)
def test_an_output_is_utf_8(shim, tmp_path, data):
    (tmp_path / "o").write_bytes(data)
    result = shim(step_words({"o": Output()}, stdout=None, typed=True, defaults=False, backoff=None), "true")
    assert result.returncode == (0 if data in UTF_8 else BAD_OUTPUT)
    if data in NOT_UTF_8:
        assert "output o is not UTF-8" in result.stderr


@pytest.mark.parametrize(("size", "good"), [(10, True), (11, False)])
def test_an_output_has_at_most_as_many_bytes_as_the_limit(shim, tmp_path, size, good):
    (tmp_path / "o").write_text("x" * size)
    words = step_words({"o": Output()}, stdout=None, typed=True, defaults=False, backoff=None, limit=10)
    result = shim(words, "true")
    assert result.returncode == (0 if good else BAD_OUTPUT)
    assert good or "output o has 11 bytes, and 10 are the most" in result.stderr


def test_an_artifact_that_was_not_written_is_named(shim, tmp_path):
    outputs = {"file": Output(artifact=True), "folder": Output(artifact=True)}
    words = step_words(outputs, stdout=None, typed=True, defaults=False, backoff=None, artifacts=True)
    (tmp_path / "folder").mkdir()
    result = shim(words, "true")
    assert (result.returncode, result.stderr) == (BAD_OUTPUT, "flowcore: output file was not written\n")
    assert shim(words, "touch", str(tmp_path / "file")).returncode == 0


@pytest.mark.parametrize(("limit", "code"), [(5, 0), (4, BAD_OUTPUT)])
def test_a_function_keeps_to_the_limit_too(tmp_path, limit, code):
    script = tmp_path / "f.py"
    script.write_text(function_script(Python("f", "def f(): return 'abcde'"), {"result": Output()}, "f", limit))
    done = subprocess.run(
        [sys.executable, script], env={**os.environ, "FLOW_OUTPUTS": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == code
    assert not code or "output result has 5 bytes, and 4 are the most" in done.stderr


def test_a_function_that_promises_a_file_must_write_it(tmp_path):
    source = "import os\ndef f(): return os.path.join(os.environ['FLOW_OUTPUTS'], 'result')"
    script = tmp_path / "f.py"
    script.write_text(function_script(Python("f", source), {"result": Output(artifact=True)}, "f"))
    done = subprocess.run(
        [sys.executable, script], env={**os.environ, "FLOW_OUTPUTS": str(tmp_path)}, capture_output=True, text=True
    )
    assert (done.returncode, "output result was not written" in done.stderr) == (BAD_OUTPUT, True)


@pytest.mark.parametrize(
    ("kind", "text", "good"),
    [
        (Type("list", INTEGER), "[1, -2]", True),
        (Type("list", INTEGER), "[]", True),
        (Type("list", INTEGER), '[1, "two"]', False),
        (Type("list", INTEGER), "[1.5]", False),
        (Type("list", NUMBER), "[1, 1.5]", True),
        (Type("list", Type("list", STRING)), '[["a"], []]', True),
        (Type("list", Type("list", STRING)), '[["a", 1]]', False),
        (Type("list", OBJECT), '[{"a": [1, "x"]}]', True),
        (Type("list", OBJECT), "[[]]", False),
    ],
)
def test_the_items_of_a_list_are_of_their_type(shim, tmp_path, kind, text, good):
    (tmp_path / "o").write_text(text)
    result = shim(step_words({"o": Output(kind)}, stdout=None, typed=True, defaults=False, backoff=None), "true")
    assert result.returncode == (0 if good else BAD_OUTPUT)
    assert good or f"output o is not of type {kind}" in result.stderr
    script = tmp_path / "f.py"
    source = f"import json\ndef f(): return json.loads({text!r})"
    script.write_text(function_script(Python("f", source), {"result": Output(kind)}, "f"))
    done = subprocess.run(
        [sys.executable, script], env={**os.environ, "FLOW_OUTPUTS": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == (0 if good else BAD_OUTPUT)
