"""Every rendered object is valid by Argo's and Kubernetes' own schemas, without a server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_schemas import faults

from flowcore.backend import Backend, load
from flowcore.plugin import Rendered
from flowcore.testing.driver import Driver
from flowcore.testing.driver import load as load_scenario
from flowcore.testing.scenarios import SCENARIOS

EXAMPLES = Path(__file__).parents[3] / "examples" / "argo"
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "claim": {},
    "repository": {"artifacts": "repository", "artifact_repository": "a/b"},
    "all": {
        "service_account": "runner",
        "pod_gc": "OnPodCompletion",
        "priority_class": "low",
        "workflow_labels": {"team": "ads"},
        "pod_spec_patch": {"dnsPolicy": "Default"},
        "storage_class": "fast",
        "artifact_access": "ReadWriteMany",
    },
}
EVERY_FIELD = """
flowcore: 1
name: every-field
description: what no scenario has
parallelism: 4
timeout: 2h
ttl: 1d
labels: {team: ads}
annotations: {owner: me}
service_account: runner
image_pull_secrets: [registry]
volumes: {scratch: {size: 1Gi}, models: {claim: models}, here: {host_path: /data}, none: {empty: {}},
          keys: {secret: keys}, conf: {config_map: conf}}
defaults: {image: "busybox:1", image_pull_policy: always}
env: {LEVEL: info}
steps:
  one:
    description: all that a pod can have
    command: [echo]
    env: {TOKEN: {secret: keys, key: token}}
    env_from: [{secret: keys}, {config_map: conf}]
    resources: {cpu: 500m, memory: 256Mi, gpu: 1}
    requests: {cpu: 100m}
    mounts: {/a: scratch, /b: {volume: models, sub_path: x, read_only: true}, /c: here, /d: none, /e: keys, /f: conf}
    working_dir: /tmp
    user: "1000"
    labels: {step: one}
    annotations: {note: one}
    node_selector: {disk: fast}
    tolerations: [{key: gpu, operator: Exists, effect: NoSchedule}]
    timeout: 1m
    pending_timeout: 2m
    retry: {limit: 2, only: [error], backoff: {initial: 5s, factor: 2, max: 1m}}
    cache: {key: one, max_age: 1h}
  two: {foreach: [1, 2], parallelism: 1, command: [echo, "${{ item }}"], continue_on_failure: true}
on_exit: {bye: {command: [echo, "${{ run.phase }}"]}}
backends: {argo: {pod_spec_patch: {dnsPolicy: Default}}}
"""


def problems(backend: Backend, rendered: Rendered) -> list[str]:
    roles = yaml.safe_load_all(backend.permissions(rendered))
    return [fault for object in (*rendered.objects, *roles) for fault in faults(object)]


@pytest.mark.parametrize("options", OPTIONS)
def test_every_scenario_is_valid(options: str) -> None:
    backend = Backend.select("argo", options=dict(OPTIONS[options]))
    driver = Driver(backend)
    for scenario in SCENARIOS:
        if not scenario.must_refuse:
            assert problems(backend, backend.render(load_scenario(scenario), driver.params(scenario))) == []


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_pattern_is_valid(path: Path) -> None:
    backend = Backend.select("argo")
    assert problems(backend, backend.render(load(path))) == []


@pytest.mark.parametrize("options", OPTIONS)
def test_every_field_is_valid(options: str) -> None:
    backend = Backend.select("argo", options=dict(OPTIONS[options]))
    assert problems(backend, backend.render(load(EVERY_FIELD))) == []


def test_what_is_cut_into_parts_is_valid() -> None:
    steps = "".join(f"  s{index}: {{needs: [s{max(0, index - 9)}], command: ['true']}}\n" for index in range(1, 1000))
    head = 'flowcore: 1\nname: cut\ndefaults: {image: "busybox:1"}\nsteps:\n  s0: {command: ["true"]}\n'
    backend = Backend.select("argo")
    assert problems(backend, backend.render(load(head + steps))) == []
