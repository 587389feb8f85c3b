"""The numbers of Argo Workflows, of its custom resources and of Kubernetes."""

from __future__ import annotations

from typing import Final

TASKS: Final = 200
"""Tasks of one dag, by the custom resource's schema."""
TEMPLATES: Final = 200
"""Templates of one Workflow, likewise."""
NODES: Final = 5000
"""Nodes of one Workflow that its controller handles well."""
OBJECT_BYTES: Final = 1_400_000
"""An object in etcd: 1.5 MiB with its request, less what the status of a run that begins needs."""
OUTPUT_BYTES: Final = 128 * 1024
"""One output: what a reader can be given as an argument, and a Workflow's status can hold several of."""
ARGUMENT_BYTES: Final = 131_071
"""One argument or variable: 32 pages with the NUL at the end."""
SCRIPT_BYTES: Final = 1_000_000
"""A script or Python source: a config map holds 1 MiB."""
REPEATS: Final = 90
"""Iterations of a repeat: Argo goes 100 templates deep, and the repeat is one of them."""
