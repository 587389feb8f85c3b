"""``python -m flowcore.testing docs/semantics.md`` writes the scenarios into the page of the rules."""

from __future__ import annotations

import sys
from pathlib import Path

from flowcore.testing.rules import with_scenarios

if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(with_scenarios(page.read_text(encoding="utf-8")), encoding="utf-8")
