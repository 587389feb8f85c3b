"""What a profile may set."""

from __future__ import annotations

from typing import Any

from attrs import Factory, frozen

from flowcore_kubernetes import KubernetesOptions


@frozen(kw_only=True)
class Options(KubernetesOptions):
    """Options of the backend ``argo``."""

    helper_image: str = "busybox:1"
    """An image with ``sh``, ``tar`` and ``base64``: it opens the folders of artifacts, and reads them for downloads."""
    artifacts: str = "claim"
    """Where artifacts are kept: ``claim``, a volume claim of the run, or ``repository``, Argo's artifact repository of
    the kind S3."""
    artifact_repository: str = ""
    """Which repository: CONFIG_MAP/KEY of the namespace. Default: the one that Argo is configured with."""
    artifact_size: str = "1Gi"
    """How much a run's artifacts may take: the size of the volume claim that holds them."""
    storage_class: str = ""
    """The storage class of volumes that runs claim. Default: the cluster's default."""
    artifact_access: str = "ReadWriteOnce"
    """The access mode of the claim for artifacts; ``ReadWriteMany`` lets steps run on several machines."""
    server: str = ""
    """The URL of Argo's own server, as ``https://argo-server.argo:2746``. It is asked for runs whose nodes Argo keeps
    in its database (``nodeStatusOffLoad``), and for nothing else."""
    server_ca: str = ""
    """A file of certificates that the server's is checked against. Default: those of this machine."""
    server_insecure: bool = False
    """Whether the server's certificate is not checked: the one that Argo makes by itself nobody has signed."""
    grace: float = 10.0
    """Seconds between TERM and KILL, where a step has to end."""
    start_allowance: float = 10.0
    """Seconds added to the timeout of steps: Kubernetes counts from when a machine has taken the pod, not from when its
    process starts."""
    pending_timeout: float = 600.0
    """Seconds that a step may wait for its image, machine, secrets or volumes, where the workflow does not say."""
    pod_gc: str = ""
    """Argo's podGC strategy, such as ``OnWorkflowSuccess``. Logs of pods that are gone are lost. Default: pods stay."""
    priority_class: str = ""
    """The priority class of pods."""
    workflow_labels: dict[str, str] = Factory(dict)
    """Labels of every Workflow, beside those of the document."""
    pod_spec_patch: dict[str, Any] = Factory(dict)
    """Fields of a pod's spec that every pod gets, as Argo's podSpecPatch."""
