"""The cases that every builder of `keras_nnx.models` goes through."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_nnx import models

BATCH, CLASSES, VOCABULARY = 3, 5, 20
POOLED = ("avg", "max", "first", "last")
Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One way to use a builder.

    Args:
        build: The builder.
        shape: The first argument, with None where any size will do.
        arguments: What else the builder is given.
        scores: The shape of the output without the batch, by `pooling`.
        features: The same of a model without the top.
        integers: For token numbers: the values are under this.
        label: Tells several cases of one builder apart.
    """

    build: Callable[..., keras.Model]
    shape: tuple
    arguments: dict[str, Any]
    scores: dict[str | None, Shape]
    features: dict[str | None, Shape]
    integers: bool = False
    label: str = ""

    def __str__(self) -> str:
        return "-".join(part for part in (self.build.__name__, self.label) if part)

    def make(self, **more: Any) -> keras.Model:
        """Return a new model, with logits."""
        arguments = {"classes": CLASSES, "classifier_activation": None, **self.arguments, **more}
        return self.build(self.shape, **arguments)

    def inputs(self, seed: int = 0) -> Any:
        """Return a batch of inputs of the size 8, or 6 and 8 for pairs, where any will do."""
        random = np.random.default_rng(seed)
        if isinstance(self.shape[0], tuple):
            return {side: self._values(random, (length,)) for side, length in (("source", 6), ("target", 8))}
        return self._values(random, tuple(8 if size is None else size for size in self.shape))

    def _values(self, random: np.random.Generator, shape: Shape) -> np.ndarray:
        if self.integers:
            return random.integers(1, VOCABULARY, (BATCH, *shape)).astype("int32")
        return random.standard_normal((BATCH, *shape)).astype("float32")


def image(
    build: Callable[..., keras.Model], sides: tuple[int, int], features: int, label: str = "", **arguments: Any
) -> Case:
    """A case of an image classifier whose last map has `sides`."""
    return Case(
        build,
        (16, 8, 3),
        arguments,
        dict.fromkeys((None, "avg", "max"), (CLASSES,)),
        {None: (*sides, features), "avg": (features,), "max": (features,)},
        label=label,
    )


def sequence(
    build: Callable[..., keras.Model], shape: tuple, features: int, length: int = 8, label: str = "", **arguments: Any
) -> Case:
    """A case of a model that answers at every step, or to the whole sequence if pooled."""
    return Case(
        build,
        shape,
        arguments,
        {None: (length, CLASSES), **dict.fromkeys(POOLED, (CLASSES,))},
        {None: (length, features), **dict.fromkeys(POOLED, (features,))},
        integers="vocabulary_size" in arguments or "vocabulary_sizes" in arguments,
        label=label,
    )


def tokens(own: int, patches: int, dim: int) -> dict[str | None, Shape]:
    return {None: (own + patches, dim), "token": (dim,), "avg": (dim,), "max": (dim,)}


SMALL = {"dim": 8, "depth": 1, "num_heads": 2}
VIT = {**SMALL, "patch_size": 4}
FOUR = (None, "token", "avg", "max")
CASES = (
    image(models.ResNet, (8, 4), 6, filters=(4, 6), blocks=(1, 2)),
    image(
        models.ResNet,
        (2, 1),
        8,
        "next",
        filters=(8, 8),
        blocks=(1, 1),
        bottleneck=0.5,
        groups=2,
        order="pre",
        shortcut="average",
        squeeze=0.5,
        stem="deep",
    ),
    image(models.ResNet, (2, 1), 6, "large stem", filters=(4, 6), blocks=(1, 1), stem="large", strides_first=True),
    image(models.ConvNeXt, (4, 2), 8, filters=(4, 8), blocks=(1, 1)),
    image(models.ConvNeXt, (4, 2), 4, "second", filters=(4,), blocks=(1,), version=2, patch_size=4),
    image(
        models.EfficientNet, (1, 1), 80, width=0.06, depth=0.25, stem_strides=1, include_preprocessing=True, dropout=0.1
    ),
    image(models.Swin, (4, 2), 16, dim=8, blocks=(1, 2), num_heads=(2, 2), window_size=2),
    Case(models.ViT, (16, 8, 3), VIT, dict.fromkeys(FOUR, (CLASSES,)), tokens(1, 8, 8)),
    Case(
        models.ViT,
        (16, 8, 3),
        {**VIT, "registers": 2, "hidden_dim": 12},
        dict.fromkeys(FOUR, (CLASSES,)),
        tokens(3, 8, 8),
        label="registers",
    ),
    Case(models.DeiT, (16, 8, 3), VIT, {None: (CLASSES,)}, {**tokens(2, 8, 8), "token": (16,)}),
    Case(
        models.UNet,
        (7, 9, 2),
        {"filters": (4, 6, 8), "dropout": 0.1},
        {None: (7, 9, CLASSES), "avg": (CLASSES,), "max": (CLASSES,)},
        {None: (7, 9, 4), "avg": (4,), "max": (4,)},
    ),
    sequence(models.TemporalConvNet, (None, 3), 6, filters=(4, 6), mask_value=0.0),
    sequence(models.TemporalConvNet, (None, 3), 4, label="both sides", filters=(4,), causal=False),
    sequence(models.TransformerEncoder, (None, 3), 8, **SMALL),
    sequence(
        models.TransformerEncoder,
        (10,),
        8,
        10,
        "tokens",
        **SMALL,
        vocabulary_size=VOCABULARY,
        positions="learned",
        order="post",
        dropout=0.1,
    ),
    sequence(models.TransformerDecoder, (None,), 8, **SMALL, vocabulary_size=VOCABULARY),
    sequence(
        models.TransformerDecoder,
        (None,),
        8,
        label="rms",
        **SMALL,
        vocabulary_size=VOCABULARY,
        positions=None,
        block_options={"normalization": "rms"},
        mask_zero=False,
    ),
    sequence(
        models.TransformerSeq2Seq,
        ((None,), (None,)),
        8,
        **SMALL,
        vocabulary_sizes=(VOCABULARY, VOCABULARY),
        decoder_depth=2,
    ),
    Case(
        models.CRNN,
        (8, 8, 1),
        {"filters": (3, 4), "units": (5,), "cell": "gru", "width_halvings": 1},
        {None: (4, CLASSES), **dict.fromkeys(POOLED, (CLASSES,))},
        {None: (4, 10), **dict.fromkeys(POOLED, (10,))},
    ),
    sequence(models.LanguageModel, (None,), 6, units=(5, 6), vocabulary_size=VOCABULARY),
    sequence(models.SequenceClassifier, (None, 3), 6, units=(6,), mask_value=0.0),
    sequence(
        models.SequenceClassifier,
        (None,),
        8,
        label="tokens",
        units=(5, 4),
        cell="gru",
        bidirectional=True,
        dropout=0.1,
        vocabulary_size=VOCABULARY,
    ),
    sequence(models.SequenceToSequence, ((None,), (None,)), 5, units=(6, 5), vocabulary_sizes=(VOCABULARY, VOCABULARY)),
)
