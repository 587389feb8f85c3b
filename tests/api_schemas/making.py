"""Makes the files: one a platform, every part that occurs more than once written once."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from cluster.kubernetes.build import ARGO, KUBERNETES, TEKTON
from cluster.kubernetes.golang import module_folder

Schema = dict[str, Any]
LEFT_OUT: Final = {
    "description",
    "default",
    "format",
    "example",
    "x-kubernetes-validations",
    "x-kubernetes-map-type",
    "x-kubernetes-patch-merge-key",
    "x-kubernetes-patch-strategy",
    "x-kubernetes-group-version-kind",
}
"""What says nothing about which objects are taken, or cannot be checked by a schema."""
SHORT: Final = 60
"""Characters of JSON below which a part is written wherever it occurs."""


# Where the kinds come from


def _custom(folder: Path, file: str) -> tuple[str, Schema]:
    """The kind of a custom resource definition in the version that the server stores: what users write of it."""
    spec = yaml.load((folder / file).read_text(encoding="utf-8"), yaml.CSafeLoader)["spec"]
    version = next(version for version in spec["versions"] if version["storage"])
    schema = version["schema"]["openAPIV3Schema"]
    schema["properties"]["metadata"] = _kubernetes_schema("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
    schema["properties"].pop("status", None)
    return f"{spec['group']}/{version['name']} {spec['names']['kind']}", schema


def _fields(schema: Schema, place: str) -> Schema:
    """The fields at a dotted place, through lists: where an engine leaves open what it reads by a schema after all."""
    for name in place.split("."):
        schema = schema["properties"][name]
        while "items" in schema:
            schema = schema["items"]
    found: Schema = schema["properties"]
    return found


def _argo() -> Iterator[tuple[str, Schema]]:
    folder = module_folder(ARGO) / "manifests/base/crds/full"
    for file, spec in (("argoproj.io_cronworkflows.yaml", "spec.workflowSpec"), ("argoproj.io_workflows.yaml", "spec")):
        kind, schema = _custom(folder, file)
        template = _fields(schema, spec)["templates"]["items"]
        for place in ("dag.tasks", "steps"):
            _fields(template, place)["inline"] = copy.deepcopy(template)
        yield kind, schema


def _tekton() -> Iterator[tuple[str, Schema]]:
    folder = module_folder(TEKTON) / "config/300-crds"
    kinds = [_custom(folder, f"300-{name}.yaml") for name in ("pipeline", "pipelinerun", "task", "taskrun")]
    pipeline, pipeline_run, task, task_run = (schema for _, schema in kinds)
    claim = _kubernetes_schema("io.k8s.api.core.v1.PersistentVolumeClaim")
    task_spec = task["properties"]["spec"]
    _fields(task_run, "spec")["taskSpec"] = task_spec
    for name in ("tasks", "finally"):
        # A task inside a pipeline may have labels and annotations; one of a custom kind says which, and its own spec.
        of_its_own = {name: {"x-kubernetes-preserve-unknown-fields": True} for name in ("apiVersion", "kind", "spec")}
        labels = _fields(pipeline_run, "spec.taskRunSpecs")["metadata"]
        inside = {**task_spec["properties"], **of_its_own, "metadata": labels}
        _fields(pipeline, f"spec.{name}")["taskSpec"] = {**task_spec, "properties": inside}
    _fields(pipeline_run, "spec")["pipelineSpec"] = pipeline["properties"]["spec"]
    for run in (pipeline_run, task_run):
        _fields(run, "spec.workspaces")["volumeClaimTemplate"] = claim
    yield from kinds


def _kubernetes() -> Iterator[tuple[str, Schema]]:
    for kind in ("ConfigMap", "PersistentVolumeClaim", "Secret", "ServiceAccount"):
        yield f"v1 {kind}", _kubernetes_schema(f"io.k8s.api.core.v1.{kind}")
    for kind in ("Role", "RoleBinding"):
        yield f"rbac.authorization.k8s.io/v1 {kind}", _kubernetes_schema(f"io.k8s.api.rbac.v1.{kind}")


def _kubernetes_schema(name: str) -> Schema:
    """A type of Kubernetes' own, with all that it refers to in its place."""
    file = module_folder(KUBERNETES) / "api/openapi-spec/swagger.json"
    types = json.loads(file.read_text(encoding="utf-8"))["definitions"]

    def whole(part: Any) -> Any:
        if isinstance(part, list):
            return [whole(each) for each in part]
        if not isinstance(part, dict):
            return part
        if "$ref" not in part:
            return {key: whole(value) for key, value in part.items()}
        referred = part["$ref"].rpartition("/")[2]
        if referred.endswith(".Quantity"):
            return {"x-kubernetes-int-or-string": True}
        found: Schema = whole(types[referred])
        # A type without fields has fields of any name.
        return found if "properties" in found or found["type"] != "object" else {"type": "object"}

    return whole({"$ref": name})  # type: ignore[no-any-return]


