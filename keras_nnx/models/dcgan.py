"""The generator and the discriminator of a DCGAN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_nnx import _checks
from keras_nnx.blocks import StridedConvolutionBlock, TransposedConvolutionBlock
from keras_nnx.layers import LabelConcatenation
from keras_nnx.models import _adversarial

_NORMALIZATIONS = ("batch", "spectral", None)


def DCGANGenerator(
    image_shape: tuple[int, int, int],
    latent_dim: int = 64,
    num_classes: int | None = None,
    filters: Sequence[int] = (128, 64),
    normalization: str | None = "batch",
    attention_size: int | None = None,
    output_activation: Any = "tanh",
    name: str = "dcgan_generator",
) -> keras.Model:
    """Build a network that makes images of random numbers by transposed convolutions.

    Args:
        image_shape: Height, width and channels; height and width are multiples of `2 ** len(filters)`.
        latent_dim: How many numbers an image is made of.
        num_classes: Number of classes, whose label then stands beside the numbers; None for a model without labels.
        filters: Channels of each map that is doubled, from the smallest on; there are as many doublings.
        normalization: `"batch"` behind the convolutions, `"spectral"` of their kernels, or None.
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
        >>> nnx.models.DCGANGenerator((28, 28, 1), num_classes=10).output_shape
        (None, 28, 28, 1)

    Source:
        Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks"
        (2016), figure 1; labels, Mirza and Osindero, "Conditional Generative Adversarial Nets" (2014); attention, Zhang
        et al., "Self-Attention Generative Adversarial Networks" (2019).
    """
    owner = "DCGANGenerator"
    stages = _adversarial.Stages(owner, image_shape, filters)
    stages.check_attention(attention_size, [height for height, _ in stages.sides[1:]])
    _checks.one_of(owner, "normalization", normalization, _NORMALIZATIONS)
    latent = _adversarial.latent_input(owner, latent_dim)
    labels = _adversarial.labels_input(owner, num_classes)
    x = latent if num_classes is None else LabelConcatenation(num_classes, name="classes")(latent, labels)
    x = _adversarial.projected(x, stages, normalization, use_bias=normalization != "batch")
    if normalization == "batch":
        x = keras.layers.BatchNormalization(momentum=0.9, name="normalization")(x)
    x = keras.layers.Activation("relu", name="activation")(x)
    for index, width in enumerate(stages.filters[1:], start=1):
        x = _adversarial.attended(x, attention_size, normalization)
        x = TransposedConvolutionBlock(width, normalization=normalization, name=f"block_{index}")(x)
    x = _adversarial.attended(x, attention_size, normalization)
    last = keras.layers.Conv2DTranspose(
        stages.shape[-1],
        4,
        strides=2,
        padding="same",
        data_format="channels_last",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
        name="pixels",
    )
    x = _adversarial.pictures(_adversarial.spectral(last, normalization)(x), output_activation)
    return _adversarial.model(latent, labels, x, name)


def DCGANDiscriminator(
    image_shape: tuple[int, int, int],
    num_classes: int | None = None,
    filters: Sequence[int] = (64, 128),
    normalization: str | None = "batch",
    minibatch_deviation: int = 0,
    attention_size: int | None = None,
    conditioning: str = "projection",
    name: str = "dcgan_discriminator",
) -> keras.Model:
    """Build a network that tells real images from made ones by convolutions that halve them.

    Args:
        image_shape: Height, width and channels; height and width are multiples of `2 ** len(filters)`.
        num_classes: Number of classes, whose label is then judged too; None for a model without labels.
        filters: Channels of each map, from the largest on; each is half as high and wide as the one before.
        normalization: `"batch"` behind all convolutions but the first, `"spectral"` of the kernels, or None. A gradient
            penalty, which is of one example, allows no `"batch"`.
        minibatch_deviation: Number of channels in front of the end that tell how much the images of a batch differ; 0
            for none. With them, an answer depends on the other examples of the batch.
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
        >>> nnx.models.DCGANDiscriminator((28, 28, 1), minibatch_deviation=1).output_shape
        (None, 1)

    Source:
        Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks"
        (2016), section 3; `"projection"`, Miyato and Koyama, "cGANs with Projection Discriminator" (2018).
    """
    owner = "DCGANDiscriminator"
    stages = _adversarial.Stages(owner, image_shape, filters)
    stages.check_attention(attention_size, [height for height, _ in stages.sides[1:]])
    _checks.one_of(owner, "normalization", normalization, _NORMALIZATIONS)
    labels = _adversarial.labels_input(owner, num_classes)
    images, x = _adversarial.images_input(stages, labels, num_classes, conditioning)
    for index, width in enumerate(stages.filters, start=1):
        kind = None if index == 1 and normalization == "batch" else normalization
        x = StridedConvolutionBlock(width, normalization=kind, name=f"block_{index}")(x)
        x = _adversarial.attended(x, attention_size, normalization)
    x = _adversarial.compared(owner, x, minibatch_deviation)
    x = keras.layers.Flatten(data_format="channels_last", name="features")(x)
    x = _adversarial.logits(x, labels, num_classes, normalization, conditioning)
    return _adversarial.model(images, labels, x, name)
