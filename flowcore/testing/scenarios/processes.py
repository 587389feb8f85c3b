"""What a step's process sees: its command, its script, its environment."""

from __future__ import annotations

from flowcore.runs import Phase
from flowcore.testing.scenario import ANY, State, failed, group, lines, ok, run_failed, scenario, skipped, succeeded

TOKEN = "s3cr3t $(id) `id` '\" %d \\n {{x}} ${{x}} é"

SCENARIOS = (
    scenario(
        "command-and-args",
        "S28",
        """
steps:
  joined: {command: [sh, -c], args: ['echo "$#: $0 $1"', sh, "a b"]}
""",
        succeeded({"joined": ok()}, logs={"joined": lines("1: sh a b")}),
    ),
    scenario(
        "script-stops-at-the-first-failure",
        "S28",
        """
steps:
  plain: {script: 'echo "$1"; false; echo never', args: [given]}
""",
        run_failed({"plain": failed(1)}, logs={"plain": lines("given")}),
    ),
    scenario(
        "script-by-its-first-line",
        "S28",
        """
steps:
  shebang:
    script: |
      #!/bin/sh
      false
      echo "$1"
    args: [went on]
  awk: {interpreter: [awk, -f], script: 'BEGIN { print ARGV[1] }', args: ["a b"]}
""",
        succeeded({"shebang": ok(), "awk": ok()}, logs={"shebang": lines("went on"), "awk": lines("a b")}),
    ),
    scenario(
        "script-is-never-interpolated",
        "S28",
        """
params: {rows: 10}
steps:
  shows:
    script: |
      cat <<'END'
      ${{ params.rows }} $${{ {{inputs.parameters.x}} $(params.x) %s \\n `id`
      END
""",
        succeeded(
            {"shows": ok()},
            logs={"shows": lines("${{ params.rows }} $${{ {{inputs.parameters.x}} $(params.x) %s \\n `id`")},
        ),
    ),
    scenario(
        "env-of-workflow-and-step",
        "S28",
        """
params: {city: Rome}
env: {LEVEL: info, CITY: "in ${{ params.city }}", BOTH: workflow}
steps:
  shows:
    env: {BOTH: step, EMPTY: "", OWN: "$LEVEL $(LEVEL)"}
    command: [sh, -c, 'echo "$LEVEL|$CITY|$BOTH|$EMPTY|$OWN"']
""",
        succeeded({"shows": ok()}, logs={"shows": lines("info|in Rome|step||$LEVEL $(LEVEL)")}),
    ),
    scenario(
        "env-from-outputs",
        "S28 S3",
        """
steps:
  writes: {script: 'echo "a b" > "$FLOW_OUTPUTS/word"', outputs: {word: {}}}
  shows:
    env: {WORD: "${{ steps.writes.outputs.word }}", MORE: "<${{ steps.writes.outputs.word }}>"}
    script: 'echo "$WORD $MORE"'
""",
        succeeded({"writes": ok(word="a b"), "shows": ok()}, logs={"shows": lines("a b <a b>")}),
        needs="outputs",
    ),
    scenario(
        "env-of-flowcore",
        "S11",
        """
steps:
  shows:
    script: |
      test "$1" = "$FLOW_RUN"
      test -d "$FLOW_OUTPUTS"
      echo "$FLOW_STEP $FLOW_ATTEMPT"
      ls -A "$FLOW_OUTPUTS"
    args: ["${{ run.id }}"]
""",
        succeeded({"shows": ok()}, logs={"shows": lines("shows 1")}),
    ),
    scenario(
        "text-keeps-its-spelling",
        "S28",
        """
x-anything: {ignored: true}
params:
  version: {type: string, default: 3.10}
steps:
  shows:
    x-note: ignored
    env: {ZERO: 017, FLAG: true, DAY: 2024-01-02, TIME: 12:30, YES: yes, EXP: 1e3}
    script: echo "$@" "$ZERO $FLAG $DAY $TIME $YES $EXP"
    args: [3.10, 1_000, no, 0x10, "${{ params.version }}"]
""",
        succeeded(
            {"shows": ok()},
            logs={"shows": lines("3.10 1_000 no 0x10 3.10 017 true 2024-01-02 12:30 yes 1e3")},
        ),
    ),
    scenario(
        "document-in-json",
        "S28",
        """
"steps": {"each": &step {"command": ["echo", "a"]}, "again": *step}
""",
        succeeded({"each": ok(), "again": ok()}, logs={"again": lines("a")}),
    ),
    scenario(
        "working-directory",
        "S28",
        """
steps:
  there: {working_dir: /tmp, command: [pwd]}
  script: {working_dir: /tmp, script: pwd}
""",
        succeeded({"there": ok(), "script": ok()}, logs={"there": lines("/tmp"), "script": lines("/tmp")}),
    ),
    scenario(
        "volume-that-steps-share",
        "S1",
        """
volumes: {scratch: {size: 1Mi}}
steps:
  writes: {mounts: {/scratch: scratch}, command: [sh, -c, "echo hello > /scratch/word"]}
  reads: {needs: [writes], mounts: {/scratch: {volume: scratch, read_only: true}}, command: [cat, /scratch/word]}
""",
        succeeded({"writes": ok(), "reads": ok()}, logs={"reads": lines("hello")}),
        needs="volumes",
    ),
    scenario(
        "manifest-of-a-config-map",
        "S8",
        """
steps:
  makes:
    manifest:
      apiVersion: v1
      kind: ConfigMap
      metadata: {name: "${{ run.id }}-made"}
      data: {word: hello}
    success_when: data.word == 'hello'
    failure_when: data.word == 'bye'
  after: {needs: [makes], command: [echo, after]}
""",
        succeeded({"makes": State(Phase.SUCCEEDED, exit_code=ANY), "after": ok()}),
        needs="manifest",
    ),
    scenario(
        "manifest-whose-failure-holds",
        "S8",
        """
steps:
  makes:
    continue_on_failure: true
    manifest:
      apiVersion: v1
      kind: ConfigMap
      metadata: {name: "${{ run.id }}-made"}
      data: {word: bye}
    success_when: data.word == 'hello'
    failure_when: data.letter == 'x' || data.word == 'bye'
  after: {needs: [makes], command: [echo, after]}
""",
        succeeded({"makes": State(Phase.FAILED, "exit-code", exit_code=ANY), "after": ok()}),
        needs="manifest continue",
    ),
    scenario(
        "manifest-that-the-cluster-refuses",
        "S8",
        """
steps:
  makes:
    manifest: {apiVersion: v1, kind: ConfigMap, metadata: {name: "no such_name"}}
  after: {needs: [makes], command: [echo, after]}
""",
        run_failed({"makes": State(Phase.ERROR, "backend", exit_code=ANY), "after": skipped("needs")}),
        needs="manifest",
    ),
    scenario(
        "manifest-with-outputs-of-items",
        "S8 S15 S16",
        """
steps:
  list: {stdout: words, outputs: {words: {type: list}}, command: [echo, '[]']}
  none:
    foreach: "${{ steps.list.outputs.words }}"
    outputs: {word: {}}
    script: 'printf %s "$1" > "$FLOW_OUTPUTS/word"'
    args: ["${{ item }}"]
  each:
    foreach: [a, b]
    outputs: {word: {}}
    script: 'printf %s "$1" > "$FLOW_OUTPUTS/word"'
    args: ["${{ item }}"]
  makes:
    manifest:
      apiVersion: v1
      kind: ConfigMap
      metadata: {name: "${{ run.id }}-made"}
      data: {none: "of ${{ steps.none.outputs.word }}", second: "${{ steps.each.outputs.word[1] }}"}
    success_when: data.second == 'b'
""",
        succeeded(
            {
                "list": ok(words=[]),
                "none": group(Phase.SKIPPED, "empty", word=[]),
                "each": group(Phase.SUCCEEDED, word=["a", "b"]),
                "each[0]": ok(word="a"),
                "each[1]": ok(word="b"),
                "makes": State(Phase.SUCCEEDED, exit_code=ANY),
            }
        ),
        needs="manifest foreach foreach.dynamic fanin outputs stdout",
    ),
    scenario(
        "config-map-in-the-environment",
        "S28 S13b",
        """
steps:
  asks: {env: {WORD: {config_map: flowcore-scenario, key: word}}, script: 'echo "$WORD"'}
  all: {env_from: [{config_map: flowcore-scenario}], script: 'echo "$word"'}
""",
        succeeded({"asks": ok(), "all": ok()}, logs={"asks": lines("$(id) `x`"), "all": lines("$(id) `x`")}),
        needs="secrets",
        config_maps={"flowcore-scenario": {"word": "$(id) `x`"}},
    ),
    scenario(
        "secret-in-the-environment",
        "S28 S13b",
        """
steps:
  asks:
    env: {TOKEN: {secret: flowcore-scenario, key: token}}
    script: 'printf "%s" "$TOKEN" | od -An -v -tx1 | tr -d " \\\\n"; echo'
  all:
    env_from: [{secret: flowcore-scenario}]
    script: 'printf "%s" "$token" | od -An -v -tx1 | tr -d " \\\\n"; echo'
""",
        succeeded(
            {"asks": ok(), "all": ok()},
            logs={"asks": lines(TOKEN.encode().hex()), "all": lines(TOKEN.encode().hex())},
        ),
        needs="secrets",
        secrets={"flowcore-scenario": {"token": TOKEN}},
    ),
    scenario(
        "text-longer-than-the-kernel-takes",
        "S28",
        """
params: {text: {type: string}}
steps:
  arg: {command: [echo, "${{ params.text }}"]}
  env: {env: {TEXT: "${{ params.text }}"}, command: [echo]}
""",
        succeeded({"arg": ok(), "env": ok()}),
        params={"text": "x" * 140000},
        must_refuse=("steps.arg", "steps.env", "140"),
    ),
    scenario(
        "text-that-no-process-can-be-given",
        "S28",
        """
params: {nul: {type: string}, half: {type: string}}
steps:
  arg: {command: [echo, "${{ params.nul }}", "${{ params.half }}"]}
""",
        succeeded({"arg": ok()}),
        params={"nul": "a\0b", "half": "a\ud800b"},
        must_refuse=("params.nul", "params.half"),
    ),
)
