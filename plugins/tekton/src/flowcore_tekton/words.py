"""The texts of one container: literal, by params, by annotations, or composed by the step before it."""

from __future__ import annotations

import json
from typing import Any, Final, TypeGuard

from attrs import define, field

from flowcore.plugin import Text, as_text
from flowcore_tekton.codes import Code
from flowcore_tekton.places import BEGIN
from flowcore_tekton.quoting import is_reference, may_be_of_a_step, static
from flowcore_tekton.reading import Reader

TEXT: Final = "flowcore.dev/text."
"""Annotation of a task with a text that Tekton would take for a reference."""

Pieces = list[tuple[str, str]]
"""``("text", literal)`` and ``("ref", what Tekton or the kubelet replaces)``."""


@define
class Words:
    """Writes the texts of a step's own container.

    Attributes:
        item: whether ``$(params.item)`` is the text of the item.
        plain_item: whether that text is also its JSON.
        values: what ``flow-begin`` has to compose, by the name of its result.
        annotations: texts that stand in annotations.
    """

    reader: Reader
    item: bool = False
    plain_item: bool = False
    values: dict[str, Code] = field(factory=dict)
    annotations: dict[str, str] = field(factory=dict)
    env: list[dict[str, Any]] = field(factory=list)
    composing: bool = False

    def prepare(self, texts: list[Text]) -> None:
        """Learn whether any text has to be composed: then what looks like a reference is, too.

        In such a container Tekton's entrypoint looks for references itself, and gives up all if one of them is odd.
        """
        for text in texts:
            if not _literal(text):
                pieces = self._pieces(self.reader.code(text))
                self.composing = self.composing or pieces is None or may_be_of_a_step(pieces)

    def text(self, text: Text) -> str:
        """A text of command or args."""
        if _literal(text):
            return text
        code = self.reader.code(text)
        pieces = self._pieces(code)
        if pieces is None or (self.composing and _odd(pieces)):
            return self._composed(code)
        return self._joined(pieces)

    def variable(self, name: str, text: Text) -> dict[str, Any]:
        """A variable of the environment."""
        if _literal(text):
            return {"name": name, "value": text}
        code = self.reader.code(text)
        pieces = self._pieces(code)
        odd = pieces is not None and _odd(pieces)
        if odd and not self.composing and pieces is not None and len(pieces) == 1:
            return {"name": name, "valueFrom": self._annotated(pieces[0][1])}
        if pieces is None or (odd and self.composing):
            return {"name": name, "value": self._composed(code)}
        return {"name": name, "value": self._joined(pieces)}

    def _joined(self, pieces: Pieces) -> str:
        written = ""
        for index, (kind, word) in enumerate(pieces):
            if kind == "ref":
                written += word
            elif is_reference(word):
                name = f"FLOW_TEXT_{len(self.env) + 1}"
                self.env.append({"name": name, "valueFrom": self._annotated(word)})
                written += f"$({name})"
            else:
                written += static(word, index + 1 < len(pieces))
        return written

    def _annotated(self, text: str) -> dict[str, Any]:
        key = f"{TEXT}{len(self.annotations) + 1}"
        self.annotations[key] = text
        return {"fieldRef": {"fieldPath": f"metadata.annotations['{key}']"}}

    def _composed(self, code: Code) -> str:
        name = next((name for name, known in self.values.items() if known == code), f"v{len(self.values) + 1}")
        self.values[name] = code
        return f"$(steps.{BEGIN}.results.{name})"

    def _pieces(self, code: Code) -> Pieces | None:
        """The text of a code in pieces that need no program, if there are such."""
        what = code[0]
        if what == "lit":
            return [("text", as_text(code[1]))]
        if what == "text":
            found: Pieces = []
            for part in code[1]:
                pieces: Pieces | None = [("text", part)] if isinstance(part, str) else self._pieces(part)
                if pieces is None:
                    return None
                for kind, word in pieces:
                    if kind == "text" and found and found[-1][0] == "text":
                        found[-1] = ("text", found[-1][1] + word)
                    elif word or kind == "ref":
                        found.append((kind, word))
            return found or [("text", "")]
        if what == "list":
            return self._json_list(code[1])
        if what != "ref":
            return None
        if code[1] == "run.id":
            return [("ref", "$(context.pipelineRun.name)")]
        if code[1] == "item":
            return [("ref", "$(params.item)")] if self.item else None
        direct = self.reader.direct(code)
        return [("ref", direct)] if direct is not None else None

    def _json_list(self, items: list[Code]) -> Pieces | None:
        """The JSON of a list in pieces: its elements are plain values, or params whose text is JSON."""
        found: Pieces = [("text", "[")]
        for index, item in enumerate(items):
            if index:
                found.append(("text", ","))
            if item[0] == "lit":
                found.append(("text", json.dumps(item[1], ensure_ascii=False, separators=(",", ":"))))
            elif item[0] == "ref" and item[1] == "item" and self.plain_item:
                found.append(("ref", "$(params.item)"))
            elif item[0] == "ref" and item[1] != "item" and self.reader.direct(item) is not None:
                found.append(("ref", self.reader.direct(item) or ""))
            else:
                return None
        return [*found, ("text", "]")]


def _literal(text: Text) -> TypeGuard[str]:
    """Whether a text says the same to flowcore, Tekton and the kubelet, as most do."""
    return type(text) is str and "$" not in text


def _odd(pieces: Pieces) -> bool:
    """Whether Tekton or its entrypoint may take something in a text for a reference."""
    return may_be_of_a_step(pieces) or any(kind == "text" and is_reference(word) for kind, word in pieces)
