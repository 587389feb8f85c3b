"""The source of a Python step: what travels in the document, and why a function cannot.

The function's text is taken as it is written (an indented one is wrapped in ``if True:``, so that strings over several
lines stay as they are), its decorator cut out, its helpers put in front. Every name that it reads must come along.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import json
import linecache
import symtable
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import define, field, frozen

from flowcore.authoring.places import ProgramError, code_place, place
from flowcore.errors import Problem

_BUILTINS: Final = frozenset(dir(builtins))
_HEADER: Final = "from __future__ import annotations\n"


@frozen
class Helper:
    """Something that ``uses`` names: a function, a class, or a JSON constant with its name."""

    name: str
    value: Any


@define
class _Piece:
    """One function or class as text."""

    name: str
    value: Any
    text: str
    place: str
    """Its first line, as ``file.py:LINE``."""
    file: str = ""
    line: int = 0
    """The line in the file of the text's first line, less one."""
    classes: set[str] = field(factory=set)
    """Free names that are read while a class is made (bases, decorators, fields), so that nothing can import them."""
    free: dict[str, int] = field(factory=dict)
    """Free names, with the line of the text that reads each first."""


def embed(
    function: types.FunctionType, helpers: Sequence[Helper], record: type | None, around: Mapping[str, Any]
) -> str:
    """The source of a module that defines the function and everything that it needs.

    Args:
        function: the function of a step, undecorated.
        helpers: what its ``uses`` names.
        record: the class that it returns, if that is a NamedTuple or dataclass.
        around: names of the scope that the function is defined in.

    Raises:
        ProgramError: if the function cannot travel, with every name that it would miss.
    """
    _refuse_kinds(function)
    helpers = list(helpers)
    if record is not None and all(helper.value is not record for helper in helpers):
        helpers.append(Helper(record.__name__, record))
    pieces = [_piece(helper) for helper in helpers if isinstance(helper.value, (types.FunctionType, type))]
    own = _function_piece(function, main=True)
    constants = [helper for helper in helpers if not isinstance(helper.value, (types.FunctionType, type))]
    carried = {piece.name: piece.value for piece in [*pieces, own]} | {entry.name: entry.value for entry in constants}
    lines: dict[str, None] = {}  # imports and aliases that go in front, each once
    aliases: dict[str, None] = {}
    problems: list[Problem] = []
    for piece in [*pieces, own]:
        for name, line in piece.free.items():
            if name in carried or name in _BUILTINS:
                continue
            known, value = _lookup(name, piece.value, function, around)
            origin = next((key for key, other in carried.items() if known and _same(other, value)), None)
            if origin is not None:
                aliases[f"{name} = {origin}\n"] = None
            elif name in piece.classes and known and (statement := _import_of(name, value)):
                lines[statement] = None
            else:
                problems.append(
                    _missing(piece, name, line, known, value, name in around and name not in function.__globals__)
                )
    if problems:
        raise ProgramError.of(problems)
    parts = [_HEADER + "".join(lines)]
    if constants:
        parts.append("".join(f"{entry.name} = {_literal(entry)}\n" for entry in constants))
    parts += [piece.text for piece in pieces]
    if aliases:
        parts.append("".join(aliases))
    return "\n\n".join([*parts, own.text])


def helpers_of(uses: Sequence[object], function: types.FunctionType, around: Mapping[str, Any]) -> list[Helper]:
    """Read ``uses``: functions and classes, and the names of constants (or of either) as text.

    Raises:
        ProgramError: for anything else.
    """
    found: dict[str, Helper] = {}
    for entry in uses:
        if isinstance(entry, str):
            known, value = _lookup(entry, function, function, around)
            if not known:
                raise ProgramError(f"uses={entry!r} of {function.__name__}: there is no such name above the function")
            _collect(Helper(entry, value), function, found)
        else:
            _collect(
                Helper(entry.__name__ if isinstance(entry, (types.FunctionType, type)) else "", entry), function, found
            )
    return list(found.values())


def _collect(helper: Helper, function: types.FunctionType, found: dict[str, Helper]) -> None:
    value = helper.value
    steps = getattr(value, "helpers", None)
    if steps is not None and isinstance(getattr(value, "function", None), types.FunctionType):
        # Another step's function is a helper like any other, and brings its own along.
        for further in steps:
            found.setdefault(further.name, further)
        helper = Helper(value.function.__name__, value.function)
    elif not isinstance(value, (types.FunctionType, type)):
        if not helper.name:
            raise ProgramError(
                f"uses of {function.__name__} holds a {type(value).__name__}; it takes functions, classes, and "
                'constants by their name: uses=["LIMIT"]'
            )
        _literal(helper)
    other = found.get(helper.name)
    if other is not None and other.value is not helper.value:
        raise ProgramError(f"uses of {function.__name__} holds two things called {helper.name}; rename one")
    found[helper.name] = helper


