"""The body that ViT and DeiT share."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.blocks import TransformerEncoderBlock
from keras_nnx.layers import ClassToken, PatchEmbedding, PositionEmbedding
from keras_nnx.models import _head

DEFAULT = {"patch_size": 2, "dim": 64, "depth": 4, "num_heads": 4, "hidden_dim": None}
SIZES = {
    "Ti": {"dim": 192, "depth": 12, "num_heads": 3},
    "S": {"dim": 384, "depth": 12, "num_heads": 6},
    "B": {"dim": 768, "depth": 12, "num_heads": 12},
    "L": {"dim": 1024, "depth": 24, "num_heads": 16},
    "H": {"dim": 1280, "depth": 32, "num_heads": 16},
}


def encoded_patches(
    owner: str,
    images: Any,
    parts: dict[str, Any],
    own_tokens: int,
    dropout: float,
    stochastic_depth: float,
    block_options: dict[str, Any] | None,
) -> Any:
    """Return the normalised tokens `(b, own_tokens + patches, dim)` that the last block gives.

    The positions come before the tokens of no place, which learn what would have been added to them.
    """
    for key in ("dim", "depth", "num_heads"):
        _checks.positive_integer(owner, key, parts[key])
    _checks.probability(owner, "stochastic_depth", stochastic_depth)
    dim, depth = parts["dim"], parts["depth"]
    x = PatchEmbedding(dim, parts["patch_size"], name="patches")(images)
    patch = parts["patch_size"]
    sides = (patch, patch) if isinstance(patch, int) else patch
    height, width, _ = images.shape[1:]
    if height is None or width is None:
        raise ValueError(
            f"{owner}(input_shape={tuple(images.shape[1:])}) has one learned position for each patch and needs to "
            f"know how many there are: give the images a fixed height and width."
        )
    x = PositionEmbedding(grid=(height // sides[0], width // sides[1]), name="positions")(x)
    if own_tokens:
        x = ClassToken(registers=own_tokens - 1, name="tokens")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    for index, rate in enumerate(_head.rising(stochastic_depth, depth), start=1):
        options = {"dropout": dropout, "stochastic_depth": rate, **(block_options or {})}
        hidden = 4 * dim if parts["hidden_dim"] is None else parts["hidden_dim"]
        x = TransformerEncoderBlock(parts["num_heads"], hidden, name=f"block_{index}", **options)(x)
    return keras.layers.LayerNormalization(epsilon=1e-6, name="normalization")(x)


def token_pools(own_tokens: int) -> dict[str | None, Any]:
    """Return what reduces tokens `(b, t, d)`, of which the first `own_tokens` are no patches."""

    def of_patches(pool: keras.layers.Layer) -> Any:
        return lambda tokens: pool(tokens[:, own_tokens:] if own_tokens else tokens)

    def first(tokens: Any) -> Any:
        return tokens[:, 0]

    return {
        "token": first,
        "avg": of_patches(keras.layers.GlobalAveragePooling1D(data_format="channels_last", name="pool")),
        "max": of_patches(keras.layers.GlobalMaxPooling1D(data_format="channels_last", name="pool")),
        None: first,
    }
