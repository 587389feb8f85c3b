"""How much longer than a bare interpreter ``import flowcore``, its Python front end and ``flow --help`` take.

    python benchmarks/startup.py [--rounds 20]

They are run in turns, so that a busy machine slows them all; the fastest round of each counts.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import flowcore": [sys.executable, "-c", "import flowcore"],
    "flowcore.step": [sys.executable, "-c", "import flowcore; flowcore.step"],
    "flow --help": [
        sys.executable,
        "-c",
        "import sys; from flowcore.cli import main; sys.argv = ['flow', '--help']; main()",
    ],
}
LIMITS = {"import flowcore": 40.0, "flow --help": 100.0}
"""Milliseconds over the bare interpreter."""


def milliseconds(command: list[str]) -> float:
    """The time from start to end of one process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="how often each is started")
    rounds: int = parser.parse_args().rounds
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            times[name].append(milliseconds(command))
    bare = min(times["python -c pass"])
    print(f"{'start of':<20}{'ms':>8}{'over bare':>12}{'limit':>8}")
    slow = False
    for name, measured in times.items():
        over = min(measured) - bare
        limit = LIMITS.get(name)
        slow = slow or (limit is not None and over > limit)
        print(f"{name:<20}{min(measured):>8.1f}{over:>12.1f}{limit if limit is not None else '':>8}")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
