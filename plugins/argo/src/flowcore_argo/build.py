"""Steps as templates: what each task of a dag depends on, and what it is given.

Argo's own words are used wherever they mean the same: ``depends``, ``when``, ``withSequence``, templates that call
templates. Where they do not, a task that makes no pod is added:

* a *gate* asks what ``depends`` cannot, and whoever stands behind it is omitted if the answer is no;
* ``finish`` is the dag's only target where a failure may be left behind by a step that succeeded: Argo would take the
  phase of the last steps for the dag's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from attrs import define, evolve, field

from flowcore.plugin import (
    DNS_LABEL_1035,
    MISSING,
    Json,
    Literal,
    Need,
    Nested,
    Ref,
    Step,
    Type,
    Value,
    Workflow,
    mangle,
    references,
    step_references,
)
from flowcore_argo.expressions import Code, Scope, code_of, value_code
from flowcore_argo.frames import E, F, Frame, K, O, S, default_of, gathered, output_type, stored, value_type
from flowcore_argo.parts import Part
from flowcore_argo.places import EMPTY_LIST, FINISH, KIND, NOOP, STEP
from flowcore_argo.pods import NOTHING_READ, Inputs, Object, Place, PodMaker, Reads
from flowcore_argo.quoting import json_literal, member, packed, string_literal, tag, unpacked

ALLOWED: Final[Mapping[Need, frozenset[str]]] = {
    "met": frozenset({S, K}),
    "succeeded": frozenset({S}),
    "failed": frozenset({F, E}),
    "skipped": frozenset({K}),
    "finished": frozenset({S, K, O, F, E}),
}
"""What a need asks of the task that it names, in Argo's words."""

HAS: Final = "HAS-"
"""Before an output's name: the output that says whether that one is there. No output of a document has capitals."""
FAILED: Final = "FAILED"
"""The output of a foreach that goes on whatever its items do: whether one of them failed."""
_READABLE: Final = re.compile("[a-z](?:[a-z0-9]|-(?=[a-z0-9])){0,49}")
LIMIT: Final = "the repeat reached its limit"


