"""A lowered workflow as a Workflow of Argo, with the objects that accompany it. Pure: same input, same bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

from flowcore.plugin import (
    Literal,
    Nested,
    RefusedError,
    Rendered,
    Step,
    Volume,
    Workflow,
    write_yaml,
)
from flowcore_argo.build import Builder
from flowcore_argo.cutting import in_parts, too_many
from flowcore_argo.expressions import value_code
from flowcore_argo.frames import Frame
from flowcore_argo.limits import OBJECT_BYTES, TEMPLATES
from flowcore_argo.options import Options
from flowcore_argo.places import CRON_NAME, GROUP, RUN_NAME, VERSION
from flowcore_argo.pods import (
    ARTIFACTS_VOLUME,
    DEFAULTS,
    FILES_VOLUME,
    ITEMS_VOLUME,
    OUTPUTS_VOLUME,
    Files,
    Object,
    PodMaker,
    volume_name,
)
from flowcore_kubernetes import MANAGED, OUTLINE, WORKFLOW, config_maps, packed_outline, too_big
from flowcore_kubernetes.images import notes_on_images

MAIN: Final = "main"
EXIT: Final = "on-exit"
FILES_MAP: Final = "files"
"""What the names of the config maps with the run's files begin with, after the run's own."""


def render(workflow: Workflow, options: Options, backend: str) -> Rendered:
    """Render a workflow that uses what the backend declares.

    Raises:
        RefusedError: if it does not fit into one Workflow, with the numbers.
    """
    files = Files()
    every = list(all_steps(workflow))
    artifacts = any(output.artifact for step in every for output in step.outputs.values())
    builder = Builder(PodMaker(options, files, workflow.name, artifacts))
    builder.templates[MAIN] = {}
    frame = Frame(workflow.steps)
    if too_many(frame):
        in_parts(builder, frame, MAIN)
    else:
        builder.dag(frame, MAIN)
    if workflow.on_exit:
        on_exit(builder, workflow)
    spec: Object = {"entrypoint": MAIN}
    if workflow.on_exit:
        spec["onExit"] = EXIT
    spec.update(_run_fields(workflow, options))
    cron = workflow.backends.get(backend, {}).get("cron")
    claimed = artifacts and options.artifacts == "claim"
    volumes, claims = _volumes(workflow, options, every, files, claimed, CRON_NAME if cron else RUN_NAME)
    if volumes:
        spec["volumes"] = volumes
    if claims:
        spec["volumeClaimTemplates"] = claims
        spec["volumeClaimGC"] = {"strategy": "OnWorkflowCompletion"}
    spec["templateDefaults"] = DEFAULTS
    parallelism(spec, builder.templates[MAIN], workflow)
    spec["templates"] = inlined(list(builder.templates.values()))
    object: Object = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Workflow",
        "metadata": {
            "labels": {MANAGED: "flowcore", **options.workflow_labels, **workflow.labels},
            "annotations": {WORKFLOW: workflow.name, **workflow.annotations, OUTLINE: packed_outline(workflow.outline)},
        },
        "spec": spec,
    }
    if cron is not None:
        object = as_cron(object, cron)
    companions = [*config_maps(FILES_MAP, files.texts).objects, *_claims(options, claimed)]
    return _rendered(workflow, backend, [object, *companions], notes_on_images(workflow, options.image))


def inlined(templates: list[Object]) -> list[Object]:
    """The templates, in the tasks that call them where one Workflow may not have as many."""
    if len(templates) <= TEMPLATES:
        return templates
    pods = {template["name"]: template for template in templates if "container" in template or "resource" in template}
    kept = [template for template in templates if template["name"] not in pods]
    called = {call["template"] for template in kept for group in template.get("steps") or () for call in group}
    kept += [pods.pop(name) for name in list(pods) if name in called]
    for template in kept:
        for task in (template.get("dag") or {}).get("tasks") or ():
            body = pods.get(task.get("template", ""))
            if body is not None:
                del task["template"]
                body.pop("name", None)
                task["inline"] = body
    if len(kept) > TEMPLATES:
        raise RefusedError(
            f"the workflow has {len(kept)} nested workflows, loops and repeats, and Argo takes {TEMPLATES} templates"
        )
    return kept


def as_cron(workflow: Object, cron: Any) -> Object:
    """A Workflow as a CronWorkflow that starts it."""
    metadata = workflow["metadata"]
    return {
        "apiVersion": workflow["apiVersion"],
        "kind": "CronWorkflow",
        "metadata": metadata,
        "spec": {**cron, "workflowMetadata": metadata, "workflowSpec": workflow["spec"]},
    }


def _rendered(workflow: Workflow, backend: str, objects: list[Object], notes: list[str]) -> Rendered:
    text = "---\n".join(write_yaml(_readable(each)) for each in objects)
    size = too_big(objects[0], text, OBJECT_BYTES)
    if size:
        raise RefusedError(
            f"the workflow {workflow.name} is {size} bytes as one Workflow of Argo, which takes {OBJECT_BYTES};"
            " split it, or let steps read long texts from files"
        )
    return Rendered(
        backend=backend,
        name=workflow.name,
        text=text,
        objects=tuple(objects),
        # The order of keys is the document's, which is part of what was written; the outline is not in the text.
        digest=hashlib.sha256(f"{text}{workflow.outline}".encode()).hexdigest(),
        names={},
        notes=tuple(notes),
    )


def _readable(object: Object) -> Object:
    """An object without what only flowcore's own parts read."""
    metadata = object["metadata"]
    notes = {key: text for key, text in metadata.get("annotations", {}).items() if key != OUTLINE}
    kept = {key: value for key, value in {**metadata, "annotations": notes}.items() if value}
    return {**object, "metadata": kept}


