"""What only Argo's backend renders is valid by Argo's own schemas, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from api_schemas import faults

from flowcore.backend import Backend, load

EXAMPLES = Path(__file__).parents[3] / "examples" / "argo"


def problems(source: Path | str) -> list[str]:
    backend = Backend.select("argo")
    return [fault for object in backend.render(load(source)).objects for fault in faults(object)]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_pattern_is_valid(path: Path) -> None:
    assert problems(path) == []


def test_what_is_cut_into_parts_is_valid() -> None:
    steps = "".join(f"  s{index}: {{needs: [s{max(0, index - 9)}], command: ['true']}}\n" for index in range(1, 1000))
    head = 'flowcore: 1\nname: cut\ndefaults: {image: "busybox:1"}\nsteps:\n  s0: {command: ["true"]}\n'
    assert problems(head + steps) == []
