"""How much of the generated images looks real, and how much of the real ones is generated."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_nnx import _checks
from keras_nnx.metrics._reservoir import Reservoir
from keras_nnx.metrics._set_metric import SetMetric, float64_samples

_ENTRIES = 2**22  # distances that are held at a time: 32 MB
_ROUNDING = 1e-12  # of a squared distance, by the squared lengths that it comes from: float32 knows no less


@dataclasses.dataclass(frozen=True)
class Overlap:
    """How a set of generated images and one of real images overlap.

    Args:
        precision: The share of generated images that are next to a real one: how real they look.
        recall: The share of real images that are next to a generated one: how much of their variety there is.
        density: How many neighbourhoods of real images a generated one is in, over the number of neighbours; about 1
            for sets of one origin. Unlike precision, a few outliers among the real images do not raise it to 1.
        coverage: The share of real images that have a generated one in their neighbourhood. Unlike recall, outliers
            among the generated images do not raise it.
    """

    precision: float
    recall: float
    density: float
    coverage: float

    def to_dict(self) -> dict[str, float]:
        """Return the numbers in types that JSON knows."""
        return dataclasses.asdict(self)


class PrecisionRecall(SetMetric):
    """Measures apart how real generated images look and how much of the real variety they have.

    A distance is one number for both. Here the neighbourhood of an image is the ball that reaches to its nearest
    neighbours in its own set, with its border; an image is next to a set if it is in a neighbourhood of it. A model
    that repeats a few good images has precision without recall, and one of poor but varied images recall without
    precision.

    Images come in batches of any sizes; of each set, a uniform sample of at most `max_samples` is kept, which follows
    from the seed. `result` holds the samples in float64, and distances in blocks of 32 MB. Compare sets of equal sizes
    only: neighbourhoods shrink with the number of images. Keras has no such metric.

    Args:
        extractor: What makes features of images: a `keras.Model`, such as `nnx.metrics.feature_extractor` makes, or any
            function from an array of images to an array of features. Features with positions, `(b, ..., c)`, are
            averaged over them. A model runs in inference, in batches of at most 64. None: the images themselves,
            flattened.
        neighbours: The neighbour that a neighbourhood reaches to; 3 is usual for precision and recall, 5 for density
            and coverage.
        max_samples: How many images of each set are kept.
        seed: An integer from which the samples follow.

    Raises:
        ValueError: If an argument is wrong; in updates, if features are not finite or differ in number; in `result`, if
            a set has no more images than `neighbours`.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> modes = np.repeat(np.eye(2), 50, axis=0) * 10 + np.random.default_rng(0).random((100, 2))
        >>> metric = nnx.metrics.PrecisionRecall()
        >>> metric.update_real(modes)
        >>> metric.update_generated(modes[:50])  # the second mode is never generated
        >>> overlap = metric.result()
        >>> overlap.precision, overlap.recall, overlap.coverage
        (1.0, 0.5, 0.5)

    Source:
        Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models" (2019), equations 1
        and 2; Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models" (2020).
    """

    def __init__(self, extractor: Any = None, neighbours: int = 3, max_samples: int = 10_000, seed: int = 0) -> None:
        owner = type(self).__name__
        self.neighbours = _checks.positive_integer(owner, "neighbours", neighbours)
        self.max_samples = _checks.positive_integer(owner, "max_samples", max_samples)
        self.seed = _checks.at_least_zero(owner, "seed", seed)
        if self.max_samples <= self.neighbours:
            raise ValueError(
                f"{owner}(neighbours={neighbours!r}, max_samples={max_samples!r}) keeps too few images for so many "
                f"neighbours: keep more than {neighbours}."
            )
        super().__init__(extractor, *(Reservoir(self.max_samples, [self.seed, index]) for index in range(2)))

    def result(self) -> Overlap:
        """Return precision and recall, density and coverage."""
        self._require(self.neighbours + 1, f"one and its neighbours (neighbours={self.neighbours})")
        if self._known is None:
            real, generated = map(float64_samples, self._sets.values())
            centre = real.mean(axis=0)
            real -= centre  # shorter rows round less
            generated -= centre
            self._known = _overlap(real, generated, self.neighbours)
        return self._known


def _overlap(real: np.ndarray, generated: np.ndarray, neighbours: int) -> Overlap:
    real_reach, generated_reach = (_squared_reach(rows, neighbours) for rows in (real, generated))
    precise = hits = 0
    recalled, covered = np.zeros((2, len(real)), bool)
    for part, squared in _squared_distances(generated, real, rounded_down=True):
        inside = squared <= real_reach
        precise += int(inside.any(axis=1).sum())
        hits += int(inside.sum())
        covered |= inside.any(axis=0)
        recalled |= (squared <= generated_reach[part, None]).any(axis=0)
    return Overlap(
        precision=precise / len(generated),
        recall=float(recalled.mean()),
        density=hits / (neighbours * len(generated)),
        coverage=float(covered.mean()),
    )


def _squared_reach(rows: np.ndarray, neighbours: int) -> np.ndarray:  # n f -> n
    """Return the squared distance from each row to the farthest of its nearest neighbours."""
    reach = np.empty(len(rows))
    for part, squared in _squared_distances(rows, rows):
        squared[np.arange(len(squared)), np.arange(len(rows))[part]] = np.inf  # nobody is a neighbour of oneself
        reach[part] = np.partition(squared, neighbours - 1, axis=1)[:, neighbours - 1]
    return np.maximum(reach, 0)


def _squared_distances(
    rows: np.ndarray, others: np.ndarray, rounded_down: bool = False
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the squared distances of some rows to all others, with the rows' places.

    Rounded down, they are smaller by what rounding may have added: a copy is as near as its original.
    """
    scale = 1 - _ROUNDING if rounded_down else 1.0
    lengths, other_lengths = ((values**2).sum(axis=1) for values in (rows, others))
    step = max(1, _ENTRIES // len(others))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        yield part, scale * (lengths[part, None] + other_lengths) - 2 * rows[part] @ others.T
