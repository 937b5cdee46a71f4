"""Recurrent networks that tell several steps ahead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.models import _head, _recurrent
from keras_nnx.models._quantile_levels import QuantileLevels

_OWNER = "SequenceForecaster"


def SequenceForecaster(
    input_shape: tuple[int | None, int],
    horizon: int,
    features: int | None = None,
    quantiles: Sequence[float] | None = None,
    units: Sequence[int] = (64,),
    cell: str = "lstm",
    bidirectional: bool = False,
    dim: int | None = None,
    dropout: float = 0.0,
    mask_value: float | None = None,
    block_options: dict[str, Any] | None = None,
    pooling: str = "last",
    name: str = "sequence_forecaster",
) -> keras.Model:
    """Build a recurrent network that reads a series and tells all of its next steps at once.

    Train it with `keras_nnx.losses.QuantileLoss` where it tells quantiles, and with any regression loss where not. It
    does not scale what it reads: put `keras.layers.Normalization` in front, or scale the series.

    Args:
        input_shape: Length and features of a series; the length may be None.
        horizon: How many steps ahead are told.
        features: How many values are told of each. Default: as many as are read.
        quantiles: Which quantiles are told, rising, between 0 and 1, such as `(0.1, 0.5, 0.9)`. They cannot cross.
            Default: none, but one number.
        units: Size of the state in each block.
        cell: `"lstm"` or `"gru"`.
        bidirectional: Whether each block reads the series from its end too. From that end its last step has seen itself
            alone: pool otherwise then.
        dim: Size of the vectors that the features become. Default: the first of `units`.
        dropout: Fraction of embedded values, and of features of each block, dropped in training, in [0, 1).
        mask_value: Steps whose features all equal it are padding. Default: there is none.
        block_options: More options of `RecurrentBlock`, such as `{"projection_dim": 32}`; they replace what is above.
        pooling: What of the series is read: its `"last"` or `"first"` step that is no padding, `"avg"` or `"max"` of
            them, or their average by `"additive"` or `"multiplicative"` attention.
        name: Name of the model.

    Returns:
        A model from `(b, t, d)` to `(b, horizon, features)`, or `(b, horizon, features, quantiles)`, in float32.

    Raises:
        ValueError: If an argument is unknown or out of range.

    Example:
        >>> import keras_nnx as nnx
        >>> model = nnx.models.SequenceForecaster((None, 3), horizon=12, features=1, quantiles=(0.1, 0.5, 0.9))
        >>> model.output_shape
        (None, 12, 1, 3)

    Source:
        Wen et al., "A Multi-Horizon Quantile Recurrent Forecaster" (2017), section 3, with one network for all steps.
    """
    units = _recurrent.check_widths(_OWNER, units)
    dim = units[0] if dim is None else _checks.positive_integer(_OWNER, "dim", dim)
    _checks.positive_integer(_OWNER, "horizon", horizon)
    _checks.optional_positive_integer(_OWNER, "features", features)
    _checks.probability(_OWNER, "dropout", dropout)
    if quantiles is not None:
        _checks.quantiles(_OWNER, quantiles)
    given = {"cell": cell, "bidirectional": bidirectional, "dropout": dropout}
    given = _recurrent.options(_OWNER, given, block_options)
    inputs, x = _recurrent.start(_OWNER, input_shape, None, dim, (False, mask_value), dropout)
    x, _ = _recurrent.stack(units, given, x)
    x = _recurrent.normalized(_OWNER, x)
    pools = _recurrent.pools(x.shape[-1])
    del pools[None]
    x = _head.pooled(_OWNER, x, pools, pooling, include_top=True)
    shape: tuple[int, ...] = (horizon, inputs.shape[-1] if features is None else features)
    shape = shape if quantiles is None else (*shape, len(quantiles))
    return keras.Model(inputs, _told(x, shape, quantiles is not None), name=name)


def _told(x: Any, shape: tuple[int, ...], rising: bool) -> Any:
    """Return numbers of `shape` out of the features of a series, computed in float32 at their end."""
    count = 1
    for size in shape:
        count *= size
    x = keras.layers.Reshape(shape, name="steps")(keras.layers.Dense(count, name="values")(x))
    last = QuantileLevels if rising else keras.layers.Identity
    return last(dtype="float32", name="predictions")(x)
