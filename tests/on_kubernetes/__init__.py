"""What every backend on Kubernetes has to show, whoever executes its runs.

A plugin describes its engine once and subclasses the suites, as ``plugins/argo/tests/test_on_kubernetes.py`` does.
``Rendering`` and ``Schemas`` need no cluster; all others carry the marker ``cluster``.
"""

from on_kubernetes.bad_input import BadInput
from on_kubernetes.engine import Engine
from on_kubernetes.examples import Examples
from on_kubernetes.faults import Faults
from on_kubernetes.permissions import Permissions
from on_kubernetes.rendering import Rendering
from on_kubernetes.scenarios import Scenarios
from on_kubernetes.schemas import Schemas
from on_kubernetes.server import Server
from on_kubernetes.values import Values

__all__ = [
    "BadInput",
    "Engine",
    "Examples",
    "Faults",
    "Permissions",
    "Rendering",
    "Scenarios",
    "Schemas",
    "Server",
    "Values",
]
