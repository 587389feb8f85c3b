"""Any text at all through every way that a value can take, byte for byte, on a backend that has to be lowered for."""

from __future__ import annotations

import json

import mini_backend
import pytest
from any_text import TEXT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowcore.backend import Backend
from flowcore.document import read_document
from flowcore.runs import Phase, Update
from flowcore.testing.scenarios.values import SHOW, escaped

TEXTS = st.lists(TEXT, min_size=1, max_size=12)


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> list[Backend]:
    folder = tmp_path_factory.mktemp("values")
    options = mini_backend.MiniOptions(str(folder))
    return [
        Backend.of(mini_backend.MiniBackend(options, declares), "mini")
        for declares in (mini_backend.EMPTY, mini_backend.WIDE)
    ]


def run(backend: Backend, document: object, params: dict[str, list[str]]) -> tuple[Update, list[str]]:
    workflow = read_document(json.dumps(document) + "\n")
    handle = backend.submit(backend.render(workflow, dict(params)))
    update = backend.wait(handle, 0.01)
    assert update.phase is Phase.SUCCEEDED, update
    return update, [line.line for line in backend.logs(handle)]


def indices(texts: list[str], ref: str) -> list[str]:
    return [f"${{{{ {ref}[{index}] }}}}" for index in range(len(texts))]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=TEXTS)
def test_texts_reach_a_command_s_arguments(backends: list[Backend], texts: list[str]) -> None:
    literal = escaped(texts)
    mixed = [f"<{text}>" for text in literal]
    steps = {"a": {"command": ["sh", "-c", SHOW, "sh", *literal, *mixed, *indices(texts, "params.texts")]}}
    document = {"flowcore": 1, "name": "any", "params": {"texts": {"type": "list"}}, "steps": steps}
    _, lines = run(backends[0], document, {"texts": texts})
    assert lines == [text.encode().hex() for text in (*texts, *(f"<{text}>" for text in texts), *texts)]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=TEXTS)
def test_texts_reach_functions_environments_and_outputs(backends: list[Backend], texts: list[str]) -> None:
    give = {"function": "give", "source": f"def give(texts):\n    assert texts == {texts!r}\n    return texts\n"}
    steps = {
        "gives": {"python": {**give, "args": {"texts": escaped(texts)}}, "outputs": {"result": {"type": "list"}}},
        "again": {
            "python": {**give, "args": {"texts": indices(texts, "steps.gives.outputs.result")}},
            "outputs": {"result": {"type": "list"}},
        },
        "env": {
            "env": {f"V{index}": text for index, text in enumerate(indices(texts, "steps.again.outputs.result"))},
            "script": SHOW.replace('"$@"', " ".join(f'"$V{index}"' for index in range(len(texts)))),
        },
    }
    document = {"flowcore": 1, "name": "any", "steps": steps, "outputs": {"all": "${{ steps.again.outputs.result }}"}}
    update, lines = run(backends[1], document, {})
    assert update.outputs == {"all": texts}
    assert lines == [text.encode().hex() for text in texts]
