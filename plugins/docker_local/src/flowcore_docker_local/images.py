"""Images: each is looked for, and pulled, once for all attempts that need it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from typing import Literal as OneOf

from attrs import define, field

from flowcore_docker_local.spec import split_image
from flowcore_docker_local.words import is_settled, spoken
from flowcore_local.launcher import CannotStart, NotReady

if TYPE_CHECKING:
    import docker

Policy = OneOf["always", "if-missing", "never"]
_DELAYS: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between tries of a pull whose registry could not be asked; the last goes on."""
_REMEMBERED: Final = 10.0
"""Seconds for which an image that is not to be had is not asked for again."""
_NEWS: Final = 0.5
"""Seconds between two pictures of a pull's progress."""
_TOGETHER: Final = 3
"""Pulls at once."""


@define
class _Image:
    """What is known of an image under a policy."""

    state: OneOf["looking", "pulling", "there", "failed"] = "looking"
    message: str = ""
    since: float = 0.0


@define
class Layers:
    """How far the layers of a pull are, out of the lines that the engine sends."""

    layers: dict[str, tuple[str, int, int]] = field(factory=dict)
    """By layer: what happens to it, how many bytes of how many."""

    def take(self, line: Mapping[str, Any]) -> None:
        layer, status = line.get("id"), line.get("status", "")
        detail = line.get("progressDetail") or {}
        if not layer or status.startswith(("Pulling from", "Digest", "Status")):
            return
        _, done, size = self.layers.get(layer, ("", 0, 0))
        if status == "Downloading":
            done, size = int(detail.get("current", done)), int(detail.get("total", size))
        elif status in ("Download complete", "Verifying Checksum", "Pull complete"):
            done = size
        self.layers[layer] = (status, done, size)

    def __str__(self) -> str:
        """As ``2 of 3 layers, 40.1 of 50.2 MB (4f4fb700ef54 12.0 of 22.1 MB)``."""
        if not self.layers:
            return "asking the registry"
        ended = sum(status in ("Pull complete", "Already exists") for status, _, _ in self.layers.values())
        done = sum(done for _, done, _ in self.layers.values())
        size = sum(size for _, _, size in self.layers.values())
        text = f"{ended} of {len(self.layers)} layers, {done / 1e6:.1f} of {size / 1e6:.1f} MB"
        under_way = [
            f"{layer} {got / 1e6:.1f} of {all / 1e6:.1f} MB"
            for layer, (status, got, all) in self.layers.items()
            if status == "Downloading"
        ]
        return f"{text} ({', '.join(under_way)})" if under_way else text


class Images:
    """The images of a run. ``told(key, message)`` is called from other threads; message None: ask again."""

    def __init__(self, connect: Callable[[], docker.APIClient], told: Callable[[str, str | None], None]) -> None:
        self._connect = connect
        self._told = told
        self._known: dict[str, _Image] = {}
        self._users: dict[str, str] = {}
        self._lock = threading.Lock()
        self._turns = threading.Semaphore(_TOGETHER)
        self._closed = threading.Event()

    def need(self, name: str, policy: Policy) -> None:
        """Return if the image is there.

        Raises:
            NotReady: if it is looked for, or on its way.
            CannotStart: if it cannot be had.
        """
        key = f"{policy} {name}"
        with self._lock:
            image = self._known.get(key)
            if image is not None and image.state == "failed" and time.monotonic() - image.since > _REMEMBERED:
                image = None
            if image is None:
                image = self._known[key] = _Image(message=f"looking for the image {name}")
                threading.Thread(target=self._fetch, args=(key, name, policy), daemon=True, name="image").start()
            if image.state == "there":
                return
            if image.state == "failed":
                raise CannotStart(image.message, "image")
            raise NotReady(key, "image", image.message)

    def user(self, name: str) -> str:
        """Who an image's processes are unless a step says otherwise; empty: root."""
        return self._users.get(name, "")

    def forget(self, name: str) -> None:
        """An image that was there is not."""
        with self._lock:
            for policy in ("always", "if-missing", "never"):
                self._known.pop(f"{policy} {name}", None)

    def close(self) -> None:
        self._closed.set()

    def _fetch(self, key: str, name: str, policy: Policy) -> None:
        try:
            problem = self._have(key, name, policy)
        except Exception as error:
            problem = f"the image {name} cannot be had: {type(error).__name__}: {error}"
        with self._lock:
            state: OneOf["there", "failed"] = "there" if problem is None else "failed"
            self._known[key] = _Image(state, problem or "", time.monotonic())
        self._told(key, None)

    def _have(self, key: str, name: str, policy: Policy) -> str | None:
        """Get the image; says why it cannot be had."""
        from docker.errors import APIError, ImageNotFound
        from requests.exceptions import RequestException

        tries = 0
        while not self._closed.is_set():
            try:
                client = self._connect()
                if policy != "always":
                    try:
                        self._look(client, name)
                        return None
                    except ImageNotFound:
                        if policy == "never":
                            return f"the image {name} is not there, and image_pull_policy is never"
                with self._turns:
                    error = self._pull(client, key, name)
                if error is None:
                    self._look(client, name)
                    return None
                if is_settled(*error):
                    return f"the image {name} cannot be pulled: {error[1]}"
                words = error[1]
            except APIError as problem:
                if is_settled(problem.status_code, ""):
                    return f"the image {name} cannot be pulled: {spoken(problem)}"
                words = spoken(problem)
            except (RequestException, OSError) as problem:
                words = str(problem)
            delay = _DELAYS[min(tries, len(_DELAYS) - 1)]
            tries += 1
            self._tell(key, f"the image {name} cannot be pulled now, tried again in {delay:g} s: {words}")
            self._closed.wait(delay)
        return f"the image {name} was not pulled"

    def _look(self, client: docker.APIClient, name: str) -> None:
        config = client.inspect_image(name).get("Config") or {}
        self._users[name] = str(config.get("User") or "")

    def _pull(self, client: docker.APIClient, key: str, name: str) -> tuple[int | None, str] | None:
        """Pull; says how it failed: the HTTP status, if it was one, and the engine's words."""
        from docker.errors import APIError

        repository, tag = split_image(name)
        layers = Layers()
        shown = 0.0
        self._tell(key, f"pulling the image {name}: {layers}")
        try:
            lines: Iterator[Mapping[str, Any]] = client.pull(repository, tag, stream=True, decode=True)
            for line in lines:
                if "error" in line:
                    return None, " ".join(str(line["error"]).split())
                layers.take(line)
                if time.monotonic() - shown >= _NEWS:
                    shown = time.monotonic()
                    self._tell(key, f"pulling the image {name}: {layers}")
        except APIError as error:
            return error.status_code, spoken(error)
        return None

    def _tell(self, key: str, message: str) -> None:
        with self._lock:
            self._known[key] = _Image("pulling", message)
        self._told(key, message)
