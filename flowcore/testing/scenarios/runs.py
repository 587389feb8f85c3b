"""Runs from outside: logs, keys, handles, and runs that are gone."""

from __future__ import annotations

from flowcore.testing.scenario import (
    ANY,
    UNIQUE,
    Delete,
    GoneByItself,
    Line,
    OtherContent,
    Resume,
    SameKey,
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
        "logs-by-stream",
        "S30",
        """
steps:
  speaks:
    script: |
      echo first
      echo aside >&2
      echo
      echo "  second  "
      printf unfinished
""",
        succeeded(
            {"speaks": ok()},
            logs={
                "speaks": (
                    *lines("first", "", "  second  ", "unfinished"),
                    Line("aside", "stderr"),
                )
            },
        ),
    ),
    scenario(
        "logs-split-at-newlines-only",
        "S30",
        """
steps:
  speaks:
    script: |
      printf 'a\\rb\\tc\\n'
      printf 'd\\342\\200\\250e\\302\\205f\\013g\\014h\\n'
      printf 'bad \\377 utf-8\\n'
""",
        succeeded(
            {"speaks": ok()},
            logs={"speaks": lines("a\rb\tc", "d\u2028e\u0085f\x0bg\x0ch", "bad \ufffd utf-8")},
        ),
    ),
    scenario(
        "logs-split-long-lines",
        "S30",
        """
steps:
  speaks: {command: [sh, -c, 'head -c 70000 /dev/zero | tr "\\\\0" x; echo; echo end']}
""",
        succeeded(
            {"speaks": ok()},
            logs={"speaks": lines("x" * 65536, "x" * (70000 - 65536), "end")},
        ),
    ),
    scenario(
        "logs-by-the-megabyte",
        "S30 S31",
        """
steps:
  speaks: {command: [awk, 'BEGIN { for (i = 0; i < 25000; i++) printf "%099d\\n", i }']}
""",
        succeeded({"speaks": ok()}, logs={"speaks": lines(*(f"{number:099d}" for number in range(25000)))}),
    ),
    scenario(
        "logs-come-while-it-runs",
        "S30 S31",
        """
steps:
  speaks: {script: "for i in 1 2 3; do echo $i; sleep 0.2; done"}
  after: {needs: [speaks], command: [sh, -c, "echo after; sleep 0.5"]}
""",
        succeeded({"speaks": ok(), "after": ok()}, logs={"speaks": lines("1", "2", "3"), "after": lines("after")}),
    ),
    scenario(
        "key-makes-submit-idempotent",
        "S33",
        """
params: {word: {type: string}}
steps:
  says: {command: [echo, "${{ params.word }}"]}
""",
        succeeded({"says": ok()}),
        params={"word": UNIQUE},
        actions=(SameKey(), OtherContent({"word": "other"})),
    ),
    scenario(
        "deleted-run-is-gone",
        "S34 S31 S32",
        """
steps:
  says: {command: [echo, hello]}
""",
        succeeded({"says": ok()}),
        actions=(Delete(),),
    ),
    scenario(
        "resumed-run-keeps-what-succeeded",
        "S25 S1",
        """
fail_fast: false
steps:
  works: {script: 'head -c 9 /dev/urandom | od -An -tx1 | tee "$FLOW_OUTPUTS/token"', outputs: {token: {}}}
  breaks: {needs: [works], command: [sh, -c, 'test "$FLOW_ATTEMPT" = 2']}
  behind: {needs: [breaks], command: [echo, behind]}
""",
        run_failed({"works": ok(token=ANY), "breaks": failed(1), "behind": skipped("needs")}),
        needs="outputs fail_fast.off",
        actions=(Resume(succeeded({"works": ok(token=ANY), "breaks": ok(attempts=2), "behind": ok()})),),
    ),
    scenario(
        "run-is-gone-after-its-ttl",
        "S32 S31",
        """
ttl: 15s
steps:
  says: {command: [echo, hello]}
""",
        succeeded({"says": ok()}),
        actions=(GoneByItself(),),
    ),
    scenario(
        "names-that-platforms-mangle",
        "S31",
        f"""
steps:
  {"a" * 63}: {{command: [echo, long]}}
  {"a" * 62}b: {{needs: [{"a" * 63}], command: [echo, long too]}}
  with_low_line: {{command: [echo, low]}}
  ends-with-: {{command: [echo, dash]}}
""",
        succeeded({"a" * 63: ok(), "a" * 62 + "b": ok(), "with_low_line": ok(), "ends-with-": ok()}),
    ),
)
