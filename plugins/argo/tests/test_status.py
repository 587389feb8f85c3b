"""What Argo says of its nodes, as leaves: names of the document, phases, reasons, attempts, outputs."""

from __future__ import annotations

import pytest

from flowcore.backend import Backend, load
from flowcore.runs import Leaf, Phase
from flowcore_argo.plan import Plan
from flowcore_argo.status import Cancel, fnv, pod_name, view_of
from flowcore_argo.stored import nodes_of, pack, with_end

BACKEND = Backend.select("argo")
RUN = "run-abc"


def plan_of(steps: str) -> Plan:
    text = f'flowcore: 1\nname: run\ndefaults: {{image: "busybox:1"}}\n{steps}\n'
    return Plan(RUN, BACKEND.render(load(text)).objects[0]["spec"])


def node(name: str, phase: str, message: str = "", type: str = "Pod", start: int = 1, end: int | None = 2, **more):
    """A node of a Workflow; times are seconds of one minute."""
    found = {
        "id": f"{RUN}-{fnv(RUN + name)}",
        "name": RUN + name,
        "type": type,
        "phase": phase,
        "message": message,
        "startedAt": f"2026-01-01T00:00:{start:02d}Z",
        **more,
    }
    if end is not None and phase not in ("Pending", "Running"):
        found["finishedAt"] = f"2026-01-01T00:00:{end:02d}Z"
    return found


def exited(code: int, **outputs: str) -> dict:
    parameters = [{"name": name, "value": value} for name, value in outputs.items()]
    return {"outputs": {"exitCode": str(code), **({"parameters": parameters} if outputs else {})}}


def leaves_of(plan: Plan, *nodes, **more) -> dict[str, Leaf]:
    view = view_of(plan, nodes, {}, {}, lambda message: ("image", message) if "Image" in message else None, **more)
    return {leaf.origin: leaf for leaf in view.leaves}


@pytest.mark.parametrize(
    ("phase", "message", "code", "expected"),
    [
        ("Succeeded", "", 0, (Phase.SUCCEEDED, None, 0)),
        ("Failed", "main: Error (exit code 3)", 3, (Phase.FAILED, "exit-code", 3)),
        ("Failed", "main: OOMKilled (exit code 137)", 137, (Phase.FAILED, "out-of-memory", 137)),
        (
            "Failed",
            "Pod was active on the node longer than the specified deadline",
            None,
            (Phase.FAILED, "timeout", None),
        ),
        (
            "Failed",
            "main: Error (exit code 64): failed to find name in PATH: exec: x: not found",
            64,
            (Phase.ERROR, "command", None),
        ),
        ("Failed", "main: Error (exit code 64)", 64, (Phase.FAILED, "exit-code", 64)),
        ("Failed", "main: Error (exit code 213)", 213, (Phase.FAILED, "output", 0)),
        (
            "Error",
            "wait: Error (exit code 64): open /mainctrfs/flowcore/outputs/word: no such file or directory",
            0,
            (Phase.FAILED, "output", 0),
        ),
        ("Error", "pod deleted", None, (Phase.ERROR, "lost", None)),
        ("Failed", "The node was low on resource: memory. Threshold", 137, (Phase.ERROR, "lost", None)),
        ("Failed", "Pod was rejected: Node didn't have enough resource: cpu", None, (Phase.ERROR, "capacity", None)),
        ("Error", "task 'x' errored: pods \"x\" is forbidden", None, (Phase.ERROR, "backend", None)),
        ("Error", "something that nobody has seen", None, (Phase.ERROR, "backend", None)),
        ("Failed", "workflow shutdown with strategy:  Stop", None, (Phase.CANCELLED, "cancelled", None)),
        ("Failed", "Step exceeded its deadline", None, (Phase.CANCELLED, "run-timeout", None)),
    ],
)
def test_the_end_of_a_pod(phase, message, code, expected):
    plan = plan_of("steps: {x: {command: ['true']}}")
    leaf = leaves_of(plan, node(".x", phase, message, **({} if code is None else exited(code))))["x"]
    assert (leaf.phase, leaf.reason, leaf.exit_code) == expected
    assert leaf.attempts == 1
    assert (leaf.message is None) == (phase == "Succeeded")


