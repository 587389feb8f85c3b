"""Kinds of objects, and where the API server keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from attrs import frozen

Object = dict[str, Any]
"""An object of the API, as its JSON says."""


@frozen
class Resource:
    """One kind of object.

    ``product`` is what a cluster has to have installed to know it, for the message that it has not.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    product: str = ""

    @property
    def api_version(self) -> str:
        """What an object of this kind says as its ``apiVersion``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def full_name(self) -> str:
        """The name that tools and messages use: ``workflows.argoproj.io``, or ``pods``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Where the API server keeps one object, or all of a namespace; without a namespace, those of all."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [self.plural, *filter(None, (name, subresource))]
        return "/" + "/".join(quote(part, safe="") for part in parts)


PODS = Resource("", "v1", "pods", "Pod")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
SECRETS = Resource("", "v1", "secrets", "Secret")
EVENTS = Resource("", "v1", "events", "Event")
CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")


def name_of(object: Mapping[str, Any]) -> str:
    """An object's name, empty if it has none."""
    return str(object.get("metadata", {}).get("name", ""))


def seconds(text: str | None) -> float | None:
    """A time of the API as seconds since the epoch; None if there is none."""
    if not text:
        return None
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
