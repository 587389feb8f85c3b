import json
import math
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from flowcore.document import parse_yaml, write_yaml

# What one reader or another takes for something that is no string, or for syntax.
CONFUSING = [
    *json.loads((Path(__file__).parent / "yaml_texts" / "confusing.json").read_text()),
    "a" * 2000,
    "a b " * 500,
]
texts = st.text(st.characters(exclude_categories=["Cs"])) | st.text("ab \t\n:#-'\"|>\u2028\r", max_size=12)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("text", CONFUSING, ids=ascii)
@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
def test_a_confusing_string_stays_a_string(text: str, loader: type):
    data = {"value": text, text: [text, [text], {"a": text}], "after": 1}
    assert yaml.load(write_yaml(data), loader) == data
    assert yaml.load(write_yaml(text), loader) == text


@given(documents)
@example([[[], {}], {"a": []}, [{"a": [1]}]])
@example({"a" * 1500: {"b" * 1500: ["c"]}, "d": 1})
def test_pyyaml_reads_back_what_was_written(data: object):
    text = write_yaml(data)  # type: ignore[arg-type]
    assert yaml.safe_load(text) == data
    assert yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) == data


@given(documents.filter(lambda data: isinstance(data, dict)))
def test_our_own_reader_reads_it_back(data: object):
    assert parse_yaml(write_yaml(data)) == data  # type: ignore[arg-type]


def test_types_are_kept():
    assert write_yaml({"a": 1, "b": 1.0, "c": 1e100, "d": True, "e": None, "f": {}, "g": []}) == (
        "a: 1\nb: 1.0\nc: 1.0e+100\nd: true\ne: null\nf: {}\ng: []\n"
    )


def test_lines_of_text_are_a_block():
    assert write_yaml({"script": "echo a\n\necho b\n"}) == "script: |\n  echo a\n\n  echo b\n"
    assert write_yaml(["a\nb"]) == "- |-\n  a\n  b\n"


def test_collections_in_lists():
    assert write_yaml([{"a": 1, "b": [2]}, [3, [4]]]) == "- a: 1\n  b:\n    - 2\n- - 3\n  - - 4\n"


def test_what_every_reader_takes_for_text_is_not_quoted():
    place = "metadata.annotations['flowcore.dev/step']"
    assert write_yaml({"fieldPath": place, "if": "a <= b && !c"}) == f"fieldPath: {place}\nif: a <= b && !c\n"
    assert write_yaml(["[a]", "'a'", "a: b", "a #b", "a:", "&a"]) == (
        '- "[a]"\n- "\'a\'"\n- "a: b"\n- "a #b"\n- "a:"\n- "&a"\n'
    )


def test_the_header_is_comments():
    assert write_yaml({}, header="one\n\ntwo") == "# one\n#\n# two\n{}\n"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_without_a_word_is_refused(number: float):
    with pytest.raises(ValueError, match="finite"):
        write_yaml([number])
