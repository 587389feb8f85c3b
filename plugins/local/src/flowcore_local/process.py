"""Runs attempts as processes of this machine, so that another supervisor can take them over at any moment.

Nobody can wait for a process that is not its child, so each attempt is a small ``sh`` in a session of its own that
holds a lock for as long as it lives, and writes the exit code of the step's command into the locked file. A lock that
is held: the attempt runs. Free, with a code: it ended. Free without a word: it never began. Free, begun, no code: lost.

The file is used again by later attempts and never cut, which would cost half as much as a process. So each line in it
begins with the attempt's number. Numbers only grow: no rest of an older attempt's lines can be taken for a newer one's.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Final

from flowcore.plugin import Step
from flowcore_local.action import memory_limit, working_folder
from flowcore_local.launcher import Adoption, CannotStart, Exit, Launch, News

_LOCK: Final = 9
_SH: Final = "/bin/sh"
_WRAPPER: Final = (
    # The shell outlives TERM to report how the command took it; a trap, unlike an ignored signal, is not inherited.
    'trap : TERM INT HUP; n=$1; echo "$n $$" >&9; cd "$2" || { echo "$n 126" >&9; exit; }; shift 2; '
    # exec, since the command is a program and never a builtin of this shell; in parentheses, which fork.
    '(exec "$@" 9>&-); echo "$n $?" >&9'
)
_SIGNALS: Final = tuple(
    getattr(signal, name)
    for name in ("SIGPIPE", "SIGXFSZ", "SIGINT", "SIGQUIT", "SIGHUP", "SIGTERM", "SIGCHLD", "SIGIO")
)
_SAMPLE: Final = 0.2
"""Seconds between two looks at the memory of attempts that have a limit."""


class ProcessLauncher:
    """A launcher for plain processes; one for each supervisor, in its main thread."""

    apart = False

    def __init__(self) -> None:
        self._pids: dict[int, int] = {}
        """Process of each attempt that is a child of this process."""
        self._seqs: dict[int, int] = {}
        self._adopted: dict[int, str] = {}
        self._folders: dict[int, str] = {}
        self._limits: dict[int, int] = {}
        self._begun: list[tuple[int, float]] = []
        self._sampled = 0.0
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.fstat(_LOCK)
        except OSError:
            # No lock may get this number itself, since the number is its place in the child.
            os.dup2(self._null, _LOCK, inheritable=False)
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK) if hasattr(os, "pipe2") else _pipe()
        self._old_handler = signal.signal(signal.SIGCHLD, _noticed)
        self._old_wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def prepare(self, launch: Launch) -> None:
        if not launch.argv or launch.entry_point:
            raise CannotStart("it names only an image, and a process needs a command")
        find_program(launch.argv[0], launch.env.get("PATH", os.defpath), launch.work)

    def start(self, launch: Launch) -> None:
        lock = os.open(f"{launch.folder}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            pid = os.posix_spawn(
                _SH,
                ["sh", "-c", _WRAPPER, "flow", str(launch.seq), launch.work, *launch.argv],
                launch.env,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, self._null, 0),
                    (os.POSIX_SPAWN_OPEN, 1, launch.stdout, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                    (os.POSIX_SPAWN_OPEN, 2, launch.stderr, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                    (os.POSIX_SPAWN_DUP2, lock, _LOCK),
                ],
                setsigmask=[],
                setsigdef=_SIGNALS,
                **_NEW_SESSION,
            )
        except ValueError as error:
            raise CannotStart(f"it cannot be started: {error}") from None
        except OSError as error:
            if error.errno == errno.E2BIG:
                raise CannotStart("its arguments or its environment are longer than the kernel takes") from None
            raise CannotStart(f"it cannot be started: {error.strerror}", "capacity") from None
        finally:
            os.close(lock)
        self._pids[launch.seq] = pid
        self._seqs[pid] = launch.seq
        self._folders[launch.seq] = launch.folder
        self._begun.append((launch.seq, time.time()))
        if launch.memory is not None:
            self._limits[launch.seq] = launch.memory

    def begun(self) -> list[tuple[int, float]]:
        begun, self._begun = self._begun, []
        return begun

    def stop(self, seq: int, kill: bool) -> None:
        pid = self._pids.get(seq)
        if pid is None and seq in self._adopted and _held(self._adopted[seq]):
            # Only while its lock is held is the process with that number surely still the attempt's.
            pid = _report(self._adopted[seq], seq)[0]
        if pid is not None:
            _signal_group(pid, signal.SIGKILL if kill else signal.SIGTERM)

    def working_folder(self, step: Step, work: str) -> str:
        return working_folder(step, work)

    def news(self) -> list[News]:
        return []  # a process waits for nothing

    def release(self, seq: int) -> None:
        """Its process was waited for."""

    def settled(self) -> bool:
        return True

    def adopt(
        self, step: Step, seq: int, meant: float, folder: str, streams: tuple[str, str], written: tuple[int, int]
    ) -> Adoption | Exit:
        if _held(folder):
            self._adopted[seq] = folder
            self._begun.append((seq, meant))
            memory = memory_limit(step)
            if memory is not None:
                self._limits[seq] = memory
            return "running"
        pid, code, finished = _report(folder, seq)
        if pid is None:
            return "never"
        _end_orphans(pid, folder)
        return Exit(seq, code, finished)

    def descriptors(self) -> Iterable[int]:
        return (self._read,)

    def pause(self) -> float | None:
        if self._adopted:
            return 0.05
        return _SAMPLE if self._limits else None

    def exits(self) -> list[Exit]:
        try:
            while os.read(self._read, 4096):
                pass
        except BlockingIOError:
            pass
        found: list[Exit] = []
        while self._seqs:
            pid = _ended_child()
            if pid is None:
                break
            seq = self._seqs.pop(pid, None)
            if seq is None:
                continue
            del self._pids[seq]
            _, code, _ = _report(self._folders.pop(seq), seq)
            self._limits.pop(seq, None)
            found.append(Exit(seq, code))
        for seq, folder in list(self._adopted.items()):
            if not _held(folder):
                del self._adopted[seq]
                self._limits.pop(seq, None)
                pid, code, finished = _report(folder, seq)
                if pid is not None:
                    _end_orphans(pid, folder)
                found.append(Exit(seq, code, finished))
        return found

    def excessive(self) -> list[int]:
        if not self._limits or time.monotonic() - self._sampled < _SAMPLE:
            return []
        self._sampled = time.monotonic()
        used = _memory_of_sessions()
        over: list[int] = []
        for seq, limit in self._limits.items():
            pid = self._pids.get(seq) or _report(self._adopted[seq], seq)[0]
            if pid is not None and used.get(pid, 0) > limit:
                over.append(seq)
        return over

    def end_all(self, attempts: Iterable[tuple[int, str]]) -> None:
        for seq, folder in attempts:
            pid = _report(folder, seq)[0] if _held(folder) else None
            if pid is not None:
                _signal_group(pid, signal.SIGKILL)

    def close(self) -> None:
        signal.set_wakeup_fd(self._old_wakeup)
        signal.signal(signal.SIGCHLD, self._old_handler)
        for descriptor in (self._read, self._write, self._null):
            os.close(descriptor)


_NEW_SESSION: Final = {"setsid": True} if sys.platform.startswith("linux") else {"setpgroup": 0}


def _noticed(number: int, frame: object) -> None:
    """Only the wakeup descriptor matters."""


def _pipe() -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends


def find_program(program: str, path: str, work: str) -> str:
    """Where a program is, as exec would find it.

    Raises:
        CannotStart: if it is nowhere, or is none.
    """
    if "/" in program:
        place = os.path.join(work, program)
        if not os.path.isfile(place):
            raise CannotStart(f"there is no program {program}")
        if not os.access(place, os.X_OK):
            raise CannotStart(f"{program} is not a program that can be run (it has no x permission)")
        return place
    known = _found.get((program, path))
    if known is not None and os.access(known, os.X_OK):
        return known
    for folder in path.split(":"):
        place = os.path.join(work, folder, program)
        if os.access(place, os.X_OK) and os.path.isfile(place):
            if os.path.isabs(folder):
                _found[program, path] = place
                if len(_found) > 1000:
                    _found.clear()
            return place
    raise CannotStart(f"there is no program {program!r} in PATH")


_found: dict[tuple[str, str], str] = {}
"""Where programs were the last time, which is checked again with one call."""


def _held(folder: str) -> bool:
    """Whether the attempt's shell lives."""
    try:
        lock = os.open(f"{folder}/lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _report(folder: str, seq: int) -> tuple[int | None, int | None, float | None]:
    """What the attempt's shell wrote: its process (None: it never began), the exit code, and when."""
    try:
        lock = os.open(f"{folder}/lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None, None, None
    try:
        lines = os.read(lock, 128).split(b"\n")
        began, ended = (_field(lines[place], seq) if place < len(lines) - 1 else None for place in (0, 1))
        if began is None or ended is None:
            return began, None, None
        return began, ended, os.fstat(lock).st_mtime
    finally:
        os.close(lock)


def _field(line: bytes, seq: int) -> int | None:
    """The number that a line says of an attempt."""
    fields = line.split(b" ")
    return int(fields[1]) if len(fields) == 2 and fields[0] == b"%d" % seq else None


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # it has just ended


def _end_orphans(session: int, folder: str) -> None:
    """Kill what an attempt left running, when its shell is not this process's child.

    The shell's number may be another process's by now, so only processes with the attempt's own environment are meant.
    """
    mark = f"FLOW_OUTPUTS={folder}/out".encode()
    for pid, fields in _processes():
        if int(fields[3]) == session:
            try:
                with open(f"/proc/{pid}/environ", "rb") as file:
                    if mark in file.read().split(b"\0"):
                        os.kill(pid, signal.SIGKILL)
            except OSError:
                pass  # it has just ended


def _processes() -> Iterator[tuple[int, list[bytes]]]:
    """Every process with the fields of its ``/proc`` stat after the name; none where there is no ``/proc``."""
    try:
        names = os.listdir("/proc")
    except OSError:
        return
    for name in names:
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    # The name of a program is in parentheses and may hold anything, these too.
                    yield int(name), file.read().rpartition(b")")[2].split()
            except OSError:
                continue


if hasattr(os, "waitid"):

    def _ended_child() -> int | None:
        """A child that ended, waited for, and everything that it left behind in its session killed."""
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return None
        if found is None:
            return None
        # As long as it has not been waited for, no other process group can have its number.
        _signal_group(found.si_pid, signal.SIGKILL)
        os.waitpid(found.si_pid, 0)
        return found.si_pid

else:  # pragma: no cover - macOS before Python 3.13

    def _ended_child() -> int | None:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid == 0:
            return None
        _signal_group(pid, signal.SIGKILL)
        return pid


def _memory_of_sessions() -> dict[int, int]:
    """Resident bytes by session (by process group where there is no /proc), of all processes that can be seen."""
    if not os.path.isdir("/proc/self"):
        return _memory_by_ps()
    page = os.sysconf("SC_PAGE_SIZE")
    used: dict[int, int] = {}
    for _, fields in _processes():
        session = int(fields[3])
        used[session] = used.get(session, 0) + int(fields[21]) * page
    return used


def _memory_by_ps() -> dict[int, int]:
    import subprocess

    text = subprocess.run(["ps", "-axo", "pgid=,rss="], capture_output=True, text=True, check=False).stdout
    used: dict[int, int] = {}
    for line in text.splitlines():
        group, kilobytes = line.split()
        used[int(group)] = used.get(int(group), 0) + int(kilobytes) * 1024
    return used
