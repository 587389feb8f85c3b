"""The command line: ``python3 tests/cluster --help``."""

from __future__ import annotations

import argparse

from . import docker, kubernetes
from .place import BIN, LOG
from .services import running

ACTIONS = {
    "docker-up": "start a Docker engine, unless one answers, and load busybox:1 and python:3.11 into it",
    "docker-down": "stop it",
    "up": "build what is missing, start the Kubernetes node and the controllers",
    "down": "stop all that up started",
    "build": "build what is missing and start nothing",
    "status": "what runs, and where its log is",
    "env": "print export lines: KUBECONFIG, and PATH with this cluster's kubectl",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="cluster",
        description="A Docker engine, and a Kubernetes node with the Argo and Tekton controllers, for the tests.",
        epilog="\n".join(f"  {action:12} {meaning}" for action, meaning in ACTIONS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=tuple(ACTIONS))
    parser.add_argument("controllers", nargs="*", choices=("argo", "tekton", []), help="default: both")
    options = parser.parse_args()
    which = options.controllers or ["argo", "tekton"]
    both = {"argo": "argo" in which, "tekton": "tekton" in which}
    if options.action == "docker-up":
        docker.up()
    elif options.action == "docker-down":
        docker.down()
    elif options.action == "up":
        kubernetes.up(**both)
    elif options.action == "down":
        kubernetes.down()
    elif options.action == "build":
        kubernetes.build(**both)
    elif options.action == "status":
        for name in ("dockerd", *reversed(kubernetes.SERVICES)):
            print(f"{name:26}{running(name) or '-':>8}  {LOG / name}.log")
    else:
        print(f'export KUBECONFIG={kubernetes.KUBECONFIG}\nexport PATH="{BIN}:$PATH"')
