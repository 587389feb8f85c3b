"""Documents: what is read, what is written, and that the two are inverse."""

import json
import pickle
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workflows_strategy import workflows

from flowcore import document, model
from flowcore.document import document_of, from_json, read_document, read_file, write_document
from flowcore.document.source import Source, Spelled, plain, scalar
from flowcore.errors import WorkflowError
from flowcore.syntax import Ref, Template

BAD = Path(__file__).parent / "bad_documents"
BAD_NAMES = sorted(path.name for path in BAD.iterdir() if path.suffix != ".txt")
HEAD = "flowcore: 1\nname: test\n"
slow = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def step(text: str) -> model.Step:
    """The one step of a document."""
    return read_document(f"{HEAD}steps:\n  one: {text}\n").steps["one"]


def problems(text: str) -> list[str]:
    with pytest.raises(WorkflowError) as raised:
        read_document(text, "w.yaml")
    return str(raised.value).splitlines()


# Round trips


@slow
@given(workflows)
def test_a_workflow_is_read_back_from_its_document(workflow: model.Workflow):
    assert from_json(document_of(workflow)) == workflow
    assert read_document(write_document(workflow)) == workflow


@slow
@given(workflows)
def test_json_is_the_same_document(workflow: model.Workflow):
    data = document_of(workflow)
    assert read_document(json.dumps(data)) == read_document(json.dumps(data, ensure_ascii=False, indent=1)) == workflow


def test_what_the_lowering_added_goes_through_json_alone():
    lowered = model.Workflow(
        name="w", steps={"a": model.Step(model.Container(("x",)), origin="b[0]", role="helper")}, outline="[]"
    )
    data = document_of(lowered)
    assert from_json(data) == lowered
    read = read_document(json.dumps(data))
    assert (read.outline, read.steps["a"].origin, read.steps["a"].role) == ("", "", "step")


# Params and types


@pytest.mark.parametrize(
    ("text", "param"),
    [
        ("1000", model.Param(model.INTEGER, 1000)),
        ("-017", model.Param(model.INTEGER, -17)),
        ("1e3", model.Param(model.NUMBER, 1000.0)),
        (".5", model.Param(model.NUMBER, 0.5)),
        ("True", model.Param(model.BOOLEAN, True)),
        ("yes", model.Param(model.STRING, "yes")),
        ("0x1F", model.Param(model.STRING, "0x1F")),
        ("0o17", model.Param(model.STRING, "0o17")),
        ("12:30", model.Param(model.STRING, "12:30")),
        ("2001-01-01", model.Param(model.STRING, "2001-01-01")),
        ("1_000", model.Param(model.STRING, "1_000")),
        ('"3.10"', model.Param(model.STRING, "3.10")),
        ("!!str 3.10", model.Param(model.STRING, "3.10")),
        ("[1, a]", model.Param(model.LIST, [1, "a"])),
        ("{}", model.Param(model.STRING)),
        ("{type: string, default: 3.10}", model.Param(model.STRING, "3.10")),
        (
            "{type: list, items: string, default: [3.10, 017]}",
            model.Param(model.Type("list", model.STRING), ["3.10", "017"]),
        ),
        ("{default: {a: 1}, description: d}", model.Param(model.OBJECT, {"a": 1}, "d")),
        ("{type: any, default: null}", model.Param(model.ANY, None)),
        ("{type: number, default: 5}", model.Param(model.NUMBER, 5)),
        ("{default: '${{ x }}'}", model.Param(model.STRING, "${{ x }}")),
    ],
)
def test_params(text: str, param: model.Param):
    read = read_document(f"{HEAD}params:\n  p: {text}\nsteps: {{}}\n").params["p"]
    assert read == param
    assert type(read.default) is type(param.default)


@pytest.mark.parametrize("text", ["~", "null", "NULL", ""])
def test_null(text: str):
    assert scalar(text) is None


def test_a_whole_float_keeps_its_type_where_its_point_gets_lost():
    document = document_of(model.Workflow(name="w", params={"p": model.Param(model.NUMBER, 5.0)}))
    assert document["params"] == {"p": {"type": "number", "default": 5.0}}


# Text


def test_text_without_quotes_is_taken_as_it_is_spelled():
    one = step(
        "{image: x, command: [3.10, 017, true, 1e3], env: {A: 1.0, B: yes}, labels: {v: 2.10}, resources: {cpu: 1}}"
    )
    assert one.action == model.Container(("3.10", "017", "true", "1e3"))
    assert one.env == {"A": "1.0", "B": "yes"}
    assert (one.labels, one.resources) == ({"v": "2.10"}, {"cpu": "1"})


def test_keys_without_quotes_are_text_too():
    assert step("{image: x, env: {1.0: a, true: b}}").env == {"1.0": "a", "true": "b"}


def test_expressions_in_text():
    one = step('{image: "a:${{ params.v }}", command: ["${{ params.v }}", "$${{ literal"]}')
    param = Ref("param", name="v")
    assert one.image == Template(("a:", param))
    assert one.action == model.Container((Template((param,)), "${{ literal"))


