"""What a step costs on the local backend, against a bare spawn of the same command on the same machine.

    python benchmarks/engine.py [--steps 100 1000 10000] [--command true]

A run has N independent steps of one command, one at a time, so that N bare spawns one after another are the same work.
The bare spawns (posix_spawn and waitpid, the least that a process can cost) are measured before and after each run.
``run`` is from the run's start to its end as the backend reports them; ``render`` and ``submit`` come before.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time

from flowcore.backend import Backend
from flowcore.model import Container, Step, Workflow


def spawn(program: str, times: int) -> float:
    """Milliseconds that one bare spawn takes, over ``times`` of them."""
    environment = {"PATH": os.environ["PATH"]}
    start = time.perf_counter()
    for _ in range(times):
        os.waitpid(os.posix_spawn(program, [program], environment), 0)
    return (time.perf_counter() - start) * 1000 / times


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 1000, 10_000], help="sizes of the runs")
    parser.add_argument("--command", default="true", help="what each step runs")
    arguments = parser.parse_args()
    program = shutil.which(arguments.command)
    if program is None:
        parser.error(f"there is no command {arguments.command!r}")
    os.environ["FLOWCORE_HOME"] = folder = tempfile.mkdtemp(prefix="flowcore-bench-")
    columns = ("steps", "render s", "submit s", "run s", "ms a step", "ms bare", "ratio", "ms beyond")
    print("".join(f"{column:>11}" for column in columns))
    try:
        for number in arguments.steps:
            measure(program, number)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def measure(program: str, number: int) -> None:
    """Run ``number`` steps and print one line."""
    steps = {f"s{place}": Step(action=Container(command=(program,))) for place in range(number)}
    workflow = Workflow(name="bench", parallelism=1, steps=steps)
    backend = Backend.select("local")
    sample = min(number, 1000)
    before = spawn(program, sample)
    start = time.perf_counter()
    rendered = backend.render(workflow, {})
    render = time.perf_counter() - start
    start = time.perf_counter()
    handle = backend.submit(rendered)
    submit = time.perf_counter() - start
    update = backend.wait(handle, interval=0.5)  # who watches closely takes a processor from who works
    after = spawn(program, sample)
    if update.phase != "succeeded" or update.started is None or update.finished is None:
        raise SystemExit(f"the run of {number} steps ended {update.phase}: {update.message}")
    run = update.finished - update.started
    bare = (before + after) / 2
    each = run * 1000 / number
    numbers = (f"{number}", f"{render:.2f}", f"{submit:.2f}", f"{run:.2f}", f"{each:.2f}", f"{bare:.2f}")
    print("".join(f"{text:>11}" for text in (*numbers, f"{each / bare:.2f}", f"{each - bare:.2f}")), flush=True)


if __name__ == "__main__":
    sys.exit(main())
