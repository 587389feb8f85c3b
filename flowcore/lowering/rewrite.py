"""Replaces references everywhere in a step: what binding, inlining and expanding have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import evolve

from flowcore.checks.sites import reading
from flowcore.expressions import as_text, constant, references, substitute
from flowcore.model import (
    MISSING,
    Cache,
    ConfigMapKey,
    Container,
    EnvValue,
    Manifest,
    Nested,
    Python,
    Repeat,
    Script,
    SecretKey,
    Step,
)
from flowcore.syntax import Binary, Expr, Get, ListOf, Literal, Not, Ref, Template, Text, Value

Replace = Callable[[Ref], "Value | Expr | None"]
"""What stands for a reference: plain JSON, a Template, an expression, or None to leave it."""


class CannotReplace(Exception):
    """Text with references in it stands for a reference inside an expression, where there is no way to write it."""


def _expression_for(replace: Replace) -> Callable[[Ref], Expr | None]:
    def one(ref: Ref) -> Expr | None:
        found = replace(ref)
        return None if found is None else as_expr(found)

    return one


def rewrite_expr(expr: Expr, replace: Replace) -> Expr:
    """Replace the references of an expression, and fold what became constant.

    Raises:
        CannotReplace: as ``as_expr`` does.
    """
    return substitute(expr, _expression_for(replace))


def rewrite_value(value: Value, replace: Replace) -> Value:
    """Replace the references of a value at any depth.

    Raises:
        CannotReplace: as ``as_expr`` does, for a reference inside a larger expression.
    """
    if isinstance(value, Template):
        return _rewrite_template(value, replace)
    if isinstance(value, list):
        return [rewrite_value(item, replace) for item in value]
    if isinstance(value, dict):
        return {key: rewrite_value(item, replace) for key, item in value.items()}
    return value


def _rewrite_template(template: Template, replace: Replace) -> Value:
    if isinstance(template.alone, Ref):
        # The whole value is the reference, so any value may stand for it, an object with references inside too.
        found = replace(template.alone)
        if isinstance(found, (Template, list, dict)):
            return found
    parts: list[str | Expr] = []
    for part in template.parts:
        found = replace(part) if isinstance(part, Ref) else None
        spliced = isinstance(found, Template) and found.alone is None
        parts.extend(found.parts if spliced else [part])  # type: ignore[union-attr]
    return substitute(Template(tuple(parts)), _expression_for(replace))


def as_expr(value: Value | Expr) -> Expr:
    """A value as an expression.

    Raises:
        CannotReplace: if it is text with references inside, or an object with references inside.
    """
    if isinstance(value, (Literal, Ref, Get, ListOf, Not, Binary)):
        return value
    if isinstance(value, Template):
        if value.alone is None:
            raise CannotReplace
        return value.alone
    if isinstance(value, list):
        return ListOf(tuple(as_expr(item) for item in value))
    if isinstance(value, dict) and any(True for _ in references(value)):
        raise CannotReplace
    return constant(value)  # type: ignore[arg-type]


def rewrite_text(text: Text, replace: Replace) -> Text:
    """Replace the references of a text; what became constant is written as S28 says.

    Raises:
        CannotReplace: as ``as_expr`` does.
    """
    value = rewrite_value(text, replace)
    if isinstance(value, (str, Template)):
        return value
    if any(True for _ in references(value)):
        return Template((as_expr(value),))
    return as_text(value)  # type: ignore[arg-type]


def rewrite_env(env: Mapping[str, EnvValue], replace: Replace) -> dict[str, EnvValue]:
    """Replace the references of an environment's values."""
    return {
        name: value if isinstance(value, (SecretKey, ConfigMapKey)) else rewrite_text(value, replace)
        for name, value in env.items()
    }


def rewrite_step(step: Step, replace: Replace) -> Step:
    """Replace the references of a step; the inside of a nested workflow has a scope of its own and is left alone."""
    if not reading(step):
        return step
    return evolve(
        step,
        action=_rewrite_action(step, replace),
        image=None if step.image is None else rewrite_text(step.image, replace),
        when=None if step.when is None else rewrite_expr(step.when, replace),
        foreach=step.foreach if step.foreach is MISSING else rewrite_value(step.foreach, replace),
        repeat=None
        if step.repeat is None
        else Repeat(rewrite_expr(step.repeat.until, replace), step.repeat.max, step.repeat.delay),
        env=rewrite_env(step.env, replace),
        cache=None if step.cache is None else Cache(rewrite_text(step.cache.key, replace), step.cache.max_age),
    )


def _texts(texts: tuple[Text, ...], replace: Replace) -> tuple[Text, ...]:
    return tuple(rewrite_text(text, replace) for text in texts)


def _values(values: Mapping[str, Value], replace: Replace) -> dict[str, Value]:
    return {name: rewrite_value(value, replace) for name, value in values.items()}


def _rewrite_action(step: Step, replace: Replace) -> Container | Script | Python | Nested | Manifest:
    action = step.action
    if isinstance(action, Container):
        command = None if action.command is None else _texts(action.command, replace)
        return Container(command, _texts(action.args, replace))
    if isinstance(action, Script):
        return evolve(action, args=_texts(action.args, replace))
    if isinstance(action, Manifest):
        return evolve(action, object=_values(action.object, replace))
    return evolve(action, args=_values(action.args, replace))
