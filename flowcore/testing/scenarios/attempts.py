"""Retries, timeouts, and steps that cannot start."""

from __future__ import annotations

from flowcore.runs import Phase
from flowcore.testing.scenario import (
    ANY,
    Cancel,
    State,
    cancelled,
    error,
    failed,
    lines,
    ok,
    run_cancelled,
    run_failed,
    scenario,
    skipped,
    succeeded,
)

SCENARIOS = (
    scenario(
        "retry-until-it-works",
        "S11 S30",
        """
steps:
  tries: {retry: {limit: 5}, command: [sh, -c, 'echo "attempt $FLOW_ATTEMPT"; test "$FLOW_ATTEMPT" = 3']}
  after: {needs: [tries], command: [echo, after]}
""",
        succeeded(
            {"tries": ok(attempts=3), "after": ok()},
            logs={
                "tries": (
                    *lines("attempt 1"),
                    *lines("attempt 2", attempt=2),
                    *lines("attempt 3", attempt=3),
                )
            },
        ),
        needs="retry",
    ),
    scenario(
        "retry-in-vain",
        "S11 S8",
        """
steps:
  tries: {retry: {limit: 2}, command: [sh, -c, 'exit "$FLOW_ATTEMPT"']}
  after: {needs: [tries], command: [echo, never]}
""",
        run_failed({"tries": failed(3, attempts=3), "after": skipped("needs")}),
        needs="retry",
    ),
    scenario(
        "retry-none-by-a-limit-of-zero",
        "S11",
        """
defaults: {image: "busybox:1", retry: {limit: 3}}
steps:
  tries: {retry: {limit: 0}, command: [sh, -c, "exit 1"]}
""",
        run_failed({"tries": failed(1)}),
        needs="retry",
    ),
    scenario(
        "retry-by-default",
        "S11",
        """
defaults: {image: "busybox:1", retry: {limit: 1}}
steps:
  tries: {command: [sh, -c, 'test "$FLOW_ATTEMPT" = 2']}
""",
        succeeded({"tries": ok(attempts=2)}),
        needs="retry",
    ),
    scenario(
        "retry-backs-off",
        "S12",
        """
steps:
  tries:
    retry: {limit: 2, backoff: {initial: 1s, factor: 9, max: 1s}}
    command: [sh, -c, 'test "$FLOW_ATTEMPT" = 3']
""",
        succeeded({"tries": ok(attempts=3)}),
        needs="retry",
    ),
    scenario(
        "retry-waiting-is-running",
        "S12 S25",
        """
steps:
  tries: {retry: {limit: 1, backoff: {initial: 5m}}, command: [sh, -c, "exit 1"]}
""",
        run_cancelled({"tries": cancelled(attempts=1)}),
        needs="retry",
        natively="retry.backoff",
        actions=(Cancel("tries", reason="retrying"),),
    ),
    scenario(
        "retry-waiting-holds-no-slot",
        "S12 S22",
        """
parallelism: 1
steps:
  tries: {retry: {limit: 1, backoff: {initial: 4s}}, command: [sh, -c, 'test "$FLOW_ATTEMPT" = 2']}
  other: {command: [echo, other]}
""",
        succeeded({"tries": ok(attempts=2), "other": ok()}, ends=(("other", "tries"),)),
        needs="retry parallelism",
        natively="retry.backoff",
    ),
    scenario(
        "retry-only-what-it-says",
        "S11",
        """
fail_fast: false
steps:
  not_this: {retry: {limit: 3, only: [timeout]}, command: [sh, -c, "exit 1"]}
  nor_this: {retry: {limit: 3, only: [error]}, command: [sh, -c, "exit 1"]}
  this: {retry: {limit: 1, only: [failed]}, command: [sh, -c, 'test "$FLOW_ATTEMPT" = 2']}
""",
        run_failed({"not_this": failed(1), "nor_this": failed(1), "this": ok(attempts=2)}),
        needs="retry retry.only fail_fast.off",
    ),
    scenario(
        "retry-only-a-timeout",
        "S11 S13",
        """
steps:
  slow:
    timeout: 2s
    retry: {limit: 1, only: [timeout]}
    command: [sh, -c, 'test "$FLOW_ATTEMPT" = 2 || exec sleep 300']
""",
        succeeded({"slow": ok(attempts=2)}),
        needs="retry retry.only timeout",
    ),
    scenario(
        "retry-after-a-bad-output",
        "S11 S27",
        """
steps:
  writes:
    retry: {limit: 1}
    script: 'if [ "$FLOW_ATTEMPT" = 1 ]; then echo word; else echo 7; fi > "$FLOW_OUTPUTS/number"'
    outputs: {number: {type: integer}}
""",
        succeeded({"writes": ok(attempts=2, number=7)}),
        needs="retry outputs",
    ),
    scenario(
        "retry-starts-with-no-outputs",
        "S6 S27",
        """
steps:
  writes:
    retry: {limit: 1}
    script: |
      ls "$FLOW_OUTPUTS"
      if [ "$FLOW_ATTEMPT" = 1 ]; then
        echo old > "$FLOW_OUTPUTS/word"
        exit 1
      fi
    outputs: {word: {default: "by default"}}
""",
        succeeded({"writes": ok(attempts=2, word="by default")}, logs={"writes": ()}),
        needs="retry outputs",
    ),
    scenario(
        "retry-after-an-error",
        "S11",
        """
steps:
  breaks: {retry: {limit: 1, only: [error]}, command: [/no/such/program]}
""",
        run_failed({"breaks": error("command", attempts=2)}),
        needs="retry retry.only",
    ),
    scenario(
        "timeout-ends-a-step",
        "S13",
        """
steps:
  slow: {timeout: 1s, command: [sleep, "300"]}
  after: {needs: [slow], command: [echo, never]}
""",
        run_failed({"slow": failed(reason="timeout"), "after": skipped("needs")}),
        needs="timeout",
    ),
    scenario(
        "timeout-ends-what-exits-with-zero",
        "S13",
        """
steps:
  slow:
    timeout: 2s
    script: |
      trap 'exit 0' TERM
      sleep 300 &
      wait
""",
        run_failed({"slow": failed(reason="timeout")}),
        needs="timeout",
    ),
    scenario(
        "timeout-is-for-one-attempt",
        "S13 S11",
        """
steps:
  slow: {timeout: 1s, retry: {limit: 1}, command: [sleep, "300"]}
""",
        run_failed({"slow": failed(reason="timeout", attempts=2)}),
        needs="timeout retry",
    ),
    scenario(
        "timeout-that-is-not-reached",
        "S13",
        """
defaults: {image: "busybox:1", timeout: 10m}
timeout: 1h
steps:
  quick: {command: [echo, quick]}
""",
        succeeded({"quick": ok()}),
        needs="timeout run_timeout",
    ),
    scenario(
        "timeout-of-the-run",
        "S14 S8 S23 S24",
        """
timeout: 60s
steps:
  quick: {command: [echo, quick]}
  slow: {needs: [quick], command: [sleep, "300"]}
  behind: {needs: [slow], command: [echo, never]}
on_exit:
  notify: {command: [echo, "${{ run.phase }}"]}
""",
        run_failed(
            {
                "quick": ok(),
                "slow": cancelled("run-timeout"),
                "behind": skipped("run-timeout"),
                "notify": ok(),
            },
            reason="timeout",
            logs={"notify": lines("failed")},
        ),
        needs="run_timeout on_exit timeout",
    ),
    scenario(
        "timeout-of-the-run-counts-waits",
        "S14 S12",
        """
timeout: 45s
steps:
  tries: {retry: {limit: 1, backoff: {initial: 5m}}, command: [sh, -c, "exit 1"]}
  behind: {needs: {tries: finished}, command: [echo, never]}
""",
        run_failed(
            {"tries": cancelled("run-timeout"), "behind": skipped("run-timeout")},
            reason="timeout",
        ),
        needs="run_timeout retry needs.status fail_fast.off",
    ),
    scenario(
        "missing-program",
        "S13b S8",
        """
steps:
  breaks: {command: [/no/such/program]}
  behind: {needs: [breaks], command: [echo, never]}
""",
        run_failed({"breaks": error("command", attempts=1), "behind": skipped("needs")}),
    ),
    scenario(
        "missing-secret",
        "S13b",
        """
steps:
  asks: {pending_timeout: 1s, env: {TOKEN: {secret: no-such-secret, key: token}}, command: [echo, never]}
""",
        run_failed({"asks": error("secret", attempts=ANY)}),
        needs="secrets",
        may_refuse=("no-such-secret",),
    ),
    scenario(
        "killed-by-a-signal",
        "S8 S11",
        """
steps:
  dies: {command: [sh, -c, 'kill -KILL $$']}
""",
        run_failed({"dies": State(Phase.FAILED, ANY, exit_code=137) | State(Phase.FAILED, ANY, exit_code=255)}),
    ),
)
