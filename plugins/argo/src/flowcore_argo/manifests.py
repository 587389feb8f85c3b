"""A Kubernetes object as a resource template: its text, and the conditions that Argo waits for.

The text is JSON, where every brace and dollar inside a string can be written as an escape: so nothing that Argo or the
kubelet would expand is in it, and values of steps, escaped the same way, come through byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from flowcore.plugin import Expr, Ref, Template, Value
from flowcore_argo.expressions import Scope, text_code, value_code
from flowcore_argo.places import RUN_NAME
from flowcore_argo.quoting import tag
from flowcore_kubernetes import Comparison

if TYPE_CHECKING:
    from flowcore_argo.pods import Inputs


def manifest_text(object: Mapping[str, Value], inputs: Inputs, scope: Scope) -> str:
    """The object's text, with references to the inputs that hold its values."""

    def write(value: Value, depth: int) -> str:
        blank = "  " * (depth + 1)
        if isinstance(value, dict):
            if not value:
                return "{}"
            rows = ",\n".join(f"{blank}{_string(key)}: {write(item, depth + 1)}" for key, item in value.items())
            return f"{{\n{rows}\n{'  ' * depth}}}"
        if isinstance(value, list):
            if not value:
                return "[]"
            rows = ",\n".join(f"{blank}{write(item, depth + 1)}" for item in value)
            return f"[\n{rows}\n{'  ' * depth}]"
        if isinstance(value, Template):
            return _template(value, inputs, scope)
        return _string(value) if isinstance(value, str) else json.dumps(value)

    return write(dict(object), 0)


def _template(value: Template, inputs: Inputs, scope: Scope) -> str:
    from flowcore_argo.pods import input_name

    if value.alone is not None and not _is_run(value.alone):
        # The whole value keeps its type. Two braces side by side are only ever inside a string.
        text = f"sprig.replace('$','{DOLLAR}',toJson({value_code(value.alone, scope)}))"
        return _ref(inputs.add(f"{input_name(value.alone)}-json", tag(f"sprig.replace('{{{{','{{{BRACE}',{text})")))
    pieces = []
    for part in value.parts:
        if isinstance(part, str):
            pieces.append(_string(part)[1:-1])
        elif _is_run(part):
            pieces.append(RUN_NAME)
        else:
            text = f"sprig.replace('$','{DOLLAR}',map([toJson({text_code(part, scope)})], #[1:len(#)-1])[0])"
            pieces.append(_ref(inputs.add(f"{input_name(part)}-text", tag(f"sprig.replace('{{','{BRACE}',{text})"))))
    return f'"{"".join(pieces)}"'


BRACE: Final = "\\\\u007b"
DOLLAR: Final = "\\\\u0024"
"""JSON's escapes, as an expression writes them."""


def _is_run(expr: Expr) -> bool:
    return isinstance(expr, Ref) and expr.kind == "run.id"


def _ref(name: str) -> str:
    return "{{inputs.parameters." + name + "}}"


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("{", "\\u007b").replace("$", "\\u0024")


def condition(comparisons: Iterable[Comparison]) -> str:
    """Comparisons as Argo takes them: of a success all have to hold, of a failure each one alone is one."""
    return ",".join(f"{'.'.join(map(str, each.path))} {each.operator} {each.value}" for each in comparisons)