def _literal(helper: Helper) -> str:
    from flowcore.authoring.values import json_of

    value = json_of(helper.value, ("uses", helper.name))
    try:
        return repr(json.loads(json.dumps(value)))
    except ValueError as error:
        raise ProgramError(f"{helper.name} in uses is not JSON: {error}") from error


def _refuse_kinds(function: types.FunctionType) -> None:
    name, where = function.__name__, code_place(function.__code__)
    outer = function.__qualname__.rpartition(".")[0]
    problem = None
    if name == "<lambda>":
        problem = "a lambda has no source of its own; define a function"
    elif outer and not outer.endswith("<locals>"):
        problem = f"{function.__qualname__} is a method; a step is a function of a module"
    elif inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        problem = f"{name} is a generator; return a list"
    elif hasattr(function, "__wrapped__"):
        problem = f"{name} has another decorator; only flow.step may decorate the function of a step"
    else:
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind is parameter.POSITIONAL_ONLY:
                problem = (
                    f"{name} takes {parameter.name} by position only; a step's arguments go by name, so drop the /"
                )
            elif parameter.kind is parameter.VAR_POSITIONAL:
                problem = f"{name} takes *{parameter.name}; a step's arguments go by name, so take a list"
    if problem:
        raise ProgramError(problem, place=where)


def _piece(helper: Helper) -> _Piece:
    if isinstance(helper.value, types.FunctionType):
        _refuse_kinds(helper.value)
        return _function_piece(helper.value, main=False)
    return _class_piece(helper.value)


def _function_piece(function: types.FunctionType, main: bool) -> _Piece:
    linecache.checkcache(function.__code__.co_filename)
    where = code_place(function.__code__)
    try:
        lines, first = inspect.getsourcelines(function.__code__)
    except (OSError, TypeError) as error:
        raise ProgramError(
            f"the source of {function.__name__} cannot be read, and a step's source travels; put it into a file",
            place=where,
        ) from error
    text, cut = _standing(lines)
    definition = _definition(text, where)
    if definition.decorator_list:
        if len(definition.decorator_list) > 1 or not main:
            extra = [found for found in definition.decorator_list if not _of_flowcore(found, function)]
            if extra or len(definition.decorator_list) > 1:
                shown = ast.unparse(extra[0] if extra else definition.decorator_list[-1])
                raise ProgramError(
                    f"{function.__name__} is decorated with @{shown}, which cannot travel with its source; only "
                    "flow.step may decorate it",
                    place=where,
                )
        # The definition's own line starts after its decorators, whatever lines those take.
        rows = [f"{row}\n" for row in text.split("\n")[:-1]]  # splitlines() would split at more than Python does
        start = min(found.lineno for found in definition.decorator_list) - 1
        start = next(row for row in range(start, -1, -1) if rows[row].lstrip().startswith("@"))
        kept = definition.lineno - 1
        cut += kept - start
        text = "".join(rows[:start] + rows[kept:])
    if main:
        text = _without_defaults(text)
    if not text.startswith("if True:\n"):
        text = text.lstrip("\n")
    code = function.__code__
    piece = _Piece(function.__name__, function, text, where, code.co_filename, first - 1 + cut)
    _find_free(piece)
    return piece


def _of_flowcore(decorator: ast.expr, function: types.FunctionType) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    try:
        found = eval(compile(ast.Expression(target), "<decorator>", "eval"), function.__globals__)
    except Exception:
        return False
    return getattr(found, "__module__", "").startswith("flowcore.")


def _class_piece(cls: type) -> _Piece:
    try:
        lines, first = inspect.getsourcelines(cls)
        file = inspect.getsourcefile(cls) or "?"
    except (OSError, TypeError) as error:
        fields = getattr(cls, "_fields", None)
        if issubclass(cls, tuple) and fields:  # made by collections.namedtuple
            text = (
                f"from collections import namedtuple\n{cls.__name__} = namedtuple({cls.__name__!r}, {list(fields)!r})\n"
            )
            return _Piece(cls.__name__, cls, text, cls.__name__)
        raise ProgramError(f"the source of {cls.__name__} cannot be read, and a step's source travels") from error
    text, cut = _standing(lines)
    piece = _Piece(cls.__name__, cls, text, place(file, first), file, first - 1 + cut)
    _find_free(piece)
    return piece


def _standing(lines: list[str]) -> tuple[str, int]:
    """Lines as a text that stands alone, and how many lines to add to its numbers (-1: it was wrapped)."""
    text = "".join(lines)
    if not text.endswith("\n"):
        text += "\n"
    return (f"if True:\n{text}", -1) if text[:1].isspace() else (text, 0)


def _definition(text: str, where: str) -> ast.FunctionDef | ast.AsyncFunctionDef:
    try:
        tree: ast.stmt = ast.parse(text).body[0]
    except (SyntaxError, IndexError) as error:
        raise ProgramError(
            "the source of this function cannot be told from the rest of its line", place=where
        ) from error
    if isinstance(tree, ast.If):
        tree = tree.body[0]
    if not isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef)):
        raise ProgramError("the source of this function is not a def statement; define it with def", place=where)
    return tree