def test_an_output_that_was_not_written_is_named():
    plan = plan_of("steps: {x: {command: ['true'], outputs: {word: {}}}}")
    message = "wait: Error (exit code 64): open /mainctrfs/flowcore/outputs/word: no such file or directory"
    assert leaves_of(plan, node(".x", "Error", message, **exited(0)))["x"].message == "output word was not written"


@pytest.mark.parametrize(
    ("phase", "message", "expected"),
    [
        ("Skipped", "when 'false' evaluated false", "when"),
        ("Skipped", "when ''the list is empty' == ''' evaluated false", "empty"),
        ("Skipped", "Skipped, empty params", "empty"),
        ("Omitted", "omitted: depends condition not met", "needs"),
    ],
)
def test_steps_that_never_started(phase, message, expected):
    plan = plan_of("steps: {x: {command: ['true']}}")
    leaf = leaves_of(plan, node(".x", phase, message, type="Skipped"))["x"]
    assert (leaf.phase, leaf.reason, leaf.attempts, leaf.started) == (Phase.SKIPPED, expected, 0, None)


def test_a_pod_that_waits_says_why():
    plan = plan_of("steps: {x: {command: ['true']}}")
    leaf = leaves_of(plan, node(".x", "Pending", "ImagePullBackOff: Back-off"))["x"]
    assert (leaf.phase, leaf.reason, leaf.attempts) == (Phase.PENDING, "image", 0)
    assert leaves_of(plan, node(".x", "Pending", "PodInitializing"))["x"].reason is None


def test_a_pod_that_was_given_up_has_ended_once_argo_says_when():
    plan = plan_of("steps: {x: {command: ['true']}}")
    gone = node(".x", "Error", "pod deleted", end=None)
    given_up = {gone["id"]: ("secret", "a secret is missing")}
    for ended, phase in ((gone, Phase.PENDING), (node(".x", "Error", "pod deleted"), Phase.ERROR)):
        (leaf,) = view_of(plan, [ended], given_up, {}, lambda message: None).leaves
        assert (leaf.phase, leaf.reason, leaf.message) == (phase, "secret", "a secret is missing")


def test_attempts_are_counted_and_the_last_one_is_the_step():
    plan = plan_of("steps: {x: {retry: {limit: 2}, command: ['true']}}")
    first = node(".x(0)", "Failed", "main: Error (exit code 1)", start=1, end=2, **exited(1))
    waiting = leaves_of(plan, node(".x", "Running", "Backoff for 5 seconds", type="Retry"), first)["x"]
    assert (waiting.phase, waiting.reason, waiting.attempts) == (Phase.RUNNING, "retrying", 1)
    again = leaves_of(plan, node(".x", "Running", type="Retry"), first, node(".x(1)", "Pending"))["x"]
    assert (again.phase, again.attempts) == (Phase.RUNNING, 2)
    done = leaves_of(plan, node(".x", "Succeeded", type="Retry"), first, node(".x(1)", "Succeeded", **exited(0)))["x"]
    assert (done.phase, done.attempts, done.exit_code, done.finished) == (Phase.SUCCEEDED, 2, 0, done.started + 1)
    vain = node(".x", "Failed", "No more retries left", type="Retry", **exited(1))
    assert leaves_of(plan, vain, first)["x"].reason == "exit-code"


NESTED = """steps:
  list: {command: ['true'], outputs: {list: {type: list}}}
  with_low_line:
    foreach: "${{ steps.list.outputs.list }}"
    workflow:
      params: {it: {type: any}}
      defaults: {image: "busybox:1"}
      steps:
        first-one: {command: ['true']}
        each: {foreach: [a, b], command: [echo, "${{ item }} ${{ params.it }}"]}
    args: {it: "${{ item }}"}
on_exit:
  notify: {command: ['true']}
"""


