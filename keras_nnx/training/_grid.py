"""Several images as one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

_GAP, _LINE = 2, 255  # an untrained generator makes grey
_SMALL = 32


def tiled(images: np.ndarray, columns: int, low: float, high: float) -> np.ndarray:
    """Return images side by side as bytes, row by row.

    Args:
        images: `(n, h, w, c)`, of one or three channels.
        columns: How many lie side by side.
        low: What is black.
        high: What is white.

    Returns:
        One picture, `(rows * h, columns * w, c)` and the gaps between; small images are enlarged, pixel by pixel.
    """
    shades = np.clip((images.astype("float64") - low) / (high - low), 0, 1)
    pixels = np.round(np.nan_to_num(shades) * 255).astype("uint8")
    factor = max(1, -(-_SMALL // max(pixels.shape[1:3])))
    pixels = pixels.repeat(factor, 1).repeat(factor, 2)
    count, height, width, channels = pixels.shape
    rows = -(-count // columns)
    sheet = np.full(((height + _GAP) * rows + _GAP, (width + _GAP) * columns + _GAP, channels), _LINE, "uint8")
    for index, image in enumerate(pixels):
        top, left = (height + _GAP) * (index // columns) + _GAP, (width + _GAP) * (index % columns) + _GAP
        sheet[top : top + height, left : left + width] = image
    return sheet


def save_png(path: Path, sheet: np.ndarray) -> None:
    """Write a picture, making the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(sheet).numpy())
