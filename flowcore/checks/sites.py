"""The places of a step where expressions may stand, and what each may refer to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal as OneOf
from typing import NamedTuple

from flowcore.errors import Path
from flowcore.expressions import references
from flowcore.model import MISSING, Container, EnvValue, Manifest, Nested, Python, Script, Step
from flowcore.syntax import Expr, Ref, Template, Value

Place = OneOf[
    "when",
    "foreach",
    "until",
    "image",
    "command",
    "args",
    "env",
    "python.args",
    "nested args",
    "cache.key",
    "manifest",
    "success_when",
    "failure_when",
    "outputs",
    "env of the workflow",
    "defaults.image",
]


class Site(NamedTuple):
    """One value, or one condition, with its path below the step."""

    path: Path
    place: Place
    value: Value = None
    condition: Expr | None = None

    def references(self) -> Iterator[Ref]:
        """Every reference in it."""
        return references(self.value if self.condition is None else self.condition)


def sites(step: Step) -> Iterator[Site]:
    """Give every place of ``step`` that may hold expressions, in the document's order of keys, literals included."""
    if step.when is not None:
        yield Site(("when",), "when", condition=step.when)
    if step.foreach is not MISSING:
        yield Site(("foreach",), "foreach", step.foreach)
    if step.repeat is not None:
        yield Site(("repeat", "until"), "until", condition=step.repeat.until)
    if step.image is not None:
        yield Site(("image",), "image", step.image)
    yield from _action(step)
    if step.env:
        yield from env_sites(step.env, "env")
    if step.cache is not None:
        yield Site(("cache", "key"), "cache.key", step.cache.key)


def reading(step: Step, own: bool = True) -> list[Value | Expr]:
    """What in a step may hold references, in the order of ``sites``: all but plain text, and without its place.

    Most steps hold none, and this is asked of every step again and again.

    Args:
        own: conditions on what the step itself does, too.
    """
    found: list[Value | Expr] = []
    if step.when is not None:
        found.append(step.when)
    if step.foreach is not MISSING:
        found.append(step.foreach)
    if own and step.repeat is not None:
        found.append(step.repeat.until)
    if step.image is not None and type(step.image) is not str:
        found.append(step.image)
    action = step.action
    values: Iterable[Value]
    if isinstance(action, Container):
        values = action.args if action.command is None else (*action.command, *action.args)
    elif isinstance(action, Script):
        values = action.args
    elif isinstance(action, Python | Nested):
        values = action.args.values()
    else:
        values = (dict(action.object),)
    for value in values:
        if type(value) is not str:
            found.append(value)
    if own and isinstance(action, Manifest):
        found += [each for each in (action.success_when, action.failure_when) if each is not None]
    if step.env:
        found += [held for held in step.env.values() if isinstance(held, Template)]
    if step.cache is not None:
        found.append(step.cache.key)
    return found


def step_references(step: Step) -> list[Ref]:
    """Every reference of a step that is read when it starts: all but those of conditions on what it does itself."""
    return [ref for value in reading(step, own=False) for ref in references(value)]


def env_sites(env: Mapping[str, EnvValue], place: Place) -> Iterator[Site]:
    """The values of an ``env`` that are text."""
    for name, value in env.items():
        if isinstance(value, str | Template):
            yield Site(("env", name), place, value)


def _action(step: Step) -> Iterator[Site]:
    action = step.action
    if isinstance(action, Container):
        for i, word in enumerate(action.command or ()):
            yield Site(("command", i), "command", word)
    if isinstance(action, Container | Script):
        for i, word in enumerate(action.args):
            yield Site(("args", i), "args", word)
    elif isinstance(action, Python):
        for name, value in action.args.items():
            yield Site(("python", "args", name), "python.args", value)
    elif isinstance(action, Nested):
        for name, value in action.args.items():
            yield Site(("args", name), "nested args", value)
    elif isinstance(action, Manifest):
        yield Site(("manifest",), "manifest", dict(action.object))
        if action.success_when is not None:
            yield Site(("success_when",), "success_when", condition=action.success_when)
        if action.failure_when is not None:
            yield Site(("failure_when",), "failure_when", condition=action.failure_when)
