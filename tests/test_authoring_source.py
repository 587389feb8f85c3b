"""The source that travels with a Python step: what it carries, and what cannot travel."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import json
import math
import os
import subprocess
import sys
import textwrap
import types
from collections import namedtuple
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import flowcore as flow
from flowcore.errors import WorkflowError
from flowcore.model import ANY, Output, Python
from flowcore.shim import function_script

LIMIT = 3
TABLE = {"a": [1, None, True], "b": float(2)}


def run(step: Any, *args: Any, **kwargs: Any) -> Any:
    """Call the function from its embedded source alone."""
    module = types.ModuleType("flow_step")
    sys.modules["flow_step"] = module  # dataclasses look their module up
    try:
        exec(compile(step.source, "<step>", "exec"), module.__dict__)
    finally:
        del sys.modules["flow_step"]
    return getattr(module, step.function.__name__)(*args, **kwargs)


def wrong(make: Any, *words: str) -> str:
    with pytest.raises(WorkflowError) as error:
        make()
    text = str(error.value)
    for word in words:
        assert word in text
    return text


def program(tmp_path: Path, text: str) -> Any:
    """The globals of a program that imports the front end as flow."""
    file = tmp_path / "program.py"
    file.write_text("import flowcore as flow\n" + textwrap.dedent(text), encoding="utf-8")
    space: dict[str, Any] = {"__name__": "program", "__file__": str(file)}
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), space)
    return space


def double(x: float) -> float:
    return x * 2


def quadruple(x: float, by=math.sqrt) -> float:
    return double(double(x))


def unit(x: float) -> float:
    import math

    return math.sin(x) ** 2 + math.cos(x) ** 2


class Point(NamedTuple):
    x: float
    y: float = 0.5

    def size(self) -> float:
        return self.x + self.y


@dataclasses.dataclass
class Report:
    text: str
    tags: list[str] = dataclasses.field(default_factory=list)


class Colour(Enum):
    RED = "red"


Old = namedtuple("Old", "a b")


class TestWhatTravels:
    def test_the_function_without_its_decorator(self):
        @flow.step(
            image="python:3.11",
            labels={"@": "def x(): pass"},
        )
        # between
        def plain(x: int = 1) -> int:
            """Adds."""
            return x + 1

        assert plain.source.startswith("from __future__ import annotations\n")
        assert "flow.step" not in plain.source
        assert "# between" not in plain.source
        assert run(plain, 2) == 3

    def test_at_column_zero_nothing_is_wrapped(self, tmp_path):
        space = program(tmp_path, "@flow.step\ndef a(x):\n    return x\n")
        assert space["a"].source == "from __future__ import annotations\n\n\ndef a(x):\n    return x\n"

    def test_strings_over_several_lines_stay(self):
        @flow.step
        def text() -> str:
            return """one
two
        three é 漢
