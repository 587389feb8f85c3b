"""What Argo says of a node, as a leaf. Status maps are tables; the first row that fits wins."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import define, evolve, field, frozen

from flowcore.plugin import BAD_OUTPUT, Json, Leaf, Phase, Reason, Type, misfit
from flowcore_argo.limits import OUTPUT_BYTES
from flowcore_argo.places import ARTIFACT_NAMES, FAILURE_HOLDS, OUTPUTS
from flowcore_argo.plan import Plan, Spot
from flowcore_kubernetes import EVICTED, seconds

Node = Mapping[str, Any]

P = Phase


@frozen
class Row:
    """One row: Argo's phases, what the message says, the exit code, and what that is here."""

    native: str
    message: str
    exit_code: str
    phase: Phase
    reason: Reason | None
    says: str = ""
    """The message for people; empty: Argo's own."""


ENDS: Final[tuple[Row, ...]] = (
    Row("Succeeded", "", "", P.SUCCEEDED, None),
    Row("Skipped", "the list is empty|empty params", "", P.SKIPPED, "empty"),
    Row("Skipped", "", "", P.SKIPPED, "when"),
    Row("Omitted", "", "", P.SKIPPED, "needs"),
    Row(
        "Failed|Error",
        "shutdown with strategy|[Ss]topped with strategy",
        "",
        P.CANCELLED,
        "cancelled",
        "the run was cancelled",
    ),
    Row(
        "Failed|Error",
        "exceeded its deadline|exceeded workflow deadline",
        "",
        P.CANCELLED,
        "run-timeout",
        "the run's time is over",
    ),
    Row(
        "Failed|Error",
        "longer than the specified deadline|DeadlineExceeded",
        "",
        P.FAILED,
        "timeout",
        "its time is over",
    ),
    Row("Failed|Error", EVICTED, "", P.ERROR, "lost"),
    Row("Failed|Error", "OOMKilled", "", P.FAILED, "out-of-memory", "it was killed: out of memory"),
    Row("Failed", "failed to find name in PATH", "", P.ERROR, "command", "the command is not in the image"),
    Row("Failed", "no such file or directory|permission denied|exec format error", "64", P.ERROR, "command"),
    Row("Failed", "", str(BAD_OUTPUT), P.FAILED, "output", "an output cannot be what was declared; the log says which"),
    Row("Failed", "", r"\d+", P.FAILED, "exit-code", "it ended with exit code {exit_code}"),
    Row("Failed", "reached its limit", "", P.FAILED, "repeat-limit"),
    Row("Error", "", "0", P.FAILED, "output", "{output}"),
    Row("Error", "evaluate expression|Invalid 'when'|withParam value|strconv", "", P.ERROR, "expression", "{fault}"),
    Row("Error", "pod deleted|pod not found", "", P.ERROR, "lost", "its pod is gone"),
    Row("Failed", "^timeout$", "", P.FAILED, "timeout", "its time is over"),
    Row("Failed|Error", "failed to pull|ImagePull", "", P.ERROR, "image"),
    Row("Failed|Error", "exceeded quota|Pod was rejected: Node didn't have enough", "", P.ERROR, "capacity"),
    Row("Failed|Error", "", "", P.ERROR, "backend"),
)
"""How a node ended. A program that is not in the image is a Failed of Argo's executor with exit code 64, and an output
that was not written an Error after exit code 0."""


OF_MANIFESTS: Final = (
    Row("Failed", FAILURE_HOLDS, "", P.FAILED, "exit-code"),
    Row("Failed", "", "64", P.ERROR, "backend"),
)
"""The same of what made an object: the executor has one exit code for all that goes wrong."""

_SHUTDOWN: Final = re.compile("shutdown with strategy")
_NEVER_MADE: Final = re.compile(r"workflow shutdown with strategy: \S")
"""What Argo says of a pod that it did not make because of a cancel; one that it ended has two spaces there."""
CANCELLED: Final = Row("", "", "", P.CANCELLED, "cancelled", "the run was cancelled")
RUN_TIMEOUT: Final = Row("", "", "", P.CANCELLED, "run-timeout", "the run's time is over")


