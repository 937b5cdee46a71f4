"""From images to rows of features."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

_LARGEST_BATCH = 64

_LARGEST = 1e60  # its fourth power is a number, in float64


def extractor(owner: str, value: Any) -> Any:
    """Return `value` if it can extract features, or say what can."""
    if value is not None and not callable(value):
        raise ValueError(
            f"{owner}(extractor={value!r}) needs a keras.Model, a function from images to features, or None for the "
            f"images themselves."
        )
    return value


def extracted(owner: str, extractor: Any, images: Any) -> np.ndarray:  # b ... -> b f
    """Return finite features of images, one row each, in float32 or float64."""
    images = np.asarray(ops.convert_to_numpy(images))
    if not images.ndim:
        raise ValueError(f"{owner} expects a batch of images, with the batch as the first axis, but received a number.")
    if not len(images):
        return np.zeros((0, 0), "float32")
    if extractor is None:
        return _finite(owner, "the images", images.reshape(len(images), -1))
    answers = _predicted(extractor, images) if isinstance(extractor, keras.Model) else extractor(images)
    if isinstance(answers, dict | list | tuple):
        raise ValueError(
            f"{owner} expects one array of features from the extractor, but received a {type(answers).__name__} of "
            f"{len(answers)}: give an extractor with one output."
        )
    answers = np.asarray(ops.convert_to_numpy(answers))
    if answers.shape[:1] != images.shape[:1] or not answers.size:
        raise ValueError(
            f"{owner} expects features of shape (b, ...) for {len(images)} images, but the extractor answered "
            f"{answers.shape}."
        )
    last = answers.shape[-1] if answers.ndim > 1 else 1
    return _finite(owner, "the features", answers.reshape(len(answers), -1, last)).mean(axis=1)


def _finite(owner: str, what: str, values: np.ndarray) -> np.ndarray:
    """Return real numbers in float32 at least, or say how many rows are none."""
    if values.dtype.kind in "OSUc":
        raise ValueError(f"{owner} expects real numbers, but {what} are of type {values.dtype}.")
    values = values.astype(np.result_type(values.dtype, np.float32), copy=False)
    wrong = len(values) - int(np.isfinite(values).reshape(len(values), -1).all(axis=1).sum())
    if wrong:
        raise ValueError(
            f"{owner} expects finite numbers, but {what} of {wrong} of {len(values)} images have NaN or infinity: look "
            f"for what makes them, since no distance could be right."
        )
    largest = float(np.abs(values).max()) if values.size else 0.0
    if largest > _LARGEST:
        raise ValueError(f"{owner} cannot compute with {what} up to {largest:.0e}: scale them down.")
    return values


def _predicted(model: Any, images: np.ndarray) -> Any:
    """Return a model's answers, by its compiled step.

    A step is compiled for each size of batch. So the sizes are powers of two up to the largest: what is missing is
    filled up, and cut off from the answers.
    """
    answers = []
    for start in range(0, len(images), _LARGEST_BATCH):
        batch = images[start : start + _LARGEST_BATCH]
        full = 2 ** (len(batch) - 1).bit_length()
        answer = model.predict_on_batch(np.concatenate([batch, np.repeat(batch[-1:], full - len(batch), axis=0)]))
        if not isinstance(answer, np.ndarray) or answer.shape[:1] != (full,):
            return answer
        answers.append(answer[: len(batch)])
    return np.concatenate(answers)
