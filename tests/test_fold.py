"""Leaves fold into steps, groups and a run by the rules of S8, S15 to S18, S20 and S21."""

from __future__ import annotations

from attrs import evolve

from flowcore.expressions import parse_expression, parse_text
from flowcore.fold import Folded, fold
from flowcore.lowering.prune import never_steps
from flowcore.model import INTEGER, MISSING, STRING, Container, Nested, Output, Repeat, Step, Workflow
from flowcore.outline import outline_of, parse_outline
from flowcore.runs import Leaf, Phase, Reason, Snapshot, StepState
from flowcore.shim import BAD_OUTPUT
from flowcore.syntax import Literal

RUN = Container(("true",))
PENDING, RUNNING, SUCCEEDED = Phase.PENDING, Phase.RUNNING, Phase.SUCCEEDED
FAILED, ERROR, CANCELLED, SKIPPED = Phase.FAILED, Phase.ERROR, Phase.CANCELLED, Phase.SKIPPED


def plain(**fields: object) -> Step:
    return Step(RUN, **fields)  # type: ignore[arg-type]


def folded(workflow: Workflow, *leaves: Leaf, shimmed: bool = False, **snapshot: object) -> Folded:
    outline = outline_of(workflow, lambda step: shimmed, never_steps)
    return fold(Snapshot(outline, leaves, **snapshot))  # type: ignore[arg-type]


def leaf(origin: str, phase: Phase, reason: Reason | None = None, **fields: object) -> Leaf:
    started = 1.0 if phase not in (PENDING, SKIPPED) else None
    return Leaf(origin, phase, reason, **{"attempts": int(started is not None), "started": started, **fields})  # type: ignore[arg-type]


def states(run: Folded) -> dict[str, tuple[Phase, Reason | None]]:
    return {group.name: (group.state.phase, group.state.reason) for top in run.steps for group in top.walk()}


def state(run: Folded, name: str) -> StepState:
    return next(group.state for top in run.steps for group in top.walk() if group.name == name)


TWO = Workflow("w", steps={"a": plain(), "b": plain()}, on_exit={"bye": plain()})


def test_steps_without_a_leaf_are_pending():
    run = folded(TWO)
    assert states(run) == {"a": (PENDING, None), "b": (PENDING, None), "bye": (PENDING, None)}
    assert run.phase is PENDING


def test_a_run_runs_until_its_last_step_ended():
    run = folded(TWO, leaf("a", SUCCEEDED), leaf("b", FAILED, "exit-code"))
    assert run.phase is RUNNING


def test_a_run_fails_with_the_first_step_that_counts():
    run = folded(TWO, leaf("a", SUCCEEDED), leaf("b", FAILED, "timeout"), leaf("bye", SUCCEEDED), done=True)
    assert (run.phase, run.reason) == (FAILED, "timeout")
    assert "step b failed" in (run.message or "")


def test_a_failure_of_on_exit_counts():
    run = folded(TWO, leaf("a", SUCCEEDED), leaf("b", SUCCEEDED), leaf("bye", ERROR, "image"), done=True)
    assert (run.phase, run.reason) == (FAILED, "image")


def test_a_continued_failure_does_not_count():
    workflow = Workflow("w", steps={"a": plain(continue_on_failure=True)})
    assert folded(workflow, leaf("a", FAILED, "exit-code"), done=True).phase is SUCCEEDED


def test_a_cancelled_run_is_cancelled_even_if_on_exit_fails():
    run = folded(TWO, leaf("a", CANCELLED, "cancelled"), leaf("bye", FAILED, "exit-code"), done=True, cancelled=True)
    assert run.phase is CANCELLED
    assert states(run)["b"] == (CANCELLED, "cancelled")


def test_a_run_out_of_time_has_failed():
    run = folded(TWO, leaf("a", CANCELLED, "run-timeout"), leaf("bye", SUCCEEDED), done=True, timed_out=True)
    assert (run.phase, run.reason) == (FAILED, "timeout")
    assert states(run)["b"] == (SKIPPED, "run-timeout")


def test_what_a_backend_could_not_run_at_all_is_an_error():
    run = folded(TWO, error="no such namespace", done=True)
    assert (run.phase, run.reason, run.message) == (ERROR, "backend", "no such namespace")


def test_a_step_that_a_backend_forgot_is_lost():
    assert states(folded(TWO, leaf("a", SUCCEEDED), done=True))["b"] == (ERROR, "lost")


EACH = Workflow(
    "w",
    steps={"t": plain(foreach=[1, 2, 3], outputs={"o": Output(STRING), "d": Output(INTEGER, 7)}), "r": plain()},
    outputs={"all": parse_text("${{ steps.t.outputs.d }}")},
)


def test_items_of_a_foreach_that_did_not_start_are_not_shown():
    assert states(folded(EACH)) == {"t": (PENDING, None), "r": (PENDING, None)}
    assert "t[0]" not in states(folded(EACH, leaf("t", SKIPPED, "needs")))


