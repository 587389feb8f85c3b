"""What there is to draw: nodes, arrows, and how a run stands at each of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from attrs import Factory, frozen

from flowcore.model import MISSING, Container, Manifest, Need, Nested, Python, Script, Step, Workflow
from flowcore.runs import Phase, StepState


@frozen
class Edge:
    """An arrow to a node; ``word`` is what is asked of the source, empty for a plain need."""

    source: str
    word: str = ""


@frozen
class Node:
    """One step. ``name`` is the document's (``publish/upload``), ``label`` its last part."""

    name: str
    label: str
    kind: str
    marks: tuple[str, ...] = ()
    edges: tuple[Edge, ...] = ()
    many: bool = False
    """A foreach: it stands for several."""
    inner: tuple[Node, ...] = ()
    phase: Phase | None = None
    progress: str = ""
    """What is said beside the phase: a time, or how many items are where."""
    why: str = ""


@frozen
class Graph:
    """A workflow's drawing: its steps, and those that run at its end."""

    name: str
    nodes: tuple[Node, ...]
    on_exit: tuple[Node, ...] = ()
    phase: Phase | None = None
    states: Mapping[str, StepState] = Factory(dict)

    def walk(self) -> Iterator[Node]:
        """Every node, inner ones after the one that they are in."""
        stack = [*reversed(self.on_exit), *reversed(self.nodes)]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.inner))


KINDS: dict[type, str] = {
    Container: "container",
    Script: "script",
    Python: "python",
    Nested: "workflow",
    Manifest: "manifest",
}

Needs = Callable[[Step], Mapping[str, Need]]


def graph_of(workflow: Workflow, steps: Mapping[str, StepState] | None = None, phase: Phase | None = None) -> Graph:
    """The drawing of a workflow; ``steps`` and ``phase`` are those of an Update of one of its runs."""
    from flowcore.checks import effective_needs

    states = _gathered(steps or {})
    return Graph(
        workflow.name,
        _nodes(workflow.steps, "", states, effective_needs),
        _nodes(workflow.on_exit, "", states, effective_needs),
        phase,
        steps or {},
    )


def graph_of_run(name: str, steps: Mapping[str, StepState], phase: Phase) -> Graph:
    """The drawing of a run whose workflow is not at hand: its steps and phases, without arrows."""
    states = _gathered(steps)
    children: dict[str, list[str]] = {}
    for full in states:
        if full.endswith("[]"):
            continue
        parent = full.rpartition("/")[0]
        children.setdefault(parent if parent in states else "", []).append(full)

    def build(full: str) -> Node:
        many = f"{full}[]" in states
        inner = tuple(build(child) for child in children.get(full, []))
        kind = "workflow" if inner else "step"
        node = Node(full, full.rpartition("/")[2], kind, ("foreach",) if many else (), (), many, inner)
        return _with_state(node, states)

    return Graph(name, tuple(build(full) for full in children.get("", [])), (), phase, steps)


def _nodes(
    steps: Mapping[str, Step], prefix: str, states: Mapping[str, list[StepState]], needs: Needs
) -> tuple[Node, ...]:
    return tuple(_node(name, step, prefix, states, needs, steps) for name, step in steps.items())


def _node(
    label: str,
    step: Step,
    prefix: str,
    states: Mapping[str, list[StepState]],
    needs: Needs,
    siblings: Mapping[str, Step],
) -> Node:
    name = prefix + label
    inner: tuple[Node, ...] = ()
    if isinstance(step.action, Nested):
        inner = _nodes(step.action.workflow.steps, f"{name}/", states, needs)
    wanted = {source: word for source, word in needs(step).items() if source in siblings}
    edges = tuple(Edge(prefix + source, "" if word == "met" else word) for source, word in wanted.items())
    node = Node(name, label, KINDS[type(step.action)], _marks(step), edges, step.foreach is not MISSING, inner)
    return _with_state(node, states)


def _marks(step: Step) -> tuple[str, ...]:
    marks = []
    if step.foreach is not MISSING:
        marks.append(f"foreach of {len(step.foreach)}" if isinstance(step.foreach, list) else "foreach")
    if step.repeat is not None:
        marks.append(f"repeat, at most {step.repeat.max}")
    if step.when is not None:
        marks.append("when")
    if step.retry is not None:
        marks.append(f"retry {step.retry.limit}")
    if step.continue_on_failure:
        marks.append("may fail")
    if step.cache is not None:
        marks.append("cached")
    return tuple(marks)


# Phases

_ITEM = re.compile(r"\[\d+\]")
_WORST = (
    Phase.FAILED,
    Phase.ERROR,
    Phase.CANCELLED,
    Phase.RUNNING,
    Phase.PENDING,
    Phase.SUCCEEDED,
    Phase.SKIPPED,
)


def _gathered(steps: Mapping[str, StepState]) -> dict[str, list[StepState]]:
    """The states by the name in the workflow: ``pub[0]/upload`` and ``pub[1]/upload`` are both ``pub/upload``.

    Items of a foreach are kept apart from the step itself, under ``train[]``.
    """
    found: dict[str, list[StepState]] = {}
    for name, state in steps.items():
        head = _ITEM.sub("", name)
        found.setdefault(f"{head}[]" if name.endswith("]") else head, []).append(state)
    return found


def _with_state(node: Node, states: Mapping[str, list[StepState]]) -> Node:
    from attrs import evolve

    own = states.get(node.name)
    if not own:
        return node
    phase = min((state.phase for state in own), key=_WORST.index)
    items = states.get(f"{node.name}[]", [])
    if items:
        progress = f"({_counts(items)})"
    elif len(own) > 1:
        progress = f"({_counts(own)})"
    else:
        progress = _took(own[0])
    chosen = next(state for state in own if state.phase is phase)
    why = ": ".join(part for part in (chosen.reason if chosen.reason != phase.value else None, chosen.message) if part)
    return evolve(node, phase=phase, progress=progress, why=why)


def _counts(states: list[StepState]) -> str:
    numbers = {phase: sum(state.phase is phase for state in states) for phase in Phase}
    return ", ".join(f"{number} {phase}" for phase, number in numbers.items() if number)


def _took(state: StepState) -> str:
    if state.started is None or state.finished is None:
        return ""
    seconds = state.finished - state.started
    return f"{seconds:.1f}s" if seconds < 60 else f"{int(seconds // 60)}m{int(seconds % 60):02}s"
