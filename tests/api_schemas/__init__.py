"""What API servers take: JSON Schemas of the engines' custom resources and of the Kubernetes kinds beside them.

With them ``make test`` validates every rendered object, on Python alone, as a server that has the engine's custom
resource definitions does: ``faults(object)`` says what it would refuse, fields that it does not know included. It even
looks into what the definitions leave open and the engines read themselves: Argo's inline templates, Tekton's specs
inside specs. What a schema cannot say is left to the server: rules in CEL, and the engines' webhooks.

``python3 tests/api_schemas`` (needs Go) makes the files anew, out of the Go modules of the versions that
``tests/cluster`` runs; a test on the cluster holds that they are current. Argo, Tekton and Kubernetes are under the
Apache License 2.0.
"""

from .checking import KINDS, faults

__all__ = ["KINDS", "faults"]
