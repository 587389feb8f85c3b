"""Everything wrong with a workflow, all at once; and what its rules make of needs and types.

The rules are those of the reference: S1-S23 of what a run means, and the chapters on the document and on values.
"""

from flowcore.checks.needs import effective_fail_fast, effective_needs, needs_and_references
from flowcore.checks.rest import with_the_rest
from flowcore.checks.scope import output_types
from flowcore.checks.sites import step_references
from flowcore.checks.workflows import check

__all__ = [
    "check",
    "effective_fail_fast",
    "effective_needs",
    "needs_and_references",
    "output_types",
    "step_references",
    "with_the_rest",
]
