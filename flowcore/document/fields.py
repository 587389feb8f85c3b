"""Every key of a document: one table a mapping, from which reader, writer and JSON Schema are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from flowcore.document.kinds import (
    BOOLEAN,
    CONDITION,
    DATA,
    DURATION,
    NAME_PATTERN,
    OBJECT_CONDITION,
    PLAIN,
    RAW,
    TEXT,
    VALUE,
    WRONG,
    Choice,
    Field,
    IntegerKind,
    Kind,
    ListOf,
    MapOf,
    OneKey,
    Reading,
    Record,
    Schema,
    TextKind,
    Values,
    WordKind,
    spelling,
    value_of,
)
from flowcore.document.source import Node, describe
from flowcore.errors import Path
from flowcore.model import (
    ANY,
    INTEGER,
    LIST,
    MISSING,
    NUMBER,
    OBJECT,
    STRING,
    Backoff,
    Cache,
    ConfigMapKey,
    Container,
    Defaults,
    EnvFrom,
    Manifest,
    Missing,
    Mount,
    Nested,
    Output,
    Param,
    Python,
    Repeat,
    Retry,
    Script,
    SecretKey,
    Step,
    Type,
    Volume,
    Workflow,
)
from flowcore.model import (
    BOOLEAN as BOOLEAN_TYPE,
)
from flowcore.names import nearest
from flowcore.syntax import Json, Template

VERSION: Final = 1
TYPE_NAMES: Final = ("string", "integer", "number", "boolean", "list", "object", "any")
_TYPE = WordKind(
    TYPE_NAMES,
    {
        **dict.fromkeys(("str", "text"), "string"),
        **dict.fromkeys(("int", "long"), "integer"),
        **dict.fromkeys(("float", "double", "decimal"), "number"),
        **dict.fromkeys(("array", "tuple", "sequence"), "list"),
        **dict.fromkeys(("dict", "map", "mapping", "json"), "object"),
    },
)


# Types, params, outputs


class _ItemsKind(Kind):
    """The type of a list's elements: a word, or ``{type, items}``."""

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        return (_ITEMS if isinstance(node, dict) else _TYPE).read(reading, node, path)

    def write(self, value: Any) -> Json:
        return _ITEMS.write(value) if value.items else value.name

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {"anyOf": [_TYPE.schema(definitions), _ITEMS.schema(definitions)]}


def _type(reading: Reading, values: Values, path: Path) -> Type | None:
    """The type that ``type`` and ``items`` say, if they say one."""
    items = values.get("items")
    if items is not None and values.get("type") != "list":
        reading.problem((*path, "items"), "items is for lists; add type: list")
    if "type" not in values:
        return None
    if isinstance(items, str):
        items = Type(items)  # type: ignore[arg-type]
    return Type(values["type"], items if values["type"] == "list" else None)


def _items_schema(schema: Schema) -> None:
    schema["dependentSchemas"] = {"items": {"required": ["type"], "properties": {"type": {"const": "list"}}}}


def _type_parts(type: Type) -> Values:
    return {"type": type.name, **({"items": type.items} if type.items else {})}


class _Node(Kind):
    """Left as it is, to be read when its type is known."""

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        return node

    def write(self, value: Any) -> Json:
        return DATA.write(value)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {}


def _default(reading: Reading, node: Node, type: Type | None, path: Path) -> Any:
    """A default as data; where its type is text, by its source spelling."""
    if type == STRING and not isinstance(node, str) and (text := spelling(node)) is not None:
        return text
    if type is not None and type.name == "list" and isinstance(node, list):
        items = [_default(reading, item, type.items, (*path, i)) for i, item in enumerate(node)]
        return WRONG if any(item is WRONG for item in items) else items
    return DATA.read(reading, node, path)


def type_of_default(value: Json) -> Type:
    """The type that a param has by its default."""
    if isinstance(value, bool):
        return BOOLEAN_TYPE
    if isinstance(value, int):
        return INTEGER
    if isinstance(value, float):
        return NUMBER
    if isinstance(value, str):
        return STRING
    if isinstance(value, list):
        return LIST
    return OBJECT if isinstance(value, dict) else ANY


def _build_items(reading: Reading, values: Values, node: Node, path: Path) -> Any:
    return _type(reading, values, path)


