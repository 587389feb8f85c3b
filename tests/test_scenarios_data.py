"""The scenarios as data: every rule has one, the documents are good, and what they ask of a backend is what is said."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import mini_backend
import pytest

from flowcore.capabilities import CAPABILITIES
from flowcore.checks import check
from flowcore.errors import WorkflowError
from flowcore.lowering import bind, lower
from flowcore.model import Workflow
from flowcore.syntax import Json
from flowcore.testing.driver import load
from flowcore.testing.rules import pages, with_scenarios
from flowcore.testing.scenario import Mark, Scenario
from flowcore.testing.scenarios import SCENARIOS, TOPICS

ROOT = Path(__file__).parent.parent
SEMANTICS = ROOT / "docs" / "semantics.md"
each = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
RUN = [scenario for scenario in SCENARIOS if not scenario.must_refuse]
each_that_runs = pytest.mark.parametrize("scenario", RUN, ids=lambda scenario: scenario.name)


def bound(scenario: Scenario) -> Workflow:
    params: dict[str, Json] = {
        name: 1 if value is Mark.OVER_LIMIT else "token" if isinstance(value, Mark) else value
        for name, value in scenario.params.items()
    }
    return bind(load(scenario), params)


def refusal(workflow: Workflow, capabilities: frozenset[str]) -> str | None:
    try:
        lower(workflow, capabilities, {}, "mini")
    except WorkflowError as error:
        return str(error)
    return None


def test_names_are_unique() -> None:
    counts = Counter(scenario.name for scenario in SCENARIOS)
    assert [name for name, count in counts.items() if count > 1] == []


def test_there_is_a_scenario_for_every_rule() -> None:
    rules = set(re.findall(r"^\| (S\d+b?) \|", SEMANTICS.read_text(encoding="utf-8"), re.M))
    assert len(rules) == 35
    assert {rule for scenario in SCENARIOS for rule in scenario.rules} == rules


def test_the_page_of_the_rules_links_them_to_the_scenarios() -> None:
    text = SEMANTICS.read_text(encoding="utf-8")
    assert text == with_scenarios(text), "run: python -m flowcore.testing docs/semantics.md"


def test_every_module_of_scenarios_is_a_topic() -> None:
    folder = ROOT / "flowcore" / "testing" / "scenarios"
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} == set(TOPICS)
    assert set(pages()) == {scenario.name for scenario in SCENARIOS}


@each
def test_the_document_is_good(scenario: Scenario) -> None:
    workflow = load(scenario)
    assert workflow.name == scenario.name
    assert [str(problem) for problem in check(workflow)] == []


@each
def test_the_expectation_names_the_document_s_steps(scenario: Scenario) -> None:
    workflow = load(scenario)
    static = {*workflow.steps, *workflow.on_exit}
    named = {re.split(r"[\[/]", name)[0] for name in scenario.expect.steps}
    assert static == named
    for name in (*scenario.expect.logs, *(name for pair in scenario.expect.order for name in pair)):
        assert name in scenario.expect.steps


@each_that_runs
def test_what_it_needs_is_enough_for_any_backend(scenario: Scenario) -> None:
    workflow = bound(scenario)
    assert scenario.capabilities | scenario.natively <= CAPABILITIES.keys()
    assert refusal(workflow, frozenset(scenario.capabilities)) is None
    for more in CAPABILITIES:
        assert refusal(workflow, scenario.capabilities | {more}) is None, more
    for declared in (mini_backend.VALUES, mini_backend.WIDE, frozenset(CAPABILITIES)):
        assert refusal(workflow, scenario.capabilities | declared) is None


@each_that_runs
def test_what_it_needs_is_refused_by_name_where_it_lacks(scenario: Scenario) -> None:
    workflow = bound(scenario)
    for one in scenario.capabilities:
        said = refusal(workflow, frozenset(CAPABILITIES) - {one})
        if said is not None:
            assert one in said
            assert "mini" in said


def test_what_is_refused_with_little_declared() -> None:
    found = {
        name: sorted(scenario.name for scenario in RUN if refusal(bound(scenario), declared) is not None)
        for name, declared in (
            ("nothing", mini_backend.EMPTY),
            ("values", mini_backend.VALUES),
            ("all", mini_backend.WIDE),
        )
    }
    expected = json.loads((ROOT / "tests" / "scenarios_refused.json").read_text(encoding="utf-8"))
    assert found == expected, "if it is right that less (or more) is refused now, write it down there"
