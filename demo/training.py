"""What a team's training code looks like, on a data set that ships with scikit-learn."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split

SEED = 7


@dataclass(frozen=True, slots=True)
class Trained:
    """A model in a folder, and what its training measured."""

    folder: Path
    metrics: dict[str, float]


def write_data(folder: Path) -> Path:
    """Write the data set as a file, as an ingestion would."""
    folder.mkdir(parents=True)
    cancer = load_breast_cancer()
    table = np.column_stack([cancer.data, cancer.target])
    header = ",".join([*cancer.feature_names, "target"])
    np.savetxt(folder / "cancer.csv", table, fmt="%.10g", delimiter=",", header=header)
    return folder


def train(data: Path, folder: Path, params: dict[str, Any]) -> Trained:
    """Train a classifier on the data set's file, and save it."""
    features, answers = read(data)
    x, x_test, y, y_test = train_test_split(features, answers, random_state=SEED)
    model = RandomForestClassifier(random_state=SEED, **params).fit(x, y)
    folder.mkdir(parents=True)
    skops.io.dump(model, folder / "model.skops")
    scores = model.predict_proba(x_test)[:, 1]
    metrics = {
        "auc": float(roc_auc_score(y_test, scores)),
        "accuracy": float(accuracy_score(y_test, model.predict(x_test))),
    }
    return Trained(folder, metrics)


def read(data: Path) -> tuple[Any, Any]:
    """Read the data set's file: features and answers."""
    table = np.loadtxt(data / "cancer.csv", delimiter=",")
    return table[:, :-1], table[:, -1].astype(int)