def _build_param(reading: Reading, values: Values, node: Node, path: Path) -> Any:
    type = _type(reading, values, path)
    default: Any = MISSING
    if "default" in values:
        default = _default(reading, values["default"], type, (*path, "default"))
        if default is WRONG:
            return WRONG
        if type is None:
            type = type_of_default(default)
    return Param(type or STRING, default, values.get("description", ""))


def _param_parts(param: Param) -> Values:
    return {**_type_parts(param.type), **_declared(param)}


def _build_output(reading: Reading, values: Values, node: Node, path: Path) -> Any:
    type = _type(reading, values, path) or STRING
    default: Any = MISSING
    if "default" in values:
        default = _default(reading, values["default"], type, (*path, "default"))
        if default is WRONG:
            return WRONG
    return Output(type, default, values.get("artifact", False), values.get("description", ""))


def _output_parts(output: Output) -> Values:
    parts = _type_parts(output.type) if output.type != STRING else {}
    parts.update(_declared(output))
    if output.artifact:
        parts["artifact"] = True
    return parts


def _declared(value: Param | Output) -> Values:
    parts: Values = {} if isinstance(value.default, Missing) else {"default": value.default}
    if value.description:
        parts["description"] = value.description
    return parts


_ITEMS: Final = Record(
    "items",
    "The type of a list's elements.",
    (
        Field("type", _TYPE, "The elements' type.", required=True),
        Field("items", _ItemsKind(), "The type of their elements, if they are lists."),
    ),
    Type,
    build=_build_items,
    parts=_type_parts,
    more=_items_schema,
)
_TYPED = (
    Field("type", _TYPE, "The type: string, integer, number, boolean, list, object or any."),
    Field("items", _ItemsKind(), "The type of a list's elements; without it they are any."),
)
_PARAM_RECORD: Final = Record(
    "param",
    "A param in its long form. Without a default it must be given; without a type it has its default's, or string.",
    (
        *_TYPED,
        Field("default", _Node(), "Its value if none is given."),
        Field("description", RAW, "What it is for."),
    ),
    Param,
    build=_build_param,
    parts=_param_parts,
    more=_items_schema,
    advice="write {type: string} for a param that must be given, or its default",
)


class _ParamKind(Kind):
    """A param: its default alone, which is the short form, or a mapping, which is the long one."""

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        if isinstance(node, dict) or value_of(node) is None:
            return _PARAM_RECORD.read(reading, node, path)
        default = DATA.read(reading, node, path)
        return WRONG if default is WRONG else Param(type_of_default(default), default)

    def write(self, value: Any) -> Json:
        default = value.default
        # A whole float may lose its point on the way through other tools, and with it its type.
        whole = isinstance(default, float) and default.is_integer()
        short = not isinstance(default, Missing | dict) and default is not None and not value.description and not whole
        if short and type_of_default(default) == value.type:
            return DATA.write(default)
        return _PARAM_RECORD.write(value)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {
            "anyOf": [
                {
                    "description": "The default; its type is the param's.",
                    "type": ["string", "number", "boolean", "array"],
                },
                _PARAM_RECORD.schema(definitions),
            ]
        }


_PARAMS = MapOf(_ParamKind(), names=True)
_OUTPUT: Final = Record(
    "output",
    "What a step leaves behind: a value (the text of a file) or an artifact (a file or a folder).",
    (
        *_TYPED,
        Field("default", _Node(), "Its value if the step writes none, or does not run."),
        Field("artifact", BOOLEAN, "Whether it is a file or a folder instead of a value."),
        Field("description", RAW, "What it is."),
    ),
    Output,
    build=_build_output,
    parts=_output_parts,
    more=_items_schema,
    advice="write {} for a string",
)
_OUTPUTS = MapOf(_OUTPUT, names=True, advice="write a name with {} for each output")


# Environment, needs, volumes


def _env_key(field: str, what: str, model: type[Any]) -> Record:
    return Record(
        f"{field}_key",
        f"The value of one key of a {what}.",
        (
            Field(field, PLAIN, f"The {what}'s name.", required=True),
            Field("key", PLAIN, f"The key in the {what}.", required=True),
        ),
        model,
    )


_SECRET_KEY: Final = _env_key("secret", "secret", SecretKey)
_CONFIG_MAP_KEY: Final = _env_key("config_map", "config map", ConfigMapKey)


