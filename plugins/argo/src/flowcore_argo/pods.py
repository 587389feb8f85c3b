"""One step as one template that makes a pod.

Values of other steps come as the template's inputs, in a form that the kubelet turns into exactly the value (see
``quoting``). Scripts, Python sources and the shim travel in config maps and are mounted as files.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from attrs import define, field, frozen

from flowcore.plugin import (
    DNS_LABEL,
    MISSING,
    ConfigMapKey,
    Container,
    Expr,
    Get,
    ListOf,
    Manifest,
    NameRule,
    Python,
    Ref,
    Retry,
    Script,
    SecretKey,
    Step,
    Text,
    Type,
    function_arguments,
    function_script,
    mangle,
    step_shim,
    step_words,
)
from flowcore_argo.expressions import Scope, alone_code, template_code, text_code
from flowcore_argo.limits import OUTPUT_BYTES
from flowcore_argo.options import Options
from flowcore_argo.places import (
    ARTIFACT_NAMES,
    ARTIFACTS,
    FAILURE_HOLDS,
    FILES,
    ITEMS,
    OUTPUTS,
    PATTERN,
    PENDING,
    RUN_NAME,
    SHIM,
    STEP,
)
from flowcore_argo.quoting import EMPTY, handed_over, member, static, string_literal, tag
from flowcore_argo.stores import read, written
from flowcore_kubernetes import EVICTED, all_of, any_of

INPUT: Final = NameRule(
    63, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", first="abcdefghijklmnopqrstuvwxyz"
)
RESERVED: Final = ("item", "retries")
"""Names that Argo takes for its own variables wherever they stand in an expression."""
FILES_VOLUME: Final = "flowcore-files"
OUTPUTS_VOLUME: Final = "flowcore-outputs"
ARTIFACTS_VOLUME: Final = "flowcore-artifacts"
ITEMS_VOLUME: Final = "flowcore-items"

PLAIN_TYPES: Final = ("integer", "number", "boolean")
"""Types whose text holds nothing that anybody would expand."""

Object = dict[str, Any]


DEFAULTS: Final[Object] = {
    "container": {
        "env": [
            {"name": EMPTY, "value": ""},
            {"name": "FLOW_RUN", "value": RUN_NAME},
            {"name": "FLOW_STEP", "valueFrom": {"fieldRef": {"fieldPath": f"metadata.annotations['{STEP}']"}}},
            {"name": "FLOW_ATTEMPT", "value": "1"},
            {"name": "FLOW_OUTPUTS", "value": OUTPUTS},
        ],
        "volumeMounts": [{"name": OUTPUTS_VOLUME, "mountPath": OUTPUTS}],
    }
}
"""What every container has, behind its own env and mounts; what has the same name there is left out here."""


@define
class Files:
    """The files that a run's pods see, by name."""

    texts: dict[str, str] = field(factory=dict)

    def add(self, name: str, text: str) -> str:
        """Keep a file; returns its place in a pod."""
        self.texts[name] = text
        return f"{FILES}/{name}"


@define
class Inputs:
    """What a template is given: names with the arguments of the task that calls it."""

    arguments: dict[str, str] = field(factory=dict)
    _names: dict[str, str] = field(factory=dict)

    def add(self, wanted: str, argument: str) -> str:
        """Have an argument; returns the input's name. The same argument gives the same input."""
        name = self._names.get(argument)
        if name is None:
            name = mangle(f"{wanted}-value" if wanted in RESERVED else wanted, INPUT)
            while name in self.arguments:
                name = mangle(f"{name} {argument}", INPUT)
            self._names[argument] = name
            self.arguments[name] = argument
        return name

    def parameters(self) -> list[Object]:
        """As a template's inputs."""
        return [{"name": name} for name in self.arguments]

    def passed(self) -> list[Object]:
        """As a task's arguments."""
        return [{"name": name, "value": value} for name, value in self.arguments.items()]


