"""What Python annotations say: the types of params, and the outputs that a function leaves behind."""

from __future__ import annotations

import collections.abc
import pathlib
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen

from flowcore.authoring.places import ProgramError, code_place
from flowcore.model import ANY, BOOLEAN, INTEGER, LIST, NUMBER, OBJECT, STRING, Output, Type
from flowcore.syntax import Json

EMPTY: Final = object()
"""Stands for an annotation that is not there."""

_PLAIN: Final[dict[object, Type]] = {
    str: STRING,
    int: INTEGER,
    float: NUMBER,
    bool: BOOLEAN,
    list: LIST,
    tuple: LIST,
    dict: OBJECT,
    Mapping: OBJECT,
    typing.Any: ANY,
    object: ANY,
}
_LISTS: Final = (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
_OBJECTS: Final = (dict, Mapping, collections.abc.MutableMapping)


@frozen
class Scope:
    """Where the names in a function's annotations are looked up."""

    name: str
    """The function's."""
    place: str | None
    module: dict[str, Any]
    """The names of its module."""
    names: Mapping[str, Any]
    """Names around the function's definition that its module does not have."""

    def read(self, annotation: object) -> object:
        """An annotation that may be text (``from __future__ import annotations``) as the object that it means.

        Raises:
            ProgramError: if a name in it is unknown here.
        """
        found = annotation
        while isinstance(found, (str, typing.ForwardRef)):  # text in quotes, under the future import, is text twice
            text = found.__forward_arg__ if isinstance(found, typing.ForwardRef) else found
            try:
                found = eval(text, self.module, dict(self.names))
            except Exception as error:
                raise ProgramError(
                    f"the annotation {text!r} of {self.name} cannot be read: {error}", place=self.place
                ) from error
        return found


def scope_of(function: types.FunctionType, around: types.FrameType | None) -> Scope:
    """The scope of a function that is being decorated in the frame ``around``."""
    names: dict[str, Any] = {}
    if around is not None and around.f_locals is not around.f_globals:
        names.update(around.f_locals)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            names[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return Scope(function.__name__, code_place(function.__code__), function.__globals__, names)


def type_of(annotation: object, scope: Scope) -> Type | None:
    """The type that an annotation means; ``None`` if it means none that a workflow has."""
    found = scope.read(annotation)
    try:
        if found in _PLAIN:
            return _PLAIN[found]
    except TypeError:  # unhashable
        return None
    origin, arguments = typing.get_origin(found), typing.get_args(found)
    if origin is typing.Annotated:
        return type_of(arguments[0], scope)
    if origin is typing.Literal:
        kinds = {type(choice) for choice in arguments}
        return _PLAIN.get(kinds.pop(), ANY) if len(kinds) == 1 else ANY
    if origin in (typing.Union, types.UnionType):
        # Unlike kinds in one place: any. (None is a value of any alone.)
        return ANY if all(part is type(None) or type_of(part, scope) is not None for part in arguments) else None
    if origin in _LISTS or (origin is tuple and len(arguments) == 2 and arguments[1] is ...):
        element = type_of(arguments[0], scope)
        return None if element is None else Type("list", None if element == ANY else element)
    if origin is tuple:
        return LIST if all(type_of(part, scope) is not None for part in arguments) else None
    if origin in _OBJECTS:
        return OBJECT
    if typing.is_typeddict(found):
        return OBJECT
    return None


def type_of_value(value: Json) -> Type:
    """The type of a constant: what a param with this default and nothing else has."""
    if value is None:
        return ANY
    return _PLAIN[type(value)]


def is_path(annotation: object, scope: Scope) -> bool:
    """Whether an annotation means a file or folder."""
    found = scope.read(annotation)
    if typing.get_origin(found) is typing.Annotated:
        return is_path(typing.get_args(found)[0], scope)
    return isinstance(found, type) and issubclass(found, pathlib.PurePath)


def description_of(annotation: object, scope: Scope) -> str:
    """The text in ``Annotated[int, "how many rows"]``."""
    found = scope.read(annotation)
    if typing.get_origin(found) is typing.Annotated:
        return next((note for note in typing.get_args(found)[1:] if isinstance(note, str)), "")
    return ""


@frozen
class Returned:
    """What a function's return annotation says."""

    outputs: Mapping[str, Output]
    record: type | None = None
    """The NamedTuple (or dataclass) whose fields are the outputs."""
    annotated: bool = True


def returned(annotation: object, scope: Scope) -> Returned:
    """The outputs of a function: ``result``, or one for each field of a NamedTuple or dataclass.

    Raises:
        ProgramError: if the annotation means nothing that a step can leave behind.
    """
    if annotation is EMPTY:
        return Returned({"result": Output(ANY)}, annotated=False)
    found = scope.read(annotation)
    if found is None or found is type(None) or found in (typing.NoReturn, getattr(typing, "Never", None)):
        return Returned({})
    fields = _fields(found)
    if fields is not None and isinstance(found, type):
        return Returned(
            {name: _output(note, f"{found.__name__}.{name}", scope) for name, note in fields.items()}, found
        )
    return Returned({"result": _output(found, "the result", scope)})


def _fields(found: object) -> dict[str, Any] | None:
    if not isinstance(found, type):
        return None
    if issubclass(found, tuple) and hasattr(found, "_fields"):
        notes = getattr(found, "__annotations__", {})
        return {name: notes.get(name, Any) for name in found._fields}
    if hasattr(found, "__dataclass_fields__"):
        return {name: field.type for name, field in found.__dataclass_fields__.items()}
    return None


def _output(annotation: object, what: str, scope: Scope) -> Output:
    if is_path(annotation, scope):
        return Output(artifact=True, description=description_of(annotation, scope))
    found = type_of(annotation, scope)
    if found is None:
        raise _unknown(annotation, f"{what} of {scope.name}", scope)
    return Output(found, description=description_of(annotation, scope))


def param_type(annotation: object, name: str, scope: Scope) -> Type:
    """The type of a workflow's param.

    Raises:
        ProgramError: if the annotation means none that a param can have.
    """
    found = None if is_path(annotation, scope) else type_of(annotation, scope)
    if found is None:
        raise _unknown(annotation, f"param {name} of {scope.name}", scope, path=False)
    return found


def _unknown(annotation: object, what: str, scope: Scope, path: bool = True) -> ProgramError:
    found = scope.read(annotation)
    name = found.__name__ if isinstance(found, type) else str(found)
    return ProgramError(
        f"{what} is annotated {name}, which no value of a workflow is; use str, int, float, bool, list[...], dict"
        + (", Path for a file or folder" if path else " (files are made by steps)"),
        place=scope.place,
    )


def output_type(kind: object, where: Callable[[str], ProgramError]) -> Output:
    """An output from what users write for its type: ``int``, ``Path``, ``"integer"``, ``list[str]``, a ``Type``.

    Args:
        kind: what was written.
        where: makes the error for a message.
    """
    if isinstance(kind, Type):
        return Output(kind)
    if isinstance(kind, str):
        return Output(named_type(kind, where))
    if isinstance(kind, type) and issubclass(kind, pathlib.PurePath):
        return Output(artifact=True)
    found = type_of(kind, _NOWHERE)
    if found is None:
        raise where(f"{kind!r} is no type of a workflow; use str, int, float, bool, list[...], dict, Any or Path")
    return Output(found)


def named_type(name: str, where: Callable[[str], ProgramError]) -> Type:
    """A type by the document's word for it."""
    for known in (STRING, INTEGER, NUMBER, BOOLEAN, LIST, OBJECT, ANY):
        if known.name == name:
            return known
    raise where(f"{name!r} is no type; the types are string, integer, number, boolean, list, object and any")


_NOWHERE: Final = Scope("this", None, {}, {})
