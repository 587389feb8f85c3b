"""Containers and scripts beside functions: commands, environment, typed outputs, artifacts.

flow run examples/features/commands.py
"""

import flowcore as flow


@flow.workflow
def commands(rows: int = 3):
    table = flow.script(
        "extract",
        'seq "$ROWS" > "$TABLE"',
        image="busybox:1",
        env={"ROWS": rows, "TABLE": flow.own("table").path},
        outputs={"table": flow.Output(artifact=True)},
    )
    lines = flow.script(
        "count",
        'wc -l < "$TABLE" > "$FLOW_OUTPUTS/lines"',
        image="busybox:1",
        env={"TABLE": table.outputs["table"].path},
        outputs={"lines": int},
    )
    flow.container("show", image="busybox:1", command=["echo", f"{lines.outputs['lines']} lines"])
    return {"lines": lines.outputs["lines"]}


if __name__ == "__main__":
    flow.main(commands)
