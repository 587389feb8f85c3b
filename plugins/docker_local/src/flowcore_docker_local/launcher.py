"""Runs attempts as containers: one thread watches them all, a few short-lived calls at a time go to the engine.

The engine is the record of what runs: a container carries its run and its attempt's number as labels, so another
supervisor finds it. What the engine cannot tell is kept in the attempt's folder: a mark, made after the container and
before its start. No container and no mark: it never began. A mark and no container: somebody removed it.

The output comes by an attachment that is made before the start, byte for byte. When that breaks off, the rest is read
from the engine's own record, which begins at the beginning.
"""

from __future__ import annotations

import os
import queue
import selectors
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from attrs import define

from flowcore.plugin import Reason, Step
from flowcore_docker_local import spec
from flowcore_docker_local.calls import Calls, Closing, Lost
from flowcore_docker_local.containers import Containers
from flowcore_docker_local.endpoint import Endpoint
from flowcore_docker_local.images import Images
from flowcore_docker_local.streams import Demultiplexer, Lines, Stream, StreamRefused, open_stream, there
from flowcore_docker_local.words import CUT_SHORT, LOST_SIGNALS, not_started, refusal, spoken
from flowcore_local.action import memory_limit
from flowcore_local.engine import size_of
from flowcore_local.launcher import Adoption, CannotStart, Exit, Launch, News

AT_ONCE: Final = 8
"""Calls to the engine."""
_SLICES: Final = 16
"""Pieces of one container's output that are taken before the others have their turn."""
_TAIL: Final = 4096
_KILLED: Final = 128 + 9
_KERNELS_WORD: Final = (0.1, 0.2, 0.5, 1.0)
"""Seconds between looks for the word that the kernel ended a process for its memory, which may come after the end."""


@define
class _Attempt:
    """What is known of one attempt's container."""

    seq: int
    outputs: str
    wanted: frozenset[str]
    """Names of outputs that are files."""
    streams: tuple[str, str]
    written: tuple[int, int]
    limited: bool
    """Whether it may use only so much memory."""
    id: str = ""
    copied: bool = False
    """Whether its outputs are to be copied out of it."""
    started: bool = False
    stream: Stream | None = None
    sorter: Demultiplexer | None = None
    drained: bool = False
    code: int | None = None
    away: bool = False
    """Whether its end was not seen, since the engine was away."""
    signal: str = ""
    """The last one that was sent to it through the engine."""
    asked: bool = False
    """Whether one was sent from here."""
    stopping: str = ""
    """A signal to send as soon as it runs."""
    finishing: bool = False