@define
class Builder:
    """Makes the templates of one workflow, ``main`` first."""

    pods: PodMaker
    templates: dict[str, Object] = field(factory=dict)

    # Names and small templates

    def name(self, wanted: str) -> str:
        """A template's name that nobody has yet."""
        if _READABLE.fullmatch(wanted) and wanted not in self.templates and wanted != NOOP:
            self.templates[wanted] = {}
            return wanted
        readable = re.sub("[^a-z0-9]+", "-", wanted).strip("-")[:50].rstrip("-")
        name = readable
        while name in self.templates or name in (NOOP, ""):
            name = mangle(f"{readable}/{wanted}/{name}", evolve(DNS_LABEL_1035, max_length=60))
        self.templates[name] = {}
        return name

    def noop(self) -> str:
        """The template that succeeds at once."""
        self.templates[NOOP] = {"name": NOOP, "suspend": {"duration": "0"}}
        return NOOP

    # A scope

    def dag(self, frame: Frame, name: str, kind: str = "", origin: str = "", inputs: Inputs | None = None) -> Object:
        """The dag template of a scope's steps, under a name that was taken before."""
        tasks: list[Object] = []
        for step in frame.steps:
            tasks += self.tasks(frame, step)
        dag: Object = {"failFast": False, "tasks": tasks}
        if needs_finish(frame):
            tasks.append({"name": FINISH, "template": self.noop(), "depends": finish(frame, frame.steps)})
            dag["target"] = FINISH
        return self.keep(name, {"dag": dag}, kind, origin, inputs)

    def keep(self, name: str, body: Object, kind: str, origin: str, inputs: Inputs | None) -> Object:
        """Have a template that is more than a leaf."""
        template: Object = {"name": name}
        notes = {key: text for key, text in ((STEP, origin), (KIND, kind)) if text}
        if notes:
            template["metadata"] = {"annotations": notes}
        if inputs is not None and inputs.arguments:
            template["inputs"] = {"parameters": inputs.parameters()}
        template.update(body)
        self.templates[name] = template
        return template

    # A step

    def tasks(self, frame: Frame, name: str) -> list[Object]:
        """The task of a step, with the gates before it."""
        step = frame.steps[name]
        gates: list[Object] = []
        terms = [self.need(frame, name, other, need, gates) for other, need in frame.needs[name].items()]
        task: Object = {"name": frame.names.name(name), "template": ""}
        if terms:
            task["depends"] = " && ".join(dict.fromkeys(terms))
        if step.foreach is not MISSING and step.when != Literal(False):
            task.update(self.foreach(frame, name, step))
            return [*gates, _ordered(task)]
        if step.when is not None:
            task["when"] = condition(step.when, frame.lookup)
        local: dict[str, Code] = {}
        if step.foreach is not MISSING:
            step, local = evolve(step, foreach=MISSING), {"item": Code("'null'", Type("any"))}
        body, inputs = self.body(frame, name, step, frame.lookup, local, frame.origin(name), frame.step_text(name))
        task["template"] = body
        _give(task, inputs)
        return [*gates, task] if gates else [task]

    def body(
        self,
        frame: Frame,
        name: str,
        step: Step,
        outer: Scope,
        local: Mapping[str, Code],
        origin: str,
        step_text: str,
        static: bool | None = None,
    ) -> tuple[str, Inputs]:
        """The template of what a step runs: one pod, a nested workflow, or a repeat."""

        scope = outer
        if local:

            def scope(ref: Ref) -> Code:
                return local[ref.kind] if ref.kind in local else outer(ref)

        fixed = not frame.each if static is None else static
        if isinstance(step.action, Nested):
            return self.nested(step.action, scope, origin, step_text, fixed)
        if step.repeat is not None:
            return self.repeat(frame, step, scope, origin, step_text, fixed)
        return self.leaf(frame, step, scope, origin, step_text, fixed)

    def leaf(
        self, frame: Frame, step: Step, scope: Scope, origin: str, step_text: str, fixed: bool
    ) -> tuple[str, Inputs]:
        """One pod."""
        name = self.name(origin.replace("[*]", ""))
        place = Place(
            origin,
            name,
            step_text if fixed else "{{inputs.parameters.step}}",
            "" if fixed else step_text,
            self.artifacts(frame, step) if self.pods.artifacts else NOTHING_READ,
        )
        template, inputs = self.pods.template(step, place, scope)
        self.templates[name] = template
        return name, inputs

    def artifacts(self, frame: Frame, step: Step) -> Reads:
        """The artifacts that a step is given: by a reference, or by what a nested workflow hands on."""
        gathered: dict[tuple[str, str], None] = {}
        single: dict[tuple[str, str], None] = {}
        maybe = False
        for ref in step_references(step):
            handed_on = ref.kind == "output" and _hands_on(frame, ref)
            maybe = maybe or ref.path or ref.kind == "param" or handed_on
            if ref.kind == "output" and ref.path:
                place = (frame.step_text(ref.step), ref.name)
                if _items(frame, ref):
                    gathered[place] = None
                elif not handed_on:
                    single[place] = None
        return Reads(tuple(gathered), tuple(single), maybe)

    # More than one leaf

    def nested(self, action: Nested, scope: Scope, origin: str, step_text: str, fixed: bool) -> tuple[str, Inputs]:
        """A workflow as a template."""
        name = self.name(origin.replace("[*]", ""))
        inputs = Inputs()
        if not fixed:
            inputs.add("step", step_text)
        params = {}
        for param, value in action.args.items():
            code = code_of(value, scope)
            kind = action.workflow.params[param].type
            if kind.name == "any" and code.type.name == "string":
                code = Code(f"toJson({code.raw})", kind)
            params[param] = Code(unpacked(inputs.add(param, packed(code.raw))), kind)
        inner = Frame(action.workflow.steps, action.workflow.outputs, f"{origin}/", not fixed, params)
        template = self.dag(inner, name, "nested", origin, inputs)
        outputs = []
        for output, value in action.workflow.outputs.items():
            outputs += nested_output(inner, output, value, action.workflow)
        if outputs:
            template["outputs"] = {"parameters": outputs}
        return name, inputs

    def repeat(
        self, frame: Frame, step: Step, scope: Scope, origin: str, step_text: str, fixed: bool
    ) -> tuple[str, Inputs]:
        """A dag that runs the step once and calls itself."""
        assert step.repeat is not None
        name = self.name(origin.replace("[*]", ""))
        inputs = Inputs()
        inputs.add("iteration", "1")
        if not fixed:
            inputs.add("step", step_text)
        iteration = Code("inputs.parameters.iteration", Type("integer"))
        inside = through(inputs, scope)

        def run_scope(ref: Ref) -> Code:
            return iteration if ref.kind == "iteration" else inside(ref)

        def after(ref: Ref) -> Code:
            if ref.kind == "own":
                return Code(member("tasks.run.outputs.parameters", ref.name), output_type(step, ref.name))
            return run_scope(ref)

        once = evolve(step, repeat=None, when=None, foreach=MISSING)
        own_text = step_text if fixed else "{{inputs.parameters.step}}"
        run, given = self.leaf(frame, once, run_scope, origin, own_text, fixed)
        until = value_code(step.repeat.until, after)
        count = f"asInt({iteration.raw})"
        task: Object = {"name": "run", "template": run}
        _give(task, given)
        tasks = [task]
        again = tag(f"!({until}) && {count} < {step.repeat.max}")
        before = "run.Succeeded"
        if step.repeat.delay:
            delay = self.name(f"{name}-delay")
            self.templates[delay] = {"name": delay, "suspend": {"duration": f"{max(1, round(step.repeat.delay))}s"}}
            tasks.append({"name": "delay", "template": delay, "depends": before, "when": again})
            before = "delay.Succeeded"
        following: Object = {"name": "next", "template": name, "depends": before}
        if not step.repeat.delay:
            following["when"] = again
        passed = [each for each in _same(inputs) if each["name"] != "iteration"]
        following["arguments"] = {"parameters": [{"name": "iteration", "value": tag(f"{count} + 1")}, *passed]}
        over = tag(f"!({until}) && {count} >= {step.repeat.max} ? sprig.fail({string_literal(LIMIT)}) : false")
        tasks += [following, {"name": "limit", "template": self.noop(), "depends": "run.Succeeded", "when": over}]
        template = self.keep(name, {"dag": {"failFast": False, "tasks": tasks}}, "repeat", origin, inputs)
        values = [output for output, of in step.outputs.items() if not of.artifact]
        if values:
            template["outputs"] = {"parameters": [_last(output) for output in values]}
        return name, inputs

    # A foreach

    def foreach(self, frame: Frame, name: str, step: Step) -> Object:
        """What makes a task a foreach: the loop itself, or a dag that holds it."""
        count = count_code(step.foreach, frame.lookup)
        if not frame.wrapped(name):
            return self.loop(frame, name, step, frame.lookup, frame.step_text(name))
        inputs = Inputs()
        if frame.each:
            inputs.add("step", frame.step_text(name))
        text = "{{inputs.parameters.step}}" if frame.each else frame.step_text(name)
        group = self.name(frame.origin(name).replace("[*]", "") + "-items")
        inside = through(inputs, frame.lookup)
        loop = {"name": "item", **self.loop(frame, name, step, inside, text)}
        dag: Object = {"dag": {"failFast": False, "tasks": [_ordered(loop)]}}
        if step.parallelism is not None:
            dag = {"parallelism": step.parallelism, **dag}
        template = self.keep(group, dag, "foreach", frame.origin(name), inputs)
        outputs = [
            {"name": output, "valueFrom": {"expression": gathered(member("tasks.item.outputs.parameters", output))}}
            for output in frame.lists.get(name, {})
        ]
        if frame.gathers_partly(name):
            failed = "toJson(any(fromJSON(tasks.item.outputs.parameters.STATUS), # != 'Succeeded'))"
            outputs.append({"name": FAILED, "valueFrom": {"expression": failed}})
        if outputs:
            template["outputs"] = {"parameters": outputs}
        task: Object = {"template": group}
        _give(task, inputs)
        empty = string_literal(EMPTY_LIST)
        if isinstance(step.foreach, list) and step.foreach:
            if step.when is not None:
                task["when"] = condition(step.when, frame.lookup)
        else:
            listed = f"{count} == 0 ? {empty} : 'true'"
            if step.when is not None:
                listed = f"{value_code(step.when, frame.lookup)} ? ({listed}) : 'false'"
            task["when"] = tag(listed)
        return task

    def loop(self, frame: Frame, name: str, step: Step, scope: Scope, text: str) -> Object:
        """The task's fields that run the step once an item."""
        assert step.foreach is not MISSING
        items = step.foreach
        listed = list_code(items, scope)
        local = {"item": item_code(items, listed, step, frame)}
        origin = frame.origin(name) + "[*]"
        once = evolve(step, foreach=MISSING, when=None, parallelism=None)
        body, inputs = self.body(frame, name, once, scope, local, origin, text + "[{{item}}]", static=False)
        if frame.by_item(name):
            body = self.item(frame, name, step, body, inputs)
        count = str(len(items)) if isinstance(items, list) else tag(count_code(items, scope))
        task: Object = {"template": body, "withSequence": {"count": count}}
        if items == []:
            task = {"template": body, "when": EMPTY_LIST}
        _give(task, inputs)
        return task

    def item(self, frame: Frame, name: str, step: Step, body: str, inputs: Inputs) -> str:
        """One item in a template of its own, which writes its outputs so that Argo gathers them exactly."""
        wrapper = self.name(f"{body}-item")
        call: Object = {"name": "run", "template": body, "arguments": {"parameters": _same(inputs)}}
        partly = frame.gathers_partly(name)
        if partly:
            call["continueOn"] = {"failed": True, "error": True}
        template = self.keep(wrapper, {"steps": [[call]]}, "item", "", inputs)
        outputs = []
        for output in frame.lists.get(name, {}):
            kind = output_type(step, output)
            code = member("steps.run.outputs.parameters", output)
            code = f"toJson({code})" if kind.name == "string" else code
            if partly:
                of = step.outputs.get(output)
                default = "null" if of is None or of.default is MISSING else stored(of.default, kind)
                if kind.name == "string" and default != "null":
                    default = stored(of.default, Type("any")) if of is not None else default
                code = f"steps.run.status == 'Succeeded' ? {code} : {string_literal(default)}"
            outputs.append({"name": output, "valueFrom": {"expression": code}})
        if partly:
            outputs.append({"name": "STATUS", "valueFrom": {"expression": "steps.run.status"}})
        template["outputs"] = {"parameters": outputs}
        return wrapper

    # Needs

    def need(self, frame: Frame, name: str, other: str, need: Need, gates: list[Object]) -> str:
        """A need in the words of ``depends``; gates that it takes are appended."""
        if isinstance(frame, Part) and other not in frame.own:
            owner = frame.owners[other]
            term = self.need(owner, name, other, need, owner.extra)
            return f"{frame.stands_for(other, term, self.noop())}.Succeeded"
        step, task = frame.steps[other], frame.names.name(other)
        if need == "met" and step.foreach is MISSING and not step.continue_on_failure and not frame.refs[name]:
            return task
        path = member("tasks", task)
        allowed = set(ALLOWED[need])
        if need == "met" and step.continue_on_failure:
            allowed |= {F, E}
        refs = [ref for ref in frame.refs[name] if ref.kind == "output" and ref.step == other]
        terms: list[str] = []

        def gate(suffix: str, statuses: set[str], code: str) -> None:
            known = f"{other}/{suffix}"
            first = known not in frame.names.table()
            own = frame.names.name(known)
            if first:
                gates.append(
                    {"name": own, "template": self.noop(), "depends": _term(task, statuses), "when": tag(code)}
                )
            terms.append(f"{own}.Succeeded")

        if step.foreach is not MISSING:
            if frame.gathers_partly(other):
                failed = f"{path}.outputs.parameters.{FAILED}"
                if need in ("succeeded", "failed"):
                    gate(need, {S}, f"{failed} == '{'true' if need == 'failed' else 'false'}'")
                    allowed = {S}
                if any(_no_default(step, ref) for ref in refs):
                    gate("succeeded", {S}, f"{failed} == 'false'")
            if refs and step.when is not None and step.when != Literal(False) and not _sure(step.foreach):
                gate("listed", {S, K}, f"{path}.status == 'Succeeded' || ({value_code(step.when, frame.lookup)})")
            elif refs:
                allowed &= {S} if step.when is not None else {S, K, F, E}
        else:
            if any(default_of(step, ref.name) is MISSING for ref in refs):
                allowed &= {S}
            if isinstance(step.action, Nested):
                inner = Frame(step.action.workflow.steps, step.action.workflow.outputs)
                for ref in refs:
                    if required(inner, step.action.workflow.outputs[ref.name]):
                        gate(
                            f"has {ref.name}", {S}, f"{member(f'{path}.outputs.parameters', HAS + ref.name)} == 'true'"
                        )
            elif need == "failed" and step.repeat is None:
                code = (
                    f"{path}.status == 'Failed' ? (get({path}, 'exitCode') ?? '') != '64'"
                    f" : (get({path}, 'exitCode') ?? '') == '0'"
                )
                gate("failed", {F, E}, code)
        if not allowed:
            return UNMET
        own = _term(task, allowed)
        return " && ".join([own, *terms] if not terms or allowed != {F, E} else terms)


