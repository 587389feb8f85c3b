"""Python functions as steps."""

from __future__ import annotations

from flowcore.testing.scenario import ARTIFACT, PYTHON, failed, lines, ok, run_failed, scenario, skipped, succeeded

SCENARIOS = (
    scenario(
        "python-without-outputs",
        "S30",
        """
steps:
  says:
    python:
      function: says
      source: |
        import sys

        def says(word: str, times: int = 2):
            print(word * times)
            print("aside", file=sys.stderr)
      args: {word: ab}
    outputs: {}
""",
        succeeded({"says": ok()}, logs={"says": (*lines("abab"), *lines("aside", stream="stderr"))}),
        image=PYTHON,
    ),
    scenario(
        "python-returns-its-result",
        "S27 S28",
        """
params: {names: [x, "y z"]}
steps:
  word:
    python: {function: word, source: "def word(): return 'from a function'"}
    outputs: {result: {}}
  given:
    python:
      function: given
      source: |
        def given(**args):
            return args
      args:
        text: "${{ steps.word.outputs.result }}"
        mixed: "<${{ steps.word.outputs.result }}>"
        names: "${{ params.names }}"
        deep: [1, {key: "${{ steps.word.outputs.result }}"}, null, true, 0.5]
""",
        succeeded(
            {
                "word": ok(result="from a function"),
                "given": ok(
                    result={
                        "text": "from a function",
                        "mixed": "<from a function>",
                        "names": ["x", "y z"],
                        "deep": [1, {"key": "from a function"}, None, True, 0.5],
                    }
                ),
            }
        ),
        needs="outputs",
        image=PYTHON,
    ),
    scenario(
        "python-keeps-types",
        "S27 S28",
        """
steps:
  values:
    python:
      function: values
      source: |
        def values():
            return {"text": "5", "number": 5, "flag": True, "list": [1, "1"], "none": None}
    outputs: {text: {}, number: {type: integer}, flag: {type: boolean}, list: {type: list}, none: {type: any}}
  kinds:
    python:
      function: kinds
      source: |
        def kinds(*, text, number, flag, list, none):
            return [type(text).__name__, type(number).__name__, type(flag).__name__, list, none]
      args:
        text: "${{ steps.values.outputs.text }}"
        number: "${{ steps.values.outputs.number }}"
        flag: "${{ steps.values.outputs.flag }}"
        list: "${{ steps.values.outputs.list }}"
        none: "${{ steps.values.outputs.none }}"
""",
        succeeded(
            {
                "values": ok(text="5", number=5, flag=True, list=[1, "1"], none=None),
                "kinds": ok(result=["str", "int", "bool", [1, "1"], None]),
            }
        ),
        needs="outputs",
        image=PYTHON,
    ),
    scenario(
        "python-gives-several-outputs",
        "S27",
        """
steps:
  split:
    python:
      function: split
      source: |
        from typing import NamedTuple

        class Split(NamedTuple):
            head: str
            tail: list

        async def split(words):
            return Split(words[0], words[1:])
      args: {words: [a, b, c]}
    outputs: {head: {}, tail: {type: list}}
""",
        succeeded({"split": ok(head="a", tail=["b", "c"])}),
        needs="outputs",
        image=PYTHON,
    ),
    scenario(
        "python-that-raises",
        "S8",
        """
steps:
  raises:
    python:
      function: raises
      source: |
        def raises():
            print("before")
            raise ValueError("no such row")
    outputs: {}
  after: {needs: [raises], command: [echo, never]}
""",
        run_failed({"raises": failed(1), "after": skipped("needs")}),
        image=PYTHON,
    ),
    scenario(
        "python-whose-result-is-no-json",
        "S27",
        """
steps:
  returns:
    python: {function: returns, source: "def returns(): return {1, 2}"}
""",
        run_failed({"returns": failed(0, "output", message="")}),
        needs="outputs",
        image=PYTHON,
    ),
    scenario(
        "python-artifact",
        "S29",
        """
steps:
  writes:
    python:
      function: writes
      source: |
        from pathlib import Path

        def writes():
            place = Path("report.txt")
            place.write_text("a report\\n")
            return place
    outputs: {result: {artifact: true}}
  reads:
    python:
      function: reads
      source: |
        from pathlib import Path

        def reads(report: Path):
            return report.read_text()
      args: {report: "${{ steps.writes.outputs.result.path }}"}
""",
        succeeded({"writes": ok(result=ARTIFACT), "reads": ok(result="a report\n")}),
        needs="outputs artifacts",
        image=PYTHON,
    ),
)
