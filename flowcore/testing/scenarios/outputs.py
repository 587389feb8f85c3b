"""What steps leave behind: values, standard output, artifacts."""

from __future__ import annotations

from flowcore.testing.scenario import (
    ARTIFACT,
    OVER_LIMIT,
    Fetch,
    all_ok,
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
        "output-types",
        "S27",
        """
steps:
  writes:
    script: |
      echo "  two words " > "$FLOW_OUTPUTS/text"
      echo -9223372036854775808 > "$FLOW_OUTPUTS/least"
      printf 9223372036854775807 > "$FLOW_OUTPUTS/most"
      echo ' 1.5e-3 ' > "$FLOW_OUTPUTS/number"
      echo 3 > "$FLOW_OUTPUTS/whole"
      echo false > "$FLOW_OUTPUTS/flag"
      printf '[1,\\n "a", [null]]\\n' > "$FLOW_OUTPUTS/list"
      echo '{"b": {"a": 1}}' > "$FLOW_OUTPUTS/object"
      echo '"quoted"' > "$FLOW_OUTPUTS/any"
      echo undeclared > "$FLOW_OUTPUTS/other"
    outputs:
      text: {}
      least: {type: integer}
      most: {type: integer}
      number: {type: number}
      whole: {type: number}
      flag: {type: boolean}
      list: {type: list}
      object: {type: object}
      any: {type: any}
outputs:
  text: "<${{ steps.writes.outputs.text }}>"
  flag: "${{ steps.writes.outputs.flag }}"
  inner: "${{ steps.writes.outputs.object.b.a }}"
  mixed: ["${{ steps.writes.outputs.least }}", {deep: "${{ steps.writes.outputs.most }}"}, plain]
""",
        succeeded(
            {
                "writes": ok(
                    text="  two words ",
                    least=-(2**63),
                    most=2**63 - 1,
                    number=0.0015,
                    whole=3,
                    flag=False,
                    list=[1, "a", [None]],
                    object={"b": {"a": 1}},
                    any="quoted",
                )
            },
            outputs={
                "text": "<  two words >",
                "flag": False,
                "inner": 1,
                "mixed": [-(2**63), {"deep": 2**63 - 1}, "plain"],
            },
        ),
        needs="outputs",
    ),
    scenario(
        "output-loses-one-newline",
        "S27",
        """
steps:
  writes:
    script: |
      printf 'none' > "$FLOW_OUTPUTS/none"
      printf 'one\\n' > "$FLOW_OUTPUTS/one"
      printf 'two\\n\\n' > "$FLOW_OUTPUTS/two"
      printf 'cr\\r\\n' > "$FLOW_OUTPUTS/cr"
      printf '\\n' > "$FLOW_OUTPUTS/only"
      : > "$FLOW_OUTPUTS/empty"
    outputs: {none: {}, one: {}, two: {}, cr: {}, only: {}, empty: {}}
  shows:
    script: for value in "$@"; do printf "<%s>" "$value"; done
    args: ["${{ steps.writes.outputs.two }}", "${{ steps.writes.outputs.empty }}"]
""",
        succeeded(
            {"writes": ok(none="none", one="one", two="two\n", cr="cr\r", only="", empty=""), "shows": ok()},
            logs={"shows": lines("<two", "><>")},
        ),
        needs="outputs",
    ),
    scenario(
        "output-that-was-not-written",
        "S27 S8",
        """
steps:
  forgets: {command: [echo, forgot], outputs: {word: {}}}
  after: {needs: [forgets], command: [echo, never]}
""",
        run_failed({"forgets": failed(0, "output", message="word"), "after": skipped("needs")}),
        needs="outputs",
    ),
    scenario(
        "output-that-is-not-its-type",
        "S27",
        """
fail_fast: false
steps:
  word: {script: 'echo ten > "$FLOW_OUTPUTS/value"', outputs: {value: {type: integer}}}
  fraction: {script: 'echo 1.5 > "$FLOW_OUTPUTS/value"', outputs: {value: {type: integer}}}
  huge: {script: 'echo 9223372036854775808 > "$FLOW_OUTPUTS/value"', outputs: {value: {type: integer}}}
  infinite: {script: 'echo Infinity > "$FLOW_OUTPUTS/value"', outputs: {value: {type: number}}}
  capital: {script: 'echo True > "$FLOW_OUTPUTS/value"', outputs: {value: {type: boolean}}}
  broken: {script: 'echo "[1," > "$FLOW_OUTPUTS/value"', outputs: {value: {type: list}}}
""",
        run_failed(
            {
                name: failed(0, "output", message="value")
                for name in ("word", "fraction", "huge", "infinite", "capital", "broken")
            }
        ),
        needs="outputs fail_fast.off",
    ),
    scenario(
        "output-whose-items-are-not-their-type",
        "S27",
        """
steps:
  writes:
    script: echo '[1, "two"]' > "$FLOW_OUTPUTS/value"
    outputs: {value: {type: list, items: integer}}
""",
        run_failed({"writes": failed(0, "output", message="value")}),
        needs="outputs",
        natively="outputs.typed",
    ),
    scenario(
        "output-that-is-not-utf-8",
        "S27",
        """
steps:
  writes: {script: 'printf "\\\\377\\\\376\\\\n" > "$FLOW_OUTPUTS/value"', outputs: {value: {}}}
""",
        run_failed({"writes": failed(0, "output", message="value")}),
        needs="outputs",
    ),
    scenario(
        "output-above-the-limit",
        "S27",
        """
params: {size: {type: integer}}
steps:
  writes:
    script: 'head -c "$1" /dev/zero | tr "\\\\0" x > "$FLOW_OUTPUTS/value"'
    args: ["${{ params.size }}"]
    outputs: {value: {}}
""",
        run_failed({"writes": failed(0, "output", message="value")}),
        needs="outputs",
        params={"size": OVER_LIMIT},
    ),
    scenario(
        "output-default",
        "S27",
        """
steps:
  forgets:
    command: [echo, forgot]
    outputs:
      word: {default: ""}
      number: {type: integer, default: 7}
      list: {type: list, default: [a, {b: 1}]}
  shows: {command: [echo, "<${{ steps.forgets.outputs.word }}> ${{ steps.forgets.outputs.number }}"]}
""",
        succeeded(
            {"forgets": ok(word="", number=7, list=["a", {"b": 1}]), "shows": ok()},
            logs={"shows": lines("<> 7")},
        ),
        needs="outputs",
    ),
    scenario(
        "output-default-does-not-hide-a-bad-one",
        "S27",
        """
steps:
  writes: {script: 'echo ten > "$FLOW_OUTPUTS/value"', outputs: {value: {type: integer, default: 7}}}
""",
        run_failed({"writes": failed(0, "output", message="value")}),
        needs="outputs",
    ),
    scenario(
        "output-of-a-failed-step",
        "S6",
        """
steps:
  breaks:
    continue_on_failure: true
    script: 'echo x > "$FLOW_OUTPUTS/word"; exit 1'
    outputs: {word: {}}
  reads: {command: [echo, "${{ steps.breaks.outputs.word }}"]}
""",
        succeeded({"breaks": failed(1), "reads": skipped("needs")}),
        needs="outputs continue",
    ),
    scenario(
        "output-by-its-path",
        "S27",
        """
steps:
  writes:
    command: [sh, -c, 'echo here > "$1"', sh, "${{ outputs.word.path }}"]
    outputs: {word: {}}
""",
        succeeded({"writes": ok(word="here")}),
        needs="outputs",
    ),
    scenario(
        "output-from-standard-output",
        "S27 S30",
        """
steps:
  text: {stdout: said, command: [sh, -c, 'printf "one\\n\\ntwo\\n"; echo aside >&2'], outputs: {said: {}}}
  json: {stdout: said, command: [echo, '{"a": [1]}'], outputs: {said: {type: object}}}
  reads: {command: [echo, "${{ steps.json.outputs.said.a[0] }}"]}
""",
        succeeded(
            {"text": ok(said="one\n\ntwo"), "json": ok(said={"a": [1]}), "reads": ok()},
            logs={
                "text": (*lines("one", "", "two"), *lines("aside", stream="stderr")),
                "reads": lines("1"),
            },
        ),
        needs="outputs",
    ),
    scenario(
        "output-of-markup",
        "S27 S28",
        """
steps:
  writes: {stdout: page, script: 'for i in $(seq 1000); do printf "<&>"; done', outputs: {page: {}}}
  reads: {command: [sh, -c, 'echo "${#1}"', sh, "${{ steps.writes.outputs.page }}"]}
""",
        succeeded({"writes": ok(page="<&>" * 1000), "reads": ok()}, logs={"reads": lines("3000")}),
        needs="outputs",
    ),
    scenario(
        "values-as-text",
        "S28",
        """
steps:
  writes:
    script: |
      printf '%s\\n' '{"z": 1, "a": [true, null, 0.5, "x\\ny"]}' > "$FLOW_OUTPUTS/object"
      echo 12345678901 > "$FLOW_OUTPUTS/number"
      echo true > "$FLOW_OUTPUTS/flag"
      echo 'x "y"' > "$FLOW_OUTPUTS/text"
    outputs: {object: {type: object}, number: {type: integer}, flag: {type: boolean}, text: {}}
  shows:
    script: |
      printf '%s\\n' "$1" > "$FLOW_OUTPUTS/object"
      echo "$2 $3"
    args:
      - ${{ steps.writes.outputs.object }}
      - ${{ steps.writes.outputs.number }}
      - ${{ steps.writes.outputs.flag }}-${{ steps.writes.outputs.text }}
    outputs: {object: {type: object}}
""",
        succeeded(
            {
                "writes": ok(
                    object={"z": 1, "a": [True, None, 0.5, "x\ny"]},
                    number=12345678901,
                    flag=True,
                    text='x "y"',
                ),
                "shows": ok(object={"z": 1, "a": [True, None, 0.5, "x\ny"]}),
            },
            logs={"shows": lines('12345678901 true-x "y"')},
        ),
        needs="outputs",
    ),
    scenario(
        "artifact-file-and-folder",
        "S29",
        """
steps:
  writes:
    script: |
      printf 'a file\\n' > "$FLOW_OUTPUTS/file"
      mkdir -p "$FOLDER/sub"
      echo one > "$FOLDER/one"
      echo two > "$FOLDER/sub/two"
    env: {FOLDER: "${{ outputs.folder.path }}"}
    outputs: {file: {artifact: true}, folder: {artifact: true}}
  reads:
    script: cat "$1" "$2/one" "$2/sub/two"
    args: ["${{ steps.writes.outputs.file.path }}", "${{ steps.writes.outputs.folder.path }}"]
""",
        succeeded(
            {"writes": ok(file=ARTIFACT, folder=ARTIFACT), "reads": ok()},
            logs={"reads": lines("a file", "one", "two")},
        ),
        needs="artifacts",
        actions=(
            Fetch("writes", "file", "a file\n"),
            Fetch("writes", "folder", {"one": "one\n", "sub/two": "two\n"}),
        ),
    ),
    scenario(
        "artifact-that-was-not-written",
        "S29",
        """
steps:
  forgets: {command: [echo, forgot], outputs: {file: {artifact: true}}}
""",
        run_failed({"forgets": failed(0, "output", message="file")}),
        needs="artifacts",
    ),
    scenario(
        "artifacts-of-items",
        "S19 S29",
        """
steps:
  each:
    foreach: [a, b]
    script: 'echo "$1" > "$FLOW_OUTPUTS/part"'
    args: ["${{ item }}"]
    outputs: {part: {artifact: true}}
  gathers: {command: [sh, -c, 'cd "$1" && ls && cat 0 1', sh, "${{ steps.each.outputs.part.path }}"]}
""",
        succeeded(
            {
                "each": all_ok(),
                "each[0]": ok(part=ARTIFACT),
                "each[1]": ok(part=ARTIFACT),
                "gathers": ok(),
            },
            logs={"gathers": lines("0", "1", "a", "b")},
        ),
        needs="artifacts foreach fanin",
    ),
)
