"""The program of helper steps: it evaluates as the core does, and tells what became of a step."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowcore.plugin import Binary, EvaluationError, Get, ListOf, Literal, Not, Ref, Template, evaluate, misfit, resolve
from flowcore.syntax import Json
from flowcore_kubernetes import go_bytes
from flowcore_tekton import flow
from flowcore_tekton.codes import value_code
from flowcore_tekton.quoting import encoded, is_reference, static

SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, 2.0]) | st.sampled_from("ab")
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
)
EXPRESSIONS = st.recursive(
    VALUES.map(Literal) | st.sampled_from([Ref("output", "s", "x"), Ref("output", "s", "y")]),
    lambda inner: (
        st.builds(Get, inner, st.sampled_from(["a", "b", 0, 1]))
        | st.builds(lambda items: ListOf(tuple(items)), st.lists(inner, max_size=3))
        | st.builds(Not, inner)
        | st.builds(Binary, st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "&&", "||"]), inner, inner)
    ),
    max_leaves=6,
)


def outcome(compute) -> Json:
    try:
        return ["value", compute()]
    except (EvaluationError, flow.Wrong):
        return ["wrong"]


@settings(max_examples=400, deadline=None)
@given(expr=EXPRESSIONS, x=VALUES, y=VALUES)
def test_expressions_have_the_value_that_the_core_gives_them(expr, x, y):
    known = {"x": x, "y": y}
    code = json.loads(json.dumps(value_code(Template((expr,)), lambda ref: ["ref", ref.name])))
    ours = outcome(lambda: flow.evaluate(code, known.__getitem__))
    assert json.dumps(ours) == json.dumps(outcome(lambda: evaluate(expr, lambda ref: known[ref.name])))


@settings(max_examples=100, deadline=None)
@given(value=VALUES, text=st.text(max_size=5))
def test_texts_and_objects_are_composed_as_the_core_does(value, text):
    whole = {"a": [Template((text, Ref("output", "s", "x"))), Template((Ref("output", "s", "x"),))], "b": text}
    code = json.loads(json.dumps(value_code(whole, lambda ref: ["ref", ref.name])))
    assert flow.evaluate(code, {"x": value}.__getitem__) == resolve(whole, lambda ref: value)


@settings(max_examples=300, deadline=None)
@given(value=VALUES, kind=st.sampled_from(["any", "string", "integer", "number", "boolean", "list", "object"]))
def test_values_fit_the_types_that_the_core_says(value, kind):
    from flowcore.plugin import Type

    assert flow.fits(value, kind) == (misfit(value, Type(kind)) is None)


@given(text=st.text(alphabet="$(){}ax.[]", max_size=20))
def test_the_kubelet_gives_static_text_back(text):
    assert expanded(static(text)) == text
    assert expanded(static(text, True) + "(VALUE)") == text + "(VALUE)"


def expanded(text: str) -> str:
    """What the kubelet makes of a text where no variable is known (k8s.io/kubernetes/third_party/forked/golang)."""
    found = ""
    at = 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            found += text[at]
            at += 1
        elif text[at + 1] == "$":
            found += "$"
            at += 2
        elif text[at + 1] == "(" and ")" in text[at + 2 :]:
            end = text.index(")", at)
            found += "<EXPANDED>"
            at = end + 1
        else:
            found += text[at : at + 2]
            at += 2
    return found


@given(value=st.text(max_size=30))
def test_results_hold_nothing_that_anybody_expands(value):
    assert "$" not in encoded(value)
    assert json.loads(encoded(value)) == value
    assert not is_reference(encoded(value))


@pytest.fixture
def pod(tmp_path, monkeypatch):
    """A pod's folders."""
    for name in ("results", "steps/step-flow-begin/results", "steps/step-main", "home", "run", "outputs"):
        (tmp_path / name).mkdir(parents=True)
    for name, folder in (("RESULTS", "results"), ("STEPS", "steps"), ("HOME", "home"), ("RUN", "run")):
        monkeypatch.setattr(flow, name, str(tmp_path / folder))
    monkeypatch.setenv("FLOW_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.delenv("FLOW_RETRIES", raising=False)
    return tmp_path


def run(pod, what: str, plan: dict, *words: str) -> int:
    (pod / "plan.json").write_text(json.dumps(plan))
    return flow.main([what, str(pod / "plan.json"), *words])


def results(pod) -> dict:
    return {path.name: path.read_text() for path in (pod / "results").iterdir()}


PLAN = {"refs": {}, "room": 2000, "most": 1000}


def test_a_value_reaches_the_step_byte_for_byte(pod):
    text = "a $(x) $$ 'é' \n\t\\ {{x}}"
    plan = {
        **PLAN,
        "refs": {"a.o": {"kind": "result", "place": ""}},
        "values": {"v1": ["text", ["<", ["ref", "a.o"], ">"]]},
    }
    assert run(pod, "begin", plan, "--", "a.o", encoded(text)) == 0
    written = (pod / "steps/step-flow-begin/results/v1").read_text()
    assert "$" not in written
    assert json.loads(written) == f"<{text}>"
    assert json.loads((pod / "steps/step-flow-begin/results/go").read_text()) == "yes"


def test_a_missing_value_without_default_stops_the_step(pod):
    plan = {**PLAN, "refs": {"a.o": {"kind": "file", "place": "values/a/o"}}, "when": ["lit", True]}
    assert run(pod, "begin", plan) == 0
    assert results(pod)["flow-status"] == "unmet"
    assert json.loads(results(pod)["flow-said"])["reason"] == "needs"


def test_a_false_when_stops_the_step(pod):
    assert run(pod, "begin", {**PLAN, "when": ["lit", False]}) == 0
    assert results(pod)["flow-status"] == "skipped"
    assert json.loads((pod / "steps/step-flow-begin/results/go").read_text()) == "no"


def test_an_expression_without_a_value_is_an_error(pod):
    plan = {**PLAN, "values": {"v1": ["get", ["lit", {}], "b", "steps.a.outputs.o"]}}
    assert run(pod, "begin", plan) == 1
    assert results(pod)["flow-status"] == "error"
    assert "steps.a.outputs.o has no key 'b'" in results(pod)["flow-said"]


def test_outputs_become_results(pod):
    (pod / "outputs/n").write_text(" 7\n")
    plan = {**PLAN, "outputs": {"n": {"type": "integer"}, "s": {"type": "string", "default": "$x"}}}
    assert run(pod, "seal", plan) == 0
    assert results(pod) == {"flow-status": "succeeded", "n": "7", "s": '"\\u0024x"'}


def test_short_outputs_of_few_stay_results_whatever_the_others_are(pod):
    texts = {"short" + "x" * 50: "é" * 90, **{f"long{index}" + "x" * 50: "$" * 90 for index in range(7)}}
    for name, text in texts.items():
        (pod / "outputs" / name).write_text(text)
    outputs = {name: {"type": "string"} for name in texts}
    assert run(pod, "seal", {**PLAN, "room": 2622, "outputs": outputs}) == 0
    assert json.loads(results(pod)["short" + "x" * 50]) == "é" * 90
    assert "@" in results(pod).values()


@pytest.mark.parametrize(
    ("content", "type", "message"),
    [
        (None, "string", "was not written"),
        (b"\xff", "string", "is not UTF-8"),
        (b"ten", "integer", "is not of type integer"),
        (b"1.5", "integer", "is not of type integer"),
        (b"NaN", "number", "is not of type number"),
        (b"1e999", "number", "is not of type number"),
        (b'[1, "a"]', "list of integer", "is not of type list of integer"),
        (b"x" * 1001, "string", "has 1001 bytes, and 1000 are the most"),
    ],
)
def test_a_bad_output_fails_the_step_by_name(content, type, message, pod):
    if content is not None:
        (pod / "outputs/value").write_bytes(content)
    assert run(pod, "seal", {**PLAN, "outputs": {"value": {"type": type}}}) == 1
    said = json.loads(results(pod)["flow-said"])
    assert results(pod)["flow-status"] == "failed"
    assert said["reason"] == "output"
    assert said["exit_code"] == 0
    assert said["message"].startswith("output value ") and message in said["message"]


def test_a_long_output_goes_through_the_volume_and_the_log(pod, capsys):
    (pod / "outputs/long").write_text("x" * 900)
    (pod / "outputs/short").write_text("y")
    outputs = {"long": {"type": "string"}, "short": {"type": "string"}}
    plan = {**PLAN, "room": 300, "outputs": outputs, "places": {"long": "values/a/long"}, "read": ["long"]}
    assert run(pod, "seal", plan) == 0
    assert results(pod) == {"flow-status": "succeeded", "long": "@", "short": '"y"'}
    assert json.loads((pod / "run/values/a/long").read_text()) == "x" * 900
    assert capsys.readouterr().out == f'flowcore-output long "{"x" * 900}"\n'


def test_a_long_output_that_nothing_can_carry_fails_the_step(pod):
    (pod / "outputs/long").write_text("x" * 900)
    plan = {**PLAN, "room": 300, "outputs": {"long": {"type": "string"}}, "read": ["long"]}
    assert run(pod, "seal", plan) == 1
    assert "has 902 bytes, and results of one step have 300" in results(pod)["flow-said"]


@pytest.mark.parametrize("text", ["<" * 100, "&" * 100, ">" * 100, "\u2028" * 100])
def test_outputs_are_as_long_as_tekton_writes_them(text, pod):
    # Go's encoding/json, by which Tekton writes a container's last message, has six bytes for each of these.
    (pod / "outputs/html").write_text(text)
    assert run(pod, "seal", {**PLAN, "room": 600, "outputs": {"html": {"type": "string"}}}) == 0
    assert results(pod)["html"] == "@"
    assert run(pod, "seal", {**PLAN, "room": 700, "outputs": {"html": {"type": "string"}}}) == 0
    assert json.loads(results(pod)["html"]) == text


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
@example(text="<>&\u2028\u2029\x7f\U0001d11e")
def test_the_program_in_the_pod_measures_as_the_plugin_does(text):
    assert flow.bytes_of(text) == go_bytes(json.dumps(text, ensure_ascii=False))


def test_each_output_has_room_of_its_own_where_tekton_reads_results_from_a_log(pod, monkeypatch):
    outputs = {name: {"type": "string"} for name in ("one", "two", "three")}
    for name, text in (("one", "x" * 900), ("two", "y" * 900), ("three", "<" * 400)):
        (pod / "outputs" / name).write_text(text)
    monkeypatch.setattr(flow, "entrypoint", lambda: ["entrypoint", "-result_from", "sidecar-logs"])
    assert run(pod, "seal", {**PLAN, "each": 1000, "outputs": outputs}) == 0
    told = results(pod)
    assert (json.loads(told["one"]), json.loads(told["two"]), told["three"]) == ("x" * 900, "y" * 900, "@")
    assert run(pod, "seal", {**PLAN, "each": 900, "outputs": outputs, "read": ["one"]}) == 1
    said = json.loads(results(pod)["flow-said"])["message"]
    assert said == "output one has 902 bytes, and one result has 900 with all that Tekton writes beside it"


def test_a_cluster_that_reads_no_logs_is_told_from_one_that_does(pod):
    (pod / "outputs/one").write_text("x")
    assert run(pod, "seal", {**PLAN, "each": 1000, "outputs": {"one": {"type": "string"}}}) == 1
    said = json.loads(results(pod)["flow-said"])
    assert (results(pod)["flow-status"], said["reason"]) == ("error", "backend")
    assert "results-from" in said["message"]


def test_a_list_of_items_that_nothing_can_carry_fails_by_name(pod):
    for index in range(2):
        flow.write(flow.place(f"ends/a/{index}"), json.dumps({"status": "succeeded"}))
        flow.write(flow.place(f"values/a/{index}/o"), json.dumps("x" * 900))
    plan = {**PLAN, "room": 300, "joins": "items", "count": 2, "member": "ends/a/{i}", "read": ["o"]}
    assert run(pod, "join", {**plan, "outputs": {"o": {"place": "values/a/{i}/o"}}}) == 1
    assert results(pod)["flow-status"] == "failed"
    assert "output o has 1807 bytes" in results(pod)["flow-said"]


@pytest.mark.parametrize("character", ["$", "<", "\U0001d11e", "\x01", "x"])
def test_what_is_said_of_a_failure_has_room(character, pod):
    (pod / "outputs/value").write_text("1")
    plan = {**PLAN, "outputs": {character * 800: {"type": "string"}}}
    assert run(pod, "seal", plan) == 1
    said = json.loads(results(pod)["flow-said"])
    assert said["reason"] == "output"
    assert said["message"].startswith(f"output {character * 20}")
    written = json.dumps(results(pod)["flow-said"], ensure_ascii=False)
    assert len(written.encode()) + 5 * written.count("<") < 2100


@pytest.mark.parametrize(
    ("end", "inner", "outer", "expected"),
    [
        ("", "3", "0", ("failed", "exit-code", 3)),
        ('[{"key":"Reason","value":"TimeoutExceeded","type":3}]', None, "1", ("failed", "timeout", None)),
        ("[]", None, "1", ("error", "command", None)),
        ("[]", "-1", "0", ("failed", None, -1)),
    ],
)
def test_the_inner_entrypoint_tells_how_the_process_ended(end, inner, outer, expected, pod):
    (pod / "home/flow-main").mkdir()
    (pod / "home/flow-main-end").write_text(end)
    (pod / "steps/step-main/exitCode").write_text(outer)
    if inner is not None:
        (pod / "home/flow-main/exitCode").write_text(inner)
    run(pod, "seal", {**PLAN, "wrapped": True})
    said = json.loads(results(pod).get("flow-said", "{}"))
    assert (results(pod)["flow-status"], said.get("reason"), said.get("exit_code")) == expected


@pytest.mark.parametrize(
    ("retries", "only", "code"), [("0", [], 1), ("2", [], 0), ("0", ["timeout"], 0), ("0", ["failed"], 1)]
)
def test_a_step_with_retries_ends_well_once_it_is_not_tried_again(retries, only, code, pod, monkeypatch):
    monkeypatch.setenv("FLOW_RETRIES", retries)
    (pod / "steps/step-main/exitCode").write_text("5")
    assert run(pod, "seal", {**PLAN, "soft": True, "limit": 2, "only": only}) == code
    assert results(pod)["flow-status"] == "failed"


def test_items_are_numbered(pod):
    plan = {**PLAN, "refs": {"a.l": {"kind": "result", "place": ""}}, "foreach": ["ref", "a.l"], "most": 3}
    assert run(pod, "items", plan, "--", "a.l", "[7,8]") == 0
    assert results(pod) == {"flow-status": "succeeded", "flow-items": '["0", "1"]'}
    assert run(pod, "items", plan, "--", "a.l", "[]") == 0
    assert results(pod)["flow-items"] == '["-"]'
    assert run(pod, "items", plan, "--", "a.l", "[1,2,3,4]") == 1
    assert "the list has 4 items, and 3 are the most" in results(pod)["flow-said"]
    assert run(pod, "items", plan, "--", "a.l", '{"a":1}') == 1
    assert "foreach takes a list, not an object" in results(pod)["flow-said"]


def test_items_that_failed_have_defaults_in_the_list(pod):
    for index, status in enumerate(["succeeded", "failed"]):
        flow.write(flow.place(f"ends/each/{index}"), json.dumps({"status": status}))
    for name in ("value", "strict"):
        flow.write(flow.place(f"values/each/0/{name}"), "7")
    outputs = {
        "value": {"place": "values/each/{i}/value", "default": -1},
        "strict": {"place": "values/each/{i}/strict"},
    }
    plan = {**PLAN, "joins": "items", "member": "ends/each/{i}", "count": 2, "outputs": outputs, "continued": True}
    assert run(pod, "join", plan) == 0
    assert results(pod) == {
        "flow-status": "failed",
        "flow-said": '{"reason":"exit-code"}',
        "value": "[7,-1]",
        "strict": "?",
    }


@pytest.mark.parametrize("program", ["flow.py", "manifest.py"])
def test_it_is_python_of_3_6(program):
    source = Path(flow.__file__).with_name(program).read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 6))
    imported = {
        name.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import) for name in node.names
    }
    assert {name.partition(".")[0] for name in imported} <= {*sys.stdlib_module_names, "manifest"}
