"""Lowering keeps the run's meaning with fewer features, or refuses by name; it never drops anything."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from flowcore.capabilities import CAPABILITIES
from flowcore.checks import check
from flowcore.document import read_document
from flowcore.errors import WorkflowError
from flowcore.lowering import bind, lower, params_from_text
from flowcore.model import MISSING, Container, Nested, Script, Step, Workflow
from flowcore.outline import parse_outline
from flowcore.syntax import Json, Literal

ALL = frozenset(CAPABILITIES)


def read(steps: str, head: str = "") -> Workflow:
    workflow = read_document(f"flowcore: 1\nname: w\n{head}steps:\n{steps}")
    assert check(workflow) == []
    return workflow


def lowered(
    steps: str,
    capabilities: Iterable[str] = (),
    head: str = "",
    params: dict[str, Json] | None = None,
    limits: dict[str, int] | None = None,
) -> Workflow:
    return lower(bind(read(steps, head), params or {}), frozenset(capabilities), limits or {}, "tiny")


def refused(
    steps: str, capabilities: Iterable[str] = (), head: str = "", limits: dict[str, int] | None = None
) -> list[str]:
    with pytest.raises(WorkflowError) as caught:
        lowered(steps, capabilities, head, limits=limits)
    return [str(problem) for problem in caught.value.problems]


def command(step: Step) -> tuple[object, ...]:
    assert isinstance(step.action, Container)
    return (*(step.action.command or ()), *step.action.args)


# Binding


def test_params_become_literals_and_keep_their_type():
    head = "params: {n: 3, s: x, o: {type: object, default: {k: [1]}}}\n"
    steps = "  a: {command: [run, '${{ params.n }}', 'n=${{ params.n }}', '${{ params.o }}', '${{ params.o.k[0] }}']}\n"
    bound = bind(read(steps, head), {"n": 5})
    assert bound.params == {}
    assert command(bound.steps["a"]) == ("run", "5", "n=5", '{"k":[1]}', "1")


def test_text_in_a_param_is_never_read_again():
    steps = "  a: {command: [run, '${{ params.s }}']}\n"
    bound = bind(read(steps, "params: {s: string}\n"), {"s": "${{ params.s }}$(x)"})
    assert command(bound.steps["a"]) == ("run", "${{ params.s }}$(x)")


def test_a_condition_over_params_is_decided():
    steps = "  a: {when: 'params.n > 2', command: [x]}\n  b: {when: 'params.n > 9', command: [x]}\n"
    bound = bind(read(steps, "params: {n: 3}\n"), {})
    assert bound.steps["a"].when is None
    assert bound.steps["b"].when == Literal(False)


def test_args_of_a_nested_workflow_reach_its_inside():
    inner = "{params: {v: 1}, steps: {s: {command: [run, '${{ params.v }}']}}}"
    steps = f"  n: {{workflow: {inner}, args: {{v: '${{{{ params.p }}}}'}}}}\n"
    bound = bind(read(steps, "params: {p: 7}\n"), {})
    nested = bound.steps["n"].action
    assert isinstance(nested, Nested)
    assert nested.args == {}
    assert nested.workflow.params == {}
    assert command(nested.workflow.steps["s"]) == ("run", "7")


def test_everything_wrong_with_params_is_told_at_once():
    workflow = read("  a: {command: [x]}\n", "params: {n: {type: integer}, s: x, rows: 1}\n")
    with pytest.raises(WorkflowError) as caught:
        bind(workflow, {"s": 3, "rowz": 1})
    text = str(caught.value)
    assert "no param rowz; did you mean rows?" in text
    assert "params.n" in text
    assert "no default" in text
    assert "the value given is an integer; it must be string" in text


def test_params_from_a_command_line_are_text_or_json():
    workflow = read("  a: {command: [x]}\n", "params: {n: 1, s: x, l: {type: list, default: []}}\n")
    assert params_from_text(workflow, {"n": "2", "s": "2", "l": "[1]"}) == {"n": 2, "s": "2", "l": [1]}
    with pytest.raises(WorkflowError, match="is not JSON; this param is of type integer"):
        params_from_text(workflow, {"n": "NaN"})


# Passes


def test_a_backend_that_can_do_all_gets_the_workflow_as_it_is():
    steps = "  a: {script: 'echo'}\n  b: {foreach: [1], needs: {a: succeeded}, command: [x]}\n"
    workflow = lowered(steps, ALL)
    assert isinstance(workflow.steps["a"].action, Script)
    assert workflow.steps["b"].foreach == [1]
    assert workflow.steps["b"].origin == ""


def test_defaults_and_env_move_into_the_steps():
    head = "env: {A: '1', B: '1'}\ndefaults: {image: i, timeout: 5s, retry: {limit: 2}}\n"
    workflow = lowered("  a: {command: [x], env: {B: '2'}, timeout: 1s}\n", ALL, head)
    step = workflow.steps["a"]
    assert (step.image, step.timeout, step.env) == ("i", 1, {"A": "1", "B": "2"})
    assert step.retry is not None
    assert step.retry.limit == 2
    assert workflow.env == {}


def test_a_step_of_on_exit_has_ten_minutes():
    workflow = lowered("  a: {command: [x]}\n", ALL, "on_exit: {bye: {command: [x]}}\n")
    assert workflow.on_exit["bye"].timeout == 600


def test_a_static_foreach_becomes_a_step_an_item():
    steps = "  a: {foreach: [x, {k: y}], command: [run, '${{ item }}']}\n  b: {needs: [a], command: [run]}\n"
    workflow = lowered(steps)
    origins = {step.origin or name: command(step) for name, step in workflow.steps.items()}
    assert origins == {"a[0]": ("run", "x"), "a[1]": ("run", '{"k":"y"}'), "b": ("run",)}
    assert set(workflow.steps["b"].needs) == set(workflow.steps) - {"b"}


def test_a_fan_in_of_an_expanded_foreach_is_a_list_of_its_items():
    steps = (
        "  a: {foreach: [x, y], stdout: o, outputs: {o: {}}, command: [run, '${{ item }}']}\n"
        "  b: {command: [run, '${{ steps.a.outputs.o }}']}\n"
    )
    workflow = lowered(steps, {"outputs", "outputs.typed", "stdout"})
    assert len(workflow.steps["b"].needs) == 2
    assert all(step.foreach is MISSING for step in workflow.steps.values())


def test_a_nested_workflow_is_inlined_with_its_needs():
    steps = (
        "  a: {command: [x]}\n"
        "  n: {needs: [a], workflow: {steps: {u: {command: [u]}, v: {needs: [u], command: [v]}}}}\n"
        "  z: {needs: [n], command: [z]}\n"
    )
    workflow = lowered(steps)
    by_origin = {step.origin or name: (name, set(step.needs)) for name, step in workflow.steps.items()}
    up, down = by_origin["n/u"][0], by_origin["n/v"][0]
    assert by_origin["n/u"][1] == {"a"}
    assert by_origin["n/v"][1] == {"a", up}
    assert by_origin["z"][1] == {up, down}


def test_a_step_is_no_function_because_one_of_its_name_in_a_nested_workflow_is():
    inner = "{steps: {a: {python: {function: f, source: 'def f(): pass'}}}}"
    steps = f"  a: {{command: [x], outputs: {{o: {{type: integer}}}}}}\n  n: {{workflow: {inner}}}\n"
    workflow = lowered(steps, {"nested", "outputs"})
    assert command(workflow.steps["a"])[:2] == ("sh", "-c")


def test_a_static_foreach_of_a_nested_workflow_is_expanded_then_inlined():
    inner = "{params: {p: 0}, steps: {u: {command: [u, '${{ params.p }}']}}}"
    steps = f"  n: {{foreach: [1, 2], workflow: {inner}, args: {{p: '${{{{ item }}}}'}}}}\n"
    workflow = lowered(steps)
    assert {step.origin: command(step) for step in workflow.steps.values()} == {
        "n[0]/u": ("u", "1"),
        "n[1]/u": ("u", "2"),
    }


def test_a_step_that_never_runs_leaves_its_needs_to_its_readers():
    steps = (
        "  a: {command: [x]}\n"
        "  no: {needs: [a], when: 'params.n > 9', command: [x]}\n"
        "  b: {needs: [no], command: [x]}\n"
    )
    workflow = lowered(steps, head="params: {n: 1}\n")
    assert list(workflow.steps) == ["a", "b"]
    assert workflow.steps["b"].needs == {"a": "met"}
    assert parse_outline(workflow.outline).steps["no"].never is not None


def test_who_needs_success_of_a_step_that_never_runs_never_runs_either():
    steps = (
        "  no: {when: 'params.n > 9', command: [x]}\n  b: {needs: {no: succeeded}, command: [x]}\n  c: {command: [x]}\n"
    )
    assert list(lowered(steps, head="params: {n: 1}\n").steps) == ["c"]


def test_asking_for_the_success_of_a_plain_step_is_a_plain_need():
    steps = "  a: {command: [x]}\n  b: {needs: {a: succeeded}, command: [x]}\n"
    assert lowered(steps).steps["b"].needs == {"a": "met"}


def test_a_parallelism_that_no_moment_reaches_is_dropped():
    assert lowered("  a: {command: [x]}\n  b: {command: [x]}\n", head="parallelism: 2\n").parallelism is None
    assert "it has no parallelism" in refused("  a: {command: [x]}\n  b: {command: [x]}\n", head="parallelism: 1\n")[0]


def test_scripts_and_functions_become_commands():
    steps = (
        "  a: {script: 'echo $1', args: [x]}\n"
        "  b: {script: 'puts 1', interpreter: [ruby, -w]}\n"
        "  c: {python: {function: f, source: 'def f(): pass'}, outputs: {}}\n"
    )
    workflow = lowered(steps)
    assert command(workflow.steps["a"]) == ("sh", "-e", "-c", "echo $1", "a", "x")
    assert command(workflow.steps["b"])[3:] == ("flow", "puts 1", "ruby", "-w")
    assert command(workflow.steps["c"])[:2] == ("python3", "-c")


def test_a_repeat_becomes_a_chain_that_carries_its_outputs():
    steps = (
        "  a: {repeat: {until: \"outputs.o == 'y'\", max: 2}, stdout: o, outputs: {o: {}}, command: [run]}\n"
        "  b: {command: [run, '${{ steps.a.outputs.o }}']}\n"
    )
    workflow = lowered(steps, {"outputs"})
    origins = [(step.origin or name, step.role) for name, step in workflow.steps.items()]
    assert origins == [("a#1", "step"), ("a#2", "step"), ("a", "helper"), ("b", "step")]
    names = list(workflow.steps)
    assert set(workflow.steps["b"].needs) == {names[1], names[2]}


@pytest.mark.parametrize(
    ("steps", "lacking", "capabilities"),
    [
        (
            "  a: {foreach: [x], stdout: o, outputs: {o: {}}, command: [run]}\n"
            "  b: {command: [run, '${{ steps.a.outputs.o }}']}\n",
            {"outputs"},
            {"outputs", "foreach"},
        ),
        (
            "  a: {when: 'params.n > 1', stdout: o, outputs: {o: {default: x}}, command: [run]}\n"
            "  b: {command: [run, '${{ steps.a.outputs.o }}']}\n",
            {"outputs"},
            {"outputs", "when"},
        ),
    ],
)
def test_a_feature_without_its_companion_is_no_worse_than_none(steps, lacking, capabilities):
    head = "params: {n: 1}\n"
    assert lowered(steps, capabilities, head).steps == lowered(steps, lacking, head).steps


def test_a_retry_of_no_attempts_asks_for_nothing():
    assert lowered("  a: {command: [x], retry: {limit: 0}}\n").steps["a"].retry is None


# Refusals


@pytest.mark.parametrize(
    ("steps", "head", "capability", "path"),
    [
        ("  a: {command: [x], outputs: {o: {}}}\n", "", "outputs", "steps.a.outputs"),
        ("  a: {command: [x], outputs: {o: {artifact: true}}}\n", "", "artifacts", "steps.a.outputs"),
        ("  a: {command: [x], timeout: 5s}\n", "", "timeout", "steps.a.timeout"),
        ("  a: {command: [x], retry: {limit: 1}}\n", "", "retry", "steps.a.retry"),
        ("  a: {command: [x], continue_on_failure: true}\n", "", "continue", "steps.a.continue_on_failure"),
        ("  a: {command: [x], env: {T: {secret: s, key: k}}}\n", "", "secrets", "steps.a.env"),
        ("  a: {command: [x], cache: {key: k}}\n", "", "cache", "steps.a.cache"),
        ("  a: {command: [x], mounts: {/m: v}}\n", "volumes: {v: {empty: {}}}\n", "volumes", "steps.a.mounts"),
        ("  a: {command: [x]}\n", "timeout: 5s\n", "run_timeout", "timeout"),
        ("  a: {command: [x]}\n", "fail_fast: false\n", "fail_fast.off", "fail_fast"),
        ("  a: {command: [x]}\n", "on_exit: {b: {command: [x]}}\n", "on_exit", "on_exit"),
        ("  a: {manifest: {kind: Job, apiVersion: batch/v1}}\n", "", "manifest", "steps.a.manifest"),
        (
            "  n: {workflow: {steps: {u: {command: [x], timeout: 5s}}}}\n",
            "",
            "timeout",
            "steps.n.workflow.steps.u.timeout",
        ),
        (
            "  n: {continue_on_failure: true, workflow: {steps: {u: {command: [x]}}}}\n",
            "",
            "nested",
            "steps.n.workflow",
        ),
    ],
)
def test_what_cannot_be_lowered_is_refused_by_name(steps, head, capability, path):
    told = refused(steps, (), head)
    assert any(path in line and f"it has no {capability} (" in line for line in told), told
    assert all("backend tiny cannot do this" in line for line in told)


def test_a_refusal_names_the_place_and_the_backends_that_can():
    workflow = bind(read("  a:\n    command: [x]\n    timeout: 5s\n"), {})
    with pytest.raises(WorkflowError) as caught:
        lower(workflow, frozenset(), {}, "tiny", lambda capability: ["local", "tiny"])
    assert "<text>:6:" in str(caught.value)
    assert "installed backends that can: local" in str(caught.value)


def test_an_item_that_failed_cannot_be_asked_of_plain_steps():
    steps = "  a: {foreach: [1, 2], command: [x]}\n  b: {needs: {a: failed}, command: [x]}\n"
    told = refused(steps, {"needs.status", "fail_fast.off"})
    assert any("steps.a.foreach" in line and "no foreach" in line for line in told)


def test_the_shim_needs_the_command():
    told = refused("  a: {image: i, outputs: {o: {type: integer}}}\n", {"outputs"})
    assert any("outputs.typed" in line for line in told)


def test_limits_are_said_with_the_numbers():
    assert "the workflow has 2 steps once it is lowered, and backend tiny takes 1 at most" in " ".join(
        refused("  a: {foreach: [1, 2], command: [x]}\n", limits={"steps": 1})
    )
    assert "one text has 5 bytes" in " ".join(refused("  a: {command: [x, hello]}\n", limits={"argument_bytes": 4}))
    assert "the list has 2 items" in " ".join(
        refused("  a: {foreach: [1, 2], command: [x]}\n", ALL, limits={"items": 1, "steps": 1})
    )
    assert "the source has 6 bytes" in " ".join(refused("  a: {script: 'echo 1'}\n", ALL, limits={"script_bytes": 5}))


def test_lowering_is_pure():
    steps = "  a: {foreach: [1, 2], command: [x]}\n  b: {needs: [a], command: [x]}\n"
    assert lowered(steps) == lowered(steps)
