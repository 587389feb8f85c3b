"""Tokens to trees: the grammar of expressions, loosest first.

or      = and { "||" and }
and     = not { "&&" not }
not     = "!" not | compare
compare = access [ ("==" | "!=" | "<" | "<=" | ">" | ">=" | "in") access ]
access  = primary { "." NAME | "[" STRING "]" | "[" INTEGER "]" }
primary = literal | reference | "[" [ or { "," or } ] "]" | constant object | "(" or ")"
"""

from __future__ import annotations

import re
from typing import NoReturn, get_args

from flowcore.expressions.lexer import ExpressionError, Token, tokens
from flowcore.syntax import Binary, Expr, Get, Json, ListOf, Literal, Not, Operator, Ref, Template, Text

_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})
_CONSTANTS: dict[str, Json] = {"true": True, "false": False, "null": None}
_WORDS = {
    "and": "write && for and",
    "or": "write || for or",
    "not": "write ! for not",
    "is": "write == to compare",
    "True": "write true",
    "False": "write false",
    "None": "write null",
}
_ROOTS = {
    "params": "params.NAME",
    "steps": "steps.STEP.outputs.NAME",
    "outputs": "outputs.NAME",
    "item": "item",
    "iteration": "iteration",
    "run": "run.id or run.phase",
    "workflow": "workflow.name",
}
_NESTING = 50
"""How deep brackets may nest, and (times four) how deep a tree may be: trees are walked by recursion."""

_OPEN = re.compile(r"(\$+)\{\{")


def parse_expression(text: str, *, object_names: bool = False) -> Expr:
    """Read one bare expression.

    ``object_names``: every leading name is a field of a Kubernetes object (``status.succeeded > 0``), as in
    ``success_when``.

    Raises:
        ExpressionError: says what was found, where, and what to write.
    """
    if text.lstrip().startswith("${{"):
        raise ExpressionError("an expression is written here without ${{ }}", text.index("${{"))
    return _Parser(text, 0, False, object_names).whole()


def parse_condition(text: str, *, object_names: bool = False) -> Expr:
    """Read a condition: a bare expression, or one that a single ``${{ }}`` wraps.

    Raises:
        ExpressionError: as ``parse_expression`` does.
    """
    start = len(text) - len(text.lstrip())
    if not text.startswith("${{", start):
        return parse_expression(text, object_names=object_names)
    parser = _Parser(text, start + 3, True, object_names)
    expr = parser.whole()
    rest = text[parser.end :]
    if rest.strip():
        raise ExpressionError(
            "a condition is one expression; leave ${{ }} out, or put all of it in one", parser.end + _indent(rest)
        )
    return expr


def parse_text(text: str) -> Text:
    """Read text in which ``${{ ... }}`` is an expression and ``$${{`` is a literal ``${{``.

    Before ``{{``, each ``$$`` stands for one ``$``: ``$$${{ params.price }}`` is a dollar sign and a price.

    Raises:
        ExpressionError: at the first expression that is wrong, or that is never closed.
    """
    if "${{" not in text:
        return text
    parts: list[str | Expr] = []
    data, at = "", 0
    while (match := _OPEN.search(text, at)) is not None:
        dollars = len(match[1])
        data += text[at : match.start()] + "$" * (dollars // 2)
        at = match.end()
        if dollars % 2 == 0:
            data += "{{"
            continue
        parser = _Parser(text, at, True, False)
        expr = parser.whole()
        if data:
            parts.append(data)
        parts.append(expr)
        data, at = "", parser.end
    data += text[at:]
    if not parts:
        return data
    if data:
        parts.append(data)
    return Template(tuple(parts))


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())


