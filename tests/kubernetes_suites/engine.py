"""An engine on the test cluster, and how a suite is given one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import pytest
from attrs import Factory, frozen
from cluster.kubernetes.access import KUBECONFIG

from flowcore.backend import Backend
from flowcore.plugin import Json
from flowcore_kubernetes import Permission, Resource

DEADLINE = 900.0
"""Seconds that one run may take: other tests run beside it, and a broken request costs some."""


@frozen
class Engine:
    """An engine.

    Attributes:
        backend: the name of the backend that uses it.
        kind: of a run's own object.
        reading: what one needs to look at runs.
        controller: the service of ``tests/cluster`` that is its controller.
        start: starts it, unless it runs.
        options: options of the backend that the suites take.
    """

    backend: str
    kind: Resource
    reading: tuple[Permission, ...]
    controller: str
    start: Callable[[], None]
    options: Mapping[str, Json] = Factory(dict)

    def select(self, kubeconfig: str = str(KUBECONFIG), **options: Json) -> Backend:
        """The backend, by default as the cluster's administrator in the namespace ``default``."""
        return Backend.select(self.backend, options={**self.options, "kubeconfig": kubeconfig, **options})


class EngineSuite:
    """Tests of one engine, all of them on one worker."""

    engine: ClassVar[Engine]
    pytestmark: ClassVar[list[pytest.MarkDecorator]] = []

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if hasattr(cls, "engine"):
            group = f"{cls.engine.backend}-{cls.__qualname__}"
            cls.pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group(group)]

    @pytest.fixture(scope="class")
    def backend(self) -> Backend:
        """The backend, as the cluster's administrator."""
        return self.engine.select()
