"""Kubernetes reads YAML with Go's sigs.k8s.io/yaml; it has to read what was written as the same data."""

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from flowcore.document import write_yaml

HERE = Path(__file__).parent / "yaml_texts"
pytestmark = [
    pytest.mark.go,
    pytest.mark.skipif(shutil.which("go") is None, reason="needs the Go tool chain"),
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that reads YAML with Go's reader and prints JSON."""
    program = tmp_path_factory.mktemp("go") / "reader"
    built = subprocess.run(["go", "build", "-o", program, "."], cwd=HERE, capture_output=True, text=True, timeout=120)
    if "proxy" in built.stderr or "dial" in built.stderr:
        pytest.skip("needs the Go modules, which could not be fetched")
    assert built.returncode == 0, built.stderr
    return program


def by_go(reader: Path, text: str) -> object:
    done = subprocess.run([reader], input=text.encode(), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_confusing_texts(reader: Path):
    texts = json.loads((HERE / "confusing.json").read_text())
    data = {
        "values": texts,
        "keys": dict.fromkeys(texts, 1),
        "deep": [{"list": [text], "mapping": {"key": text}} for text in texts],
        "long": {"a" * 1500: {"b" * 1500: ["c" * 3000]}},
    }
    assert by_go(reader, write_yaml(data)) == data


def test_random_texts(reader: Path):
    source = random.Random(0)
    alphabet = "ab01 \t\n:#-+'\"|>&*!%@`~.?,[]{}\\_eEx=<$\r\x07\x85\u2028\ufeffé\U0001f600"
    data = ["".join(source.choices(alphabet, k=source.randrange(12))) for _ in range(20_000)]
    assert by_go(reader, write_yaml(data)) == data
    mapping = {text: text for text in data}
    assert by_go(reader, write_yaml(mapping)) == mapping


def test_other_values(reader: Path):
    data = {
        "a": [0, -1, 2**53, 1.5, 1e100, -2.5e-7, 1e16, True, False, None, {}, [], [[]], [{}]],
        "b": {"c": {"d": []}},
    }
    assert by_go(reader, write_yaml(data, header="a note\nand another")) == data
