"""PNG files without a picture library: every colour type and depth; interlaced files are the one kind left out."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterator

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_PIXELS = 1 << 28
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type: grey, RGB, palette, grey and alpha, RGB and alpha
_PALETTE = 3


class InterlacedError(ValueError):
    """The file is sound, and stored in passes, which are not read here."""


@dataclasses.dataclass(frozen=True)
class Header:
    """The first chunk of a file."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: int

    @classmethod
    def read(cls, data: bytes) -> Header:
        """Return what the chunk `data` says, if a PNG file may say so."""
        if len(data) != 13:
            raise ValueError("its PNG header is missing or damaged")
        size = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")
        header = cls(*size, depth=data[8], colour=data[9], interlaced=data[12])
        if header.depth not in (1, 2, 4, 8, 16) or header.colour not in _SAMPLES:
            raise ValueError("its PNG header names an unknown kind of pixel")
        if not 0 < header.width * header.height <= MOST_PIXELS:
            raise ValueError(f"it has {header.height} x {header.width} pixels")
        return header


def decode_png(content: bytes) -> np.ndarray:
    """Return the picture of a PNG file in uint8: (height, width, channels), 1 or 3 of them.

    Alpha is dropped, palettes are looked up, 16-bit samples keep their upper 8 bits.

    Raises:
        InterlacedError: If the file is interlaced.
        ValueError: Saying what is damaged.
    """
    chunks: dict[bytes, bytes] = {}
    for kind, data in _chunks(content):
        chunks[kind] = chunks.get(kind, b"") + data
    header = Header.read(chunks.get(b"IHDR", b""))
    if header.interlaced:
        raise InterlacedError("it is an interlaced PNG")
    samples = _SAMPLES[header.colour]
    bits = samples * header.depth
    stride = (header.width * bits + 7) // 8
    expected = header.height * (1 + stride)
    rows = zlib.decompressobj().decompress(chunks.get(b"IDAT", b""), expected)
    if len(rows) < expected:
        raise ValueError("its PNG data ends early")
    values = _unpack(_unfilter(rows, stride, max(1, bits // 8)), header.depth)
    picture = values[:, : header.width * samples].reshape(header.height, header.width, samples)
    if header.colour == _PALETTE:
        return _look_up(picture, chunks.get(b"PLTE", b""))
    if header.depth < 8:
        picture = picture * np.uint8(255 // (2**header.depth - 1))
    return picture[..., : 3 if samples >= 3 else 1]


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and the data of each chunk: size, kind, data, checksum of kind and data."""
    start = len(SIGNATURE)
    while start < len(content):
        end = start + 8 + int.from_bytes(content[start : start + 4], "big")
        if end + 4 > len(content):
            raise ValueError("its PNG data ends early")
        if zlib.crc32(content[start + 4 : end]) != int.from_bytes(content[end : end + 4], "big"):
            raise ValueError("a PNG checksum does not hold")
        kind = content[start + 4 : start + 8]
        if kind == b"IEND":
            return
        yield kind, content[start + 8 : end]
        start = end + 4


def _unfilter(rows: bytes, stride: int, step: int) -> np.ndarray:
    """Return the bytes (row, column); stored is each byte's difference from those `step` before it and above it."""
    above = np.zeros(stride, np.uint8)
    result = []
    for start in range(0, len(rows), 1 + stride):
        row = np.frombuffer(rows, np.uint8, stride, start + 1)
        match rows[start]:
            case 0:
                pass
            case 1:
                row = row.reshape(-1, step).cumsum(axis=0, dtype=np.uint8).reshape(-1)
            case 2:
                row = row + above
            case 3:
                row = _add_average(row, above, step)
            case 4:
                row = _add_nearest(row, above, step)
            case kind:
                raise ValueError(f"a PNG row has the unknown filter {kind}")
        result.append(row)
        above = row
    return np.stack(result)


def _add_average(stored: np.ndarray, above: np.ndarray, step: int) -> np.ndarray:
    row, ups = bytearray(step) + stored.tobytes(), above.tobytes()
    for index, up in enumerate(ups, start=step):
        row[index] = (row[index] + (row[index - step] + up) // 2) & 255
    return np.frombuffer(row, np.uint8)[step:]


def _add_nearest(stored: np.ndarray, above: np.ndarray, step: int) -> np.ndarray:
    """Undo the Paeth filter: the difference is from whichever neighbour is nearest to left + up - corner."""
    row, ups = bytearray(step) + stored.tobytes(), bytes(step) + above.tobytes()
    for index in range(step, len(row)):
        left, up, corner = row[index - step], ups[index], ups[index - step]
        to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
        nearest = left if to_left <= min(to_up, to_corner) else up if to_up <= to_corner else corner
        row[index] = (row[index] + nearest) & 255
    return np.frombuffer(row, np.uint8)[step:]


def _unpack(rows: np.ndarray, depth: int) -> np.ndarray:
    """Return one value for each sample, of rows of bytes in which a sample takes `depth` bits."""
    if depth == 16:
        return rows[:, ::2]
    if depth == 8:
        return rows
    bits = np.unpackbits(rows, axis=1).reshape(len(rows), -1, depth)
    return np.packbits(bits, axis=2)[..., 0] >> (8 - depth)


def _look_up(picture: np.ndarray, palette: bytes) -> np.ndarray:
    colours = np.frombuffer(palette, np.uint8)
    if len(colours) <= 3 * int(picture.max()) + 2:
        raise ValueError("its PNG palette is missing or too short")
    return colours[: len(colours) // 3 * 3].reshape(-1, 3)[picture[..., 0]]
