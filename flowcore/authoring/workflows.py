"""Workflows: a function that is called once to see which steps it calls."""

from __future__ import annotations

import functools
import inspect
import threading
import types
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, TypedDict, overload

from attrs import evolve

from flowcore.authoring.annotations import description_of, output_type, param_type, scope_of, type_of_value
from flowcore.authoring.inputs import ParamNote
from flowcore.authoring.options import (
    STEP,
    Convert,
    DefaultsOptions,
    backends_of,
    convert,
    defaults_of,
    image_pull_secrets_of,
    known_options,
    volumes_of,
)
from flowcore.authoring.places import ProgramError, caller, code_place, place
from flowcore.authoring.references import Expression, StepResult, condition
from flowcore.authoring.steps import Configurable, record
from flowcore.authoring.tracing import Trace, current, tracing
from flowcore.authoring.values import (
    boolean_of,
    data_of,
    duration_of,
    env_of,
    integer_of,
    json_of,
    strings_of,
    value_of,
)
from flowcore.errors import FlowError, Path
from flowcore.model import ANY, MISSING, STRING, Nested, Output, Param, Type, Volume, Workflow
from flowcore.names import nearest
from flowcore.syntax import Json, Ref, Template, Value

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from flowcore.authoring.options import Duration

P = ParamSpec("P")


class WorkflowOptions(TypedDict, total=False):
    """The keyword arguments of ``@flow.workflow``; the rest of a workflow comes from its function.

    ``params`` adds to what the signature says: ``{"rows": flow.Param(description="how many")}``.
    """

    name: str
    description: str
    params: Mapping[str, Any]
    defaults: DefaultsOptions
    env: Mapping[str, Any]
    parallelism: int
    timeout: Duration
    fail_fast: bool
    ttl: Duration
    labels: Mapping[str, Any]
    annotations: Mapping[str, Any]
    service_account: str
    image_pull_secrets: Any
    volumes: Mapping[str, Volume]
    backends: Mapping[str, Mapping[str, Json]]


_OPTIONS: Final[dict[str, Convert]] = {
    "name": data_of,
    "description": data_of,
    "defaults": defaults_of,
    "env": env_of,
    "parallelism": integer_of,
    "timeout": duration_of,
    "fail_fast": boolean_of,
    "ttl": duration_of,
    "labels": strings_of,
    "annotations": strings_of,
    "service_account": data_of,
    "image_pull_secrets": image_pull_secrets_of,
    "volumes": volumes_of,
    "backends": backends_of,
}
_NESTED: Final = ("description", "params", "defaults", "env", "steps", "outputs")


class _Once:
    """The trace of one workflow function, made when it is first asked for; all that options() makes of it share it."""

    def __init__(self, trace: Callable[[], Workflow], name: str) -> None:
        self._trace = trace
        self._name = name
        self._lock = threading.RLock()
        self._traced: Workflow | None = None

    def __call__(self) -> Workflow:
        with self._lock:
            if self._traced is None:
                around = current()
                if around is not None and any(outer.subject is self for outer in around.ancestors()):
                    raise ProgramError(f"the workflow {self._name} contains itself; use repeat or foreach instead")
                self._traced = self._trace()
            return self._traced


