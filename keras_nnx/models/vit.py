"""Vision transformers."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.models import _head
from keras_nnx.models._variants import settle, with_patch
from keras_nnx.models._vit import DEFAULT, SIZES, encoded_patches, token_pools

VARIANTS = {f"ViT-{size}": {"patch_size": 16, **parts} for size, parts in SIZES.items()}


def ViT(
    input_shape: tuple[int, int, int],
    classes: int = 1000,
    variant: str | None = None,
    patch_size: int | tuple[int, int] | None = None,
    dim: int | None = None,
    depth: int | None = None,
    num_heads: int | None = None,
    hidden_dim: int | None = None,
    registers: int = 0,
    dropout: float = 0.0,
    stochastic_depth: float = 0.0,
    block_options: dict[str, Any] | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: Any = "softmax",
    name: str = "vit",
) -> keras.Model:
    """Build a vision transformer: patches with positions, a class token, pre-norm encoder blocks, a classifier.

    Without a variant it is a small one: patches of 2 x 2, four blocks of width 64.

    Args:
        input_shape: Height, width and channels of an image.
        classes: Number of classes.
        variant: `"ViT-Ti"`, `"ViT-S"`, `"ViT-B"`, `"ViT-L"` or `"ViT-H"`, with the size of a patch behind a slash, such
            as `"ViT-B/16"` (16 if there is none). It sets what follows; what is given besides replaces its part.
        patch_size: Side of a patch in pixels; has to divide height and width.
        dim: Size of a token.
        depth: Number of encoder blocks.
        num_heads: Attention heads in each; has to divide `dim`.
        hidden_dim: Width of the feed-forward networks. Default: four times `dim`.
        registers: Learned tokens without a place in the picture, where the network can keep what belongs to no patch.
        dropout: Fraction of attention weights and hidden values dropped in training.
        stochastic_depth: Probability of skipping a branch of the last block in training; earlier blocks have
            proportionally less.
        block_options: More options of `TransformerEncoderBlock`, such as `{"layer_scale": 1e-5}`.
        include_top: Whether the model ends with a classifier.
        pooling: `"token"` reads the class token; `"avg"` and `"max"` reduce the patches, and there is no class token
            then. None is `"token"` under the classifier, and without it all tokens: class token, registers, patches.
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
        Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021), table 1; Touvron et al., "Training data-efficient
        image transformers" (2021) for Ti and S; Darcet et al., "Vision Transformers Need Registers" (2024).
    """
    variant, patch_in_name = with_patch("ViT", variant)
    given = {key: value for key, value in locals().items() if key in DEFAULT}
    parts = settle(
        "ViT", variant, VARIANTS, DEFAULT, {**given, "patch_size": patch_in_name if patch_size is None else patch_size}
    )
    _checks.at_least_zero("ViT", "registers", registers)
    images = _head.image_input("ViT", input_shape)
    own_tokens = (0 if pooling in ("avg", "max") else 1) + registers
    x = encoded_patches("ViT", images, parts, own_tokens, dropout, stochastic_depth, block_options)
    x = _head.pooled("ViT", x, token_pools(own_tokens), pooling, include_top)
    if include_top:
        x = _head.classify("ViT", x, classes, classifier_activation)
    return keras.Model(images, x, name=name)
