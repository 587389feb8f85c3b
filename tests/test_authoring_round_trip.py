"""Python and documents say the same: a program, its document, and the program of that document give one model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from programs import program_of
from workflows_strategy import workflows

import flowcore as flow
from flowcore.authoring.references import Expression, expr_of
from flowcore.checks import check
from flowcore.document import read_document, write_document
from flowcore.model import Nested, Workflow
from flowcore.syntax import Binary, Expr, Get, Literal, Not, Ref


class Best(NamedTuple):
    rate: float
    scores: list[float]


@flow.step
def numbers(count: int) -> list[int]:
    return list(range(count))


@flow.step(image="python:3.11", retry=flow.Retry(2, backoff=flow.Backoff("1s", factor=2)))
def train(rate: float, tag: str = "a\n${{ b }}\n") -> float:
    """Trains."""
    return rate


@flow.step
def best(scores: list[float]) -> Best:
    return Best(max(scores), scores)


@flow.step
def save(score: float) -> Path:
    from pathlib import Path

    Path("score").write_text(str(score))
    return Path("score")


@flow.workflow
def publish(file_name: str, deep: dict | None = None):
    sent = flow.script("send", 'echo "$F" > "$FLOW_OUTPUTS/id"', env={"F": file_name}, outputs={"id": int})
    return {"id": sent.outputs["id"]}


@flow.workflow(
    name="whole", timeout="1h30m", ttl="1d", parallelism=3, labels={"team": "ads"}, defaults={"user": "1000"}
)
def whole(count: int = 3, city: str = "Zürich", on: bool = True):
    """Every kind of step in one workflow."""
    flow.configure(env={"CITY": f"in {city}"})
    found = numbers(count)
    scores = train.foreach(found.result)(rate=flow.item, tag=f"t-{flow.run.id}")
    chosen = best.options(needs={scores: "succeeded"}, timeout="90s")(scores.result)
    file = save.when((chosen.rate > 1) & on & ~(flow.expr("params.city") == "${{ x }}"))(chosen.rate)
    count_step = flow.script(
        "count", "#!/bin/sh\nwc -l < $1", args=[file], stdout="lines", outputs={"lines": flow.Output(int, default=0)}
    )
    flow.script(
        "wait-ready",
        "poll",
        outputs={"ready": str},
        repeat=flow.Repeat(until=flow.own("ready") == "yes", max=20, delay="5s"),
    )
    done = publish.when(count_step.outputs["lines"].is_in([1, 2]))(file_name=city)
    flow.container("tool", image=f"tool:{city}", command=["t", "--to", flow.own("t").path], outputs={"t": Path})
    with flow.on_exit():
        flow.script("notify", "true", env={"PHASE": flow.run.phase, "TOKEN": flow.secret("s", "k")})
    return {"score": chosen.rate, "id": done.id, "file": file}


def program(text: str) -> Workflow:
    space: dict[str, Any] = {"__name__": "program"}
    exec(compile(text, "program.py", "exec"), space)
    workflow: Workflow = space["main"].workflow
    return workflow


def test_a_program_and_its_document_are_one_workflow():
    workflow = whole.workflow
    assert check(workflow) == []
    assert read_document(write_document(workflow)) == workflow


def test_the_program_of_a_program_is_the_same_workflow():
    assert program(program_of(whole.workflow)) == whole.workflow


def writable(workflow: Workflow) -> bool:
    """Whether Python can write it as it is: it would name a step anew, or declare an output for stdout."""
    names = [name.replace("_", "-") for name in (*workflow.steps, *workflow.on_exit)]
    return len(set(names)) == len(names) and all(
        (step.stdout is None or step.stdout in step.outputs)
        and (not isinstance(step.action, Nested) or writable(step.action.workflow))
        for step in (*workflow.steps.values(), *workflow.on_exit.values())
    )


@given(workflows.filter(writable))
@settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_the_program_of_any_workflow_traces_to_it(workflow):
    traced = program(program_of(workflow))
    assert traced == workflow
    assert read_document(write_document(traced)) == workflow


names = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(json_values)
def test_a_value_is_data(value):
    @flow.workflow
    def main() -> None:
        flow.python("f", "def f(x): return x", args={"x": value})

    (step,) = main.workflow.steps.values()
    assert step.action.args == {"x": value}  # type: ignore[union-attr]


leaves = st.one_of(
    names.map(lambda name: Ref("param", name=name)),
    st.builds(lambda step, name, path: Ref("output", step=step, name=name, path=path), names, names, st.booleans()),
    st.just(Ref("item")),
)
constants = st.builds(Literal, st.booleans() | st.integers(-9, 9) | st.text(max_size=5) | st.none())


def _conditions(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    compared = st.builds(Binary, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), inner, constants | inner)
    joined = st.builds(Binary, st.sampled_from(["&&", "||"]), inner, inner)
    return compared | joined | st.builds(Not, inner) | st.builds(Get, inner, names | st.integers(0, 9))


@given(st.recursive(leaves, _conditions, max_leaves=8))
def test_operators_build_the_expression_that_they_look_like(expr):
    assert expr_of(_operated(expr)) == expr


def _operated(expr: Expr) -> Any:
    """The expression as Python's operators on references would make it."""
    match expr:
        case Literal(value):
            return value
        case Not(operand):
            return ~_operated(operand)
        case Get(base, key):
            return _operated(base)[key]
        case Binary(operator, left, right):
            a, b = _operated(left), _operated(right)
            operations: dict[str, Any] = {
                "==": lambda: a == b,
                "!=": lambda: a != b,
                "<": lambda: a < b,
                "<=": lambda: a <= b,
                ">": lambda: a > b,
                ">=": lambda: a >= b,
                "&&": lambda: a & b,
                "||": lambda: a | b,
            }
            return operations[operator]()
    return Expression(expr)


pieces_of_text = st.lists(st.text(max_size=6) | leaves, min_size=1, max_size=5)


@given(pieces_of_text)
@settings(deadline=None)
def test_text_keeps_its_parts(pieces):
    @flow.workflow
    def main() -> None:
        text = "".join(piece if isinstance(piece, str) else str(Expression(piece)) for piece in pieces)
        flow.container("a", command=["x", text])

    (step,) = main.workflow.steps.values()
    found = step.action.command[1]  # type: ignore[union-attr]
    joined: list[Any] = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        elif piece != "":
            joined.append(piece)
    if not joined or (len(joined) == 1 and isinstance(joined[0], str)):
        assert found == "".join(joined)
    else:
        assert list(found.parts) == joined
