"""Hundreds of texts through every way that a value can take, byte for byte, packed into one run of few containers.

``tests/test_values_any.py`` tries more of them on this machine, where a step costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from any_text import texts

from flowcore.backend import Backend, load
from flowcore.runs import Phase
from flowcore.testing.scenarios.values import escaped

TEXTS: Final = texts(250, 10)
SOME: Final = TEXTS[::7]
"""For what costs an output or a comparison each."""
FEW: Final = [
    "{{=1}} $(x) $$(x) '\"\n",
    "$(context.taskRun.name) {{workflow.name}} ${{ item }}\n\n",
    "\u05d0\u202e😀\r\x01 ",
]
"""For what costs a container each."""
THIRDS: Final = [TEXTS[start::3] for start in range(3)]

SHOW: Final = "print(*(os.fsencode(text).hex() for text in {}), sep='\\n')"
ARGUMENTS: Final = "import os, sys; " + SHOW.format("sys.argv[1:]")
VARIABLES: Final = "import os; " + SHOW.format(
    "[os.environ[f'V{number}'] for number in range(int(os.environ['COUNT']))]"
)


def refs(name: str, count: int) -> list[str]:
    """References to the members of a list."""
    return [f"${{{{ {name}[{index}] }}}}" for index in range(count)]


def outputs(step: str, prefix: str) -> list[str]:
    """References to a step's outputs, each of which is one of ``SOME``."""
    return [f"${{{{ steps.{step}.outputs.{prefix}{index} }}}}" for index in range(len(SOME))]


def mixed(texts: Sequence[str]) -> list[str]:
    """Each with more text around it, so that it is composed."""
    return [f"<{text}>" for text in texts]


def variables(texts: Sequence[str]) -> dict[str, str]:
    """Each as an environment variable."""
    return {"COUNT": str(len(texts)), **{f"V{index}": text for index, text in enumerate(texts)}}


def named(prefix: str, value: Any) -> dict[str, Any]:
    """One entry for each of ``SOME``."""
    return {f"{prefix}{index}": value(text) if callable(value) else value for index, text in enumerate(SOME)}


def comparisons(sign: str) -> list[str]:
    """Each of ``SOME`` as an operand, literal and as an output."""
    literals = [json.dumps(text, ensure_ascii=False) for text in SOME]
    return [f"steps.gives.outputs.o{index} {sign} {text}" for index, text in enumerate(literals)]


GIVES: Final = (
    f"def give(texts):\n    assert texts == {TEXTS!r}\n"
    f"    some = {{f'o{{index}}': text for index, text in enumerate(texts[::7])}}\n"
    f"    return {{'all': texts, 'few': {FEW!r}, **some}}\n"
)
BACK: Final = {"function": "back", "source": "def back(texts): return texts\n"}
LIST: Final = {"result": {"type": "list"}}

DOCUMENT: Final[Mapping[str, Any]] = {
    "flowcore": 1,
    "name": "any-values",
    "params": {"texts": {"type": "list", "items": "string"}, "thirds": {"type": "list"}},
    "defaults": {"image": "python:3.11"},
    "steps": {
        "literal": {"command": ["python3", "-c", ARGUMENTS, *escaped(TEXTS)]},
        "args": {
            "interpreter": ["python3"],
            "script": ARGUMENTS,
            "args": [*refs("params.texts", len(TEXTS)), *mixed(refs("params.texts", len(TEXTS)))],
        },
        "env": {"env": variables(refs("params.texts", len(TEXTS))), "command": ["python3", "-c", VARIABLES]},
        "gives": {
            "python": {"function": "give", "source": GIVES, "args": {"texts": escaped(TEXTS)}},
            "outputs": {"all": {"type": "list"}, "few": {"type": "list", "items": "string"}, **named("o", {})},
        },
        "reads": {
            "command": ["python3", "-c", ARGUMENTS, *outputs("gives", "o"), *mixed(outputs("gives", "o"))],
        },
        "reads-env": {"env": variables(outputs("gives", "o")), "command": ["python3", "-c", VARIABLES]},
        "reads-all": {"python": {**BACK, "args": {"texts": "${{ steps.gives.outputs.all }}"}}, "outputs": LIST},
        "each": {
            "foreach": "${{ params.thirds }}",
            "python": {**BACK, "args": {"texts": "${{ item }}"}},
            "outputs": LIST,
        },
        "items": {"foreach": escaped(FEW), "command": ["python3", "-c", ARGUMENTS, "${{ item }}", "<${{ item }}>"]},
        "dynamic": {
            "foreach": "${{ steps.gives.outputs.few }}",
            "command": ["python3", "-c", ARGUMENTS, "${{ item }}", "<${{ item }}>"],
        },
        "same": {"when": " && ".join(comparisons("==")), "command": ["true"]},
        "different": {"when": " || ".join(comparisons("!=")), "command": ["true"]},
        "forgets": {"command": ["true"], "outputs": named("d", lambda text: {"default": text})},
        "defaults": {"command": ["python3", "-c", ARGUMENTS, *outputs("forgets", "d")]},
    },
    "outputs": {"all": "${{ steps.gives.outputs.all }}", "each": "${{ steps.each.outputs.result }}"},
}


class AnyValues:
    """On one backend whose steps are containers."""

    def make_backend(self) -> Backend:
        raise NotImplementedError

    def test_any_text_arrives_byte_for_byte(self) -> None:
        backend = self.make_backend()
        params = {"texts": TEXTS, "thirds": THIRDS}
        handle = backend.submit(backend.render(load(json.dumps(DOCUMENT, indent=1)), params))
        update = backend.wait(handle, 0.5)
        steps = update.steps
        assert update.phase is Phase.SUCCEEDED, {name: state for name, state in steps.items() if state.message}
        printed = {
            "literal": TEXTS,
            "args": [*TEXTS, *mixed(TEXTS)],
            "env": TEXTS,
            "reads": [*SOME, *mixed(SOME)],
            "reads-env": SOME,
            "defaults": SOME,
            **{
                f"{each}[{index}]": [text, f"<{text}>"]
                for each in ("items", "dynamic")
                for index, text in enumerate(FEW)
            },
        }
        lines: dict[str, list[str]] = {}
        for line in backend.logs(handle):
            lines.setdefault(line.step, []).append(line.line)
        for step, expected in printed.items():
            assert changed(expected, [bytes.fromhex(line) for line in lines[step]]) == [], step
        assert dict(update.outputs) == {"all": TEXTS, "each": THIRDS}
        assert dict(steps["gives"].outputs) == {"all": TEXTS, "few": FEW, **named("o", str)}
        assert steps["reads-all"].outputs["result"] == TEXTS
        assert dict(steps["forgets"].outputs) == named("d", str)
        assert (steps["same"].phase, steps["different"].reason) == (Phase.SUCCEEDED, "when")
        backend.delete(handle)


def changed(expected: Sequence[str], found: Sequence[bytes]) -> list[tuple[str, object]]:
    """The texts that did not arrive as they are, with what arrived."""
    assert len(found) == len(expected)
    return [(text, got.decode(errors="replace")) for text, got in zip(expected, found) if text.encode() != got]
