"""How long a workflow takes to become Argo's YAML, against hera, where that is installed (pip install hera).

    python benchmarks/argo.py [--steps 100 1000 2000] [--times 5]

The workflow is chains of ten container steps each, in memory on both sides; the time is from there to the YAML text,
with all checks and the lowering on this side, and the best of several, taken in turns.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable

from flowcore.backend import Backend
from flowcore.model import Container, Step, Workflow

IMAGE = "busybox:1"


def ours(steps: int) -> Callable[[], str]:
    """A function that makes the text of a workflow in memory."""
    workflow = Workflow(
        name="chains",
        steps={
            f"s{index}": Step(
                Container(("echo", str(index))), image=IMAGE, needs={f"s{index - 1}": "met"} if index % 10 else {}
            )
            for index in range(steps)
        },
    )
    backend = Backend.select("argo")
    return lambda: backend.render(workflow).text


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 1000, 2000], help="sizes of the workflows")
    parser.add_argument("--times", type=int, default=5, help="how often each")
    arguments = parser.parse_args()
    print(f"{'steps':>7} {'flowcore ms':>12} {'us a step':>10} {'hera ms':>9} {'ratio':>6}")
    for steps in arguments.steps:
        mine, theirs = ours(steps), heras(steps)
        best, other = float("inf"), float("inf")
        for _ in range(arguments.times):
            best = min(best, once(mine))
            if theirs is not None:
                other = min(other, once(theirs))
        row = f"{steps:>7} {best:>12.1f} {best * 1000 / steps:>10.0f}"
        print(row if theirs is None else f"{row} {other:>9.1f} {other / best:>6.1f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
