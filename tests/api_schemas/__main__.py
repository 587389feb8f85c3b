"""Run as a folder: ``python3 tests/api_schemas``. Its parent on the path makes it a package."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])
making = __import__("api_schemas.making").making
for platform in making.SOURCES:
    making.file_of(platform).write_text(making.text(platform), encoding="utf-8")
