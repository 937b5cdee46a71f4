"""A trained encoder and decoder made a model that writes."""

from __future__ import annotations

from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.blocks import AttentionDecoderBlock
from keras_nnx.models._greedy_decoding import GreedyDecoding

_OWNER = "greedy_decoder"


def greedy_decoder(
    model: keras.Model, steps: int, start_token: int, end_token: int | None = None, name: str = "greedy_decoder"
) -> keras.Model:
    """Make a model that reads a source and writes a target, out of a trained `SequenceToSequence`.

    At each step it writes the likeliest token, and reads it at the next: what the trained model says when its own
    tokens are its target, in one graph that can be saved and exported. It has the weights of the model, not copies.
    Every token that it writes is read, the token 0 too.

    Args:
        model: What `SequenceToSequence` built, with its classifier and without pooling.
        steps: How many tokens are written.
        start_token: What stood in front of every target in training.
        end_token: What ended every target in training: the tokens behind it are 0. Default: all steps are written.
        name: Name of the new model.

    Returns:
        A model from source tokens `(b, s)` to target tokens `(b, steps)`.

    Raises:
        ValueError: If `model` is another one, an argument is out of range, or the model has more classes than tokens.

    Example:
        >>> import keras_nnx as nnx
        >>> model = nnx.models.SequenceToSequence(((None,), (None,)), vocabulary_sizes=(100, 80))
        >>> nnx.models.greedy_decoder(model, steps=7, start_token=1, end_token=2).output_shape
        (None, 7)
    """
    _checks.positive_integer(_OWNER, "steps", steps)
    parts = _parts(model)
    tokens = parts["target_embedding"].input_dim
    for key, token in (("start_token", start_token), ("end_token", end_token)):
        if token is not None and _checks.at_least_zero(_OWNER, key, token) >= tokens:
            raise ValueError(f"{_OWNER}({key}={token}) is no token of the target: they are 0 to {tokens - 1}.")
    classes = parts["logits"].units
    if classes > tokens:
        raise ValueError(
            f"{_OWNER} cannot read what it writes: the model has {classes} classes and {tokens} tokens. Build it with "
            f"as many tokens of the target, or with classes={tokens}."
        )
    decoders = [layer for layer in model.layers if isinstance(layer, AttentionDecoderBlock)]
    states = [state for index in range(len(decoders)) for state in parts[f"encoder_block_{index + 1}"].output[1:]]
    write = GreedyDecoding(
        parts["target_embedding"],
        decoders,
        parts["decoder_normalization"],
        parts["logits"],
        steps,
        start_token,
        end_token,
        name="decoding",
        dtype=decoders[0].dtype_policy,
    )
    written = write(parts["encoder_normalization"].output, states)
    return keras.Model(parts["source"].output, written, name=name)


def _parts(model: keras.Model) -> dict[str, Any]:
    """Return the layers of a `SequenceToSequence` by their names."""
    parts = {layer.name: layer for layer in model.layers} if isinstance(model, keras.Model) else {}
    wanted = ("source", "target_embedding", "encoder_normalization", "decoder_normalization", "logits")
    missing = [name for name in wanted if name not in parts]
    if missing or "pool" in parts:
        found = "a layer called 'pool'" if "pool" in parts else f"no layer called {missing[0]!r}"
        raise ValueError(
            f"{_OWNER} needs what SequenceToSequence builds, with include_top=True and pooling=None, but received "
            f"{model!r} with {found}."
        )
    return parts
