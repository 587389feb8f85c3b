"""The family of scenarios, by topic."""

from __future__ import annotations

from typing import Final

from flowcore.testing.scenario import Scenario
from flowcore.testing.scenarios import (
    attempts,
    cancel,
    conditions,
    foreach,
    functions,
    needs,
    nested,
    on_exit,
    outputs,
    processes,
    repeat,
    runs,
    shared,
    values,
)

TOPICS: Final[dict[str, tuple[Scenario, ...]]] = {
    "needs": needs.SCENARIOS,
    "conditions": conditions.SCENARIOS,
    "foreach": foreach.SCENARIOS,
    "nested": nested.SCENARIOS,
    "repeat": repeat.SCENARIOS,
    "attempts": attempts.SCENARIOS,
    "cancel": cancel.SCENARIOS,
    "on_exit": on_exit.SCENARIOS,
    "shared": shared.SCENARIOS,
    "outputs": outputs.SCENARIOS,
    "functions": functions.SCENARIOS,
    "processes": processes.SCENARIOS,
    "runs": runs.SCENARIOS,
    "values": values.SCENARIOS,
}
"""The scenarios by topic; each topic is a module of this package."""

SCENARIOS: Final = tuple(scenario for topic in TOPICS.values() for scenario in topic)