class _EnvKind(Kind):
    """The value of an environment variable."""

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        if not isinstance(node, dict):
            return TEXT.read(reading, node, path)
        if "secret" in node and "config_map" in node:
            return reading.problem(path, "found secret and config_map, wanted one of them; remove the other")
        if "secret" not in node and "config_map" not in node:
            wanted = "text, {secret: NAME, key: KEY} or {config_map: NAME, key: KEY}"
            near = next((f"; did you mean {near}?" for key in node if (near := nearest(key, _ENV_KEYS))), "")
            return reading.found(path, node, wanted + near)
        return (_SECRET_KEY if "secret" in node else _CONFIG_MAP_KEY).read(reading, node, path)

    def write(self, value: Any) -> Json:
        if isinstance(value, SecretKey):
            return _SECRET_KEY.write(value)
        return _CONFIG_MAP_KEY.write(value) if isinstance(value, ConfigMapKey) else TEXT.write(value)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {"anyOf": [kind.schema(definitions) for kind in (TEXT, _SECRET_KEY, _CONFIG_MAP_KEY)]}


_ENV_KEYS = ("secret", "config_map", "key")
_ENV = MapOf(_EnvKind())
_ENV_FROM = ListOf(
    OneKey(
        (
            Field("secret", PLAIN, "A secret's name."),
            Field("config_map", PLAIN, "A config map's name."),
        ),
        make=lambda key, value: EnvFrom("secret" if key == "secret" else "config_map", value),
        parts=lambda env: (env.kind, env.name),
    ),
    advice="write [{secret: NAME}]",
)

_NEED = WordKind(("met", "succeeded", "failed", "skipped", "finished"))


