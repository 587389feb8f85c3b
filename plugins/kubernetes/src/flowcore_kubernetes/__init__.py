"""What any flowcore backend on Kubernetes needs, and no more: it is a library of backends, not one itself.

Each module has one idea:

- ``options``, ``access``, ``credentials``: which cluster, and who asks
- ``transport``, ``retrying``, ``client``: one request; when it is sent again; requests about objects
- ``resources``, ``refusals``, ``errors``: kinds of objects; what the server's answers mean
- ``roles``, ``presence``: permissions as Roles; whether a cluster has what a backend needs
- ``causes``: why a pod does not start, or was lost
- ``conditions``: what is asked of an object that a step makes
- ``fetching``: files that only a pod can read, copied to this machine (imported by who needs it)
- ``logs``, ``watching``: log lines, each once; objects as they change
- ``companions``, ``creating``: config maps for text that is too long or too odd; a run's object and what belongs to it
- ``outlines``, ``marks``, ``sizes``: the outline as text in an object; labels and annotations; how big it is
- ``runs``, ``backend``: runs that are one object each; the hooks that ask for them
- ``images``: steps that name none
"""

from flowcore_kubernetes.access import Access, find_access
from flowcore_kubernetes.backend import KubernetesBackend
from flowcore_kubernetes.causes import (
    EVICTED,
    Cause,
    cause_of,
    cause_of_text,
    events_of,
    why_by_events,
    why_never_started,
    why_waiting,
)
from flowcore_kubernetes.client import Client, Listing, PatchKind, connect
from flowcore_kubernetes.companions import (
    MOST_BYTES,
    Companions,
    Place,
    config_maps,
    digest,
    owned,
)
from flowcore_kubernetes.conditions import Comparison, all_of, any_of, condition_problems
from flowcore_kubernetes.creating import COMPANIONS, accompany, create_anew, is_leaving
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
    UnavailableError,
)
from flowcore_kubernetes.logs import LINE_BYTES, PAGE_BYTES, LogPage, LogSource, read_logs
from flowcore_kubernetes.marks import CANCELLED, DIGEST, MANAGED, OUTLINE, RUN, WORKFLOW, notes_of
from flowcore_kubernetes.options import KubernetesOptions
from flowcore_kubernetes.outlines import packed_outline, unpacked_outline
from flowcore_kubernetes.presence import (
    controller_fault,
    missing_permissions,
    require_namespace,
    require_permissions,
    require_resources,
    require_server,
)
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
    seconds,
)
from flowcore_kubernetes.retrying import Retries
from flowcore_kubernetes.roles import Permission, made, role, role_binding
from flowcore_kubernetes.runs import ObjectRuns
from flowcore_kubernetes.sizes import go_bytes, too_big
from flowcore_kubernetes.transport import Traffic
from flowcore_kubernetes.watching import Change, wait_for, watch

__all__ = [
    "CANCELLED",
    "CLAIMS",
    "COMPANIONS",
    "CONFIG_MAPS",
    "DEPLOYMENTS",
    "DIGEST",
    "EVENTS",
    "EVICTED",
    "LINE_BYTES",
    "MANAGED",
    "MOST_BYTES",
    "NAMESPACES",
    "OUTLINE",
    "PAGE_BYTES",
    "PODS",
    "RUN",
    "SECRETS",
    "SERVICE_ACCOUNTS",
    "WORKFLOW",
    "Access",
    "AlreadyExistsError",
    "ApiError",
    "Cause",
    "Change",
    "Client",
    "Companions",
    "Comparison",
    "ConflictError",
    "ExpiredError",
    "ForbiddenError",
    "InvalidError",
    "KubernetesBackend",
    "KubernetesOptions",
    "Listing",
    "LogPage",
    "LogSource",
    "NamespaceError",
    "NotFoundError",
    "NotInstalledError",
    "Object",
    "ObjectRuns",
    "PatchKind",
    "Permission",
    "Place",
    "QuotaError",
    "Resource",
    "Retries",
    "TooLargeError",
    "Traffic",
    "UnavailableError",
    "accompany",
    "all_of",
    "any_of",
    "cause_of",
    "cause_of_text",
    "condition_problems",
    "config_maps",
    "connect",
    "controller_fault",
    "create_anew",
    "digest",
    "events_of",
    "find_access",
    "go_bytes",
    "is_leaving",
    "made",
    "missing_permissions",
    "notes_of",
    "owned",
    "packed_outline",
    "read_logs",
    "require_namespace",
    "require_permissions",
    "require_resources",
    "require_server",
    "role",
    "role_binding",
    "seconds",
    "too_big",
    "unpacked_outline",
    "wait_for",
    "watch",
    "why_by_events",
    "why_never_started",
    "why_waiting",
]