@frozen
class Cancel:
    """When a cancel was accepted, by the run's own clock: the last time in the Workflow, and what had ended by then."""

    time: float
    ended: frozenset[str] = frozenset()

    def before(self, node: Node) -> bool:
        """Whether a node had ended before."""
        finished = seconds(node.get("finishedAt"))
        return finished is not None and (finished < self.time or node["id"] in self.ended)


@frozen
class View:
    """A Workflow as its leaves.

    ``pods``: the nodes that have a pod, each with its step and attempt (from 1), in the order in which they started.
    """

    leaves: tuple[Leaf, ...] = ()
    pods: tuple[Pod, ...] = ()


@frozen
class Pod:
    """A node that has a pod of its own."""

    node: Node
    name: str
    step: str
    attempt: int
    ended: bool
    spot: Spot


@define
class _Parts:
    """The nodes of one leaf (of one iteration of a repeat)."""

    main: Node | None = None
    attempts: dict[int, Node] = field(factory=dict)
    spot: Spot | None = None


def view_of(
    plan: Plan,
    nodes: Iterable[Node],
    given_up: Mapping[str, tuple[Reason, str]],
    earlier: Mapping[str, int],
    cause: Callable[[str], tuple[Reason, str] | None],
    deadline: float | None = None,
    cancel: Cancel | None = None,
    over: bool = False,
) -> View:
    """The leaves of a Workflow, of all its nodes.

    Args:
        given_up: why pods were taken away that did not start, by node: reason and message.
        earlier: attempts before a resume, by step.
        cause: what keeps a pod from starting, by the message of its node.
        deadline: when the time of the whole run is over.
        cancel: when it was cancelled.
        over: whether the Workflow has ended.
    """
    leaves: dict[str, dict[int, _Parts]] = {}
    groups: dict[str, tuple[Node, Spot]] = {}
    limits: dict[str, Node] = {}
    for node in nodes:
        spot = plan.spot(node["name"])
        if spot is None or ((node.get("nodeFlag") or {}).get("hooked") and spot.kind == "on_exit"):
            continue
        if spot.helper == "limit" and node["phase"] == "Error":
            limits[_repeat_of(plan, node["name"])] = node
        if not spot.origin or node.get("type") == "StepGroup":
            continue
        if spot.group or spot.kind:
            known = groups.get(spot.origin)
            if known is None or len(node["name"]) < len(known[0]["name"]):
                groups[spot.origin] = (node, spot)
            continue
        parts = leaves.setdefault(spot.origin, {}).setdefault(spot.iteration or 0, _Parts())
        if spot.attempt is None:
            parts.main, parts.spot = node, spot
        else:
            parts.attempts[spot.attempt] = node
            parts.spot = parts.spot or spot
    made: list[Leaf] = []
    pods: list[Pod] = []
    reader = _Reader(plan, given_up, earlier, cause, deadline, cancel, over)
    for origin, iterations in leaves.items():
        for number in sorted(iterations):
            pods += reader.pods(origin, iterations[number])
        last = max(iterations)
        leaf = reader.leaf(origin, iterations[last])
        if last:
            group = groups.pop(origin, None)
            first = reader.leaf(origin, iterations[min(iterations)])
            leaf = _repeated(
                evolve(leaf, iteration=last, started=first.started), group and group[0], limits.get(origin)
            )
        made.append(leaf)
    for origin, (node, spot) in groups.items():
        if origin not in leaves:
            made.append(reader.group(origin, node, spot))
    pods.sort(key=lambda pod: (pod.node.get("startedAt") or "", pod.name))
    return View(tuple(made), tuple(pods))


def _repeat_of(plan: Plan, name: str) -> str:
    spot = plan.spot(name.rpartition(".")[0])
    return spot.origin if spot is not None else ""


def _repeated(leaf: Leaf, group: Node | None, limit: Node | None) -> Leaf:
    """A repeat, by its last iteration: it goes on until Argo has decided that it was the last."""
    if leaf.phase is not P.SUCCEEDED:
        # Once it has begun it does not go back to waiting.
        if leaf.phase is P.PENDING and (leaf.iteration or 1) > 1:
            return evolve(leaf, phase=P.RUNNING)
        return leaf
    if limit is not None:
        message = "its condition did not hold within the iterations that it may have"
        return evolve(leaf, phase=P.FAILED, reason="repeat-limit", message=message, outputs={})
    if group is not None and group["phase"] in ("Failed", "Error"):
        return evolve(leaf, phase=P.ERROR, reason="expression", message=_plain(group.get("message")), outputs={})
    if group is None or group["phase"] not in ("Succeeded",):
        return evolve(leaf, phase=P.RUNNING, finished=None, exit_code=None, outputs={})
    return leaf


