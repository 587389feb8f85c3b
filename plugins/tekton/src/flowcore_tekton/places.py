"""Names and places that rendering and reading share."""

from __future__ import annotations

from typing import Final

from flowcore_kubernetes import Resource

GROUP: Final = "tekton.dev"
VERSION: Final = "v1"
PIPELINE_RUNS: Final = Resource(GROUP, VERSION, "pipelineruns", "PipelineRun", product="Tekton Pipelines")
TASK_RUNS: Final = Resource(GROUP, VERSION, "taskruns", "TaskRun", product="Tekton Pipelines")

# In pods

OUTPUTS: Final = "/workspace"
"""``FLOW_OUTPUTS`` of steps without artifacts: the empty folder that Tekton gives every pod."""
FILES: Final = "/flowcore/files"
"""Where scripts, Python sources and helpers' plans are."""
RUN: Final = "/flowcore/run"
"""Where the run's volume is."""
ARTIFACTS: Final = "artifacts"
"""In the run's volume: ``STEP/OUTPUT``, or ``STEP/OUTPUT/INDEX`` of items."""
VALUES: Final = "values"
"""In the run's volume: outputs that no result can hold, as JSON."""
ENDS: Final = "ends"
"""In the run's volume: how steps ended, for helpers that ask."""
VOLUMES: Final = "volumes"
"""In the run's volume: the document's volumes of a size."""
HOME: Final = "/tekton/home"
"""A folder that the containers of a pod share, besides FLOW_OUTPUTS."""
ENTRYPOINT: Final = "/tekton/bin/entrypoint"
"""The program by which Tekton runs every step."""

# Containers

MAIN: Final = "main"
BEGIN: Final = "flow-begin"
SEAL: Final = "flow-seal"

# Results and params

STATUS: Final = "flow-status"
"""The result that says how a step ended: succeeded, failed, error, skipped or unmet."""
SAID: Final = "flow-said"
"""The result with the reason, message and exit code, as JSON."""
ITEMS: Final = "flow-items"
"""The result with the indices of a foreach's items."""
ITEM: Final = "i"
"""The param with the index of an item; ``-`` is none."""
TOO_LONG: Final = "@"
"""The text of a result whose value is in the log of the container ``step-flow-seal``."""
MISSING_VALUE: Final = "?"
"""The text of a result whose value is missing."""
LOGGED: Final = "flowcore-output"
"""What a line of that log begins with: it goes on with the output's name and JSON."""

# Annotations

STEP: Final = "flowcore.dev/step"
"""Of a task: the document's name of what it runs."""
KIND: Final = "flowcore.dev/kind"
"""Of a task that is not the step's own: items, join, enter, verdict, guard."""
OWN_WHEN: Final = "flowcore.dev/own-when"
"""Of a task whose ``when`` is the document's: why the step is skipped where it does not hold, when or empty."""
RESULTS: Final = "flowcore.dev/results"
"""Of a task whose results have other names than its outputs: JSON, output by result."""
ARTIFACT_NAMES: Final = "flowcore.dev/artifacts"
"""Of a task: the artifacts that its step leaves."""
PENDING_TIMEOUT: Final = "flowcore.dev/pending-timeout"
"""Of a task: seconds that its pod may wait to start."""
ATTEMPT: Final = "flowcore.dev/attempt."
"""Of a task, with its name: the number of its first attempt. A resumed run has it on the PipelineRun, which wins."""
TTL: Final = "flowcore.dev/ttl"
"""Of the PipelineRun: seconds from its end until it is deleted."""

RUN_LABEL: Final = "tekton.dev/pipelineRun"
"""Tekton's own label of TaskRuns and pods: their PipelineRun."""
RUN_NAME: Final = "$(context.pipelineRun.name)"
"""What Tekton writes for the run's name."""
FILES_MAP: Final = "files"
"""What the names of the config maps with the run's files begin with, after the run's own."""
OUTLINE_KEY: Final = "outline"
WORKSPACE: Final = "flowcore"
"""The workspace that is the run's volume."""
GUARD: Final = "flow-guard"
"""The finally task that makes the PipelineRun fail where a step did."""
