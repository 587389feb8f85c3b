"""One step as one task of a pipeline.

The document's process is the step ``main``. ``flow-begin`` stands before it where something has to be decided or
composed when the task runs, ``flow-seal`` behind it where outputs are checked or others ask how it ended. A step that
needs neither is the plain task that one would write by hand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from flowcore.plugin import (
    DNS_LABEL,
    MISSING,
    ConfigMapKey,
    Container,
    Manifest,
    Output,
    Python,
    RefusedError,
    Script,
    SecretKey,
    Step,
    Text,
    function_arguments,
    function_script,
    mangle,
    step_shim,
)
from flowcore_kubernetes import CANCELLED, all_of, any_of
from flowcore_tekton.conditions import native_when
from flowcore_tekton.gates import NEVER, Condition, Gate, Gates
from flowcore_tekton.limits import ANNOTATION_BYTES, OUTPUT_BYTES, RESULT_BYTES
from flowcore_tekton.options import Options
from flowcore_tekton.places import (
    ARTIFACT_NAMES,
    ARTIFACTS,
    ATTEMPT,
    BEGIN,
    ENDS,
    ENTRYPOINT,
    FILES,
    GROUP,
    HOME,
    ITEM,
    ITEMS,
    KIND,
    MAIN,
    OUTPUTS,
    OWN_WHEN,
    PENDING_TIMEOUT,
    PIPELINE_RUNS,
    RESULTS,
    RUN,
    RUN_LABEL,
    SAID,
    SEAL,
    STATUS,
    STEP,
    VERSION,
    VOLUMES,
    WORKSPACE,
)
from flowcore_tekton.quoting import is_reference
from flowcore_tekton.reading import SHORT, Reader, item_place, outputs_folder, result_name, value_place
from flowcore_tekton.scopes import ALL_CAUSES, Unit
from flowcore_tekton.words import Words

Object = dict[str, Any]

PROGRAM: Final = "flow.py"
"""The file with what helper steps run."""
MANIFEST: Final = "manifest.py"
"""The file with what makes an object of the cluster."""
RUN_UID: Final = {"name": "FLOW_UID", "value": "$(context.pipelineRun.uid)"}
SHIM: Final = "step.sh"
"""The file with the core's shim, which many steps may share."""
FILES_VOLUME: Final = "flowcore-files"
_A_FILE: Final = f"{FILES}/"
GO: Final = [{"input": f"$(steps.{BEGIN}.results.go)", "operator": "in", "values": ["yes"]}]
"""That ``flow-begin`` let the step run."""
_PULL: Final = {"always": "Always", "if-missing": "IfNotPresent", "never": "Never"}
_MARGIN: Final = 450
"""Bytes of a container's last message that are not results."""


@define
class Files:
    """The files that a run's pods see, by name."""

    texts: dict[str, str] = field(factory=dict)

    def add(self, name: str, text: str) -> str:
        """Keep a file; returns its place in a pod."""
        self.texts[name] = text
        return f"{FILES}/{name}"


@define(eq=False)
class Draft:
    """A step's task as far as it can be made before it is known what others read of it."""

    unit: Unit
    gate: Gate
    reader: Reader
    words: Words
    command: list[str]
    args: list[str]
    env: list[Object]
    image: str
    when: list[Object] | None = None
    """The step's own ``when`` as Tekton takes it."""
    decision: Any = None
    """The same as code, where ``flow-begin`` decides."""
    items: Any = None
    inline_items: list[str] | None = None
    object: Any = None
    """The object of a manifest as code."""


