"""A workflow as the Python program that a person would have written for it: the inverse of tracing, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from flowcore.expressions import unparse
from flowcore.model import (
    MISSING,
    ConfigMapKey,
    Container,
    Manifest,
    Nested,
    Output,
    Param,
    Python,
    Script,
    SecretKey,
    Step,
    Type,
    Workflow,
)
from flowcore.syntax import Template

PLAIN = [
    "image",
    "description",
    "working_dir",
    "user",
    "image_pull_policy",
    "resources",
    "requests",
    "labels",
    "annotations",
    "node_selector",
    "tolerations",
    "backends",
    "stdout",
    "parallelism",
    "continue_on_failure",
]


def program_of(workflow: Workflow) -> str:
    """The text of a program whose only workflow, called ``main``, traces to this one."""
    lines = [
        "from datetime import timedelta",
        "import flowcore as flow",
        "from flowcore.model import *",
        "",
    ]
    lines += _workflow("main", workflow, whole=True)
    return "\n".join(lines) + "\n"


def _workflow(name: str, workflow: Workflow, whole: bool) -> list[str]:
    options = [f"description={workflow.description!r}", f"params={_mapping(workflow.params, _param)}"]
    if whole:
        options.append(f"name={workflow.name!r}")
        for key in ("parallelism", "fail_fast", "service_account"):
            if getattr(workflow, key) is not None:
                options.append(f"{key}={getattr(workflow, key)!r}")
        for key in ("timeout", "ttl"):
            if getattr(workflow, key) is not None:
                options.append(f"{key}={_duration(getattr(workflow, key))}")
        for key in ("labels", "annotations", "backends", "image_pull_secrets"):
            options.append(f"{key}={_data(getattr(workflow, key))}")
        volumes = _mapping(workflow.volumes, lambda volume: f"Volume({volume.kind!r}, {volume.value!r})")
        options.append(f"volumes={volumes}")
    body = [f"defaults = {_defaults(workflow)}", f"flow.configure(env={_env(workflow.env)}, defaults=defaults)"]
    for key, step in workflow.steps.items():
        body += _step(key, step)
    if workflow.on_exit:
        body.append("with flow.on_exit():")
        for key, step in workflow.on_exit.items():
            body += ["    " + line for line in _step(key, step)]
    body.append(f"return {_value(dict(workflow.outputs))}")
    return [f"@flow.workflow({', '.join(options)})", f"def {name}():", *("    " + line for line in body)]


def _step(name: str, step: Step) -> list[str]:
    options: list[str] = [f"needs={dict(step.needs)!r}"] if step.needs else []
    action, before = step.action, []
    if step.when is not None:
        options.append(f"when={_expr(step.when)}")
    if step.foreach is not MISSING:
        options.append(f"foreach={_value(step.foreach)}")
    if step.repeat is not None:
        repeat = step.repeat
        options.append(
            f"repeat=flow.Repeat(until={_expr(repeat.until)}, max={repeat.max}, delay={_duration(repeat.delay)})"
        )
    if step.outputs or not isinstance(action, Nested):
        options.append(f"outputs={_mapping(step.outputs, _output)}")
    options += [f"env={_env(step.env)}"] if step.env else []
    options += [f"env_from={step.env_from!r}"] if step.env_from else []
    for key in ("timeout", "pending_timeout"):
        if getattr(step, key) is not None:
            options.append(f"{key}={_duration(getattr(step, key))}")
    options += [f"retry={step.retry!r}"] if step.retry is not None else []
    if step.cache is not None:
        age = "None" if step.cache.max_age is None else _duration(step.cache.max_age)
        options.append(f"cache=flow.Cache({_value(step.cache.key)}, max_age={age})")
    options += [f"mounts={dict(step.mounts)!r}"] if step.mounts else []
    empty = Step(Container())
    for key in PLAIN:
        if getattr(step, key) != getattr(empty, key):
            options.append(f"{key}={_value(_data_of(getattr(step, key)))}")
    if isinstance(action, Container):
        command = "None" if action.command is None else _value(list(action.command))
        words = ["flow.container", f"command={command}", f"args={_value(list(action.args))}"]
    elif isinstance(action, Script):
        interpreter = list(action.interpreter)
        words = [
            "flow.script",
            repr(action.source),
            f"interpreter={interpreter!r}",
            f"args={_value(list(action.args))}",
        ]
    elif isinstance(action, Python):
        args = f"args={_value(dict(action.args))}"
        words = ["flow.python", repr(action.source), f"function={action.function!r}", args]
    elif isinstance(action, Manifest):
        words = ["flow.manifest", _value(dict(action.object))]
        for key in ("success_when", "failure_when"):
            if getattr(action, key) is not None:
                words.append(f"{key}={unparse(getattr(action, key))!r}")
    else:
        inner = "inner_" + name.replace("-", "_")
        before = _workflow(inner, action.workflow, whole=False)
        words = ["flow.nested", inner, _value(dict(action.args))]
    return [*before, f"{words[0]}({', '.join([repr(name), *words[1:], *options])})"]


def _defaults(workflow: Workflow) -> str:
    given = {
        key: value
        for key, value in attrs.asdict(workflow.defaults, recurse=False).items()
        if value not in (None, {}, ()) and key not in ("timeout", "pending_timeout", "retry")
    }
    found = [f"{key!r}: {_value(_data_of(value))}" for key, value in given.items()]
    for key in ("timeout", "pending_timeout"):
        if getattr(workflow.defaults, key) is not None:
            found.append(f"{key!r}: {_duration(getattr(workflow.defaults, key))}")
    if workflow.defaults.retry is not None:
        found.append(f"'retry': {workflow.defaults.retry!r}")
    return "{" + ", ".join(found) + "}"


def _mapping(values: Mapping[str, Any], write: Any) -> str:
    return "{" + ", ".join(f"{key!r}: {write(value)}" for key, value in values.items()) + "}"


def _param(param: Param) -> str:
    default = "" if param.default is MISSING else f"default={param.default!r}, "
    return f"flow.Param({_type(param.type)}, {default}description={param.description!r})"


def _output(output: Output) -> str:
    default = "" if output.default is MISSING else f"default={output.default!r}, "
    return (
        f"flow.Output({_type(output.type)}, {default}artifact={output.artifact!r}, description={output.description!r})"
    )


def _type(kind: Type) -> str:
    plain = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "list": "list", "object": "dict"}
    if kind.items is None:
        return plain.get(kind.name, "object")
    # Items of no particular type are a list like any other to Python, so this one is spelled out.
    return repr(kind) if kind.items == Type("any") else f"list[{_type(kind.items)}]" if _plain(kind) else repr(kind)


def _plain(kind: Type) -> bool:
    return kind.items is None or (kind.items != Type("any") and _plain(kind.items))


def _duration(seconds: float) -> str:
    return f"timedelta(seconds={seconds!r})"


def _env(env: Mapping[str, Any]) -> str:
    def write(value: Any) -> str:
        if isinstance(value, SecretKey):
            return f"flow.secret({value.secret!r}, {value.key!r})"
        if isinstance(value, ConfigMapKey):
            return f"flow.config_map({value.config_map!r}, {value.key!r})"
        return _value(value)

    return _mapping(env, write)


def _data_of(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value


def _data(value: Any) -> str:
    return repr(_data_of(value))


def _value(value: Any) -> str:
    if isinstance(value, Template):
        if value.alone is not None:
            return _expr(value.alone)
        parts = [repr(part) if isinstance(part, str) else f"str({_expr(part)})" for part in value.parts]
        return " + ".join(parts)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_value(item)}" for key, item in value.items()) + "}"
    return repr(value)


def _expr(expr: Any) -> str:
    return f"flow.expr({unparse(expr)!r})"
