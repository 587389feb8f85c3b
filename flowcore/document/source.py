"""YAML and JSON text as plain data that remembers where each piece was written.

YAML 1.2 core by rules of our own on PyYAML's parser: ``true``, ``false``, ``null`` and ``~``, decimal integers and
floats; no dates, no sexagesimals, no merge keys. JSON has its own reader, since it allows text that YAML does not
(surrogate pairs as escapes, separators of lines inside strings).

The data are dicts, lists and strings; a plain scalar that is no string is a ``Spelled``, which keeps how it was
written. ``plain()`` makes ordinary JSON of it all.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any, Final

from flowcore.errors import Path, Problem, WorkflowError
from flowcore.syntax import Json

MAX_ALIASED: Final = 10_000
"""How many nodes aliases may add to a document."""

MAX_DEPTH: Final = 100
"""How deep collections may be nested."""

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
# Line separators to YAML 1.1, and so to the parser, but ordinary characters to YAML 1.2.
_SEPARATORS = re.compile("[\x85\u2028\u2029]")
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONDITION_KEY = re.compile(r"\s*(?:- )*[\"']?(?:when|until|success_when|failure_when)[\"']?\s*:")
_TAGS: Final = {"!!str", "!!map", "!!seq"}


class Str(str):
    """A string, with the index in the text where it was written."""

    __slots__ = ("at",)
    at: int


class Spelled:
    """A scalar that is no string: its value, and how it was written (``3.10``, ``017``, ``True``)."""

    __slots__ = ("at", "text", "value")

    def __init__(self, value: bool | int | float | None, text: str, at: int) -> None:
        self.value = value
        self.text = text
        self.at = at


class Seq(list[Any]):
    """A list, with the index in the text where it begins."""

    __slots__ = ("at",)
    at: int


class Map(dict[str, Any]):
    """A mapping with text keys, with the index where it begins and where each key was written."""

    __slots__ = ("at", "keys_at")
    at: int
    keys_at: dict[str, int]


Node = Any
"""Str, Spelled, Seq or Map; or ordinary JSON, where there was no text."""


def plain(node: Node) -> Json:
    """Make ordinary JSON of a node."""
    if isinstance(node, Spelled):
        return node.value
    if isinstance(node, str):
        return str(node)
    if isinstance(node, list):
        return [plain(item) for item in node]
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items()}
    assert node is None or isinstance(node, bool | int | float)
    return node


class Source:
    """A text, its name, the data in it, and what is wrong with the text as such.

    ``problem()`` collects more; ``finish()`` raises all of them, in the order of the text.
    """

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.root: Node = None
        self._lines: list[int] | None = None
        self._problems: list[tuple[int, Problem]] = []
        self._late: list[tuple[Map | None, str, int, str]] = []

    @classmethod
    def parse(cls, text: str, name: str = "<text>") -> Source:
        """Read YAML or JSON.

        Raises ``WorkflowError`` if the text is neither. What is wrong inside a text that can be read as a whole (a
        duplicate key, a tag) is collected, and raised by ``finish()``.
        """
        source = cls(text.removeprefix("\ufeff"), name)
        json = _Json(source)
        if json.looks_like:
            try:
                source.root = json.read()
            except _NotJson as error:
                if name.endswith(".json"):
                    raise source.fatal(error.at, str(error)) from None
            else:
                source._place_late()
                return source
            source._late.clear()
        _refuse_unreadable(source)
        source.root = _Composer(source).compose()
        source._place_late()
        return source

    @property
    def places(self) -> Mapping[Path, str]:
        """Where each path of the data was written, as ``name:line:column``."""
        return Places(self)

    def place(self, at: int) -> str:
        """An index as ``name:line:column``, both from 1."""
        line, column = self.position(at)
        return f"{self.name}:{line}:{column}"

    def position(self, at: int) -> tuple[int, int]:
        """An index as line and column, both from 1."""
        if self._lines is None:
            self._lines = [0] + [match.end() for match in re.finditer(r"\r\n|\n|\r", self.text)]
        line = bisect_right(self._lines, at)
        return line, at - self._lines[line - 1] + 1

    def problem(self, path: Path, message: str, at: int | None = None) -> None:
        """Collect a problem; ``at`` is an index (default: the place of ``path``, or of what is nearest above it)."""
        if at is None:
            at = self.at(path)
        self._problems.append((at, Problem(path, message, self.place(at))))

    def finish(self, readable: object = None) -> None:
        """Raise a ``WorkflowError`` with all the problems there are, if there are any, and with what is readable."""
        if self._problems:
            self._problems.sort(key=lambda pair: pair[0])
            raise WorkflowError([problem for _, problem in self._problems], readable)

    def fatal(self, at: int, message: str) -> WorkflowError:
        """The error of a text that cannot be read on, after what was found before."""
        self._place_late()
        self._problems.sort(key=lambda pair: pair[0])
        return WorkflowError([*(problem for _, problem in self._problems), Problem((), message, self.place(at))])

    def at(self, path: Path) -> int:
        """The index of a path: its key, its item, or of the nearest above it that is in the text."""
        node, at = self.root, getattr(self.root, "at", 0)
        for part in path:
            if isinstance(node, Map) and isinstance(part, str) and part in node:
                at, node = node.keys_at[part], node[part]
            elif isinstance(node, list) and isinstance(part, int) and part < len(node):
                node = node[part]
                at = getattr(node, "at", at)
            else:
                break
        return at

    def later(self, parent: Map | None, key: str, at: int, message: str) -> None:
        """Collect a problem of a mapping, or of what begins at ``at``, whose path is not known yet."""
        self._late.append((parent, key, at, message))

    def _place_late(self) -> None:
        if _HALF_PAIR.search(self.text):
            _refuse_half_pairs(self, self.root, ())
        if not self._late:
            return
        paths: dict[int, Path] = {}
        _find(self.root, (), paths)
        for parent, key, at, message in self._late:
            path = paths[id(parent)] if id(parent) in paths else _path_at(self.root, at, ())
            self.problem((*path, key) if key else path, message, at)
        self._late.clear()


def _refuse_half_pairs(source: Source, node: Node, path: Path) -> None:
    """Surrogates come in pairs; a single one is no character, and nothing can be written with it."""
    message = "half of a surrogate pair is not text; write both halves, or the character itself"
    if isinstance(node, Str):
        if _SURROGATE.search(node):
            source.problem(path, message, node.at)
    elif isinstance(node, Map):
        for key, value in node.items():
            if _SURROGATE.search(key):
                source.problem(path, message, node.keys_at[key])
            else:
                _refuse_half_pairs(source, value, (*path, key))
    elif isinstance(node, Seq):
        for i, item in enumerate(node):
            _refuse_half_pairs(source, item, (*path, i))


def _path_at(node: Node, at: int, path: Path) -> Path:
    """The path of what begins at an index, or ``()``."""
    if getattr(node, "at", None) == at and path:
        return path
    if isinstance(node, Map | Seq):
        for key, value in node.items() if isinstance(node, Map) else enumerate(node):
            if found := _path_at(value, at, (*path, key)):
                return found
    return ()


def _find(node: Node, path: Path, found: dict[int, Path]) -> None:
    if isinstance(node, Map | Seq):
        if id(node) in found:
            return
        found[id(node)] = path
        for key, value in node.items() if isinstance(node, Map) else enumerate(node):
            _find(value, (*path, key), found)


class Places(Mapping[Path, str]):
    """The places of a document's paths, looked up when asked for: a large document has millions of them."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __getitem__(self, path: Path) -> str:
        node: Any = self._source.root
        for part in path:
            try:
                node = node[part]
            except (KeyError, IndexError, TypeError):
                raise KeyError(path) from None
        return self._source.place(self._source.at(path))

    def __iter__(self) -> Iterator[Path]:
        todo: list[tuple[Path, Node]] = [((), self._source.root)]
        while todo:
            path, node = todo.pop()
            yield path
            if isinstance(node, dict):
                todo.extend(((*path, key), value) for key, value in reversed(node.items()))
            elif isinstance(node, list):
                todo.extend(((*path, i), node[i]) for i in reversed(range(len(node))))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _refuse_unreadable(source: Source) -> None:
    match = _UNREADABLE.search(source.text)
    if match is None:
        return
    char = match.group()
    name = "a NUL character" if char == "\0" else f"the character U+{ord(char):04X}"
    raise source.fatal(
        match.start(), f'found {name}, which cannot stand in a document; write it as an escape in "..." or remove it'
    )