@define
class TaskMaker:
    """Makes the tasks of one run's steps."""

    options: Options
    files: Files
    gates: Gates
    long: bool
    """Whether the run's volume takes outputs that are too long for results."""
    uses_volume: bool = False
    counted: list[str] = field(factory=list)
    """Tasks whose failure makes the run fail, where Tekton goes on after failures."""
    placements: list[Object] = field(factory=list)

    sized: frozenset[str] = frozenset()
    """The document's volumes of a size."""
    one_name: bool = True
    """Whether every task stands for one step, so that its annotation is the step's name."""
    one_folder: bool = True
    """Whether every step leaves its outputs in the same folder: those with artifacts have one of their own."""
    sources: dict[str, Object] = field(factory=dict)
    """Volumes of pods by name."""
    files_volume: Object = field(factory=lambda: {"name": FILES_VOLUME})
    """The pod's volume with the run's files: what it is of is known when all of them are."""
    verdicts: dict[str, str] = field(factory=dict)
    """Names of the tasks that fail for steps that cannot, by the steps' keys."""

    @property
    def native(self) -> bool:
        """Whether Tekton's own rules hold in this run."""
        return self.gates.native

    def draft(self, unit: Unit) -> Draft:
        """Read a step: what its task waits for, and the texts of its container."""
        gate = self.own_gate(unit)
        reader = Reader(unit, gate, self.native, self.long)
        step = unit.step
        inline = (inline_items(step) or None) if unit.kind == "each" else None
        plain = inline is not None and not any(isinstance(item, str) for item in step.foreach)  # type: ignore[union-attr]
        words = Words(reader, inline is not None, plain)
        command, args = self._command(unit, step)
        texts = [text for text in step.env.values() if not isinstance(text, (SecretKey, ConfigMapKey))]
        words.prepare([*command, *args, *texts])
        env = [self._variable(name, value, words) for name, value in step.env.items()]
        draft = Draft(
            unit=unit,
            gate=gate,
            reader=reader,
            words=words,
            command=[words.text(word) for word in command],
            args=[words.text(word) for word in args],
            env=env,
            image=self._image(unit, words),
            inline_items=inline,
        )
        if isinstance(step.action, Manifest):
            draft.object = reader.code(dict(step.action.object))
        if step.when is not None and not unit.decides:
            draft.when = native_when(step.when, reader) if self.native or unit.scope.on_exit else None
            if draft.when is None:
                draft.decision = reader.resolved(step.when, unit.scope)
        if unit.kind == "each" and "item" in reader.refs:
            if isinstance(step.foreach, list):
                draft.items = [reader.code(item) for item in step.foreach]
            else:
                draft.items = reader.code(step.foreach)  # type: ignore[arg-type]
        return draft

    def own_gate(self, unit: Unit) -> Gate:
        """What a step's own task waits for; a foreach that is decided by a task of its own waits for that one."""
        if not unit.decides:
            return self.gates.of(unit)
        gate = Gate()
        if self.native and unit.lends:
            gate.after[unit.decides] = None
        else:
            gate.conditions[Condition(unit.decides)] = None
        if not self.native:
            # What its items read is there if the task that decides it found it.
            gate.conditions.update(self.gates.of(unit).conditions)
        return gate

    def _image(self, unit: Unit, words: Words) -> str:
        if isinstance(unit.step.action, Manifest):
            return self.options.helper_image
        image = unit.step.image
        if image is None:
            return self.options.image
        words_needed = len(words.values)
        text = image if isinstance(image, str) else words.text(image)
        if len(words.values) > words_needed or is_reference(text.replace("$(params.item)", "")):
            raise RefusedError(
                f"backend tekton: steps.{unit.origin}.image: an image cannot come from another step's output in a"
                " PipelineRun; give it as a param"
            )
        return text

    def _variable(self, name: str, value: Any, words: Words) -> Object:
        if isinstance(value, SecretKey):
            return {"name": name, "valueFrom": {"secretKeyRef": {"name": value.secret, "key": value.key}}}
        if isinstance(value, ConfigMapKey):
            return {"name": name, "valueFrom": {"configMapKeyRef": {"name": value.config_map, "key": value.key}}}
        return words.variable(name, value)

    def _command(self, unit: Unit, step: Step) -> tuple[list[Text], list[Text]]:
        action = step.action
        if isinstance(action, Manifest):
            return [], []
        if isinstance(action, Container):
            if action.command is None:
                return [], list(action.args)
            if action.command[:2] == ("sh", "-c") and action.command[2:3] == (step_shim(),):
                return ["sh", self.files.add(SHIM, step_shim()), *action.command[4:], *action.args], []
            return list(action.command), list(action.args)
        if isinstance(action, Script):
            return [*action.interpreter, self.files.add(unit.task, action.source), *action.args], []
        assert isinstance(action, Python)
        source = function_script(action, step.outputs, unit.origin, OUTPUT_BYTES)
        return ["python3", self.files.add(f"{unit.task}.py", source), *function_arguments(action)], []

    # The task

    def task(self, draft: Draft) -> list[Object]:
        """The task of a step, and the one that fails for it where it cannot itself."""
        unit, step = draft.unit, draft.unit.step
        retry = step.retry if step.retry is not None and step.retry.limit else None
        only = retry is not None and set(retry.only) not in (set(), ALL_CAUSES)
        soft = retry is not None and (only or (step.continue_on_failure if unit.scope.on_exit else not self.native))
        values, artifacts = outputs_of(step)
        told = not self.native and not unit.scope.on_exit and asked_how(unit)
        makes = isinstance(step.action, Manifest)
        # What makes an object is flowcore's own, and tells itself how it ended.
        seals = bool(values or artifacts or soft or told) and not makes
        may_stop = (
            draft.decision is not None
            or draft.reader.may_miss
            or (soft and bool(draft.words.values))
            or self._dashes(unit)
        )
        begins = bool(draft.words.values or retry is not None or artifacts or may_stop)
        goes_on = seals and (told or soft or not self.native)
        wrapped = (
            goes_on
            and bool(draft.command)
            and (step.timeout is not None or soft or "failed" in unit.asked or unit.watched)
        )
        plan = self._plan(draft, seals) if begins or seals or makes else {}
        if soft:
            assert retry is not None
            plan.update({"soft": True, "limit": retry.limit, "only": list(retry.only)})
        if wrapped:
            plan["wrapped"] = True
        if retry is not None and retry.backoff is not None:
            plan["backoff"] = [retry.backoff.initial, retry.backoff.factor, retry.backoff.max]
        steps = []
        program = self.program(unit.task) if plan else []
        counts = begins and retry is not None
        main = self._maker(draft, program, counts) if makes else self._main(draft, wrapped, goes_on, counts)
        if begins:
            begin = self.helper(BEGIN, "begin", program, draft.reader, retry is not None, unit.kind == "each")
            if retry is not None:
                begin["env"].append(_annotation("FLOW_FIRST", f"{ATTEMPT}{unit.task}"))
            steps.append(begin)
            if may_stop:
                main["when"] = GO
        steps.append(main)
        if seals:
            seal = self.helper(SEAL, "seal", program, None, retry is not None, unit.kind == "each")
            if not self.one_folder:
                seal["env"].append({"name": "FLOW_OUTPUTS", "value": outputs_folder(unit)})
            if may_stop:
                seal["when"] = GO
            steps.append(seal)
        for helper in steps:
            if not helper["env"]:
                del helper["env"]
        if plan:
            plan.update(self.room(len(steps)))
            self.keep_plan(unit.task, plan)
        results = [STATUS, SAID] if begins or seals or makes else []
        if values:
            results += [result_name(name) for name in values]
        task = self._pipeline_task(draft, soft)
        if retry is not None:
            task["retries"] = retry.limit
        volume = draft.reader.volume or bool(artifacts or self._in_volume(unit, values)) or unit.watched
        task["taskSpec"] = self._task_spec(draft, steps, results, volume)
        if "workspaces" in task["taskSpec"]:
            task["workspaces"] = [{"name": WORKSPACE, "workspace": WORKSPACE}]
        self._placement(unit)
        if not unit.scope.on_exit and not continued(unit):
            verdict = [self._verdict(unit)] if soft else []
            self.counted += [verdict[0]["name"]] if verdict else unit.tasks
            return [*self._chunks(unit, task), *verdict]
        return self._chunks(unit, task)

    def _chunks(self, unit: Unit, task: Object) -> list[Object]:
        """The task, or where one matrix does not take all items, several that share them."""
        if not unit.chunks:
            return [task]
        found = []
        text = json.dumps(task, ensure_ascii=False)
        for number, name in enumerate(unit.tasks):
            chunk = json.loads(text.replace(f"{ATTEMPT}{unit.task}", f"{ATTEMPT}{name}"))
            chunk["name"] = name
            matrix = chunk["matrix"]
            rows = matrix["include"] if "include" in matrix else matrix["params"][0]["value"]
            rows[:] = rows[number * unit.width : (number + 1) * unit.width]
            found.append(chunk)
        return found

    def never(self, unit: Unit) -> Object:
        """The task of a step that is decided before the run not to run: who reads the PipelineRun sees it."""
        task: Object = {"name": unit.task, "when": [NEVER.entry()]}
        after = list(dict.fromkeys(task for name in unit.needs for task in self.gates.ends(unit.scope.units[name])))
        if after:
            task["runAfter"] = after
        notes = {STEP: unit.origin}
        if unit.never in ("when", "empty"):
            notes[OWN_WHEN] = unit.never
        image = unit.step.image if isinstance(unit.step.image, str) else self.options.helper_image
        step = {"name": MAIN, "image": image, "command": ["true"]}
        task["taskSpec"] = {"metadata": {"annotations": notes}, "steps": [step]}
        return task

    def _dashes(self, unit: Unit) -> bool:
        """Whether there may be a pod that stands for an empty list."""
        return unit.kind == "each" and unit.dynamic and self.native and unit.lends

    def _in_volume(self, unit: Unit, values: Mapping[str, Any]) -> dict[str, str]:
        """The outputs that are, or may be, kept in the run's volume, with their places."""
        places = {}
        for name, output in values.items():
            long = self.long and name in unit.read and output.type.name not in SHORT
            if name in unit.kept or long or (unit.kind == "each" and unit.joins and name in unit.read):
                places[name] = item_place(unit, name) if unit.kind == "each" else value_place(unit, name)
        return places

    def _plan(self, draft: Draft, seals: bool) -> Object:
        """What ``flow.py`` has to know."""
        unit, step = draft.unit, draft.unit.step
        plan: Object = {"refs": draft.reader.refs}
        if draft.words.values:
            plan["values"] = draft.words.values
        if draft.decision is not None:
            plan["when"] = draft.decision
        if draft.items is not None:
            plan["items" if isinstance(step.foreach, list) else "foreach"] = draft.items
        values, artifacts = outputs_of(step)
        if values:
            plan["outputs"] = {
                name: {
                    "type": str(output.type),
                    **({} if output.default is MISSING else {"default": output.default}),
                }
                for name, output in values.items()
            }
            plan["most"] = OUTPUT_BYTES
            renamed = {name: result_name(name) for name in values if result_name(name) != name}
            if renamed:
                plan["results"] = renamed
            places = self._in_volume(unit, values)
            if places:
                plan["places"] = places
                plan["kept"] = [name for name in places if name in unit.kept or (unit.kind == "each" and unit.joins)]
            if unit.read:
                plan["read"] = list(unit.read)
        if artifacts:
            plan["artifacts"] = artifacts
            plan["folder"] = outputs_folder(unit).removeprefix(f"{RUN}/").replace("$(params.i)", "{i}")
            if unit.kind == "each":
                plan["gathered"] = f"{ARTIFACTS}/{unit.origin}"
        if unit.watched:
            plan["status"] = end_place(unit)
        if isinstance(step.action, Manifest):
            plan["manifest"] = draft.object
            plan["owner"] = {"apiVersion": f"{GROUP}/{VERSION}", "kind": PIPELINE_RUNS.kind}
            for name, expr, read in (
                ("success", step.action.success_when, all_of),
                ("failure", step.action.failure_when, any_of),
            ):
                if expr is not None:
                    plan[name] = [[list(each.path), each.operator, each.value] for each in read(expr)]
            if step.timeout is not None:
                plan["timeout"] = step.timeout
        return plan

    def _maker(self, draft: Draft, program: list[str], counts: bool) -> Object:
        """The main step of a manifest."""
        self.files.add(MANIFEST, text_of(MANIFEST))
        main = self.helper(MAIN, "manifest", program, draft.reader, draft.unit.step.retry is not None)
        own = self._own_variables(draft.unit, counts)
        main["env"] = [*own, *main["env"], RUN_UID]
        return main

    def program(self, task: str) -> list[str]:
        """The command of a helper step of a task, with a gap where it is said what it does."""
        self.files.add(PROGRAM, text_of(PROGRAM))
        return ["python3", f"{FILES}/{PROGRAM}", "", f"{FILES}/{task}.json"]

    def keep_plan(self, task: str, plan: Object) -> None:
        """Keep what the helper steps of a task have to know."""
        self.files.add(f"{task}.json", json.dumps(plan, ensure_ascii=False, separators=(",", ":")))

    def room(self, steps: int) -> dict[str, int]:
        """The bytes of a task's results: of all in the last message of a container, or of each in a line of a log."""
        if self.options.long_outputs == "sidecar-logs":
            return {"each": self.options.max_result_size}
        return {"room": min(4096, RESULT_BYTES // (steps + 1)) - _MARGIN}

    def _main(self, draft: Draft, wrapped: bool, goes_on: bool, counts: bool) -> Object:
        unit, step = draft.unit, draft.unit.step
        main: Object = {"name": MAIN, "image": draft.image}
        if step.image_pull_policy is not None:
            main["imagePullPolicy"] = _PULL[step.image_pull_policy]
        command, args = draft.command, draft.args
        if wrapped:
            timeout = [] if step.timeout is None else [f"-timeout={seconds(step.timeout)}"]
            flags = [*timeout, "-on_error=continue", f"-termination_path={HOME}/flow-main-end"]
            flags += [f"-step_metadata_dir={HOME}/flow-main", "-entrypoint", command[0], "--"]
            command, args = [ENTRYPOINT], [*flags, *command[1:], *args]
        if command:
            main["command"] = command
        if args:
            main["args"] = args
        if step.working_dir is not None:
            main["workingDir"] = step.working_dir
        main["env"] = [*self._own_variables(unit, counts), *draft.words.env, *draft.env]
        if step.env_from:
            kinds = {"secret": "secretRef", "config_map": "configMapRef"}
            main["envFrom"] = [{kinds[entry.kind]: {"name": entry.name}} for entry in step.env_from]
        if step.resources or step.requests:
            main["computeResources"] = resources_of(step)
        if step.user is not None:
            user, _, group = step.user.partition(":")
            main["securityContext"] = {"runAsUser": int(user), **({"runAsGroup": int(group)} if group else {})}
        mounts = self._mounts(step, any(word.startswith(_A_FILE) for word in draft.command))
        if mounts:
            main["volumeMounts"] = mounts
        if step.timeout is not None and not wrapped:
            main["timeout"] = seconds(step.timeout)
        if goes_on:
            main["onError"] = "continue"
        return main

    def _own_variables(self, unit: Unit, counts: bool) -> list[Object]:
        found: list[Object] = []
        if not self.one_name:
            name = unit.origin.partition("#")[0] + (f"[$(params.{ITEM})]" if unit.kind == "each" else "")
            found.append({"name": "FLOW_STEP", "value": name})
        if counts:
            found.append({"name": "FLOW_ATTEMPT", "value": f"$(steps.{BEGIN}.results.attempt)"})
        else:
            found.append(_annotation("FLOW_ATTEMPT", f"{ATTEMPT}{unit.task}"))
        if not self.one_folder:
            found.append({"name": "FLOW_OUTPUTS", "value": outputs_folder(unit)})
        return found

    def common_variables(self) -> list[Object]:
        """What the environment of all pods has in common; it would win over a step's own."""
        found: list[Object] = [_of_pod("FLOW_RUN", f"labels['{RUN_LABEL}']")]
        if self.one_name:
            found.append(_annotation("FLOW_STEP", STEP))
        if self.one_folder:
            found.append({"name": "FLOW_OUTPUTS", "value": OUTPUTS})
        return found

    def _mounts(self, step: Step, files: bool) -> list[Object]:
        mounts: list[Object] = [{"name": FILES_VOLUME, "mountPath": FILES, "readOnly": True}] if files else []
        for path, mount in step.mounts.items():
            entry: Object = {"name": volume_name(mount.volume), "mountPath": path}
            if mount.volume in self.sized:
                entry["name"] = f"$(workspaces.{WORKSPACE}.volume)"
                entry["subPath"] = "/".join(filter(None, (VOLUMES, mount.volume, mount.sub_path.strip("/"))))
            elif mount.sub_path:
                entry["subPath"] = mount.sub_path
            if mount.read_only:
                entry["readOnly"] = True
            mounts.append(entry)
        return mounts

    def helper(
        self,
        name: str,
        what: str,
        program: list[str],
        reader: Reader | None,
        retries: bool = False,
        item: bool = False,
    ) -> Object:
        """A step of flowcore's own, which is given what ``reader`` reads."""
        args = given_words(reader) if reader is not None else []
        if item:
            args += ["--", ITEM, f"$(params.{ITEM})"]
        env: list[Object] = []
        if reader is not None and "run.phase" in reader.refs:
            env.append(_annotation("FLOW_CANCELLED", CANCELLED))
        if retries:
            env.append({"name": "FLOW_RETRIES", "value": "$(context.task.retry-count)"})
        return {
            "name": name,
            "image": self.options.helper_image,
            "command": [*program[:2], what, program[3]],
            **({"args": args} if args else {}),
            "env": env,
            "volumeMounts": [{"name": FILES_VOLUME, "mountPath": FILES, "readOnly": True}],
        }

    def _pipeline_task(self, draft: Draft, soft: bool) -> Object:
        unit = draft.unit
        task: Object = {"name": unit.task}
        when = [each.entry() for each in draft.gate.conditions]
        if draft.when is not None:
            when += draft.when
        waits(task, draft.gate, when, draft.reader)
        params = task_params(draft.reader)
        if params:
            task["params"] = params
        if unit.kind == "each":
            task["matrix"] = self._matrix(unit, draft)
        if not soft and (unit.step.continue_on_failure if unit.scope.on_exit else not self.native):
            task["onError"] = "continue"
        return task

    def _matrix(self, unit: Unit, draft: Draft) -> Object:
        items = unit.step.foreach
        if not isinstance(items, list):
            return {"params": [{"name": ITEM, "value": f"$(tasks.{unit.decides}.results.{ITEMS}[*])"}]}
        if not draft.inline_items or "item" not in draft.reader.refs:
            return {"params": [{"name": ITEM, "value": [str(index) for index in range(len(items))] or ["-"]}]}
        return {
            "include": [
                {"name": f"{index}", "params": [{"name": ITEM, "value": str(index)}, {"name": "item", "value": text}]}
                for index, text in enumerate(draft.inline_items)
            ]
        }

    def _task_spec(self, draft: Draft, steps: list[Object], results: list[str], volume: bool) -> Object:
        unit, step = draft.unit, draft.unit.step
        notes = {STEP: unit.origin, f"{ATTEMPT}{unit.task}": "1"}
        if step.role == "helper":
            notes[KIND] = "helper"
        if draft.when is not None:
            notes[OWN_WHEN] = "when"
        if step.outputs:
            _, artifacts = outputs_of(step)
            if artifacts:
                notes[ARTIFACT_NAMES] = " ".join(artifacts)
            renamed = {result_name(name): name for name in step.outputs if result_name(name) != name}
            if renamed:
                notes[RESULTS] = json.dumps(renamed)
        if step.pending_timeout is not None:
            notes[PENDING_TIMEOUT] = f"{step.pending_timeout:g}"
        notes.update(step.annotations)
        if draft.words.annotations:
            notes.update(draft.words.annotations)
            size = sum(len(key) + len(text.encode()) for key, text in notes.items())
            if size > ANNOTATION_BYTES:
                raise RefusedError(
                    f"backend tekton: steps.{unit.origin}: the texts in which Tekton would take something for a"
                    f" reference of its own have {size} bytes, and {ANNOTATION_BYTES} are the most; read them from a"
                    " file"
                )
        metadata: Object = {"annotations": notes}
        if step.labels:
            metadata["labels"] = dict(step.labels)
        spec: Object = {"metadata": metadata}
        params = [{"name": ITEM}] if unit.kind == "each" else []
        if unit.kind == "each" and draft.inline_items is not None and "item" in draft.reader.refs:
            params.append({"name": "item"})
        params += declared_params(draft.reader)
        if params:
            spec["params"] = params
        if results:
            spec["results"] = [{"name": name} for name in results]
        names = {mount["name"] for each in steps for mount in each.get("volumeMounts", ())}
        volumes = [self.sources[name] for name in self.sources if name in names]
        if FILES_VOLUME in names:
            volumes.insert(0, self.files_volume)
        if volumes:
            spec["volumes"] = volumes
        if volume or any(mount.volume in self.sized for mount in step.mounts.values()):
            self.uses_volume = True
            spec["workspaces"] = [{"name": WORKSPACE, "mountPath": RUN}]
        spec["steps"] = steps
        return spec

    def _verdict(self, unit: Unit) -> Object:
        """A task that fails where a step's own task cannot, since Tekton would stop the run for it."""
        when = [{"input": f"$(tasks.{unit.tells}.results.{STATUS})", "operator": "in", "values": ["failed", "error"]}]
        step = {"name": MAIN, "image": self.options.helper_image, "command": ["python3", "-c", "raise SystemExit(1)"]}
        return {
            "name": self.verdicts[unit.key],
            "when": when,
            "onError": "continue",
            "taskSpec": {"metadata": {"annotations": {STEP: unit.origin, KIND: "verdict"}}, "steps": [step]},
        }

    def _placement(self, unit: Unit) -> None:
        step = unit.step
        template: Object = {}
        if step.node_selector:
            template["nodeSelector"] = dict(step.node_selector)
        if step.tolerations:
            template["tolerations"] = [dict(toleration) for toleration in step.tolerations]
        template.update(step.backends.get("tekton", {}).get("pod_template", {}))  # type: ignore[arg-type]
        if template:
            self.placements += [{"pipelineTaskName": task, "podTemplate": template} for task in unit.tasks]


def _of_pod(name: str, place: str) -> Object:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.{place}"}}}


def _annotation(name: str, key: str) -> Object:
    return _of_pod(name, f"annotations['{key}']")


def outputs_of(step: Step) -> tuple[dict[str, Output], list[str]]:
    """The outputs of a step that are values, and the names of its artifacts."""
    if not step.outputs:
        return {}, []
    values = {name: output for name, output in step.outputs.items() if not output.artifact}
    return values, [name for name in step.outputs if name not in values]


def asked_how(unit: Unit) -> bool:
    """Whether others have to know how a step's own task ended."""
    if unit.watched:
        return True
    if unit.joins:
        return False  # the task that gathers tells it
    plain = {"finished", "met"} if unit.step.continue_on_failure else {"finished"}
    return bool(unit.asked - plain)


def continued(unit: Unit) -> bool:
    """Whether the run may succeed although the step failed: it, or a nested step around it, says so."""
    if unit.step.continue_on_failure:
        return True
    return unit.scope.owner is not None and continued(unit.scope.owner)


def waits(task: Object, gate: Gate, when: list[Object], reader: Reader) -> None:
    """Write down what a task waits for; what a condition or a value names need not stand in ``runAfter``."""
    if when:
        task["when"] = when
    named = {each.task for each in gate.conditions} | reader.named
    after = [other for other in gate.after if other not in named]
    if after:
        task["runAfter"] = after


def task_params(reader: Reader) -> list[Object]:
    """The params of a pipeline task."""
    found = [{"name": given.name, "value": given.value} for each in reader.given.values() for given in each]
    if "run.phase" in reader.refs:
        found.append({"name": "states", "value": STATES})
    return found


STATES: Final = "FLOW-STATES"
"""Stands for how all tasks ended until all are known."""


def declared_params(reader: Reader) -> list[Object]:
    """The params that a task declares."""
    found: list[Object] = []
    for each in reader.given.values():
        for given in each:
            found.append({"name": given.name, **({"type": "array"} if isinstance(given.value, list) else {})})
    if "run.phase" in reader.refs:
        found.append({"name": "states"})
    return found


def given_words(reader: Reader) -> list[str]:
    """The params as arguments of ``flow.py``."""
    words: list[str] = []
    for key, each in reader.given.items():
        for given in each:
            words += [
                "--",
                key,
                f"$(params.{given.name}[*])" if isinstance(given.value, list) else f"$(params.{given.name})",
            ]
    if "run.phase" in reader.refs:
        words += ["--", "run.phase", "$(params.states)"]
    return words


def inline_items(step: Step) -> list[str] | None:
    """The texts of a foreach's items, if they can stand in the pipeline as they are."""
    items = step.foreach
    if not isinstance(items, list):
        return None
    texts = []
    for item in items:
        if isinstance(item, bool):
            texts.append("true" if item else "false")
        elif isinstance(item, (int, str)) and "$" not in str(item) and len(str(item)) <= 200:
            texts.append(str(item))
        elif isinstance(item, float):
            texts.append(json.dumps(item))
        else:
            return None
    return texts


def end_place(unit: Unit) -> str:
    """Where in the run's volume it stands how a step ended."""
    return f"{ENDS}/{unit.key}" + ("/{i}" if unit.kind == "each" else "")


def seconds(value: float) -> str:
    """A duration as Tekton takes it."""
    return f"{max(1, round(value))}s"


def volume_name(name: str) -> str:
    """The pod's name of a volume of the document."""
    return mangle(f"volume-{name}", DNS_LABEL)


def resources_of(step: Step) -> Object:
    """What a container may use."""
    names = {"gpu": "nvidia.com/gpu"}
    found: Object = {}
    if step.resources:
        found["limits"] = {names.get(name, name): amount for name, amount in step.resources.items()}
    if step.requests:
        requests = {**step.resources, **step.requests}
        found["requests"] = {names.get(name, name): amount for name, amount in requests.items()}
    return found


@cache
def text_of(program: str) -> str:
    """The text of a program that travels with the run."""
    return Path(__file__).with_name(program).read_text(encoding="utf-8")
