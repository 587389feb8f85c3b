"""The Go tool chain: the machine's own, else one that the Go module proxy has as a module."""

from __future__ import annotations

import functools
import json
import os
import platform
import re
import shutil
from pathlib import Path

from .. import debian
from ..place import DIR
from ..shell import out, say, sh

NEEDED = (1, 26, 4)
"""The oldest that builds every module."""
FETCHED = "1.26.8"


@functools.cache
def environment() -> dict[str, str]:
    """The environment of a ``go`` that is new enough; on a machine that has none it is fetched, once."""
    own = shutil.which("go")
    folder = DIR / "go" / "bin"
    if own is None or _version(own) < NEEDED:
        if not (folder / "go").exists():
            _fetch(own)
        own = str(folder / "go")
    path = f"{Path(own).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-buildvcs=false"}


def _version(go: str) -> tuple[int, ...]:
    found = re.search(r"go(\d+(?:\.\d+)*)", out(go, "version"))
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def _fetch(go: str | None) -> None:
    """Any Go can download a module, an old one as Debian's, too; the tool chain's lacks what archives do not keep."""
    if go is None:
        debian.install("golang-go", "ca-certificates")
        go = "/usr/bin/go"
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    module = f"golang.org/toolchain@v0.0.1-go{FETCHED}.linux-{machine}"
    say(f"downloading {module}")
    part = DIR / "go.part"
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(module_folder(module, {**os.environ, "GOFLAGS": "", "GOTOOLCHAIN": "local"}, go), part)
    for file in [*part.glob("bin/*"), *part.glob("pkg/tool/*/*")]:
        file.chmod(0o755)
    for folder in (part / "src", part / "src" / "cmd"):
        shutil.copyfile(folder / "_go.mod", folder / "go.mod")
    sh(part / "bin" / "go", "version", quiet=True)
    part.rename(DIR / "go")


def module_folder(module: str, env: dict[str, str] | None = None, go: str = "go") -> Path:
    """The source of a module at a version, from the Go module proxy, afterwards from the module cache."""
    asked = out(go, "mod", "download", "-json", module, cwd="/", env=env or environment())
    return Path(json.loads(asked)["Dir"])