def test_names_come_back_from_any_depth():
    plan = plan_of(NESTED)
    task = next(task["name"] for task in plan.template("main")["dag"]["tasks"] if task["name"].startswith("with-"))
    found = leaves_of(
        plan,
        node("", "Running", type="DAG"),
        node(f".{task}", "Running", type="TaskGroup"),
        node(f".{task}(0:0)", "Succeeded", type="DAG"),
        node(f".{task}(1:1)", "Running", type="DAG"),
        node(f".{task}(1:1).first-one", "Succeeded"),
        node(f".{task}(1:1).each", "Running", type="TaskGroup"),
        node(f".{task}(1:1).each(1:1)", "Succeeded"),
        node(".onExit", "Running", type="Steps"),
        node(".onExit[0]", "Running", type="StepGroup"),
        node(".onExit[0].notify", "Running"),
        node(".nobody-knows", "Running"),
    )
    assert set(found) == {
        "with_low_line",
        "with_low_line[0]",
        "with_low_line[1]",
        "with_low_line[1]/first-one",
        "with_low_line[1]/each",
        "with_low_line[1]/each[1]",
        "notify",
    }


REPEAT = """steps:
  wait:
    repeat: {until: "outputs.o == 'x'", max: 3}
    command: ['true']
    outputs: {o: {}}
"""


def test_a_repeat_is_its_last_iteration():
    plan = plan_of(REPEAT)
    first = node(".wait.run", "Succeeded", **exited(0, o="no"))
    second = node(".wait.next.run", "Succeeded", start=5, end=6, **exited(0, o="x"))
    going = leaves_of(plan, node(".wait", "Running", type="DAG"), first)["wait"]
    assert (going.phase, going.iteration, dict(going.outputs)) == (Phase.RUNNING, 1, {})
    done = leaves_of(plan, node(".wait", "Succeeded", type="DAG"), first, second)["wait"]
    assert (done.phase, done.iteration, dict(done.outputs)) == (Phase.SUCCEEDED, 2, {"o": "x"})
    over = node(".wait.next.limit", "Error", "failed to evaluate expression: the repeat reached its limit")
    vain = leaves_of(plan, node(".wait", "Error", type="DAG"), first, second, over)["wait"]
    assert (vain.phase, vain.reason, vain.iteration) == (Phase.FAILED, "repeat-limit", 2)


def test_outputs_are_typed():
    plan = plan_of(
        "steps: {x: {command: ['true'], outputs: {n: {type: integer}, l: {type: list, items: string}, s: {}}}}"
    )
    leaf = leaves_of(plan, node(".x", "Succeeded", **exited(0, n=" 7", l='["a"]', s="7")))["x"]
    assert dict(leaf.outputs) == {"n": 7, "l": ["a"], "s": "7"}
    bad = leaves_of(plan, node(".x", "Succeeded", **exited(0, n="x", l='["a"]', s="7")))["x"]
    assert (bad.phase, bad.reason, "n" in bad.message) == (Phase.FAILED, "output", True)


def test_a_cache_hit_is_no_attempt():
    plan = plan_of("steps: {x: {command: ['true'], cache: {key: a}, outputs: {o: {}}}}")
    leaf = leaves_of(plan, node(".x", "Succeeded", memoizationStatus={"hit": True}, **exited(0, o="v")))["x"]
    assert (leaf.phase, leaf.reason, leaf.attempts, dict(leaf.outputs)) == (Phase.SUCCEEDED, "cached", 0, {"o": "v"})


