"""How the trained model and its artifacts do on the test split."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np

from keras_nnx.export.proof.runtimes import Inputs
from keras_nnx.export.report import Artifact
from keras_nnx.export.verify import open_runtime
from keras_nnx.export.workers import borrowed_worker

MOST_MISTAKES = 24


@dataclasses.dataclass(frozen=True)
class Mistake:
    """A test picture that the model names wrongly."""

    pixels: np.ndarray
    expected: int
    predicted: int
    score: float


def test_arrays(split: object) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures and the labels of a pipeline as two arrays."""
    pictures, labels = zip(*((np.asarray(x), np.asarray(y)) for x, y in split), strict=True)  # type: ignore[attr-defined]
    return np.concatenate(pictures), np.concatenate(labels)


def model_scores(model: keras.Model, pictures: np.ndarray) -> np.ndarray:
    """Return the scores that Keras computes, one row a picture."""
    return np.asarray(model(pictures, training=False))


def artifact_scores(artifact: Artifact, pictures: np.ndarray, input_name: str, output_name: str) -> np.ndarray:
    """Return the scores that an artifact computes in its own runtime."""
    inputs: Inputs = {input_name: pictures}
    with borrowed_worker() as worker:
        runtime = open_runtime(artifact.format, artifact.path, worker)
        return runtime.run([inputs])[0][0][output_name]


def accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of rows whose largest score is that of the label."""
    return float((scores.argmax(axis=1) == labels).mean())


def confusion_matrix(scores: np.ndarray, labels: np.ndarray) -> list[list[int]]:
    """Return counts by true class (row) and predicted class (column)."""
    classes = scores.shape[1]
    matrix = np.zeros((classes, classes), int)
    np.add.at(matrix, (labels, scores.argmax(axis=1)), 1)
    return matrix.tolist()


def mistakes(scores: np.ndarray, labels: np.ndarray, pictures: np.ndarray) -> list[Mistake]:
    """Return the wrongly named pictures, the surest mistake first."""
    predicted = scores.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    wrong = wrong[np.argsort(-scores[wrong, predicted[wrong]], kind="stable")]
    return [Mistake(pictures[i], int(labels[i]), int(predicted[i]), float(scores[i, predicted[i]])) for i in wrong]
