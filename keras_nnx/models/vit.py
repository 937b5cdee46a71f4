"""Vision transformers."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.blocks import TransformerEncoderBlock
from keras_nnx.layers import ClassToken, PatchEmbedding, PositionEmbedding
from keras_nnx.models import _head


def ViT(
    input_shape: tuple[int, int, int],
    classes: int = 10,
    patch_size: int | tuple[int, int] = 2,
    dim: int = 64,
    depth: int = 4,
    num_heads: int = 4,
    dropout: float = 0.0,
    stochastic_depth: float = 0.0,
    include_top: bool = True,
    pooling: str | None = "token",
    classifier_activation: Any = "softmax",
    name: str = "vit",
) -> keras.Model:
    """Build a vision transformer: patches, a class token, positions, pre-norm encoder blocks, a classifier.

    Args:
        input_shape: Height, width and channels of an image.
        classes: Number of classes.
        patch_size: Side of a patch in pixels; has to divide height and width.
        dim: Size of a token. The feed-forward networks are four times as wide.
        depth: Number of encoder blocks.
        num_heads: Attention heads in each; has to divide `dim`.
        dropout: Fraction of attention weights and hidden values dropped in training.
        stochastic_depth: Probability of skipping a branch of the last block in training; earlier blocks have
            proportionally less.
        include_top: Whether the model ends with a classifier.
        pooling: `"token"` reads the class token, `"avg"` averages the tokens (there is no class token then); without
            the classifier also None, for all tokens.
        classifier_activation: Activation of the scores; None for logits.
        name: Name of the model.

    Returns:
        A model from `(b, h, w, c)` to scores `(b, classes)`, or to features without the classifier.

    Raises:
        ValueError: If an argument is unknown, out of range, or does not divide what it has to.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.models.ViT((8, 8, 1), classes=10, patch_size=2).output_shape
        (None, 10)

    Source:
        Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021).
    """
    _checks.positive_integer("ViT", "depth", depth)
    pool = _head.choose(
        "ViT",
        pooling,
        {
            "token": lambda tokens: tokens[:, 0],
            "avg": keras.layers.GlobalAveragePooling1D(data_format="channels_last", name="pool"),
            **({} if include_top else {None: keras.layers.Identity(name="features")}),
        },
    )
    images = keras.Input(input_shape, name="image")
    x = PatchEmbedding(dim, patch_size, name="patches")(images)
    if pooling != "avg":
        x = ClassToken(name="class_token")(x)
    x = PositionEmbedding(name="positions")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    for index in range(depth):
        x = TransformerEncoderBlock(
            num_heads,
            4 * dim,
            dropout=dropout,
            stochastic_depth=stochastic_depth * ((index + 1) / depth),
            name=f"block_{index + 1}",
        )(x)
    x = keras.layers.LayerNormalization(epsilon=1e-6, name="normalization")(x)
    x = pool(x)
    if include_top:
        x = _head.classify("ViT", x, classes, classifier_activation)
    return keras.Model(images, x, name=name)
