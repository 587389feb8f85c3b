"""A workflow as a step."""

from __future__ import annotations

from flowcore.runs import Phase
from flowcore.testing.scenario import all_ok, failed, group, lines, ok, run_failed, scenario, skipped, succeeded

SCENARIOS = (
    scenario(
        "nested-runs-its-steps",
        "S20 S31",
        """
steps:
  before: {command: [echo, before]}
  publish:
    needs: [before]
    workflow:
      defaults: {image: "busybox:1"}
      params: {to: {type: string}, times: 2}
      steps:
        build: {command: [sh, -c, 'echo "$FLOW_STEP for $1"', sh, "${{ params.to }}"]}
        upload: {needs: [build], command: [echo, "upload ${{ params.times }}"]}
    args: {to: there}
  after: {needs: [publish], command: [echo, after]}
""",
        succeeded(
            {"before": ok(), "publish": all_ok(), "publish/build": ok(), "publish/upload": ok(), "after": ok()},
            logs={"publish/build": lines("publish/build for there"), "publish/upload": lines("upload 2")},
            order=(("before", "publish/build"), ("publish/build", "publish/upload"), ("publish/upload", "after")),
        ),
    ),
    scenario(
        "nested-gives-outputs",
        "S20",
        """
steps:
  word: {script: 'echo hello > "$FLOW_OUTPUTS/word"', outputs: {word: {}}}
  twice:
    workflow:
      defaults: {image: "busybox:1"}
      params: {word: {type: string}}
      steps:
        double: {script: 'echo "$1$1" > "$FLOW_OUTPUTS/both"', args: ["${{ params.word }}"], outputs: {both: {}}}
      outputs: {both: "${{ steps.double.outputs.both }}"}
    args: {word: "${{ steps.word.outputs.word }}"}
  show: {command: [echo, "${{ steps.twice.outputs.both }}"]}
outputs:
  both: "${{ steps.twice.outputs.both }}"
""",
        succeeded(
            {
                "word": ok(word="hello"),
                "twice": all_ok(both="hellohello"),
                "twice/double": ok(both="hellohello"),
                "show": ok(),
            },
            logs={"show": lines("hellohello")},
            outputs={"both": "hellohello"},
        ),
        needs="outputs",
    ),
    scenario(
        "nested-gives-what-it-was-given",
        "S20",
        """
steps:
  word: {script: 'echo hello > "$FLOW_OUTPUTS/word"', outputs: {word: {}}}
  inner:
    workflow:
      defaults: {image: "busybox:1"}
      params: {word: {type: string}, times: 2}
      steps: {works: {command: [echo, "${{ params.word }}"]}}
      outputs: {word: "<${{ params.word }}>", times: "${{ params.times }}"}
    args: {word: "${{ steps.word.outputs.word }}"}
  show: {command: [echo, "${{ steps.inner.outputs.word }} ${{ steps.inner.outputs.times }}"]}
""",
        succeeded(
            {"word": ok(word="hello"), "inner": all_ok(word="<hello>", times=2), "inner/works": ok(), "show": ok()},
            logs={"inner/works": lines("hello"), "show": lines("<hello> 2")},
        ),
        needs="outputs nested",
    ),
    scenario(
        "nested-fails-by-its-steps",
        "S20 S8 S1",
        """
steps:
  inner:
    workflow:
      defaults: {image: "busybox:1"}
      steps:
        breaks: {command: [sh, -c, "exit 7"]}
        behind: {needs: [breaks], command: [echo, never]}
  after: {needs: [inner], command: [echo, never]}
""",
        run_failed(
            {
                "inner": group(Phase.FAILED),
                "inner/breaks": failed(7),
                "inner/behind": skipped("needs"),
                "after": skipped("needs"),
            }
        ),
    ),
    scenario(
        "nested-that-when-skips",
        "S20 S6",
        """
params: {wanted: false}
steps:
  inner:
    when: params.wanted
    workflow:
      defaults: {image: "busybox:1"}
      steps:
        writes: {script: 'echo x > "$FLOW_OUTPUTS/word"', outputs: {word: {}}}
      outputs: {word: "${{ steps.writes.outputs.word }}"}
  reads: {command: [echo, "${{ steps.inner.outputs.word }}"]}
  after: {needs: [inner], command: [echo, after]}
""",
        succeeded({"inner": skipped("when"), "reads": skipped("needs"), "after": ok()}),
        needs="outputs nested",
    ),
    scenario(
        "nested-whose-when-is-dynamic",
        "S20 S5",
        """
steps:
  kind: {script: 'echo a > "$FLOW_OUTPUTS/kind"', outputs: {kind: {}}}
  taken:
    when: steps.kind.outputs.kind == 'a'
    workflow:
      defaults: {image: "busybox:1"}
      steps: {works: {command: [echo, works]}}
  left:
    when: steps.kind.outputs.kind == 'b'
    workflow:
      defaults: {image: "busybox:1"}
      steps: {works: {command: [echo, never]}, more: {needs: [works], command: [echo, never]}}
  after: {needs: [taken, left], command: [echo, after]}
""",
        succeeded(
            {
                "kind": ok(kind="a"),
                "taken": all_ok(),
                "taken/works": ok(),
                "left": skipped("when"),
                "after": ok(),
            }
        ),
        needs="outputs when nested",
    ),
    scenario(
        "nested-that-never-starts",
        "S20 S1",
        """
steps:
  breaks: {command: [sh, -c, "exit 1"]}
  inner:
    needs: [breaks]
    workflow:
      defaults: {image: "busybox:1"}
      steps: {works: {command: [echo, never]}}
""",
        run_failed({"breaks": failed(1), "inner": skipped("needs")}),
    ),
    scenario(
        "nested-continues",
        "S20 S10",
        """
steps:
  inner:
    continue_on_failure: true
    workflow:
      defaults: {image: "busybox:1"}
      steps: {breaks: {command: [sh, -c, "exit 1"]}}
  after: {needs: [inner], command: [echo, after]}
""",
        succeeded({"inner": group(Phase.FAILED), "inner/breaks": failed(1), "after": ok()}),
        needs="nested continue",
    ),
    scenario(
        "nested-asked-for-its-failure",
        "S20 S2",
        """
steps:
  inner:
    workflow:
      defaults: {image: "busybox:1"}
      steps: {breaks: {command: [sh, -c, "exit 1"]}}
  on_failed: {needs: {inner: failed}, command: [echo, on_failed]}
  after: {needs: [inner], command: [echo, never]}
""",
        run_failed(
            {"inner": group(Phase.FAILED), "inner/breaks": failed(1), "on_failed": ok(), "after": skipped("needs")}
        ),
        needs="nested needs.status fail_fast.off",
    ),
    scenario(
        "nested-whose-step-continues",
        "S20 S10 S8",
        """
steps:
  inner:
    workflow:
      defaults: {image: "busybox:1"}
      steps:
        breaks: {continue_on_failure: true, command: [sh, -c, "exit 1"]}
        works: {needs: [breaks], command: [echo, works]}
  after: {needs: [inner], command: [echo, after]}
""",
        succeeded({"inner": all_ok(), "inner/breaks": failed(1), "inner/works": ok(), "after": ok()}),
        needs="continue",
    ),
    scenario(
        "nested-in-nested",
        "S20",
        """
params: {word: deep}
steps:
  outer:
    workflow:
      params: {word: {type: string}}
      steps:
        inner:
          workflow:
            defaults: {image: "busybox:1"}
            params: {word: {type: string}}
            steps: {leaf: {command: [echo, "${{ params.word }}"]}}
          args: {word: "${{ params.word }}er"}
    args: {word: "${{ params.word }}"}
""",
        succeeded(
            {"outer": all_ok(), "outer/inner": all_ok(), "outer/inner/leaf": ok()},
            logs={"outer/inner/leaf": lines("deeper")},
        ),
    ),
    scenario(
        "nested-inherits-nothing",
        "S20",
        """
env: {OUTSIDE: outer, BOTH: outer}
steps:
  inner:
    workflow:
      defaults: {image: "busybox:1"}
      env: {BOTH: inner}
      steps: {show: {command: [sh, -c, 'echo "${OUTSIDE-none} $BOTH"']}}
  outside: {command: [sh, -c, 'echo "$OUTSIDE $BOTH"']}
""",
        succeeded(
            {"inner": all_ok(), "inner/show": ok(), "outside": ok()},
            logs={"inner/show": lines("none inner"), "outside": lines("outer outer")},
        ),
    ),
    scenario(
        "nested-once-an-item",
        "S20 S15 S19",
        """
steps:
  each:
    foreach: [a, b]
    workflow:
      defaults: {image: "busybox:1"}
      params: {word: {type: string}}
      steps:
        first: {command: [echo, "first ${{ params.word }}"]}
        second: {needs: [first], command: [sh, -c, 'test "$1" != b', sh, "${{ params.word }}"]}
    args: {word: "${{ item }}"}
""",
        run_failed(
            {
                "each": group(Phase.FAILED),
                "each[0]": all_ok(),
                "each[0]/first": ok(),
                "each[0]/second": ok(),
                "each[1]": group(Phase.FAILED),
                "each[1]/first": ok(),
                "each[1]/second": failed(1),
            },
            logs={"each[0]/first": lines("first a"), "each[1]/first": lines("first b")},
        ),
    ),
    scenario(
        "nested-once-an-item-of-an-output",
        "S20 S15",
        """
steps:
  list: {script: 'echo "[1, 2]" > "$FLOW_OUTPUTS/list"', outputs: {list: {type: list, items: integer}}}
  each:
    foreach: "${{ steps.list.outputs.list }}"
    workflow:
      defaults: {image: "busybox:1"}
      params: {number: {type: integer}}
      steps:
        add:
          script: 'echo $(($1 + 1)) > "$FLOW_OUTPUTS/sum"'
          args: ["${{ params.number }}"]
          outputs: {sum: {type: integer}}
      outputs: {sum: "${{ steps.add.outputs.sum }}"}
    args: {number: "${{ item }}"}
outputs:
  sums: "${{ steps.each.outputs.sum }}"
""",
        succeeded(
            {
                "list": ok(list=[1, 2]),
                "each": all_ok(sum=[2, 3]),
                "each[0]": all_ok(sum=2),
                "each[0]/add": ok(sum=2),
                "each[1]": all_ok(sum=3),
                "each[1]/add": ok(sum=3),
            },
            outputs={"sums": [2, 3]},
        ),
        needs="outputs nested foreach foreach.dynamic foreach.nested",
    ),
)
