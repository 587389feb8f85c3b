"""A Kubernetes object as a resource template: its text, and the conditions that Argo waits for.

The text is JSON, where every brace and dollar inside a string can be written as an escape: so nothing that Argo or the
kubelet would expand is in it, and values of steps, escaped the same way, come through byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from flowcore.plugin import Expr, Ref, Template, Value, quoted
from flowcore_argo.expressions import Scope, text_code, value_code
from flowcore_argo.places import GROUP, RUN_NAME, VERSION
from flowcore_argo.quoting import member, tag
from flowcore_kubernetes import Comparison

if TYPE_CHECKING:
    from flowcore_argo.pods import Inputs


def resource(object: Mapping[str, Value], inputs: Inputs, scope: Scope) -> dict[str, Any]:
    """The fields that make an object which the Workflow owns, with references to the inputs that hold its values.

    Argo's ``setOwnerReference`` reads the filled-in text as YAML, which folds some characters and refuses others (YAML
    1.1, 5.1 and 5.4). Where there may be such, the text says itself whose the object is: kubectl reads it as JSON.
    """
    metadata = dict(cast(Mapping[str, Value], object.get("metadata", {})))
    owners = metadata.get("ownerReferences", [])
    # Owners that only the run knows are Argo's to add to.
    if _is_yaml(object) or not isinstance(owners, list):
        return {"action": "create", "setOwnerReference": True, "manifest": _text(object, inputs, scope)}
    metadata["ownerReferences"] = [*owners, OWNER]
    return {"action": "create", "manifest": _text({**object, "metadata": metadata}, inputs, scope)}


class _Filled(str):
    """Text in which Argo has to put values."""


OWNER: Final[dict[str, Value]] = {
    "apiVersion": f"{GROUP}/{VERSION}",
    "kind": "Workflow",
    "name": _Filled(RUN_NAME),
    "uid": _Filled("{{workflow.uid}}"),
    "controller": True,
    "blockOwnerDeletion": True,
}


def _is_yaml(value: Value | Mapping[str, Value]) -> bool:
    """Whether a value is JSON that YAML reads as the same, whatever the run fills in."""
    if isinstance(value, Template):
        return all(_is_yaml(part) if isinstance(part, str) else _is_run(part) for part in value.parts)
    if isinstance(value, str):
        return quoted(value) == json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return all(_is_yaml(key) and _is_yaml(item) for key, item in value.items())
    return all(map(_is_yaml, value)) if isinstance(value, list) else True


def _text(object: Mapping[str, Value], inputs: Inputs, scope: Scope) -> str:
    """The object's JSON, over several lines."""

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
        return _string(value) if isinstance(value, str) and type(value) is not _Filled else json.dumps(value)

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
            # Not as a slice: lengths are in characters there, and slices in bytes.
            inside = f"""sprig.trimSuffix('"',sprig.trimPrefix('"',toJson({text_code(part, scope)})))"""
            text = f"sprig.replace('$','{DOLLAR}',{inside})"
            pieces.append(_ref(inputs.add(f"{input_name(part)}-text", tag(f"sprig.replace('{{','{BRACE}',{text})"))))
    return f'"{"".join(pieces)}"'


BRACE: Final = "\\\\u007b"
DOLLAR: Final = "\\\\u0024"
"""JSON's escapes, as an expression writes them."""


def _is_run(expr: Expr) -> bool:
    return isinstance(expr, Ref) and expr.kind == "run.id"


def _ref(name: str) -> str:
    # As an expression: what Argo puts in the place of a plain reference is no JSON if it holds control characters.
    return tag(member("inputs.parameters", name))


def _string(text: str) -> str:
    return quoted(text).replace("{", "\\u007b").replace("$", "\\u0024")


def condition(comparisons: Iterable[Comparison]) -> str:
    """Comparisons as Argo takes them: of a success all have to hold, of a failure each one alone is one."""
    return ",".join(f"{'.'.join(map(str, each.path))} {each.operator} {each.value}" for each in comparisons)
