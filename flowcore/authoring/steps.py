"""Steps: Python functions, containers, scripts, manifests, and how each is called in a workflow."""

from __future__ import annotations

import copy
import functools
import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from flowcore.authoring.annotations import EMPTY, Scope, is_path, returned, scope_of
from flowcore.authoring.options import STEP, NamedStepOptions, StepOptions, convert, known_options
from flowcore.authoring.places import ProgramError, caller, caller_place
from flowcore.authoring.references import Expression, StepResult, condition
from flowcore.authoring.source import Helper, embed, helpers_of
from flowcore.authoring.tracing import current, join_conditions, read_text, tracing
from flowcore.authoring.values import data_of, mapping_of, names_of, texts_of, value_of
from flowcore.errors import Path
from flowcore.model import ANY, Action, Container, Manifest, Output, Python, Script, Step
from flowcore.syntax import Binary

if TYPE_CHECKING:
    from typing_extensions import Unpack

P = ParamSpec("P")
Self = TypeVar("Self", bound="Configurable")


class Configurable:
    """Something that is a step when it is called in a workflow, and whose options can be given first.

    ``train.options(timeout="10m")``, ``train.when(...)`` and ``train.foreach(...)`` each give a new one, to call.
    """

    _given: dict[str, Any]
    _leaving: bool = False

    def options(self: Self, **options: Unpack[NamedStepOptions]) -> Self:
        """The same with these options; an option that it had already is replaced."""
        known_options(options, ("name", *STEP), "a step")
        other = copy.copy(self)
        other._given = {**self._given, **options}
        return other

    def when(self: Self, condition_: Any) -> Self:
        """The same, run only if a condition holds (and those given before hold too)."""
        found = condition(condition_)
        before = self._given.get("when")
        if before is not None:
            found = Binary("&&", condition(before), found)
        return self.options(when=Expression(found, current()))

    def foreach(self: Self, items: Any) -> Self:
        """The same, run for each item of a list, which the arguments know as ``flow.item``."""
        return self.options(foreach=items)

    def _in_on_exit(self: Self) -> Self:
        other = copy.copy(self)
        other._leaving = True
        return other


def record(
    name: str,
    action: Callable[[Path], Action],
    outputs: Mapping[str, Output],
    options: Mapping[str, Any],
    *,
    description: str = "",
    leaving: bool = False,
    unannotated: str = "",
    places: Mapping[Path, str] | None = None,
) -> StepResult:
    """Write one step down in the trace that is going on.

    Args:
        name: the step's name, unless the options have one.
        action: makes what the step runs, given the step's path.
        outputs: the step's outputs, unless the options have them.
        options: what the user gave, as ``StepOptions``.
        description: the step's description, unless the options have one.
        leaving: whether it is a step of on_exit.
        unannotated: the function's name, if nobody said what it returns.
        places: places inside the step, for a nested workflow.
    """
    trace = tracing(f"the step {name}")
    given = dict(options)
    explicit = given.pop("name", None)
    name = trace.free_name(name) if explicit is None else data_of(explicit, ("name",))
    before, trace.leaving = trace.leaving, trace.leaving or leaving
    try:
        path: Path = ("on_exit" if trace.leaving else "steps", name)
        fields = convert(given, STEP, path)
        if trace.conditions:
            fields["when"] = join_conditions([*trace.conditions, *([fields["when"]] if "when" in fields else [])])
        fields.setdefault("outputs", dict(outputs))
        if "stdout" in fields and fields["stdout"] not in fields["outputs"]:
            fields["outputs"] = {**fields["outputs"], fields["stdout"]: Output()}
        fields.setdefault("description", description)
        step = Step(action(path), **fields)
        trace.add(name, step, caller_place())
        for inner, where in (places or {}).items():
            inside: Path = (*path, "workflow", *inner)
            trace.places[inside] = where
    finally:
        trace.leaving = before
    return StepResult(name, step.outputs, trace, unannotated if "outputs" not in given else "")


