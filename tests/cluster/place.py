"""Where state, binaries, images and logs live: ``$FLOWCORE_CLUSTER_DIR``, else a folder of the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
DIR = Path(os.environ.get("FLOWCORE_CLUSTER_DIR", "~/.cache/flowcore-cluster")).expanduser()
BIN = DIR / "bin"
IMAGES = DIR / "images"
LOG = DIR / "log"
RUN = DIR / "run"
