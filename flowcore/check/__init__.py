"""Everything wrong with a workflow, all at once; and what its rules make of needs and types.

The rules are those of the reference: S1-S23 of what a run means, and the chapters on the document and on values.
"""

from flowcore.check.needs import effective_fail_fast, effective_needs
from flowcore.check.scope import output_types
from flowcore.check.workflows import check

__all__ = ["check", "effective_fail_fast", "effective_needs", "output_types"]
