"""Which outputs may be missing when somebody reads them (S6)."""

from __future__ import annotations

from collections.abc import Mapping

from flowcore.checks import effective_needs
from flowcore.model import MISSING, Step


def may_skip(step: Step) -> bool:
    """Whether a step may be skipped in a way that still meets a plain need: for ``when``, or an empty list."""
    if step.when is not None:
        return True
    return step.foreach is not MISSING and not (isinstance(step.foreach, list) and step.foreach)


def may_be_missing(name: str, steps: Mapping[str, Step]) -> bool:
    """Whether a step that reads an output of ``name`` may start although ``name`` did not succeed."""
    step = steps[name]
    if may_skip(step) or step.continue_on_failure:
        return True
    return any(effective_needs(other).get(name) in ("failed", "skipped", "finished") for other in steps.values())