UNMET: Final = "false"


def needs_finish(frame: Frame) -> bool:
    """Whether Argo would not see by its last steps that a dag has failed, or would see it where it has not."""
    if any(step.continue_on_failure for step in frame.steps.values()):
        return True
    return any(asked & {"failed", "finished"} for asked in frame.asked.values())


def finish(frame: Frame, names: Iterable[str]) -> str:
    """What the dag's end depends on: no step failed but those that may."""
    terms = []
    for name in names:
        step = frame.steps[name]
        allowed = {S, K, O, F, E} if step.continue_on_failure else {S, K, O}
        terms.append(_term(frame.names.name(name), allowed))
    return " && ".join(terms)


def _term(task: str, allowed: set[str]) -> str:
    if allowed == {S, K}:
        return task
    terms = [f"{task}.{status}" for status in (S, K, O, F, E) if status in allowed]
    return terms[0] if len(terms) == 1 else f"({' || '.join(terms)})"


def condition(expr: object, scope: Scope) -> str:
    """A step's ``when``."""
    if expr == Literal(False):
        return "false"
    return tag(value_code(expr, scope))  # type: ignore[arg-type]


def through(inputs: Inputs, outer: Scope) -> Scope:
    """A scope whose values come as inputs of a dag, from the scope around it."""

    def lookup(ref: Ref) -> Code:
        if ref.kind in ("run.id", "run.phase"):
            return outer(ref)
        code = outer(ref)
        from flowcore_argo.pods import input_name

        return Code(unpacked(inputs.add(input_name(ref), packed(code.raw))), code.type)

    return lookup