class StepFunction(Configurable, Generic[P]):
    """A Python function that is a step inside a workflow, and just itself everywhere else.

    Attributes:
        function: the function as it was written.
        source: the text that travels.
        helpers: what ``uses`` brought along.
    """

    def __init__(
        self,
        function: Callable[P, Any],
        uses: Sequence[object],
        options: Mapping[str, Any],
        around: types.FrameType | None,
    ) -> None:
        if isinstance(function, (Configurable, type)) or not isinstance(function, types.FunctionType):
            raise ProgramError(f"@flow.step decorates a function, and {function!r} is none")
        functools.update_wrapper(self, function)
        self.function: types.FunctionType = function
        self._signature = inspect.signature(function)
        scope = scope_of(function, around)
        self._returned = returned(function.__annotations__.get("return", EMPTY), scope)
        names = {**scope.names, function.__name__: self}
        self.helpers: list[Helper] = helpers_of(uses, function, names)
        self.source = embed(function, self.helpers, self._returned.record, names)
        self._paths = _path_parameters(self._signature, scope)
        self._given = dict(options)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        if current() is None and not self._leaving and "foreach" not in self._given:
            return self.function(*args, **kwargs)
        name = self.function.__name__
        return record(
            name,
            lambda path: Python(name, self.source, self._arguments(args, kwargs, path)),
            self._returned.outputs,
            self._given,
            description=summary(self.function),
            leaving=self._leaving,
            unannotated="" if self._returned.annotated else name,
        )

    def __repr__(self) -> str:
        return f"<flow step function {self.function.__name__}>"

    def _arguments(self, args: Any, kwargs: Any, path: Path) -> dict[str, Any]:
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ProgramError(f"{self.function.__name__}{self._signature}: {error}", path=path) from error
        bound.apply_defaults()
        found: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            if self._signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                found.update({key: value_of(entry, (*path, "args", key)) for key, entry in value.items()})
            elif name in self._paths and hasattr(value, "__fspath__"):
                found[name] = value_of(str(value), (*path, "args", name))
            else:
                found[name] = value_of(value, (*path, "args", name))
        return found


def _path_parameters(signature: inspect.Signature, scope: Scope) -> frozenset[str]:
    found = set()
    for parameter in signature.parameters.values():
        try:
            if is_path(parameter.annotation, scope):
                found.add(parameter.name)
        except ProgramError:  # an annotation for type checkers only: nothing here depends on it
            continue
    return frozenset(found)


def summary(function: Callable[..., Any]) -> str:
    """The first paragraph of a function's docstring, in one line."""
    return " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())


@overload
def step(function: Callable[P, Any], /) -> StepFunction[P]: ...
@overload
def step(
    *, uses: Sequence[object] = (), **options: Unpack[NamedStepOptions]
) -> Callable[[Callable[P, Any]], StepFunction[P]]: ...
def step(function: Any = None, /, *, uses: Sequence[object] = (), **options: Any) -> Any:
    """Make a function a step: ``@flow.step``, or ``@flow.step(image="python:3.11", retry=2)``.

    In a workflow its call is a step, and stands for what the function will return; anywhere else it is a plain call.
    The function's source travels to where the step runs, so it imports what it needs inside, and helpers are named:

        @flow.step(uses=[clean], timeout="10m")
        def train(rate: float, rows: list[dict]) -> float:
            import math
            ...

    Args:
        function: the function.
        uses: functions, classes and (by name) JSON constants of the module that the function needs.
        **options: see ``NamedStepOptions``.

    Raises:
        ProgramError: if the function's source cannot travel, with everything that it would miss.
    """
    known_options(options, ("name", *STEP), "@flow.step")
    if function is not None:
        return StepFunction(function, uses, options, caller())
    return _Decorator(uses, options)


class _Decorator:
    """``@flow.step(...)`` before it meets its function."""

    def __init__(self, uses: Sequence[object], options: Mapping[str, Any]) -> None:
        self._uses = uses
        self._options = options

    def __call__(self, function: Callable[P, Any]) -> StepFunction[P]:
        return StepFunction(function, self._uses, self._options, caller())


