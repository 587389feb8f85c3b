"""How many bytes text and objects take as Kubernetes writes them: in JSON by Go's encoding/json."""

from __future__ import annotations

import json
from typing import Final

from flowcore_kubernetes.resources import Object

_LONGER: Final = {"<": 5, ">": 5, "&": 5, "\u2028": 3, "\u2029": 3}
"""What encoding/json escapes for the sake of HTML and JavaScript, with the bytes that each takes more."""


def too_big(object: Object, text: str, most: int) -> int:
    """The bytes of an object of a custom resource in etcd if they are more than ``most``, else 0.

    Args:
        text: the object as YAML, or more. Its JSON is at most twice as long but for escapes, so most objects need not
            be written again to be measured.
    """
    if 2 * go_bytes(text) <= most:
        return 0
    size = go_bytes(json.dumps(object, ensure_ascii=False, separators=(",", ":")))
    return size if size > most else 0


def go_bytes(text: str) -> int:
    """The bytes of JSON, as Python writes it, once encoding/json has written it."""
    return len(text.encode()) + sum(more * text.count(each) for each, more in _LONGER.items())