def _without_defaults(text: str) -> str:
    """The text with None for every default that is not a plain literal: defaults are evaluated here, and sent."""
    definition = _definition(text, "")
    defaults = [*definition.args.defaults, *(found for found in definition.args.kw_defaults if found is not None)]
    rows = text.encode().splitlines(keepends=True)
    for default in sorted(defaults, key=lambda found: (found.lineno, found.col_offset), reverse=True):
        if _is_literal(default):
            continue
        assert default.end_lineno is not None
        assert default.end_col_offset is not None
        first, last = default.lineno - 1, default.end_lineno - 1
        row = rows[first][: default.col_offset] + b"None" + rows[last][default.end_col_offset :]
        # Parentheses around a default are no part of it: they stay, around None.
        rows[first : last + 1] = [row]
    return b"".join(rows).decode()


def _is_literal(expression: ast.expr) -> bool:
    try:
        ast.literal_eval(expression)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return False
    return True


class _Bare(ast.NodeTransformer):
    """Drops annotations, which nothing evaluates where the source runs."""

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        self.generic_visit(node)
        if node.value is not None:
            return ast.copy_location(ast.Assign(targets=[node.target], value=node.value), node)
        return node


def _find_free(piece: _Piece) -> None:
    bare = ast.fix_missing_locations(_Bare().visit(ast.parse(piece.text)))
    top = symtable.symtable(ast.unparse(bare), "<step>", "exec")
    free: set[str] = set()
    for table in _tables(top):
        at_once = table.get_type() in ("module", "class")
        for symbol in table.get_symbols():
            if not symbol.is_referenced() and not symbol.is_declared_global():
                continue
            if table is top and (symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()):
                continue
            if table is top or symbol.is_global():
                free.add(symbol.get_name())
                if at_once:
                    piece.classes.add(symbol.get_name())
    for node in ast.walk(bare):
        if isinstance(node, ast.Name) and node.id in free and isinstance(node.ctx, ast.Load):
            piece.free[node.id] = min(node.lineno, piece.free.get(node.id, node.lineno))
        elif isinstance(node, ast.Global):
            for name in node.names:
                if name in free:
                    piece.free.setdefault(name, node.lineno)
    for name in free:
        piece.free.setdefault(name, 1)
    piece.free = dict(sorted(piece.free.items(), key=lambda found: (found[1], found[0])))


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


def _lookup(name: str, owner: object, function: types.FunctionType, around: Mapping[str, Any]) -> tuple[bool, Any]:
    spaces: list[Mapping[str, Any]] = []
    if isinstance(owner, types.FunctionType):
        spaces.append(owner.__globals__)
    elif isinstance(owner, type) and owner.__module__ in sys.modules:
        spaces.append(vars(sys.modules[owner.__module__]))
    for space in (*((around,) if name in function.__code__.co_freevars else ()), *spaces, around, function.__globals__):
        if name in space:
            return True, space[name]
    return False, None


def _same(carried: object, value: object) -> bool:
    if isinstance(carried, (types.FunctionType, type)):
        return value is carried or getattr(value, "function", None) is carried
    return False


def _import_of(name: str, value: Any) -> str | None:
    """The statement that gives a name its value, where that is a module or a public part of the standard library."""
    if isinstance(value, types.ModuleType):
        return f"import {name}\n" if value.__name__ == name else f"import {value.__name__} as {name}\n"
    module, qualname = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or module.partition(".")[0] not in sys.stdlib_module_names:
        return None
    original = qualname if isinstance(qualname, str) else getattr(value, "_name", None) or name
    found: Any = sys.modules.get(module)
    if not str(original).isidentifier() or getattr(found, str(original), None) is not value:
        return None
    return f"from {module} import {original} as {name}\n" if original != name else f"from {module} import {name}\n"


def _missing(piece: _Piece, name: str, line: int, known: bool, value: object, enclosing: bool) -> Problem:
    where = place(piece.file, piece.line + line) if piece.file else piece.place
    if not known:
        remedy = f"no such name is defined here; import it inside {piece.name}, or list the helper in uses=[...]"
    elif isinstance(value, types.ModuleType):
        remedy = f"import it inside {piece.name}"
    elif enclosing and not isinstance(value, (types.FunctionType, type)):
        remedy = "it belongs to the enclosing function; pass it as an argument"
    elif isinstance(value, (types.FunctionType, type)) or hasattr(value, "helpers"):
        module = getattr(value, "__module__", "")
        remedy = f"import it inside {piece.name}, or list it in uses=[{name}]"
        if isinstance(module, str) and module.partition(".")[0] in sys.stdlib_module_names:
            remedy = f"import it inside {piece.name}"
    else:
        remedy = f'import it inside {piece.name}, pass it as an argument, or list its name in uses=["{name}"]'
    return Problem((), f"{piece.name} uses {name}, which its source does not carry: {remedy}", where)
