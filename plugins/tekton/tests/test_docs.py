"""The page of docs with what a workflow becomes is printed from the capabilities.

``FLOWCORE_GOLDEN=write pytest plugins/tekton/tests/test_docs.py`` writes it anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from flowcore.plugin import CAPABILITIES
from flowcore_tekton.capabilities import CAN, HOW, WHY_NOT

WRITE = os.environ.get("FLOWCORE_GOLDEN") == "write"
PAGE = Path(__file__).parents[3] / "docs" / "tekton.md"


def table(head: str, rows: dict[str, str]) -> str:
    lines = [f"| capability | what it promises | {head} |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {CAPABILITIES[name].replace('|', chr(92) + '|')} | {text} |" for name, text in rows.items()
    ]
    return "\n".join(lines)


def test_every_capability_is_accounted_for():
    assert HOW.keys() | WHY_NOT.keys() == CAPABILITIES.keys()
    assert not HOW.keys() & WHY_NOT.keys()
    assert HOW.keys() == CAN


def test_the_page_is_current():
    page = PAGE.read_text(encoding="utf-8")
    for name, text in (("how", table("in a PipelineRun", HOW)), ("why not", table("why not", WHY_NOT))):
        pattern = rf"(<!-- table: {name} -->\n).*?(<!-- end -->)"
        page = re.sub(pattern, lambda found, text=text: f"{found[1]}\n{text}\n\n{found[2]}", page, flags=re.S)
    if WRITE:
        PAGE.write_text(page, encoding="utf-8")
    assert page == PAGE.read_text(encoding="utf-8")
