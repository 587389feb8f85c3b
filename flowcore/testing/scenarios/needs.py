"""What a step waits for, and what a failure does to the steps behind it."""

from __future__ import annotations

from flowcore.testing.scenario import (
    error,
    failed,
    lines,
    ok,
    run_failed,
    scenario,
    skipped,
    succeeded,
)

SCENARIOS = (
    scenario(
        "needs-order",
        "S1 S31",
        """
steps:
  last: {needs: [first], command: [echo, last]}
  first: {script: "sleep 2; echo first"}
""",
        succeeded(
            {"first": ok(), "last": ok()},
            order=(("first", "last"),),
            logs={"first": lines("first"), "last": lines("last")},
        ),
    ),
    scenario(
        "needs-diamond",
        "S1",
        """
steps:
  top: {command: [echo, top]}
  left: {needs: [top], command: [echo, left]}
  right: {needs: [top], command: [echo, right]}
  bottom: {needs: [left, right], command: [echo, bottom]}
""",
        succeeded(
            {"top": ok(), "left": ok(), "right": ok(), "bottom": ok()},
            order=(("top", "left"), ("top", "right"), ("left", "bottom"), ("right", "bottom")),
        ),
    ),
    scenario(
        "needs-failure-reaches-all",
        "S1 S8",
        """
steps:
  breaks: {command: [sh, -c, "echo broken >&2; exit 3"]}
  behind: {needs: [breaks], command: [echo, never]}
  far_behind: {needs: [behind], command: [echo, never]}
""",
        run_failed(
            {"breaks": failed(3), "behind": skipped("needs"), "far_behind": skipped("needs")},
            logs={"breaks": lines("broken", stream="stderr"), "behind": (), "far_behind": ()},
        ),
    ),
    scenario(
        "needs-met-by-false-when",
        "S1 S5",
        """
params: {wanted: false}
steps:
  optional: {when: params.wanted, command: [echo, never]}
  after: {needs: [optional], command: [echo, after]}
""",
        succeeded({"optional": skipped("when"), "after": ok()}, logs={"after": lines("after")}),
    ),
    scenario(
        "needs-met-by-empty-foreach",
        "S1 S16",
        """
steps:
  each: {foreach: [], command: [echo, "${{ item }}"]}
  after: {needs: [each], command: [echo, after]}
""",
        succeeded({"each": skipped("empty"), "after": ok()}, logs={"after": lines("after")}),
        needs="foreach",
    ),
    scenario(
        "needs-met-by-continued-failure",
        "S1 S8 S10",
        """
steps:
  breaks: {continue_on_failure: true, command: [sh, -c, "exit 4"]}
  after: {needs: [breaks], command: [echo, after]}
""",
        succeeded({"breaks": failed(4), "after": ok()}, order=(("breaks", "after"),)),
        needs="continue",
    ),
    scenario(
        "needs-status-after-failure",
        "S2 S9",
        """
steps:
  breaks: {command: [sh, -c, "exit 1"]}
  on_failed: {needs: {breaks: failed}, command: [echo, on_failed]}
  on_succeeded: {needs: {breaks: succeeded}, command: [echo, never]}
  on_skipped: {needs: {breaks: skipped}, command: [echo, never]}
  on_finished: {needs: {breaks: finished}, command: [echo, on_finished]}
""",
        run_failed(
            {
                "breaks": failed(1),
                "on_failed": ok(),
                "on_succeeded": skipped("needs"),
                "on_skipped": skipped("needs"),
                "on_finished": ok(),
            },
            order=(("breaks", "on_failed"), ("breaks", "on_finished")),
        ),
        needs="needs.status fail_fast.off",
    ),
    scenario(
        "needs-status-after-success",
        "S2",
        """
steps:
  works: {command: [echo, works]}
  on_failed: {needs: {works: failed}, command: [echo, never]}
  on_succeeded: {needs: {works: succeeded}, command: [echo, on_succeeded]}
  on_finished: {needs: {works: finished}, command: [echo, on_finished]}
""",
        succeeded({"works": ok(), "on_failed": skipped("needs"), "on_succeeded": ok(), "on_finished": ok()}),
        needs="needs.status fail_fast.off",
    ),
    scenario(
        "needs-status-after-skip",
        "S2 S16",
        """
params: {wanted: false}
steps:
  optional: {when: params.wanted, command: [echo, never]}
  on_skipped: {needs: {optional: skipped}, command: [echo, on_skipped]}
  on_succeeded: {needs: {optional: succeeded}, command: [echo, never]}
  on_failed: {needs: {optional: failed}, command: [echo, never]}
  on_finished: {needs: {optional: finished}, command: [echo, on_finished]}
""",
        succeeded(
            {
                "optional": skipped("when"),
                "on_skipped": ok(),
                "on_succeeded": skipped("needs"),
                "on_failed": skipped("needs"),
                "on_finished": ok(),
            }
        ),
        needs="needs.status fail_fast.off",
    ),
    scenario(
        "needs-status-after-an-empty-list",
        "S2 S16",
        """
steps:
  empty: {foreach: [], command: [echo, "${{ item }}"]}
  on_skipped: {needs: {empty: skipped}, command: [echo, on_skipped]}
  on_succeeded: {needs: {empty: succeeded}, command: [echo, never]}
  on_finished: {needs: {empty: finished}, command: [echo, on_finished]}
""",
        succeeded(
            {"empty": skipped("empty"), "on_skipped": ok(), "on_succeeded": skipped("needs"), "on_finished": ok()}
        ),
        needs="foreach needs.status fail_fast.off",
    ),
    scenario(
        "needs-status-after-continued-failure",
        "S2 S10",
        """
steps:
  breaks: {continue_on_failure: true, command: [sh, -c, "exit 1"]}
  on_failed: {needs: {breaks: failed}, command: [echo, on_failed]}
  on_succeeded: {needs: {breaks: succeeded}, command: [echo, never]}
""",
        succeeded({"breaks": failed(1), "on_failed": ok(), "on_succeeded": skipped("needs")}),
        needs="needs.status continue",
    ),
    scenario(
        "needs-status-after-error",
        "S2 S8",
        """
steps:
  breaks: {command: [/no/such/program]}
  on_failed: {needs: {breaks: failed}, command: [echo, never]}
  on_finished: {needs: {breaks: finished}, command: [echo, on_finished]}
""",
        run_failed({"breaks": error("command", attempts=1), "on_failed": skipped("needs"), "on_finished": ok()}),
        needs="needs.status fail_fast.off",
    ),
    scenario(
        "needs-status-all-are-anded",
        "S2 S9",
        """
steps:
  works: {command: [echo, works]}
  breaks: {command: [sh, -c, "exit 1"]}
  both: {needs: {works: met, breaks: failed}, command: [echo, both]}
  neither: {needs: {works: failed, breaks: failed}, command: [echo, never]}
""",
        run_failed({"works": ok(), "breaks": failed(1), "both": ok(), "neither": skipped("needs")}),
        needs="needs.status fail_fast.off",
    ),
    scenario(
        "needs-finished-after-a-skip-for-needs",
        "S1 S2",
        """
steps:
  breaks: {command: [sh, -c, "exit 1"]}
  behind: {needs: [breaks], command: [echo, never]}
  clean: {needs: {behind: finished}, command: [echo, clean]}
  not_skipped: {needs: {behind: skipped}, command: [echo, never]}
""",
        run_failed(
            {
                "breaks": failed(1),
                "behind": skipped("needs"),
                "clean": ok(),
                "not_skipped": skipped("needs"),
            },
        ),
        needs="needs.status fail_fast.off",
    ),
    scenario(
        "needs-implied-by-a-reference",
        "S3",
        """
steps:
  reads: {command: [echo, "got ${{ steps.writes.outputs.word }}"]}
  writes: {script: 'sleep 1; echo hello > "$FLOW_OUTPUTS/word"', outputs: {word: {}}}
""",
        succeeded(
            {"writes": ok(word="hello"), "reads": ok()},
            order=(("writes", "reads"),),
            logs={"reads": lines("got hello")},
        ),
        needs="outputs",
    ),
    scenario(
        "needs-implied-is-plain",
        "S3 S6",
        """
steps:
  writes: {script: 'echo hello > "$FLOW_OUTPUTS/word"; exit 1', outputs: {word: {default: unused}}}
  reads: {command: [echo, "${{ steps.writes.outputs.word }}"]}
""",
        run_failed({"writes": failed(1), "reads": skipped("needs")}),
        needs="outputs",
    ),
    scenario(
        "needs-failed-reads-the-default",
        "S3 S6",
        """
steps:
  writes: {script: 'echo hello > "$FLOW_OUTPUTS/word"; exit 1', outputs: {word: {default: nothing}}}
  reads:
    needs: {writes: failed}
    command: [echo, "got ${{ steps.writes.outputs.word }}"]
""",
        run_failed({"writes": failed(1), "reads": ok()}, logs={"reads": lines("got nothing")}),
        needs="outputs outputs.default needs.status fail_fast.off",
    ),
    scenario(
        "fail-fast-may-skip",
        "S9",
        """
fail_fast: true
steps:
  breaks: {command: [sh, -c, "exit 1"]}
  slow: {command: [sh, -c, "sleep 1; echo slow"]}
  after_slow: {needs: [slow], command: [echo, after_slow]}
""",
        run_failed(
            {
                "breaks": failed(1),
                "slow": ok() | skipped("fail-fast"),
                "after_slow": ok() | skipped("fail-fast") | skipped("needs"),
            }
        ),
    ),
    scenario(
        "fail-fast-off-runs-all",
        "S9",
        """
fail_fast: false
steps:
  breaks: {command: [sh, -c, "exit 1"]}
  slow: {command: [sh, -c, "sleep 1; echo slow"]}
  after_slow: {needs: [slow], command: [echo, after_slow]}
  behind: {needs: [breaks], command: [echo, never]}
""",
        run_failed({"breaks": failed(1), "slow": ok(), "after_slow": ok(), "behind": skipped("needs")}),
        needs="fail_fast.off",
    ),
    scenario(
        "fail-fast-is-off-by-a-need",
        "S9",
        """
steps:
  breaks: {command: [sh, -c, "exit 1"]}
  slow: {command: [sh, -c, "sleep 1; echo slow"]}
  after_slow: {needs: [slow], command: [echo, after_slow]}
  clean: {needs: {breaks: finished}, command: [echo, clean]}
""",
        run_failed({"breaks": failed(1), "slow": ok(), "after_slow": ok(), "clean": ok()}),
        needs="needs.status fail_fast.off",
    ),
    scenario(
        "continue-covers-errors",
        "S10 S1",
        """
steps:
  breaks: {continue_on_failure: true, command: [/no/such/program]}
  after: {needs: [breaks], command: [echo, after]}
""",
        succeeded({"breaks": error("command", attempts=1), "after": ok()}),
        needs="continue",
    ),
    scenario(
        "continue-comes-after-the-last-attempt",
        "S10 S11",
        """
steps:
  breaks:
    continue_on_failure: true
    retry: {limit: 1}
    command: [sh, -c, "echo attempt $FLOW_ATTEMPT; exit 5"]
  after: {needs: [breaks], command: [echo, after]}
""",
        succeeded(
            {"breaks": failed(5, attempts=2), "after": ok()},
            logs={"breaks": (*lines("attempt 1"), *lines("attempt 2", attempt=2))},
        ),
        needs="continue retry",
    ),
    scenario(
        "continue-covers-a-timeout",
        "S10 S13",
        """
steps:
  slow: {continue_on_failure: true, timeout: 1s, command: [sleep, "300"]}
  after: {needs: [slow], command: [echo, after]}
""",
        succeeded({"slow": failed(reason="timeout"), "after": ok()}),
        needs="continue timeout",
    ),
)
