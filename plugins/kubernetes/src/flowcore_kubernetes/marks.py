"""Labels and annotations by which a run's own object is known, whatever its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

DIGEST: Final = "flowcore.dev/digest"
"""Annotation: the digest of what was rendered; of a companion, that of its content."""
WORKFLOW: Final = "flowcore.dev/workflow"
"""Annotation: the document's name."""
OUTLINE: Final = "flowcore.dev/outline"
"""Annotation: the packed outline."""
CANCELLED: Final = "flowcore.dev/cancelled"
"""Annotation: that a cancel was accepted, and when, in seconds since the epoch."""
MANAGED: Final = "app.kubernetes.io/managed-by"
"""Label, which is ``flowcore`` for all that it makes (Kubernetes' recommended labels)."""
RUN: Final = "flowcore.dev/run"
"""Label of a run's companions: the name of its own object."""


def notes_of(object: Mapping[str, Any]) -> Mapping[str, str]:
    """An object's annotations."""
    found: Mapping[str, str] = object["metadata"].get("annotations") or {}
    return found
