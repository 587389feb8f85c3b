"""A step that is repeated until what it wrote is good enough.

flow run examples/features/waiting.py
"""

import flowcore as flow


@flow.workflow
def waiting():
    ready = flow.script(
        "wait-ready",
        'if [ "$TURN" -lt 3 ]; then echo no; else echo yes; fi > "$FLOW_OUTPUTS/ready"',
        image="busybox:1",
        env={"TURN": flow.iteration},
        outputs={"ready": str},
        repeat=flow.Repeat(until=flow.own("ready") == "yes", max=5),
    )
    return {"ready": ready.outputs["ready"]}


if __name__ == "__main__":
    flow.main(waiting)
