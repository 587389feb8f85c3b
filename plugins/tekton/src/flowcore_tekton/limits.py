"""The numbers of Tekton Pipelines and of Kubernetes."""

from __future__ import annotations

from typing import Final

TASKS: Final = 300
"""Tasks of one PipelineRun. Tekton's webhook checks them in more than linear time, and writes all of them twice."""
OBJECT_BYTES: Final = 450_000
"""A PipelineRun as it is submitted: its status holds the spec once more, and etcd takes 1.5 MiB."""
MATRIX: Final = 256
"""Combinations of one matrix, by Tekton's default (default-max-matrix-combinations-count)."""
ITEMS: Final = 1024
"""Items of a foreach whose list is known before the run: several tasks share them. Else it is one matrix."""
RESULT_BYTES: Final = 12_288
"""What the containers of a pod may say at their end in all; each may say its share, and 4096 bytes at most."""
COMPARED_BYTES: Final = 200
"""A value that a task's ``when`` is compared with, as results are written. The result of a step with few outputs is
never replaced for its length (see ``flow.publish``) where it is no longer than this."""
COMPARED_OUTPUTS: Final = 8
"""How many outputs are few: their names and texts fit into what each of three containers may say."""
OUTPUT_BYTES: Final = 128 * 1024 - 1
"""One output: what a reader can be given as an argument."""
ARGUMENT_BYTES: Final = 131_000
"""One argument or variable: 32 pages, less what Tekton's entrypoint needs."""
SCRIPT_BYTES: Final = 1_000_000
"""A script or Python source: a config map holds 1 MiB."""
ANNOTATION_BYTES: Final = 200_000
"""Texts of one task that only annotations can hold; an object has 256 KiB of them in all."""
