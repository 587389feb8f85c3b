"""A workflow that is called in another one is a step of it, with steps of its own.

flow run examples/features/nested.py:nested
"""

import flowcore as flow


@flow.step
def check(table: str) -> str:
    return f"{table} is fine"


@flow.step
def upload(report: str) -> str:
    return f"uploaded: {report}"


@flow.workflow
def publish(table: str):
    return {"line": upload(report=check(table=table).result).result}


@flow.workflow
def nested(tables: list[str] = ["orders", "users"]):
    lines = publish.foreach(tables)(table=flow.item)
    return {"lines": lines.outputs["line"]}


if __name__ == "__main__":
    flow.main(nested)
