"""Vision transformers that learn from a teacher, and their single head afterwards."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_nnx import _checks
from keras_nnx.models import _head
from keras_nnx.models._variants import settle, with_patch
from keras_nnx.models._vit import DEFAULT, SIZES, encoded_patches

VARIANTS = {f"DeiT-{size}": {"patch_size": 16, **SIZES[size]} for size in ("Ti", "S", "B")}
_OWN_TOKENS = 2
_HEADS = ("label", "distillation")


def DeiT(
    input_shape: tuple[int, int, int],
    classes: int = 1000,
    variant: str | None = None,
    patch_size: int | tuple[int, int] | None = None,
    dim: int | None = None,
    depth: int | None = None,
    num_heads: int | None = None,
    hidden_dim: int | None = None,
    dropout: float = 0.0,
    stochastic_depth: float = 0.1,
    block_options: dict[str, Any] | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: Any = None,
    name: str = "deit",
) -> keras.Model:
    """Build a vision transformer with a class token and a distillation token, each with a head of its own.

    One head learns from the labels, the other from a teacher: compile the model with a loss for each, fit it to
    `{"label": labels, "distillation": scores of the teacher}`, and make one head of both with `fuse_heads`.

    Args:
        input_shape: Height, width and channels of an image.
        classes: Number of classes.
        variant: `"DeiT-Ti"`, `"DeiT-S"` or `"DeiT-B"`, with the size of a patch behind a slash, such as `"DeiT-S/16"`
            (16 if there is none). It sets what follows; what is given besides replaces its part.
        patch_size: Side of a patch in pixels; has to divide height and width.
        dim: Size of a token.
        depth: Number of encoder blocks.
        num_heads: Attention heads in each; has to divide `dim`.
        hidden_dim: Width of the feed-forward networks. Default: four times `dim`.
        dropout: Fraction of attention weights and hidden values dropped in training.
        stochastic_depth: Probability of skipping a branch of the last block in training; earlier blocks have
            proportionally less.
        block_options: More options of `TransformerEncoderBlock`.
        include_top: Whether the model ends with the two classifiers.
        pooling: Without the classifiers: `"token"` puts the two tokens behind each other, `"avg"` and `"max"` reduce
            the patches; None is all tokens: class, distillation, patches. The classifiers always read the two tokens.
        classifier_activation: Activation of the scores. Default: none, since both losses take logits.
        name: Name of the model.

    Returns:
        A model from `(b, h, w, c)` to a dictionary of two scores `(b, classes)`, `"label"` and `"distillation"`, or to
        features without the classifiers.

    Raises:
        ValueError: If an argument is unknown, out of range, or does not divide what it has to.

    Example:
        >>> import keras, keras_nnx as nnx
        >>> student = nnx.models.DeiT((8, 8, 1), classes=10)
        >>> losses = {
        ...     "label": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        ...     "distillation": nnx.losses.DistillationLoss("hard"),
        ... }
        >>> student.compile("adamw", loss=losses, loss_weights={"label": 0.5, "distillation": 0.5})
        >>> nnx.models.fuse_heads(student).output_shape
        (None, 10)

    Source:
        Touvron et al., "Training data-efficient image transformers & distillation through attention" (2021), section 4
        and table 1.
    """
    variant, patch_in_name = with_patch("DeiT", variant)
    given = {key: value for key, value in locals().items() if key in DEFAULT}
    parts = settle(
        "DeiT", variant, VARIANTS, DEFAULT, {**given, "patch_size": patch_in_name if patch_size is None else patch_size}
    )
    if include_top and pooling not in (None, "token"):
        raise ValueError(f"DeiT(pooling={pooling!r}) has no classifiers: they read the two tokens. Leave pooling out.")
    images = _head.image_input("DeiT", input_shape)
    x = encoded_patches("DeiT", images, parts, _OWN_TOKENS, dropout, stochastic_depth, block_options)
    if not include_top:
        return keras.Model(images, _head.pooled("DeiT", x, _pools(), pooling, include_top), name=name)
    _checks.positive_integer("DeiT", "classes", classes)
    outputs = {}
    for index, head in enumerate(_HEADS):
        logits = keras.layers.Dense(classes, name=f"{head}_logits")(x[:, index])
        outputs[head] = keras.layers.Activation(classifier_activation, dtype="float32", name=head)(logits)
    return keras.Model(images, outputs, name=name)


def fuse_heads(model: keras.Model, classifier_activation: Any = "softmax", name: str | None = None) -> keras.Model:
    """Return a model for inference whose one head gives what the two heads of a `DeiT` give on average.

    Their logits are averaged, which is one product with the weights of both: the fused model is as fast as one with a
    single head. Its body is shared with `model`, its head is a copy.

    Args:
        model: A model that `DeiT` built, trained or not.
        classifier_activation: Activation of the scores; None for logits.
        name: Name of the new model. Default: as `model`.

    Returns:
        A model from `(b, h, w, c)` to scores `(b, classes)`.

    Raises:
        ValueError: If `model` has no two such heads, or they are quantised.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.models.fuse_heads(nnx.models.DeiT((8, 8, 1), classes=10)).output_shape
        (None, 10)

    Source:
        Touvron et al., "Training data-efficient image transformers & distillation through attention" (2021), section 4,
        "Joint classifiers".
    """
    names = [f"{head}_logits" for head in _HEADS]
    known = {layer.name: layer for layer in model.layers}
    missing = [name for name in names if name not in known]
    if missing:
        raise ValueError(
            f"fuse_heads received the model {model.name!r} without the layer {missing[0]!r}: it takes a model that "
            f"keras_nnx.models.DeiT built with its classifiers."
        )
    heads = [known[name] for name in names]
    quantized = next((head for head in heads if head.quantization_mode is not None), None)
    if quantized is not None:
        raise ValueError(
            f"fuse_heads received {quantized.name!r} quantised to {quantized.quantization_mode}: fuse the heads first, "
            f"and quantise what comes out."
        )
    both = keras.layers.Concatenate(name="tokens_of_both")([head.input for head in heads])
    fused = keras.layers.Dense(heads[0].units, name="logits")
    logits = fused(both)
    kernels, biases = ([ops.convert_to_numpy(getattr(head, part)) for head in heads] for part in ("kernel", "bias"))
    fused.set_weights([np.concatenate(kernels) / len(heads), sum(biases) / len(heads)])
    scores = keras.layers.Activation(classifier_activation, dtype="float32", name="predictions")(logits)
    return keras.Model(model.input, scores, name=name or model.name)


def _pools() -> dict[str | None, Any]:
    def both(tokens: Any) -> Any:
        return keras.layers.Flatten(data_format="channels_last", name="pool")(tokens[:, :_OWN_TOKENS])

    def patches(kind: Any) -> Any:
        return lambda tokens: kind(data_format="channels_last", name="pool")(tokens[:, _OWN_TOKENS:])

    return {
        "token": both,
        "avg": patches(keras.layers.GlobalAveragePooling1D),
        "max": patches(keras.layers.GlobalMaxPooling1D),
        None: both,
    }
