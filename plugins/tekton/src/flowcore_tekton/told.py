"""What only the logs of pods tell: outputs that are too long for a result, and programs that could not be started.

Each log is asked for once; a run whose pods are gone has lost it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import Factory, define, field, frozen

from flowcore.plugin import Json
from flowcore_kubernetes import PODS, ApiError, Client
from flowcore_tekton.places import LOGGED, MAIN, SEAL, STATUS, TOO_LONG
from flowcore_tekton.status import Status, main_of, results_of
from flowcore_tekton.tracking import Seen, is_over

_NO_PROGRAM: Final = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d Error executing command: (?!\(ExitError\))(.*)")
"""What Tekton's entrypoint writes last if it cannot start a program; it then ends with exit code 1."""


@frozen
class Told:
    """``outputs``: of each TaskRun, by name. ``programs``: why the program of a pod could not be started."""

    outputs: Mapping[str, Mapping[str, Json]] = Factory(dict)
    programs: Mapping[str, str] = Factory(dict)


@define
class Listener:
    """Asks for logs, and remembers them by the uid of the TaskRun and the pod."""

    client: Client
    _outputs: dict[tuple[str, str], dict[str, Json]] = field(factory=dict)
    _programs: dict[tuple[str, str], str] = field(factory=dict)

    def told(self, seen: Seen) -> Told:
        """What the logs of a run tell, of attempts that have ended."""
        outputs: dict[str, Mapping[str, Json]] = {}
        programs: dict[str, str] = {}
        for name, task in seen.tasks.items():
            for status in _ended(task):
                pod = str(status.get("podName") or "")
                key = (task["metadata"]["uid"], pod)
                if TOO_LONG in results_of(status).values():
                    if key not in self._outputs:
                        self._outputs[key] = outputs_in(self._log(seen, pod, SEAL))
                    outputs[name] = self._outputs[key]
                elif _may_lack_program(status):
                    if key not in self._programs:
                        found = _NO_PROGRAM.fullmatch(self._log(seen, pod, MAIN, tailLines="1").strip())
                        self._programs[key] = found[1] if found else ""
                    programs[pod] = self._programs[key]
        return Told(outputs, programs)

    def _log(self, seen: Seen, pod: str, step: str, **query: str) -> str:
        request = self.client.request("get", PODS, pod, seen.run["metadata"]["namespace"], "log")
        try:
            return self.client.bytes_of(request, {"container": f"step-{step}", **query}).decode("utf-8", "replace")
        except ApiError:
            return ""  # it is gone


def _ended(task: Mapping[str, Any]) -> Iterator[Status]:
    status = task.get("status") or {}
    yield from status.get("retriesStatus") or ()
    if is_over(task):
        yield status


def _may_lack_program(status: Status) -> bool:
    main = main_of(status)
    failed = main.get("terminationReason") == "Error" and (main.get("terminated") or {}).get("exitCode") == 1
    return failed and STATUS not in results_of(status)


def outputs_in(log: str) -> dict[str, Json]:
    """The outputs that the log of a sealing step has, each in one line."""
    rows = [line.split(" ", 2) for line in log.split("\n") if line.startswith(f"{LOGGED} ")]
    return {name: json.loads(text) for _, name, text in rows}
