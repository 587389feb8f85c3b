"""How big an object is where the cluster keeps it."""

import pytest

from flowcore_kubernetes import too_big


@pytest.mark.parametrize(
    ("text", "size"),
    [("x" * 100, 108), ("é" * 100, 208), ("<" * 100, 608), ("&>" * 50, 608), ("\u2028" * 100, 608)],
)
def test_an_object_is_as_big_as_go_writes_it(text: str, size: int):
    data = {"a": text}
    written = f'a: "{text}"\n'
    assert too_big(data, written, size - 1) == size
    assert too_big(data, written, size) == 0


def test_what_is_short_as_yaml_is_not_written_again():
    assert too_big({"unreadable": object()}, "a: b\n", 10) == 0