def test_what_ended_after_a_cancel_is_cancelled_and_what_ended_before_is_not():
    plan = plan_of("steps: {a: {command: ['true']}, b: {command: ['true']}, c: {needs: [b], command: ['true']}}")
    before = node(".a", "Succeeded", end=2, **exited(0))
    after = node(".b", "Succeeded", end=2, **exited(0))
    omitted = node(".c", "Omitted", "omitted", type="Skipped", end=3)
    cancel = Cancel(before["finishedAt"] and 1767225602.0, frozenset({before["id"]}))
    found = leaves_of(plan, before, after, omitted, cancel=cancel)
    assert [found[name].phase for name in "abc"] == [Phase.SUCCEEDED, Phase.CANCELLED, Phase.CANCELLED]
    assert found["c"].attempts == 0


def test_a_process_that_a_cancel_has_not_ended_yet_still_runs():
    plan = plan_of("steps: {a: {command: ['true']}}")
    marked = node(".a", "Failed", "workflow shutdown with strategy:  Stop", end=None)
    assert leaves_of(plan, marked)["a"].phase is Phase.RUNNING
    assert leaves_of(plan, marked, over=True)["a"].phase is Phase.CANCELLED


def test_a_pods_name_is_as_argo_makes_it():
    assert pod_name("wf", {"name": "wf"}) == "wf"
    assert fnv("hello world") == 3582672807
    name = pod_name("wf-x", {"name": "wf-x.step(0)", "templateName": "step"})
    assert name == f"wf-x-step-{fnv('wf-x.step(0)')}"
    assert pod_name("wf-x", {"name": "wf-x.a"}) == f"wf-x-{fnv('wf-x.a')}"


def test_packed_nodes_are_read_and_changed():
    nodes = {"a": {"id": "a", "phase": "Pending"}}
    workflow = {"metadata": {"name": "x"}, "status": {"compressedNodes": pack(nodes)}}
    assert nodes_of(workflow) == [nodes["a"]]
    workflow["status"] = with_end(workflow, "a", {"phase": "Error"})
    assert nodes_of(workflow) == [{"id": "a", "phase": "Error"}]
    plain = {"metadata": {"name": "x"}, "status": {"nodes": nodes}}
    assert with_end(plain, "a", {"phase": "Error"}) == {"nodes": {"a": {"phase": "Error"}}}


def test_nodes_in_argos_own_database_are_refused():
    with pytest.raises(Exception, match="nodeStatusOffLoad"):
        nodes_of({"metadata": {"name": "x"}, "status": {"offloadNodeStatusVersion": "fnv:1"}})


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("main: Error (exit code 64): failure condition '{data.x == [y]}' evaluated true", (Phase.FAILED, "exit-code")),
        ('main: Error (exit code 64): The ConfigMap "no such" is invalid', (Phase.ERROR, "backend")),
        ("main: Error (exit code 64): no such file or directory", (Phase.ERROR, "backend")),
        ("Pod was active on the node longer than the specified deadline", (Phase.FAILED, "timeout")),
    ],
)
def test_how_a_manifest_ended(message, expected):
    plan = plan_of("steps: {a: {manifest: {apiVersion: v1, kind: ConfigMap, metadata: {name: x}}}}")
    code = exited(64) if "64" in message else {}
    leaf = leaves_of(plan, node(".a", "Failed", message, **code))["a"]
    assert (leaf.phase, leaf.reason) == expected
    assert leaf.message


def test_a_pod_that_a_cancel_kept_from_being_made_was_no_attempt():
    plan = plan_of("steps: {a: {command: [x]}, b: {retry: {limit: 1}, command: [x]}}")
    told = "workflow shutdown with strategy: Stop"
    nodes = [
        node(".a", "Failed", told),
        node(".b", "Failed", told, type="Retry"),
        node(".b(0)", "Failed", told),
    ]
    view = view_of(plan, nodes, {}, {}, lambda message: None, cancel=Cancel(1.0))
    assert {(leaf.origin, leaf.phase, leaf.attempts) for leaf in view.leaves} == {
        ("a", Phase.CANCELLED, 0),
        ("b", Phase.CANCELLED, 0),
    }
    assert view.pods == ()
