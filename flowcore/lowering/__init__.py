"""Rewrites a workflow until it uses only what a backend declared: fewer features, the same run.

One pass a module, one rule a pass, in the order of ``lower``. A pass that cannot keep the meaning leaves its feature
in place, and ``verify`` refuses it by name; nothing is approximated and nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from attrs import evolve

from flowcore.errors import WorkflowError
from flowcore.expressions import references
from flowcore.lowering.bind import bind, params_from_text
from flowcore.lowering.carry import repeats_to_commands, unroll_repeats
from flowcore.lowering.commands import functions_to_scripts, scripts_to_commands
from flowcore.lowering.expand import expand_foreach
from flowcore.lowering.inline import inline_nested
from flowcore.lowering.origins import all_steps
from flowcore.lowering.prune import never_steps, prune_false, simplify
from flowcore.lowering.push_down import push_down
from flowcore.lowering.shims import add_shims, shimmed
from flowcore.lowering.verify import verify
from flowcore.model import Python, Workflow
from flowcore.outline import outline_of

__all__ = ["bind", "lower", "params_from_text"]

REWRITTEN: Final = frozenset({"when", "nested", "foreach", "foreach.nested", "repeat"})
"""What passes rewrite into plain steps."""


def lower(
    workflow: Workflow,
    capabilities: frozenset[str],
    limits: Mapping[str, int],
    backend: str,
    able: Callable[[str], list[str]] = lambda capability: [],
) -> Workflow:
    """Lower a bound workflow for a backend.

    Args:
        workflow: checked and bound.
        capabilities: what the backend declares (names of ``flowcore.capabilities``).
        limits: its numbers: steps, items, output_bytes, script_bytes, argument_bytes.
        backend: its name, for errors.
        able: the installed backends that have a capability, for errors.

    Raises:
        WorkflowError: with every leftover that the backend cannot do: the step, the field, the backend, and the
            installed backends that can.
    """
    try:
        return _lower(workflow, capabilities, capabilities, limits, backend, able)
    except WorkflowError:
        # A feature may be there without its companion (foreach, say, but no fan-in): then it is as good as absent.
        native = capabilities - REWRITTEN
        if native == capabilities:
            raise
        try:
            return _lower(workflow, native, capabilities, limits, backend, able)
        except WorkflowError:
            pass
        raise


def _lower(
    workflow: Workflow,
    native: frozenset[str],
    capabilities: frozenset[str],
    limits: Mapping[str, int],
    backend: str,
    able: Callable[[str], list[str]],
) -> Workflow:
    """Run the passes; those for what is ``native`` are left out."""
    outline = outline_of(workflow, lambda step: shimmed(step, capabilities), never_steps)
    lowered = push_down(workflow)
    if "when" not in native:
        lowered = prune_false(lowered)
    if "nested" not in native or "foreach.nested" not in native:
        lowered = inline_nested(lowered, native, capabilities)
    if "foreach" not in native:
        lowered = expand_foreach(lowered)
    lowered = simplify(lowered, capabilities)
    functions = frozenset(origin for origin, step in all_steps(lowered) if isinstance(step.action, Python))
    if "repeat" not in native:
        lowered = repeats_to_commands(lowered)
    if "python" not in native:
        lowered = functions_to_scripts(lowered)
    if "script" not in native:
        lowered = scripts_to_commands(lowered)
    lowered = add_shims(lowered, capabilities, functions)
    if "repeat" not in native:
        lowered = unroll_repeats(lowered, capabilities)
    verify(lowered, capabilities, limits, backend, able)
    # A run's outputs are the core's to compute; those whose steps were replaced mean nothing to a backend.
    outputs = {
        name: value
        for name, value in lowered.outputs.items()
        if all(ref.step in lowered.steps for ref in references(value) if ref.kind == "output")
    }
    return evolve(lowered, outputs=outputs, outline=outline)
