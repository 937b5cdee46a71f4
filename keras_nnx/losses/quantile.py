"""The loss whose best answers are quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_nnx import _checks

_OWNER = "QuantileLoss"


@keras.saving.register_keras_serializable(package="keras_nnx")
class QuantileLoss(keras.losses.Loss):
    """Measures how far predicted quantiles are from values: the pinball loss, averaged over the quantiles.

    What is under the quantile `q` costs `1 - q` for each unit that the prediction is too high, and what is over it `q`
    for each that it is too low; predicting the quantiles costs least. It is computed in float32 at least. Keras has no
    such loss.

    Args:
        quantiles: The quantiles, rising, between 0 and 1, in the order of the last axis of the predictions.
        reduction: How the losses of a batch become one, as in `keras.losses.Loss`.
        name: The name of the loss.

    Call arguments:
        y_true: Values, `(b, ...)`.
        y_pred: Predictions, of that shape with one more axis for the quantiles.
        sample_weight: A weight for each value, or for each example with an axis of 1 for each other, `(b, 1, ...)`.
            Default: 1.

    Raises:
        ValueError: If the quantiles are not rising between 0 and 1, or the shapes do not belong together.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> loss = nnx.losses.QuantileLoss((0.25, 0.75))
        >>> float(loss(np.array([1.0]), np.array([[0.0, 2.0]])))
        0.25

    Source:
        Koenker and Bassett, "Regression Quantiles" (1978).
    """

    def __init__(
        self,
        quantiles: Sequence[float],
        reduction: str | None = "sum_over_batch_size",
        name: str = "quantile",
    ) -> None:
        super().__init__(name=name, reduction=reduction)
        self.quantiles = _checks.quantiles(_OWNER, quantiles)

    def call(self, y_true: Any, y_pred: Any) -> Any:  # b ..., b ... q -> b ...
        """Return the loss of each value."""
        _check_shapes(y_true.shape, y_pred.shape, len(self.quantiles))
        if keras.backend.standardize_dtype(y_pred.dtype) != "float64":
            y_pred = ops.cast(y_pred, "float32")
        levels = ops.convert_to_tensor(self.quantiles, dtype=y_pred.dtype)
        missing = ops.expand_dims(ops.cast(y_true, y_pred.dtype), -1) - y_pred
        return ops.mean(ops.maximum(levels * missing, (levels - 1) * missing), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return what was passed."""
        return {**super().get_config(), "quantiles": self.quantiles}


def _check_shapes(values: tuple, predictions: tuple, count: int) -> None:
    fits = len(predictions) == len(values) + 1 and predictions[-1] == count
    if not fits or any(None not in pair and pair[0] != pair[1] for pair in zip(values, predictions, strict=False)):
        raise ValueError(
            f"{_OWNER} with {count} quantiles expects values of any shape, and predictions of that shape with an axis "
            f"of {count} behind it, but received {tuple(values)} and {tuple(predictions)}."
        )
