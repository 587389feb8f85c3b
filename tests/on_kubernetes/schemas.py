"""Every rendered object is valid by the engine's and Kubernetes' own schemas, without a server."""

from __future__ import annotations

import json
from collections.abc import Iterator

import yaml
from api_schemas import faults

from flowcore.backend import Backend, load
from flowcore.runs import Rendered
from on_kubernetes.engine import Engine, EngineSuite

EVERY_FIELD = """
flowcore: 1
name: every-field
description: what no scenario has
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
    command: [sh, -c, "echo $(id) $$ $(params.x) {{x}}"]
    env: {TOKEN: {secret: keys, key: token}, CONF: {config_map: conf, key: k}, ODD: "$(tasks.a.results.b)"}
    env_from: [{secret: keys}, {config_map: conf}]
    resources: {cpu: 500m, memory: 256Mi, gpu: 1}
    requests: {cpu: 100m}
    mounts: {/a: {volume: scratch, sub_path: a/b}, /b: {volume: models, read_only: true}, /c: here, /d: none,
             /e: keys, /f: conf}
    working_dir: /tmp
    user: "1000:1000"
    labels: {step: one}
    annotations: {note: one}
    node_selector: {disk: fast}
    tolerations: [{key: gpu, operator: Exists, effect: NoSchedule}]
    timeout: 1m
    pending_timeout: 2m
    retry: {limit: 2, only: [error], backoff: {initial: 5s, factor: 2, max: 1m}}
  two: {foreach: [1, 2], parallelism: 1, command: [echo, "${{ item }}"], continue_on_failure: true}
  own-entry-point: {image: "busybox:1", args: [a]}
on_exit: {bye: {command: [echo, "${{ run.phase }}"]}}
backends: ESCAPE
"""


class Schemas(EngineSuite):
    def test_every_scenario_is_valid(self) -> None:
        for name, backend in profiles(self.engine):
            for rendered in self.engine.rendered(backend):
                assert problems(backend, rendered) == [], name

    def test_every_field_is_valid(self) -> None:
        document = EVERY_FIELD.replace("ESCAPE", json.dumps({self.engine.name: self.engine.escape}))
        for name, backend in profiles(self.engine):
            rendered = backend.render(load(document))
            assert problems(backend, rendered) == [], name
            assert [each["kind"] for each in yaml.safe_load_all(rendered.text)] == [
                each["kind"] for each in rendered.objects
            ]


def profiles(engine: Engine) -> Iterator[tuple[str, Backend]]:
    """The backend under each of the engine's sets of options."""
    for name, options in engine.profiles.items():
        yield name, engine.rendering(options)


def problems(backend: Backend, rendered: Rendered) -> list[str]:
    """What the schemas say of a run's objects, and of the Roles that it asks for."""
    roles = yaml.safe_load_all(backend.permissions(rendered))
    return [f"{rendered.name}: {fault}" for object in (*rendered.objects, *roles) for fault in faults(object)]
