"""One Kubernetes node with the Argo and Tekton controllers, every program built from Go modules."""

from __future__ import annotations

import time

from .. import debian, docker
from ..services import running
from ..shell import alone, say
from .access import KUBECONFIG
from .argo import argo_up
from .build import build_argo, build_node, build_tekton
from .images import cluster_images
from .node import SERVICES, node_down, node_up
from .tekton import tekton_up

__all__ = ["KUBECONFIG", "SERVICES", "build", "down", "up"]

PACKAGES = (*docker.PACKAGES, "containernetworking-plugins", "openssl", "conntrack")


def build(argo: bool, tekton: bool) -> None:
    """Build what is missing: 20 minutes on a new machine with two cores."""
    with alone("build"):
        debian.install(*PACKAGES)
        build_node()
        if argo:
            build_argo()
        if tekton:
            build_tekton()
        cluster_images(argo, tekton)


def up(argo: bool, tekton: bool) -> None:
    """Start the node and the controllers, and wait until they take workflows."""
    began = time.monotonic()
    build(argo, tekton)
    if not running("etcd"):
        node_down()  # what a killed run may have left: state, mounts, other parts
    node_up(cluster_images(argo, tekton))
    say(f"node ready after {time.monotonic() - began:.0f} s")
    if argo:
        argo_up()
    if tekton:
        tekton_up()
    say(f"up after {time.monotonic() - began:.0f} s; export KUBECONFIG={KUBECONFIG}")


def down() -> None:
    node_down()
