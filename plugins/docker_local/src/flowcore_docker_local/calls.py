"""Calls to the engine: a client for each thread, and the patience to wait for an engine that is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from flowcore_docker_local.endpoint import Endpoint, cause, make_client

if TYPE_CHECKING:
    import docker

T = TypeVar("T")

PAUSES: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between two tries; the last goes on."""


class Closing(Exception):
    """This supervisor is about to leave."""


class Lost(Exception):
    """The engine did not answer for longer than the patience."""


class Calls:
    """The engine at an address, for any number of threads."""

    def __init__(self, endpoint: Endpoint, version: str, patience: float) -> None:
        self.endpoint = endpoint
        self.version = version
        self._patience = patience
        self._clients = threading.local()
        self._closing = threading.Event()

    def client(self) -> docker.APIClient:
        client: docker.APIClient | None = getattr(self._clients, "client", None)
        if client is None:
            client = self._clients.client = make_client(self.endpoint, self.version)
        return client

    def patiently(self, call: Callable[[], T]) -> T:
        """Make a call again and again until the engine answers.

        Raises:
            Lost: if it does not for too long.
        """
        from docker.errors import APIError
        from requests.exceptions import RequestException

        since = time.monotonic()
        tries = 0
        while True:
            try:
                return call()
            except APIError:
                raise  # it answered (an APIError is a RequestException, too)
            except (RequestException, OSError) as error:
                if self._closing.is_set():
                    raise Closing from None
                if time.monotonic() - since > self._patience:
                    raise Lost(f"the engine did not answer for {self._patience:g} s ({cause(error)})") from None
            self.pause(PAUSES[min(tries, len(PAUSES) - 1)])
            tries += 1

    def pause(self, seconds: float) -> None:
        """Wait, unless everything ends meanwhile."""
        self._closing.wait(seconds)

    def close(self) -> None:
        """Have no patience any more."""
        self._closing.set()
