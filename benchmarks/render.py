"""How long a workflow takes to become YAML: Argo's against hera, where that is installed (pip install hera), and
Tekton's against Argo's.

    python benchmarks/render.py [--steps 100 300 1000 2000] [--times 5]

The workflow is chains of ten container steps each, in memory on all sides; the time is from there to the YAML text,
with all checks and the lowering on this side, and the best of several, taken in turns. A PipelineRun takes 300 steps.
A step has more lines there than in a Workflow, where the pods share what each task has to say: so lines are told, too.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable

from flowcore.backend import Backend
from flowcore.model import Container, Step, Workflow

IMAGE = "busybox:1"


def ours(engine: str, steps: int) -> Callable[[], str] | None:
    """A function that makes the text of a workflow in memory, or None where it does not fit."""
    workflow = Workflow(
        name="chains",
        steps={
            f"s{index}": Step(
                Container(("echo", str(index))), image=IMAGE, needs={f"s{index - 1}": "met"} if index % 10 else {}
            )
            for index in range(steps)
        },
    )
    backend = Backend.select(engine)
    return (lambda: backend.render(workflow).text) if steps <= backend.limits["steps"] else None


def heras(steps: int) -> Callable[[], str] | None:
    """The same with hera, or None without it."""
    try:
        from hera.workflows import DAG, Container, Workflow
    except ImportError:
        return None
    with Workflow(name="chains", entrypoint="main") as workflow:
        containers = [Container(name=f"s{index}", image=IMAGE, command=["echo", str(index)]) for index in range(steps)]
        with DAG(name="main"):
            before = None
            for index, container in enumerate(containers):
                task = container(name=f"s{index}")
                if index % 10:
                    before >> task
                before = task
    return lambda: str(workflow.to_yaml())


def once(make: Callable[[], str]) -> float:
    """Milliseconds of the processor that one call takes: others may be busy, too."""
    gc.collect()
    start = time.process_time()
    make()
    return (time.process_time() - start) * 1000


def lines(make: Callable[[], str] | None, steps: int) -> float:
    """The lines of YAML that one step takes."""
    return make().count("\n") / steps if make is not None else float("nan")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 300, 1000, 2000], help="sizes of the workflows")
    parser.add_argument("--times", type=int, default=5, help="how often each")
    arguments = parser.parse_args()
    heads = ("argo ms", "us a step", "lines", "hera ms", "ratio", "tekton ms", "us a step", "lines", "of argo")
    print("  steps " + " ".join(f"{head:>10}" for head in heads))
    for steps in arguments.steps:
        makers = [ours("argo", steps), heras(steps), ours("tekton", steps)]
        times = [float("inf")] * len(makers)
        for _ in range(arguments.times):
            for index, make in enumerate(makers):
                if make is not None:
                    times[index] = min(times[index], once(make))
        argo, hera, tekton = times
        row = [argo, argo * 1000 / steps, lines(makers[0], steps)]
        row += [hera, hera / argo] if makers[1] else [float("nan")] * 2
        row += [tekton, tekton * 1000 / steps, lines(makers[2], steps), tekton / argo] if makers[2] else []
        print(f"{steps:>7} " + " ".join(f"{each:>10.1f}" for each in row))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