class _Parser:
    def __init__(self, text: str, start: int, closing: bool, object_names: bool) -> None:
        self._next_token = tokens(text, start, closing=closing).__next__
        self._object_names = object_names
        self._nesting = 0
        self._count = 0
        self.token: Token = self._next_token()
        self.end = 0
        """After ``whole``: the index behind the closing ``}}``."""

    def whole(self) -> Expr:
        if self.token.kind == "end":
            raise ExpressionError("an expression is missing here", self.token.offset)
        expr = self._or()
        self._finish()
        self.end = self.token.offset + 2
        if self._count > _NESTING * 2 and _depth(expr) > _NESTING * 4:
            raise ExpressionError("the expression is too long; compute part of it in a step", 0)
        return expr

    def _advance(self) -> Token:
        token = self.token
        self.token = self._next_token()
        self._count += 1
        return token

    def _at(self, symbol: str) -> bool:
        return self.token.text == symbol and self.token.kind == "symbol"

    def _expect(self, symbol: str, what: str) -> None:
        if not self._at(symbol):
            self._unexpected(what)
        self._advance()

    def _or(self) -> Expr:
        left = self._and()
        while self._at("||"):
            self._advance()
            left = Binary("||", left, self._and())
        return left

    def _and(self) -> Expr:
        left = self._not()
        while self._at("&&"):
            self._advance()
            left = Binary("&&", left, self._not())
        return left

    def _not(self) -> Expr:
        if not self._at("!"):
            return self._compare()
        offset = self._advance().offset
        self._deeper(offset)
        operand = self._not()
        self._nesting -= 1
        return Not(operand)

    def _compare(self) -> Expr:
        left = self._access()
        operator = self._comparison()
        if operator is None:
            return left
        self._advance()
        right = self._access()
        if self._comparison() is not None:
            raise ExpressionError(
                "comparisons do not chain; write a == b && b == c, or use brackets", self.token.offset
            )
        return Binary(operator, left, right)

    def _comparison(self) -> Operator | None:
        kind, text = self.token.kind, self.token.text
        if kind in ("symbol", "name") and text in _COMPARISONS:
            return next(operator for operator in get_args(Operator) if operator == text)
        return None

    def _access(self) -> Expr:
        token = self.token
        expr: Expr
        if token.kind == "name" and token.text not in _CONSTANTS:
            expr = self._reference()
        else:
            expr = self._primary()
        while (accessor := self._accessor()) is not None:
            expr = Get(expr, accessor[0])
        return expr

    def _accessor(self) -> tuple[str | int, bool] | None:
        """The next key or index, and whether it was written with a dot."""
        if self._at("."):
            self._advance()
            if self.token.kind != "name":
                self._unexpected("a name belongs after the dot")
            return self._advance().text, True
        if not self._at("["):
            return None
        self._advance()
        token = self.token
        if token.kind == "string":
            key: str | int = str(token.value)
        elif token.kind == "number" and isinstance(token.value, int) and token.value >= 0:
            key = token.value
        else:
            self._unexpected('a key in quotes or an index from 0 belongs in [ ], as in ["a-b"] or [0]')
        self._advance()
        self._expect("]", "] belongs after the key")
        return key, False

    def _primary(self) -> Expr:
        token = self.token
        if token.kind in ("string", "number"):
            return Literal(self._advance().value)
        if token.kind == "name":
            return Literal(_CONSTANTS[self._advance().text])
        if self._at("("):
            self._deeper(self._advance().offset)
            expr = self._or()
            self._nesting -= 1
            self._expect(")", "a ( is open; close it with )")
            return expr
        if self._at("["):
            self._deeper(self._advance().offset)
            items: list[Expr] = []
            while not self._at("]"):
                items.append(self._or())
                if self._at("]"):
                    break
                self._expect(",", "a [ is open; put a comma between its elements and ] after the last")
            self._nesting -= 1
            self._advance()
            return ListOf(tuple(items))
        if not self._at("{"):
            self._unexpected("a value belongs here")
        return Literal(self._constant())

    def _constant(self) -> Json:
        """JSON, as in objects that binding puts into expressions."""
        token = self.token
        if token.kind in ("string", "number"):
            return self._advance().value
        if token.kind == "name" and token.text in _CONSTANTS:
            return _CONSTANTS[self._advance().text]
        opening = token.text if token.kind == "symbol" else ""
        if opening not in ("{", "["):
            self._unexpected("an object holds constants only, as in JSON")
        self._deeper(self._advance().offset)
        closing = "}" if opening == "{" else "]"
        result_list: list[Json] = []
        result: dict[str, Json] = {}
        while not self._at(closing):
            if opening == "[":
                result_list.append(self._constant())
            else:
                key = self.token
                if key.kind != "string":
                    self._unexpected("a key of an object is text in quotes")
                self._advance()
                self._expect(":", "a colon belongs after a key")
                if key.value in result:
                    raise ExpressionError(f"the key {key.value!r} is there twice", key.offset)
                result[str(key.value)] = self._constant()
            if not self._at(closing):
                self._expect(",", f"{opening} is open; close it with {closing}")
        self._nesting -= 1
        self._advance()
        return result if opening == "{" else result_list

    def _reference(self) -> Expr:
        token = self.token
        name = token.text
        if name in _WORDS or name == "in":
            raise ExpressionError(f"unexpected {name!r}; {_WORDS.get(name, 'a value belongs before in')}", token.offset)
        self._advance()
        if self._at("("):
            raise ExpressionError(f"expressions have no functions; {name}(...) has to be a step", token.offset)
        if self._object_names:
            return Ref("object", name=name)
        if name == "params":
            return Ref("param", name=self._member("params.NAME"))
        if name == "outputs":
            return Ref("own", name=self._member("outputs.NAME"), path=self._path())
        if name == "item":
            return Ref("item")
        if name == "iteration":
            return Ref("iteration")
        if name == "run":
            at = self.token.offset
            field = self._member("run.id or run.phase")
            if field == "id":
                return Ref("run.id")
            if field == "phase":
                return Ref("run.phase")
            raise ExpressionError(f"run has no {field!r}; there are run.id and, in on_exit, run.phase", at)
        if name == "workflow":
            at = self.token.offset
            if (field := self._member("workflow.name")) != "name":
                raise ExpressionError(f"workflow has no {field!r}; there is workflow.name", at)
            return Ref("workflow.name")
        if name == "steps":
            return self._step_output()
        raise ExpressionError(f"unknown name {name!r}; {_hint(name)}", token.offset)

    def _step_output(self) -> Ref:
        step = self._member("steps.STEP.outputs.NAME")
        at = self.token.offset
        field = self._member(f"steps.{step}.outputs.NAME")
        if field == "output":
            raise ExpressionError(f"steps.{step} has no 'output'; write steps.{step}.outputs.NAME", at)
        if field != "outputs":
            raise ExpressionError(
                f"steps.{step} has no {field!r}; only outputs of a step can be read, as steps.{step}.outputs.NAME", at
            )
        return Ref("output", step=step, name=self._member(f"steps.{step}.outputs.NAME"), path=self._path())

    def _member(self, form: str) -> str:
        accessor = self._accessor()
        if accessor is None or not isinstance(accessor[0], str):
            raise ExpressionError(f"the name is not complete; write {form}", self.token.offset)
        return accessor[0]

    def _path(self) -> bool:
        """Whether ``.path`` follows; it is taken if so. A key of that name is written ``["path"]``."""
        if not self._at("."):
            return False
        # One token more of foresight than the rest of the grammar needs.
        dot, after = self.token, self._next_token()
        if after.kind == "name" and after.text == "path":
            self.token = self._next_token()
            return True
        rest = self._next_token

        def replay() -> Token:
            self._next_token = rest
            return after

        self.token, self._next_token = dot, replay
        return False

    def _deeper(self, offset: int) -> None:
        self._nesting += 1
        if self._nesting > _NESTING:
            raise ExpressionError(f"brackets nest deeper than {_NESTING}; compute part of it in a step", offset)

    def _finish(self) -> None:
        token = self.token
        if token.kind == "end":
            return
        if self._at("("):
            raise ExpressionError("expressions have no functions; compute the value in a step", token.offset)
        if token.kind == "number" and token.text.startswith("-"):
            raise ExpressionError("expressions have no arithmetic; compute the value in a step", token.offset)
        self._unexpected("an operator belongs here, such as == or &&")

    def _unexpected(self, what: str) -> NoReturn:
        token = self.token
        if token.kind == "end":
            raise ExpressionError(f"the expression ends too early; {what}", token.offset)
        what = _WORDS.get(token.text, what) if token.kind == "name" else what
        raise ExpressionError(f"unexpected {token.text!r}; {what}", token.offset)


def _hint(name: str) -> str:
    from flowcore.names import nearest

    near = nearest(name, _ROOTS)
    if near:
        return f"did you mean {_ROOTS[near]}?"
    return "names begin with params, steps, outputs, item, iteration, run or workflow, and text goes in quotes"


def _depth(expr: Expr) -> int:
    """How deep a tree is, without recursion."""
    deepest, todo = 0, [(expr, 1)]
    while todo:
        node, depth = todo.pop()
        deepest = max(deepest, depth)
        if isinstance(node, Binary):
            todo += [(node.left, depth + 1), (node.right, depth + 1)]
        elif isinstance(node, ListOf):
            todo += [(item, depth + 1) for item in node.items]
        elif isinstance(node, Not):
            todo.append((node.operand, depth + 1))
        elif isinstance(node, Get):
            todo.append((node.base, depth + 1))
    return deepest
