"""Metrics of generated sets, at the end of epochs."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import numpy as np

from keras_nnx import _checks
from keras_nnx.callbacks._stateful import StatefulCallback
from keras_nnx.training import _gan_data

_OWNER = "GenerationMetrics"


class GenerationMetrics(StatefulCallback):
    """Measures generated images against real ones at the end of epochs, for the logs.

    What `EarlyStopping` is to watch: losses of a GAN say little about its images.

    Args:
        metrics: Metrics by the name they get among the logs, such as `{"frechet": nnx.metrics.FrechetDistance(model)}`.
        images: Real images, held out.
        labels: Their labels, if the GAN is conditional; generated images have the same ones.
        every: At the end of each how many-th epoch, at least 1. Epochs in between repeat the last value.
        seed: Seed of the latents: the same each time.

    Attributes:
        seconds: What measuring took.

    Raises:
        ValueError: If there are no metrics, or labels are missing.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> metrics = {"frechet": nnx.metrics.FrechetDistance()}
        >>> callback = nnx.training.GenerationMetrics(metrics, np.zeros((50, 8, 8, 1)))
        >>> callback.seconds
        0.0
    """

    _state: ClassVar[tuple[str, ...]] = ("_last", "seconds")
    _shared: ClassVar[tuple[str, ...]] = ("_images", "_labels")

    def __init__(self, metrics: dict[str, Any], images: Any, labels: Any = None, every: int = 1, seed: int = 0) -> None:
        super().__init__()
        if not metrics:
            raise ValueError(f"{_OWNER} needs metrics by name, such as {{'frechet': nnx.metrics.FrechetDistance()}}.")
        self.metrics = dict(metrics)
        self._images = np.asarray(images)
        self._labels = None if labels is None else np.asarray(labels).reshape(-1)
        self.every = _checks.positive_integer(_OWNER, "every", every)
        self.seed = seed
        self._reset()

    def _reset(self) -> None:
        self._last: dict[str, float] = {}
        self.seconds = 0.0

    def _begin(self) -> None:
        _gan_data.belong(_OWNER, self._labels, self._model)
        self._model.expected.check_arrays(_OWNER, self._images, self._labels)
        for metric in self.metrics.values():
            metric.reset()
            metric.update_real(self._images)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Measure."""
        if (epoch + 1) % self.every == 0 or not self._last:
            start = time.perf_counter()
            images = self._model.generate(len(self._images), seed=self.seed, labels=self._labels)
            for name, metric in self.metrics.items():
                metric.reset_generated()
                metric.update_generated(images)
                self._last.update(_numbers(name, metric.result()))
            self.seconds += time.perf_counter() - start
        if logs is not None:
            logs.update(self._last)


def _numbers(name: str, result: Any) -> dict[str, float]:
    if hasattr(result, "_asdict"):
        return {f"{name}_{key}": float(value) for key, value in result._asdict().items()}
    if hasattr(result, "__dataclass_fields__"):
        return {f"{name}_{key}": float(getattr(result, key)) for key in result.__dataclass_fields__}
    return {name: float(result)}
