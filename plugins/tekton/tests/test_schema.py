"""Every rendered object is valid by Tekton's and Kubernetes' own schemas, without a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from api_schemas import faults

from flowcore.backend import Backend, load
from flowcore.plugin import Rendered
from flowcore.testing.driver import Driver
from flowcore.testing.driver import load as load_scenario
from flowcore.testing.scenarios import SCENARIOS

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "all": {
        "service_account": "runner",
        "priority_class": "low",
        "workflow_labels": {"team": "ads"},
        "pod_template": {"dnsPolicy": "Default"},
        "storage_class": "fast",
        "artifact_access": "ReadWriteMany",
        "long_outputs": "fail",
    },
}
EVERY_FIELD = """
flowcore: 1
name: every-field
description: what no scenario has
timeout: 2h
ttl: 1d
labels: {team: ads}
annotations: {note: "{{x}} $(x)"}
service_account: runner
image_pull_secrets: [registry]
volumes:
  scratch: {size: 1Gi}
  models: {claim: models}
  here: {host_path: /data}
  keys: {secret: keys}
  conf: {config_map: conf}
  tmp: {empty: {}}
steps:
  a:
    image: busybox:1
    image_pull_policy: always
    command: [sh, -c, "echo $(id) $$ $(params.x)"]
    env: {TOKEN: {secret: warehouse, key: token}, CONF: {config_map: conf, key: k}, ODD: "$(tasks.a.results.b)"}
    env_from: [{secret: all}, {config_map: all}]
    working_dir: /tmp
    user: "1000:1000"
    timeout: 90s
    pending_timeout: 1m
    retry: {limit: 2, backoff: {initial: 1s, factor: 2, max: 10s}, only: [failed, timeout]}
    resources: {cpu: 500m, memory: 64Mi, gpu: 1}
    requests: {cpu: 100m}
    labels: {a: b}
    annotations: {c: d}
    node_selector: {disk: ssd}
    tolerations: [{key: gpu, operator: Exists, effect: NoSchedule}]
    mounts:
      /scratch: {volume: scratch, sub_path: a/b}
      /models: {volume: models, read_only: true}
      /here: here
      /keys: keys
      /conf: conf
      /own: tmp
    backends: {tekton: {pod_template: {hostNetwork: true}}}
  own_entry_point: {image: "busybox:1", args: [a]}
backends: {tekton: {pod_template: {schedulerName: mine}}}
"""


def wrong(rendered: Rendered) -> list[str]:
    return [f"{rendered.name}: {fault}" for object in rendered.objects for fault in faults(object)]


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
def test_every_scenario_is_valid(options):
    backend = Backend.select("tekton", options=options)
    driver = Driver(backend)
    found = []
    for scenario in SCENARIOS:
        lacking = sorted(scenario.capabilities - backend.capabilities)
        if scenario.name == "retry-waiting-holds-no-slot":
            lacking = ["parallelism"]
        if scenario.must_refuse or (lacking and driver.refuses(scenario, lacking)):
            continue
        found += wrong(backend.render(load_scenario(scenario), driver.params(scenario)))
    assert found == []


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
def test_a_workflow_with_every_field_is_valid(options):
    backend = Backend.select("tekton", options=options)
    rendered = backend.render(load(EVERY_FIELD))
    assert wrong(rendered) == []
    assert [each["kind"] for each in yaml.safe_load_all(rendered.text)] == [each["kind"] for each in rendered.objects]


def test_the_roles_are_valid():
    backend = Backend.select("tekton")
    text = backend.permissions(backend.render(load(EVERY_FIELD)))
    assert [fault for role in yaml.safe_load_all(text) for fault in faults(role)] == []
