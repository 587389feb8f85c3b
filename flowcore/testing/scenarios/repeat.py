"""A step that runs again and again until a condition holds."""

from __future__ import annotations

from flowcore.testing.scenario import ANY, failed, lines, ok, run_failed, scenario, skipped, succeeded

SCENARIOS = (
    scenario(
        "repeat-until",
        "S21",
        """
steps:
  wait:
    repeat: {until: "outputs.ready == 'yes'", max: 10, delay: 1s}
    script: |
      if [ "$1" = 3 ]; then echo yes; else echo no; fi > "$FLOW_OUTPUTS/ready"
      echo "$1" > "$FLOW_OUTPUTS/seen"
    args: ["${{ iteration }}"]
    outputs: {ready: {}, seen: {type: integer}}
  after: {command: [echo, "after ${{ steps.wait.outputs.seen }}"]}
outputs:
  seen: "${{ steps.wait.outputs.seen }}"
""",
        succeeded(
            {"wait": ok(iteration=3, ready="yes", seen=3), "after": ok()},
            logs={"after": lines("after 3")},
            outputs={"seen": 3},
        ),
        needs="outputs",
    ),
    scenario(
        "repeat-once-is-enough",
        "S21",
        """
steps:
  wait:
    repeat: {until: "outputs.ready", max: 2, delay: 5m}
    script: 'echo true > "$FLOW_OUTPUTS/ready"'
    outputs: {ready: {type: boolean}}
""",
        succeeded({"wait": ok(iteration=1, ready=True)}),
        needs="outputs",
    ),
    scenario(
        "repeat-reaches-its-limit",
        "S21 S8",
        """
steps:
  wait:
    repeat: {until: "outputs.ready == 'yes'", max: 2}
    script: 'echo no > "$FLOW_OUTPUTS/ready"'
    outputs: {ready: {}}
  after: {needs: [wait], command: [echo, never]}
""",
        run_failed(
            {"wait": failed(ANY, "repeat-limit", iteration=2), "after": skipped("needs")},
        ),
        needs="outputs",
    ),
    scenario(
        "repeat-whose-iteration-fails",
        "S21",
        """
steps:
  wait:
    repeat: {until: "outputs.ready == 'yes'", max: 5}
    script: |
      echo no > "$FLOW_OUTPUTS/ready"
      test "$1" -lt 2
    args: ["${{ iteration }}"]
    outputs: {ready: {}}
""",
        run_failed({"wait": failed(1, iteration=2)}),
        needs="outputs",
    ),
    scenario(
        "repeat-that-retries",
        "S21 S11",
        """
steps:
  wait:
    repeat: {until: "outputs.ready == 'yes'", max: 5}
    retry: {limit: 1}
    script: |
      test "$FLOW_ATTEMPT" = 2
      if [ "$1" = 2 ]; then echo yes; else echo no; fi > "$FLOW_OUTPUTS/ready"
    args: ["${{ iteration }}"]
    outputs: {ready: {}}
""",
        succeeded({"wait": ok(attempts=2, iteration=2, ready="yes")}),
        needs="outputs retry",
    ),
)