class WorkflowFunction(Configurable, Generic[P]):
    """A function that describes a workflow.

    Attributes:
        function: the function as it was written.
        name: the workflow's name.
    """

    def __init__(self, function: Callable[P, Any], options: Mapping[str, Any], around: types.FrameType | None) -> None:
        if isinstance(function, (Configurable, type)) or not isinstance(function, types.FunctionType):
            raise ProgramError(f"@flow.workflow decorates a function, and {function!r} is none")
        if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
            raise ProgramError(
                f"{function.__name__} describes a workflow, so it is a plain function: neither async nor a generator",
                place=code_place(function.__code__),
            )
        functools.update_wrapper(self, function)
        self.function: types.FunctionType = function
        self._options = dict(options)
        self.name: str = options.get("name") or function.__name__.replace("_", "-")
        self._signature = inspect.signature(function)
        self._params = self._read_params(around)
        self._given: dict[str, Any] = {}
        self._trace_once = _Once(self._trace, self.name)

    @property
    def workflow(self) -> Workflow:
        """The workflow; the function is called for it once.

        Raises:
            WorkflowError: if the function makes a mistake; an exception of its own is the error's cause.
        """
        return self._trace_once()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        trace = current()
        if trace is None:
            raise ProgramError(
                f"{self.name} is a workflow: run it by flow.run({self.function.__name__}, params={{...}}), or call it "
                "in another workflow"
            )
        others = {name: value for name, value in kwargs.items() if name not in self._signature.parameters}
        unknown = [name for name in others if name not in self._params]
        if unknown:
            guess = nearest(unknown[0], self._params)
            raise ProgramError(
                f"the workflow {self.name} has no param {unknown[0]!r}"
                + (f"; did you mean {guess!r}?" if guess else f" (its params: {', '.join(self._params) or 'none'})")
            )
        named = {name: value for name, value in kwargs.items() if name not in others}
        try:
            bound = self._signature.bind_partial(*args, **named)
        except TypeError as error:
            raise ProgramError(f"{self.function.__name__}{self._signature}: {error}") from error
        return _nest(self.function.__name__, self.workflow, {**bound.arguments, **others}, self._given, self._leaving)

    def __repr__(self) -> str:
        return f"<flow workflow {self.name}>"

    def _read_params(self, around: types.FrameType | None) -> dict[str, Param]:
        scope = scope_of(self.function, around)
        given = dict(self._options.get("params") or {})
        found: dict[str, Param] = {}
        where = code_place(self.function.__code__)
        for name, parameter in self._signature.parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise ProgramError(
                    f"{self.function.__name__} takes *{name}; a workflow's params are named, so list them", place=where
                )
            note = parameter.annotation
            default = MISSING if parameter.default is parameter.empty else parameter.default
            more = default if isinstance(default, ParamNote) else None
            default = more.default if more else default
            extra = given.pop(name, None)
            if isinstance(extra, ParamNote):
                more = ParamNote(
                    extra.type or (more.type if more else None),
                    default if extra.default is MISSING else extra.default,
                    extra.description or (more.description if more else ""),
                )
            elif extra is not None:
                more = _note(extra, name)
            kind, text = None, ""
            if note is not parameter.empty:
                # None fits only a param of any kind, whatever the annotation says beside it.
                kind = ANY if default is None else param_type(note, name, scope)
                text = description_of(note, scope)
            elif default is MISSING and more is None:
                raise ProgramError(f"say the type of param {name}: {name}: int, or give it a default", place=where)
            found[name] = _param(more or ParamNote(None, default, ""), kind, text, name)
            if more is not None and more.default is MISSING and default is not MISSING:
                found[name] = _param(ParamNote(more.type, default, more.description), kind, text, name)
        for name, extra in given.items():
            found[name] = _param(_note(extra, name), None, "", name)
        return found

    def _trace(self) -> Workflow:
        code = self.function.__code__
        with Trace(self.function.__name__, self._trace_once, current()) as trace:
            arguments: dict[str, Any] = {
                name: Expression(Ref("param", name=name), trace) for name in self._signature.parameters
            }
            positional = [
                arguments.pop(name)
                for name, parameter in self._signature.parameters.items()
                if parameter.kind is parameter.POSITIONAL_ONLY
            ]
            try:
                answer = self.function(*positional, **arguments)
            except FlowError:
                raise
            except Exception as error:
                raise ProgramError(f"{type(error).__name__}: {error}", place=_error_place(error, code)) from error
            options = {**self._options, **trace.settings}
            options.pop("params", None)
            try:
                outputs = _outputs(answer, trace)
                fields = convert(options, _OPTIONS, ())
            except ProgramError as error:
                # What is read after the function has returned has no line of its own.
                raise ProgramError.of(
                    [evolve(problem, place=code_place(code)) for problem in error.problems]
                ) from error
        fields.setdefault("name", self.name)
        fields.setdefault("description", inspect.getdoc(self.function) or "")
        places: dict[Path, str] = {(): code_place(code), **trace.places}
        return Workflow(
            params=self._params, steps=trace.steps, on_exit=trace.on_exit, outputs=outputs, places=places, **fields
        )


