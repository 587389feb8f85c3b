"""Text comes through Argo's and the kubelet's substitutions as it is, by a model of both."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from flowcore.testing.scenarios.values import HOSTILE
from flowcore_argo.quoting import BREAK, EMPTY, static, string_literal

PIECES = [*"{}$()=xE_ \"'\\é😀\n", EMPTY]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=20).map("".join) | st.text(max_size=30)


def kubelet(text: str) -> str:
    """What the kubelet makes of command, args and env, where only FLOW_E is set."""
    out, index = [], 0
    while index < len(text):
        if text[index] != "$" or index + 1 == len(text):
            out.append(text[index])
            index += 1
        elif text[index + 1] == "$":
            out.append("$")
            index += 2
        elif text[index + 1] == "(" and ")" in text[index:]:
            end = text.index(")", index)
            name = text[index + 2 : end]
            out.append("" if name == EMPTY else f"$({name})")
            index = end + 1
        else:
            out.append(text[index : index + 2])
            index += 2
    return "".join(out)


def handed_over(value: str) -> str:
    """What the expression of ``quoting.handed_over`` makes of a value."""
    return value.replace("$", "$$").replace("{", BREAK)


@given(TEXTS)
@example("{{{{")
@example("$$(x) {{x}} $(FLOW_E)")
def test_static_text_is_read_by_nobody_and_arrives(text):
    written = static(text)
    assert "{{" not in written
    assert kubelet(written) == text


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4))
def test_values_between_texts_arrive_whatever_stands_beside_them(pairs):
    written = "".join(static(text, before_value=True) + handed_over(value) for text, value in pairs)
    assert "{{" not in written
    assert kubelet(written) == "".join(text + value for text, value in pairs)


def test_hostile_texts_arrive():
    for text in HOSTILE:
        assert kubelet(static(text)) == text
        assert kubelet(handed_over(text)) == text


def unescaped(literal: str) -> str:
    """A literal of the expression language, read."""
    signs = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), literal[1:-1].replace("\\\\", "\0"))
    return re.sub(r"\\(.)", r"\1", signs).replace("\0", "\\")


@given(TEXTS.filter(lambda text: "\0" not in text))
def test_a_literal_neither_ends_its_tag_nor_the_string(text):
    literal = string_literal(text)
    assert "{" not in literal and "}" not in literal
    assert re.fullmatch(r"'(?:[^'\\]|\\.)*'", literal, re.S)
    assert unescaped(literal) == text
