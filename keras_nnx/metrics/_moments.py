"""The mean and the covariance of rows that come in batches."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np


class Moments:
    """Counts rows and keeps their mean and the sum of their squared deviations, in float64.

    Batches are merged as in Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances" (1979): nothing is lost where the mean is large beside the deviations.
    """

    parts: ClassVar[tuple[str, ...]] = ("count", "mean", "scatter")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all rows."""
        self.count = 0
        self.mean = np.zeros(0)
        self.scatter = np.zeros((0, 0))
        self._factor: np.ndarray | None = None

    @property
    def size(self) -> int:
        """How many features a row has."""
        return len(self.mean)

    @property
    def covariance(self) -> np.ndarray:
        """The unbiased covariance of at least two rows."""
        return self.scatter / (self.count - 1)

    @property
    def factor(self) -> np.ndarray:  # f r
        """F of full rank with F Fᵀ the covariance; computed once, since it takes long."""
        if self._factor is None:
            values, vectors = np.linalg.eigh(self.covariance)
            kept = values > len(values) * np.finfo("float64").eps * max(values[-1], 0)
            self._factor = vectors[:, kept] * np.sqrt(values[kept])
        return self._factor

    def add(self, rows: np.ndarray) -> None:  # b f
        """Take at least one row in."""
        rows = rows.astype("float64", copy=False)
        mean = rows.mean(axis=0)
        rows = rows - mean
        scatter = rows.T @ rows
        if not self.count:
            self.mean, self.scatter = np.zeros_like(mean), np.zeros_like(scatter)
        total = self.count + len(rows)
        shift = mean - self.mean
        self.scatter += scatter
        self.scatter += np.outer(shift, shift * (self.count * len(rows) / total))
        self.mean += shift * (len(rows) / total)
        self.count = total
        self._factor = None

    def load(self, count: Any, mean: Any, scatter: Any) -> None:
        """Become what the parts of another were."""
        self.count = int(count)
        self.mean, self.scatter = np.array(mean, "float64"), np.array(scatter, "float64")
        self._factor = None
        if self.mean.ndim != 1 or self.scatter.shape != self.mean.shape * 2:
            raise ValueError(f"a mean of shape {self.mean.shape} has no covariance of shape {self.scatter.shape}")
