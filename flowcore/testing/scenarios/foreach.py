"""One step, many items: lists known at once or at run time, fan-in, and what failing items do."""

from __future__ import annotations

from flowcore.runs import Phase
from flowcore.testing.scenario import (
    PYTHON,
    all_ok,
    error,
    failed,
    group,
    lines,
    ok,
    run_failed,
    scenario,
    skipped,
    succeeded,
)

SCENARIOS = (
    scenario(
        "foreach-over-a-list",
        "S15 S19 S28",
        """
steps:
  each:
    foreach: [plain, 10, 0.5, true, {key: of an object}]
    command: [sh, -c, 'echo "$FLOW_STEP: $1 $ITEM"', sh, "got ${{ item }}"]
    env: {ITEM: "${{ item }}"}
  keyed: {foreach: [{name: a}, {name: b}], command: [echo, "${{ item.name }}"]}
""",
        succeeded(
            {
                "each": all_ok(),
                **{f"each[{index}]": ok() for index in range(5)},
                "keyed": all_ok(),
                "keyed[0]": ok(),
                "keyed[1]": ok(),
            },
            logs={
                "each[0]": lines("each[0]: got plain plain"),
                "each[1]": lines("each[1]: got 10 10"),
                "each[2]": lines("each[2]: got 0.5 0.5"),
                "each[3]": lines("each[3]: got true true"),
                "keyed[0]": lines("a"),
                "keyed[1]": lines("b"),
            },
        ),
    ),
    scenario(
        "foreach-over-a-param",
        "S15",
        """
params: {names: [x, y]}
steps:
  each: {foreach: "${{ params.names }}", command: [echo, "${{ item }}"]}
  after: {needs: [each], command: [echo, after]}
""",
        succeeded(
            {"each": all_ok(), "each[0]": ok(), "each[1]": ok(), "after": ok()},
            logs={"each[0]": lines("x"), "each[1]": lines("y")},
            order=(("each[0]", "after"), ("each[1]", "after")),
        ),
    ),
    scenario(
        "foreach-fans-in",
        "S15 S16",
        """
steps:
  square:
    foreach: [3, 1, 2]
    script: 'echo $(($1 * $1)) > "$FLOW_OUTPUTS/value"'
    args: ["${{ item }}"]
    outputs: {value: {type: integer}}
  show: {command: [echo, "${{ steps.square.outputs.value[0] }} and ${{ steps.square.outputs.value[2] }}"]}
outputs:
  all: "${{ steps.square.outputs.value }}"
""",
        succeeded(
            {
                "square": all_ok(value=[9, 1, 4]),
                "square[0]": ok(value=9),
                "square[1]": ok(value=1),
                "square[2]": ok(value=4),
                "show": ok(),
            },
            logs={"show": lines("9 and 4")},
            outputs={"all": [9, 1, 4]},
        ),
        needs="outputs foreach fanin",
    ),
    scenario(
        "foreach-whose-item-fails",
        "S15 S1 S9",
        """
steps:
  each: {foreach: [0, 3, 0], command: [sh, -c, 'echo "$1"; exit "$1"', sh, "${{ item }}"]}
  after: {needs: [each], command: [echo, never]}
""",
        run_failed(
            {
                "each": group(Phase.FAILED),
                "each[0]": ok(),
                "each[1]": failed(3),
                "each[2]": ok(),
                "after": skipped("needs"),
            },
            logs={"each[2]": lines("0")},
        ),
    ),
    scenario(
        "foreach-over-nothing",
        "S16 S28",
        """
steps:
  each:
    foreach: []
    script: 'echo x > "$FLOW_OUTPUTS/word"'
    outputs: {word: {}}
  reads: {command: [echo, "${{ steps.each.outputs.word }}"]}
outputs:
  words: "${{ steps.each.outputs.word }}"
""",
        succeeded(
            {"each": group(Phase.SKIPPED, "empty", word=[]), "reads": ok()},
            logs={"reads": lines("[]")},
            outputs={"words": []},
        ),
        needs="outputs foreach fanin",
    ),
    scenario(
        "foreach-that-when-skips",
        "S17 S6",
        """
params: {wanted: false}
steps:
  each:
    when: params.wanted
    foreach: [a, b]
    script: 'echo x > "$FLOW_OUTPUTS/word"'
    outputs: {word: {default: "an item's default"}}
  reads: {command: [echo, "${{ steps.each.outputs.word }}"]}
  after: {needs: [each], command: [echo, after]}
""",
        succeeded({"each": skipped("when"), "reads": skipped("needs"), "after": ok()}),
        needs="outputs outputs.default foreach fanin",
    ),
    scenario(
        "foreach-over-an-output",
        "S15 S3",
        """
steps:
  list: {script: 'echo "[\\"a\\", 2, {\\"k\\": \\"v\\"}]" > "$FLOW_OUTPUTS/list"', outputs: {list: {type: list}}}
  each: {foreach: "${{ steps.list.outputs.list }}", command: [echo, "got ${{ item }}"]}
  after: {needs: [each], command: [echo, after]}
""",
        succeeded(
            {
                "list": ok(list=["a", 2, {"k": "v"}]),
                "each": all_ok(),
                "each[0]": ok(),
                "each[1]": ok(),
                "each[2]": ok(),
                "after": ok(),
            },
            logs={"each[0]": lines("got a"), "each[1]": lines("got 2")},
            order=(("list", "each[0]"), ("each[2]", "after")),
        ),
        needs="outputs foreach foreach.dynamic",
    ),
    scenario(
        "foreach-over-an-output-fans-in",
        "S15 S16",
        """
steps:
  list: {script: 'echo "[4, 5]" > "$FLOW_OUTPUTS/list"', outputs: {list: {type: list, items: integer}}}
  each:
    foreach: "${{ steps.list.outputs.list }}"
    script: 'echo $(($1 + 1)) > "$FLOW_OUTPUTS/next"'
    args: ["${{ item }}"]
    outputs: {next: {type: integer}}
  sum:
    image: "python:3.11"
    python:
      function: total
      source: "def total(values): return sum(values)"
      args: {values: "${{ steps.each.outputs.next }}"}
    outputs: {result: {type: integer}}
""",
        succeeded(
            {
                "list": ok(list=[4, 5]),
                "each": all_ok(next=[5, 6]),
                "each[0]": ok(next=5),
                "each[1]": ok(next=6),
                "sum": ok(result=11),
            }
        ),
        needs="outputs foreach foreach.dynamic fanin",
    ),
    scenario(
        "foreach-over-an-empty-output",
        "S16 S1",
        """
steps:
  list: {script: 'echo "[]" > "$FLOW_OUTPUTS/list"', outputs: {list: {type: list}}}
  each:
    foreach: "${{ steps.list.outputs.list }}"
    script: 'echo x > "$FLOW_OUTPUTS/word"'
    outputs: {word: {}}
  reads: {command: [echo, "${{ steps.each.outputs.word }}"]}
""",
        succeeded(
            {"list": ok(list=[]), "each": group(Phase.SKIPPED, "empty", word=[]), "reads": ok()},
            logs={"reads": lines("[]")},
        ),
        needs="outputs foreach foreach.dynamic fanin",
    ),
    scenario(
        "foreach-over-what-is-missing",
        "S4 S6",
        """
params: {wanted: false}
steps:
  list: {when: params.wanted, script: 'echo "[1]" > "$FLOW_OUTPUTS/list"', outputs: {list: {type: list}}}
  each: {foreach: "${{ steps.list.outputs.list }}", command: [echo, "${{ item }}"]}
  after: {needs: [each], command: [echo, never]}
""",
        succeeded({"list": skipped("when"), "each": skipped("needs"), "after": skipped("needs")}),
        needs="outputs foreach foreach.dynamic",
    ),
    scenario(
        "foreach-over-what-is-no-list",
        "S4 S15",
        """
fail_fast: false
steps:
  facts:
    script: echo '{"number":5}' > "$FLOW_OUTPUTS/facts"
    outputs: {facts: {type: object}}
  number: {foreach: "${{ steps.facts.outputs.facts.number }}", command: [echo, "${{ item }}"]}
  missing: {foreach: "${{ steps.facts.outputs.facts.list }}", command: [echo, "${{ item }}"]}
  behind: {needs: [missing], command: [echo, never]}
""",
        run_failed(
            {
                "facts": ok(facts={"number": 5}),
                "number": error("expression"),
                "missing": error("expression"),
                "behind": skipped("needs"),
            }
        ),
        needs="outputs foreach foreach.dynamic fail_fast.off",
    ),
    scenario(
        "foreach-continues-with-defaults",
        "S18 S10",
        """
steps:
  each:
    continue_on_failure: true
    foreach: [1, 0, 3]
    script: |
      test "$1" != 0
      echo "$1" > "$FLOW_OUTPUTS/value"
      echo "$1" > "$FLOW_OUTPUTS/strict"
    args: ["${{ item }}"]
    outputs: {value: {type: integer, default: -1}, strict: {type: integer}}
  reads: {command: [echo, "${{ steps.each.outputs.value[1] }}"]}
  strict: {command: [echo, "${{ steps.each.outputs.strict }}"]}
outputs:
  values: "${{ steps.each.outputs.value }}"
""",
        succeeded(
            {
                "each": group(Phase.FAILED, value=[1, -1, 3]),
                "each[0]": ok(value=1, strict=1),
                "each[1]": failed(1),
                "each[2]": ok(value=3, strict=3),
                "reads": ok(),
                "strict": skipped("needs"),
            },
            logs={"reads": lines("-1")},
            outputs={"values": [1, -1, 3]},
        ),
        needs="outputs outputs.default continue foreach fanin fanin.partial",
    ),
    scenario(
        "foreach-retries-items",
        "S11 S15",
        """
steps:
  each:
    foreach: [1, 2]
    retry: {limit: 2}
    command: [sh, -c, 'echo "item $1 attempt $FLOW_ATTEMPT"; test "$FLOW_ATTEMPT" -ge "$1"', sh, "${{ item }}"]
""",
        succeeded(
            {"each": all_ok(), "each[0]": ok(), "each[1]": ok(attempts=2)},
            logs={"each[1]": (*lines("item 2 attempt 1"), *lines("item 2 attempt 2", attempt=2))},
        ),
        needs="retry",
    ),
    scenario(
        "foreach-times-items-out",
        "S13 S15 S19",
        """
steps:
  each: {foreach: ["0", "300"], timeout: 4s, command: [sleep, "${{ item }}"]}
""",
        run_failed({"each": group(Phase.FAILED), "each[0]": ok(), "each[1]": failed(reason="timeout")}),
        needs="timeout",
    ),
    scenario(
        "foreach-of-an-image",
        "S19",
        """
steps:
  each: {foreach: ["busybox:1", "python:3.11"], image: "${{ item }}", command: [echo, "${{ item }}"]}
""",
        succeeded(
            {"each": all_ok(), "each[0]": ok(), "each[1]": ok()},
            logs={"each[0]": lines("busybox:1"), "each[1]": lines("python:3.11")},
        ),
    ),
    scenario(
        "foreach-of-python",
        "S15 S19",
        """
steps:
  train:
    foreach: [0.1, 0.01]
    python:
      function: train
      source: |
        def train(rate: float) -> float:
            return rate * 100
      args: {rate: "${{ item }}"}
    outputs: {result: {type: number}}
  best:
    python:
      function: best
      source: |
        def best(scores):
            return max(scores)
      args: {scores: "${{ steps.train.outputs.result }}"}
    outputs: {result: {type: number}}
outputs:
  best: "${{ steps.best.outputs.result }}"
""",
        succeeded(
            {
                "train": all_ok(result=[10.0, 1.0]),
                "train[0]": ok(result=10.0),
                "train[1]": ok(result=1.0),
                "best": ok(result=10.0),
            },
            outputs={"best": 10.0},
        ),
        needs="outputs foreach fanin",
        image=PYTHON,
    ),
)