def test_items_not_begun_yet_are_pending():
    run = folded(EACH, leaf("t[1]", SUCCEEDED))
    assert states(run) == {
        "t": (RUNNING, None),
        "t[0]": (PENDING, None),
        "t[1]": (SUCCEEDED, None),
        "t[2]": (PENDING, None),
        "r": (PENDING, None),
    }


def test_a_fan_in_has_the_items_in_order():
    items = [leaf(f"t[{n}]", SUCCEEDED, outputs={"o": str(n), "d": n}) for n in (2, 0, 1)]
    run = folded(EACH, *items, leaf("r", SUCCEEDED), done=True)
    assert state(run, "t").outputs == {"o": ["0", "1", "2"], "d": [0, 1, 2]}
    assert run.outputs == {"all": [0, 1, 2]}


def test_a_foreach_fails_if_an_item_failed_and_keeps_no_outputs():
    items = [leaf("t[0]", SUCCEEDED, outputs={"o": "x", "d": 1}), leaf("t[1]", ERROR, "image"), leaf("t[2]", FAILED)]
    run = folded(EACH, *items)
    assert states(run)["t"] == (FAILED, "image")
    assert state(run, "t").outputs == {}


def test_a_continued_foreach_keeps_length_and_order_by_defaults():
    step = evolve(EACH.steps["t"], continue_on_failure=True)
    workflow = evolve(EACH, steps={**EACH.steps, "t": step})
    items = [leaf(f"t[{n}]", SUCCEEDED, outputs={"o": str(n), "d": n}) for n in (0, 2)]
    run = folded(workflow, *items, leaf("t[1]", FAILED, "exit-code"), leaf("r", SUCCEEDED), done=True)
    assert run.phase is SUCCEEDED
    assert state(run, "t").outputs == {"d": [0, 7, 2]}, "o has no default, so its whole fan-in is missing"


def test_an_empty_list_gives_empty_fan_ins():
    run = folded(EACH, leaf("t", SKIPPED, "empty"))
    assert state(run, "t").outputs == {"o": [], "d": []}


def test_a_cancelled_item_makes_the_foreach_cancelled():
    run = folded(EACH, leaf("t[0]", FAILED), leaf("t[1]", CANCELLED, "cancelled"), leaf("t[2]", SUCCEEDED))
    assert states(run)["t"] == (CANCELLED, "cancelled")


def test_a_dynamic_foreach_tells_its_length():
    workflow = Workflow("w", steps={"t": plain(foreach=parse_text("${{ steps.m.outputs.l }}"))})
    run = folded(workflow, leaf("t", RUNNING, items=2))
    assert states(run) == {"t": (RUNNING, None), "t[0]": (PENDING, None), "t[1]": (PENDING, None)}


def test_an_expanded_foreach_that_was_skipped_folds_like_a_native_one():
    expanded = folded(EACH, *(leaf(f"t[{n}]", SKIPPED, "needs") for n in range(3)))
    native = folded(EACH, leaf("t", SKIPPED, "needs"))
    assert states(expanded) == states(native)


INNER = Workflow(
    steps={"up": plain(outputs={"o": Output(INTEGER, 3)}), "down": plain()},
    outputs={"score": parse_text("${{ steps.up.outputs.o }}")},
)
NEST = Workflow(
    "w",
    steps={"p": Step(Nested(INNER)), "r": plain()},
    outputs={"score": parse_text("<${{ steps.p.outputs.score }}>")},
)


def test_inner_steps_show_once_the_nested_step_began():
    assert states(folded(NEST)) == {"p": (PENDING, None), "r": (PENDING, None)}
    run = folded(NEST, leaf("p/up", RUNNING))
    assert states(run)["p"] == (RUNNING, None)
    assert states(run)["p/down"] == (PENDING, None)


def test_nested_outputs_come_from_inner_ones():
    run = folded(
        NEST, leaf("p/up", SUCCEEDED, outputs={"o": 9}), leaf("p/down", SUCCEEDED), leaf("r", SUCCEEDED), done=True
    )
    assert state(run, "p").outputs == {"score": 9}
    assert run.outputs == {"score": "<9>"}


def test_a_nested_step_goes_on_while_its_backend_gathers_its_outputs():
    inside = (leaf("p/up", SUCCEEDED, outputs={"o": 9}), leaf("p/down", SUCCEEDED))
    for own in (PENDING, RUNNING):
        run = folded(NEST, leaf("p", own), *inside)
        assert (states(run)["p"], state(run, "p").outputs, state(run, "p").finished) == ((RUNNING, None), {}, None)
    assert states(folded(NEST, leaf("p", SUCCEEDED), *inside))["p"] == (SUCCEEDED, None)


def test_a_missing_inner_output_is_its_default():
    run = folded(NEST, leaf("p/up", SKIPPED, "when"), leaf("p/down", SUCCEEDED), leaf("r", SUCCEEDED), done=True)
    assert state(run, "p").outputs == {"score": 3}


