"""Builds the cluster's programs from Go modules: minutes on a new machine, nothing afterwards."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ..place import BIN, DIR, HERE
from ..shell import say, sh
from . import golang
from .golang import module_folder

ARGO = "github.com/argoproj/argo-workflows/v4@v4.0.5"
TEKTON = "github.com/tektoncd/pipeline@v1.15.0"
KUBERNETES = "k8s.io/kubernetes@v1.34.4"
TEKTON_COMMANDS = ("controller", "webhook", "entrypoint", "nop", "workingdirinit", "sidecarlogresults")
# A released binary carries its version; Tekton's controllers refuse a server without one.
VERSION = {"gitVersion": KUBERNETES.partition("@")[2], "gitMajor": "1", "gitMinor": "34", "gitTreeState": "clean"}


def go_build(
    label: str, key: str, folder: Callable[[], Path], targets: Mapping[str, str], linker: str = "-s -w"
) -> None:
    """Build ``{binary: package}`` in one Go module's folder, unless that was done for the same key."""
    stamp = BIN / f".{label}"
    if stamp.exists() and stamp.read_text() == key and all((BIN / target).exists() for target in targets):
        return
    BIN.mkdir(parents=True, exist_ok=True)
    source = folder()
    env = {**golang.environment(), "CGO_ENABLED": "0"}
    for binary, package in targets.items():
        say(f"go build {binary} (minutes on a new machine, seconds afterwards)")
        began = time.monotonic()
        sh("go", "build", "-trimpath", "-ldflags", linker, "-o", BIN / binary, package, cwd=source, env=env)
        say(f"built {binary} in {time.monotonic() - began:.0f} s")
    stamp.write_text(key)


def build_node() -> None:
    """Every component of Kubernetes in one binary, ``kubenode``, and ``kubectl``, which is the same one."""
    module = HERE / "kubernetes"
    sources = [module / name for name in ("go.mod", "go.sum", "kubenode/main.go")]
    key = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    version = " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in VERSION.items())
    go_build("kubernetes", key, lambda: module, {"kubenode": "./kubenode"}, f"-s -w {version}")
    if not (BIN / "kubectl").is_symlink():
        (BIN / "kubectl").symlink_to("kubenode")


def _argo_source() -> Path:
    """A copy with the one file that the module's archive lacks, since it is a symbolic link."""
    copy = DIR / "argo-source"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(module_folder(ARGO), copy, copy_function=shutil.copyfile)
    sh("chmod", "-R", "u+w", copy)
    special = copy / "workflow/executor/osspecific"
    shutil.copyfile(special / "signal_darwin.go", special / "signal_linux.go")
    return copy


def build_argo() -> None:
    programs = {"argo-controller": "./cmd/workflow-controller", "argoexec": "./cmd/argoexec"}
    go_build("argo", ARGO, _argo_source, programs)


def build_tekton() -> None:
    programs = {f"tekton-{name}": f"./cmd/{name}" for name in TEKTON_COMMANDS}
    go_build("tekton", TEKTON, lambda: module_folder(TEKTON), programs)
