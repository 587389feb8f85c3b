"""Hypothesis strategies: any workflow that a document can say. Its form is right; its references may lead nowhere."""

from typing import Any

from hypothesis import strategies as st

from flowcore import model
from flowcore.syntax import Binary, Get, ListOf, Literal, Not, Ref, Template

names = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    [
        "",
        " ",
        "true",
        "3.10",
        "017",
        "1e3",
        "null",
        "~",
        "a: b",
        "- a",
        "#",
        "a\nb\n",
        "\n",
        " x\n",
        "${{",
        "$${{",
        "}}",
    ]
)
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
integers = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | integers | floats | texts
json = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5
)
durations = st.integers(1, 10**6).map(float) | st.sampled_from([0.1, 0.25, 1.5, 5400.0, 86400.0])


def maps(values: st.SearchStrategy[Any], keys: st.SearchStrategy[str] = names) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(keys, values, max_size=3)


def lists(values: st.SearchStrategy[Any], least: int = 0) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, min_size=least, max_size=3).map(tuple)


references = st.one_of(
    st.builds(Ref, st.just("param"), name=names),
    st.builds(Ref, st.just("output"), step=names, name=names, path=st.booleans()),
    st.builds(Ref, st.just("own"), name=names, path=st.booleans()),
    st.builds(Ref, st.sampled_from(["item", "iteration", "run.id", "run.phase", "workflow.name"])),
)
keyed = st.builds(Get, references, words | st.integers(0, 9)).filter(
    # What names an output's file is a reference of its own.
    lambda get: get.base.kind in ("param", "output", "item")
)
literals = st.builds(Literal, st.none() | st.booleans() | st.integers(0, 2**63 - 1) | texts)
expressions = st.recursive(
    references | keyed | literals,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(ListOf, lists(inner, least=1)).filter(
            # A list of constants is a constant.
            lambda value: not all(isinstance(item, Literal) for item in value.items)
        ),
        st.builds(Binary, st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "&&", "||"]), inner, inner),
    ),
    max_leaves=4,
)


def _joined(parts: list[Any]) -> Any:
    """Parts as a parser gives them: neighbouring text is one part, and text alone is a str."""
    joined: list[Any] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part != "":
            joined.append(part)
    if all(isinstance(part, str) for part in joined):
        return "".join(joined)
    return Template(tuple(joined))


templates = st.lists(texts | expressions, max_size=3).map(_joined)
lone = expressions.map(lambda expression: Template((expression,)))
values = st.recursive(
    st.none() | st.booleans() | integers | floats | templates,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)

types = st.recursive(
    st.sampled_from(["string", "integer", "number", "boolean", "list", "object", "any"]).map(model.Type),
    lambda inner: st.builds(model.Type, st.just("list"), inner),
    max_leaves=2,
)
_by_type = {
    "string": texts,
    "integer": integers,
    "number": floats,
    "boolean": st.booleans(),
    "object": st.dictionaries(texts, json, max_size=2),
    "any": json,
}


def values_of(type: model.Type) -> st.SearchStrategy[Any]:
    """JSON of a type."""
    if type.name == "list":
        return st.lists(values_of(type.items) if type.items else json, max_size=2)
    return _by_type[type.name]


@st.composite
def params(draw: Any) -> model.Param:
    type = draw(types)
    return model.Param(type, draw(st.just(model.MISSING) | values_of(type)), draw(texts))


@st.composite
def outputs(draw: Any) -> model.Output:
    type = draw(types)
    return model.Output(type, draw(st.just(model.MISSING) | values_of(type)), draw(st.booleans()), draw(texts))