def all_steps(workflow: Workflow) -> Iterator[Step]:
    """Every step, those of nested workflows and of on_exit included."""
    for step in (*workflow.steps.values(), *workflow.on_exit.values()):
        yield step
        if isinstance(step.action, Nested):
            yield from all_steps(step.action.workflow)


def on_exit(builder: Builder, workflow: Workflow) -> None:
    """What runs after all else, as one group of a steps template: a dag would not survive a cancel."""
    builder.templates[EXIT] = {}
    frame = Frame(workflow.on_exit)
    group = []
    for name, step in workflow.on_exit.items():
        call: Object = {"name": frame.names.name(name)}
        body, inputs = builder.leaf(frame, step, frame.lookup, name, name, True)
        call["template"] = body
        if step.when is not None:
            when = "false" if step.when == Literal(False) else "{{=" + value_code(step.when, frame.lookup) + "}}"
            call["when"] = when
        if inputs.arguments:
            call["arguments"] = {"parameters": inputs.passed()}
        if step.continue_on_failure:
            call["continueOn"] = {"failed": True, "error": True}
        group.append(call)
    builder.keep(EXIT, {"steps": [group]}, "on_exit", "", None)


def _run_fields(workflow: Workflow, options: Options) -> Object:
    fields: Object = {}
    account = workflow.service_account or options.service_account
    if account:
        fields["serviceAccountName"] = account
    if workflow.image_pull_secrets:
        fields["imagePullSecrets"] = [{"name": name} for name in workflow.image_pull_secrets]
    if workflow.timeout is not None:
        fields["activeDeadlineSeconds"] = max(1, round(workflow.timeout))
    if workflow.ttl is not None:
        fields["ttlStrategy"] = {"secondsAfterCompletion": round(workflow.ttl)}
    if options.pod_gc:
        fields["podGC"] = {"strategy": options.pod_gc}
    if options.priority_class:
        fields["podPriorityClassName"] = options.priority_class
    if options.artifacts == "repository" and options.artifact_repository:
        config_map, _, key = options.artifact_repository.partition("/")
        fields["artifactRepositoryRef"] = {"configMap": config_map, **({"key": key} if key else {})}
    patch = {"terminationGracePeriodSeconds": round(options.grace), **options.pod_spec_patch}
    patch.update(workflow.backends.get("argo", {}).get("pod_spec_patch", {}))  # type: ignore[arg-type]
    fields["podSpecPatch"] = json.dumps(patch)
    return fields


def parallelism(spec: Object, main: Object, workflow: Workflow) -> None:
    """How many pods at once. Argo counts those of on_exit in the whole run's number, but not in a dag's."""
    if workflow.parallelism is None:
        return
    if len(workflow.on_exit) <= workflow.parallelism:
        spec["parallelism"] = workflow.parallelism
    else:
        main_dag = main.pop("dag")
        main["parallelism"] = workflow.parallelism
        main["dag"] = main_dag


def _volumes(
    workflow: Workflow, options: Options, every: list[Step], files: Files, artifacts: bool, owner: str
) -> tuple[list[Object], list[Object]]:
    volumes: list[Object] = [{"name": OUTPUTS_VOLUME, "emptyDir": {}}]
    if files.texts:
        names = (each["metadata"]["name"] for each in config_maps(FILES_MAP, files.texts).objects)
        maps = [{"configMap": {"name": f"{owner}-{name}"}} for name in names]
        source: Object = {"projected": {"sources": maps}} if len(maps) > 1 else dict(maps[0])
        volumes.append({"name": FILES_VOLUME, **source})
    if artifacts:
        volumes.append({"name": ARTIFACTS_VOLUME, "persistentVolumeClaim": {"claimName": f"{owner}-artifacts"}})
        volumes.append({"name": ITEMS_VOLUME, "emptyDir": {}})
    claims = []
    used = {mount.volume for step in every for mount in step.mounts.values()}
    for name, volume in workflow.volumes.items():
        if name not in used:
            continue
        if volume.kind == "size":
            claims.append(
                {"metadata": {"name": volume_name(name)}, "spec": _claim(options, volume.value, "ReadWriteOnce")}
            )
        else:
            volumes.append({"name": volume_name(name), **_source(volume)})
    return volumes, claims


def _source(volume: Volume) -> Object:
    sources: dict[str, Object] = {
        "claim": {"persistentVolumeClaim": {"claimName": volume.value}},
        "host_path": {"hostPath": {"path": volume.value}},
        "secret": {"secret": {"secretName": volume.value}},
        "config_map": {"configMap": {"name": volume.value}},
        "empty": {"emptyDir": {}},
    }
    return sources[volume.kind]


def _claim(options: Options, size: str, access: str) -> Object:
    spec: Object = {"accessModes": [access], "resources": {"requests": {"storage": size}}}
    if options.storage_class:
        spec["storageClassName"] = options.storage_class
    return spec


def _claims(options: Options, artifacts: bool) -> list[Object]:
    """The claim for artifacts: the run's own, so that they stay as long as the run does."""
    if not artifacts:
        return []
    spec = _claim(options, options.artifact_size, options.artifact_access)
    return [{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "artifacts"}, "spec": spec}]
