"""What the source of a Python step says about the function that it calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from attrs import frozen

from flowcore.checks.references import Report
from flowcore.errors import Path
from flowcore.model import Python
from flowcore.names import nearest

if TYPE_CHECKING:
    import ast


@frozen
class Signature:
    """What a function takes by name."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    positional_only: tuple[str, ...]
    takes_any: bool


@frozen
class _Source:
    functions: dict[str, Signature]
    error: str | None = None


def check_python(python: Python, path: Path, report: Report) -> None:
    """Report source that does not parse, a function that is not in it, and args that it does not take."""
    if not python.function.isidentifier():
        report((*path, "function"), f"{python.function!r} is not the name of a Python function")
        return
    source = _read(python.source)
    if source.error is not None:
        report((*path, "source"), source.error)
        return
    function = source.functions.get(python.function)
    if function is None:
        near = nearest(python.function, source.functions)
        advice = f"did you mean {near!r}?" if near else "define it at the top level of the source"
        report((*path, "function"), f"the source defines no function {python.function!r}; {advice}")
        return
    _args(python, function, path, report)


def _args(python: Python, function: Signature, path: Path, report: Report) -> None:
    known = (*function.required, *function.optional)
    for name in python.args:
        if name in function.positional_only:
            continue
        if name not in known and not function.takes_any:
            near = nearest(name, known)
            advice = f"did you mean {near!r}?" if near else f"it takes {_listed(known)}"
            report((*path, "args", name), f"{python.function} takes no argument {name!r}; {advice}")
    for name in function.positional_only:
        report((*path, "args"), f"{python.function} takes {name!r} by position only; remove the / from its parameters")
    for name in function.required:
        if name not in python.args:
            report((*path, "args"), f"{python.function} has to be given {name!r}; add it to args")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


@lru_cache(maxsize=256)
def _read(source: str) -> _Source:
    import ast
    import warnings

    try:
        # Odd escapes in the source are the source's own affair.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except SyntaxError as error:
        return _Source({}, f"line {error.lineno or 1} of the source is not Python: {error.msg}")
    except ValueError:
        return _Source({}, "the source holds a character that Python does not read; take it out")
    except (RecursionError, MemoryError):
        return _Source({}, "the source nests too deeply for Python to read")
    return _Source({node.name: _signature(node.args) for node in _functions(tree.body)})


def _functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions at the top level, those under ``if``, ``try`` and ``with`` included."""
    import ast

    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from _functions(node.body)
            if not isinstance(node, ast.With):
                yield from _functions(node.orelse)
            if isinstance(node, ast.Try):
                for handler in node.handlers:
                    yield from _functions(handler.body)


def _signature(args: ast.arguments) -> Signature:
    positional_only = [arg.arg for arg in args.posonlyargs]
    by_position = positional_only + [arg.arg for arg in args.args]
    defaults = len(by_position) - len(args.defaults)
    required = [name for name in by_position[:defaults] if name not in positional_only]
    optional = [name for name in by_position[defaults:] if name not in positional_only]
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        (required if default is None else optional).append(arg.arg)
    return Signature(
        required=tuple(required),
        optional=tuple(optional),
        positional_only=tuple(name for name in by_position[:defaults] if name in positional_only),
        takes_any=args.kwarg is not None,
    )
