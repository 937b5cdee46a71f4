"""The two ends that the models share: what comes in, and pooling with a classifier."""

from __future__ import annotations

import operator
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.layers import PixelNormalization, SequencePooling

Pools = dict[str | None, Any]


def image_input(owner: str, input_shape: tuple, least: int = 1, reason: str = "") -> Any:
    """Return the input of an image model, of a known number of channels and no side under `least` pixels."""
    shape = plain_shape(input_shape)
    if len(shape) != 3 or shape[-1] is None or shape[-1] < 1:
        raise ValueError(
            f"{owner}(input_shape={input_shape!r}) needs height, width and channels, such as (224, 224, 3); height and "
            f"width may be None where the model takes images of any size."
        )
    for name, side in zip(("height", "width"), shape[:2], strict=True):
        if side is not None and side < least:
            raise ValueError(
                f"{owner}(input_shape={input_shape!r}) has the {name} {side}, but {reason or 'the network'} needs "
                f"{least} pixels: enlarge the images, or make the network smaller."
            )
    return keras.Input(shape, name="image")


def plain_shape(shape: Any) -> tuple[int | None, ...]:
    """Return a shape with NumPy's integers made Python's; one that is none has no axes."""
    try:
        return tuple(None if side is None else operator.index(side) for side in shape)
    except TypeError:
        return ()


def scale_pixels(images: Any, include_preprocessing: bool) -> Any:
    """Return images of 0 to 255 normalised, if the model is to do that itself."""
    return PixelNormalization(name="pixel_normalization")(images) if include_preprocessing else images


def image_pools(default: str = "avg") -> Pools:
    """Return what reduces a map `(b, h, w, c)`: by name, and by default under a classifier."""
    pools: Pools = {
        "avg": keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="pool"),
        "max": keras.layers.GlobalMaxPooling2D(data_format="channels_last", name="pool"),
    }
    return {**pools, None: pools[default]}


def sequence_pools() -> Pools:
    """Return what reduces a sequence `(b, t, d)`; None leaves every step."""
    pools: Pools = {kind: SequencePooling(kind, name="pool") for kind in ("avg", "max", "first", "last")}
    return {**pools, None: lambda x: x}


def pooled(owner: str, features: Any, pools: Pools, pooling: str | None, include_top: bool) -> Any:
    """Return the features as `pooling` says; None leaves them as they are, but under a classifier."""
    pool = _entry(owner, pools, pooling)
    return features if pooling is None and not include_top else pool(features)


def _entry(owner: str, pools: Pools, pooling: str | None) -> Any:
    if pooling not in pools:
        names = ", ".join(repr(name) for name in pools)
        raise ValueError(f"{owner}(pooling={pooling!r}) is unknown: choose one of {names}.")
    return pools[pooling]


def classify(owner: str, features: Any, classes: int, activation: Any, dropout: float = 0.0) -> Any:
    """Return class scores for `features` `(..., d)`; computed in float32 whatever the dtype policy."""
    classes = _checks.positive_integer(owner, "classes", classes)
    if dropout:
        features = keras.layers.Dropout(dropout, name="top_dropout")(features)
    logits = keras.layers.Dense(classes, name="logits")(features)
    return keras.layers.Activation(activation, dtype="float32", name="predictions")(logits)


def check_pairs(owner: str, **pairs: Any) -> None:
    """Check that there is one of each for the source and one for the target."""
    for key, value in pairs.items():
        if not isinstance(value, tuple | list) or len(value) != 2:
            raise ValueError(f"{owner}({key}={value!r}) needs one for the source and one for the target.")


def rising(rate: float, count: int) -> list[float]:
    """Return the stochastic depth of each of `count` blocks, from little to `rate` at the last."""
    return [rate * ((index + 1) / count) for index in range(count)]
