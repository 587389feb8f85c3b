"""The suite that a backend's tests subclass."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, Final

import pytest

from flowcore.backend import Backend
from flowcore.syntax import Json
from flowcore.testing.driver import Driver, Mismatch, Skip
from flowcore.testing.scenario import Scenario
from flowcore.testing.scenarios import SCENARIOS

Texts = Mapping[str, Mapping[str, str]]
"""Secrets or config maps: name, key, text."""


class BackendSuite:
    """Every scenario on one backend. A plugin's test is::

        from flowcore.testing import BackendSuite

        class TestScenarios(BackendSuite):
            backend = "local"

    A scenario that needs a capability which the backend does not declare may be refused, in a sentence that names the
    backend, the capability and the step. All others must run exactly as they say.

    Attributes:
        backend: the backend's name, as an entry point gives it.
        options: its options.
        concurrency: how many scenarios run at the same time. Under xdist that needs ``--dist loadgroup``, which gives
            all scenarios of a class to one worker; else each test runs its own when its turn comes.
        deadline: seconds that one run may take.
        interval: seconds between two polls.
        clock: seconds by which two times of the backend may be wrong against each other.
        refused: scenarios that the backend refuses for reasons of its own, beyond its capabilities: name of the
            scenario, and a word that the refusal must hold.
    """

    backend: ClassVar[str] = ""
    options: ClassVar[Mapping[str, Json]] = {}
    concurrency: ClassVar[int] = 8
    deadline: ClassVar[float] = 120.0
    interval: ClassVar[float] = 0.05
    clock: ClassVar[float] = 0.0
    refused: ClassVar[Mapping[str, str]] = {}
    pytestmark: ClassVar[list[pytest.MarkDecorator]] = []

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.pytestmark = [pytest.mark.xdist_group(f"{cls.__module__}.{cls.__qualname__}")]

    def make_backend(self, folder: Path) -> Backend:
        """The backend under test; ``folder`` is empty and is kept while the suite runs."""
        plain = Backend.select(self.backend, options=dict(self.options))
        if "secrets" not in plain.capabilities:
            return plain
        return Backend.select(
            self.backend,
            options={**self.options, **self.make_secrets(folder, *all_secrets())},
        )

    def make_secrets(self, folder: Path, secrets: Texts, config_maps: Texts) -> dict[str, Json]:
        """Make secrets and config maps exist for the backend; returns the options that say where they are.

        This one suits backends whose profile says where they come from. Where the platform keeps them, create them
        there and return nothing.
        """
        return {
            "secrets": _as_files(folder / "secrets", secrets),
            "config_maps": _as_files(folder / "config_maps", config_maps),
        }

    @pytest.fixture
    def ahead(self, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ahead:
        """Runs the class's scenarios ahead of their tests; one for the whole class."""
        owner = request.node.getparent(pytest.Class)
        assert owner is not None
        ahead: Ahead | None = owner.stash.get(_AHEAD, None)
        if ahead is None:
            ahead = owner.stash[_AHEAD] = self._make_ahead(request, tmp_path_factory.mktemp("suite"))
            owner.addfinalizer(ahead.close)
        return ahead

    def _make_ahead(self, request: pytest.FixtureRequest, folder: Path) -> Ahead:
        driver = Driver(self.make_backend(folder), self.deadline, self.interval, self.clock)
        scattered = "PYTEST_XDIST_WORKER" in os.environ and not getattr(request.config.option, "loadgroup", False)
        workers = 1 if scattered else self.concurrency
        chosen = [
            scenario
            for item in request.session.items
            if isinstance(item, pytest.Function) and item.cls is request.cls and hasattr(item, "callspec")
            if isinstance(scenario := item.callspec.params.get("scenario"), Scenario)
        ]
        return Ahead(driver, chosen, workers, self.refused)

    @pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
    def test_scenario(self, scenario: Scenario, ahead: Ahead) -> None:
        """Runs exactly as it says, or is refused for what the backend lacks."""
        try:
            ahead.result(scenario)
        except Skip as reason:
            pytest.skip(str(reason))


class Ahead:
    """Runs scenarios in threads, a few ahead of the test that asks for their result."""

    def __init__(self, driver: Driver, scenarios: list[Scenario], workers: int, refused: Mapping[str, str]) -> None:
        self._driver = driver
        self._refused = refused
        self._waiting = list(scenarios) if workers > 1 else []
        self._futures: dict[str, Future[None]] = {}
        self._pool = ThreadPoolExecutor(workers)
        self._workers = workers
        self._lock = threading.Lock()

    def result(self, scenario: Scenario) -> None:
        """Wait for a scenario; raises what it raised."""
        self._fill()
        future = self._futures.pop(scenario.name, None)
        if future is None:
            self._run(scenario)
        else:
            future.result()

    def _fill(self) -> None:
        with self._lock:
            # Enough to keep all workers busy; the rest is not started if the tests end early.
            while self._waiting and len(self._futures) < 4 * self._workers:
                scenario = self._waiting.pop(0)
                self._futures[scenario.name] = self._pool.submit(self._run, scenario)

    def _run(self, scenario: Scenario) -> None:
        word = self._refused.get(scenario.name)
        if word is None:
            self._driver.run(scenario)
        elif not self._driver.refuses(scenario, [word]):
            raise Mismatch(f"{scenario.name} must be refused for {word}")

    def close(self) -> None:
        """Forget what has not started."""
        self._pool.shutdown(wait=True, cancel_futures=True)


_AHEAD: Final = pytest.StashKey[Ahead]()


def _as_files(folder: Path, texts: Texts) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name, keys in texts.items():
        places: dict[str, Json] = {}
        (folder / name).mkdir(parents=True)
        for key, text in keys.items():
            place = folder / name / key
            place.write_bytes(text.encode())
            place.chmod(0o600)
            places[key] = {"file": str(place)}
        found[name] = places
    return found


def all_secrets() -> tuple[Texts, Texts]:
    """The secrets and the config maps that scenarios use."""
    secrets: dict[str, dict[str, str]] = {}
    config_maps: dict[str, dict[str, str]] = {}
    for scenario in SCENARIOS:
        for found, given in ((secrets, scenario.secrets), (config_maps, scenario.config_maps)):
            for name, keys in given.items():
                found.setdefault(name, {}).update(keys)
    return secrets, config_maps
