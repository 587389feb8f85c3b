"""The Python front end: tracing, references, text, conditions, options."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pytest

import flowcore as flow
from flowcore.errors import WorkflowError
from flowcore.model import (
    ANY,
    BOOLEAN,
    INTEGER,
    LIST,
    MISSING,
    NUMBER,
    OBJECT,
    STRING,
    Backoff,
    Cache,
    ConfigMapKey,
    Container,
    Defaults,
    EnvFrom,
    Manifest,
    Mount,
    Nested,
    Output,
    Param,
    Python,
    Repeat,
    Retry,
    Script,
    SecretKey,
    Type,
    Volume,
    Workflow,
)
from flowcore.syntax import Binary, Get, ListOf, Literal, Not, Ref, Template


class Split(NamedTuple):
    left: list[int]
    right: float


@flow.step
def extract(rows: int, city: str = "Basel") -> dict:
    """Rows of a city.

    More about it.
    """
    return {"rows": rows, "city": city}


@flow.step
def train(rate: float) -> float:
    return rate * 2


@flow.step
def split(data: Any) -> Split:
    return Split([1], data)  # type: ignore[arg-type]


@flow.step
def unannotated(x: Any = None):
    return x


@flow.step
def nothing(x: Any = None) -> None:
    return None


@flow.step
def write(text: str) -> Path:
    from pathlib import Path

    return Path(text)


@flow.step
def read(file: Path, more: Any = None) -> str:
    return file.read_text()


def traced(function: Any, **options: Any) -> Workflow:
    """The workflow of a function; what a lambda gives is no output of it."""
    if function.__name__ != "<lambda>":
        return flow.workflow(**options)(function).workflow

    @flow.workflow(name="short", **options)
    def short() -> None:
        function()

    return short.workflow


def only_step(function: Any, **options: Any) -> Any:
    (step,) = traced(function, **options).steps.values()
    return step


def wrong(function: Any, *words: str, **options: Any) -> str:
    with pytest.raises(WorkflowError) as error:
        traced(function, **options)
    text = str(error.value)
    for word in words:
        assert word in text
    assert "test_authoring.py:" in text
    return text


def ref(step: str, name: str = "result", path: bool = False) -> Ref:
    return Ref("output", step=step, name=name, path=path)


class TestRuleOneTracing:
    def test_a_step_outside_a_workflow_is_a_plain_function(self):
        assert extract(3) == {"rows": 3, "city": "Basel"}
        assert train.options(retry=2)(0.5) == 1.0

    def test_a_step_says_what_it_is_called(self):
        assert train.__name__ == "train"
        assert extract.__doc__.startswith("Rows of a city.")

    def test_a_workflow_function_is_called_once(self):
        calls = []

        @flow.workflow
        def once() -> None:
            calls.append(1)
            nothing()

        first = once.workflow
        assert once.options(description="x").workflow is first
        assert once.workflow is first
        assert calls == [1]

    def test_a_mistake_is_not_kept(self):
        answers = [RuntimeError("not yet"), None]

        @flow.workflow
        def later() -> None:
            nothing()
            error = answers.pop(0)
            if error:
                raise error

        with pytest.raises(WorkflowError, match="RuntimeError: not yet"):
            _ = later.workflow
        assert list(later.workflow.steps) == ["nothing"]

    def test_traces_in_threads_do_not_see_each_other(self):
        inside, go = threading.Event(), threading.Event()

        def slow() -> None:
            nothing()
            inside.set()
            assert go.wait(30)
            nothing()

        found: list[Workflow] = []
        thread = threading.Thread(target=lambda: found.append(traced(slow)))
        thread.start()
        assert inside.wait(30)
        assert train(1.0) == 2.0  # no trace here
        assert list(traced(lambda: train(1)).steps) == ["train"]
        go.set()
        thread.join()
        assert list(found[0].steps) == ["nothing", "nothing-2"]

    def test_a_workflow_is_not_called_outside(self):
        @flow.workflow
        def outer() -> None: ...

        with pytest.raises(WorkflowError, match="outer is a workflow: run it by"):
            outer()

    @pytest.mark.parametrize(
        "call",
        [
            lambda: flow.container("a", command=["true"]),
            lambda: flow.script("a", "true"),
            lambda: flow.configure(timeout="1h"),
            lambda: flow.on_exit().__enter__(),
            lambda: train.foreach([1])(rate=flow.item),
            lambda: str(flow.item),
        ],
    )
    def test_what_means_nothing_outside_says_so(self, call):
        with pytest.raises(WorkflowError, match=r"@flow\.workflow"):
            call()

    def test_neither_async_nor_a_generator(self):
        async def later() -> None: ...

        def many():
            yield 1

        for function in (later, many):
            with pytest.raises(WorkflowError, match="neither async nor a generator"):
                flow.workflow(function)

    def test_a_program_exception_keeps_its_cause(self):
        def broken() -> None:
            {}["x"]

        with pytest.raises(WorkflowError, match=r"test_authoring\.py:\d+: KeyError: 'x'") as error:
            traced(broken)
        assert isinstance(error.value.__cause__, KeyError)


class TestRuleTwoText:
    def test_a_str_is_data(self):
        text = "${{ params.x }} $${{ {{x}} $(y)"
        assert only_step(lambda: flow.script("a", text, args=[text], env={"X": text})).env == {"X": text}
        assert only_step(lambda: nothing(x=text)).action.args == {"x": text}

    def test_references_in_text(self):
        def use(rows: int, city: str) -> None:
            flow.container("a", command=[f"--rows={rows}", str(city), "-".join([str(rows), "x"]), city, f"{rows}"])

        rows, city = Ref("param", name="rows"), Ref("param", name="city")
        assert only_step(use).action == Container(
            (
                Template(("--rows=", rows)),
                Template((city,)),
                Template((rows, "-x")),
                Template((city,)),
                Template((rows,)),
            )
        )

    def test_text_around_and_between(self):
        def use(a: str, b: str) -> None:
            nothing(x=f"<{a}{b}> ${{{{ x }}}} {a}")

        a, b = Ref("param", name="a"), Ref("param", name="b")
        assert only_step(use).action.args == {"x": Template(("<", a, b, "> ${{ x }} ", a))}

    def test_expr_is_the_way_to_write_expression_text(self):
        def use() -> None:
            nothing(x=[flow.expr("params.rows"), flow.expr("${{ params.rows }}"), f"n={flow.expr('params.rows > 1')}"])

        rows = Ref("param", name="rows")
        assert only_step(use).action.args == {
            "x": [Template((rows,)), Template((rows,)), Template(("n=", Binary(">", rows, Literal(1))))]
        }

    def test_expr_that_is_none(self):
        wrong(lambda: nothing(x=flow.expr("params.")), "flow.expr('params.')")

    @pytest.mark.parametrize(
        "change",
        [str.upper, str.lower, lambda t: t[1:], lambda t: t[:8], repr, lambda t: t.replace(":", "-"), lambda t: t[:-3]],
    )
    def test_changed_text_is_noticed(self, change):
        def use(x: str) -> None:
            nothing(x=f"a {change(str(x))} b")

        wrong(use, "cut or changed")

    def test_the_repr_of_a_reference_is_no_value(self):
        def use(x: str) -> None:
            nothing(x=f"{x!r}")

        wrong(use, "not {x!r}")

        def in_list(x: str) -> None:
            nothing(x=f"{[x]}")

        wrong(in_list, "no list of references")

    def test_a_format_needs_the_value(self):
        def use(x: str) -> None:
            nothing(x=f"{x:>10}")

        wrong(use, "'>10' needs the value", "format it in a step")

    def test_text_of_another_workflow(self):
        kept = []

        def first(x: str) -> None:
            kept.extend([x, str(x), x == "a"])
            nothing()

        traced(first)
        wrong(lambda: nothing(x=kept[0]), "belongs to the workflow function first")
        wrong(lambda: nothing(x=kept[1]), "a reference of another workflow")
        wrong(lambda: nothing.when(kept[2])(), "belongs to the workflow function first")
        with pytest.raises(WorkflowError):
            flow.Cache(kept[1])

    def test_scripts_take_none(self):
        def use(x: str) -> None:
            flow.script("a", f"echo {x}")

        wrong(use, "steps.a.script", "use them as $NAME")


class TestRuleThreeOperators:
    def when(self, make: Any) -> Any:
        def use(a: int, b: str, c: bool) -> None:
            nothing.when(make(a, b, c))()

        return only_step(use).when

    def test_comparisons(self):
        a = Ref("param", name="a")
        assert self.when(lambda a, b, c: a == 1) == Binary("==", a, Literal(1))
        assert self.when(lambda a, b, c: a != 1.5) == Binary("!=", a, Literal(1.5))
        assert self.when(lambda a, b, c: a < 1) == Binary("<", a, Literal(1))
        assert self.when(lambda a, b, c: a <= 1) == Binary("<=", a, Literal(1))
        assert self.when(lambda a, b, c: 1 < a) == Binary(">", a, Literal(1))  # noqa: SIM300
        assert self.when(lambda a, b, c: a >= 1) == Binary(">=", a, Literal(1))
        assert self.when(lambda a, b, c: a["k"][0] == None) == Binary("==", Get(Get(a, "k"), 0), Literal(None))  # noqa: E711
        assert self.when(lambda a, b, c: a == {"x": [1]}) == Binary("==", a, Literal({"x": [1]}))
        assert self.when(lambda a, b, c: a == True) == Binary("==", a, Literal(True))  # noqa: E712
        assert self.when(lambda a, b, c: b == str(a)) == Binary("==", Ref("param", name="b"), a)

    def test_combinations(self):
        a, b, c = (Ref("param", name=name) for name in "abc")
        one = Binary(">", a, Literal(1))
        two = Binary("==", b, Literal("x"))
        assert self.when(lambda a, b, c: (a > 1) & (b == "x")) == Binary("&&", one, two)
        assert self.when(lambda a, b, c: (a > 1) | ~c) == Binary("||", one, Not(c))
        assert self.when(lambda a, b, c: b.is_in(["x", a])) == Binary("in", b, ListOf((Literal("x"), a)))
        assert self.when(lambda a, b, c: b.is_in(c)) == Binary("in", b, c)
        assert self.when(lambda a, b, c: True) == Literal(True)

    def test_conditions_add_up(self):
        def use(a: int, b: str) -> None:
            with flow.when(a > 1):
                train.when(b == "x").when(b != "y")(rate=1)
                nothing()
            nothing()

        one = Binary(">", Ref("param", name="a"), Literal(1))
        two = Binary("==", Ref("param", name="b"), Literal("x"))
        three = Binary("!=", Ref("param", name="b"), Literal("y"))
        steps = traced(use).steps
        assert steps["train"].when == Binary("&&", one, Binary("&&", two, three))
        assert steps["nothing"].when == one
        assert steps["nothing-2"].when is None

    def test_hash_is_identity(self):
        assert len({flow.item, flow.iteration, flow.item}) == 2
        assert {flow.item: 1}[flow.item] == 1

    @pytest.mark.parametrize("make", [lambda a: a > 1 & a, lambda a: a & 1, lambda a: a | True, lambda a: 1 | a])
    def test_forgotten_parentheses(self, make):
        def use(a: int) -> None:
            nothing.when(make(a))()

        wrong(use, "add parentheses")

    @pytest.mark.parametrize(
        ("make", "remedy"),
        [
            (lambda a: 1 if a else 2, ".when(...)"),
            (lambda a: a and 1, "& | ~"),
            (lambda a: not a, "~"),
            (lambda a: 1 < a < 3, "& | ~"),
            (lambda a: a in [1, 2], ".is_in([...])"),
            (lambda a: 1 in a, "is_in"),
            (len, "count in a step"),
            (int, "convert it in a step"),
            (float, "convert it in a step"),
            (range, ".foreach(...)"),
            (list, ".foreach(...)"),
            (lambda a: [*a], ".foreach(...)"),
            (lambda a: print(*a), ".foreach(...)"),
            (lambda a: a + 1, "compute in a step"),
            (lambda a: "x" + a, "f-string"),
            (lambda a: -a, "compute in a step"),
            (lambda a: a[1:], "do it in a step"),
            (lambda a: a[-1], "do it in a step"),
            (lambda a: a[a], "pass both to a step"),
            (lambda a: a.key, "is written ['key']"),
            (lambda a: "%d" % a, "convert it in a step"),  # noqa: UP031
        ],
    )
    def test_what_needs_the_value_now(self, make, remedy):
        def use(a: Any) -> None:
            make(a)

        wrong(use, remedy)

    def test_conditions_in_words(self):
        wrong(lambda: nothing.when("params.x > 1")(), "flow.expr('params.x > 1')")
        wrong(lambda: nothing.when(1)(), "a condition compares references")


class TestRuleFourValues:
    def test_references_at_any_depth(self):
        def use(a: int) -> None:
            result = extract(rows=a)
            nothing(x={"k": [result, (a, {"d": result["rows"]}), f"n{a}"], "n": None, "f": 0.5, "b": False})

        a = Ref("param", name="a")
        assert traced(use).steps["nothing"].action.args == {
            "x": {
                "k": [Template((ref("extract"),)), [Template((a,)), {"d": Template((Get(ref("extract"), "rows"),))}],
                      Template(("n", a))],
                "n": None,
                "f": 0.5,
                "b": False,
            }
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ({1, 2}, ["x.k[0]", "a set is not JSON"]),
            (Path("a"), ["pathlib", "is not JSON"]),
            (b"x", ["a bytes is not JSON"]),
            (float("nan"), ["nan is no number that JSON can hold"]),
            (1 << 63, ["does not fit into 64 bits"]),
            ({1: 2}, ["the key 1 is a int"]),
            (object, ["is not JSON"]),
        ],
    )
    def test_anything_else_is_refused_by_path(self, value, words):
        wrong(lambda: nothing(x={"k": [value]}), "steps.nothing.args.x.k", *words)

    def test_arguments_must_fit(self):
        wrong(lambda: extract(row=1), "extract(rows", "missing a required argument")
        wrong(lambda: extract(1, 2, 3), "too many positional arguments")

    def test_defaults_are_sent(self):
        assert only_step(lambda: extract(1)).action.args == {"rows": 1, "city": "Basel"}

    def test_artifacts_are_paths(self):
        def use() -> dict:
            file = write("x")
            flow.script("s", "cat $F", env={"F": file, "G": file.path, "H": f"<{file}>"})
            read(file, more=[file.result])
            read(Path("/etc/hosts"))
            return {"file": file, "direct": file.result}

        workflow = traced(use)
        path = Template((ref("write", path=True),))
        assert workflow.steps["s"].env == {"F": path, "G": path, "H": Template(("<", *path.parts, ">"))}
        assert workflow.steps["read"].action.args == {"file": path, "more": [path]}
        assert workflow.steps["read-2"].action.args["file"] == "/etc/hosts"
        assert workflow.outputs == {"file": path, "direct": path}


class TestRuleFiveNames:
    def test_second_calls_and_own_names(self):
        def use() -> None:
            nothing()
            nothing()
            nothing.options(name="last")()
            nothing()
            flow.script("nothing", "true")
            train(1)

        assert list(traced(use).steps) == ["nothing", "nothing-2", "last", "nothing-3", "nothing-4", "train"]

    def test_many_calls(self):
        def use() -> None:
            for _ in range(2000):
                train(1)

        assert list(traced(use).steps)[-1] == "train-2000"

    def test_a_name_of_dashes_counts_as_taken(self):
        def use() -> None:
            flow.script("a-b", "true")
            flow.script("a_b", "true")
            flow.script("x" * 63, "true")
            flow.script("x" * 63, "true")

        assert list(traced(use).steps) == ["a-b", "a_b-2", "x" * 63, "x" * 61 + "-2"]

    def test_names_that_cannot_be(self):
        def twice() -> None:
            nothing()
            train.options(name="nothing")(1)

        wrong(twice, "there is a step 'nothing'")
        wrong(lambda: flow.script("Loud", "true"), "cannot be called 'Loud'", "name=")

    def test_steps_and_on_exit_share_names(self):
        def use() -> None:
            flow.on_exit(nothing)()
            nothing()

        workflow = traced(use)
        assert (list(workflow.on_exit), list(workflow.steps)) == (["nothing"], ["nothing-2"])

    def test_places_are_lines_of_calls(self):
        def use() -> None:
            nothing()

            flow.script("s", "true")
            flow.on_exit(nothing)()

        workflow = traced(use)
        line = use.__code__.co_firstlineno
        file = workflow.places[()].rpartition(":")[0]
        assert file.endswith("test_authoring.py")
        assert dict(workflow.places) == {
            (): f"{file}:{line}",
            ("steps", "nothing"): f"{file}:{line + 1}",
            ("steps", "s"): f"{file}:{line + 3}",
            ("on_exit", "nothing-2"): f"{file}:{line + 4}",
        }


class TestRuleSixTypes:
    @pytest.mark.parametrize(
        ("annotation", "kind"),
        [
            (str, STRING),
            (int, INTEGER),
            (float, NUMBER),
            (bool, BOOLEAN),
            (list, LIST),
            (dict, OBJECT),
            (Any, ANY),
            (list[float], Type("list", NUMBER)),
            (list[list[int]], Type("list", Type("list", INTEGER))),
            (list[Any], LIST),
            (tuple[int, ...], Type("list", INTEGER)),
            (dict[str, int], OBJECT),
            (int | None, ANY),
            ("int", INTEGER),
            ("list[str]", Type("list", STRING)),
            (Annotated[int, "how many"], INTEGER),
        ],
    )
    def test_params(self, annotation, kind):
        def use(x) -> None:
            nothing()

        use.__annotations__["x"] = annotation
        assert traced(use).params["x"].type == kind

    def test_params_in_full(self):
        def use(
            rows: int = 1000,
            city="Basel",
            rate: Annotated[float, "how fast"] = 0.5,
            deep: int = flow.Param(default=2, description="layers"),
            tags: list[str] = ["a"],  # noqa: B006
            none: str = None,  # type: ignore[assignment]  # noqa: RUF013
            must: str = flow.Param(description="needed"),
        ) -> None:
            nothing()

        assert traced(
            use, params={"rows": flow.Param(description="many"), "more-rows": 3, "odd": flow.Param(int)}
        ).params == {
            "rows": Param(INTEGER, 1000, "many"),
            "city": Param(STRING, "Basel"),
            "rate": Param(NUMBER, 0.5, "how fast"),
            "deep": Param(INTEGER, 2, "layers"),
            "tags": Param(Type("list", STRING), ["a"]),
            "none": Param(ANY, None),
            "must": Param(STRING, MISSING, "needed"),
            "more-rows": Param(INTEGER, 3),
            "odd": Param(INTEGER),
        }

    def test_params_that_cannot_be(self):
        def untyped(x) -> None: ...

        def file(x: Path) -> None: ...

        def odd(x: complex) -> None: ...

        def unknown(x: "Nowhere") -> None: ...  # noqa: F821, UP037

        def many(*rows: int) -> None: ...

        wrong(untyped, "say the type of param x")
        wrong(file, "files are made by steps")
        wrong(odd, "param x of odd is annotated complex", "use str, int")
        wrong(unknown, "'Nowhere'", "cannot be read")
        wrong(many, "*rows", "list them")

    def test_outputs_of_functions(self):
        def use() -> None:
            extract(1)
            split(1)
            write("x")
            nothing()
            unannotated()
            train(1)

        assert {name: step.outputs for name, step in traced(use).steps.items()} == {
            "extract": {"result": Output(OBJECT)},
            "split": {"left": Output(Type("list", INTEGER)), "right": Output(NUMBER)},
            "write": {"result": Output(artifact=True)},
            "nothing": {},
            "unannotated": {"result": Output(ANY)},
            "train": {"result": Output(NUMBER)},
        }

    def test_descriptions_of_results(self):
        def scored() -> Annotated[float, "how good"]:
            return 1.0

        def filed() -> Annotated[Path, "what is left"]:
            from pathlib import Path

            return Path()

        def use() -> None:
            flow.step(scored)()
            flow.step(filed)()

        steps = traced(use).steps
        assert steps["scored"].outputs == {"result": Output(NUMBER, description="how good")}
        assert steps["filed"].outputs == {"result": Output(artifact=True, description="what is left")}

    def test_outputs_by_field(self):
        def use() -> None:
            parts = split(1)
            nothing(x=[parts.left, parts.outputs["right"], parts.left[0]])

        assert traced(use).steps["nothing"].action.args["x"] == [
            Template((ref("split", "left"),)),
            Template((ref("split", "right"),)),
            Template((Get(ref("split", "left"), 0),)),
        ]

    def test_a_result_in_use_is_annotated(self):
        wrong(lambda: train(unannotated()), "def unannotated(...) -> float")
        wrong(lambda: unannotated().result, "must say its type")

    def test_outputs_that_there_are_not(self):
        wrong(lambda: train(nothing()), "step nothing has no output 'result'")
        wrong(lambda: split(1).outputs["rigth"], "did you mean 'right'")
        wrong(lambda: extract(1).rows, "is written ['rows']")

    def test_options_say_outputs_too(self):
        step = only_step(lambda: unannotated.options(outputs={"a": int, "b": flow.Output(Path)})())
        assert step.outputs == {"a": Output(INTEGER), "b": Output(artifact=True)}

    def test_returns_that_cannot_be(self):
        def odd() -> complex:
            return 1j

        with pytest.raises(WorkflowError, match="the result of odd is annotated complex"):
            flow.step(odd)


class TestEveryField:
    def test_of_a_step(self):
        def use(x: str) -> None:
            first = flow.script("first", "true", outputs={"n": int})
            flow.container(
                "all",
                image=f"python:{x}",
                command=["a", 1, True, 0.5, Path("/tmp")],
                args=[x],
                description="everything",
                needs={first: "finished", "second": "met"},
                when=first.outputs["n"] > 1,
                outputs={"t": str, "f": flow.Output(artifact=True), "d": flow.Output("integer", default=1)},
                stdout="log",
                env={
                    "A": x,
                    "B": 1,
                    "C": flow.secret("s", "k"),
                    "D": flow.config_map("c", "k"),
                    "E": flow.own("t").path,
                },
                env_from=[flow.secret("s"), flow.config_map("c")],
                timeout="1h30m",
                pending_timeout=timedelta(minutes=1),
                retry=flow.Retry(2, backoff=flow.Backoff("5s", factor=2, max="1m"), only=["timeout"]),
                continue_on_failure=True,
                cache=flow.Cache(f"k{x}", max_age="1d"),
                working_dir="/w",
                user=1000,
                image_pull_policy="never",
                mounts={"/m": "models", "/n": flow.Mount("scratch", sub_path="a", read_only=True)},
                resources={"cpu": "500m", "gpu": 1},
                requests={"memory": "1Gi"},
                labels={"a": "b"},
                annotations={"c": "d"},
                node_selector={"e": "f"},
                tolerations=[{"key": "k", "operator": "Exists"}],
                backends={"argo": {"x": [1]}},
            )

        x = Ref("param", name="x")
        step = traced(use).steps["all"]
        assert step.action == Container(("a", "1", "true", "0.5", "/tmp"), (Template((x,)),))
        assert step.image == Template(("python:", x))
        assert step.description == "everything"
        assert step.needs == {"first": "finished", "second": "met"}
        assert step.when == Binary(">", ref("first", "n"), Literal(1))
        assert step.outputs == {
            "t": Output(),
            "f": Output(artifact=True),
            "d": Output(INTEGER, 1),
            "log": Output(),
        }
        assert step.stdout == "log"
        assert step.env == {
            "A": Template((x,)),
            "B": "1",
            "C": SecretKey("s", "k"),
            "D": ConfigMapKey("c", "k"),
            "E": Template((Ref("own", name="t", path=True),)),
        }
        assert step.env_from == (EnvFrom("secret", "s"), EnvFrom("config_map", "c"))
        assert (step.timeout, step.pending_timeout) == (5400, 60)
        assert step.retry == Retry(2, Backoff(5, 2, 60), ("timeout",))
        assert step.continue_on_failure
        assert step.cache == Cache(Template(("k", x)), 86400)
        assert (step.working_dir, step.user, step.image_pull_policy) == ("/w", "1000", "never")
        assert step.mounts == {"/m": Mount("models"), "/n": Mount("scratch", "a", True)}
        assert (step.resources, step.requests) == ({"cpu": "500m", "gpu": "1"}, {"memory": "1Gi"})
        assert (step.labels, step.annotations, step.node_selector) == ({"a": "b"}, {"c": "d"}, {"e": "f"})
        assert step.tolerations == ({"key": "k", "operator": "Exists"},)
        assert step.backends == {"argo": {"x": [1]}}

    def test_decorator_options_hold_and_are_replaced(self):
        @flow.step(image="python:3.11", retry=2, timeout="10m")
        def fit(rate: float) -> float:
            return rate

        step = only_step(lambda: fit.options(timeout="5m", image=None)(1))
        assert (step.image, step.retry, step.timeout) == (None, Retry(2), 300)

    def test_of_a_workflow(self):
        def use(city: str, version: str = "3.11") -> None:
            """What it is."""
            flow.configure(defaults={"image": f"python:{version}"}, labels={"team": "ads"})
            nothing()

        workflow = traced(
            use,
            name="nightly-train",
            env={"CITY": flow.param("city"), "TOKEN": flow.secret("s", "t")},
            parallelism=8,
            timeout="2h",
            fail_fast=False,
            ttl="1d",
            annotations={"a": "b"},
            service_account="runner",
            image_pull_secrets=["pull"],
            volumes={
                "scratch": flow.Volume(size="1Gi"),
                "e": flow.Volume(empty=True),
                "h": flow.Volume(host_path="/d"),
            },
            backends={"argo": {"service_account": "runner"}},
        )
        assert workflow.name == "nightly-train"
        assert workflow.description == "What it is."
        assert workflow.defaults == Defaults(image=Template(("python:", Ref("param", name="version"))))
        assert workflow.env == {"CITY": Template((Ref("param", name="city"),)), "TOKEN": SecretKey("s", "t")}
        assert (workflow.parallelism, workflow.timeout, workflow.fail_fast, workflow.ttl) == (8, 7200, False, 86400)
        assert (workflow.labels, workflow.annotations) == ({"team": "ads"}, {"a": "b"})
        assert (workflow.service_account, workflow.image_pull_secrets) == ("runner", ("pull",))
        assert workflow.volumes == {
            "scratch": Volume("size", "1Gi"),
            "e": Volume("empty"),
            "h": Volume("host_path", "/d"),
        }
        assert workflow.backends == {"argo": {"service_account": "runner"}}

    def test_defaults_in_full(self):
        workflow = traced(lambda: nothing(), defaults={"image": "i", "timeout": "10m", "retry": 1, "user": "u"})
        assert workflow.defaults == Defaults(image="i", timeout=600, retry=Retry(1), user="u")

    def test_names_and_descriptions_come_from_the_function(self):
        @flow.workflow
        def nightly_train() -> None:
            extract(1)

        workflow = nightly_train.workflow
        assert workflow.name == "nightly-train"
        assert workflow.steps["extract"].description == "Rows of a city."

    def test_foreach(self):
        def use(rates: list[float]) -> None:
            train.foreach([0.1, {"r": rates}])(rate=flow.item["r"])
            train.foreach(rates).options(parallelism=2)(flow.item)
            train.foreach(range(2))(flow.item)
            flow.script("s", "true", foreach=rates, args=[f"x{flow.item}"])

        rates = Template((Ref("param", name="rates"),))
        steps = traced(use).steps
        assert steps["train"].foreach == [0.1, {"r": rates}]
        assert steps["train"].action.args == {"rate": Template((Get(Ref("item"), "r"),))}
        assert (steps["train-2"].foreach, steps["train-2"].parallelism) == (rates, 2)
        assert steps["train-3"].foreach == [0, 1]
        assert steps["s"].action.args == (Template(("x", Ref("item"))),)
        wrong(lambda: train.foreach("abc")(flow.item), "foreach takes a list")

    def test_repeat(self):
        step = only_step(
            lambda: flow.script(
                "wait",
                "check",
                args=[flow.iteration],
                outputs=["ready"],
                repeat=flow.Repeat(until=flow.own("ready") == "yes", max=20, delay="5s"),
            )
        )
        assert step.repeat == Repeat(Binary("==", Ref("own", name="ready"), Literal("yes")), 20, 5)
        assert step.action.args == (Template((Ref("iteration"),)),)

    def test_needs(self):
        def use() -> None:
            first = nothing()
            nothing.options(needs=first)()
            nothing.options(needs=[first, "nothing-2"])()

        steps = traced(use).steps
        assert steps["nothing-2"].needs == {"nothing": "met"}
        assert steps["nothing-3"].needs == {"nothing": "met", "nothing-2": "met"}
        wrong(lambda: nothing.options(needs={"a": "broken"})(), "'broken' is none of met, succeeded")
        wrong(lambda: nothing.options(needs=[1])(), "needs takes steps or their names")

    def test_on_exit(self):
        def use() -> None:
            nothing()
            flow.on_exit(nothing)(x=flow.run.phase)
            with flow.on_exit():
                flow.script("notify", "true", env={"RUN": flow.run.id, "W": flow.workflow_name})
            train(1)

        workflow = traced(use)
        assert list(workflow.steps) == ["nothing", "train"]
        assert workflow.on_exit["nothing-2"].action.args == {"x": Template((Ref("run.phase"),))}
        assert workflow.on_exit["notify"].env == {
            "RUN": Template((Ref("run.id"),)),
            "W": Template((Ref("workflow.name"),)),
        }

    def test_scripts(self):
        assert only_step(lambda: flow.script("a", "true")).action == Script("true")
        assert only_step(lambda: flow.script("a", "#!/usr/bin/env python3\n1")).action == Script(
            "#!/usr/bin/env python3\n1", ("/usr/bin/env", "python3")
        )
        assert only_step(lambda: flow.script("a", "x", interpreter=["perl"], args=[1])).action == Script(
            "x", ("perl",), ("1",)
        )

    def test_containers_without_command(self):
        assert only_step(lambda: flow.container("a", image="x")).action == Container()
        wrong(lambda: flow.container("a", command="echo hi"), "steps.a.command", "write ['echo hi']")

    def test_python_text(self):
        step = only_step(lambda: flow.python("f", "def f(a): return a", args={"a": [1]}))
        assert step.action == Python("f", "def f(a): return a", {"a": [1]})
        assert step.outputs == {"result": Output(ANY)}

    def test_manifests(self):
        step = only_step(
            lambda: flow.manifest("job", {"kind": "Job", "n": flow.param("n")}, success_when="status.succeeded > 0")
        )
        status = Get(Ref("object", name="status"), "succeeded")
        assert step.action == Manifest(
            {"kind": "Job", "n": Template((Ref("param", name="n"),))}, Binary(">", status, Literal(0))
        )

    def test_outputs_of_a_workflow(self):
        def use() -> dict:
            result = extract(1)
            return {"all": result, "rows": result["rows"], "text": f"n={result['rows']}"}

        def one() -> Any:
            return extract(1)

        def listed() -> Any:
            return [extract(1)]

        assert traced(use).outputs == {
            "all": Template((ref("extract"),)),
            "rows": Template((Get(ref("extract"), "rows"),)),
            "text": Template(("n=", Get(ref("extract"), "rows"))),
        }
        assert traced(one).outputs == {"result": Template((ref("extract"),))}
        wrong(listed, "a workflow returns its outputs")

    def test_options_that_there_are_not(self):
        with pytest.raises(WorkflowError, match="did you mean 'timeout'"):
            flow.step(timout="1s")
        with pytest.raises(WorkflowError, match="did you mean 'parallelism'"):
            flow.workflow(paralelism=1)
        wrong(lambda: flow.script("a", "true", timeout=60), "steps.a.timeout", 'write "60s"')
        wrong(lambda: flow.script("a", "true", retry="2"), "steps.a.retry", "retry=2")
        wrong(lambda: flow.script("a", "true", timeout="soon"), "steps.a.timeout")
        wrong(lambda: flow.script("a", "true", labels={"a": flow.run.id}), "has to be known now")
        wrong(lambda: flow.script("a", "true", env={"A": None}), "steps.a.env.A", "text")


class TestNested:
    def test_a_workflow_in_a_workflow(self):
        @flow.workflow(env={"E": "1"})
        def publish_all(table: dict, where: str = "here") -> dict:
            """Sends it off."""
            file = write(where)
            nothing(table)
            return {"file": file, "sum": extract(1)}

        @flow.workflow
        def outer() -> dict:
            done = publish_all.options(name="pub", continue_on_failure=True)(table=extract(2))
            again = publish_all.foreach([1])(extract(3), where=f"{flow.item}")
            read(done.file, more=done.outputs["sum"])
            return {"file": done.file, "again": again.outputs["sum"]}

        workflow = outer.workflow
        step = workflow.steps["pub"]
        assert isinstance(step.action, Nested)
        inner = step.action.workflow
        assert (inner.name, inner.description, inner.env) == ("", "Sends it off.", {"E": "1"})
        assert list(inner.steps) == ["write", "nothing", "extract"]
        assert inner.steps["nothing"].action.args == {"x": Template((Ref("param", name="table"),))}
        assert step.action.args == {"table": Template((ref("extract"),))}
        assert step.outputs == {}
        assert step.continue_on_failure
        assert workflow.steps["publish_all"].action.args == {
            "table": Template((ref("extract-2"),)),
            "where": Template((Ref("item"),)),
        }
        # What is an artifact inside is one outside.
        assert workflow.steps["read"].action.args == {
            "file": Template((ref("pub", "file", path=True),)),
            "more": Template((ref("pub", "sum"),)),
        }
        assert workflow.outputs["file"] == Template((ref("pub", "file", path=True),))
        assert ("steps", "pub", "workflow", "steps", "write") in workflow.places
        assert publish_all.workflow.name == "publish-all"

    def test_params_of_the_inner_one_are_its_own(self):
        def outer(x: str) -> None:
            @flow.workflow
            def inner() -> None:
                nothing(x=x)

            inner()

        wrong(outer, "belongs to the workflow function outer, not to inner", "pass it as an argument")

    def test_unknown_params(self):
        @flow.workflow
        def inner(rows: int = 1) -> None:
            nothing()

        wrong(lambda: inner(row=1), "the workflow inner has no param 'row'; did you mean 'rows'?")
        wrong(lambda: inner(1, 2), "inner(rows", "too many positional arguments")

    def test_params_that_are_not_in_the_signature(self):
        @flow.workflow(params={"more-rows": 1})
        def inner(rows: int = 1) -> None:
            nothing(x=flow.param("more-rows"))

        assert only_step(lambda: inner(2, **{"more-rows": 3})).action.args == {"rows": 2, "more-rows": 3}

    def test_documents_nest_too(self):
        inner = Workflow(name="doc", steps={"a": traced(lambda: nothing()).steps["nothing"]})
        step = only_step(lambda: flow.nested("a", inner, needs=["b"]))
        assert step.action.workflow.steps == inner.steps
        assert step.needs == {"b": "met"}

    def test_what_only_a_run_has(self):
        @flow.workflow(timeout="1h", labels={"a": "b"})
        def inner() -> None:
            flow.on_exit(nothing)()

        wrong(lambda: inner(), "inner sets timeout, labels, on_exit", "which only a whole run has")

    def test_a_workflow_in_itself(self):
        @flow.workflow
        def loop() -> None:
            loop.options(name="again")()

        with pytest.raises(WorkflowError, match="loop contains itself"):
            _ = loop.workflow