@frozen
class _Reader:
    plan: Plan
    given_up: Mapping[str, tuple[Reason, str]]
    earlier: Mapping[str, int]
    cause: Callable[[str], tuple[Reason, str] | None]
    deadline: float | None
    cancel: Cancel | None
    over: bool

    def ended(self, node: Node) -> bool:
        """Whether a node has ended. After a cancel Argo says so before its process has."""
        if node["phase"] in ("Pending", "Running", ""):
            return False
        return self.over or node.get("finishedAt") is not None or not _SHUTDOWN.search(node.get("message") or "")

    def pods(self, origin: str, parts: _Parts) -> list[Pod]:
        assert parts.spot is not None
        before = self.earlier.get(origin, 0)
        nodes = dict(parts.attempts)
        if not nodes and parts.main is not None and parts.main.get("type") == "Pod":
            nodes = {0: parts.main}
        return [
            Pod(
                node,
                pod_name(self.plan.name, node),
                origin,
                before + number + 1,
                self.ended(node),
                parts.spot,
            )
            for number, node in sorted(nodes.items())
            if node.get("type") == "Pod" and not _hit(node) and not _never_made(node) and not self._too_late(node)
        ]

    def leaf(self, origin: str, parts: _Parts) -> Leaf:
        node = parts.main
        attempts = [parts.attempts[number] for number in sorted(parts.attempts)]
        spot = parts.spot
        assert spot is not None
        if node is None:
            node = attempts[-1]
        last = attempts[-1] if attempts else node
        before = self.earlier.get(origin, 0)
        tried = attempts or ([node] if node.get("type") == "Pod" else [])
        count = before + sum(not _never_made(each) for each in tried)
        phase = node["phase"]
        started = seconds((attempts[0] if attempts else node).get("startedAt"))
        if not self.ended(node) or not self.ended(last):
            if phase not in ("Pending", "Running", ""):
                return Leaf(origin, P.RUNNING, attempts=count, started=started)
            return self._going(origin, node, last, attempts, count, started, spot)
        row, exit_code = self._end(node, last, spot)
        row = self._in_time(row, last)
        if row.phase is P.SKIPPED or (row.phase is P.CANCELLED and count == before):
            return Leaf(origin, row.phase, row.reason, _message(row, node, last, exit_code))
        if _hit(node):
            return Leaf(
                origin, row.phase, "cached", attempts=0, finished=seconds(node.get("finishedAt")),
                started=started, outputs=self._outputs(node, spot),
            )  # fmt: skip
        leaf = Leaf(
            origin=origin,
            phase=row.phase,
            reason=row.reason,
            message=_message(row, node, last, exit_code),
            attempts=count,
            started=started,
            finished=seconds(last.get("finishedAt") or node.get("finishedAt")),
            exit_code=_exit_code(row, exit_code),
        )
        if last["id"] in self.given_up and row.phase in (P.ERROR, P.FAILED):
            reason, message = self.given_up[last["id"]]
            if leaf.finished is None and not self.over:
                # Argo has seen that the pod is over, and has yet to write down since when.
                return evolve(leaf, phase=P.PENDING, reason=reason, message=message, exit_code=None)
            return evolve(leaf, phase=P.ERROR, reason=reason, message=message, exit_code=None)
        if row.reason == "run-timeout":
            # Whether Argo or the kubelet saw it first changes the node's own time.
            leaf = evolve(leaf, finished=self.deadline)
        if row.phase is not P.SUCCEEDED:
            return leaf
        outputs = self._outputs(last if last.get("outputs") else node, spot)
        for name, value in outputs.items():
            if isinstance(value, _Bad):
                return evolve(leaf, phase=P.FAILED, reason="output", message=f"output {name} {value.why}")
        return evolve(leaf, outputs={**outputs, **_artifacts(spot)})

    def _going(
        self, origin: str, node: Node, last: Node, attempts: list[Node], count: int, started: float | None, spot: Spot
    ) -> Leaf:
        """A leaf that has not ended. The node of all attempts waits while the last one has failed."""
        if attempts and last["phase"] not in ("Pending", "Running", ""):
            row, exit_code = self._end(last, last, spot)
            return Leaf(
                origin, P.RUNNING, "retrying", _message(row, last, last, exit_code), attempts=count, started=started
            )
        waits = last["phase"] in ("Pending", "") or (node.get("type") == "Retry" and not attempts)
        if not waits:
            return Leaf(origin, P.RUNNING, attempts=count, started=started)
        found = self.cause(last.get("message") or "")
        reason, message = found if found is not None else (None, None)
        phase = P.RUNNING if len(attempts) > 1 else P.PENDING
        return Leaf(origin, phase, reason, message, attempts=count if phase is P.RUNNING else 0)

    def _end(self, node: Node, last: Node, spot: Spot) -> tuple[Row, str]:
        """The row of an ended node: what its last attempt says goes first, a cancel or deadline of the whole before."""
        exit_code = str((last.get("outputs") or {}).get("exitCode") or "")
        own = node.get("message") or ""
        if node is not last and re.search("strategy '|workflow deadline", own):
            return _row(node["phase"], own, ""), ""
        if node is not last and node["phase"] == "Succeeded":
            return _row("Succeeded", "", exit_code), exit_code
        rows = (*OF_MANIFESTS, *ENDS) if "resource" in spot.template else ENDS
        return _row(last["phase"], last.get("message") or own, exit_code, rows), exit_code

    def _too_late(self, node: Node) -> bool:
        """Whether a pod was made only when the run's time was over already: it never came to run."""
        if self.deadline is None or self.of_exit(node):
            return False
        late = (seconds(node.get("startedAt")) or 0) >= self.deadline - 1
        return late and "exceeded its deadline" in (node.get("message") or "")

    def of_exit(self, node: Node) -> bool:
        """Whether a node is one of on_exit's."""
        return str(node["name"]).startswith(f"{self.plan.name}.onExit")

    def _in_time(self, row: Row, last: Node) -> Row:
        """What ended after a cancel is cancelled, and what ended when the run's time was over ended for that: its pods
        have that deadline, too."""
        if self.of_exit(last):
            return row
        if self.cancel is not None and not self.cancel.before(last) and row.reason != "cached":
            return CANCELLED
        if self.deadline is None:
            return row
        if self._too_late(last):
            return Row("", "", "", P.SKIPPED, "run-timeout", "the run's time was over")
        late = (seconds(last.get("finishedAt")) or 0) >= self.deadline - 1
        if late and row.reason == "timeout":
            return RUN_TIMEOUT
        return evolve(row, reason="run-timeout") if late and row.reason == "needs" else row

    def group(self, origin: str, node: Node, spot: Spot) -> Leaf:
        """A foreach, a nested workflow or a repeat as a whole: its parts say the rest."""
        phase = node["phase"]
        started = seconds(node.get("startedAt"))
        items = _items(node, spot, self.plan)
        if phase in ("Pending", "Running", ""):
            return Leaf(origin, P.RUNNING, started=started, items=items)
        row = self._in_time(_row(phase, node.get("message") or "", ""), node)
        finished = seconds(node.get("finishedAt"))
        if row.phase is P.SKIPPED or node.get("type") == "Skipped":
            return Leaf(origin, row.phase, row.reason, _plain(node.get("message")))
        if row.phase is P.SUCCEEDED:
            outputs = self._outputs(node, spot) if spot.kind == "nested" and not spot.group else {}
            shown = {name: value for name, value in outputs.items() if not isinstance(value, _Bad)}
            return Leaf(origin, row.phase, started=started, finished=finished, outputs=shown, items=items)
        return Leaf(
            origin,
            row.phase,
            row.reason,
            _message(row, node, node, ""),
            started=started,
            finished=finished,
            items=items,
        )

    def _outputs(self, node: Node, spot: Spot) -> dict[str, Any]:
        declared = {each["name"]: each for each in (spot.template.get("outputs") or {}).get("parameters") or ()}
        given = {each["name"]: each.get("value") for each in (node.get("outputs") or {}).get("parameters") or ()}
        found: dict[str, Any] = {}
        for name, text in given.items():
            if name in declared and name == name.lower() and text is not None:
                there = given.get(f"HAS-{name}")
                if there is None or there == "true":
                    found[name] = _typed(text, declared[name].get("description", "string"))
        return found