class Reads(NamedTuple):
    """The artifacts that a step reads, each as step and output."""

    gathered: tuple[tuple[str, str], ...] = ()
    """Those of all items of a foreach."""
    single: tuple[tuple[str, str], ...] = ()
    maybe: bool = False
    """Whether it may read any, by whatever way it comes to know the place."""


NOTHING_READ: Final = Reads()


class Place(NamedTuple):
    """Where in the run a step is."""

    origin: str
    """The document's name, with ``[*]`` where items have their number."""
    name: str
    """The template's name."""
    step: str
    """The text of FLOW_STEP: the origin, or a reference to an input that holds it."""
    argument: str
    """The argument for that input, where there is one."""
    reads: Reads


@frozen
class PodMaker:
    """Makes the templates of one workflow's steps."""

    options: Options
    files: Files
    workflow: str
    """The document's name."""
    artifacts: bool = False
    """Whether the run has artifacts."""

    @property
    def stored(self) -> bool:
        """Whether they are kept in Argo's repository."""
        return self.artifacts and self.options.artifacts == "repository"

    def template(self, step: Step, place: Place, scope: Scope) -> tuple[Object, Inputs]:
        """The template of a step, and what the task that calls it has to give."""
        inputs = Inputs()
        if place.argument:
            inputs.add("step", place.argument)
        if isinstance(step.action, Manifest):
            body = self._resource(step.action, inputs, scope)
        else:
            body = self._container(step, place, inputs, scope)
        template: Object = {"name": place.name, "metadata": self._metadata(step, place)}
        if inputs.arguments:
            template["inputs"] = {"parameters": inputs.parameters()}
        template.update(body)
        if step.outputs:
            values = [_output(name, output.type) for name, output in step.outputs.items() if not output.artifact]
            if values:
                template["outputs"] = {"parameters": values}
        if self.stored:
            _add(template, "inputs", read(place.reads.single, place.reads.gathered))
            artifacts = [name for name, output in step.outputs.items() if output.artifact]
            _add(template, "outputs", written(artifacts, place.step, place.origin.endswith("[*]")))
        if step.retry is not None and step.retry.limit:
            template["retryStrategy"] = retry_strategy(step.retry, isinstance(step.action, Manifest))
        if step.timeout is not None:
            # Argo's own ``timeout`` counts waiting too and replaces this: it is left out.
            deadline = max(1, round(step.timeout + self.options.start_allowance))
            template["activeDeadlineSeconds"] = deadline
        if step.cache is not None:
            template["memoize"] = self._memoize(step, place, inputs, scope)
            template.setdefault("inputs", {})["parameters"] = inputs.parameters()
        if step.node_selector:
            template["nodeSelector"] = dict(step.node_selector)
        if step.tolerations:
            template["tolerations"] = [dict(toleration) for toleration in step.tolerations]
        patch = step.backends.get("argo", {}).get("pod_spec_patch")
        if patch is not None:
            template["podSpecPatch"] = json.dumps(patch)
        return template, inputs

    def _metadata(self, step: Step, place: Place) -> Object:
        notes = {STEP: place.step}
        if place.argument:
            notes[PATTERN] = place.origin
        if step.annotations:
            notes.update(step.annotations)
        if step.outputs:
            artifacts = [name for name, output in step.outputs.items() if output.artifact]
            if artifacts:
                notes[ARTIFACT_NAMES] = " ".join(artifacts)
        if step.pending_timeout is not None:
            notes[PENDING] = f"{step.pending_timeout:g}"
        return {"annotations": notes, "labels": dict(step.labels)} if step.labels else {"annotations": notes}

    # The container

    def _container(self, step: Step, place: Place, inputs: Inputs, scope: Scope) -> Object:
        words = Words(inputs, scope)
        shim = self._shim_words(step)
        command = self._command(step, place)
        if shim is not None and command:
            command = ["sh", self.files.add(SHIM, step_shim()), *shim, "--", *command]
        container: Object = {"image": words.image(step.image or self.options.image)}
        if step.image_pull_policy is not None:
            container["imagePullPolicy"] = _PULL[step.image_pull_policy]
        if command:
            # All of it, and no args: long ones Argo would bring in a file, past the kubelet.
            container["command"] = [static(word) if type(word) is str else words.text(word) for word in command]
        elif isinstance(step.action, Container) and step.action.args:
            container["args"] = [words.text(word) for word in step.action.args]
        if step.working_dir is not None:
            container["workingDir"] = static(step.working_dir)
        env = [{"name": name, **_env_value(value, words)} for name, value in step.env.items()] if step.env else []
        if env and any(EMPTY in str(entry.get("value")) or "{{=" in str(entry.get("value")) for entry in env):
            # A variable knows only those before it, and Argo puts what all have behind.
            env.insert(0, {"name": EMPTY, "value": ""})
        if step.retry is not None and step.retry.limit:
            env.append({"name": "FLOW_ATTEMPT", "value": tag("asInt(retries) + 1")})
        if env:
            container["env"] = env
        if step.env_from:
            kinds = {"secret": "secretRef", "config_map": "configMapRef"}
            container["envFrom"] = [{kinds[entry.kind]: {"name": entry.name}} for entry in step.env_from]
        if step.resources or step.requests:
            container["resources"] = _resources(step)
        if step.user is not None:
            user, _, group = step.user.partition(":")
            container["securityContext"] = {"runAsUser": int(user), **({"runAsGroup": int(group)} if group else {})}
        body: Object = {}
        files = bool(self.files.texts) and any(FILES in word for word in command if isinstance(word, str))
        mounts = self._mounts(step, place, body, files)
        if mounts:
            container["volumeMounts"] = mounts
        body["container"] = container
        return body

    def _command(self, step: Step, place: Place) -> list[Text]:
        action = step.action
        if isinstance(action, Container):
            return [*action.command, *action.args] if action.command is not None else []
        if isinstance(action, Script):
            script = self.files.add(place.name, action.source)
            return [*action.interpreter, script, *action.args]
        assert isinstance(action, Python)
        source = function_script(action, step.outputs, place.origin, OUTPUT_BYTES)
        return ["python3", self.files.add(f"{place.name}.py", source), *function_arguments(action)]

    def _shim_words(self, step: Step) -> list[str] | None:
        """What the shim has to do, or None where Argo needs no help. A function's own program types its outputs."""
        if not step.outputs:
            return None
        values = [output for output in step.outputs.values() if not output.artifact]
        function = isinstance(step.action, Python)
        defaults = any(output.default is not MISSING for output in values)
        artifacts = len(values) < len(step.outputs) and not function
        if function and not defaults:
            return None
        words = step_words(
            step.outputs,
            stdout=step.stdout,
            typed=bool(values) and not function,
            defaults=defaults,
            backoff=None,
            artifacts=artifacts,
            limit=OUTPUT_BYTES,
        )
        return words or None

    def _mounts(self, step: Step, place: Place, body: Object, files: bool) -> list[Object]:
        mounts: list[Object] = []
        if self.artifacts and not self.stored:
            self._artifact_mounts(step, place, body, mounts)
        if files:
            mounts.append({"name": FILES_VOLUME, "mountPath": FILES, "readOnly": True})
        for path, mount in step.mounts.items():
            entry: Object = {"name": volume_name(mount.volume), "mountPath": path}
            if mount.sub_path:
                entry["subPath"] = mount.sub_path
            if mount.read_only:
                entry["readOnly"] = True
            mounts.append(entry)
        return mounts

    def _artifact_mounts(self, step: Step, place: Place, body: Object, mounts: list[Object]) -> None:
        """The run's volume of artifacts: what the step writes, and what it reads."""
        if any(output.artifact for output in step.outputs.values()):
            mounts.append({"name": ARTIFACTS_VOLUME, "mountPath": OUTPUTS, "subPath": place.step})
            body["initContainers"] = [self._open_folder(mounts[0])]
        if place.reads.maybe:
            mounts.append({"name": ARTIFACTS_VOLUME, "mountPath": ARTIFACTS, "readOnly": True})
        if place.reads.gathered:
            items = {"name": ITEMS_VOLUME, "mountPath": ITEMS}
            body.setdefault("initContainers", []).append(self._gather(place, [*mounts[-1:], items]))
            mounts.append({**items, "readOnly": True})

    def _open_folder(self, mount: Object) -> Object:
        """The kubelet makes the folder for root alone; and what an earlier attempt left must not be there."""
        text = f"rm -rf {OUTPUTS}/* {OUTPUTS}/.[!.]*; chmod 0777 {OUTPUTS}"
        return {
            "name": "open-folder",
            "image": self.options.helper_image,
            "command": ["sh", "-c", text],
            "volumeMounts": [mount],
        }

    def _gather(self, place: Place, mounts: list[Object]) -> Object:
        """The artifacts of all items of a foreach, by number in one folder."""
        text = (
            'while [ $# -gt 0 ]; do mkdir -p "$1/$3"; for item in "$2"[[]*[]]; do '
            'number=${item##*[[]}; ln -s "$item/$3" "$1/$3/${number%]}"; done; shift 3; done'
        )
        words = [
            word for step, output in place.reads.gathered for word in (f"{ITEMS}/{step}", f"{ARTIFACTS}/{step}", output)
        ]
        return {
            "name": "gather-items",
            "image": self.options.helper_image,
            "command": ["sh", "-c", static(text), "flowcore", *words],
            "volumeMounts": mounts,
        }

    # Everything else

    def _resource(self, manifest: Manifest, inputs: Inputs, scope: Scope) -> Object:
        from flowcore_argo.manifests import condition, resource

        fields = resource(manifest.object, inputs, scope)
        if manifest.success_when is not None:
            fields["successCondition"] = condition(all_of(manifest.success_when))
        if manifest.failure_when is not None:
            fields["failureCondition"] = condition(any_of(manifest.failure_when))
        return {"resource": fields}

    def _memoize(self, step: Step, place: Place, inputs: Inputs, scope: Scope) -> Object:
        assert step.cache is not None
        scoped = f"{self.workflow}\n{place.origin.replace('[*]', '')}\n"
        code = f"sprig.sha256sum({string_literal(scoped)} + {template_code(step.cache.key, scope)})"
        name = inputs.add("cache-key", tag(code))
        cache: Object = {
            "key": "{{workflow.namespace}}-" + "{{inputs.parameters." + name + "}}",
            "cache": {"configMap": {"name": f"flowcore-{place.name}"[:63].rstrip("-")}},
        }
        cache["maxAge"] = FOR_EVER if step.cache.max_age is None else f"{step.cache.max_age:g}s"
        return cache


