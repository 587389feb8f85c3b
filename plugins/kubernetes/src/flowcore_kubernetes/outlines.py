"""The outline of a workflow as text in an object: packed where it is long. Pure."""

from __future__ import annotations

import base64
import zlib
from typing import Final

READABLE: Final = 8192
"""Characters up to which an outline stays readable: annotations of an object have 256 KiB in all."""


def packed_outline(outline: str, readable: int = READABLE) -> str:
    """The outline as the text of an annotation; packed if it has more than ``readable`` characters."""
    if len(outline) <= readable:
        return outline
    return base64.b64encode(zlib.compress(outline.encode())).decode()


def unpacked_outline(text: str) -> str:
    """The outline again."""
    return text if text.startswith("{") else zlib.decompress(base64.b64decode(text)).decode()