def test_scripts_and_sources_are_never_interpolated():
    assert step("{script: 'echo ${{ x }} $${{'}").action == model.Script("echo ${{ x }} $${{")
    assert step("{python: {function: f, source: '${{ x }}'}}").action == model.Python("f", "${{ x }}")


def test_a_literal_brace_in_a_place_without_expressions():
    assert step("{image: x, labels: {a: '$${{ x }}'}}").labels == {"a": "${{ x }}"}


@pytest.mark.parametrize("char", ["\x85", "\u2028", "\u2029"])
def test_line_separators_of_old_yaml_are_ordinary_characters(char: str):
    text = f"a{char}b"
    for written in (f"a: {text}", f'a: "{text}"', f"a: |-\n  {text}", f'{{"a": "{text}"}}'):
        assert plain(Source.parse(written).root) == {"a": text}


def test_json_escapes_of_surrogate_pairs():
    assert plain(Source.parse('{"a": "\\ud83d\\ude00", "b": "\\/"}').root) == {"a": "\U0001f600", "b": "/"}


def test_half_of_a_surrogate_pair_is_refused():
    text = '{"flowcore": 1, "name": "w", "steps": {"a": {"image": "\\ud800", "env": {"\\udc00": "x"}}}}'
    assert [problem.split(": ")[0] for problem in problems(text)] == [
        "w.yaml:1:55 steps.a.image",
        "w.yaml:1:73 steps.a.env",
    ]


def test_a_byte_order_mark_is_no_part_of_the_document(tmp_path: Path):
    path = tmp_path / "w.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + HEAD.encode() + b"steps: {}\n")
    assert read_file(path).name == "test"


def test_windows_line_ends():
    text = f"{HEAD}steps:\n  a:\n    script: |\n      x\n      y\n  b: {{imag: x}}\n".replace("\n", "\r\n")
    assert [line.split(":")[:3] for line in problems(text)][-1] == ["w.yaml", "8", "7 steps.b.imag"]


# Steps


def test_needs_as_a_list_and_as_a_mapping():
    assert step("{image: x, needs: [a, b]}").needs == {"a": "met", "b": "met"}
    assert step("{image: x, needs: {a: failed, b: met}}").needs == {"a": "failed", "b": "met"}


def test_an_image_alone_is_its_own_entry_point():
    assert step("{image: x, args: [a]}").action == model.Container(None, ("a",))


@pytest.mark.parametrize(
    ("source", "interpreter"),
    [
        ("echo", ("sh", "-e")),
        ("#!/bin/bash\nx", ("/bin/bash",)),
        ("#! /usr/bin/env python3\nx", ("/usr/bin/env", "python3")),
        ("#!/usr/bin/env -S perl -w\nx", ("/usr/bin/env", "-S perl -w")),
        ("#!\nx", ("sh", "-e")),
        ("\n#!/bin/bash", ("sh", "-e")),
    ],
)
def test_the_interpreter_of_a_script(source: str, interpreter: "tuple[str, ...]"):
    data = {"flowcore": 1, "name": "w", "steps": {"a": {"script": source}}}
    workflow = from_json(data)
    assert workflow.steps["a"].action == model.Script(source, interpreter)
    assert document_of(workflow) == data


def test_a_python_step_without_outputs_has_one_of_any_type():
    assert step("{python: {function: f, source: s}}").outputs == {"result": model.Output(model.ANY)}
    none = step("{python: {function: f, source: s}, outputs: {}}")
    assert none.outputs == {}
    written = document_of(model.Workflow(name="w", steps={"a": none}))
    assert written["steps"]["a"]["outputs"] == {}  # type: ignore[index,call-overload]


def test_volumes_mounts_and_environment():
    workflow = read_document(
        HEAD + "volumes: {a: {size: 1Gi}, b: {empty: {}}, c: {secret: s}}\n"
        "env: {A: x, B: {secret: s, key: k}, C: {config_map: c, key: k}}\n"
        "steps:\n  a:\n    image: x\n    mounts: {/a: a, /b: {volume: b, sub_path: p, read_only: true}}\n"
        "    env_from: [{secret: s}]\n"
    )
    assert workflow.volumes == {
        "a": model.Volume("size", "1Gi"),
        "b": model.Volume("empty"),
        "c": model.Volume("secret", "s"),
    }
    assert workflow.env == {"A": "x", "B": model.SecretKey("s", "k"), "C": model.ConfigMapKey("c", "k")}
    assert workflow.steps["a"].mounts == {"/a": model.Mount("a"), "/b": model.Mount("b", "p", True)}
    assert workflow.steps["a"].env_from == (model.EnvFrom("secret", "s"),)


def test_anchors_and_keys_for_other_tools():
    workflow = read_document(
        HEAD + "x-common: &common {LEVEL: info}\nsteps:\n  a: {image: x, env: *common, x-note: [1, {}]}\n"
    )
    assert workflow.steps["a"] == model.Step(model.Container(), image="x", env={"LEVEL": "info"})


