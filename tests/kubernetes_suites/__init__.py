"""What every backend on Kubernetes has to prove on a real cluster, written once: a plugin's tests subclass these."""

import pytest

pytest.register_assert_rewrite("value_suite", *(f"{__name__}.{module}" for module in ("bad_input", "faults", "roles")))

from kubernetes_suites.bad_input import BadInputSuite  # noqa: E402
from kubernetes_suites.engine import Engine, EngineSuite  # noqa: E402
from kubernetes_suites.faults import FaultSuite  # noqa: E402
from kubernetes_suites.roles import RoleSuite  # noqa: E402
from kubernetes_suites.scenarios import ScenarioSuite  # noqa: E402
from kubernetes_suites.values import AnyTextSuite  # noqa: E402

__all__ = ["AnyTextSuite", "BadInputSuite", "Engine", "EngineSuite", "FaultSuite", "RoleSuite", "ScenarioSuite"]