def test_a_nested_step_fails_by_its_steps():
    run = folded(NEST, leaf("p/up", FAILED, "exit-code"), leaf("p/down", SKIPPED, "needs"))
    assert states(run)["p"] == (FAILED, "exit-code")


def test_a_nested_step_whose_when_is_false_hides_its_steps():
    native = folded(NEST, leaf("p", SKIPPED, "when"))
    gate = leaf("p", SKIPPED, "when", helper=True)
    inlined = folded(NEST, gate, leaf("p/up", SKIPPED, "needs"), leaf("p/down", SKIPPED, "needs"))
    assert states(native) == states(inlined) == {"p": (SKIPPED, "when"), "r": (PENDING, None)}


def test_an_inlined_nested_step_that_was_skipped_folds_like_a_native_one():
    native = folded(NEST, leaf("p", SKIPPED, "needs"))
    inlined = folded(NEST, leaf("p/up", SKIPPED, "needs"), leaf("p/down", SKIPPED, "needs"))
    assert states(native) == states(inlined)


def test_items_of_a_nested_foreach_have_inner_steps():
    workflow = Workflow("w", steps={"p": Step(Nested(INNER), foreach=["x", "y"])})
    leaves = [
        leaf(f"p[{n}]/{s}", SUCCEEDED, outputs={"o": n} if s == "up" else {}) for n in (0, 1) for s in INNER.steps
    ]
    run = folded(workflow, *leaves, done=True)
    assert list(states(run)) == ["p", "p[0]", "p[0]/up", "p[0]/down", "p[1]", "p[1]/up", "p[1]/down"]
    assert state(run, "p").outputs == {"score": [0, 1]}


LOOP = Workflow(
    "w", steps={"l": plain(repeat=Repeat(parse_expression("outputs.o == 'y'"), 3), outputs={"o": Output()})}
)


def iteration(number: int, phase: Phase, value: str | None = None) -> Leaf:
    return leaf(f"l#{number}", phase, outputs={} if value is None else {"o": value})


def test_a_lowered_repeat_shows_its_last_real_iteration():
    run = folded(LOOP, iteration(1, SUCCEEDED, "n"), iteration(2, SUCCEEDED, "y"), iteration(3, SUCCEEDED, "y"))
    assert state(run, "l").iteration == 2
    assert states(run)["l"] == (SUCCEEDED, None)


def test_a_lowered_repeat_runs_between_iterations():
    run = folded(LOOP, iteration(1, SUCCEEDED, "n"), iteration(2, PENDING))
    assert states(run)["l"] == (RUNNING, None)


def test_a_lowered_repeat_that_met_its_limit_has_failed():
    leaves = [iteration(number, SUCCEEDED, "n") for number in (1, 2, 3)]
    run = folded(LOOP, *leaves, leaf("l", FAILED, "exit-code", helper=True))
    assert states(run)["l"] == (FAILED, "repeat-limit")
    assert state(run, "l").outputs == {}


def test_a_failed_iteration_fails_the_repeat():
    run = folded(LOOP, iteration(1, FAILED), iteration(2, SKIPPED), iteration(3, SKIPPED))
    assert states(run)["l"] == (FAILED, None)
    assert state(run, "l").iteration == 1


def test_a_failed_helper_is_its_origins_error():
    run = folded(TWO, leaf("a", PENDING), leaf("a", FAILED, "exit-code", helper=True))
    assert states(run)["a"] == (ERROR, "helper")


def test_the_shims_exit_code_means_a_bad_output_only_where_the_shim_is():
    bad = leaf("a", FAILED, "exit-code", exit_code=BAD_OUTPUT)
    assert states(folded(TWO, bad, shimmed=True))["a"] == (FAILED, "output")
    assert states(folded(TWO, bad))["a"] == (FAILED, "exit-code")


def test_steps_decided_before_the_run_are_reported_by_the_core():
    workflow = Workflow(
        "w",
        steps={
            "a": plain(),
            "no": plain(needs={"a": "met"}, when=Literal(False)),
            "after": plain(needs={"no": "succeeded"}),
            "any": plain(needs={"no": "met"}),
        },
    )
    assert states(folded(workflow))["no"] == (PENDING, None)
    assert states(folded(workflow, leaf("a", SUCCEEDED)))["no"] == (SKIPPED, "when")
    assert states(folded(workflow, leaf("a", SUCCEEDED)))["after"] == (SKIPPED, "needs")
    assert states(folded(workflow, leaf("a", FAILED)))["no"] == (SKIPPED, "needs")


def test_an_outline_survives_its_text():
    outline = parse_outline(outline_of(NEST, lambda step: False, never_steps))
    assert outline.name == "w"
    assert outline.steps["p"].inner is not None
    assert outline.outputs == NEST.outputs
    assert outline.steps["r"].outputs == {}
    assert parse_outline(outline_of(EACH, lambda step: False, never_steps)).steps["t"].outputs == {"o": MISSING, "d": 7}