def _never_made(node: Node) -> bool:
    return _NEVER_MADE.match(node.get("message") or "") is not None


@frozen
class _Bad:
    """An output that cannot be what was declared."""

    why: str


def _typed(text: str, name: str) -> Any:
    if name == "string":
        return text
    try:
        value: Json = json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return _Bad(f"is no {name}")
    wrong = misfit(value, read_type(name))
    return _Bad(f"is {wrong}, not {name}") if wrong else value


def read_type(text: str) -> Type:
    """A type from its text: ``list of integer``."""
    name, _, items = text.partition(" of ")
    return Type(name, read_type(items) if items else None)  # type: ignore[arg-type]


def _no_constant(text: str) -> Json:
    raise ValueError(text)


def _artifacts(spot: Spot) -> dict[str, str]:
    """Artifacts of a step that succeeded are there: the shim has seen them."""
    names = ((spot.template.get("metadata") or {}).get("annotations") or {}).get(ARTIFACT_NAMES, "")
    return {name: f"{spot.origin}/{name}" for name in names.split()}


def _hit(node: Node) -> bool:
    return bool((node.get("memoizationStatus") or {}).get("hit"))


def _row(phase: str, message: str, exit_code: str, rows: Sequence[Row] = ENDS) -> Row:
    for row in rows:
        if (
            re.fullmatch(row.native, phase)
            and (not row.message or re.search(row.message, message))
            and (not row.exit_code or re.fullmatch(row.exit_code, exit_code))
        ):
            return row
    return ENDS[-1]


