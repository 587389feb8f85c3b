"""What runs after everything else has ended."""

from __future__ import annotations

from flowcore.testing.scenario import failed, lines, ok, run_failed, scenario, skipped, succeeded

SCENARIOS = (
    scenario(
        "on-exit-after-success",
        "S23 S24 S31",
        """
params: {who: team}
steps:
  works: {command: [echo, works]}
on_exit:
  notify: {command: [echo, "${{ params.who }} ${{ run.phase }} ${{ workflow.name }}"]}
  script: {script: 'echo "$PHASE"', env: {PHASE: "${{ run.phase }}"}}
""",
        succeeded(
            {"works": ok(), "notify": ok(), "script": ok()},
            order=(("works", "notify"), ("works", "script")),
            logs={"notify": lines("team succeeded on-exit-after-success"), "script": lines("succeeded")},
        ),
        needs="on_exit timeout",
    ),
    scenario(
        "on-exit-after-failure",
        "S23 S24 S8",
        """
steps:
  breaks: {command: [sh, -c, "exit 1"]}
  behind: {needs: [breaks], command: [echo, never]}
on_exit:
  notify: {command: [echo, "${{ run.phase }}"]}
""",
        run_failed(
            {"breaks": failed(1), "behind": skipped("needs"), "notify": ok()},
            logs={"notify": lines("failed")},
        ),
        needs="on_exit timeout",
    ),
    scenario(
        "on-exit-after-a-continued-failure",
        "S24 S10",
        """
steps:
  breaks: {continue_on_failure: true, command: [sh, -c, "exit 1"]}
on_exit:
  notify: {command: [echo, "${{ run.phase }}"]}
""",
        succeeded({"breaks": failed(1), "notify": ok()}, logs={"notify": lines("succeeded")}),
        needs="on_exit timeout continue",
    ),
    scenario(
        "on-exit-that-fails",
        "S8 S23",
        """
steps:
  works: {command: [echo, works]}
on_exit:
  breaks: {command: [sh, -c, "exit 2"]}
  notify: {command: [echo, "${{ run.phase }}"]}
""",
        run_failed(
            {"works": ok(), "breaks": failed(2), "notify": ok()},
            logs={"notify": lines("succeeded")},
        ),
        needs="on_exit timeout",
    ),
    scenario(
        "on-exit-that-may-fail",
        "S8 S10 S23",
        """
steps:
  works: {command: [echo, works]}
on_exit:
  breaks: {continue_on_failure: true, command: [sh, -c, "exit 2"]}
""",
        succeeded({"works": ok(), "breaks": failed(2)}),
        needs="on_exit timeout continue",
    ),
    scenario(
        "on-exit-retries",
        "S23 S11",
        """
steps:
  works: {command: [echo, works]}
on_exit:
  tries: {retry: {limit: 1}, command: [sh, -c, 'test "$FLOW_ATTEMPT" = 2']}
""",
        succeeded({"works": ok(), "tries": ok(attempts=2)}),
        needs="on_exit timeout retry",
    ),
    scenario(
        "on-exit-by-phase",
        "S23 S24 S5",
        """
steps:
  works: {command: [echo, works]}
on_exit:
  alarm: {when: run.phase == 'failed', command: [echo, never]}
  cheer: {when: run.phase != 'failed', command: [echo, cheer]}
""",
        succeeded({"works": ok(), "alarm": skipped("when"), "cheer": ok()}),
        needs="on_exit timeout when",
    ),
    scenario(
        "on-exit-by-params",
        "S23 S5",
        """
params: {loud: false}
steps:
  works: {command: [echo, works]}
on_exit:
  alarm: {when: params.loud, command: [echo, never]}
  cheer: {when: "!params.loud", command: [echo, cheer]}
""",
        succeeded({"works": ok(), "alarm": skipped("when"), "cheer": ok()}),
        needs="on_exit timeout when",
    ),
    scenario(
        "on-exit-takes-no-slot",
        "S22 S23",
        """
parallelism: 1
steps:
  works: {command: [echo, works]}
  more: {command: [echo, more]}
on_exit:
  first: {command: [sleep, "8"]}
  second: {command: [sleep, "8"]}
""",
        succeeded(
            {"works": ok(), "more": ok(), "first": ok(), "second": ok()},
            together=(("first", "second"),),
        ),
        needs="on_exit timeout parallelism",
    ),
)