def test_a_name_that_begins_with_x_is_a_name():
    assert list(read_document(HEAD + "steps: {x-ray: {image: x}}").steps) == ["x-ray"]


def test_a_document_may_have_markers_around_it():
    assert read_document(f"%YAML 1.2\n---\n{HEAD}steps: {{}}\n...\n").name == "test"


# Places


def test_places_of_keys_items_and_values():
    workflow = read_document(f"{HEAD}steps:\n  a:\n    image: x\n    command:\n      - b\n      - c\n", "w.yaml")
    places = workflow.places
    assert places[()] == "w.yaml:1:1"
    assert places["steps", "a", "image"] == "w.yaml:5:5"
    assert places["steps", "a", "command", 1] == "w.yaml:8:9"
    assert ("steps", "b") not in places
    assert ("name", "x") not in places
    assert len(places) == len(list(places)) == 9
    assert pickle.loads(pickle.dumps(workflow)) == workflow


def test_places_in_json():
    workflow = read_document('{"flowcore": 1, "name": "w",\n  "steps": {"a": {"image": "x"}}}')
    assert workflow.places["steps", "a", "image"] == "<text>:2:19"


# What is wrong


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.skipif(not yaml.__with_libyaml__, reason="the words of syntax errors are those of the C parser")
def test_everything_wrong_is_said_at_once_with_its_place(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(BAD)
    with pytest.raises(WorkflowError) as raised:
        read_file(name)
    assert f"{raised.value}\n" == (BAD / f"{name}.txt").read_text()
    assert raised.value.exit_code == 2


def test_the_pure_python_parser_finds_the_same_places(monkeypatch: pytest.MonkeyPatch):
    text = f"{HEAD}steps:\n  é: [ü, {{imag: x}}]\n  b: {{imag: x, when: 'a ='}}\n"
    by_c = problems(text)
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    assert problems(text) == by_c


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_what_is_nested_without_end_is_refused(opening: str):
    assert "nested more than 100 deep" in problems(f"{HEAD}x-deep: " + opening * 900)[0]
    text = '{"flowcore": 1, "x-deep": ' + opening * 900
    assert "nested more than 100 deep" in problems(text)[0]


def test_a_missing_file_and_a_directory(tmp_path: Path):
    with pytest.raises(WorkflowError, match=r"none\.yaml: there is no such file"):
        read_file(tmp_path / "none.yaml")
    with pytest.raises(WorkflowError, match="this is a directory"):
        read_file(tmp_path)


def test_an_expression_is_wrong_at_its_very_character():
    assert problems(f"{HEAD}steps:\n  a: {{image: x, when: 'params.x = 1'}}\n")[0].startswith(
        "w.yaml:4:33 steps.a.when: "
    )


def test_aliases_may_add_ten_thousand_nodes():
    text = f"{HEAD}x-a: &a [{', '.join('x' * 999)}]\nx-b: [{', '.join(['*a'] * 10)}]\nsteps: {{}}\n"
    assert read_document(text).name == "test"
    assert "more than 10000 nodes" in problems(text.replace("steps: {}", "x-c: *a\nsteps: {}"))[0]


def test_from_json_says_what_is_wrong_too():
    with pytest.raises(WorkflowError, match=r"steps\.a\.imag: unknown key"):
        from_json({"flowcore": 1, "name": "w", "steps": {"a": {"imag": "x"}}})
    with pytest.raises(WorkflowError, match="finite"):
        from_json({"flowcore": 1, "name": "w", "steps": {}, "params": {"a": float("nan")}})


json_nodes = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


@given(st.dictionaries(st.text(max_size=5), json_nodes, max_size=4))
def test_json_is_read_as_json(data: dict):
    source = Source.parse(json.dumps(data), "a.json")
    source.finish()
    assert plain(source.root) == data


@given(st.text(alphabet="{}[]:,\"'|>-#&*!%@ \n\tab1.~?\\$"))
def test_no_text_makes_the_reader_fail_in_another_way(text: str):
    with pytest.raises(WorkflowError) as raised:
        read_document(text)
    assert all(problem.place for problem in raised.value.problems)


def _broken(data: object) -> st.SearchStrategy[object]:
    """A document with one of its values replaced by something else."""
    junk = json_nodes | st.sampled_from([{"a": 1}, [None], "text", -1])
    if isinstance(data, dict) and data:
        return junk | st.sampled_from(sorted(data)).flatmap(
            lambda key: _broken(data[key]).map(lambda value: {**data, key: value})
        )
    return junk


@slow
@given(workflows.map(document_of).flatmap(_broken))
def test_no_mistake_makes_the_reader_fail_in_another_way(data: object):
    try:
        read_document(json.dumps(data))
    except WorkflowError:
        pass


def test_the_public_names():
    assert set(document.__all__) <= set(dir(document))
    assert Spelled(1, "1", 0).text == "1"
