"""Cancelling a run."""

from __future__ import annotations

from flowcore.runs import Phase
from flowcore.testing.scenario import (
    Cancel,
    CancelAfterEnd,
    cancelled,
    failed,
    group,
    lines,
    ok,
    run_cancelled,
    scenario,
    skipped,
    succeeded,
)

SCENARIOS = (
    scenario(
        "cancel-a-running-run",
        "S25 S8",
        """
params: {wanted: false}
steps:
  quick: {command: [echo, quick]}
  optional: {needs: [quick], when: params.wanted, command: [echo, never]}
  slow: {needs: [optional], command: [sleep, "300"]}
  behind: {needs: [slow], command: [echo, never]}
""",
        run_cancelled(
            {"quick": ok(), "optional": skipped("when"), "slow": cancelled(), "behind": cancelled(attempts=0)}
        ),
        actions=(Cancel("slow", times=2),),
    ),
    scenario(
        "cancel-wins-over-exit-code-zero",
        "S25",
        """
steps:
  stubborn:
    script: |
      trap 'echo caught; exit 0' TERM
      echo ready
      sleep 300 &
      wait
""",
        run_cancelled({"stubborn": cancelled(attempts=1)}),
        actions=(Cancel("stubborn", line="ready"),),
    ),
    scenario(
        "cancel-kills-what-ignores-it",
        "S25",
        """
steps:
  deaf:
    script: |
      trap '' TERM
      echo ready
      while :; do sleep 1; done
""",
        run_cancelled({"deaf": cancelled(attempts=1)}),
        actions=(Cancel("deaf", line="ready"),),
    ),
    scenario(
        "cancel-is-never-retried",
        "S11 S25",
        """
steps:
  slow: {retry: {limit: 3}, command: [sleep, "300"]}
""",
        run_cancelled({"slow": cancelled(attempts=1)}),
        needs="retry",
        actions=(Cancel("slow"),),
    ),
    scenario(
        "cancel-is-not-covered-by-continue",
        "S10 S25",
        """
steps:
  slow: {continue_on_failure: true, command: [sleep, "300"]}
  after: {needs: [slow], command: [echo, never]}
""",
        run_cancelled({"slow": cancelled(), "after": cancelled(attempts=0)}),
        needs="continue",
        actions=(Cancel("slow"),),
    ),
    scenario(
        "cancel-does-not-finish-a-step",
        "S2 S25",
        """
steps:
  slow: {command: [sleep, "300"]}
  clean: {needs: {slow: finished}, command: [echo, never]}
""",
        run_cancelled({"slow": cancelled(), "clean": cancelled(attempts=0)}),
        needs="needs.status fail_fast.off",
        actions=(Cancel("slow"),),
    ),
    scenario(
        "cancel-a-foreach",
        "S15 S25",
        """
steps:
  each: {foreach: ["0", "300"], command: [sh, -c, 'echo ready; sleep "$1"', sh, "${{ item }}"]}
  after: {needs: [each], command: [echo, never]}
""",
        run_cancelled(
            {
                "each": group(Phase.CANCELLED),
                "each[0]": ok(),
                "each[1]": cancelled(),
                "after": cancelled(attempts=0),
            }
        ),
        actions=(Cancel("each[0]", phase=Phase.SUCCEEDED),),
    ),
    scenario(
        "cancel-a-nested-workflow",
        "S20 S25",
        """
steps:
  inner:
    workflow:
      defaults: {image: "busybox:1"}
      steps:
        quick: {command: [echo, quick]}
        slow: {needs: [quick], command: [sleep, "300"]}
        behind: {needs: [slow], command: [echo, never]}
  never: {needs: [inner], workflow: {steps: {leaf: {image: "busybox:1", command: [echo, never]}}}}
""",
        run_cancelled(
            {
                "inner": group(Phase.CANCELLED),
                "inner/quick": ok(),
                "inner/slow": cancelled(),
                "inner/behind": cancelled(attempts=0),
                "never": cancelled(attempts=0),
            }
        ),
        actions=(Cancel("inner/slow"),),
    ),
    scenario(
        "cancel-still-runs-on-exit",
        "S23 S24 S25",
        """
steps:
  slow: {command: [sleep, "300"]}
on_exit:
  notify: {command: [echo, "${{ run.phase }}"]}
  breaks: {command: [sh, -c, "exit 1"]}
""",
        run_cancelled(
            {"slow": cancelled(), "notify": ok(), "breaks": failed(1)},
            logs={"notify": lines("failed")},
        ),
        needs="on_exit timeout",
        actions=(Cancel("slow"),),
    ),
    scenario(
        "cancel-now-ends-on-exit-too",
        "S25",
        """
steps:
  slow: {command: [sleep, "300"]}
on_exit:
  notify: {command: [sleep, "300"]}
""",
        run_cancelled({"slow": cancelled(), "notify": cancelled()}),
        needs="on_exit timeout",
        actions=(Cancel("slow"), Cancel("notify", now=True)),
    ),
    scenario(
        "cancel-during-on-exit",
        "S25 S8",
        """
steps:
  quick: {command: [echo, quick]}
on_exit:
  notify: {command: [sh, -c, "echo ready; sleep 15"]}
""",
        run_cancelled({"quick": ok(), "notify": ok()}),
        needs="on_exit timeout",
        actions=(Cancel("notify", line="ready"),),
    ),
    scenario(
        "cancel-after-the-end",
        "S25",
        """
steps:
  quick: {command: [echo, quick]}
""",
        succeeded({"quick": ok()}),
        actions=(CancelAfterEnd(),),
    ),
)
