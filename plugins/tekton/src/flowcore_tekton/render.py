"""A lowered workflow as a PipelineRun, with the objects that accompany it. Pure: same input, same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from flowcore.plugin import RefusedError, Rendered, Volume, Workflow, parse_quantity, write_yaml
from flowcore_kubernetes import MANAGED, OUTLINE, WORKFLOW, config_maps, packed_outline, too_big
from flowcore_kubernetes.images import notes_on_images
from flowcore_tekton import groups
from flowcore_tekton.gates import Gates
from flowcore_tekton.lanes import chained, lanes
from flowcore_tekton.limits import MATRIX, OBJECT_BYTES, TASKS
from flowcore_tekton.options import Options
from flowcore_tekton.places import FILES_MAP, GROUP, GUARD, KIND, MAIN, OUTLINE_KEY, RUN_NAME, TTL, VERSION, WORKSPACE
from flowcore_tekton.scopes import Scope, TaskNames, all_units, is_native, runs, scope_of
from flowcore_tekton.tasks import STATES, Draft, Files, Object, TaskMaker, volume_name

SHORT_OUTLINE: Final = 1024
"""An outline longer than this is in a companion: annotations of a PipelineRun are copied to all its tasks and pods."""


def render(workflow: Workflow, options: Options, backend: str) -> Rendered:
    """Render a workflow that uses what the backend declares.

    Raises:
        RefusedError: if it does not fit into one PipelineRun, with the numbers.
    """
    names = TaskNames()
    scope = scope_of(workflow.steps, names, slots=workflow.parallelism)
    last = scope_of(workflow.on_exit, names, on_exit=True)
    native = is_native(workflow, scope) and not chained(scope)
    gates = Gates(native)
    maker = TaskMaker(options, Files(), gates, options.long_outputs == "volume")
    sized = [name for name, volume in workflow.volumes.items() if volume.kind == "size"]
    maker.sized = frozenset(sized)
    maker.sources = {
        volume_name(name): {"name": volume_name(name), **_source(volume)}
        for name, volume in workflow.volumes.items()
        if volume.kind != "size"
    }
    groups.mark(scope, gates, names)
    every = [*all_units(scope), *all_units(last)]
    maker.one_name = not any(unit.kind == "each" or "#" in unit.origin for unit in every)
    maker.one_folder = not any(output.artifact for unit in every for output in unit.step.outputs.values())
    for unit in all_units(scope):
        if unit.step.retry is not None and unit.kind != "nested":
            maker.verdicts[unit.key] = names.beside(unit.key, "verdict")
    ordinary = _tasks(scope, maker)
    if workflow.parallelism is not None or chained(scope):
        _wait_for_slots(ordinary, lanes(scope, workflow.parallelism or UNBOUNDED))
    counted = list(maker.counted)
    finally_ = _tasks(last, maker)
    if counted and not native:
        finally_.append(_guard(options))
    states = "run=$(tasks.status) " if native else "".join(f"{name}=$(tasks.{name}.status) " for name in counted)
    for task in finally_:
        for param in task.get("params", ()):
            if param["value"] == STATES:
                param["value"] = states
    if len(ordinary) + len(finally_) > TASKS:
        raise RefusedError(
            f"the workflow {workflow.name} is {len(ordinary) + len(finally_)} tasks as one PipelineRun, and"
            f" {TASKS} are the most; split it"
        )
    return _rendered(workflow, options, backend, maker, ordinary, finally_)


def _tasks(scope: Scope, maker: TaskMaker) -> list[Object]:
    """The tasks of all steps of a scope: first all is read, since what others read decides what a step has to leave."""
    drafts: list[tuple[groups.Group | None, Draft | None]] = []
    found: list[Object] = []
    for unit in all_units(scope):
        if not runs(unit):
            if unit.scope.owner is None or runs(unit.scope.owner):
                found.append(maker.never(unit))
            continue
        group = groups.draft(unit, maker) if unit.decides or unit.joins else None
        drafts.append((group, None if unit.kind == "nested" else maker.draft(unit)))
    for group, _ in drafts:
        if group is not None:
            groups.draft_outputs(group)
    for group, draft in drafts:
        if draft is not None:
            found += maker.task(draft)
        if group is not None:
            found += groups.tasks(group, maker)
    return found


UNBOUNDED: Final = TASKS * MATRIX
"""Slots of a run without a limit, where only a foreach has one."""


def _wait_for_slots(tasks: list[Object], slots: Mapping[str, list[str]]) -> None:
    """Let tasks wait for those before them in their lanes."""
    for task in tasks:
        after = [other for other in slots.get(task["name"], ()) if other not in task.get("runAfter", ())]
        if after:
            task["runAfter"] = [*task.get("runAfter", ()), *after]


def _guard(options: Options) -> Object:
    """The task that makes the run fail where Tekton went on after failures."""
    text = "import sys; sys.exit('=Failed ' in sys.argv[1])"
    step = {
        "name": MAIN,
        "image": options.helper_image,
        "command": ["python3", "-c", text, "$(params.states)"],
    }
    return {
        "name": GUARD,
        "params": [{"name": "states", "value": STATES}],
        "taskSpec": {
            "metadata": {"annotations": {KIND: "guard"}},
            "params": [{"name": "states"}],
            "steps": [step],
        },
    }


def _rendered(
    workflow: Workflow,
    options: Options,
    backend: str,
    maker: TaskMaker,
    ordinary: list[Object],
    finally_: list[Object],
) -> Rendered:
    outline = packed_outline(workflow.outline, SHORT_OUTLINE)
    if len(outline) > SHORT_OUTLINE:
        maker.files.texts[OUTLINE_KEY] = outline
        outline = f"@{FILES_MAP}-0"
    companions = config_maps(FILES_MAP, maker.files.texts).objects
    maps = [{"name": f"{RUN_NAME}-{each['metadata']['name']}"} for each in companions]
    if len(maps) == 1:
        maker.files_volume["configMap"] = maps[0]
    else:
        maker.files_volume["projected"] = {"sources": [{"configMap": each} for each in maps]}
    about = {WORKFLOW: workflow.name, **workflow.annotations, OUTLINE: outline}
    if workflow.ttl is not None:
        about[TTL] = f"{workflow.ttl:g}"
    pipeline: Object = {}
    if workflow.description:
        pipeline["description"] = workflow.description
    spec: Object = {"pipelineSpec": pipeline}
    if maker.uses_volume:
        pipeline["workspaces"] = [{"name": WORKSPACE}]
        spec["workspaces"] = [{"name": WORKSPACE, "volumeClaimTemplate": {"spec": _claim(workflow, options)}}]
    pipeline["tasks"] = ordinary
    if finally_:
        pipeline["finally"] = finally_
    spec["timeouts"] = _timeouts(workflow)
    spec["taskRunTemplate"] = _template(workflow, options, maker.common_variables())
    if maker.placements:
        spec["taskRunSpecs"] = maker.placements
    run: Object = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "PipelineRun",
        "metadata": {
            "labels": {MANAGED: "flowcore", **options.workflow_labels, **workflow.labels},
            "annotations": about,
        },
        "spec": spec,
    }
    objects = [run, *companions]
    texts = [write_yaml(_readable(each)) for each in objects]
    size = too_big(run, texts[0], OBJECT_BYTES)
    if size:
        raise RefusedError(
            f"the workflow {workflow.name} is {size} bytes as one PipelineRun, and {OBJECT_BYTES} are the"
            " most; split it, or let steps read long texts from files"
        )
    text = "---\n".join(texts)
    return Rendered(
        backend=backend,
        name=workflow.name,
        text=text,
        objects=tuple(objects),
        # The order of keys is the document's, which is part of what was written; the outline is not in the text.
        digest=hashlib.sha256(f"{text}{workflow.outline}".encode()).hexdigest(),
        names={},
        notes=tuple(notes_on_images(workflow, options.image)),
    )


def _readable(object: Object) -> Object:
    """An object without what only flowcore's own parts read."""
    metadata = object["metadata"]
    notes = {key: text for key, text in metadata.get("annotations", {}).items() if key != OUTLINE}
    kept = {key: value for key, value in {**metadata, "annotations": notes}.items() if value}
    return {**object, "metadata": kept}


