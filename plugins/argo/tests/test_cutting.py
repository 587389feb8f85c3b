"""A web that is cut into parts means the same: scenarios with parts of two steps, on a real cluster."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from cluster.kubernetes.access import KUBECONFIG

from flowcore.backend import Backend
from flowcore.backend import load as load_text
from flowcore.testing.driver import Driver, Mismatch, load
from flowcore.testing.scenarios import SCENARIOS, TOPICS
from flowcore_argo import cutting
from flowcore_argo import render as rendering

PLAYED = (
    *(each for topic in ("needs", "conditions") for each in TOPICS[topic]),
    *(
        each
        for each in SCENARIOS
        if each.name
        in (
            "values-from-step-to-step",
            "values-inside-objects",
            "foreach-fans-in",
            "foreach-over-an-output-fans-in",
            "foreach-continues-with-defaults",
            "artifact-file-and-folder",
            "nested-gives-outputs",
            "output-types",
        )
    ),
)


@pytest.fixture
def cut(monkeypatch):
    monkeypatch.setattr(cutting, "CUT", 2)
    monkeypatch.setattr(cutting, "must_cut", lambda frame, web: len(web) > 2)
    monkeypatch.setattr(rendering, "too_many", lambda frame: len(frame.steps) > 1)


def test_every_scenario_is_rendered_in_parts(cut):
    backend = Backend.select("argo")
    for scenario in SCENARIOS:
        if not scenario.must_refuse:
            backend.render(load(scenario), Driver(backend).params(scenario))


@pytest.mark.cluster
@pytest.mark.xdist_group("argo-cutting")
def test_scenarios_mean_the_same_in_parts(cut):
    backend = Backend.select("argo", options={"kubeconfig": str(KUBECONFIG), "start_allowance": 60})
    driver = Driver(backend, 900, 0.7, 2.0)

    def fault(scenario) -> str | None:
        try:
            driver.run(scenario)
        except Mismatch as error:
            return str(error)
        return None

    with ThreadPoolExecutor(12) as pool:
        assert [found for found in pool.map(fault, PLAYED) if found] == []


@pytest.mark.cluster
@pytest.mark.xdist_group("argo-cutting")
def test_the_server_takes_what_is_cut():
    steps = "".join(f"  s{index}: {{needs: [s{max(0, index - 9)}], command: ['true']}}\n" for index in range(1, 400))
    text = f'flowcore: 1\nname: cut\ndefaults: {{image: "busybox:1"}}\nsteps:\n  s0: {{command: ["true"]}}\n{steps}'
    backend = Backend.select("argo", options={"kubeconfig": str(KUBECONFIG)})
    backend.validate(backend.render(load_text(text)))
