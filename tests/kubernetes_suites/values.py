"""Any text, on one engine."""

from __future__ import annotations

from value_suite import ValueSuite

from kubernetes_suites.engine import EngineSuite


class AnyTextSuite(ValueSuite, EngineSuite):
    """The texts of ``value_suite`` through one engine's expansions, the kubelet's and the shell's."""
