"""What a backend can be able to do: the names that ``capabilities()`` may return, and what each promises.

The empty set is a backend that runs commands in the order of plain needs. Everything that can be lowered onto what is
declared, is; the rest is refused before anything is submitted.
"""

from __future__ import annotations

from typing import Final

CAPABILITIES: Final[dict[str, str]] = {
    "outputs": "carries values of steps to later steps and to the run's outputs, as text",
    "outputs.typed": "types and trims them where the step ran, and fails the step if they do not fit (S27)",
    "outputs.default": "gives an output that was not written, or is missing, its default (S6)",
    "stdout": "keeps a step's standard output as an output",
    "when": "decides at run time whether a step runs (S5)",
    "when.logic": "takes `||`, `!` and orderings in `when`, not only `==`, `!=`, `in` and `&&`",
    "needs.status": "starts a step by how another one ended (S2)",
    "fail_fast.off": "starts every step whose needs are met, whatever else failed (S9)",
    "continue": "lets a run succeed although a step failed (S10)",
    "retry": "runs a failed step again (S11)",
    "retry.backoff": "waits before it does (S12)",
    "retry.only": "tells failed, error and timeout apart when it does (S11)",
    "timeout": "ends an attempt after a time (S13)",
    "run_timeout": "ends a run after a time (S14)",
    "foreach": "runs a step once an item (S15)",
    "foreach.dynamic": "does so for a list that is known only at run time",
    "foreach.nested": "does so for a nested workflow",
    "fanin": "gathers the outputs of a foreach into a list (S16)",
    "fanin.partial": "keeps length and order of that list where items failed (S18)",
    "nested": "runs a workflow as a step (S20)",
    "repeat": "runs a step until a condition holds (S21)",
    "artifacts": "carries files and folders between steps (S29)",
    "volumes": "mounts volumes",
    "secrets": "gives secrets and config maps to steps",
    "parallelism": "bounds how many steps run at once (S22)",
    "cache": "reuses an earlier success (S26)",
    "on_exit": "runs steps after all others ended (S23)",
    "manifest": "creates a Kubernetes object and waits for it",
    "script": "runs a text by an interpreter, as a file",
    "python": "calls a function of a Python source, which travels as a file",
}
