"""Checks the arguments of `load` before anything slow happens."""

from typing import Any


def check_arguments(
    name: object, batch_size: object, image_size: object, validation_fraction: object, seed: Any
) -> None:
    """Raises for the first argument of `load` that no data set can satisfy.

    Args:
        name: Must be a string that is not empty.
        batch_size: Must be a positive integer.
        image_size: Must be None or two positive integers.
        validation_fraction: Must lie strictly between 0 and 1.
        seed: Must be an integer from 0 to 2**31 - 1.

    Raises:
        ValueError: If one of them is not.

    Example:
        >>> check_arguments("digits", batch_size=0, image_size=None, validation_fraction=0.1, seed=0)
        Traceback (most recent call last):
        ValueError: load(batch_size=0) makes no batches: use a positive integer.
    """
    if not isinstance(name, str) or not name:
        raise ValueError(f"load(name={name!r}) names no data set: use a string such as 'digits'.")
    if not _is_positive_integer(batch_size):
        raise ValueError(f"load(batch_size={batch_size!r}) makes no batches: use a positive integer.")
    if image_size is not None and not _is_size(image_size):
        raise ValueError(
            f"load(image_size={image_size!r}) is not the size of a picture: use (height, width) in pixels, such as "
            "(224, 224), or None to keep the data set's own size."
        )
    if not isinstance(validation_fraction, int | float) or not 0 < validation_fraction < 1:
        raise ValueError(
            f"load(validation_fraction={validation_fraction!r}) leaves nothing to train or nothing to validate on: "
            "use a number between 0 and 1, such as 0.1."
        )
    if not _is_integer(seed) or not 0 <= seed < 2**31:
        raise ValueError(f"load(seed={seed!r}) cannot seed anything: use an integer from 0 to 2**31 - 1.")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_positive_integer(value: Any) -> bool:
    return _is_integer(value) and value > 0


def _is_size(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(map(_is_positive_integer, value))
