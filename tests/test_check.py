"""What the check finds, where it says so, and what it says to do."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import pytest
from attrs import evolve

from flowcore.checks import check, effective_fail_fast, effective_needs, output_types
from flowcore.document import read_document
from flowcore.errors import path_text
from flowcore.model import (
    MISSING,
    Backoff,
    Cache,
    ConfigMapKey,
    Container,
    Defaults,
    EnvFrom,
    Manifest,
    Mount,
    Nested,
    Output,
    Param,
    Python,
    Repeat,
    Retry,
    Script,
    SecretKey,
    Step,
    Type,
    Volume,
    Workflow,
)
from flowcore.syntax import Literal, Ref, Template


def read(text: str) -> Workflow:
    return read_document("flowcore: 1\nname: w\n" + textwrap.dedent(text))


def found(workflow: Workflow | str) -> dict[str, str]:
    """Path to message, several at one path joined."""
    problems = check(read(workflow) if isinstance(workflow, str) else workflow)
    messages: dict[str, str] = {}
    for problem in problems:
        path = path_text(problem.path)
        messages[path] = f"{messages[path]} | {problem.message}" if path in messages else problem.message
    return messages


def expect(workflow: Workflow | str, wanted: Mapping[str, str]) -> None:
    """Exactly the paths of ``wanted``, each with a message that holds its text."""
    messages = found(workflow)
    assert set(messages) == set(wanted)
    for path, said in wanted.items():
        assert said in messages[path]


def of_step(step: Step, **more: Step) -> Workflow:
    return Workflow(name="w", steps={"a": step, **more})


RUN = Container(command=("true",))

EVERYTHING = """
params:
  rows: 1000
  rates: {type: list, items: number, default: [0.1, 0.01]}
  city: {type: string}
defaults: {image: "python:3.11", timeout: 10m, retry: {limit: 2, backoff: {initial: 5s, factor: 2, max: 1m}}}
env: {LEVEL: "${{ params.rows }}", RUN: "${{ run.id }} of ${{ workflow.name }}"}
parallelism: 8
timeout: 2h
ttl: 1d
volumes: {scratch: {size: 1Gi}, models: {claim: models-pvc}, here: {host_path: /data}, none: {empty: {}}}
steps:
  extract:
    command: [extract, "${{ params.rows }}", "${{ outputs.table.path }}"]
    env: {TOKEN: {secret: warehouse, key: token}, RAW: "${{ outputs.raw.path }}"}
    outputs: {table: {default: ""}, raw: {artifact: true}, list: {type: list, items: integer}}
    resources: {cpu: 500m, memory: 256Mi, gpu: 1}
    mounts: {/models: models, /tmp/s: {volume: scratch, sub_path: a/b, read_only: true}}
  count:
    needs: [extract]
    script: 'wc -l < "$DATA"'
    env: {DATA: "${{ steps.extract.outputs.raw.path }}"}
    stdout: lines
    outputs: {lines: {type: integer}}
  train:
    needs: {count: succeeded}
    when: steps.count.outputs.lines > 10 && params.city != ""
    foreach: ${{ params.rates }}
    parallelism: 2
    cache: {key: "${{ item }}", max_age: 1h}
    python: {function: train, source: "def train(rate, deep=1): return rate", args: {rate: "${{ item }}"}}
  best:
    python: {function: best, source: "def best(*, scores): ...", args: {scores: "${{ steps.train.outputs.result }}"}}
  wait:
    repeat: {until: "outputs.ready == 'yes' || iteration > 5", max: 20, delay: 5s}
    command: [poll, "${{ iteration }}"]
    stdout: ready
    outputs: {ready: {}}
  publish:
    needs: {wait: finished}
    foreach: ${{ steps.extract.outputs.list }}
    workflow:
      params: {n: {type: integer}, also: {type: any, default: null}}
      steps:
        up: {command: [up, "${{ params.n }}"], outputs: {url: {}, log: {artifact: true}}}
      outputs: {url: "${{ steps.up.outputs.url }}", log: "${{ steps.up.outputs.log.path }}"}
    args: {n: "${{ item }}"}
  clean:
    needs: {train: failed}
    command: [rm, "${{ steps.extract.outputs.table }}"]
  read:
    command: [ls, "${{ steps.publish.outputs.log.path }}", "${{ steps.publish.outputs.url[0] }}"]
  object:
    manifest: {apiVersion: v1, kind: Job, metadata: {name: "j-${{ run.id }}"}}
    success_when: status.succeeded > 0 && spec.done
