"""What holds for all that an engine's backend renders, without a server."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowcore.backend import load
from flowcore.errors import FlowError
from flowcore.expressions import unparse_text
from flowcore.runs import Rendered
from flowcore.testing.driver import Driver
from flowcore.testing.driver import load as load_scenario
from flowcore.testing.scenario import Scenario
from flowcore.testing.scenarios import SCENARIOS
from on_kubernetes.engine import Engine, EngineSuite

RUN = [scenario for scenario in SCENARIOS if not scenario.must_refuse]


class Rendering(EngineSuite):
    @pytest.mark.parametrize("scenario", RUN, ids=lambda scenario: scenario.name)
    def test_a_scenario_renders_the_same_twice_with_no_reference_but_its_own(self, scenario: Scenario) -> None:
        backend = self.engine.rendering()
        driver = Driver(backend)
        if word := self.engine.refused.get(scenario.name):
            assert driver.refuses(scenario, [word])
            return
        params = driver.params(scenario)
        rendered = backend.render(load_scenario(scenario), params)
        assert rendered == backend.render(load_scenario(scenario), params)
        json.dumps(rendered.objects)
        assert foreign(self.engine, rendered) == []

    @settings(max_examples=100, suppress_health_check=[HealthCheck.differing_executors])
    @given(
        text=st.text("{}$()=x'\" \\[].", max_size=16)
        | st.lists(st.sampled_from(["{{", "}}", "$(", ")", "$$", "params.a", "workflow.name", "=1"])).map("".join),
        other=st.text(max_size=8),
    )
    def test_no_value_becomes_a_reference(self, text: str, other: str) -> None:
        mixed = ["{${{ params.a }}{${{ run.id }}", "$(${{ params.a }})", "$$${{ params.a }}"]
        document = {
            "flowcore": 1,
            "name": "hostile",
            "params": {"a": {"type": "string"}},
            "defaults": {"image": "busybox:1"},
            "steps": {
                "x": {
                    "command": ["echo", unparse_text(text), *mixed],
                    "env": {"A": unparse_text(text), "B": "$(params.x)$(tasks.y.results.z){{workflow.name}}"},
                    "outputs": {"o": {"default": text}},
                    "when": "run.id != params.a",
                },
                "y": {"command": ["echo", unparse_text(text), "{${{ steps.x.outputs.o }}{"]},
                "z": {"foreach": [unparse_text(text), 1], "command": ["echo", "${{ item }}", "$(${{ item }})"]},
            },
        }
        try:
            rendered = self.engine.rendering().render(load(json.dumps(document, indent=1)), {"a": text + other})
        except FlowError:
            return  # what no process can be given
        assert foreign(self.engine, rendered) == []

    def test_what_is_too_large_is_refused_with_the_numbers(self) -> None:
        steps = {f"s{index}": {"command": ["echo", "x" * 100_000]} for index in range(20)}
        document = {"flowcore": 1, "name": "big", "defaults": {"image": "busybox:1"}, "steps": steps}
        with pytest.raises(FlowError, match=rf"2\d{{6}} bytes as one {self.engine.runs.kind}.* \d{{6,}}"):
            self.engine.rendering().render(load(json.dumps(document, indent=1)))


def foreign(engine: Engine, rendered: Rendered) -> list[str]:
    """What the engine would take for a reference in a run's spec, and the backend has not written as one."""
    texts = strings(rendered.objects[0]["spec"], engine.unread)
    found = (reference.group() for text in texts for reference in engine.reference.finditer(text))
    return [reference for reference in found if not engine.own.fullmatch(reference)]


def strings(value: Any, without: Collection[str]) -> Iterator[str]:
    """All text in an object, but not below some keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in without:
                yield from strings(item, without)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from strings(item, without)
