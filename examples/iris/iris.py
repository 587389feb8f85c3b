"""The classic SQLFlow program as a workflow: SELECT from a table TO TRAIN a classifier, then TO PREDICT into another.

    load --> train (one per learning rate) --> best --> evaluate --> report
                                                    \\-> predict -/

The classifier is a softmax regression in plain Python, the database is SQLite, so the steps need nothing but python3.
Run it on this machine:

    python examples/iris/iris.py run --backend local

The same workflow as a document is iris.yaml beside this file.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import flowcore as flow


def read(database: str, select: str, label: str) -> tuple[list[list[float]], list[str]]:
    """The rows of a SELECT as features (every column but the label) and labels."""
    import sqlite3

    connection = sqlite3.connect(database)
    cursor = connection.execute(select)
    columns = [column[0] for column in cursor.description]
    place = columns.index(label)
    rows = cursor.fetchall()
    connection.close()
    return [[*row[:place], *row[place + 1 :]] for row in rows], [row[place] for row in rows]


def probabilities(model: dict, features: list[float]) -> list[float]:
    """How likely each class of the model is for one row."""
    import math

    scaled = [(x - mean) / scale for x, mean, scale in zip(features, model["means"], model["scales"])]
    scores = [sum(w * x for w, x in zip(weights, [1.0, *scaled])) for weights in model["weights"]]
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    return [power / sum(powers) for power in powers]


def classify(model: dict, features: list[float]) -> str:
    """The most likely class of one row."""
    chances = probabilities(model, features)
    return model["classes"][chances.index(max(chances))]


@flow.step
def load(csv: str) -> Path:
    """Put the rows into SQLite: 90 to train on, 30 to choose a model by, 30 to measure it by."""
    import sqlite3
    from pathlib import Path

    header, *lines = csv.split()
    columns = header.split(",")
    rows = [line.split(",") for line in lines]
    connection = sqlite3.connect("iris.db")
    for table, parts in {"train": (0, 1, 2), "validate": (3,), "test": (4,)}.items():
        types = ", ".join(f"{name} {'TEXT' if name == 'species' else 'REAL'}" for name in columns)
        connection.execute(f"CREATE TABLE iris_{table} ({types})")
        marks = ", ".join("?" for _ in columns)
        chosen = [row for number, row in enumerate(rows) if number % 5 in parts]
        connection.executemany(f"INSERT INTO iris_{table} VALUES ({marks})", chosen)
        print(f"iris_{table}: {len(chosen)} rows")
    connection.commit()
    connection.close()
    return Path("iris.db")


@flow.step(uses=[read, probabilities, classify])
def train(database: Path, label: str, rate: float, epochs: int) -> dict:
    """SELECT * FROM iris_train TO TRAIN a softmax regression WITH this learning rate LABEL species."""
    rows, labels = read(str(database), "SELECT * FROM iris_train", label)
    columns = list(zip(*rows))
    means = [sum(column) / len(column) for column in columns]
    scales = [(sum((x - m) ** 2 for x in column) / len(column)) ** 0.5 for column, m in zip(columns, means)]
    classes = sorted(set(labels))
    weights = [[0.0] * (len(columns) + 1) for _ in classes]
    model = {"rate": rate, "classes": classes, "means": means, "scales": scales, "weights": weights}
    for _ in range(epochs):
        slopes = [[0.0] * (len(columns) + 1) for _ in classes]
        for features, actual in zip(rows, labels):
            inputs = [1.0, *((x - m) / s for x, m, s in zip(features, means, scales))]
            for name, slope, chance in zip(classes, slopes, probabilities(model, features)):
                error = chance - (name == actual)
                for place, value in enumerate(inputs):
                    slope[place] += error * value / len(rows)
        for weight, slope in zip(weights, slopes):
            for place, value in enumerate(slope):
                weight[place] -= rate * value
    rows, labels = read(str(database), "SELECT * FROM iris_validate", label)
    right = sum(classify(model, features) == actual for features, actual in zip(rows, labels))
    model["validation"] = right / len(rows)
    print(f"learning rate {rate}: {right} of {len(rows)} right")
    return model


@flow.step
def best(models: list[dict]) -> dict:
    """The model that did best on rows it was not trained on; the first of equals."""
    return max(models, key=lambda model: model["validation"])


class Quality(NamedTuple):
    accuracy: float
    confusion: dict


@flow.step(uses=[read, probabilities, classify])
def evaluate(database: Path, label: str, model: dict) -> Quality:
    """SELECT * FROM iris_test TO EVALUATE: how often the model is right, and what it takes for what."""
    rows, labels = read(str(database), "SELECT * FROM iris_test", label)
    confusion = {actual: dict.fromkeys(model["classes"], 0) for actual in model["classes"]}
    for features, actual in zip(rows, labels):
        confusion[actual][classify(model, features)] += 1
    accuracy = sum(confusion[name][name] for name in model["classes"]) / len(rows)
    print(f"accuracy {accuracy:.3f} on {len(rows)} rows")
    return Quality(round(accuracy, 4), confusion)


@flow.step(uses=[read, probabilities, classify])
def predict(database: Path, label: str, model: dict) -> Path:
    """SELECT * FROM iris_test TO PREDICT iris_predict.species: the database again, with one more table."""
    import shutil
    import sqlite3
    from pathlib import Path

    rows, _ = read(str(database), "SELECT * FROM iris_test", label)
    shutil.copyfile(database, "predicted.db")  # what another step left behind is for reading only
    connection = sqlite3.connect("predicted.db")
    connection.execute("CREATE TABLE iris_predict AS SELECT * FROM iris_test WHERE 0")
    guesses = [[*features, classify(model, features)] for features in rows]
    connection.executemany("INSERT INTO iris_predict VALUES (?, ?, ?, ?, ?)", guesses)
    connection.commit()
    connection.close()
    return Path("predicted.db")


@flow.step
def report(database: Path, models: list[dict], chosen: dict, accuracy: float, confusion: dict) -> Path:
    """What a person wants to know, as a page."""
    import sqlite3
    from pathlib import Path

    connection = sqlite3.connect(database)
    predicted = connection.execute("SELECT species, count(*) FROM iris_predict GROUP BY species ORDER BY 1").fetchall()
    connection.close()
    lines = ["# Iris", "", f"Accuracy on 30 unseen rows: **{accuracy:.1%}**", ""]
    lines += ["| learning rate | right on the validation rows | |", "|---|---|---|"]
    for model in models:
        mark = "chosen" if model["rate"] == chosen["rate"] else ""
        lines.append(f"| {model['rate']} | {model['validation']:.1%} | {mark} |")
    lines += ["", "| is \\ taken for | " + " | ".join(confusion) + " |", "|---" * (len(confusion) + 1) + "|"]
    for actual, guesses in confusion.items():
        lines.append(f"| {actual} | " + " | ".join(str(count) for count in guesses.values()) + " |")
    lines += ["", "Predicted into `iris_predict`: " + ", ".join(f"{count} {name}" for name, count in predicted) + "."]
    Path("report.md").write_text("\n".join(lines) + "\n")
    return Path("report.md")


@flow.workflow(name="iris")
def iris(
    data: str = Path(__file__).with_name("iris.csv").read_text(),
    label: str = "species",
    rates: list[float] = [0.001, 0.1, 1.0],
    epochs: int = 100,
):
    """Train a classifier of irises, pick the best of several learning rates, and report how good it is."""
    database = load(csv=data)
    models = train.foreach(rates)(database=database, label=label, rate=flow.item, epochs=epochs)
    chosen = best(models=models.result)
    quality = evaluate(database=database, label=label, model=chosen.result)
    predicted = predict(database=database, label=label, model=chosen.result)
    report(
        database=predicted,
        models=models.result,
        chosen=chosen.result,
        accuracy=quality.accuracy,
        confusion=quality.confusion,
    )
    return {"accuracy": quality.accuracy, "rate": chosen.result["rate"]}


if __name__ == "__main__":
    flow.main(iris)