on_exit:
  notify:
    when: run.phase == 'failed'
    script: echo "$PHASE"
    env: {PHASE: "${{ run.phase }}", CITY: "${{ params.city }}"}
outputs:
  best: ${{ steps.best.outputs.result }}
  raw: ${{ steps.extract.outputs.raw.path }}
  text: "${{ params.rows }} of ${{ run.id }}"
"""


def test_a_workflow_of_everything_has_nothing_wrong() -> None:
    assert found(EVERYTHING) == {}


# Steps and needs


def test_everything_is_found_at_once_with_its_place() -> None:
    workflow = read("""
        steps:
          a:
            needs: [bb]
            command: [x, "${{ params.y }}"]
            when: steps.b.outputs.o
          b: {command: [x]}
    """)
    problems = check(workflow)
    assert [path_text(problem.path) for problem in problems] == [
        "steps.a.needs.bb",
        "steps.a.command[1]",
        "steps.a.when",
    ]
    assert all(problem.place and problem.place.startswith("<text>:") for problem in problems)
    assert "did you mean 'b'?" in problems[0].message


def test_a_workflow_needs_a_step_and_a_name() -> None:
    expect(Workflow(), {"name": "name of a workflow", "steps": "at least one step"})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Big Name", "write big-name"),
        ("1st", "begin with a letter"),
        ("a" * 64, "64 characters long"),
        ("a.b", "write a-b"),
        ("ä", "begin with a letter"),
        ("a\n", "write a"),
    ],
)
def test_names(name: str, said: str) -> None:
    expect(Workflow(name="w", steps={name: Step(RUN)}), {f"steps.{name}": said})
    expect(evolve(of_step(Step(RUN)), name=name), {"name": said})
    expect(evolve(of_step(Step(RUN)), params={name: Param()}), {f"params.{name}": said})
    expect(of_step(Step(RUN, outputs={name: Output()})), {f"steps.a.outputs.{name}": said})


def test_names_that_differ_only_in_dashes() -> None:
    step = Step(RUN)
    outputs = {"o-o": Output(), "o_o": Output()}
    expect(Workflow(name="w", steps={"a-b": step, "a_b": step}), {"steps.a_b": "differ only in - and _"})
    expect(Workflow(name="w", steps={"a-b": step}, on_exit={"a_b": step}), {"on_exit.a_b": "differ only"})
    expect(Workflow(name="w", steps={"a": step}, on_exit={"a": step}), {"on_exit.a": "under steps too"})
    expect(of_step(Step(RUN, outputs=outputs)), {"steps.a.outputs.o_o": "differ only"})
    expect(evolve(of_step(step), params={"p-p": Param(), "p_p": Param()}), {"params.p_p": "differ only"})
    inner = Workflow(steps={"x-x": step, "x_x": step})
    expect(of_step(Step(Nested(inner))), {"steps.a.workflow.steps.x_x": "differ only"})


def test_cycles_are_told_with_their_whole_path() -> None:
    expect(
        """
        steps:
          start: {command: [x]}
          a: {needs: [start, c], command: [x]}
          b: {command: [x, "${{ steps.a.outputs.o }}"], outputs: {o: {}}}
          c: {when: steps.b.outputs.o == '', command: [x]}
          after: {needs: [c], command: [x]}
          d: {needs: [e], command: [x]}
          e: {needs: [d], command: [x]}
        """,
        {
            "steps.a.needs": "a -> c -> b -> a",
            "steps.d.needs": "d -> e -> d",
            "steps.b.command[1]": "step 'a' has no outputs",
        },
    )


def test_a_long_chain_is_no_cycle() -> None:
    steps = {"s0": Step(RUN)} | {f"s{i}": Step(RUN, needs={f"s{i - 1}": "met"}) for i in range(1, 5000)}
    assert found(Workflow(name="w", steps=steps)) == {}


def test_needs() -> None:
    expect(
        """
        steps:
          a: {needs: [a, notify, bx], command: [x]}
          bb: {command: [x]}
        on_exit:
          notify: {command: [x]}
        """,
        {
            "steps.a.needs.a": "cannot need itself",
            "steps.a.needs.notify": "is a step of on_exit",
            "steps.a.needs.bx": "there is no step 'bx'",
        },
    )
    asks = Step(RUN, needs={"b": "sucess"})  # type: ignore[dict-item]
    expect(of_step(asks, b=Step(RUN)), {"steps.a.needs.b": "is no status"})


def test_implied_needs() -> None:
    """S3."""
    step = read("""
        steps:
          z: {command: [x], outputs: {o: {}}}
          y: {command: [x], outputs: {o: {default: ""}}}
          a:
            needs: {y: failed}
            command: [x, "${{ steps.z.outputs.o }}", "${{ steps.y.outputs.o }}"]
    """).steps["a"]
    assert effective_needs(step) == {"y": "failed", "z": "met"}


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_what_a_failed_step_would_have_written_needs_a_default(status: str) -> None:
    """S3."""
    expect(
        f"""
        steps:
          a: {{command: [x], outputs: {{o: {{}}, p: {{default: ""}}, f: {{artifact: true}}}}}}
          b:
            needs: {{a: {status}}}
            command: ["${{{{ steps.a.outputs.o }}}}", "${{{{ steps.a.outputs.p }}}}"]
            args: ["${{{{ steps.a.outputs.f.path }}}}"]
        """,
        {"steps.b.command[0]": "give the output a default", "steps.b.args[0]": "give the output a default"},
    )


def test_fail_fast() -> None:
    """S9."""
    text = """
        steps:
          a: {command: [x], continue_on_failure: %s}
          b: {needs: {a: %s}, command: [x]}
    """
    assert effective_fail_fast(read(text % ("false", "succeeded")))
    assert effective_fail_fast(read(text % ("true", "failed")))
    assert not effective_fail_fast(read(text % ("false", "failed")))
    assert not effective_fail_fast(read(text % ("false", "finished")))
    explicit = read("\n        fail_fast: true" + text % ("false", "finished"))
    assert effective_fail_fast(explicit)
    expect(explicit, {"fail_fast": "b needs a to have finished"})
    assert found(read("\n        fail_fast: true" + text % ("true", "finished"))) == {}
    assert not effective_fail_fast(of_step(Step(Nested(read(text % ("false", "failed"))))))


# References


REFERENCES = """
params: {p: "", rows: 1}
steps:
  one: {command: [x], outputs: {v: {}, f: {artifact: true}, o: {type: object}}}
  each: {foreach: [1], command: [x], outputs: {v: {type: integer}, f: {artifact: true}}}
  two:
    KEYS
    outputs: {mine: {}, file: {artifact: true}}
