"""Any text at all, through pods and into objects."""

from __future__ import annotations

import json

import pytest
from any_values import SOME, AnyValues, mixed, refs
from cluster.kubernetes.access import kubectl

from flowcore.backend import Backend, load
from flowcore.runs import Phase
from flowcore.testing.scenarios.values import escaped
from on_kubernetes.accounts import grant
from on_kubernetes.engine import EngineSuite

GIVEN = refs("steps.gives.outputs.result", len(SOME))
DATA = {
    "literal": (escaped(SOME), SOME),
    "mixed-literal": (escaped(mixed(SOME)), mixed(SOME)),
    "output": (GIVEN, SOME),
    "mixed-output": (mixed(GIVEN), mixed(SOME)),
}
"""What is written into the object, and what has to stand there."""
MADE = {
    "flowcore": 1,
    "name": "any-manifest",
    "steps": {
        "gives": {
            "image": "python:3.11",
            "python": {"function": "give", "source": f"def give(): return {SOME!r}\n"},
            "outputs": {"result": {"type": "list", "items": "string"}},
        },
        "makes": {
            "manifest": {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "${{ run.id }}"},
                "data": {
                    f"{kind}-{index}": text for kind, (texts, _) in DATA.items() for index, text in enumerate(texts)
                },
            }
        },
    },
}


@pytest.mark.cluster
class Values(EngineSuite, AnyValues):
    def make_backend(self) -> Backend:
        return self.engine.backend()

    def test_objects_hold_any_text(self) -> None:
        grant("default", self.engine.steps)
        backend = self.make_backend()
        handle = backend.submit(backend.render(load(json.dumps(MADE, indent=1))))
        update = backend.wait(handle, 0.5)
        assert update.phase is Phase.SUCCEEDED, update.steps
        name = handle.location.rpartition("/")[2]
        made = json.loads(kubectl("get", "configmap", name, "-o", "json", capture_output=True).stdout)
        assert [owner["name"] for owner in made["metadata"]["ownerReferences"]] == [name]
        for kind, (_, expected) in DATA.items():
            assert [made["data"][f"{kind}-{index}"] for index in range(len(SOME))] == expected, kind
        backend.delete(handle)