def _exit_code(row: Row, text: str) -> int | None:
    if row.reason == "timeout" or row.phase in (P.CANCELLED, P.SKIPPED):
        return None
    if row.reason == "output":
        return 0
    if row.phase is P.SUCCEEDED:
        return int(text) if text.isdigit() else 0
    return int(text) if text.isdigit() and row.phase is P.FAILED else None


def _message(row: Row, node: Node, last: Node, exit_code: str) -> str | None:
    if row.phase is P.SUCCEEDED:
        return None
    text = last.get("message") or node.get("message") or ""
    if not row.says:
        return _plain(text) or row.reason
    return row.says.format(exit_code=exit_code, output=_unwritten(text), fault=_fault(text))


def _plain(text: str | None) -> str:
    """Argo's message in one line."""
    return " ".join((text or "").split())[:500]


def _unwritten(text: str) -> str:
    found = re.search(re.escape(OUTPUTS) + r"/([a-z][a-z0-9_-]*): no such file", text)
    if found:
        return f"output {found[1]} was not written"
    if "larger than max" in text:
        return f"an output is larger than {OUTPUT_BYTES} bytes"
    return _plain(text) or "an output could not be read"


def _fault(text: str) -> str:
    """What went wrong in an expression: its own words, without Argo's picture of the expression."""
    first = text.split("\n")[0]
    first = re.sub(r" \(\d+:\d+\)$", "", first)
    for beginning in ("failed to evaluate expression: ", "Invalid 'when' expression "):
        first = first.removeprefix(beginning)
    return _plain(first)


def _items(node: Node, spot: Spot, plan: Plan) -> int | None:
    """How many items a foreach has, where the object says so."""
    template = spot.template
    if spot.kind == "foreach":
        tasks = (template.get("dag") or {}).get("tasks") or ()
        counts = [task["withSequence"]["count"] for task in tasks if "withSequence" in task]
        return int(counts[0]) if counts and counts[0].isdigit() else None
    return None


def pod_name(run: str, node: Node) -> str:
    """A node's pod: the run's name, the template's, and a hash of the node's (FNV-1a of 32 bits)."""
    name = node["name"]
    if name == run:
        return run
    template = node.get("templateName") or ""
    prefix = f"{run}-{template}" if template else run
    return f"{prefix[:242]}-{fnv(name)}"


def fnv(text: str) -> int:
    """The FNV-1 hash of 32 bits, as Go's ``fnv.New32a`` has it."""
    value = 2166136261
    for byte in text.encode():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return value


__all__ = ["ENDS", "Node", "Pod", "View", "fnv", "pod_name", "read_type", "view_of"]