on_exit:
  end: {ON_EXIT}
"""


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ('command: ["${{ params.row }}"]', {"command[0]": "did you mean 'rows'?"}),
        ('command: ["${{ steps.on.outputs.v }}"]', {"command[0]": "did you mean 'one'?"}),
        ('command: ["${{ steps.end.outputs.v }}"]', {"command[0]": "step of on_exit"}),
        ('command: ["${{ steps.one.outputs.w }}"]', {"command[0]": "no output 'w'"}),
        ('command: ["${{ steps.one.outputs.f }}"]', {"command[0]": "write steps.one.outputs.f.path"}),
        ('command: ["${{ steps.one.outputs.v.path }}"]', {"command[0]": 'steps.one.outputs.v["path"]'}),
        ('command: ["${{ steps.two.outputs.mine }}"]', {"command[0]": "write outputs.mine.path"}),
        ('command: ["${{ outputs.mine }}"]', {"command[0]": "write outputs.mine.path"}),
        ('command: ["${{ outputs.min.path }}"]', {"command[0]": "did you mean 'mine'?"}),
        ('command: ["${{ item }}"]', {"command[0]": "only in a step with foreach"}),
        ('command: ["${{ iteration }}"]', {"command[0]": "only in a step with repeat"}),
        ('command: ["${{ run.phase }}"]', {"command[0]": "in on_exit only"}),
        ('command: ["${{ steps.each.outputs.v[0] }}", "${{ steps.each.outputs.f.path }}"]', {}),
        ('command: [x], env: {E: "${{ params.q }}"}', {"env.E": "there is no param 'q'"}),
        ('image: "${{ outputs.mine.path }}", command: [x]', {"image": "cannot be used in image"}),
        ("command: [x], when: outputs.mine == ''", {"when": "no value before the step has ended"}),
        ("command: [x], when: outputs.mine.path == ''", {"when": "cannot be used in when"}),
        ("command: [x], foreach: [1], when: item == 1", {"when": "item cannot be used in when"}),
        ("command: [x], when: iteration == 1", {"when": "iteration cannot be used in when"}),
        ('command: [x], foreach: ["${{ item }}"]', {"foreach": "item cannot be used in foreach"}),
        ('command: [x], foreach: ["${{ outputs.file.path }}"]', {"foreach": "cannot be used in foreach"}),
        ("command: [x], repeat: {until: outputs.mine == params.p, max: 2}", {}),
        ("command: [x], repeat: {until: outputs.file == '', max: 2}", {"repeat.until": "is an artifact"}),
        ("command: [x], repeat: {until: outputs.mine.path == '', max: 2}", {"repeat.until": "cannot be used in until"}),
        ("command: [x], repeat: {until: item == 1, max: 2}", {"repeat.until": "item cannot be used in until"}),
    ],
)
def test_where_references_may_stand(keys: str, wanted: dict[str, str]) -> None:
    """S5, S19, S21."""
    lines = "\n    ".join(_split(keys))
    text = REFERENCES.replace("KEYS", lines).replace("ON_EXIT", "command: [x]")
    expect(text, {f"steps.two.{path}": said for path, said in wanted.items()})


def _split(keys: str) -> list[str]:
    """``a: [1, 2], b: 3`` as lines; commas inside brackets or quotes separate nothing."""
    parts, depth, quoted, start = [], 0, False, 0
    for i, char in enumerate(keys):
        quoted ^= char == '"'
        depth += (char in "[{") - (char in "]}")
        if char == "," and not depth and not quoted:
            parts.append(keys[start:i].strip())
            start = i + 1
    return [*parts, keys[start:].strip()]


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ('command: ["${{ run.phase }}${{ run.id }}${{ params.p }}${{ workflow.name }}"]', {}),
        ('command: ["${{ steps.one.outputs.v }}"]', {"command[0]": "needs: {one: finished}"}),
        ('command: ["${{ outputs.x.path }}"], outputs: {x: {}}', {"command[0]": "cannot be used in on_exit"}),
        ('command: ["${{ item }}"]', {"command[0]": "cannot be used in on_exit"}),
        ('command: ["${{ params.q }}"]', {"command[0]": "no param 'q'"}),
        ("command: [x], when: run.phase", {"when": "a condition is a boolean"}),
        ("command: [x], retry: {limit: 1}, timeout: 5s, continue_on_failure: true", {}),
        ("command: [x], needs: [one]", {"needs": "takes no needs"}),
        ("command: [x], foreach: [1]", {"foreach": "takes no foreach"}),
        ("command: [x], repeat: {until: run.phase == '', max: 2}", {"repeat": "takes no repeat"}),
        ("command: [x], cache: {key: a}", {"cache": "takes no cache"}),
        ("workflow: {steps: {a: {command: [x]}}}", {"workflow": "cannot be a nested workflow"}),
    ],
)
def test_on_exit(keys: str, wanted: dict[str, str]) -> None:
    """S23."""
    text = REFERENCES.replace("KEYS", "command: [x]").replace("ON_EXIT", keys)
    expect(text, {f"on_exit.end.{path}": said for path, said in wanted.items()})


def test_what_all_steps_have_in_common_knows_no_step() -> None:
    expect(
        """
        defaults: {image: "${{ steps.a.outputs.o }}"}
        env: {A: "${{ steps.a.outputs.o }}", B: "${{ item }}", C: "${{ params.x }}", D: "${{ outputs.o.path }}"}
        steps: {a: {command: [x], outputs: {o: {}}}}
        """,
        {
            "defaults.image": "cannot be used in defaults.image",
            "env.A": "cannot be used in env of the workflow",
            "env.B": "cannot be used in env of the workflow",
            "env.C": "no param 'x'",
            "env.D": "a step's own output",
        },
    )


def test_outputs_of_the_workflow() -> None:
    expect(
        """
        steps: {a: {command: [x], outputs: {o: {}, f: {artifact: true}}}}
        outputs:
          good: ${{ steps.a.outputs.o }}
          file: ${{ steps.a.outputs.f.path }}
          mixed: "in ${{ steps.a.outputs.f.path }}"
          value: ${{ steps.a.outputs.f }}
          unknown: ${{ steps.b.outputs.f }}
          phase: ${{ run.phase }}
          own: ${{ outputs.o.path }}
          wrong: ${{ steps.a.outputs.o.key }}
        """,
        {
            "outputs.mixed": "write it alone",
            "outputs.value": "is an artifact",
            "outputs.unknown": "no step 'b'",
            "outputs.phase": "in on_exit only",
            "outputs.own": "write steps.STEP.outputs.o",
            "outputs.wrong": "neither keys nor elements",
        },
    )


def test_output_types() -> None:
    assert {name: str(type) for name, type in output_types(read(EVERYTHING)).items()} == {
        "best": "any",
        "raw": "string",
        "text": "string",
    }


# Types


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ("command: [x], when: params.p", {"when": "is a string; write a comparison"}),
        ("command: [x], when: steps.one.outputs.o.k", {"when": "write steps.one.outputs.o.k == true"}),
        ("command: [x], when: steps.one.outputs.o.k > 1", {"when": "declare items"}),
        ("command: [x], when: steps.each.outputs.v[0] > 1", {}),
        ("command: [x], when: steps.each.outputs.v > 1", {"when": "orders two numbers"}),
        ("command: [x], when: params.rows == params.p", {"when": "never equal"}),
        ("command: [x], when: params.rows in ['a']", {"when": "can never be in"}),
        ("command: [x], when: true", {}),
        ("command: [x], repeat: {until: outputs.mine, max: 2}", {"repeat.until": "a condition is a boolean"}),
        ('command: [x], foreach: "${{ params.rows }}"', {"foreach": "takes a list, and this is an integer"}),
        ('command: [x], foreach: "${{ steps.one.outputs.o.list }}"', {}),
        ('command: [x], foreach: "${{ steps.each.outputs.v }}"', {}),
        ('command: ["${{ item.a }}"], foreach: [1, 2]', {"command[0]": "neither keys nor elements"}),
        ('command: ["${{ item.a }}"], foreach: [{a: 1}]', {}),
        ('command: ["${{ params.rows[0] }}"]', {"command[0]": "neither keys nor elements"}),
        ('command: ["a ${{ !params.rows }}"]', {"command[0]": "takes booleans"}),
    ],
)
def test_types_in_their_places(keys: str, wanted: dict[str, str]) -> None:
    test_where_references_may_stand(keys, wanted)


def test_defaults_match_their_types() -> None:
    params = {
        "a": Param(Type("integer"), "x"),
        "b": Param(Type("list", Type("number")), [1, "x"]),
        "c": Param(Type("any"), None),
        "d": Param(Type("integer"), 2**63),
        "e": Param(Type("number"), float("inf")),
        "f": Param(Type("boolean"), 1),
        "g": Param(Type("string", Type("string"))),
    }
    outputs = {"o": Output(Type("integer"), default="1"), "f": Output(artifact=True, default="x")}
    workflow = evolve(of_step(Step(RUN, outputs=outputs)), params=params)
    expect(
        workflow,
        {
            "params.a.default": 'the default "x" is a string, and the type is integer',
            "params.b.default": "list of number",
            "params.d.default": "integer",
            "params.e.default": "number",
            "params.f.default": "boolean",
            "params.g.items": "items is for lists",
            "steps.a.outputs.o.default": "the type is integer",
            "steps.a.outputs.f.default": "an artifact has no default",
        },
    )


# Nested workflows


def test_nested_args_and_params() -> None:
    expect(
        """
        params: {n: 1, s: ""}
        steps:
          pub:
            workflow:
              params: {count: {type: integer}, must: {type: string}, free: {type: any, default: null}}
              steps:
                a: {command: [x, "${{ params.n }}", "${{ steps.pub.outputs.o }}", "${{ params.count }}"]}
            args: {count: "${{ params.s }}", fre: 1, free: [1, "${{ params.n }}"]}
          good:
            workflow: {params: {x: {type: number}}, steps: {a: {command: [x]}}}
            args: {x: "${{ params.n }}"}
          bad:
            workflow: {params: {x: {type: number}}, steps: {a: {command: [x]}}}
            args: {x: many}
        """,
        {
            "steps.pub.workflow.steps.a.command[1]": "sees only its own params",
            "steps.pub.workflow.steps.a.command[2]": "sees only its own steps",
            "steps.pub.args.count": "the value is a string, and the param is an integer",
            "steps.pub.args.fre": "did you mean 'free'?",
            "steps.pub.args": "param 'must' has no default",
            "steps.bad.args.x": '"many" is a string, and the param is a number',
        },
    )


def test_outputs_of_nested_workflows_have_types() -> None:
    expect(
        """
        steps:
          pub:
            workflow:
              steps: {a: {command: [x], outputs: {n: {type: integer}, f: {artifact: true}}}}
              outputs: {n: "${{ steps.a.outputs.n }}", f: "${{ steps.a.outputs.f.path }}"}
          all:
            foreach: [1]
            workflow:
              steps: {a: {command: [x], outputs: {n: {type: integer}}}}
              outputs: {n: "${{ steps.a.outputs.n }}"}
          good:
            when: steps.pub.outputs.n > 1 && steps.all.outputs.n[0] > 1
            command: ["${{ steps.pub.outputs.f.path }}"]
          bad: {when: steps.pub.outputs.n == 'a', command: ["${{ steps.pub.outputs.f }}"]}
          unknown: {command: ["${{ steps.pub.outputs.m }}"]}
        """,
        {
            "steps.bad.when": "never equal",
            "steps.bad.command[0]": "is an artifact",
            "steps.unknown.command[0]": "no output 'm'",
        },
    )


def test_a_nested_step_takes_little_else() -> None:
    """S20."""
    nested = Step(
        Nested(Workflow(steps={"a": Step(RUN)})),
        description="fine",
        image="x",
        outputs={"o": Output()},
        env={"A": "b"},
        timeout=5,
        retry=Retry(1),
        parallelism=2,
        cache=Cache("k"),
        repeat=Repeat(Literal(True), 2),
        labels={"a": "b"},
        continue_on_failure=True,
        foreach=[1],
    )
    names = ["image", "outputs", "env", "timeout", "retry", "parallelism", "cache", "repeat", "labels"]
    expect(of_step(nested), {f"steps.a.{name}": "give it to the steps inside" for name in names})
    inner = Workflow(
        name="x", timeout=5, on_exit={"e": Step(RUN)}, volumes={"v": Volume("empty")}, steps={"a": Step(RUN)}
    )
    names = ["name", "timeout", "on_exit", "volumes"]
    expect(of_step(Step(Nested(inner))), {f"steps.a.workflow.{name}": "nested workflow" for name in names})


def test_nested_workflows_are_checked_inside_and_not_too_deep() -> None:
    inner = Workflow(steps={"a": Step(RUN, needs={"b": "met"})})
    expect(of_step(Step(Nested(inner))), {"steps.a.workflow.steps.a.needs.b": "no step 'b'"})
    workflow = Workflow(steps={"a": Step(RUN)})
    for _ in range(40):
        workflow = Workflow(steps={"a": Step(Nested(workflow))})
    assert ["nest deeper than 20" in said for said in found(evolve(workflow, name="w")).values()] == [True]


def test_steps_of_a_nested_workflow_mount_the_volumes_of_the_run() -> None:
    inner = Workflow(steps={"a": Step(RUN, mounts={"/v": Mount("v"), "/w": Mount("w")})})
    workflow = evolve(of_step(Step(Nested(inner))), volumes={"v": Volume("empty")})
    expect(workflow, {"steps.a.workflow.steps.a.mounts./w": "no volume 'w'"})


# Fields of a step


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        (Step(Container()), {"": "nothing to run"}),
        (Step(Container(), image="x"), {}),
        (Step(Container(command=())), {"command": "the command is empty"}),
        (Step(Container(command=("",))), {"command[0]": "the program's name is empty"}),
        (Step(RUN, image=""), {"image": "is empty"}),
        (Step(Script("x", interpreter=())), {"interpreter": "is empty"}),
        (Step(RUN, timeout=0.5), {"timeout": "whole seconds, at least 1s"}),
        (Step(RUN, timeout=1.5), {"timeout": "write 2s"}),
        (Step(RUN, pending_timeout=0), {"pending_timeout": "at least 1s"}),
        (Step(RUN, retry=Retry(-1)), {"retry.limit": "0 or more"}),
        (Step(RUN, retry=Retry(1, only=("lost",))), {"retry.only[0]": "cannot be retried"}),  # type: ignore[arg-type]
        (
            Step(RUN, retry=Retry(1, Backoff(-1, 0, -1))),
            {
                "retry.backoff.initial": "negative",
                "retry.backoff.factor": "at least 1",
                "retry.backoff.max": "negative",
            },
        ),
        (Step(RUN, repeat=Repeat(Literal(True), 0)), {"repeat.max": "from 1 to 100"}),
        (Step(RUN, repeat=Repeat(Literal(True), 101)), {"repeat.max": "from 1 to 100"}),
        (Step(RUN, repeat=Repeat(Literal(True), 5, -1)), {"repeat.delay": "negative"}),
        (Step(RUN, repeat=Repeat(Literal(True), 5), foreach=[1]), {"foreach": "do not go together"}),
        (Step(RUN, repeat=Repeat(Literal(True), 5), cache=Cache("k")), {"cache": "do not go together"}),
        (Step(RUN, cache=Cache("k"), outputs={"o": Output(artifact=True)}), {"cache": "artifacts cannot be cached"}),
        (Step(RUN, cache=Cache("")), {"cache.key": "is empty"}),
        (Step(RUN, cache=Cache("k", 0)), {"cache.max_age": "above 0s"}),
        (Step(RUN, parallelism=2), {"parallelism": "add foreach"}),
        (Step(RUN, parallelism=0, foreach=[1]), {"parallelism": "at least 1"}),
        (Step(RUN, foreach=5), {"foreach": "takes a list"}),
        (Step(RUN, foreach="abc"), {"foreach": "takes a list"}),
        (Step(RUN, foreach=[]), {}),
        (Step(RUN, stdout="o"), {"stdout": "declare it under outputs"}),
        (Step(RUN, stdout="o", outputs={"oo": Output()}), {"stdout": "did you mean 'oo'?"}),
        (Step(RUN, stdout="o", outputs={"o": Output(artifact=True)}), {"stdout": "is an artifact"}),
        (Step(RUN, outputs={"o": Output(Type("integer"), artifact=True)}), {"outputs.o.type": "has no type"}),
        (Step(RUN, mounts={"rel": Mount("v")}), {"mounts.rel": "no volume 'v'"}),
        (
            Step(RUN, env={"": "x", "A=B": "x", "FLOW_RUN": "x"}),
            {"env.": "a name", "env.A=B": "=", "env.FLOW_RUN": "reserved"},
        ),
        (
            Step(RUN, env={"A": SecretKey("", "k"), "B": ConfigMapKey("m", "")}),
            {"env.A": "secret", "env.B": "config map"},
        ),
        (Step(RUN, env_from=(EnvFrom("secret", ""),)), {"env_from[0]": "name of a secret"}),
        (Step(RUN, user="", working_dir=""), {"user": "is empty", "working_dir": "is empty"}),
        (Step(RUN, resources={"cpu": "lots", "gpu": "0.5"}), {"resources.cpu": "quantity", "resources.gpu": "whole"}),
        (Step(RUN, resources={"cpu": "1"}, requests={"cpu": "2"}), {"requests.cpu": "above the limit"}),
        (Step(RUN, tolerations=({"key": "a", "operator": "Exists"}, {"operator": "Exists"})), {}),
        (
            Step(RUN, tolerations=({"kee": "a", "operator": "Like", "tolerationSeconds": "5"},)),
            {
                "tolerations[0].kee": "write key",
                "tolerations[0].operator": "Exists or Equal",
                "tolerations[0].tolerationSeconds": "write an integer",
                "tolerations[0]": "add a key",
            },
        ),
    ],
)
def test_fields(step: Step, wanted: dict[str, str]) -> None:
    paths = {f"steps.a.{path}" if path else "steps.a": said for path, said in wanted.items()}
    if "rel" in step.mounts:
        paths["steps.a.mounts.rel"] = "absolute path"
    expect(of_step(step), paths)


def test_fields_of_the_workflow() -> None:
    workflow = Workflow(
        name="w",
        steps={"a": Step(Container())},
        defaults=Defaults(image="x", timeout=0.1, retry=Retry(-1), resources={"cpu": "x"}),
        env={"FLOW_X": "y"},
        parallelism=0,
        timeout=0.5,
        ttl=-1,
        service_account="",
        image_pull_secrets=("",),
        volumes={
            "a": Volume("size", "much"),
            "b": Volume("host_path", "rel"),
            "c": Volume("claim"),
            "D": Volume("empty"),
            "z": Volume("size", "0"),
        },
    )
    expect(
        workflow,
        {
            "defaults.timeout": "at least 1s",
            "defaults.retry.limit": "0 or more",
            "defaults.resources.cpu": "not a quantity",
            "env.FLOW_X": "reserved",
            "parallelism": "at least 1",
            "timeout": "at least 1s",
            "ttl": "0s or more",
            "service_account": "empty",
            "image_pull_secrets[0]": "empty",
            "volumes.a.size": "not a quantity",
            "volumes.b.host_path": "not absolute",
            "volumes.c": "claim is empty",
            "volumes.D": "write d",
            "volumes.z.size": "is 0",
        },
    )


def test_a_manifest_step() -> None:
    good = Manifest({"apiVersion": "v1", "kind": "Job"}, success_when=Ref("object", name="status"))
    assert found(of_step(Step(good, timeout=5, retry=Retry(1)))) == {}
    step = Step(
        Manifest({"metadata": "x"}),
        image="x",
        env={"A": "b"},
        outputs={"o": Output()},
        foreach=[1],
        labels={"a": "b"},
    )
    expect(
        of_step(step),
        {f"steps.a.{name}": "takes no" for name in ("image", "env", "outputs", "foreach", "labels")}
        | {"steps.a.manifest": "needs apiVersion", "steps.a.manifest.metadata": "is a mapping"},
    )
    expect(
        """
        steps:
          a:
            manifest: {apiVersion: v1, kind: Job, spec: {x: "${{ item }}"}}
            success_when: status.succeeded > true
            failure_when: "'text'"
        """,
        {
            "steps.a.manifest": "item cannot be used in manifest",
            "steps.a.success_when": "orders two numbers",
            "steps.a.failure_when": "a condition is a boolean",
        },
    )


# Text


@pytest.mark.parametrize(("text", "said"), [("a\0b", "a NUL character at index 1"), ("\ud800", "U+D800")])
def test_text_that_no_process_can_be_given(text: str, said: str) -> None:
    steps = {
        "a": Step(
            Container((text,), (text,)), env={"A": text}, image=text, labels={"l": text}, foreach=[{"k": [text]}]
        ),
        "b": Step(Script(text, args=(Template((text, Ref("run.id"))),))),
        "c": Step(Python("f", f"def f(x): '{text}'", {"x": {text: 1}})),
    }
    workflow = Workflow(name="w", steps=steps, params={"p": Param(default=text)}, description=text)
    expect(
        workflow,
        dict.fromkeys(
            [
                "description",
                "params.p.default",
                "steps.a.command[0]",
                "steps.a.args[0]",
                "steps.a.env.A",
                "steps.a.image",
                "steps.a.labels.l",
                "steps.a.foreach[0].k[0]",
                "steps.b.script",
                "steps.b.args[0]",
                "steps.c.python.source",
                "steps.c.python.args.x",
            ],
            said,
        ),
    )


def test_arguments_and_variables_have_the_kernels_limit() -> None:
    most = 128 * 1024 - 1
    assert found(of_step(Step(Container(("x", "a" * most)), env={"A": "a" * (most - 2)}))) == {}
    too_much = Step(Container(("x", "é" * (most // 2 + 1))), env={"A": Template(("a" * (most - 1), Ref("run.id")))})
    expect(of_step(too_much), {"steps.a.command[1]": "pass it as a file", "steps.a.env.A": "the value of A"})
    assert found(of_step(Step(Script("x" * 10 * most)))) == {}


# Python steps


@pytest.mark.parametrize(
    ("source", "args", "wanted"),
    [
        ("def f(a, b=1): ...", {"a": 1}, {}),
        ("async def f(*, a, **rest): ...", {"a": 1, "z": 1}, {}),
        ("try:\n    def f(): ...\nexcept Exception: pass", {}, {}),
        ("def f(alpha): ...", {"alpa": 1}, {"args.alpa": "did you mean 'alpha'?", "args": "has to be given 'alpha'"}),
        ("def f(): ...", {"x": 1}, {"args.x": "it takes none"}),
        ("def f(a, /): ...", {"a": 1}, {"args": "by position only"}),
        ("def f(a, /, b=1): ...", {"b": 1}, {"args": "by position only"}),
        ("def ff(): ...", {}, {"function": "did you mean 'ff'?"}),
        ("f = 5", {}, {"function": "define it at the top level"}),
        ("x = 1\ndef f(:\n  pass", {}, {"source": "line 2 of the source is not Python"}),
        ("def f():\n\tif 1:\n        pass", {}, {"source": "line 3"}),
    ],
)
def test_python_steps(source: str, args: dict[str, int], wanted: dict[str, str]) -> None:
    step = Step(Python("f", source, dict(args)), outputs={"result": Output(Type("any"))})
    expect(of_step(step), {f"steps.a.python.{path}": said for path, said in wanted.items()})


def test_a_functions_name() -> None:
    expect(
        of_step(Step(Python("not a name", "x = 1"))), {"steps.a.python.function": "not the name of a Python function"}
    )


def test_missing_is_not_null() -> None:
    assert Param().default is MISSING
    assert found(evolve(of_step(Step(RUN)), params={"p": Param(Type("any"), None)})) == {}
