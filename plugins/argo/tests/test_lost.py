"""A step whose machine evicts it is lost, which is no failure of its own."""

from __future__ import annotations

import pytest
from cluster.kubernetes.access import KUBECONFIG

from flowcore.backend import Backend, load
from flowcore.plugin import Phase

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("argo-lost")]

EVICTED = """flowcore: 1
name: evicted
steps:
  over:
    image: busybox:1
    retry: {limit: 1, only: [failed]}
    resources: {ephemeral-storage: 5Mi}
    command: [sh, -c, 'dd if=/dev/zero of=/tmp/big bs=1M count=60; sleep 600']
"""


def test_it_is_not_tried_again_where_only_failures_are() -> None:
    backend = Backend.select("argo", options={"kubeconfig": str(KUBECONFIG)})
    handle = backend.submit(backend.render(load(EVICTED)))
    over = backend.wait(handle, 0.5).steps["over"]
    assert (over.phase, over.reason, over.attempts) == (Phase.ERROR, "lost", 1)
    backend.delete(handle)
