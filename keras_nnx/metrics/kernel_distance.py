"""The distance between two sets of images by a kernel between their features."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_nnx import _checks
from keras_nnx.metrics._reservoir import Reservoir
from keras_nnx.metrics._set_metric import SetMetric, float64_samples


class KernelDistance(SetMetric):
    """Measures how far generated images are from real ones, by the maximum mean discrepancy of features: KID.

    The kernel is `(x · y / f + 1) ** degree` for `f` features. The estimate is unbiased: what it is on average does not
    depend on the number of images, and is 0 for sets of one origin, so that it may be negative. So it is the distance
    for small sets; `deviation` says how far subsets disagree. The square is given, not its root.

    Images come in batches of any sizes; of each set, a uniform sample of at most `max_samples` is kept. Which images it
    has, and which are in each subset, follows from the seed. Keras has no such metric.

    Args:
        extractor: What makes features of images: a `keras.Model`, such as `nnx.metrics.feature_extractor` makes, or any
            function from an array of images to an array of features. Features with positions, `(b, ..., c)`, are
            averaged over them. A model runs in inference, in batches of at most 64. None: the images themselves,
            flattened.
        degree: The degree of the kernel.
        subsets: How many pairs of subsets the distance is averaged over.
        subset_size: How many images a subset has, drawn without repetition; at most those of either set.
        max_samples: How many images of each set are kept.
        seed: An integer from which all choices follow.

    Raises:
        ValueError: If an argument is wrong; in updates, if features are not finite or differ in number; in `result`, if
            a set has fewer images than a subset.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> images = np.random.default_rng(0).random((300, 4, 4, 1))
        >>> distance = nnx.metrics.KernelDistance(subsets=20, subset_size=50)
        >>> distance.update_real(images[:100])
        >>> distance.update_generated(images[100:])
        >>> abs(distance.result()) < distance.deviation
        True
        >>> distance.reset_generated()
        >>> distance.update_generated(images[100:] + 0.5)
        >>> distance.result() > 10 * distance.deviation
        True

    Source:
        Bińkowski et al., "Demystifying MMD GANs" (2018); Gretton et al., "A Kernel Two-Sample Test" (2012),
        equation 3.
    """

    def __init__(
        self,
        extractor: Any = None,
        degree: int = 3,
        subsets: int = 100,
        subset_size: int = 1000,
        max_samples: int = 10_000,
        seed: int = 0,
    ) -> None:
        owner = type(self).__name__
        self.degree = _checks.positive_integer(owner, "degree", degree)
        self.subsets = _checks.positive_integer(owner, "subsets", subsets)
        self.subset_size = _checks.positive_integer(owner, "subset_size", subset_size)
        self.max_samples = _checks.positive_integer(owner, "max_samples", max_samples)
        self.seed = _checks.at_least_zero(owner, "seed", seed)
        if not 2 <= self.subset_size <= self.max_samples:
            raise ValueError(
                f"{owner}(subset_size={subset_size!r}, max_samples={max_samples!r}) needs subsets of at least 2 images "
                f"and at most as many as are kept."
            )
        super().__init__(extractor, *(Reservoir(self.max_samples, [self.seed, index]) for index in range(2)))

    def result(self) -> float:
        """Return the distance, the mean over all pairs of subsets: about 0 for sets of one origin."""
        return float(self._distances().mean())

    @property
    def deviation(self) -> float:
        """The standard deviation of the distance over the pairs of subsets."""
        return float(self._distances().std())

    def _distances(self) -> np.ndarray:
        self._require(self.subset_size, "as many as a subset has (subset_size)")
        if self._known is None:
            random = np.random.default_rng([self.seed, 2])
            real, generated = map(float64_samples, self._sets.values())
            self._known = np.array([self._distance(random, real, generated) for _ in range(self.subsets)])
        return self._known

    def _distance(self, random: np.random.Generator, *sets: np.ndarray) -> float:
        """Return the unbiased squared discrepancy of one subset of each set."""
        real, generated = (rows[random.choice(len(rows), self.subset_size, replace=False)] for rows in sets)
        inside = sum(_mean_of_pairs(_kernel(rows, rows, self.degree)) for rows in (real, generated))
        return float(inside - 2 * _kernel(real, generated, self.degree).mean())


def _kernel(rows: np.ndarray, others: np.ndarray, degree: int) -> np.ndarray:  # b f, c f -> b c
    base = rows @ others.T / rows.shape[1] + 1
    power = base.copy()
    for _ in range(degree - 1):  # many times faster than a power
        power *= base
    return power


def _mean_of_pairs(kernel: np.ndarray) -> float:  # b b
    """Return the mean over all pairs of two different rows."""
    return (kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1))
