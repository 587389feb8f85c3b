"""What any flowcore backend on Kubernetes needs, and no more: it is a library of backends, not one itself.

Modules, each with one idea: ``access`` and ``credentials`` (which cluster, who asks), ``transport`` and ``retrying``
(one request; when it is sent again), ``client``, ``refusals`` (what the server's answers mean), ``roles``.
"""

from flowcore_kubernetes.access import Access, find_access
from flowcore_kubernetes.client import Client, Listing, PatchKind, connect
from flowcore_kubernetes.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    NamespaceError,
    NotFoundError,
    NotInstalledError,
    QuotaError,
    TooLargeError,
)
from flowcore_kubernetes.options import KubernetesOptions
from flowcore_kubernetes.resources import (
    CLAIMS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    EVENTS,
    NAMESPACES,
    PODS,
    SECRETS,
    SERVICE_ACCOUNTS,
    Object,
    Resource,
)
from flowcore_kubernetes.retrying import Retries
from flowcore_kubernetes.roles import Permission, role, role_binding
from flowcore_kubernetes.transport import Traffic

__all__ = [
    "CLAIMS",
    "CONFIG_MAPS",
    "DEPLOYMENTS",
    "EVENTS",
    "NAMESPACES",
    "PODS",
    "SECRETS",
    "SERVICE_ACCOUNTS",
    "Access",
    "AlreadyExistsError",
    "ApiError",
    "Client",
    "ConflictError",
    "ExpiredError",
    "ForbiddenError",
    "InvalidError",
    "KubernetesOptions",
    "Listing",
    "NamespaceError",
    "NotFoundError",
    "NotInstalledError",
    "Object",
    "PatchKind",
    "Permission",
    "QuotaError",
    "Resource",
    "Retries",
    "TooLargeError",
    "Traffic",
    "connect",
    "find_access",
    "role",
    "role_binding",
]
