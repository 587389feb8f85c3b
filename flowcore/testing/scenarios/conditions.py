"""`when`, missing outputs, and the order in which a step's fate is decided."""

from __future__ import annotations

from flowcore.testing.scenario import error, failed, lines, ok, run_failed, scenario, skipped, succeeded

SCENARIOS = (
    scenario(
        "when-true-and-false-by-params",
        "S5",
        """
params: {rows: 10, city: ""}
steps:
  many: {when: params.rows > 10, command: [echo, never]}
  few: {when: "params.rows <= 10 && params.city == ''", command: [echo, few]}
  wrapped: {when: "${{ params.rows == 10 }}", command: [echo, wrapped]}
  never: {when: false, command: [echo, never]}
""",
        succeeded({"many": skipped("when"), "few": ok(), "wrapped": ok(), "never": skipped("when")}),
    ),
    scenario(
        "when-equals-an-output",
        "S5",
        """
steps:
  kind: {script: 'echo red > "$FLOW_OUTPUTS/kind"', outputs: {kind: {}}}
  red: {when: steps.kind.outputs.kind == 'red', command: [echo, red]}
  blue: {when: steps.kind.outputs.kind == 'blue', command: [echo, never]}
  not_blue:
    when: steps.kind.outputs.kind != 'blue' && steps.kind.outputs.kind in ['red', 'green']
    command: [echo, not blue]
""",
        succeeded({"kind": ok(kind="red"), "red": ok(), "blue": skipped("when"), "not_blue": ok()}),
        needs="outputs when",
    ),
    scenario(
        "when-orders-and-negates",
        "S5",
        """
steps:
  count:
    script: |
      echo 9 > "$FLOW_OUTPUTS/rows"
      echo 0.5 > "$FLOW_OUTPUTS/share"
      echo true > "$FLOW_OUTPUTS/clean"
    outputs: {rows: {type: integer}, share: {type: number}, clean: {type: boolean}}
  numbers: {when: "steps.count.outputs.rows < 10 && steps.count.outputs.share >= 0.5", command: [echo, numbers]}
  either: {when: "steps.count.outputs.rows == 1 || steps.count.outputs.clean", command: [echo, either]}
  dirty: {when: "!steps.count.outputs.clean", command: [echo, never]}
""",
        succeeded(
            {
                "count": ok(rows=9, share=0.5, clean=True),
                "numbers": ok(),
                "either": ok(),
                "dirty": skipped("when"),
            }
        ),
        needs="outputs when when.logic",
    ),
    scenario(
        "when-orders-strings-by-code-point",
        "S5",
        """
steps:
  word: {script: 'printf "Z\\n" > "$FLOW_OUTPUTS/word"', outputs: {word: {}}}
  capitals_first: {when: steps.word.outputs.word < 'a', command: [echo, yes]}
  not_by_locale: {when: steps.word.outputs.word > 'a', command: [echo, never]}
""",
        succeeded({"word": ok(word="Z"), "capitals_first": ok(), "not_by_locale": skipped("when")}),
        needs="outputs when when.logic",
    ),
    scenario(
        "when-text-that-looks-like-something-else",
        "S5 S28",
        """
steps:
  word: {script: 'echo "true" > "$FLOW_OUTPUTS/word"; echo "10" > "$FLOW_OUTPUTS/ten"', outputs: {word: {}, ten: {}}}
  same: {when: "steps.word.outputs.word == 'true' && steps.word.outputs.ten == '10'", command: [echo, same]}
  other: {when: steps.word.outputs.ten == '10.0', command: [echo, never]}
""",
        succeeded({"word": ok(word="true", ten="10"), "same": ok(), "other": skipped("when")}),
        needs="outputs when",
    ),
    scenario(
        "when-any-compares-deep",
        "S5",
        """
steps:
  facts:
    script: |
      echo '{"kind": "a", "size": 1, "none": null, "list": [1, {"b": 2}]}' > "$FLOW_OUTPUTS/facts"
    outputs: {facts: {type: object}}
  keys: {when: "steps.facts.outputs.facts.kind == 'a' && steps.facts.outputs.facts.size == 1.0", command: [echo, keys]}
  unlike: {when: "steps.facts.outputs.facts.size == '1'", command: [echo, never]}
  nulls: {when: "steps.facts.outputs.facts.none == null", command: [echo, nulls]}
  deep: {when: "steps.facts.outputs.facts.list[1]['b'] == 2", command: [echo, deep]}
""",
        succeeded(
            {
                "facts": ok(facts={"kind": "a", "size": 1, "none": None, "list": [1, {"b": 2}]}),
                "keys": ok(),
                "unlike": skipped("when"),
                "nulls": ok(),
                "deep": ok(),
            }
        ),
        needs="outputs when",
    ),
    scenario(
        "when-knows-run-and-workflow",
        "S5",
        """
steps:
  named: {when: "workflow.name == 'when-knows-run-and-workflow'", command: [echo, named]}
  other: {when: "workflow.name == 'other'", command: [echo, never]}
  run: {when: "run.id != ''", command: [echo, run]}
""",
        succeeded({"named": ok(), "other": skipped("when"), "run": ok()}),
        needs="when",
    ),
    scenario(
        "missing-output-skips-its-reader",
        "S6 S5",
        """
params: {wanted: false}
steps:
  optional:
    when: params.wanted
    script: 'echo x > "$FLOW_OUTPUTS/word"'
    outputs: {word: {}}
  reads: {command: [echo, "${{ steps.optional.outputs.word }}"]}
  asks: {when: steps.optional.outputs.word == 'x', command: [echo, never]}
  behind: {needs: [reads], command: [echo, never]}
""",
        succeeded(
            {
                "optional": skipped("when"),
                "reads": skipped("needs"),
                "asks": skipped("needs"),
                "behind": skipped("needs"),
            }
        ),
        needs="outputs when",
    ),
    scenario(
        "missing-output-gives-its-default",
        "S6 S5",
        """
params: {wanted: false}
steps:
  optional:
    when: params.wanted
    script: 'echo x > "$FLOW_OUTPUTS/word"'
    outputs: {word: {default: "by default"}, list: {type: list, default: [1, 2]}}
  reads: {command: [echo, "${{ steps.optional.outputs.word }}", "${{ steps.optional.outputs.list[1] }}"]}
outputs:
  word: "${{ steps.optional.outputs.word }}"
""",
        succeeded(
            {"optional": skipped("when"), "reads": ok()},
            logs={"reads": lines("by default 2")},
            outputs={"word": "by default"},
        ),
        needs="outputs outputs.default",
    ),
    scenario(
        "missing-output-decided-at-run-time",
        "S6 S5",
        """
steps:
  kind: {script: 'echo blue > "$FLOW_OUTPUTS/kind"', outputs: {kind: {}}}
  optional:
    when: steps.kind.outputs.kind == 'red'
    script: 'echo x > "$FLOW_OUTPUTS/word"; echo y > "$FLOW_OUTPUTS/other"'
    outputs: {word: {default: "by default"}, other: {}}
  with_default: {command: [echo, "${{ steps.optional.outputs.word }}"]}
  without: {command: [echo, "${{ steps.optional.outputs.other }}"]}
outputs:
  word: "${{ steps.optional.outputs.word }}"
""",
        succeeded(
            {
                "kind": ok(kind="blue"),
                "optional": skipped("when"),
                "with_default": ok(),
                "without": skipped("needs"),
            },
            logs={"with_default": lines("by default")},
            outputs={"word": "by default"},
        ),
        needs="outputs outputs.default when",
    ),
    scenario(
        "run-output-that-is-missing",
        "S6",
        """
params: {wanted: false}
steps:
  optional: {when: params.wanted, script: 'echo x > "$FLOW_OUTPUTS/word"', outputs: {word: {}}}
  works: {script: 'echo y > "$FLOW_OUTPUTS/word"', outputs: {word: {}}}
outputs:
  missing: "${{ steps.optional.outputs.word }}"
  there: "${{ steps.works.outputs.word }}"
""",
        succeeded({"optional": skipped("when"), "works": ok(word="y")}, outputs={"there": "y"}),
        needs="outputs",
    ),
    scenario(
        "every-reference-is-required",
        "S7 S6",
        """
params: {wanted: false}
steps:
  works: {script: 'echo yes > "$FLOW_OUTPUTS/word"', outputs: {word: {}}}
  optional: {when: params.wanted, script: 'echo x > "$FLOW_OUTPUTS/word"', outputs: {word: {}}}
  either: {when: "steps.works.outputs.word == 'yes' || steps.optional.outputs.word == 'x'", command: [echo, never]}
  both: {when: "steps.works.outputs.word == 'no' && steps.optional.outputs.word == 'x'", command: [echo, never]}
""",
        succeeded(
            {
                "works": ok(word="yes"),
                "optional": skipped("when"),
                "either": skipped("needs"),
                "both": skipped("needs"),
            }
        ),
        needs="outputs when when.logic",
    ),
    scenario(
        "every-reference-is-required-by-literals-too",
        "S7 S6",
        """
params: {wanted: false, always: true}
steps:
  optional: {when: params.wanted, script: 'echo x > "$FLOW_OUTPUTS/word"', outputs: {word: {}}}
  either: {when: "params.always || steps.optional.outputs.word == 'x'", command: [echo, never]}
  both: {when: "params.wanted && steps.optional.outputs.word == 'x'", command: [echo, never]}
""",
        succeeded({"optional": skipped("when"), "either": skipped("needs"), "both": skipped("needs")}),
        needs="outputs when when.logic",
    ),
    scenario(
        "decisions-needs-come-before-when",
        "S4 S1 S5",
        """
params: {wanted: false}
steps:
  breaks: {command: [sh, -c, "exit 1"]}
  behind: {needs: [breaks], when: params.wanted, command: [echo, never]}
  after: {needs: [behind], command: [echo, never]}
""",
        run_failed({"breaks": failed(1), "behind": skipped("needs"), "after": skipped("needs")}),
    ),
    scenario(
        "decisions-when-comes-before-the-list",
        "S4 S17",
        """
params: {wanted: false}
steps:
  each: {when: params.wanted, foreach: [], command: [echo, "${{ item }}"]}
  after: {needs: [each], command: [echo, after]}
""",
        succeeded({"each": skipped("when"), "after": ok()}),
        needs="foreach",
    ),
    scenario(
        "decisions-missing-outputs-come-before-when",
        "S4 S6",
        """
params: {wanted: false}
steps:
  optional: {when: params.wanted, script: 'echo x > "$FLOW_OUTPUTS/word"', outputs: {word: {}}}
  reads: {when: params.wanted, command: [echo, "${{ steps.optional.outputs.word }}"]}
""",
        succeeded({"optional": skipped("when"), "reads": skipped("needs")}),
        needs="outputs",
    ),
    scenario(
        "when-false-is-decided-after-its-needs",
        "S4 S5 S31",
        """
params: {wanted: false}
steps:
  works: {command: [echo, works]}
  optional: {needs: [works], when: params.wanted, command: [echo, never]}
  after: {needs: [optional], command: [echo, after]}
""",
        succeeded({"works": ok(), "optional": skipped("when"), "after": ok()}, order=(("works", "after"),)),
    ),
    scenario(
        "expressions-of-params",
        "S28",
        """
params:
  rows: 10
  share: 0.5
  city: "São Paulo"
  on: true
  tags: {type: list, items: string, default: [a, b]}
  facts: {type: object, default: {"a-b": [1, {"c": null}], path: here}}
steps:
  show:
    command:
      - sh
      - -c
      - for value in "$@"; do printf '%s\\n' "$value"; done
      - sh
      - "${{ params.rows }}"
      - "${{ params.share }}"
      - "${{ params.city }}"
      - "${{ params.on }}"
      - "rows ${{ params.rows }}, on ${{ params.on }}"
      - "${{ params.rows == 10.0 }}"
      - "${{ params.city in ['x', \\"São Paulo\\"] }}"
      - "${{ !params.on || params.share < 1 }}"
      - "${{ params.tags[1] }}"
      - "${{ params.facts[\\"a-b\\"][0] }}"
      - "${{ params.facts.path }}"
      - "${{ params.facts['a-b'][1].c == null }}"
      - "${{ '}}' }}"
      - "$${{ params.rows }}"
      - "${{ workflow.name }}"
""",
        succeeded(
            {"show": ok()},
            logs={
                "show": lines(
                    "10",
                    "0.5",
                    "São Paulo",
                    "true",
                    "rows 10, on true",
                    "true",
                    "true",
                    "true",
                    "b",
                    "1",
                    "here",
                    "true",
                    "}}",
                    "${{ params.rows }}",
                    "expressions-of-params",
                )
            },
        ),
    ),
    scenario(
        "expression-without-its-key",
        "S8",
        """
fail_fast: false
steps:
  facts:
    script: echo '{"a":[1]}' > "$FLOW_OUTPUTS/facts"
    outputs: {facts: {type: object}}
  key: {command: [echo, "${{ steps.facts.outputs.facts.b }}"]}
  index: {command: [echo, "${{ steps.facts.outputs.facts.a[1] }}"]}
  there: {command: [echo, "${{ steps.facts.outputs.facts.a[0] }}"]}
  asks: {when: "steps.facts.outputs.facts.b == 1", command: [echo, never]}
  behind: {needs: [key], command: [echo, never]}
""",
        run_failed(
            {
                "facts": ok(facts={"a": [1]}),
                "key": error("expression"),
                "index": error("expression"),
                "there": ok(),
                "asks": error("expression"),
                "behind": skipped("needs"),
            },
            logs={"there": lines("1")},
        ),
        needs="outputs when fail_fast.off",
    ),
)
