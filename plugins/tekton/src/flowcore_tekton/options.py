"""What a profile may set."""

from __future__ import annotations

from typing import Any

from attrs import Factory, frozen

from flowcore_kubernetes import KubernetesOptions


@frozen(kw_only=True)
class Options(KubernetesOptions):
    """Options of the backend ``tekton``."""

    helper_image: str = "python:3.11"
    """An image with ``python3`` (3.6 or later): it decides, checks outputs and reads artifacts for downloads."""
    artifact_size: str = "1Gi"
    """How much a run's artifacts, and outputs that are too long for Tekton's results, may take."""
    long_outputs: str = "volume"
    """What becomes of outputs that are too long for Tekton's results and that other steps read: ``volume``, they go
    through the run's volume, or ``fail``, the step fails (then only artifacts need a volume)."""
    storage_class: str = ""
    """The storage class of the run's volume. Default: the cluster's default."""
    artifact_access: str = "ReadWriteOnce"
    """The access mode of the run's volume; ``ReadWriteMany`` lets steps run on several machines."""
    grace: float = 30.0
    """Seconds between TERM and KILL after a cancel: what Kubernetes gives the pods of Tekton."""
    pending_timeout: float = 600.0
    """Seconds that a step may wait for its image, machine, secrets or volumes, where the workflow does not say."""
    priority_class: str = ""
    """The priority class of pods."""
    workflow_labels: dict[str, str] = Factory(dict)
    """Labels of every PipelineRun, beside those of the document."""
    pod_template: dict[str, Any] = Factory(dict)
    """Fields that every pod gets, as Tekton's podTemplate."""
