"""The options that every backend on Kubernetes has."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class KubernetesOptions:
    """Which cluster, and how patiently. A backend's own Options inherit from it."""

    kubeconfig: str = ""
    """The kubeconfig file, or several of them joined by ``:``. Default: ``$KUBECONFIG``, else ``~/.kube/config``, else
    the service account of the pod that this runs in."""
    context: str = ""
    """The context of the kubeconfig. Default: its current one."""
    namespace: str = ""
    """The namespace of runs. Default: the context's, else ``default``."""
    service_account: str = ""
    """The service account of steps, where the workflow names none. Default: the namespace's ``default``."""
    image: str = "python:3.11"
    """The image of steps that name none; a render's note says so."""
    answer_timeout: float = 30.0
    """Seconds without a byte after which a request is given up and sent again."""
    retry_time: float = 60.0
    """Seconds in which a request that failed for a passing reason is sent again."""
