"""Text that two template languages would read, written so that neither does.

Argo expands ``{{...}}`` in the whole object, several times, also in what an expansion gave; it has no escape. The
kubelet then expands ``$(NAME)`` in command, args and env, and halves ``$$``. So no ``{{`` may ever stand in a value:
between the braces stands a reference to an empty variable, which the kubelet takes out again just before the process
starts. The same goes for values of steps, which an expression breaks apart as it hands them over.
"""

from __future__ import annotations

import json
from typing import Final

EMPTY: Final = "FLOW_E"
"""The empty variable of every container whose text holds a brace that was broken apart."""
BREAK: Final = f"{{$({EMPTY})"
"""A brace that cannot be half of ``{{``."""


def static(text: str, before_value: bool = False) -> str:
    """Text of the document as it stands in command, args and env.

    Args:
        text: any text.
        before_value: whether a value follows, which may begin with a brace.
    """
    text = text.replace("$", "$$")
    while "{{" in text:
        text = text.replace("{{", BREAK + "{")
    if before_value and text.endswith("{"):
        text = text[:-1] + BREAK
    return text


def is_plain(text: str) -> bool:
    """Whether text is itself wherever it stands."""
    return "$" not in text and "{{" not in text


def string_literal(text: str) -> str:
    """Text as a literal of Argo's expression language. Braces become escapes, since ``}}`` would end the tag."""
    signs = []
    for sign in text:
        if sign in "\\'":
            signs.append("\\" + sign)
        elif sign in "{}" or sign < " " or sign in "\x7f\u0085\u2028\u2029\ufeff":
            signs.append(f"\\u{ord(sign):04x}")
        else:
            signs.append(sign)
    return f"'{''.join(signs)}'"


def json_literal(value: object) -> str:
    """JSON as an expression that gives it."""
    return f"fromJSON({string_literal(json.dumps(value, ensure_ascii=False, separators=(',', ':')))})"


def tag(code: str) -> str:
    """An expression where Argo evaluates it."""
    return "{{=" + code + "}}"


def handed_over(code: str) -> str:
    """The argument that hands a text to a pod: the kubelet gives exactly it to the process."""
    return tag(f"sprig.replace('{{','{BREAK}',sprig.replace('$','$$',{code}))")


def packed(code: str) -> str:
    """The argument that hands a text to another dag, where ``unpacked`` reads it."""
    return tag(f"sprig.b64enc({code})")


def unpacked(name: str) -> str:
    """The expression that reads what ``packed`` gave to the input ``name``."""
    return f"sprig.b64dec({member('inputs.parameters', name)})"


def member(path: str, name: str) -> str:
    """``path.name``, in the form that takes any name."""
    return f"{path}.{name}" if name.isidentifier() and name.isascii() else f"{path}[{string_literal(name)}]"
