"""Text that Tekton and then the kubelet would read, written so that neither changes it.

Tekton puts values in the place of ``$(params.x)``, ``$(tasks.a.results.b)`` and their like, once and without an escape,
wherever they stand; whatever has such a form must stand somewhere else (an annotation, a helper's plan). The kubelet
then expands ``$(NAME)`` and halves ``$$`` in command, args and env; there ``$$`` is the escape. Tekton's entrypoint at
last puts results in the place of ``$(steps.x.results.y)`` in what it is given, once and without an escape.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

_REFERENCE: Final = re.compile(r"\$\([A-Za-z][A-Za-z0-9_-]*[.\[]")
_STEP: Final = "$(steps."
"""How that begins which Tekton's entrypoint takes for a reference (pkg/entrypoint, StepResultRegex)."""
_BEFORE: Final = re.compile(r"\$(?=[$(])")


def is_reference(text: str) -> bool:
    """Whether Tekton may take something in the text for a reference of its own."""
    return "$(" in text and _REFERENCE.search(text) is not None


def may_be_of_a_step(pieces: Sequence[tuple[str, str]]) -> bool:
    """Whether Tekton's entrypoint may take something in a text for a reference to another container's result.

    Args:
        pieces: the text: ``("text", literal)``, or else a value, which may be the rest of a reference.
    """
    for index, (kind, word) in enumerate(pieces):
        if kind != "text" or "$" not in word:
            continue
        tail = word[word.rindex("$") :]
        if _STEP in word or (index + 1 < len(pieces) and _STEP.startswith(tail)):
            return True
    return False


def static(text: str, value_follows: bool = False) -> str:
    """Text as the kubelet has to find it in command, args and env.

    Args:
        value_follows: whether a value stands behind it, which may begin with a bracket.
    """
    if "$" not in text:
        return text
    text = _BEFORE.sub("$$", text)
    return text + "$" if value_follows and text.endswith("$") else text


def encoded(value: Any) -> str:
    """A value as results hold it: JSON without a dollar sign, which the next reader might expand."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("$", "\\u0024")