class _NeedsKind(Kind):
    """A list of steps, or a mapping from step to how it must have ended."""

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        if isinstance(node, dict):
            return MapOf(_NEED).read(reading, node, path)
        if not isinstance(node, list):
            text = spelling(node)
            return reading.found(path, node, "a list of steps", f"write [{text}]" if text else "write [NAME]")
        needs: dict[str, str] = {}
        right = True
        for i, item in enumerate(node):
            if isinstance(item, dict) and len(item) == 1 and (status := spelling(next(iter(item.values())))):
                advice = f"write all needs as a mapping, {{{next(iter(item))}: {status}}}"
                reading.found((*path, i), item, "a step's name", advice)
                right = False
                continue
            name = PLAIN.read(reading, item, (*path, i))
            if name is WRONG:
                right = False
            elif name in needs:
                reading.problem((*path, i), f"{name} is there already; name each step once")
                right = False
            else:
                needs[name] = "met"
        return needs if right else WRONG

    def write(self, value: Any) -> Json:
        return list(value) if all(need == "met" for need in value.values()) else dict(value)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {
            "anyOf": [
                {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
                {"type": "object", "additionalProperties": _NEED.schema(definitions)},
            ]
        }


class _EmptyKind(Kind):
    """``{}``."""

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        return "" if isinstance(node, dict) and not node else reading.found(path, node, "{}")

    def write(self, value: Any) -> Json:
        return {}

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {"type": "object", "maxProperties": 0}


_VOLUME = OneKey(
    (
        Field("size", PLAIN, "A new volume of this size for the run, such as 1Gi."),
        Field("claim", PLAIN, "A persistent volume claim that is there already."),
        Field("host_path", PLAIN, "A folder of the machine that runs the step."),
        Field("secret", PLAIN, "A secret, its keys as files."),
        Field("config_map", PLAIN, "A config map, its keys as files."),
        Field("empty", _EmptyKind(), "A folder that is empty when a step starts."),
    ),
    make=lambda key, value: Volume(key, value),  # type: ignore[arg-type]
    parts=lambda volume: (volume.kind, volume.value),
)
_MOUNT_RECORD: Final = Record(
    "mount",
    "A volume in a step's file tree.",
    (
        Field("volume", PLAIN, "The volume's name.", required=True),
        Field("sub_path", PLAIN, "The part of the volume that is mounted."),
        Field("read_only", BOOLEAN, "Whether the step may only read it."),
    ),
    Mount,
)


class _MountKind(Kind):
    """A volume's name, or a mapping."""

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        if isinstance(node, dict):
            return _MOUNT_RECORD.read(reading, node, path)
        name = PLAIN.read(reading, node, path)
        return WRONG if name is WRONG else Mount(name)

    def write(self, value: Any) -> Json:
        return PLAIN.write(value.volume) if value == Mount(value.volume) else _MOUNT_RECORD.write(value)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {"anyOf": [PLAIN.schema(definitions), _MOUNT_RECORD.schema(definitions)]}


# Retry, repeat, cache, placement

_BACKOFF: Final = Record(
    "backoff",
    "The wait before retry n: min(initial * factor^(n-1), max).",
    (
        Field("initial", DURATION, "The wait before the first retry.", required=True),
        Field("factor", IntegerKind(1), "What each further wait is multiplied by.", extra={"default": 1}),
        Field("max", DURATION, "The longest wait."),
    ),
    Backoff,
)
_RETRY: Final = Record(
    "retry",
    "More attempts after a failed one.",
    (
        Field("limit", IntegerKind(0), "How many more attempts.", required=True),
        Field("backoff", _BACKOFF, "The wait between two attempts; none by default."),
        Field("only", ListOf(WordKind(("failed", "error", "timeout"))), "What is tried again; all three by default."),
    ),
    Retry,
    advice="write {limit: 2}",
)
_REPEAT: Final = Record(
    "repeat",
    "The step runs again and again until a condition on its outputs holds.",
    (
        Field("until", CONDITION, "The end, over this step's outputs: outputs.ready == 'yes'.", required=True),
        Field("max", IntegerKind(1), "The most iterations; at most 100.", required=True, extra={"maximum": 100}),
        Field("delay", DURATION, "The wait between two iterations."),
    ),
    Repeat,
)
_CACHE: Final = Record(
    "cache",
    "Reuse of the outputs of an earlier success.",
    (
        Field("key", TEXT, "What the outputs depend on.", required=True),
        Field("max_age", DURATION, "How old they may be."),
    ),
    Cache,
    advice="write {key: TEXT}",
)


class _TolerationKind(Kind):
    """A toleration as Kubernetes has it; its texts by source spelling."""

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        if not isinstance(node, dict):
            return reading.found(path, node, "a mapping such as {key: gpu, operator: Exists, effect: NoSchedule}")
        values = {
            key: (RAW if key in ("key", "operator", "value", "effect") else DATA).read(reading, value, (*path, key))
            for key, value in node.items()
        }
        return WRONG if any(value is WRONG for value in values.values()) else values

    def write(self, value: Any) -> Json:
        return DATA.write(value)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {"type": "object"}


_TEXTS = MapOf(PLAIN)
_BACKENDS = MapOf(MapOf(DATA))
_QUANTITIES = "by resource: cpu (500m, 2), memory (256Mi), gpu, or any other that Kubernetes knows."
_PLACEMENT = (
    Field("working_dir", PLAIN, "The folder in which the process starts."),
    Field("user", PLAIN, "The user, or user:group, as whom it runs."),
    Field("image_pull_policy", WordKind(("always", "if-missing", "never")), "When the image is pulled."),
    Field("resources", _TEXTS, f"Limits (and requests, unless given) {_QUANTITIES}"),
    Field("requests", _TEXTS, f"What is reserved, {_QUANTITIES}"),
    Field("labels", _TEXTS, "Labels, for backends that have the notion."),
    Field("annotations", _TEXTS, "Annotations, for backends that have the notion."),
    Field("node_selector", _TEXTS, "Labels that a machine must have."),
    Field("tolerations", ListOf(_TolerationKind()), "Taints of machines that are tolerated, as in Kubernetes."),
)
_LIMITS = (
    Field("timeout", DURATION, "The longest time of one attempt; unlimited by default."),
    Field("pending_timeout", DURATION, "The longest wait for an image, a secret or a place to run; 10m by default."),
    Field("retry", _RETRY, "More attempts after a failed one; none by default."),
)
_IMAGE = Field("image", TEXT, "The container image.")
_DEFAULTS: Final = Record(
    "defaults",
    "What every step has unless it says otherwise.",
    (_IMAGE, *_LIMITS, *_PLACEMENT),
    Defaults,
)


# Steps

_PYTHON: Final = Record(
    "python",
    "A Python function; its source travels with the workflow, and the image needs python3 only.",
    (
        Field("function", PLAIN, "The function's name.", required=True),
        Field("source", RAW, "The text of the module that has it.", required=True),
        Field("args", MapOf(VALUE), "Its keyword arguments; any string in them may hold ${{ }}."),
    ),
    Python,
)


class _ListOrExpression(Kind):
    """The list of a foreach."""

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        wanted = 'a list, or one expression that gives a list, such as "${{ params.rates }}"'
        if not isinstance(node, list | str):
            return reading.found(path, node, wanted)
        value = VALUE.read(reading, node, path)
        if value is WRONG or isinstance(value, list) or (isinstance(value, Template) and value.alone is not None):
            return value
        return reading.found(path, node, wanted)

    def write(self, value: Any) -> Json:
        return VALUE.write(value)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {"anyOf": [{"type": "array"}, {"type": "string", "pattern": r"^\$\{\{[\s\S]*\}\}$"}]}


class _Origin(Kind):
    """Text that only the lowering writes."""

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        return RAW.read(reading, node, path) if reading.lowered else MISSING


_ORIGIN = _Origin()
_ACTIONS = ("command", "script", "python", "workflow", "manifest")
_PYTHON_OUTPUTS: Final = {"result": Output(ANY)}


def _build_step(reading: Reading, values: Values, node: Node, path: Path) -> Any:
    given = [key for key in _ACTIONS if key in node]
    if len(given) > 1:
        found = f"{', '.join(given[:-1])} and {given[-1]}"
        reading.problem(path, f"a step is exactly one of {', '.join(_ACTIONS)}; found {found}, keep one")
        return _without_action(values)
    if not given and "image" not in node:
        reading.problem(path, f"nothing to run; add one of {', '.join(_ACTIONS)}, or an image")
        return _without_action(values)
    kind = given[0] if given else "image"
    _extras(reading, kind, node, path)
    args = values.pop("args", {} if kind == "workflow" else ())
    takes_args = kind in ("command", "script", "image", "workflow")
    if takes_args and (kind == "workflow") != isinstance(args, dict):
        wanted = "a mapping, the nested workflow's params" if kind == "workflow" else "a list"
        reading.found((*path, "args"), node["args"], wanted)
        return _without_action(values)
    parts = {key: values.pop(key, None) for key in (*_ACTIONS, "interpreter", "success_when", "failure_when")}
    for lowered in ("origin", "role"):
        if values.get(lowered) is MISSING:
            del values[lowered]
    if kind != "image" and parts[kind] is None:
        return _without_action(values)
    action: Any
    if kind == "script":
        action = Script(parts["script"], parts["interpreter"] or shebang(parts["script"]), args)
    elif kind == "python":
        action = parts["python"]
        values.setdefault("outputs", _PYTHON_OUTPUTS)
    elif kind == "workflow":
        action = Nested(parts["workflow"], args)
    elif kind == "manifest":
        action = Manifest(parts["manifest"], parts["success_when"], parts["failure_when"])
    else:
        action = Container(parts["command"], args)
    return Step(action, **values)


def _without_action(values: Values) -> Step:
    """A step that cannot be read whole, so that whoever names it finds it; its problem is collected already."""
    known = {field.name for field in attrs.fields(Step)} - {"action", "origin", "role"}
    return Step(Container(), **{key: value for key, value in values.items() if key in known})


def _extras(reading: Reading, kind: str, node: Node, path: Path) -> None:
    """Keys that go with another kind of step."""
    if "interpreter" in node and kind != "script":
        reading.problem((*path, "interpreter"), "interpreter goes with script; remove it")
    for key in ("success_when", "failure_when"):
        if key in node and kind != "manifest":
            reading.problem((*path, key), f"{key} goes with manifest; remove it")
    if "args" in node and kind == "python":
        reading.problem((*path, "args"), "a function's arguments are in python.args; move them there")
    if "args" in node and kind == "manifest":
        reading.problem((*path, "args"), "a manifest has no args; remove them")


def shebang(source: str) -> tuple[str, ...]:
    """The interpreter of a script that names none: what its ``#!`` line says, as the kernel reads it, or ``sh -e``."""
    line = source.split("\n", 1)[0]
    words = line[2:].strip().split(None, 1) if line.startswith("#!") else []
    return tuple(words) or ("sh", "-e")


def _step_parts(step: Step) -> Values:
    parts = _STEP.set_parts(step)
    action = parts.pop("action")
    if isinstance(action, Container):
        if action.command is not None:
            parts["command"] = action.command
    elif isinstance(action, Script):
        parts["script"] = action.source
        if action.interpreter != shebang(action.source):
            parts["interpreter"] = action.interpreter
    elif isinstance(action, Python):
        parts["python"] = action
        if step.outputs == _PYTHON_OUTPUTS:
            del parts["outputs"]
        else:
            parts["outputs"] = step.outputs
    elif isinstance(action, Nested):
        parts["workflow"] = action.workflow
    else:
        parts["manifest"] = action.object
        for key in ("success_when", "failure_when"):
            if (condition := getattr(action, key)) is not None:
                parts[key] = condition
    if isinstance(action, Container | Script | Nested) and action.args:
        parts["args"] = action.args
    return parts


def _step_schema(schema: Schema) -> None:
    schema["oneOf"] = [
        *({"required": [key]} for key in _ACTIONS),
        {"required": ["image"], "not": {"anyOf": [{"required": [key]} for key in _ACTIONS]}},
    ]
    schema["dependentRequired"] = {
        "interpreter": ["script"],
        "success_when": ["manifest"],
        "failure_when": ["manifest"],
    }
    schema["allOf"] = [
        {
            "if": {"required": ["workflow"]},
            "then": {"properties": {"args": {"type": "object"}}},
            "else": {"properties": {"args": {"type": "array"}}},
        },
        {"not": {"required": ["python", "args"]}},
        {"not": {"required": ["manifest", "args"]}},
    ]


class _NestedKind(Kind):
    """A workflow inside a step; a class of its own, since the table of workflows needs that of steps."""

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        return _NESTED.read(reading, node, path)

    def write(self, value: Any) -> Json:
        return _NESTED.write(value)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return _NESTED.schema(definitions)


_COMMAND_ADVICE = "write [PROGRAM, ARGUMENT, ...], or script for a line of shell"
_STEP: Final = Record(
    "step",
    "One step: exactly one of command, script, python, workflow and manifest, or an image alone (its own entry point).",
    (
        Field("description", RAW, "What it does."),
        _IMAGE,
        Field("command", ListOf(TEXT, least=1, advice=_COMMAND_ADVICE), "The program and its arguments."),
        Field(
            "interpreter", ListOf(PLAIN, least=1, advice="write [python3]"), "What runs the script; default [sh, -e]."
        ),
        Field("script", RAW, "A script's text; it is never interpolated, values come by env and args."),
        Field("python", _PYTHON, "A Python function."),
        Field("workflow", _NestedKind(), "A workflow as a step."),
        Field("manifest", MapOf(VALUE), "A Kubernetes object to create."),
        Field("success_when", OBJECT_CONDITION, "The step has succeeded when this holds of the object."),
        Field("failure_when", OBJECT_CONDITION, "The step has failed when this holds of the object."),
        Field(
            "args",
            Choice(
                MapOf(VALUE), ListOf(TEXT, advice="write [ARGUMENT, ...]"), lambda value: isinstance(value, Mapping)
            ),
            "More arguments of the command, the script or the image's entry point; the params of a nested workflow.",
        ),
        Field("needs", _NeedsKind(), "The steps that come before, as a list, or by how each must have ended."),
        Field("when", CONDITION, "The step is skipped unless this holds."),
        Field("foreach", _ListOrExpression(), "The step runs once for each item of this list."),
        Field("parallelism", IntegerKind(1), "The most items of the foreach that run at once."),
        Field("repeat", _REPEAT, "The step runs until a condition holds."),
        Field("outputs", _OUTPUTS, "What the step leaves behind, by name."),
        Field("stdout", PLAIN, "The output that gets the standard output."),
        Field("env", _ENV, "Environment variables."),
        Field("env_from", _ENV_FROM, "Secrets and config maps whose keys all become environment variables."),
        *_LIMITS,
        Field("continue_on_failure", BOOLEAN, "Whether the run goes on as if the step had succeeded."),
        Field("cache", _CACHE, "Reuse of the outputs of an earlier success."),
        Field("mounts", MapOf(_MountKind()), "Volumes, by the path at which the step sees them."),
        *_PLACEMENT,
        Field("backends", _BACKENDS, "Settings that one backend alone reads, by its name."),
        Field("x-origin", _ORIGIN, "", attribute="origin"),
        Field("x-role", _ORIGIN, "", attribute="role"),
    ),
    Step,
    build=_build_step,
    parts=_step_parts,
    more=_step_schema,
)
_STEPS = MapOf(_STEP, names=True)


# Workflows


class _VersionKind(Kind):
    """The document's version."""

    def read(self, reading: Reading, node: Node, path: Path) -> Any:
        value = value_of(node)
        if value == VERSION and not isinstance(value, bool | float):
            return VERSION
        newer = isinstance(value, int) and not isinstance(value, bool) and value > VERSION
        message = f"found {describe(node)}, and this flowcore reads version {VERSION}"
        advice = "a newer flowcore is needed" if newer else f"write flowcore: {VERSION}"
        return reading.problem(path, f"{message}; {advice}", getattr(node, "at", None))

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {"const": VERSION}


def _build_workflow(reading: Reading, values: Values, node: Node, path: Path) -> Any:
    values.pop("flowcore", None)
    if values.get("outline") is MISSING:
        del values["outline"]
    return Workflow(**values)


def _workflow_parts(workflow: Workflow) -> Values:
    parts = _WORKFLOW.set_parts(workflow)
    parts.pop("places", None)
    return {"flowcore": VERSION, "name": workflow.name, "steps": workflow.steps, **parts}


_INNER = (
    Field("description", RAW, "What the workflow does."),
    Field("params", _PARAMS, "Params by name: a default (the short form), or {type, default, description, items}."),
    Field("defaults", _DEFAULTS, "What every step has unless it says otherwise."),
    Field("env", _ENV, "Environment variables of every step."),
    Field("steps", _STEPS, "The steps by name.", required=True),
    Field("outputs", MapOf(VALUE, names=True), "The workflow's outputs by name, over its steps' outputs."),
)
_OUTER = (
    Field("parallelism", IntegerKind(1), "How many steps run at once at most."),
    Field("timeout", DURATION, "The longest time of all ordinary steps together."),
    Field("fail_fast", BOOLEAN, "Whether new steps need not start after a failure; true by default."),
    Field("ttl", DURATION, "How long a run is kept after its end."),
    Field("labels", _TEXTS, "Labels, for backends that have the notion."),
    Field("annotations", _TEXTS, "Annotations, for backends that have the notion."),
    Field("service_account", PLAIN, "The Kubernetes service account of the steps."),
    Field("image_pull_secrets", ListOf(PLAIN, advice="write [NAME]"), "Secrets with which images are pulled."),
    Field("volumes", MapOf(_VOLUME, names=True), "Volumes that steps can mount, by name."),
    Field("on_exit", _STEPS, "Steps that run after all others ended, however they did."),
    Field("backends", _BACKENDS, "Settings that one backend alone reads, by its name."),
)
_NAME_EXTRA = {"type": "string", "pattern": NAME_PATTERN}
_WORKFLOW: Final = Record(
    "document",
    "A workflow.",
    (
        Field("flowcore", _VersionKind(), "The version of the document: 1.", required=True),
        Field("name", TextKind(expressions="refuse"), "The workflow's name.", required=True, extra=_NAME_EXTRA),
        _INNER[0],
        *_INNER[1:4],
        *_OUTER[:9],
        _INNER[4],
        _OUTER[9],
        _INNER[5],
        _OUTER[10],
        Field("x-outline", _ORIGIN, "", attribute="outline"),
    ),
    Workflow,
    build=_build_workflow,
    parts=_workflow_parts,
)
_NESTED: Final = Record(
    "workflow",
    "A workflow inside a step. It sees nothing of the outer one but its args.",
    _INNER,
    Workflow,
    build=_build_workflow,
    parts=_workflow_parts,
    elsewhere={
        **{field.key: "only the outermost workflow has it" for field in _OUTER},
        "flowcore": "only the outermost workflow has it",
        "name": "a nested workflow has its step's name",
    },
)

WORKFLOW: Final = _WORKFLOW
"""The whole document."""
