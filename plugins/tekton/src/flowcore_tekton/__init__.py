"""The backend ``tekton``: workflows as PipelineRuns of Tekton on Kubernetes."""

from flowcore_tekton.backend import TektonBackend

__all__ = ["TektonBackend"]
