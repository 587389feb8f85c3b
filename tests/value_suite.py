"""Any text through every way that a value can take, on a backend of containers: packed into few of them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from flowcore.backend import Backend
from flowcore.document import read_document
from flowcore.runs import Phase as RunPhase
from flowcore.testing.scenarios.values import SHOW, escaped

COUNT = 200
ITEMS = 8
TERMS = 12

ANYTHING = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=24)
SIGNS = st.text("'\"`$(){}[]\\%!#&|;<>*?~ \n\r\t-=@,:", max_size=12)
EXPANDED = st.sampled_from(
    [
        *("{{", "}}", "{{=", "{{item}}", "{{workflow.name}}", "{{=1+1}}", "{{inputs.parameters.x}}", "{{retries}}"),
        *("$(", ")", "$$", "$$(", "$(FLOW_STEP)", "$$(FLOW_STEP)", "$(HOME)", "${HOME}", "`id`", "$HOME"),
        *("$(params.x)", "$(params.x[*])", "$(context.taskRun.name)", "$(tasks.gives.results.x)", "$(results.x.path)"),
        *("${{", "$${{", "\\", "\\n", "'", '"', "\n", "\r\n", "\t", "null", "true", "@", "?", "-", "--", "#"),
    ]
)
"""What some engine, shell or kubelet would take for its own."""
TEXT = st.one_of(ANYTHING, SIGNS, st.lists(EXPANDED | SIGNS | ANYTHING, max_size=5).map("".join))


def some_texts(count: int) -> list[str]:
    """Texts that hypothesis makes, always the same."""
    found: dict[str, None] = {}

    @seed(1)
    @settings(
        max_examples=count, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=[*HealthCheck]
    )
    @given(TEXT)
    def take(text: str) -> None:
        found[text] = None

    take()
    return list(found)


def indices(texts: list[str], ref: str) -> list[str]:
    """Expressions for every text of a list."""
    return [f"${{{{ {ref}[{index}] }}}}" for index in range(len(texts))]


def document(texts: list[str]) -> dict[str, Any]:
    """A workflow that passes the texts on in every way."""
    give = {"function": "give", "source": "def give(texts):\n    return texts\n"}
    output = {"result": {"type": "list", "items": "string"}}
    literal = escaped(texts)
    equal = " && ".join(f"steps.again.outputs.result[{index}] == params.texts[{index}]" for index in range(TERMS))
    differ = " || ".join(f"steps.again.outputs.result[{index}] != params.texts[{index}]" for index in range(TERMS))
    show = SHOW.replace('"$@"', " ".join(f'"$V{index}"' for index in range(len(texts))))
    return {
        "flowcore": 1,
        "name": "any-text",
        "defaults": {"image": "python:3.11"},
        "params": {"texts": {"type": "list", "items": "string"}},
        "steps": {
            "words": {"command": ["sh", "-c", SHOW, "sh", *literal, *indices(texts, "params.texts")]},
            "gives": {"python": {**give, "args": {"texts": literal}}, "outputs": output},
            "again": {
                "python": {**give, "args": {"texts": indices(texts, "steps.gives.outputs.result")}},
                "outputs": output,
            },
            "env": {
                "env": {f"V{index}": text for index, text in enumerate(indices(texts, "steps.again.outputs.result"))},
                "script": show,
            },
            "few": {
                "python": {**give, "args": {"texts": indices(texts[:ITEMS], "steps.again.outputs.result")}},
                "outputs": output,
            },
            "items": {
                "foreach": "${{ steps.few.outputs.result }}",
                "command": ["sh", "-c", SHOW, "sh", "${{ item }}", "<${{ item }}>"],
            },
            "equal": {"when": equal, "command": ["true"]},
            "differ": {"when": differ, "command": ["true"]},
        },
        "outputs": {"all": "${{ steps.again.outputs.result }}"},
    }


class ValueSuite:
    """Texts on one backend: a subclass gives the fixture ``backend``."""

    def test_any_text_arrives_byte_for_byte(self, backend: Backend) -> None:
        texts = some_texts(COUNT)
        workflow = read_document(json.dumps(document(texts)) + "\n")
        handle = backend.submit(backend.render(workflow, {"texts": list(texts)}))
        update = backend.wait(handle, 0.5)
        assert update.phase is RunPhase.SUCCEEDED, update
        assert update.outputs == {"all": texts}
        assert update.steps["differ"].phase is RunPhase.SKIPPED
        lines: dict[str, list[str]] = {}
        for line in backend.logs(handle):
            lines.setdefault(line.step, []).append(line.line)
        shown = [text.encode().hex() for text in texts]
        assert lines["words"] == shown * 2
        assert lines["env"] == shown
        for index, text in enumerate(texts[:ITEMS]):
            assert lines[f"items[{index}]"] == [text.encode().hex(), f"<{text}>".encode().hex()]
        backend.delete(handle)