def container(
    name: str, *, command: Iterable[Any] | None = None, args: Iterable[Any] = (), **options: Unpack[StepOptions]
) -> Any:
    """A step that runs a program: ``flow.container("extract", image="acme/extract:3", command=["extract", "--all"])``.

    Args:
        name: the step's name; a second one of that name gets ``-2``.
        command: the program and its arguments; without it the image's own entry point runs.
        args: appended to the command.
        **options: see ``StepOptions``.

    Returns:
        The step, for its outputs.
    """
    known_options(options, STEP, "flow.container")

    def action(path: Path) -> Action:
        words = None if command is None else texts_of(command, (*path, "command"))
        return Container(words, texts_of(args, (*path, "args")))

    return record(name, action, {}, options)


def script(
    name: str,
    source: str,
    *,
    interpreter: Iterable[str] | None = None,
    args: Iterable[Any] = (),
    **options: Unpack[StepOptions],
) -> Any:
    """A step that runs a text as a file: ``flow.script("count", 'wc -l < "$DATA"', env={"DATA": raw.path})``.

    Args:
        name: the step's name; a second one of that name gets ``-2``.
        source: the text. Nothing is ever put into it: values come by ``env`` and ``args``.
        interpreter: what runs it; default: the text's ``#!`` line, else ``sh -e``.
        args: what the script sees as its arguments.
        **options: see ``StepOptions``.

    Returns:
        The step, for its outputs.
    """
    known_options(options, STEP, "flow.script")

    def action(path: Path) -> Action:
        from flowcore.document.fields import shebang

        if not isinstance(source, str) or not isinstance(read_text(source), str):
            raise ProgramError(
                "a script's text takes no references; give their values by env= or args=, and use them as $NAME or $1",
                path=(*path, "script"),
            )
        words = names_of(interpreter, (*path, "interpreter")) if interpreter is not None else shebang(source)
        return Script(str(source), words, texts_of(args, (*path, "args")))

    return record(name, action, {}, options)


def python(
    name: str,
    source: str,
    *,
    function: str | None = None,
    args: Mapping[str, Any] | None = None,
    **options: Unpack[StepOptions],
) -> Any:
    """A step that calls a function of a Python text (``@flow.step`` makes the text from a function).

    Args:
        name: the step's name; a second one of that name gets ``-2``.
        source: a module's text.
        function: which function of it; default: the one called like the step.
        args: keyword arguments.
        **options: see ``StepOptions``; without outputs there is one, ``result``, of any type.
    """
    known_options(options, STEP, "flow.python")

    def action(path: Path) -> Action:
        found = value_of(mapping_of(args or {}, (*path, "args")), (*path, "args"))
        assert isinstance(found, dict)
        return Python(name if function is None else function, data_of(source, (*path, "source")), found)

    return record(name, action, {"result": Output(ANY)}, options)


def manifest(
    name: str,
    object: Mapping[str, Any],
    *,
    success_when: Any = None,
    failure_when: Any = None,
    **options: Unpack[StepOptions],
) -> Any:
    """A step that creates a Kubernetes object and waits until a condition on it holds.

    Args:
        name: the step's name; a second one of that name gets ``-2``.
        object: the object, which may hold references.
        success_when: an expression about the object, as text: ``"status.succeeded > 0"``.
        failure_when: likewise.
        **options: see ``StepOptions``.
    """
    known_options(options, STEP, "flow.manifest")

    def about(value: Any, path: Path) -> Any:
        from flowcore.expressions import ExpressionError, parse_condition

        if value is None:
            return None
        try:
            return parse_condition(data_of(value, path), object_names=True)
        except ExpressionError as error:
            raise ProgramError(f"{value!r}: {error}", path=path) from error

    def action(path: Path) -> Action:
        found = value_of(mapping_of(object, (*path, "manifest")), (*path, "manifest"))
        assert isinstance(found, dict)
        return Manifest(
            found, about(success_when, (*path, "success_when")), about(failure_when, (*path, "failure_when"))
        )

    return record(name, action, {}, options)
