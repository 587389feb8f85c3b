"""Drawings: what is in them, in every form, and that each is well formed."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.errors import UsageError
from flowcore.graph import Graph, graph_of, graph_of_run, mermaid, svg, text
from flowcore.graph.layout import lay_out
from flowcore.graph.parts import Node
from flowcore.model import Container, Nested, Python, Retry, Script, Step, Workflow
from flowcore.runs import Phase, StepState
from flowcore.syntax import Literal, Ref, Template

RUN = Container(("true",))
INNER = Workflow(steps={"pack": Step(RUN), "upload": Step(RUN, needs={"pack": "met"})})
WORKFLOW = Workflow(
    "nightly",
    steps={
        "extract": Step(RUN),
        "train": Step(Python("train", "def train(): ..."), needs={"extract": "met"}, foreach=[1, 2]),
        "alarm": Step(Script("true"), needs={"train": "failed"}, retry=Retry(2)),
        "publish": Step(Nested(INNER), needs={"train": "met"}, when=Literal(True)),
        "done": Step(RUN, needs={"extract": "met", "publish": "finished"}),
    },
    on_exit={"notify": Step(Script("true"))},
)
STATES = {
    "extract": StepState(Phase.SUCCEEDED, started=10.0, finished=12.5),
    "train": StepState(Phase.RUNNING),
    "train[0]": StepState(Phase.SUCCEEDED),
    "train[1]": StepState(Phase.FAILED, "exit-code", "a < b & c"),
    "publish": StepState(Phase.PENDING),
    "publish/pack": StepState(Phase.ERROR, "image", 'no "image"'),
    "notify": StepState(Phase.PENDING),
}


def nodes(graph: Graph) -> dict[str, Node]:
    return {node.name: node for node in graph.walk()}


def test_a_graph_has_every_step_with_its_kind_and_needs() -> None:
    found = nodes(graph_of(WORKFLOW))
    assert list(found) == ["extract", "train", "alarm", "publish", "publish/pack", "publish/upload", "done", "notify"]
    assert [found[name].kind for name in ("extract", "train", "alarm", "publish")] == [
        "container",
        "python",
        "script",
        "workflow",
    ]
    assert found["train"].marks == ("foreach of 2",)
    assert found["alarm"].marks == ("retry 2",)
    assert found["publish"].marks == ("when",)
    assert [(edge.source, edge.word) for edge in found["done"].edges] == [("extract", ""), ("publish", "finished")]
    assert [edge.source for edge in found["publish/upload"].edges] == ["publish/pack"]


def test_a_reference_is_an_arrow_too() -> None:
    reading = Step(Container((Template((Ref("output", "a", "x"),)),)))
    found = nodes(graph_of(Workflow("w", steps={"a": Step(RUN), "b": reading})))
    assert [edge.source for edge in found["b"].edges] == ["a"]


def test_phases_gather_items() -> None:
    found = nodes(graph_of(WORKFLOW, STATES, Phase.RUNNING))
    assert (found["extract"].phase, found["extract"].progress) == (Phase.SUCCEEDED, "2.5s")
    assert (found["train"].phase, found["train"].progress) == (Phase.RUNNING, "(1 succeeded, 1 failed)")
    assert found["publish/pack"].phase is Phase.ERROR
    assert found["publish/upload"].phase is None


def test_steps_of_several_items_of_a_nested_workflow_show_the_worst() -> None:
    states = {
        "publish": StepState(Phase.RUNNING),
        "publish[0]": StepState(Phase.SUCCEEDED),
        "publish[1]": StepState(Phase.RUNNING),
        "publish[0]/pack": StepState(Phase.SUCCEEDED),
        "publish[1]/pack": StepState(Phase.FAILED),
    }
    pack = nodes(graph_of(WORKFLOW, states))["publish/pack"]
    assert (pack.phase, pack.progress) == (Phase.FAILED, "(1 succeeded, 1 failed)")


def test_a_run_without_its_workflow_has_steps_but_no_arrows() -> None:
    found = nodes(graph_of_run("nightly", STATES, Phase.RUNNING))
    assert list(found) == ["extract", "train", "publish", "publish/pack", "notify"]
    assert found["train"].many
    assert not any(node.edges for node in found.values())


# Text


def test_text_draws_boxes_and_arrows() -> None:
    small = Workflow("two", steps={"a": Step(RUN), "b": Step(RUN, needs={"a": "met"})})
    assert text(graph_of(small)) == (
        "two\n"
        "\n"
        "┌───────────┐\n"
        "│ a         │\n"
        "│ container │\n"
        "└─────┬─────┘\n"
        "      ▼\n"
        "┌───────────┐\n"
        "│ b         │\n"
        "│ container │\n"
        "└───────────┘\n"
    )


def test_text_joins_and_parts() -> None:
    steps = {
        "a": Step(RUN),
        "b": Step(RUN, needs={"a": "met"}),
        "c": Step(RUN, needs={"a": "met"}),
        "d": Step(RUN, needs={"b": "met", "c": "met"}),
    }
    assert text(graph_of(Workflow("diamond", steps=steps))) == (
        "diamond\n"
        "\n"
        "        ┌───────────┐\n"
        "        │ a         │\n"
        "        │ container │\n"
        "        └─────┬─────┘\n"
        "      ╭───────┴──────╮\n"
        "      ▼              ▼\n"
        "┌───────────┐  ┌───────────┐\n"
        "│ b         │  │ c         │\n"
        "│ container │  │ container │\n"
        "└─────┬─────┘  └─────┬─────┘\n"
        "      ╰──────╮ ╭─────╯\n"
        "             ▼ ▼\n"
        "        ┌───────────┐\n"
        "        │ d         │\n"
        "        │ container │\n"
        "        └───────────┘\n"
    )


def test_text_has_phases_as_words_and_sections_for_what_is_inside() -> None:
    drawn = text(graph_of(WORKFLOW, STATES, Phase.RUNNING), 120)
    assert drawn.startswith("nightly: running\n")
    for words in ("✓ succeeded 2.5s", "▸ running (1 succeeded, 1 failed)", "publish:", "on exit:", "if train failed"):
        assert words in drawn


def test_text_that_is_too_wide_is_a_list_in_the_order_of_needs() -> None:
    drawn = text(graph_of(WORKFLOW), 20).splitlines()
    assert drawn[2].split() == ["extract", "container"]
    assert "needs train (failed)" in drawn[4]
    assert drawn[-2:] == ["on exit:", drawn[-1]]
    steps = {"b": Step(RUN, needs={"a": "met"}), "a": Step(RUN)}
    assert [line.split()[0] for line in text(graph_of(Workflow("w", steps=steps)), 5).splitlines()[2:]] == ["a", "b"]


def test_text_can_do_without_unicode() -> None:
    drawn = text(graph_of(WORKFLOW, STATES), 120, ascii_only=True)
    assert drawn.isascii()


# Mermaid and SVG


def test_mermaid_has_arrows_words_groups_and_classes() -> None:
    drawn = mermaid(graph_of(WORKFLOW, STATES))
    assert drawn.startswith("flowchart TD\n")
    assert '  s1[["train<br/>python, foreach of 2<br/>running (1 succeeded, 1 failed)"]]:::running' in drawn
    assert "  s0 --> s1\n" in drawn
    assert "  s1 -. failed .-> s2\n" in drawn
    assert drawn.count("subgraph") == drawn.count("end\n") == 2
    assert "classDef running" in drawn


def test_svg_is_well_formed_and_stands_alone() -> None:
    drawn = svg(graph_of(WORKFLOW, STATES, Phase.RUNNING))
    root = ET.fromstring(drawn)
    words = "".join(root.itertext())
    for said in ("nightly: running", "extract", "succeeded 2.5s", "on exit", "if train failed", 'image: no "image"'):
        assert said in words
    assert "script>" not in drawn
    assert drawn.count("http") == 1  # the namespace


def test_svg_leaves_out_what_xml_cannot_hold() -> None:
    states = {"extract": StepState(Phase.FAILED, "exit-code", "bell \x07 ]]> <b> \ud800")}
    assert "]]> <b>" in "".join(ET.fromstring(svg(graph_of(WORKFLOW, states))).itertext())


def test_boxes_of_an_svg_do_not_overlap() -> None:
    steps = {
        "a": Step(RUN),
        "b": Step(RUN, needs={"a": "met"}),
        "c": Step(RUN, needs={"a": "failed"}),
        "d": Step(RUN, needs={"a": "met", "c": "met"}),
    }
    root = ET.fromstring(svg(graph_of(Workflow("w", steps=steps, on_exit={"e": Step(RUN)}))))
    boxes = [
        tuple(float(element.get(key, "")) for key in ("x", "y", "width", "height"))
        for element in root.iter()
        if element.tag.endswith("rect") and element.get("rx")
    ]
    assert len(boxes) == 5
    for (ax, ay, aw, ah), (bx, by, bw, bh) in combinations(boxes, 2):
        assert ax + aw <= bx or bx + bw <= ax or ay + ah <= by or by + bh <= ay


def test_svg_refuses_what_nobody_could_read() -> None:
    many = Workflow("many", steps={f"s{number}": Step(RUN) for number in range(4000)})
    with pytest.raises(UsageError, match="4000 steps are too many"):
        svg(graph_of(many))
    assert len(text(graph_of(many)).splitlines()) == 4002


def test_labels_are_escaped() -> None:
    node = Node("a", 'a"<b>&#', "container")
    graph = Graph("w <&>", (node,))
    assert "a#quot;#lt;b#gt;&#35;" in mermaid(graph)
    assert 'a"<b>&#' in "".join(ET.fromstring(svg(graph)).itertext())


# The layout


@st.composite
def dags(draw: st.DrawFn) -> tuple[list[str], list[tuple[str, str, str]]]:
    names = [f"n{number}" for number in range(draw(st.integers(1, 12)))]
    pairs = [(a, b) for a, b in combinations(names, 2)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=25)) if pairs else []
    return names, [(a, b, "") for a, b in chosen]


@given(dags(), st.integers(1, 9))
def test_every_arrow_goes_down_and_nothing_overlaps(
    dag: tuple[list[str], list[tuple[str, str, str]]], width: int
) -> None:
    names, edges = dag
    layout = lay_out(names, edges, dict.fromkeys(names, float(width)), 2)
    row = {place: index for index, places in enumerate(layout.rows) for place in places}
    assert {name for name in row if isinstance(name, str)} == set(names)
    assert all(row[source] < row[target] for source, target, _ in edges)
    assert all(row[source] + 1 == row[target] for source, target in layout.links)
    for places in layout.rows:
        for left, right in pairwise(places):
            room = sum(width if isinstance(place, str) else 1 for place in (left, right)) / 2
            assert layout.x[right] - layout.x[left] >= room + 2 - 1e-6


@given(dags())
def test_every_dag_can_be_drawn_in_every_form(dag: tuple[list[str], list[tuple[str, str, str]]]) -> None:
    names, edges = dag
    steps = {name: Step(RUN, needs={source: "met" for source, target, _ in edges if target == name}) for name in names}
    graph = graph_of(Workflow("w", steps=steps))
    drawn = text(graph, 1000)
    assert all(f"│ {name}" in drawn for name in names)
    ET.fromstring(svg(graph))
    assert mermaid(graph).count("-->") == len(edges)


def test_a_cycle_is_laid_out_without_its_closing_arrow() -> None:
    edges = [("a", "b", ""), ("b", "a", ""), ("b", "c", "")]
    layout = lay_out(["a", "b", "c"], edges, dict.fromkeys("abc", 5.0), 1)
    assert {place for row in layout.rows for place in row} >= {"a", "b", "c"}