SOURCES: Final[dict[str, tuple[str, Callable[[], Iterator[tuple[str, Schema]]]]]] = {
    "argo": (ARGO, _argo),
    "kubernetes": (KUBERNETES, _kubernetes),
    "tekton": (TEKTON, _tekton),
}


# What is kept of them


def _within(schema: Schema, change: Callable[[Schema, str], Schema]) -> Schema:
    """A schema with the schemas directly inside it changed; ``change`` is told the name of their place."""
    found = dict(schema)
    for key, value in schema.items():
        if key == "properties":
            found[key] = {name: change(part, name) for name, part in sorted(value.items())}
        elif key in ("items", "additionalProperties", "not") and isinstance(value, dict):
            found[key] = change(value, "")
        elif key in ("anyOf", "allOf", "oneOf"):
            found[key] = [change(part, "") for part in value]
    return found


def plain(schema: Schema, name: str = "") -> Schema:
    """A structural schema of Kubernetes as a JSON Schema: what a strict server refuses is refused."""
    kept = _within({key: value for key, value in schema.items() if key not in LEFT_OUT}, plain)
    if kept.pop("x-kubernetes-int-or-string", False):
        kept.pop("anyOf", None)
        kept["type"] = ["integer", "string"]
    if kept.pop("x-kubernetes-list-type", "") == "set":
        kept["uniqueItems"] = True
    if kept.pop("x-kubernetes-embedded-resource", False):
        kept["required"] = ["apiVersion", "kind"]
    open_to_all = kept.pop("x-kubernetes-preserve-unknown-fields", False)
    if "properties" in kept and "type" in kept and not open_to_all:
        kept["additionalProperties"] = False
    if kept.pop("nullable", False) and "type" in kept:
        kept["type"] = [kept["type"], "null"]
    return kept


def shared(kinds: dict[str, Schema]) -> dict[str, Schema]:
    """The kinds, with every part that occurs in several places moved into ``$defs``, named after the first place."""
    uses: Counter[str] = Counter()
    names: dict[str, str] = {}
    moved: dict[str, Schema] = {}

    def count(part: Schema, name: str) -> Schema:
        text = json.dumps(part, sort_keys=True)
        uses[text] += 1
        if uses[text] == 1:
            _within(part, lambda inner, inside: count(inner, inside or name))
        return part

    def put(part: Schema, name: str) -> Schema:
        text = json.dumps(part, sort_keys=True)
        if uses[text] == 1 or len(text) < SHORT:
            return _within(part, lambda inner, inside: put(inner, inside or name))
        if text not in names:
            names[text] = name if name not in moved else f"{name}-{len(moved)}"
            moved[names[text]] = {}
            moved[names[text]] = _within(part, lambda inner, inside: put(inner, inside or name))
        return {"$ref": f"#/$defs/{names[text]}"}

    for kind, schema in kinds.items():
        count(schema, kind)
    return {"kinds": {kind: put(schema, kind) for kind, schema in kinds.items()}, "$defs": moved}


def text(platform: str) -> str:
    """A file's text: one part a line."""
    source, kinds = SOURCES[platform]
    parts = shared({kind: plain(schema) for kind, schema in kinds()})
    comment = f"Made by tests/api_schemas from {source}, which is under the Apache License 2.0"
    lines = [f'"$comment": {json.dumps(comment)}']
    for key in ("kinds", "$defs"):
        inside = ",\n".join(f"{json.dumps(name)}: {_compact(part)}" for name, part in sorted(parts[key].items()))
        lines.append(f'"{key}": {{\n{inside}\n}}')
    return "{" + ",\n".join(lines) + "}\n"


def _compact(part: Schema) -> str:
    return json.dumps(part, sort_keys=True, separators=(",", ":"))


def file_of(platform: str) -> Path:
    return Path(__file__).with_name(f"{platform}.json")
