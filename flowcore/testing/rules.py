"""Which scenarios prove which rule, as docs/semantics.md shows it."""

from __future__ import annotations

from typing import Final

from flowcore.testing.scenarios import SCENARIOS, TOPICS

HEADING: Final = "## The scenarios\n"


def pages() -> dict[str, str]:
    """The module of each scenario, as a path from docs/."""
    return {
        scenario.name: f"../flowcore/testing/scenarios/{topic}.py"
        for topic, scenarios in TOPICS.items()
        for scenario in scenarios
    }


def with_scenarios(text: str) -> str:
    """The page's text with its last section, the table of scenarios by rule, as it must be now."""
    places = pages()
    rules: dict[str, list[str]] = {}
    for scenario in SCENARIOS:
        for rule in scenario.rules:
            rules.setdefault(rule, []).append(f"[{scenario.name}]({places[scenario.name]})")
    head = text.partition(HEADING)[0]
    rows = [f"| {rule} | {', '.join(rules[rule])} |" for rule in sorted(rules, key=_order)]
    table = "\n".join(["| rule | proved by |", "|---|---|", *rows])
    return (
        f"{head}{HEADING}\nEach is a document and exactly what must come of it. A backend passes all whose "
        f"capabilities it declares, and refuses the others by name; see [plugins](plugins.md).\n\n{table}\n"
    )


def _order(rule: str) -> tuple[int, str]:
    digits = "".join(sign for sign in rule if sign.isdigit())
    return int(digits), rule