@define
class Words:
    """Writes the texts of one container, and notes the inputs that they need."""

    inputs: Inputs
    scope: Scope

    def text(self, text: Text) -> str:
        """Text as the kubelet has to find it."""
        if isinstance(text, str):
            return static(text)
        parts = list(text.parts)
        pieces = []
        for index, part in enumerate(parts):
            follows = index + 1 < len(parts) and not isinstance(parts[index + 1], str)
            pieces.append(static(part, follows) if isinstance(part, str) else self.value(part))
        return "".join(pieces)

    def image(self, text: Text) -> str:
        """An image's name, which the kubelet does not expand: no brace of a value can come through."""
        return text if isinstance(text, str) else self.text(text)

    def value(self, expr: Expr) -> str:
        """A reference to the input that holds an expression's value."""
        if isinstance(expr, Ref):
            if expr.kind == "run.id":
                return RUN_NAME
            if expr.kind == "own":
                return f"{OUTPUTS}/{expr.name}"
        code = alone_code(expr, self.scope)
        if code.type.name in PLAIN_TYPES:
            argument = tag(code.text)
        else:
            argument = handed_over(text_code(expr, self.scope))
        # As an expression: what Argo puts in the place of a plain reference is no JSON if it holds control characters.
        return tag(member("inputs.parameters", self.inputs.add(input_name(expr), argument)))