env_values = st.one_of(templates, st.builds(model.SecretKey, texts, texts), st.builds(model.ConfigMapKey, texts, texts))
retries = st.builds(
    model.Retry,
    st.integers(0, 9),
    st.none() | st.builds(model.Backoff, durations, st.integers(1, 9), st.none() | durations),
    lists(st.sampled_from(["failed", "error", "timeout"])),
)
volumes = st.builds(
    model.Volume, st.sampled_from(["size", "claim", "host_path", "secret", "config_map"]), texts
) | st.just(model.Volume("empty"))
optional_text = st.none() | texts
tolerations = lists(
    st.fixed_dictionaries({}, optional={"key": texts, "operator": texts, "effect": texts, "seconds": integers})
)
placement: dict[str, Any] = {
    "image": st.none() | templates,
    "timeout": st.none() | durations,
    "pending_timeout": st.none() | durations,
    "retry": st.none() | retries,
    "working_dir": optional_text,
    "user": optional_text,
    "image_pull_policy": st.sampled_from([None, "always", "if-missing", "never"]),
    "resources": maps(texts, texts),
    "requests": maps(texts, texts),
    "labels": maps(texts, texts),
    "annotations": maps(texts, texts),
    "node_selector": maps(texts, texts),
    "tolerations": tolerations,
}
backends = maps(maps(json, texts))
containers = st.builds(model.Container, lists(templates, least=1), lists(templates))
scripts = st.builds(
    model.Script,
    texts | st.sampled_from(["#!/bin/sh\nx", "#!/usr/bin/env python3 -u\nx", "#!\n"]),
    st.just(("sh", "-e")) | lists(texts, least=1),
    lists(templates),
)
pythons = st.builds(model.Python, texts, texts, maps(values))
manifests = st.builds(
    model.Manifest,
    maps(values, texts),
    st.none() | st.builds(Binary, st.just(">"), st.builds(Get, st.just(Ref("object", name="status")), words), literals),
)
leaf_actions = containers | scripts | pythons | manifests


def steps(actions: st.SearchStrategy[Any]) -> st.SearchStrategy[model.Step]:
    """Steps with any of ``actions``, or an image's own entry point."""
    fields: dict[str, Any] = {
        **placement,
        "description": texts,
        "needs": maps(st.sampled_from(["met", "succeeded", "failed", "skipped", "finished"])),
        "when": st.none() | expressions,
        "foreach": st.just(model.MISSING) | st.lists(values, max_size=2) | lone,
        "repeat": st.none() | st.builds(model.Repeat, expressions, st.integers(1, 100), st.just(0) | durations),
        "outputs": maps(outputs()),
        "stdout": st.none() | names,
        "env": maps(env_values, texts),
        "env_from": lists(st.builds(model.EnvFrom, st.sampled_from(["secret", "config_map"]), texts)),
        "continue_on_failure": st.booleans(),
        "parallelism": st.none() | st.integers(1, 9),
        "cache": st.none() | st.builds(model.Cache, templates, st.none() | durations),
        "mounts": maps(st.builds(model.Mount, texts, texts, st.booleans()), texts),
        "backends": backends,
    }

    @st.composite
    def build(draw: Any) -> model.Step:
        chosen = draw(st.lists(st.sampled_from(sorted(fields)), max_size=6, unique=True))
        given_fields = {name: draw(fields[name]) for name in chosen}
        if draw(st.integers(0, 4)) == 0:
            given_fields["image"] = draw(templates)
            return model.Step(model.Container(None, draw(lists(templates))), **given_fields)
        return model.Step(draw(actions), **given_fields)

    return build()


_inner: dict[str, Any] = {
    "description": texts,
    "params": maps(params()),
    "env": maps(env_values, texts),
    "outputs": maps(values),
}
defaults = st.fixed_dictionaries({}, optional=placement).map(lambda fields: model.Defaults(**fields))
nested = st.recursive(
    leaf_actions,
    lambda actions: st.builds(
        model.Nested,
        st.fixed_dictionaries(
            {"steps": st.dictionaries(names, steps(actions), max_size=2)}, optional={**_inner, "defaults": defaults}
        ).map(lambda fields: model.Workflow(**fields)),
        maps(values),
    ),
    max_leaves=2,
)
workflows: st.SearchStrategy[model.Workflow] = st.fixed_dictionaries(
    {"name": names, "steps": st.dictionaries(names, steps(nested), max_size=3)},
    optional={
        **_inner,
        "defaults": defaults,
        "parallelism": st.integers(1, 9),
        "timeout": durations,
        "fail_fast": st.booleans(),
        "ttl": durations,
        "labels": maps(texts, texts),
        "annotations": maps(texts, texts),
        "service_account": texts,
        "image_pull_secrets": lists(texts),
        "volumes": maps(volumes),
        "on_exit": st.dictionaries(names, steps(leaf_actions), max_size=1),
        "backends": backends,
    },
).map(lambda fields: model.Workflow(**fields))
"""Any workflow, nested ones included."""
