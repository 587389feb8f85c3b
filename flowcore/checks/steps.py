"""One step's fields: what may stand together, and in which range."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flowcore.checks.python_source import check_python
from flowcore.checks.references import Report
from flowcore.checks.scope import shown
from flowcore.checks.text import check_argument, check_clashes, check_name, check_text, check_value, is_short
from flowcore.errors import Path
from flowcore.expressions import fits, type_of_json
from flowcore.expressions.inference import described
from flowcore.model import (
    ANY,
    MISSING,
    STRING,
    ConfigMapKey,
    Container,
    Defaults,
    EnvValue,
    Manifest,
    Missing,
    Mount,
    Nested,
    Output,
    Python,
    Retry,
    Script,
    SecretKey,
    Step,
    Volume,
    Workflow,
)
from flowcore.names import nearest
from flowcore.syntax import Json, Template
from flowcore.units import parse_quantity

_EMPTY = Step(Container())
_NESTED_FIELDS = frozenset({"description", "needs", "when", "foreach", "continue_on_failure"})
_MANIFEST_FIELDS = frozenset(
    {"description", "needs", "when", "timeout", "pending_timeout", "retry", "continue_on_failure", "backends"}
)
_NOT_ON_EXIT = ("needs", "foreach", "repeat", "cache")
_FIELDS = (
    "description",
    "image",
    "needs",
    "when",
    "foreach",
    "repeat",
    "outputs",
    "stdout",
    "env",
    "env_from",
    "timeout",
    "pending_timeout",
    "retry",
    "continue_on_failure",
    "parallelism",
    "cache",
    "working_dir",
    "user",
    "image_pull_policy",
    "mounts",
    "resources",
    "requests",
    "labels",
    "annotations",
    "node_selector",
    "tolerations",
    "backends",
)
_LONGEST_REPEAT = 100


def check_step(
    step: Step, workflow: Workflow, volumes: Mapping[str, Volume], path: Path, on_exit: bool, report: Report
) -> None:
    """Report what is wrong with a step, but for its expressions, its needs and the inside of a nested workflow.

    ``volumes`` are those of the whole workflow.
    """
    _combination(step, path, on_exit, report)
    _action(step, workflow, path, report)
    _control(step, path, report)
    _outputs(step, path, report)
    check_env(step.env, path, report)
    for i, source in enumerate(step.env_from):
        _present(source.name, (*path, "env_from", i), f"the name of a {source.kind.replace('_', ' ')}", report)
    for target, mount in step.mounts.items():
        _mount(target, mount, volumes, (*path, "mounts", target), report)
    if step.cache is not None:
        check_value(step.cache.key, (*path, "cache", "key"), report)
        _present(step.cache.key, (*path, "cache", "key"), "the key", report)
        if step.cache.max_age is not None and not step.cache.max_age > 0:
            report((*path, "cache", "max_age"), "the age has to be above 0s; leave max_age out for no limit")
    if step.foreach is not MISSING and not isinstance(step.foreach, Missing):
        check_value(step.foreach, (*path, "foreach"), report)
    check_common(step, path, report)


def check_common(of: Step | Defaults, path: Path, report: Report) -> None:
    """Report what is wrong with the fields that a step and ``defaults`` share."""
    if of.image is not None:
        _present(of.image, (*path, "image"), "the image", report)
        if isinstance(of.image, Template):
            check_value(of.image, (*path, "image"), report)
    for name, seconds in (("timeout", of.timeout), ("pending_timeout", of.pending_timeout)):
        if seconds is not None:
            check_seconds(seconds, (*path, name), report)
    if of.retry is not None:
        _retry(of.retry, (*path, "retry"), report)
    for name, text in (("working_dir", of.working_dir), ("user", of.user)):
        if text is not None:
            _present(text, (*path, name), name, report)
    if of.resources or of.requests:
        _quantities(of, path, report)
    for field, texts in (
        ("labels", of.labels),
        ("annotations", of.annotations),
        ("node_selector", of.node_selector),
    ):
        if texts:
            check_value(dict(texts), (*path, field), report)
    for i, toleration in enumerate(of.tolerations):
        _toleration(toleration, (*path, "tolerations", i), report)


def check_env(env: Mapping[str, EnvValue], path: Path, report: Report) -> None:
    """Report names and values that no environment can hold."""
    for name, value in env.items():
        where: Path = (*path, "env", name)
        if not name:
            report(where, "a variable needs a name")
        elif "=" in name:
            report(where, f"the name {name!r} holds =, which ends a variable's name; take it out")
        elif name.startswith("FLOW_"):
            report(where, f"{name} is reserved: every step is given its own FLOW_* variables; choose another name")
        check_text(name, where, report)
        if isinstance(value, str | Template):
            check_value(value, where, report)
            check_argument(value, name, where, report)
        else:
            held = value.secret if isinstance(value, SecretKey) else value.config_map
            kind = "config map" if isinstance(value, ConfigMapKey) else "secret"
            _present(held, where, f"the name of a {kind}", report)
            _present(value.key, where, f"the key of the {kind}", report)


def check_seconds(seconds: float, path: Path, report: Report) -> None:
    """Report a timeout that is not a whole number of seconds, at least one (S13)."""
    if seconds < 1 or seconds != int(seconds):
        report(
            path, f"a timeout is whole seconds, at least 1s, and this is {seconds:g}s; write {max(1, round(seconds))}s"
        )


def check_parallelism(count: int | None, path: Path, report: Report) -> None:
    """Report a bound that would let nothing run."""
    if count is not None and count < 1:
        report((*path, "parallelism"), f"parallelism is at least 1, and this is {count}; leave it out for no limit")


def check_default(default: Json | Missing, of: Output, path: Path, report: Report) -> None:
    """Report a default that does not match the declared type, or that holds what no process can be given."""
    if of.type.items is not None and of.type.name != "list":
        report((*path[:-1], "items"), f"items is for lists, and the type is {of.type.name}; leave it out")
    if isinstance(default, Missing):
        return
    if not fits(default, of.type):
        found = described(type_of_json(default))
        report(path, f"the default {shown(default)} is {found}, and the type is {of.type}; change one of them")
    check_value(default, path, report)  # type: ignore[arg-type]


def _combination(step: Step, path: Path, on_exit: bool, report: Report) -> None:
    """Fields that this kind of step, or this place, has no use for (S20, S21, S23, S26)."""
    if on_exit:
        for name in _NOT_ON_EXIT:
            if _given(step, name):
                report((*path, name), f"a step of on_exit takes no {name}; make it an ordinary step if it needs one")
        if isinstance(step.action, Nested):
            report((*path, "workflow"), "a step of on_exit cannot be a nested workflow; write its steps in on_exit")
    if isinstance(step.action, Nested):
        for name in _given_fields(step):
            if name not in _NESTED_FIELDS:
                report(
                    (*path, name),
                    f"a nested workflow takes no {name}, but needs, when, foreach, args and continue_on_failure; "
                    "give it to the steps inside",
                )
        return
    if isinstance(step.action, Manifest):
        for name in _given_fields(step):
            if name not in _MANIFEST_FIELDS:
                report((*path, name), f"a manifest step takes no {name}; write what it means into the object")
        return
    if step.repeat is not None:
        for name in ("foreach", "cache"):
            if _given(step, name):
                report((*path, name), f"repeat and {name} do not go together; take one of them out")
    if step.cache is not None and any(output.artifact for output in step.outputs.values()):
        report((*path, "cache"), "a step with artifacts cannot be cached; make them values or leave cache out")
    if step.parallelism is not None and step.foreach is MISSING:
        report((*path, "parallelism"), "parallelism of a step is for the items of foreach; add foreach or leave it out")


def _given_fields(step: Step) -> Iterator[str]:
    return (name for name in _FIELDS if _given(step, name))


def _given(step: Step, name: str) -> bool:
    value = getattr(step, name)
    return value is not getattr(_EMPTY, name) and value != getattr(_EMPTY, name)


def _action(step: Step, workflow: Workflow, path: Path, report: Report) -> None:
    action = step.action
    if isinstance(action, Container):
        if action.command is None and step.image is None and workflow.defaults.image is None:
            report(path, "this step has nothing to run; add command, script, python, workflow, manifest or an image")
        if action.command is not None and not action.command:
            report((*path, "command"), "the command is empty; write the program and its arguments as a list")
        _words(action.command or (), (*path, "command"), report)
        _words(action.args, (*path, "args"), report)
        first = action.command[0] if action.command else None
        if first == "":
            report((*path, "command", 0), "the program's name is empty; write the program to run")
    elif isinstance(action, Script):
        check_text(action.source, (*path, "script"), report)
        if not action.interpreter or not action.interpreter[0]:
            report((*path, "interpreter"), "the interpreter is empty; write one, as in [sh, -e], or leave it out")
        _words(action.interpreter, (*path, "interpreter"), report)
        _words(action.args, (*path, "args"), report)
    elif isinstance(action, Python):
        before: list[Path] = []
        check_text(action.source, (*path, "python", "source"), lambda at, message: _both(at, message, before, report))
        for name, value in action.args.items():
            check_value(value, (*path, "python", "args", name), report)
        if not before:
            check_python(action, (*path, "python"), report)
    elif isinstance(action, Nested):
        for name, value in action.args.items():
            check_value(value, (*path, "args", name), report)
    else:
        check_value(dict(action.object), (*path, "manifest"), report)
        _manifest(action, (*path, "manifest"), report)


def _both(at: Path, message: str, seen: list[Path], report: Report) -> None:
    seen.append(at)
    report(at, message)


def _words(words: tuple[str | Template, ...], path: Path, report: Report) -> None:
    for i, word in enumerate(words):
        if is_short(word):
            continue
        where = (*path, i)
        check_value(word, where, report)
        check_argument(word, "", where, report)


def _manifest(action: Manifest, path: Path, report: Report) -> None:
    for key in ("apiVersion", "kind"):
        if not action.object.get(key):
            report(path, f"a Kubernetes object needs {key}; add it to the manifest")
    if "metadata" in action.object and not isinstance(action.object["metadata"], dict):
        report((*path, "metadata"), "metadata is a mapping; write name or generateName under it")


def _control(step: Step, path: Path, report: Report) -> None:
    check_parallelism(step.parallelism, path, report)
    repeat = step.repeat
    if repeat is not None:
        if not 1 <= repeat.max <= _LONGEST_REPEAT:
            report((*path, "repeat", "max"), f"max is from 1 to {_LONGEST_REPEAT}, and this is {repeat.max}")
        if repeat.delay < 0:
            report((*path, "repeat", "delay"), "the delay is negative; write 0s or more")


def _retry(retry: Retry, path: Path, report: Report) -> None:
    if retry.limit < 0:
        report((*path, "limit"), f"limit is the number of further attempts, 0 or more, and this is {retry.limit}")
    for i, what in enumerate(retry.only):
        if what not in ("failed", "error", "timeout"):
            report((*path, "only", i), f"{what!r} cannot be retried; write failed, error or timeout")
    backoff = retry.backoff
    if backoff is None:
        return
    if backoff.initial < 0:
        report((*path, "backoff", "initial"), "the wait is negative; write 0s or more")
    if backoff.factor < 1 or backoff.factor != int(backoff.factor):
        report((*path, "backoff", "factor"), f"factor is an integer of at least 1, and this is {backoff.factor}")
    if backoff.max is not None and backoff.max < 0:
        report((*path, "backoff", "max"), "the longest wait is negative; write 0s or more")


def _outputs(step: Step, path: Path, report: Report) -> None:
    for name, output in step.outputs.items():
        where: Path = (*path, "outputs", name)
        check_name("name of an output", name, where, report)
        if not output.artifact:
            check_default(output.default, output, (*where, "default"), report)
            continue
        if output.default is not MISSING:
            report((*where, "default"), "an artifact has no default; leave it out, or make the output a value")
        if output.type not in (STRING, ANY):
            report((*where, "type"), "an artifact is a file or folder and has no type; leave type or artifact out")
    if step.outputs:
        check_clashes("output", step.outputs, (*path, "outputs"), report)
    if step.stdout is None or isinstance(step.action, Nested | Manifest):
        return
    output_of = step.outputs.get(step.stdout)
    if output_of is None:
        near = nearest(step.stdout, step.outputs)
        advice = f"did you mean {near!r}?" if near else "declare it under outputs"
        report((*path, "stdout"), f"this step has no output {step.stdout!r}; {advice}")
    elif output_of.artifact:
        report((*path, "stdout"), f"{step.stdout!r} is an artifact; stdout names a value output")


def _mount(target: str, mount: Mount, volumes: Mapping[str, Volume], path: Path, report: Report) -> None:
    check_text(target, path, report)
    if not target.startswith("/") or ".." in target.split("/"):
        report(path, f"{target!r} is not a place to mount at; write an absolute path such as /data, without ..")
    if mount.volume not in volumes:
        near = nearest(mount.volume, volumes)
        advice = f"did you mean {near!r}?" if near else "declare it under volumes of the workflow"
        report(path, f"there is no volume {mount.volume!r}; {advice}")
    if mount.sub_path.startswith("/") or ".." in mount.sub_path.split("/"):
        report((*path, "sub_path"), f"{mount.sub_path!r} leaves the volume; write a path below it, without ..")
    check_text(mount.sub_path, path, report)


def _quantities(of: Step | Defaults, path: Path, report: Report) -> None:
    for field, amounts in (("resources", of.resources), ("requests", of.requests)):
        for name, text in amounts.items():
            where: Path = (*path, field, name)
            if not name:
                report(where, "a resource needs a name, such as cpu, memory or gpu")
            try:
                amount = parse_quantity(text)
            except ValueError as error:
                report(where, str(error))
                continue
            if name == "gpu" and amount != int(amount):
                report(where, f"{text!r} is not a number of GPUs; write a whole one")
    for name in of.requests.keys() & of.resources.keys():
        try:
            above = parse_quantity(of.requests[name]) > parse_quantity(of.resources[name])
        except ValueError:
            continue
        if above:
            report(
                (*path, "requests", name),
                f"the request {of.requests[name]} is above the limit {of.resources[name]} in resources; lower it",
            )


_TOLERATION: dict[str, tuple[str, ...] | None] = {
    "key": None,
    "operator": ("Exists", "Equal"),
    "value": None,
    "effect": ("NoSchedule", "PreferNoSchedule", "NoExecute"),
    "tolerationSeconds": None,
}


def _toleration(toleration: Mapping[str, Json], path: Path, report: Report) -> None:
    for key, value in toleration.items():
        where: Path = (*path, key)
        if key not in _TOLERATION:
            near = nearest(key, _TOLERATION) or "one of " + ", ".join(_TOLERATION)
            report(where, f"a toleration has no {key!r}; write {near}")
            continue
        values = _TOLERATION[key]
        if key == "tolerationSeconds":
            if not isinstance(value, int) or isinstance(value, bool):
                report(where, f"{shown(value)} is not a number of seconds; write an integer")
        elif not isinstance(value, str):
            report(where, f"{shown(value)} is not text; put it in quotes")
        elif values is not None and value not in values:
            report(where, f"{value!r} is not an {key}; write {' or '.join(values)}")
    if toleration.get("operator") == "Exists" and toleration.get("value"):
        report((*path, "value"), "Exists takes no value; leave it out, or write operator: Equal")
    if not toleration.get("key") and toleration.get("operator") != "Exists":
        report(path, "a toleration without key takes operator: Exists; add a key or the operator")


def _present(text: str | Template, path: Path, what: str, report: Report) -> None:
    if text == "":
        report(path, f"{what} is empty; write it or leave the field out")
    elif isinstance(text, str):
        check_text(text, path, report)
