"""Pictures from files, as batches for a model: Python's standard library and numpy are enough.

PNG, PGM, PPM and `.npy` files are read here; any other kind is read through Pillow, where that is installed.
"""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from picture_png import SIGNATURE, InterlacedError, decode_png

KINDS = "PNG, PGM, PPM and .npy files"
_PNM_HEADER = re.compile(rb"P([56])" + rb"(?:\s|#[^\n]*\n)+(\d{1,9})" * 3 + rb"\s")
_NPY = b"\x93NUMPY"
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601: how bright red, green and blue look


class PictureError(ValueError):
    """Why a file is no picture for the model."""


def read_batches(
    paths: Sequence[Path], shape: tuple[int | None, ...], dtype: str
) -> list[tuple[Sequence[Path], np.ndarray]]:
    """Read pictures into the batches that a model takes.

    Args:
        paths: The files.
        shape: Batch, height, width and channels of the model's input; None is any size.
        dtype: Of the model's input; whichever it is, the values are pixels from 0 to 255.

    Returns:
        The files of each batch with its array. A batch of any size holds all of them; a fixed one is filled up by
        repeating its last picture; pictures that keep their own sizes come one by one.

    Raises:
        PictureError: Naming the first file that cannot be used.
    """
    batch, height, width, channels = shape
    pictures = [fit(read_picture(path), (height, width, channels), path) for path in paths]
    step = 1 if height is None or width is None else batch or len(paths)
    batches = []
    for start in range(0, len(paths), step):
        rows = pictures[start : start + step]
        rows += rows[-1:] * ((batch or 0) - len(rows))
        array = np.stack(rows)
        batches.append((paths[start : start + step], (array.round() if dtype == "uint8" else array).astype(dtype)))
    return batches


def read_picture(path: Path) -> np.ndarray:
    """Return a picture as (height, width, channels), 1 or 3 of them, with values from 0 to 255; alpha is dropped.

    Raises:
        PictureError: If there is no such file, or it is damaged or of an unknown kind.
    """
    try:
        content = path.read_bytes()
        if content.startswith(SIGNATURE):
            return decode_png(content)
        if content[:2] in (b"P5", b"P6"):
            return _decode_pnm(content)
        if content.startswith(_NPY):
            return _check_array(_load_array(path))
    except InterlacedError:
        pass  # Pillow reads those
    except OSError as error:
        raise PictureError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, zlib.error) as error:
        raise PictureError(f"{path} cannot be used: {error}.") from error
    return _read_with_pillow(path)


def fit(picture: np.ndarray, shape: tuple[int | None, ...], path: Path | str = "picture") -> np.ndarray:
    """Return `picture` in float32 with the height, width and channels of `shape`; a new size is said on stderr."""
    height, width = (new or old for new, old in zip(shape[:2], picture.shape[:2], strict=True))
    result = picture.astype(np.float32)
    if shape[2] == 1 and picture.shape[2] == 3:
        result = (result @ _LUMA)[..., None]
    elif shape[2] == 3 and picture.shape[2] == 1:
        result = np.repeat(result, 3, axis=2)
    if (height, width) == picture.shape[:2]:
        return result
    before = f"{picture.shape[0]}x{picture.shape[1]}"
    print(f"{path}: resized from {before} to {height}x{width} (height x width).", file=sys.stderr)
    return resize(result, height, width)


def resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize bilinearly; where that shrinks, every pixel counts: the filter is as wide as the step."""
    old_height, old_width, channels = picture.shape
    rows = _weights(old_height, height) @ picture.reshape(old_height, -1)
    return _weights(old_width, width) @ rows.reshape(height, old_width, channels)


def _weights(old: int, new: int) -> np.ndarray:
    """Return how much each of `old` pixels counts in each of `new` ones: (new, old), with rows that add up to 1."""
    step = old / new
    centres = (np.arange(new)[:, None] + 0.5) * step - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(old) - centres) / max(1, step))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _decode_pnm(content: bytes) -> np.ndarray:
    """Return the picture of a binary PGM (grey) or PPM (RGB) file, scaled to 255."""
    header = _PNM_HEADER.match(content)
    if not header:
        raise ValueError("its PGM or PPM header is damaged")
    channels = {b"5": 1, b"6": 3}[header[1]]
    width, height, most = (int(number) for number in header.groups()[1:])
    if not 0 < most < 65536 or not width * height:
        raise ValueError(f"its header says {height}x{width} pixels with values up to {most}")
    dtype = np.dtype(np.uint8 if most < 256 else ">u2")
    if len(content) - header.end() < width * height * channels * dtype.itemsize:
        raise ValueError("its PGM or PPM data ends early")
    values = np.frombuffer(content, dtype, width * height * channels, header.end()).reshape(height, width, channels)
    if values.max() > most:
        raise ValueError(f"a value is over the {most} of its header")
    return values if most == 255 else values.astype(np.float32) * (255 / most)


def _load_array(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except Exception as error:  # a damaged header fails in many ways
        raise ValueError(f"it is no array without Python objects ({error})") from error


def _check_array(array: np.ndarray) -> np.ndarray:
    """Return an array from a `.npy` file, if it is one picture in pixel units."""
    picture = array[..., None] if array.ndim == 2 else array
    if picture.ndim != 3 or picture.shape[2] not in (1, 3) or not picture.size or picture.dtype.kind not in "uif":
        raise ValueError(
            f"it holds {array.dtype}{list(array.shape)}; a picture is (height, width) or (height, width, channels) "
            f"with 1 or 3 channels"
        )
    low, high = picture.min(), picture.max()
    if not (low >= 0 and high <= 255):
        raise ValueError(f"its values go from {low} to {high}; pixels go from 0 to 255")
    if picture.dtype.kind == "f" and 0 < high <= 1:
        raise ValueError(f"its values end at {high}; pixels go up to 255, and the model scales them itself")
    return picture


def _read_with_pillow(path: Path) -> np.ndarray:
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise PictureError(
            f"{path} is of a kind that is not read without Pillow ({KINDS} are, interlaced PNG is not): convert it "
            f"to PNG, or pip install pillow."
        ) from error
    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file)  # a camera's picture may be stored lying on its side
            if picture.mode.startswith(("I", "F")):
                raise ValueError(f"Pillow's mode {picture.mode} has no pixels from 0 to 255")
            grey = picture.mode in ("1", "L", "LA", "La")
            if picture.mode == "P":
                picture = picture.convert("RGBA")  # some palettes are transparent
            array = np.asarray(picture.convert("L" if grey else "RGB"))
    except Exception as error:  # of as many kinds as Pillow has decoders
        raise PictureError(f"{path} cannot be used: it is damaged or no picture ({error}).") from error
    return array if array.ndim == 3 else array[..., None]
