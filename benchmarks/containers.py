"""What a container costs on the backend docker-local, against ``docker run --rm`` of the same command.

    python benchmarks/containers.py [--steps 40] [--parallel 200] [--many 1000] [--image busybox:1] [--rounds 3]

Three lines: steps one after another, against as many ``docker run`` one after another; steps eight at a time, against
``xargs -P 8 docker run``; and many steps, of which all but a few wait at any time, for the supervisor's own size.
Both sides are timed in turns, from before the first word to the engine until the last container is gone; the ratio is
that of the medians. Needs a Docker engine that has the image.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from flowcore.backend import Backend
from flowcore.model import Container, Step, Workflow

COMMAND = ("true",)


def raw(image: str, steps: int, parallel: int) -> float:
    """Seconds that as many ``docker run`` take."""
    words = ["docker", "run", "--rm", image, *COMMAND]
    start = time.perf_counter()
    if parallel == 1:
        for _ in range(steps):
            subprocess.run(words, check=True)
    else:
        numbers = "\n".join(str(number) for number in range(steps))
        # xargs would add its input to the command; -I with a word that is not in it keeps it out.
        subprocess.run(["xargs", "-P", str(parallel), "-I", "{}", *words], input=numbers, text=True, check=True)
    return time.perf_counter() - start


class Watch(threading.Thread):
    """The size of a run's supervisor, looked at until it is over."""

    def __init__(self, run: str) -> None:
        super().__init__(daemon=True)
        self.run_id = run
        self.memory = 0
        """Kilobytes at its largest."""
        self.threads = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.2):
            for place in Path("/proc").glob("[0-9]*"):
                try:
                    if self.run_id.encode() not in (place / "cmdline").read_bytes():
                        continue
                    fields = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
                except OSError:
                    continue  # it has just ended
                self.memory = max(self.memory, int(fields.get("VmHWM", "0 kB").split()[0]))
                self.threads = max(self.threads, int(fields["Threads"]))


def ours(image: str, steps: int, parallel: int) -> tuple[float, Watch]:
    """Seconds that a run of as many steps takes, and its supervisor's size."""
    named = {f"s{number}": Step(image=image, action=Container(command=COMMAND)) for number in range(steps)}
    backend = Backend.select("docker-local")
    start = time.perf_counter()
    handle = backend.submit(backend.render(Workflow(name="bench", parallelism=parallel, steps=named), {}))
    watch = Watch(handle.location)
    watch.start()
    update = backend.wait(handle, interval=0.02)  # grows to ten times that, which is what it may be late
    taken = time.perf_counter() - start
    watch.over.set()
    if update.phase != "succeeded":
        raise SystemExit(f"the run of {steps} steps ended {update.phase}: {update.message}")
    backend.delete(handle)
    return taken, watch


def compare(name: str, image: str, steps: int, parallel: int, rounds: int) -> None:
    """Time both sides in turns, and print a line."""
    sides: tuple[Callable[[], float], ...] = (
        lambda: raw(image, steps, parallel),
        lambda: ours(image, steps, parallel)[0],
    )
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds):
        for side in (0, 1) if turn % 2 == 0 else (1, 0):
            times[side].append(sides[side]())
    theirs, mine = (statistics.median(side) for side in times)
    print(f"{name:<24}{steps:>7}{theirs:>10.2f}{mine:>10.2f}{mine / theirs:>8.2f}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=40, help="how many one after another")
    parser.add_argument("--parallel", type=int, default=200, help="how many eight at a time")
    parser.add_argument("--many", type=int, default=1000, help="how many for the supervisor's size; 0: none")
    parser.add_argument("--image", default="busybox:1")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side is timed")
    arguments = parser.parse_args()
    os.environ["FLOWCORE_HOME"] = folder = tempfile.mkdtemp(prefix="flowcore-bench-")
    try:
        print(f"{'':<24}{'steps':>7}{'docker s':>10}{'flow s':>10}{'ratio':>8}")
        compare("one after another", arguments.image, arguments.steps, 1, arguments.rounds)
        compare("eight at a time", arguments.image, arguments.parallel, 8, arguments.rounds)
        if arguments.many:
            taken, watch = ours(arguments.image, arguments.many, 8)
            print(
                f"{arguments.many} steps: {taken:.1f} s; the supervisor had {watch.memory / 1024:.0f} MB at most, "
                f"and {watch.threads} threads"
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
