"""The named augmentations: functions of one picture and a seed, so that a seed decides everything."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Augment = Callable[[Any, Any], Any]

SHIFT_FRACTION = 1 / 8


def max_shift(size: int) -> int:
    """The largest shift along a side, in pixels: an eighth of it, and at least one.

    Args:
        size: The side's length in pixels.

    Returns:
        The number of pixels.

    Example:
        >>> [max_shift(size) for size in (8, 28, 32)]
        [1, 3, 4]
    """
    return max(1, int(size * SHIFT_FRACTION))


def none(image: Any, seed: Any) -> Any:
    """Leaves the picture as it is.

    Args:
        image: The picture, `h w c`.
        seed: Not used.

    Returns:
        The same picture.
    """
    del seed
    return image


def shift(image: Any, seed: Any) -> Any:
    """Moves the picture by up to `max_shift` pixels each way; black comes in at the edges.

    Args:
        image: The picture, `h w c`.
        seed: Two integers.

    Returns:
        The moved picture, of the same shape.

    Example:
        >>> moved = shift(tf.ones((8, 8, 1)), seed=(0, 3))
        >>> moved.shape, float(tf.reduce_sum(moved)) >= 49
        (TensorShape([8, 8, 1]), True)
    """
    height, width, _ = image.shape
    rows, columns = max_shift(height), max_shift(width)
    padded = tf.pad(image, [[rows, rows], [columns, columns], [0, 0]])
    return tf.image.stateless_random_crop(padded, image.shape, seed)


def shift_flip(image: Any, seed: Any) -> Any:
    """Moves the picture, and mirrors every other one from left to right; for photographs, not for writing.

    Args:
        image: The picture, `h w c`.
        seed: Two integers.

    Returns:
        The changed picture, of the same shape.
    """
    seeds = tf.random.split(seed, 2)
    return tf.image.stateless_random_flip_left_right(shift(image, seeds[0]), seeds[1])


def affine(image: Any, seed: Any) -> Any:
    """Rotates, scales, shears and moves the picture a little, by fractions of a pixel; black comes in at the edges.

    Up to 0.2 radians, a factor of e**0.12, a shear of 0.2 and `SHIFT_FRACTION` of each side, all drawn evenly.

    Args:
        image: The picture, `h w c`.
        seed: Two integers.

    Returns:
        The changed picture, of the same shape, interpolated bilinearly.

    Example:
        >>> changed = affine(tf.ones((8, 8, 1)), seed=(0, 3))
        >>> changed.shape, bool(tf.reduce_max(changed) <= 1)
        (TensorShape([8, 8, 1]), True)
    """
    height, width, _ = image.shape
    draws = tf.random.stateless_uniform((6,), seed, -1.0, 1.0)
    cosine, sine = tf.cos(0.2 * draws[0]), tf.sin(0.2 * draws[0])
    across, down, shear = tf.exp(0.12 * draws[1]), tf.exp(0.12 * draws[2]), 0.2 * draws[3]
    xx, xy = cosine * across, (shear * cosine - sine) * down
    yx, yy = sine * across, (shear * sine + cosine) * down
    x, y = (width - 1) / 2, (height - 1) / 2  # the centre stays in place but for the shift
    x_shift = x - xx * x - xy * y + SHIFT_FRACTION * width * draws[4]
    y_shift = y - yx * x - yy * y + SHIFT_FRACTION * height * draws[5]
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=tf.stack([xx, xy, x_shift, yx, yy, y_shift, 0.0, 0.0])[None],
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
    )
    return moved[0]


AUGMENTATIONS: dict[str, Augment] = {"none": none, "shift": shift, "shift_flip": shift_flip, "affine": affine}


def find_augmentation(augment: str | Augment) -> Augment:
    """Returns the function that a name stands for; a function stands for itself.

    Args:
        augment: A name, or a function of one picture and a seed.

    Returns:
        The function.

    Raises:
        ValueError: If no augmentation has this name.

    Example:
        >>> find_augmentation("shift") is shift
        True
    """
    if callable(augment):
        return augment
    if augment not in AUGMENTATIONS:
        known = ", ".join(map(repr, AUGMENTATIONS))
        raise ValueError(
            f"load(augment={augment!r}) names no augmentation: use one of {known}, or a function of one picture "
            "(h w c) and a seed (two integers)."
        )
    return AUGMENTATIONS[augment]
