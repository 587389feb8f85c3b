"""The JSON Schema says what the reader reads: both take and refuse the same documents."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from workflows_strategy import workflows

from flowcore.document import document_of, from_json, parse_yaml, schema
from flowcore.errors import WorkflowError

HERE = Path(__file__).parent
SCHEMA = schema()
VALIDATOR = Draft202012Validator(SCHEMA)
# What a schema cannot say: the language of expressions, places without expressions, integers above 64 bits.
BEYOND = {"expressions.yaml"}


def test_it_is_a_schema_of_its_draft():
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"].endswith("2020-12/schema")
    assert SCHEMA["$id"]
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def _objects(schema: Any) -> Any:
    if isinstance(schema, dict):
        if "properties" in schema and "type" in schema:
            yield schema
        for value in schema.values():
            yield from _objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _objects(value)


def test_every_key_is_described():
    objects = list(_objects(SCHEMA))
    assert len(objects) > 15
    for found in objects:
        for key, value in found["properties"].items():
            assert value.get("description"), key
            assert not key.startswith("x-")
        assert found["additionalProperties"] is False
        assert "^x-" in found["patternProperties"]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(workflows.map(document_of))
def test_what_is_written_is_valid(data: Any):
    VALIDATOR.validate(data)


def _parsed(path: Path) -> Any:
    try:
        return parse_yaml(path.read_text("utf-8"), str(path))
    except (WorkflowError, UnicodeDecodeError):
        return None


EXAMPLES = [
    path
    for path in sorted((HERE.parent / "examples").rglob("*.yaml"))
    if isinstance(data := _parsed(path), dict) and "flowcore" in data
]
INVALID = [
    path
    for path in sorted((HERE / "bad_documents").iterdir())
    if path.suffix != ".txt" and path.name not in BEYOND and _parsed(path) is not None
]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_valid(path: Path):
    VALIDATOR.validate(_parsed(path))


def test_there_are_bad_documents_to_judge():
    assert len(INVALID) > 6


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.name)
def test_bad_documents_are_invalid(path: Path):
    assert not VALIDATOR.is_valid(_parsed(path))


# One mistake each, in a document that is right otherwise; more than the bad documents have, which hold many at once.
SINGLE = [
    ("flowcore", 2),
    ("flowcore", "1"),
    ("name", None),
    ("parallelism", 0),
    ("parallelism", "many"),
    ("timeout", 60),
    ("timeout", "60"),
    ("timeout", "1 hour"),
    ("fail_fast", "yes"),
    ("labels", {"a": None}),
    ("labels", ["a"]),
    ("image_pull_secrets", "a"),
    ("volumes", {"a": {}}),
    ("volumes", {"a": {"size": "1Gi", "claim": "c"}}),
    ("volumes", {"a": {"empty": {"a": 1}}}),
    ("env", {"A": {"secret": "s"}}),
    ("env", {"A": {"secret": "s", "key": "k", "config_map": "c"}}),
    ("env", {"A": ["x"]}),
    ("params", {"a": None}),
    ("params", {"a": {"type": "int"}}),
    ("params", {"a": {"unknown": 1}}),
    ("params", {"a": {"type": "list", "items": "int"}}),
    ("params", {"a": {"type": "string", "items": "string"}}),
    ("params", {"a": {"type": "list", "items": {"type": "string", "items": "string"}}}),
    ("defaults", {"command": ["x"]}),
    ("defaults", {"retry": 2}),
    ("backends", {"argo": 1}),
    ("outputs", ["a"]),
    ("unknown", 1),
    ("on_exit", {"a": {"needs": []}}),
    ("steps", []),
    ("steps", {"a": {}}),
    ("steps", {"a": {"command": "text"}}),
    ("steps", {"a": {"command": []}}),
    ("steps", {"a": {"command": ["a"], "script": "b"}}),
    ("steps", {"a": {"script": "x", "interpreter": []}}),
    ("steps", {"a": {"command": ["x"], "interpreter": ["sh"]}}),
    ("steps", {"a": {"command": ["x"], "success_when": "a == 1"}}),
    ("steps", {"a": {"python": {"function": "f"}}}),
    ("steps", {"a": {"python": {"function": "f", "source": "s"}, "args": []}}),
    ("steps", {"a": {"manifest": {}, "args": []}}),
    ("steps", {"a": {"manifest": []}}),
    ("steps", {"a": {"command": ["x"], "args": {"a": 1}}}),
    ("steps", {"a": {"workflow": {"steps": {}}, "args": [1]}}),
    ("steps", {"a": {"workflow": {"steps": {}, "ttl": "1d"}}}),
    ("steps", {"a": {"workflow": {}}}),
    ("steps", {"a": {"image": "x", "needs": "b"}}),
    ("steps", {"a": {"image": "x", "needs": ["b", "b"]}}),
    ("steps", {"a": {"image": "x", "needs": [{"b": "failed"}]}}),
    ("steps", {"a": {"image": "x", "needs": {"b": "done"}}}),
    ("steps", {"a": {"image": "x", "foreach": 5}}),
    ("steps", {"a": {"image": "x", "foreach": "text"}}),
    ("steps", {"a": {"image": "x", "when": 5.5}}),
    ("steps", {"a": {"image": "x", "when": None}}),
    ("steps", {"a": {"image": "x", "repeat": {"until": "outputs.a == 1"}}}),
    ("steps", {"a": {"image": "x", "repeat": {"until": "outputs.a == 1", "max": 0}}}),
    ("steps", {"a": {"image": "x", "retry": {"limit": -1}}}),
    ("steps", {"a": {"image": "x", "retry": {"limit": 1, "only": ["timeouts"]}}}),
    ("steps", {"a": {"image": "x", "retry": {"limit": 1, "backoff": {"initial": "1s", "factor": 1.5}}}}),
    ("steps", {"a": {"image": "x", "outputs": {"o": None}}}),
    ("steps", {"a": {"image": "x", "outputs": {"o": {"artifact": "yes"}}}}),
    ("steps", {"a": {"image": "x", "env_from": [{"secret": "a", "config_map": "b"}]}}),
    ("steps", {"a": {"image": "x", "mounts": {"/a": {"read_only": True}}}}),
    ("steps", {"a": {"image": "x", "image_pull_policy": "Always"}}),
    ("steps", {"a": {"image": "x", "cache": "key"}}),
    ("steps", {"a": {"image": "x", "tolerations": ["gpu"]}}),
]


@pytest.mark.parametrize(("key", "value"), SINGLE, ids=lambda part: json.dumps(part)[:60])
def test_one_mistake_is_refused_by_both(key: str, value: Any):
    data = {"flowcore": 1, "name": "w", "steps": {"a": {"image": "x"}}, key: value}
    assert not VALIDATOR.is_valid(data)
    with pytest.raises(WorkflowError):
        from_json(data)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_a_missing_or_an_unknown_key_is_refused_by_both(data: Any):
    document = data.draw(workflows.map(document_of))
    if data.draw(st.booleans()):
        del document[data.draw(st.sampled_from(["flowcore", "name", "steps"]))]
    else:
        document["unknown"] = 1
    assert not VALIDATOR.is_valid(document)
    with pytest.raises(WorkflowError):
        from_json(document)
