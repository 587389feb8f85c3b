"""Values that a workflow will have only when it runs, and what Python may do with them.

A reference can be passed on, put into text, compared, combined and indexed. Everything else that Python would need the
value for now (a truth value, a length, a number, an iteration) raises an error that names the remedy.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from flowcore.authoring.places import ProgramError
from flowcore.authoring.tracing import Trace, current, read_text
from flowcore.model import Output
from flowcore.runs import Update
from flowcore.syntax import Binary, Expr, Get, Json, ListOf, Literal, Not, Operator, Ref


class Expression:
    """A value that is known when the workflow runs.

    ``== != < <= > >=`` and ``is_in`` give conditions, ``& | ~`` combine them, ``["key"]`` and ``[0]`` reach into
    objects and lists, and text such as ``f"--rows={rows}"`` takes them in:

        train.when((count.result > 10) & (city != ""))(rate=0.1)
    """

    def __init__(self, expr: Expr, owner: Trace | None = None) -> None:
        self._expr = expr
        self._owner = owner

    def _expression(self) -> Expr:
        """The expression itself; an artifact is its path."""
        return self._expr

    # Text.

    def __str__(self) -> str:
        trace = current()
        if trace is None:
            raise ProgramError(f"{self!r} can be put into text only inside a function with @flow.workflow")
        return trace.mark(expr_of(self))

    def __format__(self, spec: str) -> str:
        if spec:
            raise ProgramError(f"the format {spec!r} needs the value of {self!r} now; format it in a step")
        return str(self)

    def __repr__(self) -> str:
        from flowcore.expressions import unparse

        return self._named(f"<flow reference {unparse(self._expression())}>")

    def _named(self, text: str) -> str:
        trace = current()
        if trace is not None:
            trace.reprs.add(text)
        return text

    # Conditions.

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        return self._compare("==", other)

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        return self._compare("!=", other)

    def __lt__(self, other: object) -> Expression:
        return self._compare("<", other)

    def __le__(self, other: object) -> Expression:
        return self._compare("<=", other)

    def __gt__(self, other: object) -> Expression:
        return self._compare(">", other)

    def __ge__(self, other: object) -> Expression:
        return self._compare(">=", other)

    def is_in(self, items: object) -> Expression:
        """Whether it is one of the items of a list (what Python's ``in`` cannot tell yet)."""
        return self._compare("in", list(items) if isinstance(items, (tuple, set, frozenset)) else items)

    def _compare(self, operator: Operator, other: object) -> Expression:
        return Expression(Binary(operator, expr_of(self), expr_of(other)), self._shared(other))

    def __and__(self, other: object) -> Expression:
        return self._combine("&&", other)

    def __or__(self, other: object) -> Expression:
        return self._combine("||", other)

    def __rand__(self, other: object) -> NoReturn:
        self._combine("&&", other)
        raise AssertionError  # an expression on the left has its own __and__

    def __ror__(self, other: object) -> NoReturn:
        self._combine("||", other)
        raise AssertionError

    def __invert__(self) -> Expression:
        return Expression(Not(expr_of(self)), self._owner)

    def _combine(self, operator: Operator, other: object) -> Expression:
        if not isinstance(other, Expression):
            sign = operator[0]
            raise ProgramError(
                f"{sign} binds more tightly than comparisons and met {type(other).__name__} {other!r}; add "
                f"parentheses: (a > 1) {sign} (b == 2)"
            )
        return Expression(Binary(operator, expr_of(self), expr_of(other)), self._shared(other))

    def _shared(self, other: object) -> Trace | None:
        return self._owner or (other._owner if isinstance(other, Expression) else None)

    # Parts.

    def __getitem__(self, key: object) -> Expression:
        if isinstance(key, Expression):
            raise self._needs_value(f"indexing by {key!r}", "pass both to a step that does it")
        if isinstance(key, bool) or not isinstance(key, (str, int)) or (isinstance(key, int) and key < 0):
            raise self._needs_value(f"[{key!r}]", 'use ["key"] or [0], or do it in a step')
        return Expression(Get(expr_of(self), key), self._owner)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # Python's own questions, some before __init__
            raise AttributeError(name)
        raise AttributeError(f"{self!r} has no attribute {name!r}; a key of an object is written [{name!r}]")

    # What would need the value now.

    def _needs_value(self, what: str, remedy: str) -> ProgramError:
        return ProgramError(f"{what} needs the value of {self!r}, which is known only when the workflow runs; {remedy}")

    def __bool__(self) -> bool:
        raise self._needs_value(
            "if, and, or, not and in",
            "use .when(...) for a step that runs on a condition, & | ~ for and, or, not, and .is_in([...]) for in",
        )

    def __contains__(self, item: object) -> bool:
        raise self._needs_value("in", "test it in a step; x.is_in([...]) asks whether x is one of a list")

    def __iter__(self) -> Iterator[Any]:
        raise self._needs_value("iteration and *", "use .foreach(...) to run a step for each item, [0] for one item")

    def __len__(self) -> int:
        raise self._needs_value("len()", "count in a step")

    def __int__(self) -> int:
        raise self._needs_value("int()", "convert it in a step")

    def __index__(self) -> int:
        raise self._needs_value("a number", "pass it to a step, or use .foreach(...) instead of range()")

    def __float__(self) -> float:
        raise self._needs_value("float()", "convert it in a step")

    def _arithmetic(self, *_: object) -> NoReturn:
        raise self._needs_value("arithmetic", "compute in a step; text is put together by an f-string")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _arithmetic
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __divmod__ = __rdivmod__ = _arithmetic
    __neg__ = __pos__ = __abs__ = __round__ = __xor__ = __rxor__ = __lshift__ = __rshift__ = _arithmetic


class OutputReference(Expression):
    """An output of a step. An artifact stands for its path wherever a value is wanted."""

    def __init__(self, ref: Ref, output: Output, owner: Trace | None) -> None:
        super().__init__(ref, owner)
        self._ref = ref
        self._output = output

    def _expression(self) -> Expr:
        return self.path._expr if self._output.artifact else self._expr

    @property
    def path(self) -> Expression:
        """Where the output's file (or folder) is while a step runs."""
        return Expression(Ref(self._ref.kind, step=self._ref.step, name=self._ref.name, path=True), self._owner)

    def __getitem__(self, key: object) -> Expression:
        if self._output.artifact:
            raise self._needs_value(f"[{key!r}]", "read the file in a step")
        return super().__getitem__(key)


class OwnOutput(Expression):
    """One of the outputs of the step that it is used in: ``.path`` to write to, its value in a repeat's ``until``."""

    def __init__(self, name: str) -> None:
        super().__init__(Ref("own", name=name))
        self._output_name = name

    @property
    def path(self) -> Expression:
        """The file (or folder) that the step has to write."""
        return Expression(Ref("own", name=self._output_name, path=True))


class StepResult(Expression):
    """A step that was called in a workflow; as a value, it is the output ``result``.

    Attributes:
        name: the step's name in the workflow.
        outputs: its outputs by name; ``step.NAME`` is short for ``step.outputs["NAME"]``.
    """

    def __init__(self, name: str, outputs: Mapping[str, Output], owner: Trace, unannotated: str = "") -> None:
        super().__init__(Ref("output", step=name, name="result"), owner)
        self.name = name
        self._outputs = outputs
        self._unannotated = unannotated

    @property
    def outputs(self) -> Outputs:
        return Outputs(self)

    @property
    def result(self) -> OutputReference:
        """The output ``result``: what a Python function returned."""
        return self._output("result")

    def _output(self, name: str) -> OutputReference:
        if name not in self._outputs:
            from flowcore.names import nearest

            guess = nearest(name, self._outputs)
            known = ", ".join(self._outputs) or "none"
            raise ProgramError(
                f"step {self.name} has no output {name!r}"
                + (
                    f"; did you mean {guess!r}?"
                    if guess
                    else f" (its outputs: {known}); declare it where the step is made"
                )
            )
        if self._unannotated:
            raise ProgramError(
                f"the result of {self._unannotated} is used, so its function must say its type: "
                f"def {self._unannotated}(...) -> float, or -> None if it gives none"
            )
        return OutputReference(Ref("output", step=self.name, name=name), self._outputs[name], self._owner)

    def _expression(self) -> Expr:
        return self.result._expression()

    def __getitem__(self, key: object) -> Expression:
        return self.result[key]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._outputs:
            return self._output(name)
        if name == "path" and "result" in self._outputs:
            return self.result.path
        raise AttributeError(
            f"step {self.name} has no output {name!r} (its outputs: {', '.join(self._outputs) or 'none'}); a key of "
            f"its result is written [{name!r}]"
        )

    def __repr__(self) -> str:
        return self._named(f"<flow step {self.name}>")


class Outputs(Mapping[str, OutputReference]):
    """The outputs of a step, by name."""

    def __init__(self, step: StepResult) -> None:
        self._step = step

    def __getitem__(self, name: str) -> OutputReference:
        return self._step._output(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._step._outputs)

    def __len__(self) -> int:
        return len(self._step._outputs)

    def __contains__(self, name: object) -> bool:
        return name in self._step._outputs

    def __repr__(self) -> str:
        return f"<outputs of step {self._step.name}: {', '.join(self)}>"


def expr_of(value: object) -> Expr:
    """An operand as an expression: a reference, or constant JSON in which lists may hold references.

    Raises:
        ProgramError: if it is neither, or if a reference is of another workflow.
    """
    if isinstance(value, Expression):
        trace = current()
        if value._owner is not None and value._owner is not trace:
            raise ProgramError(
                f"{value!r} belongs to the workflow function {value._owner.name}"
                + (
                    f", not to {trace.name}; pass it as an argument"
                    if trace
                    else ", and means nothing outside its call"
                )
            )
        return value._expression()
    if value is None or isinstance(value, bool):
        return Literal(value)
    if isinstance(value, int):
        return Literal(int(value))
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ProgramError(f"{value!r} is no number that JSON can hold")
        return Literal(float(value))
    if isinstance(value, str):
        text = read_text(value)
        if isinstance(text, str):
            return Literal(text)
        if text.alone is not None:
            return text.alone
        raise ProgramError("text with references in it cannot be compared; put the text together in a step")
    if isinstance(value, (list, tuple)):
        return ListOf(tuple(expr_of(item) for item in value))
    if isinstance(value, dict):
        return Literal({key: _constant(expr_of(item)) for key, item in value.items()})
    raise ProgramError(f"{type(value).__name__} {value!r} is not JSON, so it cannot be compared with a reference")


def _constant(expr: Expr) -> Any:
    if isinstance(expr, Literal):
        return expr.value
    if isinstance(expr, ListOf):
        return [_constant(item) for item in expr.items]
    raise ProgramError("an object with references in it cannot be compared; compare its keys one by one")


def condition(value: object) -> Expr:
    """What ``when``, ``until`` and the like take: a comparison of references, or a constant truth value.

    Raises:
        ProgramError: if it is text or anything else.
    """
    if isinstance(value, (Expression, bool)):
        return expr_of(value)
    if isinstance(value, str):
        raise ProgramError(f"a condition in words is written flow.expr({value!r})")
    raise ProgramError(f"a condition compares references, such as count.result > 10; this is {type(value).__name__}")


def expr(text: str) -> Any:
    """An expression in the document's own words, such as ``flow.expr("steps.count.outputs.lines > 10")``.

    This is the one way to write expression text: any other ``str`` is data.

    Raises:
        ExpressionError: if the text is no expression.
    """
    from flowcore.expressions import ExpressionError, parse_condition

    try:
        return Expression(parse_condition(text))
    except ExpressionError as error:
        raise ProgramError(f"flow.expr({text!r}): {error}") from error


def param(name: str) -> Any:
    """A param of the workflow by its name, for one that the function's signature does not have."""
    return Expression(Ref("param", name=name))


def own(name: str) -> Any:
    """An output of the step in which it is used: ``flow.own("table").path`` is the file to write.

    In ``until`` of a repeat it is the value that this iteration wrote.
    """
    return OwnOutput(name)


class Run:
    """``flow.run``: the run of a workflow. ``flow.run(workflow, ...)`` starts one, submits it and waits for its end.

    In a workflow function ``flow.run.id`` is the run's name on its backend, and ``flow.run.phase`` (in on_exit only)
    is how it went: ``succeeded`` or ``failed``.
    """

    id: Any = Expression(Ref("run.id"))
    phase: Any = Expression(Ref("run.phase"))

    def __call__(
        self,
        source: Any,
        backend: str | None = None,
        params: Mapping[str, Json] | None = None,
        profile: str | None = None,
        options: Mapping[str, Json] | None = None,
        key: str | None = None,
    ) -> Update:
        """Start a run and wait until it is over.

        Args:
            source: a workflow, a function with ``@flow.workflow``, a document's text, or a file's path.
            backend: where it runs; default: what the configuration says.
            params: the workflow's params.
            profile: which profile of the configuration.
            options: the backend's own options.
            key: the same key and content give the first run again.

        Returns:
            The run at its end, whatever its phase.
        """
        # By name: the facade stands above the front ends.
        update: Update = importlib.import_module("flowcore.backend").run(source, backend, params, profile, options, key)
        return update


run = Run()
workflow_name: Any = Expression(Ref("workflow.name"))
item: Any = Expression(Ref("item"))
"""The item of a foreach that this step is run for; ``flow.item["key"]`` reaches into it."""
iteration: Any = Expression(Ref("iteration"))
"""The number of this iteration of a repeat, from 1."""