def input_name(expr: Expr) -> str:
    """A readable name for an expression's value; two that are the same get different ones where they are used."""
    if isinstance(expr, Get):
        return f"{input_name(expr.base)}-{expr.key}"
    if not isinstance(expr, Ref):
        return "values" if isinstance(expr, ListOf) else "value"
    if expr.kind == "output":
        return f"{expr.step}-{expr.name}-path" if expr.path else f"{expr.step}-{expr.name}"
    return expr.name if expr.kind == "param" else expr.kind.replace(".", "-")


def retry_strategy(retry: Retry, makes: bool = False) -> Object:
    """Argo's retryStrategy; ``makes``: of a step that makes an object."""
    causes = OF_MANIFESTS if makes else RETRY_ONLY
    strategy: Object = {"limit": str(retry.limit), "retryPolicy": "Always"}
    if retry.backoff is not None:
        strategy["backoff"] = {"duration": f"{retry.backoff.initial:g}s", "factor": str(retry.backoff.factor)}
        if retry.backoff.max is not None:
            strategy["backoff"]["cap"] = f"{retry.backoff.max:g}s"
    if retry.only and set(retry.only) != set(RETRY_ONLY):
        strategy["expression"] = " || ".join(f"({causes[kind]})" for kind in causes if kind in retry.only)
    return strategy


