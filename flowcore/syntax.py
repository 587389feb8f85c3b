"""The abstract syntax of the expression language: data only (``expressions.py`` parses, types and evaluates it).

One tree serves every backend: it is checked when the document is read, compiled by backends that have an expression
language of their own, and evaluated by the local engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal as OneOf

from attrs import field, frozen

Json = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
"""What JSON can hold. Integers are signed 64 bit, numbers are finite."""

RefKind = OneOf["param", "output", "own", "item", "iteration", "run.id", "run.phase", "workflow.name", "object"]


@frozen
class Literal:
    """A constant: ``null``, a boolean, a number or a string. Binding may put lists and objects here too."""

    value: Json


@frozen
class Ref:
    """A name that gets its value later.

    ==================  ======================================  ======================
    kind                written                                 fields used
    ==================  ======================================  ======================
    ``param``           ``params.NAME``                         ``name``
    ``output``          ``steps.STEP.outputs.NAME``             ``step``, ``name``
    ``own``             ``outputs.NAME`` (this step's own)      ``name``
    ``item``            ``item``
    ``iteration``       ``iteration``
    ``run.id``          ``run.id``
    ``run.phase``       ``run.phase``
    ``workflow.name``   ``workflow.name``
    ``object``          ``status``, ``metadata``... (manifest)  ``name``
    ==================  ======================================  ======================

    ``path`` is true where ``.path`` follows an output: the file's place instead of its content. An object's key of
    that name is written ``["path"]``.
    """

    kind: RefKind
    step: str = ""
    name: str = ""
    path: bool = False


@frozen
class Get:
    """``base.key``, ``base["key"]`` or ``base[0]``."""

    base: Expr
    key: str | int


@frozen
class ListOf:
    """``[a, b]``: a list whose elements may be expressions."""

    items: tuple[Expr, ...]


@frozen
class Not:
    """``!operand``."""

    operand: Expr


Operator = OneOf["==", "!=", "<", "<=", ">", ">=", "in", "&&", "||"]


@frozen
class Binary:
    """``left operator right``."""

    operator: Operator
    left: Expr
    right: Expr


Expr = Literal | Ref | Get | ListOf | Not | Binary


def _tuple(parts: Iterable[str | Expr]) -> tuple[str | Expr, ...]:
    return tuple(parts)


@frozen
class Template:
    """Text with expressions in it. Parts that are ``str`` are data, never read again.

    A template of one expression keeps that expression's type (``"${{ params.rows }}"`` is an integer); any other one
    is text. Text without expressions is a plain ``str`` in the model, not a template.
    """

    parts: tuple[str | Expr, ...] = field(converter=_tuple)

    @property
    def alone(self) -> Expr | None:
        """The expression, if the template is nothing else."""
        first = self.parts[0]
        return first if len(self.parts) == 1 and not isinstance(first, str) else None


Text = str | Template
"""Text, with or without expressions."""

Value = bool | int | float | str | Template | list["Value"] | dict[str, "Value"] | None
"""JSON in which any string may be a template."""