def list_code(items: Value, scope: Scope) -> str:
    """The expression that gives a foreach's list."""
    if isinstance(items, list) and not any(True for _ in references(items)):
        return json_literal(items)
    return code_of(items, scope).value


def count_code(items: object, scope: Scope) -> str:
    """The expression that gives the length of a foreach's list; anything else than a list is an error."""
    if isinstance(items, list):
        return str(len(items))
    code = code_of(items, scope)  # type: ignore[arg-type]
    if code.type.name == "list":
        return f"len({code.value})"
    return f"map([{code.value}], type(#) == 'array' ? len(#) : sprig.fail('foreach is given no list'))[0]"


def item_code(items: Value, listed: str, step: Step, frame: Frame) -> Code:
    """What ``item`` is: strings as they are where all are, else anything, as JSON."""
    one = f"{listed}[asInt(item)]"
    if isinstance(items, list) and all(isinstance(item, str) for item in items):
        return Code(f"string({one})")
    return Code(f"toJson({one})", Type("any"), one)


def required(inner: Frame, value: Value) -> list[Ref]:
    """The references in an output of a nested workflow that may be missing, and the output with them."""
    found = []
    for ref in references(value):
        if ref.kind != "output":
            continue
        step = inner.steps[ref.step]
        if step.foreach is MISSING and default_of(step, ref.name) is not MISSING:
            continue
        if inner.ways_to_miss(ref.step) or any(_waits_for_luck(inner, ref.step)):
            found.append(ref)
    return found


