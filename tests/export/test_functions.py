"""Decompositions of functions of numbers, bits and colours against the operators that they replace."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.export.graphs import lower, operators_of, run

BOTH = ("onnx", "tflite")
RANDOM = np.random.default_rng(0)
UNIT = np.concatenate([np.linspace(-1, 1, 801), [1e-30, -1e-8, 2, np.nan]]).astype("float32")
REAL = np.concatenate([np.linspace(-9, 9, 901), [1e-30, -1e-8, 88.9, -88.9, 1e4, 3e38, np.inf, -np.inf, np.nan]])
REAL = REAL.astype("float32")
ABOVE_ONE = np.concatenate([1 + np.geomspace(1e-7, 1e30, 99), [0.5, 1, np.inf, np.nan]]).astype("float32")
COLOURS = np.concatenate([RANDOM.random((50, 3)), RANDOM.integers(0, 2, (50, 3)), -np.ones((1, 3))]).astype("float32")
FEW = RANDOM.integers(-3, 4, (5, 4)).astype("float32")
IMAGES = RANDOM.normal(size=(2, 12, 10, 3)).astype("float32")
POINTS = RANDOM.normal(size=(6, 5, 3)).astype("float32")
BITS = {
    dtype: np.concatenate(
        [RANDOM.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, 60, dtype=dtype), [0, 1, np.iinfo(dtype).max]]
    ).astype(dtype)
    for dtype in ("int32", "int64", "int8", "uint8", "int16", "uint16", "uint32")
}
SEGMENTS = np.array([[0, 5, 2, 2, -1]] * 6)
COUNTS = np.arange(-1, 62)


def by(x, operate, dtype=None):
    """Return an operator on bits between a tensor and its own backward order, or a count of shifts."""
    other = x[::-1] if dtype is None else tf.constant(COUNTS.astype(dtype))
    return operate(x, other)


CASES = {
    "Tan": (("tflite",), tf.tan, REAL[np.abs(REAL) < 100]),
    "Atan": (("tflite",), tf.atan, REAL),
    "Asin": (("tflite",), tf.asin, UNIT),
    "Acos": (("tflite",), tf.acos, UNIT),
    "Sinh": (("tflite",), tf.sinh, REAL),
    "Cosh": (("tflite",), tf.cosh, REAL),
    "Asinh": (("tflite",), tf.asinh, REAL),
    "Acosh": (("tflite",), tf.acosh, ABOVE_ONE),
    "Atanh": (("tflite",), tf.atanh, UNIT),
    "Erfinv": (BOTH, tf.math.erfinv, UNIT),
    "RGBToHSV": (BOTH, tf.image.rgb_to_hsv, COLOURS),
    "HSVToRGB": (BOTH, tf.image.hsv_to_rgb, COLOURS),
    "Cross": (BOTH, lambda x: tf.linalg.cross(x, x[::-1]), POINTS),
    "BroadcastArgs": (BOTH, lambda x: tf.broadcast_dynamic_shape(tf.shape(x), tf.shape(x[:1, 0])), POINTS),
    "InTopKV2": (
        BOTH,
        lambda x: tf.raw_ops.InTopKV2(predictions=x, targets=tf.range(len(COLOURS)) % 5 - 1, k=2),
        COLOURS,
    ),
    "MatrixDiagPartV3": (("tflite",), lambda x: tf.linalg.diag_part(x, k=-2), POINTS),
    "MatrixDiagPartV3 above": (("tflite",), lambda x: tf.linalg.diag_part(x, k=1), POINTS),
    "FloorDiv": (("tflite",), lambda x: x // tf.constant([0.0, 2.0, -3.0]), POINTS),
    "LowerBound": (BOTH, lambda x: tf.searchsorted(tf.sort(x), x[:, ::-1]), FEW),
    "UpperBound": (BOTH, lambda x: tf.searchsorted(tf.sort(x), x[:, ::-1], "right", tf.int64), FEW),
    **{
        f"UnsortedSegment{name}": (("onnx",), lambda x, reduce=reduce: reduce(x, SEGMENTS, 6), POINTS)
        for name, reduce in (
            ("Sum", tf.math.unsorted_segment_sum),
            ("Max", tf.math.unsorted_segment_max),
            ("Min", tf.math.unsorted_segment_min),
            ("Prod", tf.math.unsorted_segment_prod),
        )
    },
    "UnsortedSegmentSum integers": (
        ("onnx",),
        lambda x: tf.math.unsorted_segment_sum(tf.cast(x, tf.int32), SEGMENTS[0], 6),
        FEW,
    ),
    "Unpack": (("tflite",), lambda x: tf.unstack(tf.cast(x, tf.int64), axis=1)[2], FEW),
    "TensorScatterUpdate": (
        ("tflite",),
        lambda x: tf.tensor_scatter_nd_update(x, [[0, 1], [2, 2], [0, 1], [1, 0], [0, 1]], [1.0, 2.0, 3.0, 4.0, 5.0]),
        FEW,
    ),
    "TensorScatterUpdate rows": (
        ("tflite",),
        lambda x: tf.tensor_scatter_nd_update(x, tf.cast(tf.abs(x[:4, :1]), tf.int32), x[:4] + 10),
        FEW,
    ),
    "Rsqrt": (("tflite",), tf.math.rsqrt, np.append(UNIT, np.float32([0, -0.0, 1e20]))),
    "ResizeArea": (BOTH, lambda x: tf.image.resize(x, (7, 23), "area"), IMAGES),
    "ResizeArea smaller": (BOTH, lambda x: tf.image.resize(x, (5, 3), "area"), IMAGES),
    "Invert": (("tflite",), tf.bitwise.invert, BITS["int32"]),
    "Invert unsigned": (("tflite",), tf.bitwise.invert, BITS["uint8"]),
    **{
        f"Bitwise{name} {dtype}": (("tflite",), lambda x, operate=operate: by(x, operate), values)
        for name, operate in (("And", tf.bitwise.bitwise_and), ("Or", tf.bitwise.bitwise_or))
        for dtype, values in BITS.items()
    },
    **{
        f"LeftShift {dtype}": (BOTH, lambda x, dtype=dtype: by(x, tf.bitwise.left_shift, dtype), BITS[dtype])
        for dtype in BITS
    },
    **{
        f"RightShift {dtype}": (("onnx",), lambda x, dtype=dtype: by(x, tf.bitwise.right_shift, dtype), BITS[dtype])
        for dtype in BITS
    },
}


@pytest.mark.parametrize(
    ("name", "target"), [(name, target) for name, (targets, *_) in CASES.items() for target in targets]
)
def test_a_decomposition(name, target):
    _, function, values = CASES[name]
    lowered = lower(function, tf.TensorSpec(values.shape, values.dtype), target=target)
    assert name.split()[0] not in operators_of(lowered)
    expected = np.asarray(function(tf.constant(values)))
    answer = run(lowered, values)[0]
    assert answer.dtype == expected.dtype
    np.testing.assert_allclose(answer, expected, rtol=5e-6, atol=1e-6)


@pytest.mark.parametrize("find", [tf.argmax, tf.argmin])
@pytest.mark.parametrize("target", BOTH)
def test_truth_values_are_counted_where_a_place_is_looked_for(find, target):
    lowered = lower(lambda x: find(x > 0, 1), tf.TensorSpec([None, None], tf.float32), target=target)
    assert "Cast" in operators_of(lowered)
    np.testing.assert_array_equal(run(lowered, FEW)[0], find(FEW > 0, 1))


def test_many_numbers_are_added_along_one_axis_after_the_other():
    def count(function, *shape):
        lowered = lower(function, tf.TensorSpec(shape, tf.float32), target="tflite")
        values = np.random.default_rng(0).random([5 if size is None else size for size in shape], "float32")
        np.testing.assert_allclose(run(lowered, values)[0], function(values), rtol=1e-4)
        return sum(node.op in ("Mean", "Sum") for node in lowered.graph_def.node)

    assert count(lambda x: tf.reduce_mean(x, [1, 2]), 2, 40, 30, 3) == 2
    assert count(lambda x: tf.reduce_mean(x, [1, 2], keepdims=True), None, None, None, 3) == 2
    assert count(lambda x: tf.reduce_sum(x, [1]), 2, 4096, 3) == 2
    assert count(lambda x: tf.reduce_mean(x, [1, 2]), 2, 7, 7, 3) == 1
    assert count(lambda x: tf.reduce_mean(x, -1), 2, 4096) == 1
    assert count(lambda x: tf.reduce_mean(x, 1), 2, 1031, 2) == 1


def test_roots_of_what_is_never_zero_stay_one_operator():
    spec = tf.TensorSpec([None], tf.float32)
    assert "Rsqrt" in operators_of(lower(lambda x: tf.math.rsqrt(x + 1e-6), spec, target="tflite"))


def test_a_sum_over_a_segment_is_no_number_because_of_another_one():
    values = np.array([[np.inf, 1], [2, np.nan], [3, 4], [5, 6]], "float32")
    lowered = lower(lambda x: tf.math.unsorted_segment_sum(x, [0, 1, 2, -1], 3), tf.TensorSpec([None, 2], tf.float32))
    np.testing.assert_array_equal(run(lowered, values)[0], values[:3])


POOLS = {
    "MaxPool": (lambda x: tf.nn.max_pool2d(x, (2, 1), (3, 2), "SAME"), 2),
    "AvgPool": (lambda x: tf.nn.avg_pool2d(x, (1, 2), (4, 3), "SAME"), 2),
    "MaxPool3D": (lambda x: tf.nn.max_pool3d(x, (1, 2, 2), (1, 3, 3), "SAME"), 3),
    "AvgPool3D": (lambda x: tf.nn.avg_pool3d(x, (2, 2, 2), (3, 3, 2), "SAME"), 3),
}


@pytest.mark.parametrize("name", POOLS)
def test_windows_with_gaps_over_unknown_sizes_reach_no_further_than_the_last_window(name):
    function, axes = POOLS[name]
    lowered = lower(function, tf.TensorSpec([None] * (axes + 1) + [3], tf.float32))
    for size in range(3, 12):
        values = np.random.default_rng(size).normal(size=(1, size, *[size + 1] * (axes - 1), 3)).astype("float32")
        np.testing.assert_allclose(run(lowered, values)[0], function(values), rtol=1e-6)


def test_windows_without_gaps_are_left_to_the_converter():
    lowered = lower(lambda x: keras.ops.max_pool(x, 3, 2, "same"), tf.TensorSpec([None, None, None, 3], tf.float32))
    assert operators_of(lowered) & {"MaxPool"}
    assert "StridedSlice" not in operators_of(lowered)


TRANSPOSED = {
    "steps wider than the kernel": ("SAME", 1, 3, 1),
    "as wide": ("SAME", 2, 2, 1),
    "less wide": ("SAME", 4, 3, 1),
    "dilated": ("SAME", 3, 1, 2),
    "whole": ("VALID", 3, 2, 1),
    "with a gap": ("VALID", 1, 3, 1),
}


@pytest.mark.parametrize("known", [True, False], ids=["static", "dynamic"])
@pytest.mark.parametrize("name", TRANSPOSED)
def test_transposed_convolutions_of_every_size(name, known):
    padding, width, stride, dilation = TRANSPOSED[name]
    values = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype("float32")
    kernel = np.random.default_rng(1).normal(size=(width, width, 2, 3)).astype("float32")
    for more in range(stride):
        if padding == "SAME":
            sizes = [size * stride - more for size in (5, 4)]
        else:
            sizes = [(size - 1) * stride + (width - 1) * dilation + 1 + more for size in (5, 4)]

        def function(x, sizes=sizes):
            batch = tf.shape(x)[0]
            size = tf.stack([batch, *[(sizes[axis] - n) + tf.shape(x)[axis + 1] for axis, n in enumerate((5, 4))], 2])
            return tf.nn.conv2d_transpose(x, kernel, size, stride, padding, dilations=dilation)

        spec = tf.TensorSpec(values.shape if known else (None, None, None, 3), tf.float32)
        lowered = lower(function, spec)
        np.testing.assert_allclose(run(lowered, values)[0], function(values), rtol=1e-4, atol=1e-5)