def _error_place(error: BaseException, code: types.CodeType) -> str:
    """The innermost line of the error in the same file as the workflow."""
    found = code_place(code)
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == code.co_filename:
            found = place(code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    return found


def _note(extra: Any, name: str) -> ParamNote:
    if isinstance(extra, ParamNote):
        return extra
    if isinstance(extra, Param):
        return ParamNote(extra.type, extra.default, extra.description)
    # As in the document, anything else is the default.
    return ParamNote(None, json_of(extra, ("params", name)), "")


def _param(note: ParamNote, annotated: Type | None, description: str, name: str) -> Param:
    path: Path = ("params", name)
    default = note.default if note.default is MISSING else json_of(note.default, (*path, "default"))
    if note.type is not None:
        found = output_type(note.type, lambda message: ProgramError(message, path=path))
        if found.artifact:
            raise ProgramError("a param is a value; files are made by steps", path=path)
        kind = found.type
    else:
        kind = annotated or (STRING if default is MISSING else type_of_value(default))
    return Param(kind, default, note.description or description)


def _outputs(answer: object, trace: Trace) -> dict[str, Value]:
    if answer is None:
        return {}
    if isinstance(answer, Expression):
        answer = {"result": answer}
    elif hasattr(answer, "_asdict"):
        answer = answer._asdict()
    if not isinstance(answer, Mapping):
        raise ProgramError(
            f"{trace.name} returns {type(answer).__name__}; a workflow returns its outputs: {{'score': best.result}}"
        )
    found: dict[str, Value] = {}
    for name, value in answer.items():
        found[data_of(name, ("outputs",))] = value_of(value, ("outputs", name))
    return found


def _nest(name: str, inner: Workflow, args: Mapping[str, Any], options: Mapping[str, Any], leaving: bool) -> StepResult:
    extra = _more_than_nested(inner)
    if extra:
        raise ProgramError(
            f"the workflow {inner.name or name} sets {', '.join(extra)}, which only a whole run has; a workflow inside "
            f"another one has {', '.join(_NESTED)}"
        )
    bare = Workflow(
        description=inner.description,
        params=inner.params,
        defaults=inner.defaults,
        env=inner.env,
        steps=inner.steps,
        outputs=inner.outputs,
        places=inner.places,
    )

    def action(path: Path) -> Nested:
        return Nested(bare, {key: value_of(value, (*path, "args", key)) for key, value in args.items()})

    result = record(name, action, {}, options, leaving=leaving, places=inner.places)
    outputs = {key: _inner_output(value) for key, value in inner.outputs.items()}
    return StepResult(result.name, outputs, tracing("a nested workflow"))


def _inner_output(value: Value) -> Output:
    """What an output of a nested workflow is to the steps outside: a path of a step's artifact, alone, hands it on."""
    alone = value.alone if isinstance(value, Template) else None
    return Output(ANY, artifact=isinstance(alone, Ref) and alone.kind == "output" and alone.path)


def _more_than_nested(inner: Workflow) -> list[str]:
    plain = Workflow()
    return [
        field
        for field in (*_OPTIONS, "on_exit")
        if field not in (*_NESTED, "name") and getattr(inner, field) != getattr(plain, field)
    ]


def nested(name: str, workflow: Any, args: Mapping[str, Any] | None = None, **options: Any) -> Any:
    """A step that runs a whole workflow: a loaded document, or a ``@flow.workflow`` under another name.

    Args:
        name: the step's name; a second one of that name gets ``-2``.
        workflow: a Workflow, as ``flow.load`` gives it, or a function with ``@flow.workflow``.
        args: its params.
        **options: see ``StepOptions``.
    """
    known_options(options, STEP, "flow.nested")
    inner = getattr(workflow, "workflow", workflow)
    if not isinstance(inner, Workflow):
        raise ProgramError(f"flow.nested takes a workflow, and {workflow!r} is none")
    return _nest(name, inner, args or {}, options, False)


@overload
def workflow(function: Callable[P, Any], /) -> WorkflowFunction[P]: ...
@overload
def workflow(
    **options: Unpack[WorkflowOptions],
) -> Callable[[Callable[P, Any]], WorkflowFunction[P]]: ...
def workflow(function: Any = None, /, **options: Any) -> Any:
    """Make a function a workflow: ``@flow.workflow``, or ``@flow.workflow(name="nightly-train", timeout="2h")``.

    The function is called once, with references for its parameters, and every step that it calls is written down. What
    it returns are the workflow's outputs: a dict, or one reference for the output ``result``.

        @flow.workflow
        def nightly(rows: int = 1000, city: str = "Basel"):
            table = extract(rows=rows, city=city)
            return {"score": train(table=table)}

    Its parameters are the workflow's params, its docstring the description. Called inside another workflow's function
    it is one step there.

    Args:
        function: the function.
        **options: see ``WorkflowOptions``.
    """
    known_options(options, ("params", *_OPTIONS), "@flow.workflow")
    if function is not None:
        return WorkflowFunction(function, options, caller())

    def decorate(function: Callable[P, Any]) -> WorkflowFunction[P]:
        return WorkflowFunction(function, options, caller())

    return decorate


def configure(**options: Any) -> None:
    """Set the workflow's own options from inside its function, where references are at hand.

    ``flow.configure(env={"CITY": f"in {city}"}, defaults={"image": f"python:{version}"})``

    Args:
        **options: see ``WorkflowOptions``; each replaces what the decorator gave. Params come from the signature only.
    """
    known_options(options, _OPTIONS, "flow.configure")
    tracing("flow.configure").settings.update(options)


class _Block:
    """``with flow.on_exit():``, or ``flow.on_exit(notify)(...)``."""

    def __enter__(self) -> None:
        trace = tracing("flow.on_exit")
        if trace.leaving:
            raise ProgramError("this is inside flow.on_exit() already")
        trace.leaving = True

    def __exit__(self, *_: object) -> None:
        tracing("flow.on_exit").leaving = False


def on_exit(step: Any = None) -> Any:
    """Steps that start when all others have ended, however they ended.

    ``flow.on_exit(notify)(phase=flow.run.phase)`` for a step function, ``with flow.on_exit():`` for any steps.
    """
    if step is None:
        return _Block()
    if not isinstance(step, Configurable):
        raise ProgramError(
            f"flow.on_exit takes a function with @flow.step, not {step!r}; or write: with flow.on_exit():"
        )
    return step._in_on_exit()


class _When:
    def __init__(self, found: Any) -> None:
        self._condition = found

    def __enter__(self) -> None:
        tracing("flow.when").conditions.append(self._condition)

    def __exit__(self, *_: object) -> None:
        tracing("flow.when").conditions.pop()


def when(condition_: Any) -> Any:
    """A condition for every step that is called in a block: ``with flow.when(count.result > 10):``."""
    return _When(condition(condition_))