def _waits_for_luck(inner: Frame, name: str) -> list[str]:
    """Steps before ``name`` that may leave it skipped for its needs although nothing failed."""
    found, seen, left = [], set(), [name]
    while left:
        each = left.pop()
        if each in seen:
            continue
        seen.add(each)
        for other, need in inner.needs[each].items():
            left.append(other)
            if need != "met" or inner.ways_to_miss(other):
                found.append(other)
    return found


def nested_output(inner: Frame, name: str, value: Value, workflow: Workflow) -> list[Object]:
    """An output of a nested workflow; where it may be missing, with the output that says whether it is there."""
    code = code_of(value, inner.lookup)
    if value_type(value, workflow).name == "any" and code.type.name == "string":
        code = Code(f"toJson({code.raw})", Type("any"))
    missing = required(inner, value)
    note = {} if code.type.name == "string" else {"description": str(code.type)}
    if not missing:
        return [{"name": name, **note, "valueFrom": {"expression": code.raw}}]
    tasks = dict.fromkeys(member("tasks", inner.names.name(ref.step)) for ref in missing)
    there = " && ".join(f"{task}.status == 'Succeeded'" for task in tasks)
    return [
        {"name": name, **note, "valueFrom": {"expression": f"({there}) ? ({code.raw}) : ''"}},
        {"name": HAS + name, "valueFrom": {"expression": f"toJson({there})"}},
    ]