class DockerLauncher:
    """A launcher for containers; one for each supervisor, in its main thread."""

    apart = True

    def __init__(
        self,
        run: str,
        folder: str,
        endpoint: Mapping[str, Any],
        *,
        version: str,
        processors: int,
        init: bool,
        mounted: bool,
        owned: str | None,
        image: str,
        network: str,
        claims: Mapping[str, str],
        keep: str,
        patience: float,
    ) -> None:
        """What of the engine never changes was asked at submit.

        Args:
            run: the run's id.
            folder: its folder.
            endpoint: the engine's address, see ``Endpoint``.
            version: of its API.
            processors: how many it has.
            init: whether it has the small init.
            mounted: whether it sees this machine's files.
            owned: the user in containers whose files are this user's own; None if all are, since this user is root.
            image: of steps that name none.
            network: of all containers.
            claims: what volumes' claims stand for.
            keep: which containers stay.
            patience: seconds without an answer after which what ran is lost.
        """
        self._run = run
        self._image = image
        self._claims = claims
        self._keep = keep
        self._calls = Calls(Endpoint(**endpoint), version, patience)
        self._images = Images(
            self._calls.client, lambda key, message: self._post(lambda: self._news.append(News(key, message)))
        )
        self._containers = Containers(
            self._calls,
            run,
            folder,
            machine=spec.Machine(processors, init),
            mounted=mounted,
            owned=owned,
            network=network,
            claims=claims,
            user_of=self._images.user,
        )
        self._pool = ThreadPoolExecutor(AT_ONCE, "engine")
        self._posted: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._read, selectors.EVENT_READ, None)
        self._attempts: dict[int, _Attempt] = {}
        self._leaving: dict[int, tuple[_Attempt, bool]] = {}
        """Attempts that ended but are not released, and whether their containers stay."""
        self._removing = 0
        self._begun: list[tuple[int, float]] = []
        self._ended: list[Exit] = []
        self._news: list[News] = []
        self._hot: set[int] = set()
        self._events: Stream | None = None
        self._lines = Lines()
        self._watching = False

    # From any thread

    def _post(self, change: Callable[[], None]) -> None:
        """Have something done in the main thread."""
        self._posted.put(change)
        try:
            os.write(self._write, b"!")
        except (BlockingIOError, OSError):
            pass  # it is full, so it wakes the loop anyway; or nobody listens any more

    def _submit(self, job: Callable[[], None]) -> None:
        self._pool.submit(self._guarded, job)

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Closing:
            pass
        except BaseException as error:
            problem = error

            def fail() -> None:
                raise problem

            # A mistake of this program ends the run with its traceback in the supervisor's log.
            self._post(fail)

    # What the engine is asked to start

    def prepare(self, launch: Launch) -> None:
        name = launch.image or self._image
        if not spec.is_image(name):
            raise CannotStart(f"{name!r} cannot be the name of an image", "image")
        for mount in launch.step.mounts.values():
            source = launch.volumes[mount.volume]
            if source.kind == "claim" and source.value not in self._claims:
                raise CannotStart(f"nothing says what the claim {source.value} stands for", "claim")
        self._images.need(name, launch.step.image_pull_policy or "if-missing")

    def start(self, launch: Launch) -> None:
        self._watch()
        attempt = _Attempt(
            launch.seq,
            launch.outputs,
            frozenset(name for name in launch.step.outputs if name != launch.step.stdout),
            (launch.stdout, launch.stderr),
            (size_of(launch.stdout), size_of(launch.stderr)),
            launch.memory is not None,
        )
        attempt.sorter = _sorter(attempt.streams)
        self._attempts[launch.seq] = attempt
        self._submit(lambda: self._begin(attempt, launch))

    def _watch(self) -> None:
        """Hear of containers' ends from now on."""
        if not self._watching:
            self._watching = True
            try:
                self._events = self._open_events()
            except (OSError, StreamRefused):
                self._submit(self._reconnect)
            else:
                self._selector.register(self._events, selectors.EVENT_READ, self._events)

    def _begin(self, attempt: _Attempt, launch: Launch) -> None:
        from docker.errors import APIError

        try:
            container, attempt.copied = self._containers.create(launch, launch.image or self._image)
            stream = self._calls.patiently(lambda: self._attach(container))
            self._post(lambda: self._attached(attempt, container, stream))
            with open(f"{launch.folder}/started", "w", encoding="ascii") as mark:
                mark.write(str(launch.seq))
            self._calls.patiently(lambda: self._calls.client().start(container))
        except (APIError, StreamRefused) as error:
            words = spoken(error)
            self._post(lambda: self._refused(attempt, refusal(words), words))
            self._containers.remove(launch.seq)
            if refusal(words) == "image":
                self._images.forget(launch.image or self._image)
        except Lost as error:
            words = str(error)
            self._post(lambda: self._refused(attempt, "lost", words))
        except OSError as error:
            words = f"its files cannot be made ready: {error}"
            self._post(lambda: self._refused(attempt, "backend", words))
            self._containers.remove(launch.seq)
        else:
            self._post(lambda: self._running(attempt))

    def _attach(self, container: str) -> Stream:
        path = f"/v{self._calls.version}/containers/{container}/attach"
        return open_stream(self._calls.endpoint, "POST", path, stream="1", stdout="1", stderr="1")

    # In the main thread again

    def _attached(self, attempt: _Attempt, container: str, stream: Stream) -> None:
        attempt.id = container
        self._follow(attempt, stream)

    def _follow(self, attempt: _Attempt, stream: Stream) -> None:
        attempt.stream = stream
        attempt.drained = False
        self._selector.register(stream, selectors.EVENT_READ, attempt)

    def _running(self, attempt: _Attempt) -> None:
        attempt.started = True
        self._begun.append((attempt.seq, time.time()))
        if attempt.stopping and attempt.code is None:
            self._signal(attempt, attempt.stopping)
        self._conclude(attempt)

    def begun(self) -> list[tuple[int, float]]:
        begun, self._begun = self._begun, []
        return begun

    def _refused(self, attempt: _Attempt, reason: Reason, words: str) -> None:
        self._close_stream(attempt)
        self._end(attempt, Exit(attempt.seq, None, None, reason, words), keep=False)

    def stop(self, seq: int, kill: bool) -> None:
        attempt = self._attempts.get(seq)
        if attempt is None or attempt.code is not None:
            return
        attempt.asked = True
        attempt.stopping = "KILL" if kill else attempt.stopping or "TERM"
        if attempt.started:
            self._signal(attempt, attempt.stopping)

    def _signal(self, attempt: _Attempt, name: str) -> None:
        from docker.errors import APIError

        def send() -> None:
            try:
                self._calls.patiently(lambda: self._calls.client().kill(attempt.id, name))
            except APIError:
                pass  # it ended meanwhile, of which an event tells
            except Lost:
                pass  # of which the watch tells

        self._submit(send)

    # How containers end

    def descriptors(self) -> Iterable[int]:
        return (self._selector.fileno(),)

    def pause(self) -> float | None:
        return 0.0 if self._hot else None

    def exits(self) -> list[Exit]:
        for key, _ in self._selector.select(0):
            if key.data is None:
                self._drain_pipe()
            elif isinstance(key.data, _Attempt):
                self._take(key.data)
            else:
                self._hear(key.data)
        for seq in list(self._hot):
            attempt = self._attempts.get(seq)
            if attempt is None or attempt.stream is None:
                self._hot.discard(seq)
            else:
                self._take(attempt)
        while True:
            try:
                change = self._posted.get_nowait()
            except queue.Empty:
                break
            change()
        ended, self._ended = self._ended, []
        return ended

    def news(self) -> list[News]:
        news, self._news = self._news, []
        return news

    def _drain_pipe(self) -> None:
        try:
            while os.read(self._read, 4096):
                pass
        except BlockingIOError:
            pass

    def _take(self, attempt: _Attempt) -> None:
        """Take a container's output."""
        stream, sorter = attempt.stream, attempt.sorter
        if stream is None or sorter is None:
            return
        for _ in range(_SLICES):
            data = stream.read()
            if data is None:
                break
            if not data:
                self._close_stream(attempt)
                attempt.drained = True
                self._conclude(attempt)
                return
            sorter.feed(data)
        if stream.more:
            self._hot.add(attempt.seq)
        else:
            self._hot.discard(attempt.seq)

    def _close_stream(self, attempt: _Attempt) -> None:
        if attempt.stream is not None:
            self._selector.unregister(attempt.stream)
            attempt.stream.close()
            attempt.stream = None
        self._hot.discard(attempt.seq)

    def _hear(self, stream: Stream) -> None:
        """Take what the engine says of containers."""
        while True:
            data = stream.read()
            if data is None:
                return
            if not data:
                self._selector.unregister(stream)
                stream.close()
                self._events = None
                self._submit(self._reconnect)
                return
            for event in self._lines.feed(data):
                self._happened(event)

    def _happened(self, event: Mapping[str, Any]) -> None:
        attributes = event.get("Actor", {}).get("Attributes", {})
        seq = attributes.get(spec.SEQ, "")
        attempt = self._attempts.get(int(seq)) if seq.isdigit() else None
        if attempt is None:
            return
        action = event.get("Action", "")
        if action == "kill":
            attempt.signal = str(attributes.get("signal", ""))
        elif action == "die":
            attempt.code = int(attributes.get("exitCode", 255))
            self._conclude(attempt)
        elif action == "destroy" and attempt.code is None and not attempt.finishing:
            self._refused(attempt, "lost", "its container was removed")

    def _conclude(self, attempt: _Attempt) -> None:
        """Look into an end once all is there: the code, the whole output."""
        if attempt.code is not None and attempt.drained and attempt.started and not attempt.finishing:
            attempt.finishing = True
            code = attempt.code
            self._submit(lambda: self._finish(attempt, code))

    def _finish(self, attempt: _Attempt, code: int) -> None:
        exit = self._exit(attempt, code)
        self._post(lambda: self._end(attempt, exit, keep=True))

    def _exit(self, attempt: _Attempt, code: int) -> Exit:
        """How an attempt ended, its outputs copied."""
        from docker.errors import APIError, NotFound

        seq = attempt.seq
        try:
            if code == 0 and not (attempt.signal in LOST_SIGNALS and not attempt.asked):
                if attempt.copied and attempt.wanted:
                    self._calls.patiently(
                        lambda: self._containers.copy_out(attempt.id, attempt.outputs, attempt.wanted)
                    )
                return Exit(seq, 0)
            state = self._state(attempt)
            for pause in _KERNELS_WORD if attempt.limited and code == _KILLED and not attempt.signal else ():
                if not state.get("OOMKilled"):
                    self._calls.pause(pause)
                    state = self._state(attempt)
            finished = _seconds(state.get("FinishedAt", ""))
            if state.get("OOMKilled"):
                return Exit(seq, None, finished, "out-of-memory", "it used more memory than it may")
            if attempt.signal in LOST_SIGNALS and not attempt.asked:
                words = f"somebody ended its container through the engine (signal {attempt.signal})"
                return Exit(seq, None, finished, "lost", words)
            if attempt.away and code in CUT_SHORT and not attempt.asked:
                return Exit(seq, None, finished, "lost", "its container ended together with the engine")
            words_of_init = not_started(code, _tail(attempt.streams[1]))
            if words_of_init is not None:
                return Exit(seq, None, finished, "command", words_of_init)
            return Exit(seq, code, finished)
        except NotFound:
            return Exit(seq, None, None, "lost", "its container was removed")
        except APIError as error:
            return Exit(seq, None, None, "backend", f"the engine says: {spoken(error)}")
        except Lost as error:
            return Exit(seq, None, None, "lost", str(error))

    def _state(self, attempt: _Attempt) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._calls.patiently(lambda: self._calls.client().inspect_container(attempt.id))
        state: Mapping[str, Any] = found["State"]
        return state

    def _end(self, attempt: _Attempt, exit: Exit, keep: bool) -> None:
        if self._attempts.pop(attempt.seq, None) is None:
            return
        if attempt.sorter is not None:
            attempt.sorter.close()
            attempt.sorter = None
        stays = keep and (self._keep == "always" or (self._keep == "failed" and exit.code != 0))
        self._leaving[attempt.seq] = (attempt, stays)
        self._ended.append(exit)

    def release(self, seq: int) -> None:
        attempt, stays = self._leaving.pop(seq, (None, True))
        if attempt is None or stays or not attempt.id:
            return
        self._removing += 1

        def remove() -> None:
            self._containers.remove(seq)
            self._post(self._removed)

        self._submit(remove)

    def _removed(self) -> None:
        self._removing -= 1

    def settled(self) -> bool:
        return not self._removing and not self._leaving

    # An engine that was away

    def _open_events(self) -> Stream:
        filters = f'{{"type":["container"],"label":["{spec.RUN}={self._run}"]}}'
        return open_stream(self._calls.endpoint, "GET", f"/v{self._calls.version}/events", filters=filters)

    def _reconnect(self) -> None:
        try:
            stream = self._calls.patiently(self._open_events)
            found = self._calls.patiently(self._containers.states)
        except (Lost, StreamRefused) as error:
            words = str(error)
            self._post(lambda: self._give_up(words))
        else:
            self._post(lambda: self._reconnected(stream, found))

    def _give_up(self, words: str) -> None:
        self._watching = False
        for attempt in list(self._attempts.values()):
            self._refused(attempt, "lost", words)

    def _reconnected(self, stream: Stream, found: Mapping[int, str]) -> None:
        self._events = stream
        self._lines = Lines()
        self._selector.register(stream, selectors.EVENT_READ, stream)
        for attempt in list(self._attempts.values()):
            if not attempt.started or attempt.finishing:
                continue  # its own call finds out
            self._close_stream(attempt)
            if attempt.seq not in found:
                self._refused(attempt, "lost", "its container is gone")
            else:
                attempt.drained = False
                attempt.away = True
                self._submit(lambda attempt=attempt: self._look_again(attempt))  # type: ignore[misc]

    def _look_again(self, attempt: _Attempt) -> None:
        """Go on with the output of a container, and see whether it still runs."""
        from docker.errors import APIError

        try:
            stream = self._calls.patiently(lambda: self._record(attempt))
            state = self._state(attempt)
        except (APIError, StreamRefused, Lost) as error:
            words = f"its container is gone: {spoken(error)}"
            self._post(lambda: self._refused(attempt, "lost", words))
            return
        self._post(lambda: self._seen(attempt, stream, state))

    def _record(self, attempt: _Attempt) -> Stream:
        path = f"/v{self._calls.version}/containers/{attempt.id}/logs"
        return open_stream(self._calls.endpoint, "GET", path, follow="1", stdout="1", stderr="1")

    def _seen(self, attempt: _Attempt, stream: Stream, state: Mapping[str, Any]) -> None:
        if attempt.seq not in self._attempts:
            stream.close()
            return
        if attempt.sorter is not None:
            attempt.sorter.close()
        out, err = (there(file, start) for file, start in zip(attempt.streams, attempt.written, strict=True))
        attempt.sorter = _sorter(attempt.streams, (out, err))
        self._follow(attempt, stream)
        if state["Running"]:
            attempt.away = False
        elif attempt.code is None:
            attempt.code = int(state["ExitCode"])
        self._conclude(attempt)

    # Another supervisor's attempts

    def working_folder(self, step: Step, work: str) -> str:
        return step.working_dir or ""  # the image's own

    def adopt(
        self, step: Step, seq: int, meant: float, folder: str, streams: tuple[str, str], written: tuple[int, int]
    ) -> Adoption | Exit:
        from docker.errors import APIError, NotFound

        self._watch()
        marked = _mark(folder) == seq
        wanted = frozenset(name for name in step.outputs if name != step.stdout)
        limited = memory_limit(step) is not None
        attempt = _Attempt(seq, f"{folder}/out", wanted, streams, written, limited)
        try:
            found = self._calls.patiently(
                lambda: self._calls.client().inspect_container(spec.container_name(self._run, seq))
            )
        except NotFound:
            return Exit(seq, None, None, "lost", "its container was removed") if marked else "never"
        except APIError as error:
            return Exit(seq, None, None, "lost", f"the engine says: {spoken(error)}")
        except Lost as error:
            return Exit(seq, None, None, "lost", str(error))
        attempt.copied = self._containers.copied(str(found["Config"].get("User") or ""))
        state = found["State"]
        attempt.id = str(found["Id"])
        if state["Status"] == "created":
            self._containers.remove(seq)
            return "never"
        attempt.started = True
        attempt.away = not state["Running"]
        self._attempts[seq] = attempt
        if state["Running"]:
            # The engine's clock may be another machine's.
            began = min(_seconds(state.get("StartedAt", "")) or meant, time.time())
            self._begun.append((seq, max(meant, began)))
            self._look_again(attempt)
            return "running"
        return self._late(attempt, int(state["ExitCode"]))

    def _late(self, attempt: _Attempt, code: int) -> Exit:
        """The end of an attempt that nobody saw, with what was not read of its output."""
        try:
            stream = self._calls.patiently(lambda: self._record(attempt))
        except (StreamRefused, Lost):
            pass  # then its output is lost, and its end is not
        else:
            out, err = (there(file, start) for file, start in zip(attempt.streams, attempt.written, strict=True))
            sorter = _sorter(attempt.streams, (out, err))
            with selectors.DefaultSelector() as selector:
                selector.register(stream, selectors.EVENT_READ)
                while True:
                    data = stream.read()
                    if data:
                        sorter.feed(data)
                    elif data is not None:
                        break
                    elif not stream.more:
                        selector.select()
            sorter.close()
            stream.close()
        exit = self._exit(attempt, code)
        self._end(attempt, exit, keep=True)
        self._ended.remove(exit)
        return exit

    # The rest

    def excessive(self) -> list[int]:
        return []  # the engine sees to memory itself

    def end_all(self, attempts: Iterable[tuple[int, str]]) -> None:
        for seq, _ in attempts:
            self._containers.remove(seq)

    def close(self) -> None:
        self._calls.close()
        self._images.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for attempt in self._attempts.values():
            if attempt.stream is not None:
                attempt.stream.close()
            if attempt.sorter is not None:
                attempt.sorter.close()
        if self._events is not None:
            self._events.close()
        self._selector.close()
        os.close(self._read)
        os.close(self._write)


def _sorter(
    streams: tuple[str, str], skip: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
) -> Demultiplexer:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    return Demultiplexer((os.open(streams[0], flags, 0o600), os.open(streams[1], flags, 0o600)), skip)


def _tail(file: str) -> bytes:
    with open(file, "rb") as data:
        data.seek(max(0, os.fstat(data.fileno()).st_size - _TAIL))
        return data.read()


def _mark(folder: str) -> int | None:
    """The attempt that was about to be started in a folder."""
    try:
        with open(f"{folder}/started", encoding="ascii") as mark:
            return int(mark.read() or 0)
    except (FileNotFoundError, ValueError):
        return None


def _seconds(text: str) -> float | None:
    """A time of the engine, RFC 3339 with nanoseconds, as seconds since the epoch."""
    from datetime import datetime, timezone

    try:
        whole, _, rest = text.rstrip("Z").partition(".")
        stamp = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
        return stamp + float(f"0.{rest[:6] or 0}")
    except ValueError:
        return None
