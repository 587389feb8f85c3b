"""Retries with a growing wait, and a step that runs at the end whatever happened.

flow run examples/features/clean_up.py
"""

import flowcore as flow


@flow.step(retry=flow.Retry(limit=2, backoff=flow.Backoff(initial="100ms", factor=2)), timeout="1m")
def flaky() -> int:
    import os

    attempt = int(os.environ["FLOW_ATTEMPT"])
    if attempt < 3:
        raise OSError(f"attempt {attempt} fails")
    return attempt


@flow.step
def clean_up(phase: str) -> None:
    print("the run has", phase)


@flow.workflow(name="clean-up")
def tidy():
    attempt = flaky()
    flow.on_exit(clean_up)(phase=flow.run.phase)
    return {"attempts": attempt.result}


if __name__ == "__main__":
    flow.main(tidy)
