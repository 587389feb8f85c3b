"""Run as a folder: ``python3 tests/cluster``. Its parent on the path makes it a package."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])
__import__("cluster.command").command.main()
