"""The backend ``argo``: workflows as Workflows of Argo on Kubernetes."""

from flowcore_argo.backend import ArgoBackend

__all__ = ["ArgoBackend"]
