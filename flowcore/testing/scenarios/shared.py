"""Slots and caches: what runs at the same time, and what need not run at all."""

from __future__ import annotations

from flowcore.testing.scenario import (
    UNIQUE,
    SubmitAgain,
    all_ok,
    cached,
    failed,
    lines,
    ok,
    run_failed,
    scenario,
    succeeded,
)

SCENARIOS = (
    scenario(
        "parallelism-of-a-run",
        "S22",
        """
parallelism: 1
steps:
  a: {command: [sleep, "1"]}
  b: {command: [sleep, "1"]}
  inner:
    workflow:
      defaults: {image: "busybox:1"}
      steps: {c: {command: [sleep, "1"]}}
""",
        succeeded({"a": ok(), "b": ok(), "inner": all_ok(), "inner/c": ok()}, apart=("a", "b", "inner/c")),
        needs="parallelism",
    ),
    scenario(
        "parallelism-of-a-foreach",
        "S22",
        """
steps:
  each: {foreach: [1, 2, 3], parallelism: 1, command: [sleep, "1"]}
""",
        succeeded(
            {"each": all_ok(), "each[0]": ok(), "each[1]": ok(), "each[2]": ok()},
            apart=("each[0]", "each[1]", "each[2]"),
        ),
        needs="foreach parallelism",
    ),
    scenario(
        "parallelism-lets-steps-run-together",
        "S22",
        """
parallelism: 2
steps:
  a: {command: [sleep, "8"]}
  b: {command: [sleep, "8"]}
  c: {needs: [a], command: [echo, c]}
""",
        succeeded({"a": ok(), "b": ok(), "c": ok()}, order=(("a", "c"),), together=(("a", "b"),)),
        needs="parallelism",
    ),
    scenario(
        "cache-answers",
        "S26",
        """
params: {salt: {type: string}, rows: 1}
steps:
  count:
    cache: {key: "${{ params.salt }} ${{ params.rows }}", max_age: 1h}
    script: 'echo "$1" > "$FLOW_OUTPUTS/rows"; echo ran'
    args: ["${{ params.rows }}"]
    outputs: {rows: {type: integer}}
  after: {command: [echo, "after ${{ steps.count.outputs.rows }}"]}
""",
        succeeded({"count": ok(rows=1), "after": ok()}, logs={"count": lines("ran"), "after": lines("after 1")}),
        needs="cache outputs",
        params={"salt": UNIQUE},
        actions=(
            SubmitAgain(
                succeeded({"count": cached(rows=1), "after": ok()}, logs={"count": (), "after": lines("after 1")})
            ),
            SubmitAgain(succeeded({"count": ok(rows=2), "after": ok()}), params={"rows": 2}),
        ),
    ),
    scenario(
        "cache-keeps-only-successes",
        "S26",
        """
params: {salt: {type: string}, code: 1}
steps:
  tries:
    cache: {key: "${{ params.salt }}"}
    command: [sh, -c, 'exit "$1"', sh, "${{ params.code }}"]
""",
        run_failed({"tries": failed(1)}),
        needs="cache",
        params={"salt": UNIQUE},
        actions=(SubmitAgain(succeeded({"tries": ok()}), params={"code": 0}),),
    ),
    scenario(
        "cache-of-items",
        "S26 S19",
        """
params: {salt: {type: string}, list: {type: list, items: integer, default: [1, 2]}}
steps:
  each:
    foreach: "${{ params.list }}"
    cache: {key: "${{ params.salt }} ${{ item }}"}
    script: 'echo "$1" > "$FLOW_OUTPUTS/value"'
    args: ["${{ item }}"]
    outputs: {value: {type: integer}}
""",
        succeeded({"each": all_ok(value=[1, 2]), "each[0]": ok(value=1), "each[1]": ok(value=2)}),
        needs="cache outputs",
        params={"salt": UNIQUE},
        actions=(
            SubmitAgain(
                succeeded({"each": all_ok(value=[2, 3]), "each[0]": cached(value=2), "each[1]": ok(value=3)}),
                params={"list": [2, 3]},
            ),
        ),
    ),
)
