"""What Tekton can be made to do, and how: the table that the backend declares and that the docs print."""

from __future__ import annotations

from typing import Final

HOW: Final[dict[str, str]] = {
    "outputs": "results of the task, as JSON; those that are too long go through a workspace of the run",
    "outputs.typed": "checked by a step behind the document's",
    "outputs.default": "filled in by that step, or by the reader's",
    "when": "`when`, where it compares strings or integers; else decided by a step before the document's",
    "when.logic": "decided by a step before the document's",
    "needs.status": "`when` on the result `flow-status` of the other task",
    "fail_fast.off": "`onError: continue` on every task, and a finally task that fails if one of them did",
    "continue": "`onError: continue`",
    "retry": "`retries`",
    "retry.backoff": "the wait is in the step before the document's",
    "retry.only": "an attempt that is not to be repeated ends well, and says in `flow-status` that it failed; one whose"
    " pod was lost or never started cannot say it, and is repeated",
    "timeout": "the step's `timeout`",
    "run_timeout": "`timeouts.tasks`",
    "foreach": "`matrix`",
    "foreach.dynamic": "`matrix` over the indices that a task before it gives",
    "fanin": "`$(tasks.NAME.results.OUTPUT[*])`, or a task that gathers",
    "fanin.partial": "a task that gathers",
    "nested": "its steps, with prefixed names, and a task before and behind them where they are decided together",
    "artifacts": "a workspace of the run on a volume claim",
    "volumes": "volumes of the task; those of a size are folders of the run's workspace",
    "secrets": "`env`, `envFrom` and volumes",
    "parallelism": "`runAfter`: with N slots there are N lanes of tasks, and in each one runs after another",
    "on_exit": "one finally task a step",
    "manifest": "a step of Python that creates the object as the run's service account, and waits",
    "script": "a file out of a config map of the run",
    "python": "a file out of a config map of the run",
}
"""Each capability with what a PipelineRun has for it."""

WHY_NOT: Final[dict[str, str]] = {
    "stdout": "there is `stdoutConfig` only in the alpha API; flowcore's `sh` wrapper writes the output instead",
    "repeat": "a pipeline has no loops; the iterations become tasks of their own, one behind the other",
    "foreach.nested": "a matrix is of one task, so an inner workflow cannot run once an item of a list that only the"
    " run knows; a list that is known before becomes steps",
    "cache": "Tekton keeps no results of earlier runs",
}
"""Each capability that is not declared, and why; what the core makes of some of them all the same."""

CAN: Final = frozenset(HOW)