def scalar(text: str) -> bool | int | float | str | None:
    """The value of a plain scalar by YAML 1.2 core without octal and hexadecimal; a float may be infinite."""
    first = text[:1]
    if first.isdigit() or first in "+-.":
        if _INTEGER.fullmatch(text):
            # A number of thousands of digits is out of range anyhow, and costly to read.
            return int(text) if len(text) < 400 else 2**100
        if _FLOAT.fullmatch(text):
            return float(text)
        if _NOT_FINITE.fullmatch(text):
            return float("nan" if "n" in text.lower()[:2] else "inf")
    return _WORDS.get(text, text) if len(text) <= 5 else text


class _Composer:
    """Makes data of PyYAML's events."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.anchors: dict[str, tuple[Node, int] | None] = {}
        self.aliased = 0
        self.nodes = 0
        self.restore: dict[int, str] = {}

    def compose(self) -> Node:
        import yaml

        text = self._with_separators_hidden()
        parser: Any
        # The C parser is ten times faster; it is missing where PyYAML was built without libyaml.
        parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
        self.parser = parser
        try:
            self._next()
            event = self._next()
            if isinstance(event, yaml.StreamEndEvent):
                raise self.source.fatal(0, "the document is empty; begin it with flowcore: 1")
            root = self._node(self._next(), 0)
            self._next()
            event = self._next()
            if not isinstance(event, yaml.StreamEndEvent):
                raise self.source.fatal(
                    event.start_mark.index, "a second document begins here; write one workflow a file"
                )
        except yaml.MarkedYAMLError as error:
            raise self._error(error) from None
        except yaml.YAMLError as error:
            raise self.source.fatal(0, f"this is not YAML: {str(error).splitlines()[0]}") from None
        finally:
            if hasattr(parser, "dispose"):
                parser.dispose()
        return root

    def _next(self) -> Any:
        return self.parser.get_event()

    def _with_separators_hidden(self) -> str:
        text = self.source.text
        found = sorted(set(_SEPARATORS.findall(text)))
        if not found:
            return text
        taken = set(text)
        free = (code for code in range(0xF0000, 0xFFFFE) if chr(code) not in taken)
        hidden = {ord(char): code for char, code in zip(found, free, strict=False)}
        self.restore = {code: chr(char) for char, code in hidden.items()}
        return text.translate(hidden)

    def _node(self, event: Any, depth: int) -> Node:
        kind = type(event).__name__
        at = event.start_mark.index
        if kind == "AliasEvent":
            return self._alias(event.anchor, at)
        if depth > MAX_DEPTH:
            raise self.source.fatal(at, f"this is nested more than {MAX_DEPTH} deep")
        anchor = event.anchor
        if anchor is not None:
            self.anchors[anchor] = None
        before = self.nodes + self.aliased
        self.nodes += 1
        node: Node
        if kind == "ScalarEvent":
            node = self._scalar(event, at)
        elif kind == "SequenceStartEvent":
            node = Seq()
            node.at = at
            self._tag(event, at)
            while type(event := self._next()).__name__ != "SequenceEndEvent":
                node.append(self._node(event, depth + 1))
        else:
            node = self._mapping(event, at, depth)
        if anchor is not None:
            self.anchors[anchor] = (node, self.nodes + self.aliased - before)
        return node

    def _mapping(self, event: Any, at: int, depth: int) -> Map:
        node = Map()
        node.at = at
        node.keys_at = {}
        self._tag(event, at)
        while type(event := self._next()).__name__ != "MappingEndEvent":
            key_at = event.start_mark.index
            key_node = self._node(event, depth + 1)
            merge = isinstance(key_node, Str) and key_node == "<<" and getattr(event, "implicit", (False,))[0]
            value = self._node(self._next(), depth + 1)
            if merge:
                message = "merge keys are not part of YAML 1.2; write the keys out, or use defaults"
                self.source.later(node, "<<", key_at, message)
            elif isinstance(key_node, Map | Seq):
                self.source.later(node, "", key_at, "a key must be text; put it in quotes")
            elif isinstance(key_node, Spelled) and key_node.value is None:
                self.source.later(node, "", key_at, "a key is missing here; put it in quotes if it is meant to be null")
            else:
                self._put(node, key_node.text if isinstance(key_node, Spelled) else str(key_node), value, key_at)
        return node

    def _put(self, node: Map, key: str, value: Node, at: int) -> None:
        put(self.source, node, key, value, at)

    def _scalar(self, event: Any, at: int) -> Str | Spelled:
        text: str = event.value
        if self.restore:
            text = text.translate(self.restore)
        self._tag(event, at)
        if event.implicit[0]:
            value = scalar(text)
            if not isinstance(value, str):
                return Spelled(value, text, at)
        string = Str(text)
        string.at = at
        return string

    def _tag(self, event: Any, at: int) -> None:
        tag = event.tag
        if tag is None:
            return
        tag = tag.replace("tag:yaml.org,2002:", "!!")
        if tag in _TAGS:
            return
        if self._has_expression(at):
            message = f"YAML reads {tag} here as a tag; put the expression in quotes"
        else:
            message = f"found the YAML tag {tag}, and tags are not read; put the text in quotes"
        self.source.later(None, "", at, message)

    def _alias(self, anchor: str, at: int) -> Node:
        if anchor not in self.anchors:
            hint = (
                "; put the expression in quotes" if self._has_expression(at) else "; text with a * in front is quoted"
            )
            raise self.source.fatal(at, f"no anchor &{anchor} comes before the alias *{anchor}{hint}")
        known = self.anchors[anchor]
        if known is None:
            raise self.source.fatal(at, f"the alias *{anchor} stands inside its own anchor, so it would never end")
        node, size = known
        self.aliased += size
        if self.aliased > MAX_ALIASED:
            raise self.source.fatal(at, f"the aliases up to here stand for more than {MAX_ALIASED} nodes; write it out")
        return node

    def _has_expression(self, at: int) -> bool:
        text = self.source.text
        start = text.rfind("\n", 0, at) + 1
        end = text.find("\n", at)
        line = text[start : end if end >= 0 else None]
        return "${{" in line or _CONDITION_KEY.match(line) is not None

    def _error(self, error: Any) -> WorkflowError:
        mark = error.problem_mark or error.context_mark
        at = min(mark.index, len(self.source.text)) if mark else 0
        marks = [m.index for m in (error.problem_mark, error.context_mark) if m is not None]
        problem = str(error.problem)
        char = self.source.text[at : at + 1]
        if any(self._has_expression(index) for index in marks):
            advice = "put the expression in quotes"
        elif char == "\t" or "tab" in problem:
            problem, advice = "found a tab where YAML wants spaces", "indent with spaces"
        elif "cannot start any token" in problem:
            problem, advice = f"text cannot begin with {char}", "put it in quotes"
        elif "mapping values are not allowed" in problem:
            problem, advice = "a key cannot stand here", "check the indentation, and put text that holds ': ' in quotes"
        elif "unexpected end of stream" in problem:
            problem, advice = "these quotes are never closed", "close them"
            at = error.context_mark.index if error.context_mark else at
        elif "scanning an a" in str(error.context):
            problem, advice = "text cannot begin with * or &", "put it in quotes"
        elif "nesting depth" in problem or "recursion" in problem:
            return self.source.fatal(at, f"this is nested more than {MAX_DEPTH} deep")
        elif "could not find expected ':'" in problem or "did not find expected key" in problem:
            advice = "check the indentation, and that each key has a colon"
        else:
            advice = "check the line and the one before it"
        context = f" {error.context}" if error.context and problem == str(error.problem) else ""
        return self.source.fatal(at, f"this is not YAML: {problem}{context}; {advice}")


def put(source: Source, node: Map, key: str, value: Node, at: int) -> None:
    """Add a key to a mapping, or say that it is there already."""
    if key in node:
        line, _ = source.position(node.keys_at[key])
        source.later(node, key, at, f"the key {key} is already there, in line {line}; keep one of the two")
        return
    node[key] = value
    node.keys_at[key] = at


class _NotJson(Exception):
    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.at = at


class _Json:
    """Reads JSON with positions."""

    _SPACE = re.compile(r"[ \t\n\r]*")
    _OTHER = re.compile(r"(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)|(?P<word>true|false|null)")

    def __init__(self, source: Source) -> None:
        import json.decoder

        self.source = source
        self.text = source.text
        self.scan: Any = getattr(json.decoder, "scanstring")  # noqa: B009 - it is not in the type stubs

    @property
    def looks_like(self) -> bool:
        return self.text[self._skip(0) : self._skip(0) + 1] == "{"

    def read(self) -> Node:
        node, at = self._node(self._skip(0), 0)
        if at < len(self.text):
            raise _NotJson(at, "the JSON ends before this; write one workflow a file")
        return node

    def _skip(self, at: int) -> int:
        match = self._SPACE.match(self.text, at)
        return match.end() if match else at

    def _string(self, at: int) -> tuple[Str, int]:
        try:
            text, end = self.scan(self.text, at + 1, True)
        except ValueError as error:
            raise _NotJson(getattr(error, "pos", at), f"this is not JSON: {getattr(error, 'msg', error)}") from None
        string = Str(text)
        string.at = at
        return string, self._skip(end)

    def _node(self, at: int, depth: int) -> tuple[Node, int]:
        """The value at an index, and the index of what follows it and the spaces behind it."""
        char = self.text[at : at + 1]
        if char == '"':
            return self._string(at)
        if depth > MAX_DEPTH:
            raise self.source.fatal(at, f"this is nested more than {MAX_DEPTH} deep")
        if char == "{":
            return self._object(at, depth)
        if char == "[":
            return self._array(at, depth)
        match = self._OTHER.match(self.text, at)
        if match is None:
            found = f"found {char}" if char else "the text ends"
            raise _NotJson(at, f"this is not JSON: {found} where a value should be")
        return Spelled(scalar(match.group()), match.group(), at), self._skip(match.end())  # type: ignore[arg-type]

    def _object(self, start: int, depth: int) -> tuple[Map, int]:
        node = Map()
        node.at, node.keys_at = start, {}
        at = self._skip(start + 1)
        if self.text[at : at + 1] == "}":
            return node, self._skip(at + 1)
        while True:
            if self.text[at : at + 1] != '"':
                raise _NotJson(at, "this is not JSON: a key in double quotes should be here")
            key, end = self._string(at)
            if self.text[end : end + 1] != ":":
                raise _NotJson(end, "this is not JSON: a colon should be here")
            value, end = self._node(self._skip(end + 1), depth + 1)
            put(self.source, node, str(key), value, at)
            at, more = self._more(end, "}")
            if not more:
                return node, at

    def _array(self, start: int, depth: int) -> tuple[Seq, int]:
        node = Seq()
        node.at = start
        at = self._skip(start + 1)
        if self.text[at : at + 1] == "]":
            return node, self._skip(at + 1)
        while True:
            value, end = self._node(at, depth + 1)
            node.append(value)
            at, more = self._more(end, "]")
            if not more:
                return node, at

    def _more(self, at: int, close: str) -> tuple[int, bool]:
        char = self.text[at : at + 1]
        if char not in (",", close) or not char:
            raise _NotJson(at, f"this is not JSON: a comma or {close} should be here")
        return self._skip(at + 1), char == ","


def describe(node: Node) -> str:
    """What a node is, for error messages."""
    if isinstance(node, Spelled):
        if node.value is None:
            return "nothing" if not node.text else f"null ({node.text})" if node.text != "null" else "null"
        kind = "boolean" if isinstance(node.value, bool) else "number"
        return f"the {kind} {node.text}"
    if node is None:
        return "null"
    if isinstance(node, str):
        text = node if len(node) <= 40 else node[:37] + "..."
        return f"the text {text!r}"
    if isinstance(node, dict):
        return "a mapping"
    if isinstance(node, list):
        return "a list"
    if isinstance(node, bool):
        return f"the boolean {'true' if node else 'false'}"
    return f"the number {node}"