"""

        assert run(text) == "one\ntwo\n        three é 漢\n"

    def test_tabs_and_deep_blocks(self, tmp_path):
        space = program(
            tmp_path,
            "if True:\n\tif True:\n\t\t@flow.step()\n\t\tdef a(x):\n\t\t\tif x:\n\t\t\t\treturn '''\nq'''\n# left\n",
        )
        assert run(space["a"], 1) == "\nq"

    def test_odd_line_separators_in_strings(self, tmp_path):
        space = program(
            tmp_path,
            "@flow.step(\n    labels={'a': 'x\u2028y\x0c\x1c'}\n)\n"
            "def a(x, y='é\u2028' + 'z'):\n    return x, '''\u2028\x85\n'''\n",
        )
        assert run(space["a"], 1) == (1, "\u2028\x85\n")

    def test_a_debug_format_is_a_repr(self):
        def use(x: str) -> None:
            flow.container("a", command=[f"{x=}"])

        wrong(lambda: flow.workflow(use).workflow, "not {x!r}")

    def test_without_a_trailing_newline(self, tmp_path):
        assert run(program(tmp_path, "@flow.step\ndef a(x): return x")["a"], 4) == 4

    def test_annotations_need_not_exist_there(self):
        @flow.step
        def typed(x: Path, y: "os.PathLike[str]" = "") -> list[float]:  # type: ignore[assignment]  # noqa: UP037
            found: Point = x  # type: ignore[assignment]
            more: Report
            more = found  # type: ignore[assignment]
            return [more]  # type: ignore[list-item]

        assert run(typed, 1) == [1]

    def test_defaults_are_evaluated_here(self):
        @flow.step
        def defaults(a=LIMIT, b="é" + "x" * LIMIT, *, c=(math.pi), d=[LIMIT, {"k": LIMIT}], e=-1, f=None) -> list:  # noqa: B006
            return [a, b, c, d, e, f]

        assert "LIMIT" not in defaults.source
        assert "math" not in defaults.source
        assert "e=-1" in defaults.source

        @flow.workflow
        def whole():
            defaults()

        args = whole.workflow.steps["defaults"].action.args
        assert args == {"a": 3, "b": "éxxx", "c": math.pi, "d": [3, {"k": 3}], "e": -1, "f": None}
        assert run(defaults, **args) == [3, "éxxx", math.pi, [3, {"k": 3}], -1, None]

    def test_helpers(self):
        @flow.step(uses=[double])
        def use(x: float) -> float:
            return double(x)

        assert run(use, 2) == 4

    def test_helpers_under_another_name(self):
        twice = double

        @flow.step(uses=[double])
        def use(x: float) -> float:
            return twice(x)

        assert run(use, 2) == 4

    def test_what_a_helper_needs_when_it_is_made_is_imported(self):
        @flow.step(uses=[double, quadruple])
        def use(x: float) -> float:
            return quadruple(x)

        assert "import math" in use.source
        assert run(use, 1) == 4

    def test_classes_and_constants(self):
        @flow.step(uses=[Report, Colour, "LIMIT", "TABLE"])
        def use() -> list:
            report = Report("t")
            report.tags.append(Colour.RED.value)
            return [report.text, report.tags, LIMIT, TABLE]

        assert run(use) == ["t", ["red"], 3, {"a": [1, None, True], "b": 2.0}]

    def test_returned_classes_come_along(self):
        @flow.step
        def point(x: float) -> Point:
            return Point(x)

        @flow.step
        def report() -> Report:
            return Report("x", ["y"])

        @flow.step
        def old() -> Old:
            return Old(1, b=2)

        assert run(point, 1).size() == 1.5
        assert run(point, 1)._asdict() == {"x": 1, "y": 0.5}
        assert run(report).tags == ["y"]
        assert run(old) == (1, 2)

        @flow.workflow
        def whole():
            old()

        assert whole.workflow.steps["old"].outputs == {"a": Output(ANY), "b": Output(ANY)}

    def test_other_steps_are_helpers_too(self):
        @flow.step(uses=[double])
        def inner(x: float) -> float:
            return double(x) + 1

        @flow.step(uses=[inner])
        def outer(x: float) -> float:
            return inner(x) + 1

        assert run(outer, 1) == 4

    def test_recursion_scopes_and_builtins(self, tmp_path):
        space = program(
            tmp_path,
            """
            @flow.step
            def all_kinds(n: int, **more) -> object:
                import os.path as p, json
                from math import pi as circle
                def fib(k): return k if k < 2 else fib(k - 1) + fib(k - 2)
                class Local:
                    kind = str
                    def get(self): return self.kind, Local, __class__
                total = sum(a * b for a, b in zip(range(n), [c for c in range(n)]) if a)
                pairs = {k: {v for v in vs} for k, vs in {"a": [1]}.items()}
                try:
                    raise ValueError("x")
                except ValueError as error:
                    message = str(error)
                with open(p.devnull) as file:
                    (first, *rest), last = (file.name, 1, 2), 3
                if (walrus := n) > 1: del last
                def outer():
                    nonlocal total
                    total += 1
                    return lambda q=walrus: q + total
                match n:
                    case [head, *tail]: found = head, tail
                    case {"k": value, **others}: found = value, others
                    case int() as whole: found = whole
                for i, j in enumerate("ab"): pass
                again = all_kinds if n > 99 else None
                return [fib(n), total, pairs, message, rest, outer()(), found, j, circle, __name__, more, again]
            """,
        )
        answer = run(space["all_kinds"], 5, extra=1)
        assert answer[0] == 5
        assert answer[-2:] == [{"extra": 1}, None]

    def test_more_arguments_by_name(self):
        @flow.step
        def many(a: int, **more: Any) -> dict:
            return {"a": a, **more}

        @flow.workflow
        def whole():
            many(1, b=2, c=flow.run.id)

        assert list(whole.workflow.steps["many"].action.args) == ["a", "b", "c"]

    def test_as_a_decorator_and_as_a_call(self):
        step = flow.step(unit)
        assert run(step, 1.0) == pytest.approx(1)
        assert run(flow.step(retry=1)(unit), 1.0) == pytest.approx(1)

    def test_coroutines(self):
        @flow.step
        async def later(x: int) -> int:
            import asyncio

            await asyncio.sleep(0)
            return x + 1

        assert asyncio.run(later(1)) == 2
        assert asyncio.run(run(later, 1)) == 2


class TestWhatCannot:
    def test_every_missing_name_with_its_line(self):
        def make():
            @flow.step
            def lost(x: int) -> Any:
                y = math.sqrt(x)
                os.getcwd()
                return double(y) + LIMIT + Path() + nowhere  # noqa: F821

        text = wrong(make)
        line = make.__code__.co_firstlineno
        assert text.count("\n") == 5
        for row, word in enumerate(text.split("\n")):
            assert f"test_authoring_source.py:{line + [3, 4, 5, 5, 5, 5][row]}: lost uses " in word
        assert "lost uses math, which its source does not carry: import it inside lost" in text
        assert "lost uses os" in text
        assert (
            "lost uses double, which its source does not carry: import it inside lost, or list it in uses=[double]"
            in text
        )
        assert 'uses=["LIMIT"]' in text
        assert "lost uses nowhere, which its source does not carry: no such name is defined here" in text

    def test_names_that_helpers_miss(self):
        def make():
            flow.step(uses=[quadruple])(lambda_free)

        wrong(make, "quadruple uses double", "uses=[double]")

    def test_names_in_inner_scopes(self, tmp_path):
        with pytest.raises(WorkflowError) as error:
            program(
                tmp_path,
                """
                import json
                A = B = C = D = E = 1
                @flow.step
                def deep(x):
                    def inner():
                        return [A for _ in x if B]
                    class Kept:
                        value = C
                        def method(self): return lambda: D
                    return f"{E}", (json.dumps(y) for y in x)
                """,
            )
        for name in ("A", "B", "C", "D", "E", "json"):
            assert f"deep uses {name}," in str(error.value)

    def test_global_statements(self, tmp_path):
        with pytest.raises(WorkflowError, match="count uses TOTAL"):
            program(tmp_path, "TOTAL = 0\n@flow.step\ndef count():\n    global TOTAL\n    TOTAL += 1\n")

    def test_closures(self):
        def make(factor: float):
            @flow.step
            def scaled(x: float) -> float:
                return x * factor

        wrong(lambda: make(2), "scaled uses factor", "belongs to the enclosing function; pass it as an argument")

    def test_helpers_of_the_enclosing_function(self):
        def local(x: float) -> float:
            return x + 1

        @flow.step(uses=[local])
        def use(x: float) -> float:
            return local(x)

        assert run(use, 1) == 2

    def test_lambdas_generators_methods_and_odd_signatures(self):
        def stream():
            yield 1

        async def later():
            yield 1

        def position(a, /):
            return a

        def star(*many):
            return many

        class Holder:
            def method(self):
                return 1

        wrong(lambda: flow.step(lambda x: x), "a lambda has no source")
        wrong(lambda: flow.step(stream), "stream is a generator; return a list")
        wrong(lambda: flow.step(later), "later is a generator")
        wrong(lambda: flow.step(position), "takes a by position only", "drop the /")
        wrong(lambda: flow.step(star), "takes *many", "take a list")
        wrong(lambda: flow.step(Holder.method), "is a method")
        wrong(lambda: flow.step(Holder().method), "decorates a function")
        wrong(lambda: flow.step(Holder), "decorates a function")
        wrong(lambda: flow.step(len), "decorates a function")

    def test_other_decorators(self):
        def passing(function):
            return function

        def make_below():
            @flow.step
            @passing
            def two():
                return 1

        def make_above():
            @passing
            @flow.step
            def two():
                return 1

        def make_wrapped():
            @flow.step
            @functools.wraps(double)
            def two(x):
                return 1

        wrong(make_below, "two is decorated with @passing", "only flow.step may")
        wrong(make_above, "two is decorated with @passing")
        wrong(make_wrapped, "has another decorator")

    def test_decorated_helpers(self):
        @functools.lru_cache
        def cached(x):
            return x

        def twisted(function):
            return function

        @twisted
        def helper(x):
            return x

        wrong(lambda: flow.step(uses=[cached])(unit), "takes functions, classes, and constants by their name")
        wrong(lambda: flow.step(uses=[helper])(unit), "helper is decorated with @twisted")

    def test_uses_of_odd_things(self):
        wrong(lambda: flow.step(uses=[3])(unit), "holds a int", 'uses=["LIMIT"]')
        wrong(lambda: flow.step(uses=["NOWHERE"])(unit), "there is no such name")
        wrong(lambda: flow.step(uses=["math"])(unit), "is not JSON")

    def test_no_source_to_read(self):
        space: dict[str, Any] = {}
        exec("def typed_in(x):\n    return x\n", space)
        wrong(lambda: flow.step(space["typed_in"]), "the source of typed_in cannot be read", "put it into a file")

    def test_two_helpers_of_one_name(self):
        def other(x):
            return x

        other.__name__ = "double"
        wrong(lambda: flow.step(uses=[double, other])(unit), "two things called double")


def lambda_free(x: float) -> float:
    return x


@flow.step
def whole(file: Path, table: dict) -> Point:
    """Reads a file that came as a path."""
    from pathlib import Path

    assert isinstance(file, Path)
    return Point(float(file.read_text()), table["y"])


def test_the_source_runs_where_flowcore_is_not(tmp_path):
    """The program that a backend runs: a bare interpreter, a folder for the outputs."""
    (tmp_path / "in").write_text("1.5")
    python = Python("whole", whole.source, {"file": str(tmp_path / "in"), "table": {"y": 2}})
    script = tmp_path / "step.py"
    script.write_text(function_script(python, {"x": Output(ANY), "y": Output(ANY)}, "whole"))
    (tmp_path / "out").mkdir()
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(script)],
        env={"FLOW_OUTPUTS": str(tmp_path / "out")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert {name.name: json.loads(name.read_text()) for name in (tmp_path / "out").iterdir()} == {"x": 1.5, "y": 2}
