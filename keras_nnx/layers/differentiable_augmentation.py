"""Random changes of images through which gradients go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register

_OWNER = "DifferentiableAugmentation"
_KINDS = ("color", "translation", "cutout")


@register
class DifferentiableAugmentation(keras.layers.Layer):
    """Changes each image at random in training, and does nothing at inference.

    Put it before everything else in a discriminator that has few images to learn from. It then sees real and generated
    images changed in the same ways, and since gradients go through the changes, the generator does not learn to make
    them. The layers of Keras that augment neither promise gradients nor draw in every compiled graph.

    Args:
        policy: What is done, in this order: `"color"` (brightness by up to half of 1, saturation by 0 to 2, contrast
            by 0.5 to 1.5), `"translation"` (with zeros moving in), `"cutout"` (a rectangle of zeros).
        translation: How far an image moves at most, over its height and width, in (0, 1].
        cutout: Sides of the rectangle over height and width, in (0, 1].
        seed: Seed of the draws.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Input shape:
        `(b, h, w, c)`, of values around -1 to 1. `"translation"` and `"cutout"` need to know `h` and `w` in training.
        Images carry no mask.

    Output shape:
        As the input.

    Raises:
        ValueError: If `policy` names nothing or something unknown, a share is outside (0, 1], the input has no four
            axes, or its sides are unknown where they have to be known.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> images = np.ones((4, 8, 8, 3), "float32")
        >>> layer = nnx.layers.DifferentiableAugmentation(policy=("translation",), seed=1)
        >>> layer(images, training=True).shape
        TensorShape([4, 8, 8, 3])

    Source:
        Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training" (2020), section 3.2.
    """

    def __init__(
        self,
        policy: Sequence[str] = _KINDS,
        translation: float = 0.125,
        cutout: float = 0.5,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(policy, str) or not policy:
            raise ValueError(f"{_OWNER}(policy={policy!r}) needs a tuple of names, such as {_KINDS}.")
        self.policy = tuple(_checks.one_of(_OWNER, "policy", kind, _KINDS) for kind in policy)
        self.translation = _checks.share(_OWNER, "translation", translation)
        self.cutout = _checks.share(_OWNER, "cutout", cutout)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: tuple) -> None:
        _checks.rank(_OWNER, input_shape, "b h w c")

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # b h w c -> b h w c
        if not training:
            return inputs
        x = ops.cast(inputs, "float32")
        for kind in self.policy:
            x = getattr(self, f"_{kind}")(x)
        return ops.cast(x, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        names = ("policy", "translation", "cutout", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _color(self, x: Any) -> Any:
        x = x + (self._draw(x) - 0.5)
        for axes, factor in (((3,), 2 * self._draw(x)), ((1, 2, 3), self._draw(x) + 0.5)):
            mean = ops.mean(x, axis=axes, keepdims=True)
            x = (x - mean) * factor + mean
        return x

    def _translation(self, x: Any) -> Any:
        for side in _sides(x):
            most = _rounded(side, self.translation)
            x = _moved(x, self._whole(x, 2 * most + 1), most)
            x = ops.transpose(x, (0, 2, 1, 3))  # the columns in turn, and then back
        return x

    def _cutout(self, x: Any) -> Any:
        height, width = (self._span(x, side) for side in _sides(x))  # b h, b w
        cut = ops.logical_and(height[:, :, None], width[:, None, :])
        return ops.where(cut[..., None], ops.zeros_like(x), x)

    def _span(self, x: Any, side: int) -> Any:
        """Return which places of a side are cut out; near the border they are fewer."""
        size = _rounded(side, self.cutout)
        middle = self._whole(x, side + (1 - size % 2))
        first = ops.expand_dims(middle - size // 2, 1)
        places = ops.expand_dims(ops.arange(side, dtype="int32"), 0)
        return ops.logical_and(places >= first, places < first + size)

    def _draw(self, x: Any) -> Any:
        return keras.random.uniform((ops.shape(x)[0], 1, 1, 1), dtype="float32", seed=self.seed_generator)

    def _whole(self, x: Any, count: int) -> Any:
        """Return a number from 0 to `count - 1` for each image."""
        return keras.random.randint((ops.shape(x)[0],), 0, count, dtype="int32", seed=self.seed_generator)


def _sides(x: Any) -> tuple[int, int]:
    height, width = x.shape[1:3]
    if height is None or width is None:
        raise ValueError(
            f"{_OWNER} has to know the height and the width to move or cut images, but received shape "
            f'{tuple(x.shape)}: give the input its sides, or use policy=("color",).'
        )
    return height, width


def _rounded(side: int, share: float) -> int:
    return int(side * share + 0.5)


def _moved(x: Any, steps: Any, most: int) -> Any:  # b h w c, b -> b h w c
    """Return images whose rows moved up by `steps - most`, in moves by powers of two: exact on every device."""
    height = x.shape[1]
    x = ops.pad(x, ((0, 0), (most, most), (0, 0), (0, 0)))
    for bit in range((2 * most).bit_length()):
        size = 2**bit
        moved = ops.concatenate([x[:, size:], ops.zeros_like(x[:, :size])], axis=1)
        moves = ops.equal(steps // size % 2, 1)
        x = ops.where(moves[:, None, None, None], moved, x)
    return x[:, :height]
