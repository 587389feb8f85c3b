"""An engine as the suites need to know it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final

import pytest
from attrs import Factory, frozen
from cluster.kubernetes.access import KUBECONFIG

from flowcore.backend import Backend
from flowcore.model import Workflow
from flowcore.runs import Rendered
from flowcore.syntax import Json
from flowcore.testing.driver import Driver, load
from flowcore.testing.scenario import Scenario
from flowcore.testing.scenarios import SCENARIOS
from flowcore_kubernetes import Permission, Resource

Options = Mapping[str, Any]

DEADLINE: Final = 900.0
"""Seconds that a run may take on two cores that others use, too."""
INTERVAL: Final = 1.5
"""Seconds between two polls: at half of that, answers took half of the processor."""
CLOCK: Final = 2.0
"""Seconds by which two times may be wrong against each other: Kubernetes tells whole ones."""


@frozen(kw_only=True)
class Engine:
    """What differs between engines.

    Attributes:
        name: the backend's.
        runs: the kind of a run's own object.
        controller: the service of ``tests/cluster`` that runs it; ``start`` starts it again.
        reading: what one may do who only looks at runs.
        writing: what such a one lacks, as ``flow backends --check`` says it.
        steps: what the steps of the scenarios must be allowed.
        repeats_lost: whether an attempt whose pod was lost is repeated whatever ``retry.only`` says.
        refused: scenarios that the backend refuses, and a word of the refusal.
        options: what makes it patient on a slow machine.
        profiles: options under which all that it renders must be valid, by a name.
        escape: its part of a document's ``backends`` in the workflow that has every field.
        reference: what the engine may take for a reference in the text of a run's spec, and ``own`` those that the
            backend writes itself; below the keys ``unread`` it looks for none.
    """

    name: str
    runs: Resource
    controller: str
    start: Callable[[], None]
    reading: tuple[Permission, ...]
    writing: str
    steps: tuple[Permission, ...] = ()
    repeats_lost: bool = False
    refused: Mapping[str, str] = Factory(dict)
    options: Options = Factory(dict)
    profiles: Mapping[str, Options] = Factory(dict)
    escape: Options = Factory(dict)
    reference: re.Pattern[str]
    own: re.Pattern[str]
    unread: frozenset[str] = frozenset()

    def rendering(self, options: Options | None = None) -> Backend:
        """The backend without a cluster."""
        return Backend.select(self.name, options=dict(options or {}))

    def backend(self, **options: Json) -> Backend:
        """The backend on the cluster of the tests, as its administrator; ``options`` may say otherwise."""
        return Backend.select(self.name, options={**self.options, "kubeconfig": str(KUBECONFIG), **options})

    def driver(self, backend: Backend) -> Driver:
        """What runs scenarios, patiently."""
        return Driver(backend, DEADLINE, INTERVAL, CLOCK)

    def workflows(self, backend: Backend) -> Iterator[tuple[Scenario, Workflow, Mapping[str, Json]]]:
        """The scenarios that it can run, with their params."""
        driver = Driver(backend)
        for scenario in SCENARIOS:
            if not scenario.must_refuse and scenario.name not in self.refused:
                yield scenario, load(scenario), driver.params(scenario)

    def rendered(self, backend: Backend) -> Iterator[Rendered]:
        """The scenarios that it can run, rendered."""
        for _, workflow, params in self.workflows(backend):
            yield backend.render(workflow, params)


class EngineSuite:
    """Tests of one engine; under xdist one worker has all those of a class."""

    engine: ClassVar[Engine]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.pytestmark = [pytest.mark.xdist_group(f"{cls.__module__}.{cls.__qualname__}")]


def scenarios(*names: str) -> dict[str, Scenario]:
    """Some scenarios, by name."""
    found = {each.name: each for each in SCENARIOS if each.name in names}
    assert len(found) == len(names)
    return found
