"""Names and places that rendering and reading share."""

from __future__ import annotations

from typing import Final

from flowcore_kubernetes import Resource

GROUP: Final = "argoproj.io"
VERSION: Final = "v1alpha1"
WORKFLOWS: Final = Resource(GROUP, VERSION, "workflows", "Workflow", product="Argo Workflows")
CRON_WORKFLOWS: Final = Resource(GROUP, VERSION, "cronworkflows", "CronWorkflow", product="Argo Workflows")
TASK_RESULTS: Final = Resource(GROUP, VERSION, "workflowtaskresults", "WorkflowTaskResult", product="Argo Workflows")

OUTPUTS: Final = "/flowcore/outputs"
"""Where a step writes its outputs: ``FLOW_OUTPUTS``."""
FILES: Final = "/flowcore/files"
"""Where scripts and Python sources are."""
ARTIFACTS: Final = "/flowcore/artifacts"
"""Where readers find the artifacts of other steps, each under the step's name."""
ITEMS: Final = "/flowcore/items"
"""Where readers find the artifacts of all items of a foreach: ``STEP/OUTPUT/INDEX``."""

SHIM: Final = "step.sh"
"""The file that gives a command what Argo lacks: types of outputs, their defaults, standard output as one of them."""

STEP: Final = "flowcore.dev/step"
"""Annotation of a template and its pods: the document's name of what it runs."""
PATTERN: Final = "flowcore.dev/items"
"""Annotation of a template that items share: the same with ``[*]`` where each has its number."""
KIND: Final = "flowcore.dev/kind"
"""Annotation of a template that is more than one leaf: see ``Kind``."""
ARTIFACT_NAMES: Final = "flowcore.dev/artifacts"
"""Annotation of a template: the artifacts that its step leaves."""
PENDING: Final = "flowcore.dev/pending-timeout"
"""Annotation of a template: seconds that its pod may wait to start."""
GIVEN_UP: Final = "flowcore.dev/given-up"
"""Annotation of the Workflow: why pods were taken away that did not start, by node: reason and message."""
WOKEN: Final = "flowcore.dev/woken"
"""Annotation of the Workflow: when its controller was last asked to look at it, since it stood still."""
EARLIER: Final = "flowcore.dev/earlier-attempts"
"""Annotation of the Workflow: attempts that steps had before the run was resumed."""

RUN_NAME: Final = "{{workflow.name}}"
"""What Argo writes for the run's name."""
CRON_LABEL: Final = "workflows.argoproj.io/cron-workflow"
"""The label by which Argo marks what a CronWorkflow has started."""
CRON_NAME: Final = "{{workflow.labels." + CRON_LABEL + "}}"
"""What Argo writes for its name."""

NOOP: Final = "noop"
"""The template that does nothing, without a pod."""
FINISH: Final = "finish"
"""The task whose fate is the dag's."""

EMPTY_LIST: Final = "'the list is empty' == ''"
"""A condition that is false, and says why: Argo quotes it in the message of the skipped node."""
FAILURE_HOLDS: Final = "failure condition"
"""What the executor says of an object whose failure_when holds; with all else it could not make the object."""
