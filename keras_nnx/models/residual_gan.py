"""A generator and a discriminator of residual blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx.blocks import DiscriminatorResidualBlock, GeneratorResidualBlock
from keras_nnx.models import _adversarial

_NORMALIZATIONS = ("spectral", None)


def ResidualGenerator(
    image_shape: tuple[int, int, int],
    latent_dim: int = 128,
    num_classes: int | None = None,
    filters: Sequence[int] = (128, 128),
    attention_size: int | None = None,
    output_activation: Any = "tanh",
    name: str = "residual_generator",
) -> keras.Model:
    """Build a network that makes images of random numbers by residual blocks, each twice as large as the one before.

    Args:
        image_shape: Height, width and channels; height and width are multiples of `2 ** len(filters)`.
        latent_dim: How many numbers an image is made of.
        num_classes: Number of classes, each with its own scales and shifts behind the normalisations; None for a model
            without labels.
        filters: Channels of each block.
        attention_size: Height of the map that gets self-attention; None for none.
        output_activation: Activation of the pixels; `"tanh"` makes them lie between -1 and 1.
        name: Name of the model.

    Returns:
        A model from `latent` `(b, latent_dim)`, and with classes from `[latent, labels]` with `labels` `(b)`, to images
        `(b, h, w, c)`.

    Raises:
        ValueError: If an argument is unknown or out of range, the filters do not fit the sides of an image, or no map
            has the height `attention_size`.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.models.ResidualGenerator((32, 32, 3), filters=(256, 256, 256)).output_shape
        (None, 32, 32, 3)

    Source:
        Miyato et al., "Spectral Normalization for Generative Adversarial Networks" (2018), table 4; labels, Miyato and
        Koyama, "cGANs with Projection Discriminator" (2018).
    """
    owner = "ResidualGenerator"
    stages = _adversarial.Stages(owner, image_shape, filters)
    stages.check_attention(attention_size, [height for height, _ in stages.sides])
    latent = _adversarial.latent_input(owner, latent_dim)
    labels = _adversarial.labels_input(owner, num_classes)
    given = () if labels is None else (labels,)
    x = _adversarial.projected(latent, stages, None, use_bias=True)
    x = _adversarial.attended(x, attention_size, None)
    for index, width in enumerate(stages.filters, start=1):
        x = GeneratorResidualBlock(width, num_classes=num_classes, name=f"block_{index}")(x, *given)
        x = _adversarial.attended(x, attention_size, None)
    x = keras.layers.BatchNormalization(momentum=0.9, name="normalization")(x)
    x = keras.layers.Activation("relu", name="activation")(x)
    x = keras.layers.Conv2D(stages.shape[-1], 3, padding="same", data_format="channels_last", name="pixels")(x)
    return _adversarial.model(latent, labels, _adversarial.pictures(x, output_activation), name)


def ResidualDiscriminator(
    image_shape: tuple[int, int, int],
    num_classes: int | None = None,
    filters: Sequence[int] = (128, 128),
    normalization: str | None = "spectral",
    minibatch_deviation: int = 0,
    attention_size: int | None = None,
    conditioning: str = "projection",
    name: str = "residual_discriminator",
) -> keras.Model:
    """Build a network that tells real images from made ones by residual blocks that normalise nothing over the batch.

    Each stage halves the image; one more block follows, and the sum over all positions.

    Args:
        image_shape: Height, width and channels; height and width are multiples of `2 ** len(filters)`.
        num_classes: Number of classes, whose label is then judged too; None for a model without labels.
        filters: Channels of each block that halves.
        normalization: `"spectral"` normalises the kernels; None leaves them, for a gradient penalty.
        minibatch_deviation: Number of channels in front of the last block that tell how much the images of a batch
            differ; 0 for none. With them, an answer depends on the other examples of the batch.
        attention_size: Height of the map that gets self-attention; None for none.
        conditioning: What labels do: `"projection"` compares them with the features at the end, `"concatenation"` puts
            them beside every pixel.
        name: Name of the model.

    Returns:
        A model from `images` `(b, h, w, c)`, and with classes from `[images, labels]` with `labels` `(b)`, to logits
        `(b, 1)`, larger for what seems real.

    Raises:
        ValueError: If an argument is unknown or out of range, the filters do not fit the sides of an image, or no map
            has the height `attention_size`.

    Example:
        >>> import keras_nnx as nnx
        >>> nnx.models.ResidualDiscriminator((32, 32, 3), num_classes=10).output_shape
        (None, 1)

    Source:
        Miyato et al., "Spectral Normalization for Generative Adversarial Networks" (2018), table 4; labels, Miyato and
        Koyama, "cGANs with Projection Discriminator" (2018), figure 1d.
    """
    owner = "ResidualDiscriminator"
    stages = _adversarial.Stages(owner, image_shape, filters)
    stages.check_attention(attention_size, [height for height, _ in stages.sides[1:]])
    _checks.one_of(owner, "normalization", normalization, _NORMALIZATIONS)
    labels = _adversarial.labels_input(owner, num_classes)
    images, x = _adversarial.images_input(stages, labels, num_classes, conditioning)
    for index, width in enumerate(stages.filters, start=1):
        position = "first" if index == 1 else "inner"
        x = DiscriminatorResidualBlock(width, position=position, normalization=normalization, name=f"block_{index}")(x)
        x = _adversarial.attended(x, attention_size, normalization)
    x = _adversarial.compared(owner, x, minibatch_deviation)
    last = DiscriminatorResidualBlock(
        stages.filters[-1], downsample=False, normalization=normalization, name=f"block_{len(stages.filters) + 1}"
    )
    x = keras.layers.Activation("relu", name="activation")(last(x))
    x = ops.sum(x, axis=(1, 2))
    x = _adversarial.logits(x, labels, num_classes, normalization, conditioning)
    return _adversarial.model(images, labels, x, name)
