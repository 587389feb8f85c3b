"""Steps that run only under a condition, only after a failure, or although another one failed.

flow run examples/features/decisions.py
"""

import flowcore as flow


@flow.step
def measure() -> float:
    return 0.42


@flow.step
def publish(score: float) -> None:
    print("published", score)


@flow.step
def improve(score: float) -> None:
    print("trying to do better than", score)


@flow.step(continue_on_failure=True)
def notify() -> None:
    raise ConnectionError("nobody listens")


@flow.step
def log() -> None:
    print("nobody was told")


@flow.workflow
def decisions(wanted: float = 0.9):
    score = measure()
    publish.when(score.result >= wanted)(score=score.result)
    improve.when(score.result < wanted)(score=score.result)
    told = notify()
    log.options(needs={told: "failed"})()


if __name__ == "__main__":
    flow.main(decisions)
