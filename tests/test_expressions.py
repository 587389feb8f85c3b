"""The expression language: its grammar, its types, its values, and texts that hold expressions."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcore.expressions import (
    EvaluationError,
    ExpressionError,
    TypeMismatch,
    as_text,
    constant,
    constant_value,
    evaluate,
    fits,
    parse_condition,
    parse_expression,
    parse_text,
    references,
    resolve,
    resolve_text,
    substitute,
    type_of,
    unparse,
    unparse_text,
)
from flowcore.model import ANY, BOOLEAN, INTEGER, LIST, MISSING, NUMBER, OBJECT, STRING, Type
from flowcore.syntax import Binary, Expr, Get, Json, ListOf, Literal, Not, Ref, Template, Text, Value

X = Ref("param", name="x")


def no_reference(ref: Ref) -> Json:
    raise AssertionError(ref)


def value_of(text: str, **params: Json) -> Json:
    return evaluate(parse_expression(text), lambda ref: params[ref.name])


# Grammar


@pytest.mark.parametrize(
    ("text", "expr"),
    [
        ("params.x", X),
        ('params["x"]', X),
        ("steps.wait-ready.outputs.o", Ref("output", step="wait-ready", name="o")),
        ("steps.s.outputs.o.path", Ref("output", step="s", name="o", path=True)),
        ('steps.s.outputs.o["path"]', Get(Ref("output", step="s", name="o"), "path")),
        ("steps.s.outputs.path", Ref("output", step="s", name="path")),
        ("steps.s.outputs.o.pathology", Get(Ref("output", step="s", name="o"), "pathology")),
        ("steps.s.outputs.o.a.path", Get(Get(Ref("output", step="s", name="o"), "a"), "path")),
        ("outputs.o", Ref("own", name="o")),
        ("outputs.o.path", Ref("own", name="o", path=True)),
        ("item.a[0]['b c']", Get(Get(Get(Ref("item"), "a"), 0), "b c")),
        ("item.path", Get(Ref("item"), "path")),
        ("item.in", Get(Ref("item"), "in")),
        ("iteration", Ref("iteration")),
        ("run.id", Ref("run.id")),
        ("run.phase", Ref("run.phase")),
        ("workflow.name", Ref("workflow.name")),
        ("true", Literal(True)),
        ("null", Literal(None)),
        ("-5", Literal(-5)),
        ("2.50", Literal(2.5)),
        ("1e3", Literal(1000.0)),
        (r"'it\'s'", Literal("it's")),
        (r'"é\n\"😀"', Literal('é\n"😀')),
        ("[]", ListOf(())),
        ("[1, params.x,]", ListOf((Literal(1), X))),
        ('{"a": {"b": [1, null]}}', Literal({"a": {"b": [1, None]}})),
        ("!true", Not(Literal(True))),
        ("!params.x == 1", Not(Binary("==", X, Literal(1)))),
        ("(params.x)", X),
        ("params.x in ['a']", Binary("in", X, ListOf((Literal("a"),)))),
        (
            "true || false && !true",
            Binary("||", Literal(True), Binary("&&", Literal(False), Not(Literal(True)))),
        ),
        (
            "true && true && false",
            Binary("&&", Binary("&&", Literal(True), Literal(True)), Literal(False)),
        ),
    ],
)
def test_grammar(text: str, expr: Expr) -> None:
    assert parse_expression(text) == expr


@pytest.mark.parametrize(
    ("text", "offset", "said"),
    [
        ("params.x = 1", 9, "write == to compare"),
        ("params.x & true", 9, "write && for and"),
        ("params.x | true", 9, "write || for or"),
        ("params.x and params.y", 9, "write && for and"),
        ("params.x or params.y", 9, "write || for or"),
        ("not params.x", 0, "write ! for not"),
        ("params.x not in [1]", 9, "write ! for not"),
        ("params.x == True", 12, "write true"),
        ("params.x == None", 12, "write null"),
        ("params.x + 1", 9, "no arithmetic"),
        ("params.x - 1", 9, "no arithmetic"),
        ("params.x -1", 9, "no arithmetic"),
        ("params.x * 2 > 3", 9, "no arithmetic"),
        ("len(params.x)", 0, "no functions"),
        ("params.x(1)", 8, "no functions"),
        ("params.x ? 1 : 2", 9, "use when"),
        ("1 < 2 < 3", 6, "do not chain"),
        ("params.a == params.b == params.c", 21, "write a == b && b == c"),
        ("steps.a.output.b", 7, "write steps.a.outputs.NAME"),
        ("steps.a.phase", 7, "only outputs of a step can be read"),
        ("parms.x", 0, "did you mean params.NAME"),
        ("params.x == yes", 12, "text goes in quotes"),
        ("params", 6, "write params.NAME"),
        ("params[0]", 9, "write params.NAME"),
        ("run.name", 3, "run.id"),
        ("workflow.id", 8, "workflow.name"),
        ("'abc", 0, "never closed"),
        (r"'\q'", 1, r"unknown escape \\q"),
        (r"'\ud800'", 0, "surrogate"),
        ("'\ud800'", 0, "surrogate"),
        ("007", 0, "leading zeros"),
        ("1.2.3", 4, "after the dot"),
        ("12abc", 0, "not a number"),
        ("9223372036854775808", 0, "64 bits"),
        ("1e999", 0, "too large"),
        ("item[-1]", 5, "index from 0"),
        ("item[params.x]", 5, "a key in quotes"),
        ("item.0", 5, "a name belongs after the dot"),
        ("(1", 2, "close it with"),
        ("[1 2]", 3, "put a comma"),
        ("{a: 1}", 1, "text in quotes"),
        ('{"a": params.x}', 6, "constants only"),
        ('{"a": 1, "a": 2}', 9, "twice"),
        ("", 0, "missing"),
        ("params.x ==", 11, "ends too early"),
        ("== 1", 0, "a value belongs here"),
        ("1 }} 2", 2, "unexpected"),
        ("${{ params.x }}", 0, "without"),
        ("params.x == ${{ 1 }}", 12, "no other"),
        ("(" * 60 + "1" + ")" * 60, 50, "nest deeper"),
        (" && ".join(["params.x"] * 300), 0, "too long"),
    ],
)
def test_what_is_no_expression(text: str, offset: int, said: str) -> None:
    with pytest.raises(ExpressionError, match=said) as error:
        parse_expression(text)
    if said:
        assert error.value.offset == offset


def test_names_of_a_kubernetes_object() -> None:
    expr = parse_condition("status.succeeded > 0 && params.x == 1", object_names=True)
    assert list(references(expr)) == [Ref("object", name="status"), Ref("object", name="params")]
    assert parse_condition(unparse(expr), object_names=True) == expr


def test_a_condition_is_bare_or_wrapped_once() -> None:
    expr = Binary("==", X, Literal("}}"))
    assert parse_condition("params.x == '}}'") == expr
    assert parse_condition("  ${{ params.x == '}}' }} ") == expr
    with pytest.raises(ExpressionError, match="leave") as error:
        parse_condition("${{ params.x }} == 1")
    assert error.value.offset == 16


# Text


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("plain", "plain"),
        ("", ""),
        ("a $ b {{x}} $(x) `y`", "a $ b {{x}} $(x) `y`"),
        ("$${{ x }}", "${{ x }}"),
        ("a ${{ params.x }}", Template(("a ", X))),
        ("${{params.x}}", Template((X,))),
        ("$$${{ params.x }}", Template(("$", X))),
        ("$$$${{", "$${{"),
        ("${{ '}}' }}}}", Template((Literal("}}"), "}}"))),
        ('${{ {"a": {}} }}', Template((Literal({"a": {}}),))),
        ("${{ params.x }}${{ params.x }}", Template((X, X))),
    ],
)
def test_text(text: str, parsed: Text) -> None:
    assert parse_text(text) == parsed


@pytest.mark.parametrize(
    ("text", "offset", "said"),
    [
        ("ab ${{ params.x", 3, "never closed"),
        ("ab ${{ 'x }}", 7, "never closed"),
        ("ab ${{ }}", 7, "missing"),
        ("${{ params.x }} ${{ parms.y }}", 20, "did you mean"),
        ("${{ ${{ params.x }} }}", 4, "no other"),
    ],
)
def test_what_is_no_text(text: str, offset: int, said: str) -> None:
    with pytest.raises(ExpressionError, match=said) as error:
        parse_text(text)
    assert error.value.offset == offset


# Round trips

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
keys = words | st.sampled_from(["path", "in", "true", "a-b", "params"])
names = st.from_regex(r"[a-z][a-z0-9_-]{0,6}", fullmatch=True)
scalars: st.SearchStrategy[Json] = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | words
)
json_values: st.SearchStrategy[Json] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)
objects = st.dictionaries(keys, json_values, max_size=3)
refs: st.SearchStrategy[Ref] = st.one_of(
    st.builds(Ref, st.just("param"), name=names | words),
    st.builds(Ref, st.just("output"), names | words, names | words, st.booleans()),
    st.builds(Ref, st.just("own"), name=names, path=st.booleans()),
    st.sampled_from([Ref("item"), Ref("iteration"), Ref("run.id"), Ref("run.phase"), Ref("workflow.name")]),
)
operators = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "&&", "||"])
expressions: st.SearchStrategy[Expr] = st.recursive(
    refs | st.builds(Literal, scalars | objects),
    lambda inner: st.one_of(
        st.builds(Get, inner, keys | st.integers(0, 99)),
        st.builds(ListOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Not, inner),
        st.builds(Binary, operators, inner, inner),
    ),
    max_leaves=12,
)


def typed(value: object) -> str:
    """Tells 1, 1.0 and True apart, which == does not."""
    return repr(value)


@given(expressions)
def test_a_written_expression_reads_back_the_same(expr: Expr) -> None:
    assert typed(parse_expression(unparse(expr))) == typed(expr)
    assert typed(parse_condition("${{ " + unparse(expr) + " }}")) == typed(expr)


@st.composite
def templates(draw: st.DrawFn) -> Text:
    """Texts as the parser makes them: no two data parts side by side, none empty, and no lone data part."""
    data = words | st.sampled_from(["$", "$$", "${{", "$${{ x", "{{", "}}", "a$"])
    parts: list[str | Expr] = []
    for part in draw(st.lists(data.filter(bool) | expressions, max_size=5)):
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] += part
        else:
            parts.append(part)
    if not parts:
        return ""
    return parts[0] if len(parts) == 1 and isinstance(parts[0], str) else Template(tuple(parts))


@given(templates())
def test_a_written_text_reads_back_the_same(text: Text) -> None:
    assert typed(parse_text(unparse_text(text))) == typed(text)


@given(st.text(st.sampled_from("${} ax")))
def test_any_data_survives_writing(data: str) -> None:
    assert parse_text(unparse_text(data)) == data


@given(json_values)
def test_any_value_survives_an_expression(value: Json) -> None:
    assert typed(evaluate(parse_expression(unparse(Literal(value))), no_reference)) == typed(value)
    assert typed(constant_value(parse_expression(unparse(constant(value))))) == typed(value)


@given(words)
def test_text_goes_to_a_value_and_back(text: str) -> None:
    assert as_text(text) == text
    assert resolve_text(Template(("<", X, ">")), lambda _: text) == f"<{text}>"


@given(json_values.filter(lambda value: not isinstance(value, str)))
def test_other_values_become_json(value: Json) -> None:
    assert typed(json.loads(as_text(value))) == typed(value)


# Values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 == 1.0", True),
        ("9007199254740993 == 9007199254740992.0", False),
        ("params.yes == 1", False),
        ("params.yes == true", True),
        ("params.zero == false", False),
        ("params.zero == '0'", False),
        ("params.nothing == null", True),
        ("params.zero == null", False),
        ("params.nothing != 0", True),
        ("params.list == [1.0, 'a']", True),
        ("[1] == [true]", False),
        ('params.object == {"k": {"path": 2.0}}', True),
        ("params.object.k.path", 2),
        ("params.list[1]", "a"),
        ("1 in params.list", True),
        ("true in params.list", False),
        ("'b' in params.list", False),
        ("'a' < 'b'", True),
        ("'Z' < 'a'", True),
        ("'\uffff' < '\U00010000'", True),
        ("1 < 1.5 && 2 >= 2", True),
        ("!(1 > 2) || false", True),
        ("[1, params.zero]", [1, 0]),
    ],
)
def test_values(text: str, value: Json) -> None:
    params: dict[str, Json] = {
        "yes": True,
        "zero": 0,
        "nothing": None,
        "list": [1, "a"],
        "object": {"k": {"path": 2}},
    }
    assert typed(value_of(text, **params)) == typed(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("params.o.b", "has no key 'b'; it has a"),
        ("params.o[0]", "is an object, which has no element"),
        ("params.l[3]", r"has no element \[3\]; it has 2"),
        ("params.l.a", "is a list, which has no key"),
        ("params.n.a", "is null"),
        ("params.l < 1", "orders two numbers or two strings"),
        ("true < false", "orders two numbers"),
        ("1 < 'a'", "orders two numbers"),
        ("1 in params.o", "takes a list"),
        ("params.l && true", "where a boolean is needed"),
        ("true || params.l", "where a boolean is needed"),
        ("!params.n", "where a boolean is needed"),
    ],
)
def test_what_has_no_value(text: str, said: str) -> None:
    with pytest.raises(EvaluationError, match=said):
        value_of(text, o={"a": 1}, l=[1, 2], n=None)


def test_every_reference_is_looked_up_whatever_would_short_circuit() -> None:
    seen = []

    def lookup(ref: Ref) -> Json:
        seen.append(ref.name)
        return True

    assert evaluate(parse_expression("params.a || params.b && params.c"), lookup) is True
    assert seen == ["a", "b", "c"]


def test_what_a_lookup_raises_passes_through() -> None:
    def lookup(ref: Ref) -> Json:
        raise KeyError(ref.name)

    with pytest.raises(KeyError, match="x"):
        evaluate(X, lookup)


def test_a_lone_expression_keeps_its_type_and_one_in_text_becomes_text() -> None:
    value: Value = {"a": [Template((X,)), Template(("x=", X))], "b": True}
    assert resolve(value, lambda _: 5) == {"a": [5, "x=5"], "b": True}
    assert resolve_text(Template((X,)), lambda _: True) == "true"
    assert resolve_text(Template(("v: ", X)), lambda _: {"a": [1, None, 0.5, "é"]}) == 'v: {"a":[1,null,0.5,"é"]}'


# Types

TYPES = {
    "s": STRING,
    "i": INTEGER,
    "n": NUMBER,
    "b": BOOLEAN,
    "o": OBJECT,
    "l": LIST,
    "ls": Type("list", STRING),
    "ll": Type("list", Type("list", INTEGER)),
    "a": ANY,
}


def typing(text: str, order_any: bool = False) -> Type:
    return type_of(parse_expression(text), lambda ref: TYPES[ref.name], order_any=order_any)


@pytest.mark.parametrize(
    ("text", "type"),
    [
        ("params.s", STRING),
        ("params.o.k", ANY),
        ("params.o.k[0].z", ANY),
        ("params.l[0]", ANY),
        ("params.ls[0]", STRING),
        ("params.ll[0][0]", INTEGER),
        ("[1, 2]", Type("list", INTEGER)),
        ("[1, 2.5]", Type("list", NUMBER)),
        ("[1, 'a']", LIST),
        ("[]", LIST),
        ("[[1], ['a']]", Type("list", LIST)),
        ("params.i == params.n", BOOLEAN),
        ("params.a == 5", BOOLEAN),
        ("params.s == null", BOOLEAN),
        ("params.ls == params.l", BOOLEAN),
        ("params.i < params.n", BOOLEAN),
        ("params.s >= 'x'", BOOLEAN),
        ("params.s in params.ls", BOOLEAN),
        ("params.i in [0.5, 1.5]", BOOLEAN),
        ("params.s in params.l", BOOLEAN),
        ("params.b && !params.b || params.a == true", BOOLEAN),
    ],
)
def test_types(text: str, type: Type) -> None:
    assert typing(text) == type


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("params.i == params.s", "never equal"),
        ("params.b != 1", "never equal"),
        ("params.ls == [1]", "never equal"),
        ("params.i < params.s", "orders two numbers or two strings"),
        ("params.b < params.b", "orders"),
        ("params.ls < params.ls", "orders"),
        ("params.a < 1", "declare items"),
        ("params.o.k > 1", "declare items"),
        ("params.i in params.ls", "can never be in"),
        ("params.i in params.s", "takes a list"),
        ("params.i in params.a", "takes a list"),
        ("params.s && true", "takes booleans"),
        ("true || params.a", r"write params.a == true"),
        ("!params.i", "takes booleans"),
        ("params.s.k", "neither keys nor elements"),
        ("params.i[0]", "neither keys nor elements"),
        ("params.l.k", "take an element by its index"),
        ("params.o[0]", "take a value by its key"),
    ],
)
def test_type_errors(text: str, said: str) -> None:
    with pytest.raises(TypeMismatch, match=said):
        typing(text)


def test_conditions_on_objects_of_unknown_type_may_order() -> None:
    assert typing("params.a.succeeded > 0 && params.a.ready && 1 in params.a", order_any=True) == BOOLEAN
    with pytest.raises(TypeMismatch, match="orders"):
        typing("params.a > true", order_any=True)


@pytest.mark.parametrize(
    ("value", "type", "fit"),
    [
        (1, INTEGER, True),
        (1, NUMBER, True),
        (1.0, INTEGER, False),
        (True, INTEGER, False),
        (True, BOOLEAN, True),
        (2**63, INTEGER, False),
        (float("inf"), NUMBER, False),
        (float("nan"), ANY, False),
        ("a", STRING, True),
        (None, STRING, False),
        (None, ANY, True),
        ([1, 2], Type("list", NUMBER), True),
        ([1, "a"], Type("list", NUMBER), False),
        ([None], LIST, True),
        ({"a": None}, OBJECT, True),
        ({"a": 2**64}, OBJECT, False),
        ([], OBJECT, False),
    ],
)
def test_fits(value: Json, type: Type, fit: bool) -> None:
    assert fits(value, type) is fit


# Rewriting


def test_references_at_any_depth_in_order() -> None:
    value: Value = {"a": [parse_text("${{ params.p }} ${{ [item, !outputs.o] }}")], "b": parse_text("${{ run.id[0] }}")}
    assert [ref.name or ref.kind for ref in references(value)] == ["p", "item", "o", "run.id"]


def bound(text: str, **params: Json) -> str:
    def replace(ref: Ref) -> Expr | None:
        return Literal(params[ref.name]) if ref.name in params else None

    return unparse(substitute(parse_expression(text), replace))


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("params.x == 1", "true"),
        ("params.x == 1 && params.y", "params.y"),
        ("params.y || params.x == 2", "params.y"),
        ("params.x == 2 && params.y", "false && params.y"),
        ("params.x == 1 || params.y", "true || params.y"),
        ("!(params.x == 1)", "false"),
        ("params.o.a[0]", "7"),
        ("params.o.b", '({"a": [7]}).b'),
        ("params.l[0] == params.y", "1 == params.y"),
        ("params.y in params.l", "params.y in [1, 'two']"),
        ("[params.x, params.y]", "[1, params.y]"),
        ("params.x > 'a'", "1 > 'a'"),
    ],
)
def test_folding_keeps_every_reference(text: str, folded: str) -> None:
    assert bound(text, x=1, o={"a": [7]}, l=[1, "two"]) == folded


def test_substituting_in_values() -> None:
    def replace(ref: Ref) -> Expr | None:
        return Literal({"n": 5, "empty": "", "l": [1]}[ref.name]) if ref.name != "y" else None

    def put(text: str) -> Value:
        return substitute(parse_text(text), replace)

    assert put("${{ params.n }}") == 5
    assert put("${{ params.l }}") == [1]
    assert put("n=${{ params.n }}") == "n=5"
    assert put("a ${{ params.n }} b ${{ params.y }}") == Template(("a 5 b ", Ref("param", name="y")))
    assert substitute({"k": [parse_text("${{ params.n }}"), 1, "${{"]}, replace) == {"k": [5, 1, "${{"]}


def test_a_text_of_several_parts_stays_text() -> None:
    def replace(ref: Ref) -> Expr | None:
        return Literal("") if ref.name == "x" else None

    left = substitute(parse_text("${{ params.x }}${{ params.y }}"), replace)
    assert isinstance(left, Template)
    assert left.alone is None
    assert resolve(left, lambda _: 5) == "5"
    again = substitute(parse_text(unparse_text(left)), replace)
    assert resolve(again, lambda _: 5) == "5"


@settings(max_examples=200)
@given(expressions, st.dictionaries(names, json_values))
def test_binding_then_evaluating_is_evaluating(expr: Expr, params: dict[str, Json]) -> None:
    def lookup(ref: Ref) -> Json:
        return params.get(ref.name, ref.kind)

    def replace(ref: Ref) -> Expr | None:
        return Literal(lookup(ref)) if ref.kind == "param" else None

    def outcome(of: Expr) -> str:
        try:
            return typed(evaluate(of, lookup))
        except EvaluationError:
            return "no value"

    # A tree of unlike types has no value, and may get one: `true && 5` becomes 5. The check refuses such trees.
    if (before := outcome(expr)) != "no value":
        assert outcome(substitute(expr, replace)) == before


def test_constants() -> None:
    assert constant([1, [2]]) == ListOf((Literal(1), ListOf((Literal(2),))))
    assert constant_value(ListOf((Literal(1), X))) is MISSING
    assert constant_value(Literal(None)) is None