def _last(output: str) -> Object:
    """An output of a repeat: the last iteration's."""
    following = member("tasks.next.outputs.parameters", output)
    own = member("tasks.run.outputs.parameters", output)
    return {"name": output, "valueFrom": {"expression": f"tasks.next.status == 'Succeeded' ? {following} : {own}"}}


def _give(task: Object, inputs: Inputs) -> None:
    if inputs.arguments:
        task["arguments"] = {"parameters": inputs.passed()}


def _same(inputs: Inputs) -> list[Object]:
    return [{"name": name, "value": tag(member("inputs.parameters", name))} for name in inputs.arguments]


def _ordered(task: Object) -> Object:
    order = ("name", "template", "depends", "when", "withSequence", "arguments")
    return {key: task[key] for key in order if key in task}


def _sure(items: Json | object) -> bool:
    return isinstance(items, list) and bool(items)


def _no_default(step: Step, ref: Ref) -> bool:
    output = step.outputs.get(ref.name)
    return output is None or output.default is MISSING


def _items(frame: Frame, ref: Ref) -> bool:
    step = frame.steps.get(ref.step)
    return step is not None and step.foreach is not MISSING


def _hands_on(frame: Frame, ref: Ref) -> bool:
    step = frame.steps.get(ref.step)
    return step is not None and isinstance(step.action, Nested)
