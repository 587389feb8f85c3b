"""The API server takes every rendered Workflow, by the full schema of Argo's custom resources (a dry run)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from cluster.kubernetes.access import KUBECONFIG

from flowcore.backend import Backend
from flowcore.errors import FlowError
from flowcore.plugin import Rendered
from flowcore.testing.driver import Driver, load
from flowcore.testing.scenarios import SCENARIOS

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("argo-validate")]


@pytest.mark.parametrize("options", [{}, {"artifacts": "repository", "artifact_repository": "a/b"}], ids=str)
def test_the_server_takes_every_scenario(options):
    backend = Backend.select("argo", options={"kubeconfig": str(KUBECONFIG), **options})
    driver = Driver(backend)

    def refusal(rendered: Rendered) -> str | None:
        try:
            backend.validate(rendered)
        except FlowError as error:
            return f"{rendered.name}: {error}"
        return None

    rendered = [backend.render(load(each), driver.params(each)) for each in SCENARIOS if not each.must_refuse]
    with ThreadPoolExecutor(8) as pool:
        assert [fault for fault in pool.map(refusal, rendered) if fault] == []


def test_the_server_takes_what_is_cut():
    steps = "".join(f"  s{index}: {{needs: [s{max(0, index - 9)}], command: ['true']}}\n" for index in range(1, 400))
    from flowcore.backend import load as load_text

    text = f'flowcore: 1\nname: cut\ndefaults: {{image: "busybox:1"}}\nsteps:\n  s0: {{command: ["true"]}}\n{steps}'
    backend = Backend.select("argo", options={"kubeconfig": str(KUBECONFIG)})
    backend.validate(backend.render(load_text(text)))