def _says(*patterns: str) -> str:
    return f"lastRetry.message matches '{'|'.join(patterns)}'"


_TIMED_OUT: Final = ("longer than the specified deadline", "DeadlineExceeded")
_NOT_RUN: Final = ("failed to find name in PATH", EVICTED)
RETRY_ONLY: Final = {
    "failed": (
        f"lastRetry.status == 'Failed' && !({_says(*_TIMED_OUT, *_NOT_RUN)})"
        " || lastRetry.status == 'Error' && lastRetry.exitCode == '0'"
    ),
    "error": f"lastRetry.status == 'Error' && lastRetry.exitCode != '0' || {_says(*_NOT_RUN)}",
    "timeout": _says(*_TIMED_OUT),
}
"""What each word of ``retry.only`` asks of the attempt before. An output that was not written is Argo's Error with exit
code 0; a program that is not in the image, and a pod that its machine evicted, are its Failed."""

OF_MANIFESTS: Final = {
    "failed": _says(FAILURE_HOLDS),
    "error": f"!({_says(FAILURE_HOLDS, *_TIMED_OUT)})",
    "timeout": _says(*_TIMED_OUT),
}
"""The same where the attempt made an object."""

FOR_EVER: Final = "876000h"
"""Argo wants an age: a hundred years."""

_PULL: Final = {"always": "Always", "if-missing": "IfNotPresent", "never": "Never"}


def volume_name(name: str) -> str:
    """The pod's name of a volume of the document."""
    return mangle(f"volume-{name}", DNS_LABEL)


def _env_value(value: Any, words: Words) -> Object:
    if isinstance(value, SecretKey):
        return {"valueFrom": {"secretKeyRef": {"name": value.secret, "key": value.key}}}
    if isinstance(value, ConfigMapKey):
        return {"valueFrom": {"configMapKeyRef": {"name": value.config_map, "key": value.key}}}
    return {"value": words.text(value)}


def _resources(step: Step) -> Object:
    names = {"gpu": "nvidia.com/gpu"}
    found: Object = {}
    if step.resources:
        found["limits"] = {names.get(name, name): amount for name, amount in step.resources.items()}
    requests = {**step.resources, **step.requests}
    if step.requests:
        found["requests"] = {names.get(name, name): amount for name, amount in requests.items()}
    return found


def _add(template: Object, side: str, artifacts: list[Object]) -> None:
    if artifacts:
        template.setdefault(side, {})["artifacts"] = artifacts


def _output(name: str, kind: Type) -> Object:
    """An output that Argo reads from its file; the type, where it is no text, is written beside it."""
    note = {} if kind.name == "string" else {"description": str(kind)}
    return {"name": name, **note, "valueFrom": {"path": f"{OUTPUTS}/{name}"}}
