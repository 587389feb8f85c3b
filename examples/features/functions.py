"""Steps are functions and params come from the workflow's signature; types are those of the annotations.

flow run examples/features/functions.py -p who=you
"""

import flowcore as flow


@flow.step
def greet(who: str, times: int) -> str:
    return ", ".join([f"hello {who}"] * times)


@flow.step
def shout(text: str) -> str:
    return text.upper()


@flow.workflow
def functions(who: str = "world", times: int = 2):
    greeting = greet(who=who, times=times)  # a call makes a step
    return {"text": shout(text=greeting.result).result}  # a result that is passed on makes the order


if __name__ == "__main__":
    flow.main(functions)
