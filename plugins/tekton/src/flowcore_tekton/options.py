"""What a profile may set."""

from __future__ import annotations

from typing import Any
from typing import Literal as OneOf

from attrs import Factory, field, frozen
from attrs.validators import ge

from flowcore_kubernetes import KubernetesOptions


@frozen(kw_only=True)
class Options(KubernetesOptions):
    """Options of the backend ``tekton``."""

    helper_image: str = "python:3.11"
    """An image with ``python3`` (3.6 or later): it decides, checks outputs and reads artifacts for downloads."""
    artifact_size: str = "1Gi"
    """How much a run's artifacts, and outputs that are too long for Tekton's results, may take."""
    long_outputs: OneOf["volume", "sidecar-logs", "fail"] = "volume"
    """What becomes of outputs that are too long for the last message of a container, and that other steps read:
    ``volume``, they go through the run's volume; ``sidecar-logs``, they are results all the same, since the cluster
    reads those from the log of a sidecar (its feature flag ``results-from``); or ``fail``, the step fails. Only with
    ``volume`` do long outputs alone make a run need a volume."""
    max_result_size: int = field(default=4096, validator=ge(1024))
    """Bytes of one result with ``sidecar-logs``: the cluster's feature flag ``max-result-size``."""
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
