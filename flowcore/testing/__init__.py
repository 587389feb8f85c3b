"""The conformance kit: what a workflow means, as scenarios that every backend has to pass.

``BackendSuite`` needs pytest, which is imported only when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowcore.testing.driver import Driver, Mismatch, Skip
    from flowcore.testing.scenario import Expect, Scenario, State
    from flowcore.testing.scenarios import SCENARIOS
    from flowcore.testing.suite import BackendSuite

__all__ = ["SCENARIOS", "BackendSuite", "Driver", "Expect", "Mismatch", "Scenario", "Skip", "State"]

_HOMES = {
    "BackendSuite": "suite",
    "Driver": "driver",
    "Mismatch": "driver",
    "Skip": "driver",
    "Expect": "scenario",
    "Scenario": "scenario",
    "State": "scenario",
    "SCENARIOS": "scenarios",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
