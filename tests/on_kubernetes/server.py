"""The API server, and the engine's admission webhook where it has one, takes all that is rendered (dry runs)."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from flowcore.backend import load
from flowcore.errors import RefusedError
from flowcore.runs import Rendered
from on_kubernetes.accounts import fails
from on_kubernetes.engine import EngineSuite, Options


@pytest.mark.cluster
class Server(EngineSuite):
    def test_it_takes_every_scenario(self) -> None:
        def refusals(options: Options) -> list[str]:
            backend = self.engine.backend(**options)

            def refusal(rendered: Rendered) -> str:
                return f"{rendered.name}: {refused}" if (refused := fails(lambda: backend.validate(rendered))) else ""

            with ThreadPoolExecutor(4) as pool:
                return [found for found in pool.map(refusal, self.engine.rendered(backend)) if found]

        assert {name: refusals(options) for name, options in self.engine.profiles.items()} == {
            name: [] for name in self.engine.profiles
        }

    def test_it_takes_what_is_as_large_as_the_backend_takes(self) -> None:
        backend = self.engine.backend()

        def rendered(size: int) -> Rendered:
            steps = {f"s{index}": {"command": ["echo", "x" * (size // 16)]} for index in range(16)}
            document = {"flowcore": 1, "name": "big", "defaults": {"image": "busybox:1"}, "steps": steps}
            return backend.render(load(json.dumps(document, indent=1)))

        fits, too_large = 0, 2_000_000
        while too_large - fits > 2000:
            size = (fits + too_large) // 2
            refused = fails(lambda size=size: rendered(size))
            fits, too_large = (fits, size) if refused else (size, too_large)
        assert isinstance(fails(lambda: rendered(too_large)), RefusedError)
        assert fits > 100_000
        backend.validate(rendered(fits))
