"""One step for each item of a list that is known only when the workflow runs, and one that gathers their results.

flow run examples/features/fan_out.py
"""

import flowcore as flow


@flow.step
def list_words(text: str) -> list[str]:
    return text.split()


@flow.step
def count(word: str) -> int:
    return len(word)


@flow.step
def add(numbers: list[int]) -> int:
    return sum(numbers)


@flow.workflow
def fan_out(text: str = "to be or not to be"):
    words = list_words(text=text)
    counts = count.foreach(words.result)(word=flow.item)
    return {"letters": add(numbers=counts.result).result}


if __name__ == "__main__":
    flow.main(fan_out)
