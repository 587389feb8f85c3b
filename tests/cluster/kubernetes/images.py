"""The images of the cluster itself: the pause container and the controllers' helpers."""

from __future__ import annotations

from pathlib import Path

from ..images import Entries, Folder, busybox, digest, make, step_images
from ..place import BIN, IMAGES
from .build import TEKTON_COMMANDS


def cluster_images(argo: bool, tekton: bool) -> list[Path]:
    """Archives of all that the node must have; a helper's tag is its binary's digest."""
    pause: Entries = [("bin", Folder()), ("bin/busybox", busybox())]
    made = [
        *step_images(),
        make("flowcore.local/pause:1", pause, {"Entrypoint": ["/bin/busybox", "sleep", "2147483647"]}),
    ]
    if argo:
        made.append(_helper("argoexec", "bin", "argoexec", {"Entrypoint": ["argoexec"], "Env": ["PATH=/bin"]}))
    if tekton:
        made += [
            _helper(f"tekton-{name}", "ko-app", name, {"Entrypoint": [f"/ko-app/{name}"], "Env": ["PATH=/ko-app"]})
            for name in TEKTON_COMMANDS[2:]
        ]
    return made


def _helper(binary: str, folder: str, name: str, config: dict[str, list[str]]) -> Path:
    tag = digest(BIN / binary)[:12]
    entries: Entries = [(folder, Folder()), ("tmp", Folder(0o1777)), (f"{folder}/{name}", BIN / binary)]
    return make(f"flowcore.local/{binary}:{tag}", entries, config)


def image_name(helper: str) -> str:
    """The newest image of a helper."""
    newest = max(IMAGES.glob(f"flowcore.local_{helper}_*.tar"), key=lambda archive: archive.stat().st_mtime)
    return f"flowcore.local/{helper}:{newest.stem.rsplit('_', 1)[1]}"