def _timeouts(workflow: Workflow) -> Object:
    """How long a run may take; what is left out would be Tekton's own default of an hour."""
    if workflow.timeout is None:
        return {"pipeline": "0"}
    last = 3600 + round(max((step.timeout or 0 for step in workflow.on_exit.values()), default=0))
    whole = max(1, round(workflow.timeout))
    return {"pipeline": f"{whole + last}s", "tasks": f"{whole}s", "finally": f"{last}s"}


def _template(workflow: Workflow, options: Options, variables: list[Object]) -> Object:
    """What all pods have in common."""
    template: Object = {}
    account = workflow.service_account or options.service_account
    if account:
        template["serviceAccountName"] = account
    pods: Object = dict(options.pod_template)
    if workflow.image_pull_secrets:
        pods["imagePullSecrets"] = [{"name": name} for name in workflow.image_pull_secrets]
    if options.priority_class:
        pods["priorityClassName"] = options.priority_class
    pods.update(workflow.backends.get("tekton", {}).get("pod_template", {}))  # type: ignore[arg-type]
    template["podTemplate"] = {**pods, "env": [*variables, *pods.get("env", ())]}
    return template


def _claim(workflow: Workflow, options: Options) -> Object:
    """The run's volume: for artifacts, long outputs and the document's volumes of a size."""
    sizes = [volume.value for volume in workflow.volumes.values() if volume.kind == "size"]
    size = options.artifact_size
    if sizes:
        size = str(sum(int(parse_quantity(each)) for each in [size, *sizes]))
    spec: Object = {"accessModes": [options.artifact_access], "resources": {"requests": {"storage": size}}}
    if options.storage_class:
        spec["storageClassName"] = options.storage_class
    return spec


def _source(volume: Volume) -> Object:
    sources: dict[str, Object] = {
        "claim": {"persistentVolumeClaim": {"claimName": volume.value}},
        "host_path": {"hostPath": {"path": volume.value}},
        "secret": {"secret": {"secretName": volume.value}},
        "config_map": {"configMap": {"name": volume.value}},
        "empty": {"emptyDir": {}},
    }
    return sources[volume.kind]
