"""Reading pictures without a library, against Pillow."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
KINDS = [(colour, depth) for colour, depths in DEPTHS.items() for depth in depths]


def pixels(*shape, seed=0):
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def encode_png(rows, width, depth, colour, filters, *, interlaced=0, palette=None):
    """Write PNG rows (height, bytes), each filtered by its number in `filters`, in two IDAT chunks."""
    step = max(1, SAMPLES[colour] * depth // 8)
    above, lines = np.zeros(rows.shape[1], int), []
    for row, kind in zip(rows.astype(int), filters, strict=True):
        left = np.concatenate([np.zeros(step, int), row])[: len(row)]
        corner = np.concatenate([np.zeros(step, int), above])[: len(row)]
        distances = np.abs(np.stack([above - corner, left - corner, left + above - 2 * corner]))
        nearest = np.choose(distances.argmin(axis=0), [left, above, corner])
        guess = [0 * row, left, above, (left + above) // 2, nearest][kind]
        lines.append(bytes([kind]) + ((row - guess) % 256).astype(np.uint8).tobytes())
        above = row
    data = zlib.compress(b"".join(lines))
    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, interlaced)
    parts = [chunk(b"IHDR", header)]
    if palette is not None:
        parts.append(chunk(b"PLTE", palette.tobytes()))
    parts += [chunk(b"tEXt", b"key\0value"), chunk(b"IDAT", data[:7]), chunk(b"IDAT", data[7:]), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def random_png(colour, depth, height, width, filters, seed=0):
    stride = (width * SAMPLES[colour] * depth + 7) // 8
    palette = pixels(2**depth, 3, seed=1) if colour == 3 else None
    rows = pixels(height, stride, seed=seed) >> 2 * (seed % 4)  # a few small values, so that neighbours tie
    return rows, encode_png(rows, width, depth, colour, filters, palette=palette)


def pillow(content):
    """Return what Pillow makes of a file with up to 8 bits a sample, without alpha."""
    with Image.open(io.BytesIO(content)) as file:
        array = np.asarray(file.convert("L") if file.mode in ("1", "L", "LA") else file.convert("RGBA").convert("RGB"))
    return array if array.ndim == 3 else array[..., None]


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("filter_kind", range(5))
@pytest.mark.parametrize(("colour", "depth"), KINDS)
def test_every_colour_depth_and_filter(png, colour, depth, filter_kind, seed):
    rows, content = random_png(colour, depth, 6, 11, [filter_kind] * 6, seed)
    decoded = png.decode_png(content)
    assert decoded.dtype == np.uint8
    if depth == 16:
        upper = rows[:, ::2].reshape(6, 11, SAMPLES[colour])
        expected = upper[..., : 3 if SAMPLES[colour] >= 3 else 1]
    else:
        expected = pillow(content)
    np.testing.assert_array_equal(decoded, expected)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from([kind for kind in KINDS if kind[1] != 16]),
    width=st.integers(1, 20),
    filters=st.lists(st.integers(0, 4), min_size=1, max_size=20),
    seed=st.integers(0, 99),
)
def test_any_size_and_mixed_filters(png, kind, width, filters, seed):
    _, content = random_png(*kind, len(filters), width, filters, seed)
    np.testing.assert_array_equal(png.decode_png(content), pillow(content))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_files_that_pillow_writes(picture, tmp_path, mode):
    path = tmp_path / "picture.png"
    smooth = np.linspace(0, 255, 40 * 30 * 4).reshape(40, 30, 4).astype(np.uint8)
    Image.fromarray(smooth).convert(mode).save(path, optimize=True)
    np.testing.assert_array_equal(picture.read_picture(path), pillow(path.read_bytes()))


def damaged_pngs():
    _, good = random_png(2, 8, 4, 5, [0] * 4)
    _, palette = random_png(3, 8, 4, 5, [0] * 4)
    start = palette.index(b"PLTE") - 4
    rows = pixels(4, 5)
    return {
        "its PNG data ends early": good[:-30],
        "a PNG checksum does not hold": good.replace(b"value", b"valuE"),
        "its PNG header is missing or damaged": good[:8] + good[33:],
        "its PNG header names an unknown kind of pixel": good[:8]
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 4, 3, 2, 0, 0, 0))
        + good[33:],
        "it has 0 x 5 pixels": good[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 0, 8, 2, 0, 0, 0)) + good[33:],
        "it has 2147483647 x 2147483647 pixels": good[:8]
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0))
        + good[33:],
        "its PNG palette is missing or too short": palette[:start] + palette[start + 12 + 768 :],
        "a PNG row has the unknown filter 9": good[:8]
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 4, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b"".join(b"\x09" + row.tobytes() for row in rows))),
        "while decompressing data": good[:33] + chunk(b"IDAT", b"no zlib data") + chunk(b"IEND", b""),
    }


@pytest.mark.parametrize("message", damaged_pngs())
def test_a_damaged_png_is_refused(picture, tmp_path, message):
    path = tmp_path / "damaged.png"
    path.write_bytes(damaged_pngs()[message])
    with pytest.raises(picture.PictureError) as refusal:
        picture.read_picture(path)
    assert str(refusal.value).startswith(f"{path} cannot be used: ")
    assert message in str(refusal.value)


def test_what_follows_the_end_of_a_png_is_left_alone(png):
    _, content = random_png(0, 8, 3, 3, [4] * 3)
    np.testing.assert_array_equal(png.decode_png(content + b"more"), pillow(content))


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


GOOD = (
    random_png(6, 8, 5, 4, [1, 2, 3, 4, 0])[1],
    b"P6 # comment\n4 3\n255\n" + pixels(36).tobytes(),
    npy(pixels(4, 5, 3)),
)


@settings(max_examples=300, deadline=None)
@given(content=st.sampled_from(GOOD), changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4))
def test_any_damage_is_a_picture_or_a_refusal(picture, tmp_path_factory, content, changes):
    changed = bytearray(content)
    for position, value in changes:
        changed[position % len(changed)] = value
    path = tmp_path_factory.getbasetemp() / "changed"
    path.write_bytes(changed)
    try:
        array = picture.read_picture(path)
    except picture.PictureError as error:
        assert str(error).startswith(str(path))  # noqa: PT017  (either outcome is right)
    else:
        assert array.ndim == 3
        assert array.shape[2] in (1, 3)


def test_an_interlaced_png_needs_pillow(picture, tmp_path, monkeypatch):
    path = tmp_path / "interlaced.png"
    # One pixel is one pass, so that its data is the same either way.
    path.write_bytes(encode_png(np.array([[200]], np.uint8), 1, 8, 0, [0], interlaced=1))
    assert picture.read_picture(path).tolist() == [[[200]]]
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(picture.PictureError, match="interlaced PNG is not"):
        picture.read_picture(path)


@pytest.mark.parametrize(("kind", "shape"), [("P5", (3, 4, 1)), ("P6", (3, 4, 3))])
def test_pnm(picture, tmp_path, kind, shape):
    path, array = tmp_path / "picture.pnm", pixels(*shape)
    path.write_bytes(f"{kind}\n# a comment\n4 3 # another\n255\n".encode() + array.tobytes())
    np.testing.assert_array_equal(picture.read_picture(path), array)
    path.write_bytes(f"{kind} 4 3 15\n".encode() + (array // 16).tobytes())
    np.testing.assert_allclose(picture.read_picture(path), array // 16 * 17.0, rtol=1e-6)
    path.write_bytes(f"{kind} 4 3 65535\n".encode() + (array.astype(">u2") * 257).tobytes())
    np.testing.assert_allclose(picture.read_picture(path), array, rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"P5 4 x 255\n", "header is damaged"),
        (b"P5 4 3 255\n" + bytes(11), "data ends early"),
        (b"P5 4 0 255\n", "0x4 pixels"),
        (b"P5 4 3 70000\n" + bytes(24), "values up to 70000"),
        (b"P5 2 1 15\n\x03\x10", "over the 15"),
    ],
)
def test_a_damaged_pnm_is_refused(picture, tmp_path, content, message):
    path = tmp_path / "picture.pgm"
    path.write_bytes(content)
    with pytest.raises(picture.PictureError, match=message):
        picture.read_picture(path)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64"])
@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 3)])
def test_npy(picture, tmp_path, dtype, shape):
    path, array = tmp_path / "picture.npy", pixels(*shape).astype(dtype)
    np.save(path, array)
    read = picture.read_picture(path)
    np.testing.assert_array_equal(read, array.reshape(3, 4, -1))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3, 4, 1)), r"holds float64\[2, 3, 4, 1\]"),
        (np.zeros((3, 4, 2)), "1 or 3 channels"),
        (np.zeros((0, 4)), "a picture is"),
        (np.array([["a", "b"]]), "a picture is"),
        (np.full((3, 4), 256), "from 256 to 256"),
        (np.full((3, 4), -0.5), "pixels go from 0 to 255"),
        (np.full((3, 4), np.nan), "pixels go from 0 to 255"),
        (np.full((3, 4), 0.5), "the model scales them itself"),
        (np.array([[None]]), "cannot be used"),
    ],
)
def test_an_array_that_is_no_picture_is_refused(picture, tmp_path, array, message):
    path = tmp_path / "picture.npy"
    np.save(path, array)
    with pytest.raises(picture.PictureError, match=message):
        picture.read_picture(path)


def test_other_kinds_are_read_by_pillow_upright(picture, tmp_path):
    path = tmp_path / "picture.jpg"
    array = pixels(8, 16, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    Image.fromarray(array).save(path, exif=exif, quality=95)
    assert picture.read_picture(path).shape == (16, 8, 3)
    Image.fromarray(array[..., 0]).save(path, quality=95)
    np.testing.assert_array_equal(picture.read_picture(path), pillow(path.read_bytes()))


def test_a_file_that_is_no_picture(picture, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("notes")
    with pytest.raises(picture.PictureError, match="damaged or no picture"):
        picture.read_picture(path)
    Image.fromarray(np.zeros((2, 2), np.float32)).save(path, format="TIFF")
    with pytest.raises(picture.PictureError, match="mode F"):
        picture.read_picture(path)
    with pytest.raises(picture.PictureError, match="cannot be read: No such file"):
        picture.read_picture(tmp_path / "missing.png")
    with pytest.raises(picture.PictureError, match="cannot be read: Is a directory"):
        picture.read_picture(tmp_path)


@settings(max_examples=40, deadline=None)
@given(old=st.tuples(*[st.integers(1, 30)] * 2), new=st.tuples(*[st.integers(1, 30)] * 2), seed=st.integers(0, 9))
def test_resizing_equals_pillow(picture, old, new, seed):
    array = pixels(*old, seed=seed).astype(np.float32)
    expected = np.asarray(Image.fromarray(array).resize(new[::-1], Image.Resampling.BILINEAR))
    np.testing.assert_allclose(picture.resize(array[..., None], *new)[..., 0], expected, atol=2e-3)


def test_fitting_converts_channels_and_says_a_new_size(picture, capsys):
    colour = pixels(5, 6, 3)
    grey = picture.fit(colour, (5, 6, 1))
    expected = np.asarray(Image.fromarray(colour).convert("L"))
    np.testing.assert_allclose(grey[..., 0], expected, atol=1)
    np.testing.assert_array_equal(picture.fit(colour[..., :1], (None, None, 3)), colour[..., :1].repeat(3, axis=2))
    assert capsys.readouterr().err == ""
    assert picture.fit(colour, (7, None, 3), "a.png").shape == (7, 6, 3)
    assert capsys.readouterr().err == "a.png: resized from 5x6 to 7x6 (height x width).\n"


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((None, 4, 4, 1), [3]),
        ((1, 4, 4, 1), [1, 1, 1]),
        ((2, 4, 4, 1), [2, 2]),
        ((None, None, 4, 1), [1, 1, 1]),
        ((2, None, None, 1), [2, 2, 2]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_batches_hold_every_picture_once_in_order(picture, tmp_path, shape, sizes, dtype):
    paths = [tmp_path / f"{index}.npy" for index in range(3)]
    for index, path in enumerate(paths):
        np.save(path, np.full((4, 4), index + 1.75))
    batches = picture.read_batches(paths, shape, dtype)
    assert [len(batch) for _, batch in batches] == sizes
    assert [path for named, _ in batches for path in named] == paths
    found = [row[0, 0, 0] for named, batch in batches for row in batch[: len(named)]]
    assert found == ([2, 3, 4] if dtype == "uint8" else [1.75, 2.75, 3.75])
    assert {batch.dtype.name for _, batch in batches} == {dtype}
