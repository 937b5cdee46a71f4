"""The distance between two sets of images by means and covariances of their features."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_nnx.metrics._moments import Moments
from keras_nnx.metrics._set_metric import SetMetric


class FrechetDistance(SetMetric):
    """Measures how far generated images are from real ones, by the mean and the covariance of features: FID.

    With the features of InceptionV3 and 50,000 images this is the Fréchet inception distance that papers give, as far
    as weights and resizing are theirs; distances by other extractors only compare with those by the same one. The
    distance falls with the number of images: compare equal numbers only, and see `has_enough_images`. `KernelDistance`
    does not depend on the number.

    Images come in batches of any sizes. What is kept is a mean and a covariance for each set, in float64. For 2,048
    features that is 34 MB each, and `result` may take half a minute. What belongs to the real images stays when the
    generated ones are reset. Keras has no such metric.

    Args:
        extractor: What makes features of images: a `keras.Model`, such as `nnx.metrics.feature_extractor` makes, or any
            function from an array of images to an array of features. Features with positions, `(b, ..., c)`, are
            averaged over them. A model runs in inference, in batches of at most 64. None: the images themselves,
            flattened.

    Raises:
        ValueError: If the extractor is none; in updates, if features are not finite or differ in number; in `result`,
            if a set has fewer than two images.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> images = np.random.default_rng(0).random((100, 4, 4, 1))
        >>> distance = nnx.metrics.FrechetDistance()
        >>> distance.update_real(images)
        >>> for batch in np.split(images + 0.5, 10):
        ...     distance.update_generated(batch)
        >>> round(distance.result(), 6)  # 16 means that are 0.5 off
        4.0

    Source:
        Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium" (2017),
        equation 6.
    """

    def __init__(self, extractor: Any = None) -> None:
        super().__init__(extractor, Moments(), Moments())

    @property
    def has_enough_images(self) -> bool:
        """Whether both sets have more images than there are features.

        If not, a covariance has no full rank, and the distance says more about the number of images than about them.
        """
        return all(known.count > known.size for known in self._sets.values())

    def result(self) -> float:
        """Return the distance: 0 for equal means and covariances."""
        self._require(2, "since one has no covariance")
        if self._known is None:
            self._known = _distance(*self._sets.values())
        return self._known


def _distance(real: Moments, generated: Moments) -> float:
    """Return |m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^½).

    With S = F Fᵀ for both, the eigenvalues of S1 S2 are the squared singular values of F1ᵀ F2. So nothing complex comes
    up, no root is taken of what rounding left of a zero, and covariances may have any rank.
    """
    apart = ((real.mean - generated.mean) ** 2).sum()
    common = np.linalg.svd(real.factor.T @ generated.factor, compute_uv=False).sum()
    return max(0.0, float(apart + np.trace(real.covariance) + np.trace(generated.covariance) - 2 * common))
