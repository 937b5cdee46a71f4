"""Every decomposition against the operator that it replaces: the same numbers, in a graph without it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_nnx as nnx
from keras_nnx.export import UnsupportedOperatorError
from tests.export.graphs import lower, operators_of, run

RANDOM = np.random.default_rng(0)
FLOATS = RANDOM.normal(size=(3, 5, 4)).astype("float32")
EDGES = np.array([[-0.0, 0.0, 1e-30, -1e-30], [-100.0, 100.0, 1.0, -1.0]], "float32")
IMAGES = RANDOM.normal(size=(2, 12, 10, 3)).astype("float32")
VOLUMES = RANDOM.normal(size=(2, 5, 4, 6, 3)).astype("float32")
WHOLES = RANDOM.integers(-9, 9, (3, 5, 4)).astype("int32")


CASES = {
    "BiasAdd": (
        ("tflite",),
        lambda x: tf.raw_ops.BiasAdd(value=x, bias=tf.range(12.0), data_format="NCHW"),
        IMAGES,
    ),
    "BiasAdd rank 3": (
        ("tflite",),
        lambda x: tf.raw_ops.BiasAdd(value=x, bias=tf.range(5.0), data_format="NCHW"),
        FLOATS,
    ),
    "Erfc": (("onnx", "tflite"), lambda x: tf.math.erfc(x), FLOATS * 2),
    "Erf": (("tflite",), lambda x: tf.math.erf(x), np.linspace(-6, 6, 4001, dtype="float32")),
    "Expm1": (("onnx",), lambda x: tf.math.expm1(x), FLOATS),
    "Log1p": (("onnx",), lambda x: tf.math.log1p(tf.abs(x)), FLOATS),
    "Softplus": (("tflite",), lambda x: tf.nn.softplus(x), EDGES),
    "Abs": (("tflite",), lambda x: tf.abs(x), WHOLES),
    "Sign": (("onnx", "tflite"), lambda x: tf.sign(x), WHOLES),
    "BitwiseAnd": (("onnx", "tflite"), lambda x: keras.ops.signbit(x), EDGES),
    "Bitcast": (("onnx", "tflite"), lambda x: keras.ops.argmax(x, -1), EDGES),
    "OneHot": (("onnx",), lambda x: tf.one_hot(x, 4, 2.0, -1.0, axis=1), WHOLES),
    "FloorDiv": (("onnx",), lambda x: x // tf.constant([3, -3, 7, -1]), WHOLES),
    "FloorMod": (("onnx",), lambda x: x % tf.constant([3, -3, 7, -1]), WHOLES),
    "Roll": (("tflite",), lambda x: tf.roll(x, [2, -1, 9], [1, -1, 0]), FLOATS),
    "XlaDynamicUpdateSlice": (
        ("onnx",),
        lambda x: keras.ops.slice_update(x, [1, 2, 3], x[:2, :2, :1]),
        FLOATS,
    ),
    "Cumprod": (("onnx", "tflite"), lambda x: tf.math.cumprod(x, 1), FLOATS),
    "Cumprod exclusive": (("onnx", "tflite"), lambda x: tf.math.cumprod(x, 0, exclusive=True), FLOATS),
    "Cumprod reverse": (("onnx", "tflite"), lambda x: tf.math.cumprod(x, -1, reverse=True), FLOATS),
    "Cumprod both": (("onnx", "tflite"), lambda x: tf.math.cumprod(x, 1, exclusive=True, reverse=True), FLOATS),
    "CumulativeLogsumexp": (("onnx", "tflite"), lambda x: tf.math.cumulative_logsumexp(x, 1), FLOATS * 30),
    "FFT": (("onnx", "tflite"), lambda x: tf.math.imag(tf.signal.fft(tf.complex(x, 2 * x))), FLOATS),
    "IFFT": (("onnx",), lambda x: tf.math.real(tf.signal.ifft(tf.complex(x, x[::-1]))), FLOATS),
    "FFT2D": (("onnx", "tflite"), lambda x: tf.math.real(tf.signal.fft2d(tf.cast(x, tf.complex64))), FLOATS),
    "IFFT2D": (("onnx",), lambda x: tf.abs(tf.signal.ifft2d(tf.complex(x, 1 - x))), FLOATS),
    "RFFT": (("onnx", "tflite"), lambda x: tf.abs(tf.signal.rfft(x, [6])), FLOATS),
    "RFFT cut": (("onnx",), lambda x: tf.math.angle(tf.signal.rfft(x, [3])), FLOATS),
    "IRFFT": (("onnx", "tflite"), lambda x: tf.signal.irfft(tf.complex(x, x * x), [6]), FLOATS),
    "IRFFT odd": (("onnx",), lambda x: tf.signal.irfft(tf.signal.rfft(x, [5]) * 1j, [5]), FLOATS),
    "Complex": (
        ("onnx",),
        lambda x: tf.abs(tf.math.conj(tf.transpose(tf.complex(x, x + 1), [1, 0, 2])) / tf.complex(x[0, 0], 2.0)),
        FLOATS,
    ),
    "ResizeNearestNeighbor": (("onnx", "tflite"), lambda x: tf.image.resize(x, (7, 23), "nearest"), IMAGES),
    "ResizeNearestNeighbor old": (
        ("onnx",),
        lambda x: tf.raw_ops.ResizeNearestNeighbor(images=x, size=(7, 23)),
        IMAGES,
    ),
    "Bucketize": (("onnx",), lambda x: tf.raw_ops.Bucketize(input=x, boundaries=[-1.0, 0.0, 0.5]), FLOATS),
    "DenseBincount": (
        ("onnx", "tflite"),
        lambda x: tf.math.bincount(x[:, 0], minlength=9, maxlength=9, axis=-1, binary_output=True),
        np.abs(WHOLES),
    ),
    "DenseBincount counts": (
        ("onnx", "tflite"),
        lambda x: tf.math.bincount(x[:, 0], minlength=9, maxlength=9, axis=-1),
        np.abs(WHOLES),
    ),
    "ResizeBilinear": (
        ("onnx", "tflite"),
        lambda x: tf.raw_ops.ResizeBilinear(images=x, size=(7, 23), half_pixel_centers=True),
        IMAGES,
    ),
    "ResizeBilinear corners": (
        ("onnx",),
        lambda x: tf.raw_ops.ResizeBilinear(images=x, size=(7, 1), align_corners=True),
        IMAGES,
    ),
    "ResizeBilinear old": (("onnx",), lambda x: tf.raw_ops.ResizeBilinear(images=x, size=(17, 3)), IMAGES),
    "ResizeBicubic": (
        ("onnx", "tflite"),
        lambda x: tf.raw_ops.ResizeBicubic(images=x, size=(36, 5), half_pixel_centers=True),
        IMAGES,
    ),
    "ScaleAndTranslate lanczos": (("onnx",), lambda x: tf.image.resize(x, (7, 23), "lanczos3"), IMAGES),
    "ScaleAndTranslate smooth": (("onnx",), lambda x: tf.image.resize(x, (5, 3), "bicubic", antialias=True), IMAGES),
    # With strides over the window TensorFlow answers otherwise on another processor: with oneDNN windows start at
    # the edge, as in two dimensions, and without it they are centred.
    "MaxPool3D": (("tflite",), lambda x: tf.nn.max_pool3d(x, (2, 3, 2), (2, 1, 2), "SAME"), VOLUMES),
    "AvgPool3D": (("tflite",), lambda x: tf.nn.avg_pool3d(x, (3, 2, 2), (1, 2, 1), "SAME"), VOLUMES),
    "AvgPool3D valid": (("tflite",), lambda x: tf.nn.avg_pool3d(x, 2, 2, "VALID"), VOLUMES),
    "SpaceToBatchND": (
        ("tflite",),
        lambda x: tf.space_to_batch(x, (2, 3, 2), ((0, 1), (1, 1), (0, 0))),
        VOLUMES,
    ),
    "BatchToSpaceND": (
        ("tflite",),
        lambda x: tf.batch_to_space(tf.concat([x] * 6, 0), (2, 3, 2), ((0, 1), (1, 1), (0, 0))),
        VOLUMES,
    ),
    "CumulativeLogsumexp exclusive": (
        ("onnx", "tflite"),
        lambda x: tf.math.cumulative_logsumexp(x, 1, exclusive=True, reverse=True),
        FLOATS,
    ),
}
NEW_AXES = {
    "at the front": lambda x: x[None],
    "in the middle": lambda x: x[:, None, 1:, None],
    "behind an ellipsis": lambda x: x[..., None],
    "with one entry taken": lambda x: x[..., 1, None, ::2],
    "all at once": lambda x: x[None, 1:, ..., None, -1, None],
    "backwards": lambda x: x[::-1, None, ..., 1:3],
}


@pytest.mark.parametrize("dynamic", [True, False], ids=["dynamic", "static"])
@pytest.mark.parametrize(
    ("name", "target"), [(name, target) for name, (targets, *_) in CASES.items() for target in targets]
)
def test_a_decomposition(name, target, dynamic):
    _, function, values = CASES[name]
    channels = values.shape[-1] if values.ndim > 3 else None
    shape = (*(None,) * (values.ndim - 1), channels) if dynamic else values.shape
    lowered = lower(function, tf.TensorSpec(shape, values.dtype), target=target)
    assert name.split()[0] not in operators_of(lowered)
    expected = np.asarray(function(tf.constant(values)))
    answer = run(lowered, values)[0]
    assert answer.dtype == expected.dtype
    np.testing.assert_allclose(answer, expected, rtol=2e-6, atol=4e-6)


@pytest.mark.parametrize("dynamic", [True, False], ids=["dynamic", "static"])
@pytest.mark.parametrize("name", NEW_AXES)
def test_slices_with_new_axes(name, dynamic):
    function = NEW_AXES[name]
    shape = (None,) * FLOATS.ndim if dynamic else FLOATS.shape
    lowered = lower(function, tf.TensorSpec(shape, tf.float32), target="tflite")
    for node in lowered.graph_def.node:
        if node.op == "StridedSlice":
            assert not node.attr["new_axis_mask"].i
            assert not node.attr["ellipsis_mask"].i
    np.testing.assert_array_equal(run(lowered, FLOATS)[0], function(tf.constant(FLOATS)))


@pytest.mark.parametrize("start", [[-3, 0, 0], [0, 3, 2], [9, 9, 9]])
def test_updates_start_where_they_fit(start):
    from tensorflow.compiler.tf2xla.python.xla import dynamic_update_slice

    def function(x, place):
        return dynamic_update_slice(x, x[:2, :2, :2] * 10, place)

    specs = (tf.TensorSpec((None, None, None), tf.float32), tf.TensorSpec((3,), tf.int32))
    lowered = lower(function, *specs)
    expected = tf.function(function, jit_compile=True)(tf.constant(FLOATS), tf.constant(start))
    np.testing.assert_array_equal(run(lowered, FLOATS, np.array(start, "int32"))[0], expected)


def test_gelu_stays_what_the_converter_knows():
    spec = tf.TensorSpec((None, 4), tf.float32)
    assert "Erfc" in operators_of(lower(lambda x: tf.nn.gelu(x), spec, target="tflite"))


def test_complex_numbers_that_are_not_known_are_refused():
    spec = tf.TensorSpec((None, 4), tf.float32)
    with pytest.raises(UnsupportedOperatorError, match=r"needs the operator Exp.*complex numbers"):
        lower(lambda x: tf.math.real(tf.exp(tf.complex(x, x))), spec)


EQUATIONS = [
    "...,a->...a",
    "...a,ab->...b",
    "a...,a...->...",
    "btnh,bsnh->bnts",
    "bsnh,btnh->bnst",
    "bnts,bsnh->btnh",
    "btd,dnh->btnh",
    "btnh,nhd->btd",
    "ab,bc->ca",
    "ab,cd->abcd",
    "ab,ab->ab",
    "ab,ab->",
    "abc,bc->a",
    "ab,cb->c",
    "abc->cab",
    "abc->b",
    "ij,jk->k",
    "bhi,bhj->ijb",
    "aa,ab->b",
    "aab->ab",
    "aba->",
    "aaa->a",
]


@pytest.mark.parametrize("known", [True, False], ids=["static", "dynamic"])
@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum_becomes_a_product(equation, known):
    sizes = dict(zip("abcdefhijknst", range(2, 15), strict=False))
    terms = equation.split("->")[0].split(",")
    shapes = [[sizes[axis] for axis in term.replace("...", "ef")] for term in terms]
    operands = [np.random.default_rng(0).standard_normal(shape).astype("float32") for shape in shapes]
    specs = [tf.TensorSpec(shape if known else [None] * len(shape), tf.float32) for shape in shapes]
    lowered = lower(lambda *x: tf.raw_ops.Einsum(inputs=x, equation=equation), *specs)
    assert "Einsum" not in operators_of(lowered)
    np.testing.assert_allclose(run(lowered, *operands)[0], np.einsum(equation, *operands), atol=1e-4)


@pytest.mark.parametrize("widths", [(-1, 0), (0, -1), (1, 2), (-1, -1), (0, 0)])
@pytest.mark.parametrize("dtype", ["float32", "bool", "int32"])
def test_bands_of_matrices(widths, dtype):
    matrix = (np.random.default_rng(0).integers(-3, 4, (2, 4, 6))).astype(dtype)
    spec = tf.TensorSpec((None, None, None), matrix.dtype)
    lowered = lower(lambda x: tf.linalg.band_part(x, *widths), spec)
    assert "MatrixBandPart" not in operators_of(lowered)
    np.testing.assert_array_equal(run(lowered, matrix)[0], tf.linalg.band_part(matrix, *widths))


def test_a_band_of_a_width_that_is_not_known():
    matrix = np.random.default_rng(0).standard_normal((4, 6)).astype("float32")
    lowered = lower(
        lambda x, width: tf.linalg.band_part(x, width, 1),
        tf.TensorSpec((4, 6), tf.float32),
        tf.TensorSpec((), tf.int32),
    )
    for width in (-1, 0, 2):
        np.testing.assert_array_equal(run(lowered, matrix, width)[0], tf.linalg.band_part(matrix, width, 1))


@pytest.mark.parametrize(("padding", "steps"), [("valid", None), ("causal", 6)])
def test_a_convolution_of_first_channels(padding, steps, tmp_path):
    convolution = keras.layers.Conv1D(
        5, 3, padding=padding, data_format="channels_first", bias_initializer="uniform", activation="relu"
    )
    model = keras.Sequential([keras.Input((8, steps), name="x"), convolution])
    assert nnx.export_model(model, tmp_path / "x", formats=("tflite",)).proven
