"""The tensorflow-heavy half of `load`: reading, counting, measuring and batching pictures."""

import math
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_nnx.data._augment import Augment
from keras_nnx.data._features import ImageFeatures
from keras_nnx.data._quiet import quiet

# What is kept in memory after the first pass; larger splits are read from disk at every epoch.
CACHE_BYTES = 2**30


def read_pixels(builder: Any, split: str, features: ImageFeatures) -> Any:
    """Reads a split as `(image, label)` pairs in a fixed order, resized where needed, cached where small.

    Args:
        builder: The prepared builder.
        split: The TensorFlow Datasets split or slice.
        features: What pictures to make of it.

    Returns:
        The dataset: uint8 pictures, or float32 ones where they were resized.
    """

    def pair(example: dict[str, Any]) -> tuple[Any, Any]:
        image = example["image"]
        if features.resize:
            image = tf.image.resize(image, features.image_shape[:2], antialias=True)
        return tf.ensure_shape(image, features.image_shape), tf.cast(example["label"], tf.int64)

    dataset = _read(builder, split, "image", "label").map(pair, num_parallel_calls=tf.data.AUTOTUNE)
    size = count(dataset)
    return dataset.cache() if size * _image_bytes(dataset) <= CACHE_BYTES else dataset


def count(dataset: Any) -> int:
    """Counts the examples of a dataset, without reading them where it knows.

    Args:
        dataset: A finite dataset.

    Returns:
        The number of examples.

    Example:
        >>> count(tf.data.Dataset.range(7)), count(tf.data.Dataset.range(7).filter(lambda x: x > 2))
        (7, 4)
    """
    known = int(dataset.cardinality())
    return known if known >= 0 else int(dataset.reduce(np.int64(0), lambda total, _: total + 1))


def channel_statistics(dataset: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Measures the mean and the standard deviation of each channel, batch by batch, in float64.

    Args:
        dataset: Pairs of a picture and its label.

    Returns:
        The means and the standard deviations; 1 for the deviation of a channel that never changes.

    Example:
        >>> pictures = np.array([[[[0.0, 5.0]]], [[[4.0, 5.0]]]])
        >>> channel_statistics(tf.data.Dataset.from_tensor_slices((pictures, [0, 1])))
        ((2.0, 5.0), (2.0, 1.0))
    """
    pixels, total, squares = 0, np.zeros(()), np.zeros(())
    for images, _ in dataset.batch(256).as_numpy_iterator():
        values = images.astype(np.float64).reshape(-1, images.shape[-1])  # b h w c -> bhw c
        pixels += len(values)
        total = total + values.sum(axis=0)
        squares = squares + np.square(values).sum(axis=0)
    mean = total / pixels
    deviation = np.sqrt(np.maximum(squares / pixels - np.square(mean), 0.0))
    deviation = np.where(deviation < 1e-6, 1.0, deviation)
    return tuple(mean.tolist()), tuple(deviation.tolist())


def raw_batches(pixels: Any, batch_size: int) -> Any:
    """Batches pictures as float32 in pixel units, in order.

    Args:
        pixels: Pairs of a picture and its label.
        batch_size: How many examples a batch has; the last may have fewer.

    Returns:
        The dataset of `(b h w c, b)` batches.
    """
    return pixels.batch(batch_size).map(_as_float, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def normalized_batches(raw: Any, mean: Any, deviation: Any) -> Any:
    """Normalises batches of raw pictures.

    Args:
        raw: Batches in pixel units.
        mean: The mean of each channel.
        deviation: The standard deviation of each channel.

    Returns:
        The dataset of `(b h w c, b)` batches.
    """
    mean, deviation = np.float32(mean), np.float32(deviation)
    return raw.map(lambda images, labels: ((images - mean) / deviation, labels), tf.data.AUTOTUNE).prefetch(
        tf.data.AUTOTUNE
    )


def training_batches(pixels: Any, batch_size: int, augment: Augment, seed: int) -> Any:
    """Shuffles, augments and batches pictures, another way at each iteration, all decided by the seed.

    Args:
        pixels: Pairs of a picture and its label.
        batch_size: How many examples a batch has. A partial last batch is dropped, unless it is the only one.
        augment: The function of a picture and a seed.
        seed: Decides the order and the augmentation.

    Returns:
        The dataset of float32 `(b h w c, b)` batches in pixel units.

    Raises:
        ValueError: If the augmentation changes the shape of a picture.
    """
    size = count(pixels)
    buffer = min(size, max(batch_size * 8, math.floor(CACHE_BYTES / 4 / _image_bytes(pixels))))
    shape = pixels.element_spec[0].shape

    def change(example: tuple[Any, Any], number: Any) -> tuple[Any, Any]:
        image, label = _as_float(*example)
        image = tf.cast(augment(image, tf.stack([number, tf.constant(seed, tf.int64)])), tf.float32)
        if not image.shape.is_compatible_with(shape):
            raise ValueError(
                f"load(augment={augment!r}) returned a picture of shape {image.shape} for one of shape {shape}: "
                "return the same height, width and channels."
            )
        return tf.ensure_shape(image, shape), label

    shuffled = pixels.shuffle(buffer, seed=seed, reshuffle_each_iteration=True)
    numbers = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
    changed = tf.data.Dataset.zip(shuffled, numbers).map(change, tf.data.AUTOTUNE, deterministic=True)
    return changed.batch(batch_size, drop_remainder=size >= batch_size)


def first_label(builder: Any, split: str) -> int:
    """Reads the label of a split's first example, which is negative where the labels are kept secret.

    Args:
        builder: The prepared builder.
        split: The stored split.

    Returns:
        The label.
    """
    dataset = _read(builder, split, "label")
    return next(int(example["label"]) for example in dataset.take(1).as_numpy_iterator())


def _read(builder: Any, split: str, *keys: str) -> Any:
    """Reads and decodes only these features, in the order in which they are stored."""
    with quiet():
        return builder.as_dataset(
            split=split,
            decoders=tfds.decode.PartialDecoding(dict.fromkeys(keys, True)),
            read_config=tfds.ReadConfig(try_autocache=False, skip_prefetch=True),
        )


def _as_float(images: Any, labels: Any) -> tuple[Any, Any]:
    return tf.cast(images, tf.float32), labels


def _image_bytes(dataset: Any) -> int:
    spec = dataset.element_spec[0]
    return int(spec.shape.num_elements() * spec.dtype.size)
