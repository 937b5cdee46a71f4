"""Shapes are known before values, and sizes that may be unknown change nothing."""

import numpy as np
import pytest
import tensorflow as tf

from tests.contract.cases import BATCH, CASES


def admits(symbolic, real):
    """Whether `real` is one of the shapes that `symbolic` stands for."""
    return len(symbolic) == len(real) and all(a in (None, b) for a, b in zip(symbolic, real, strict=True))


@pytest.mark.parametrize("batch", [None, BATCH])
def test_output_shape_is_the_real_one(case, batch):
    outputs = case.make()(*case.inputs())
    computed = tuple(case.make_built().compute_output_shape(*case.sized(batch)))
    assert computed == (batch, *outputs.shape[1:])


def test_output_shape_is_known_before_build(case):
    computed = tuple(case.make().compute_output_shape(*case.sized(BATCH)))
    assert computed == tuple(case.make()(*case.inputs()).shape)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("case", [case for case in CASES if case.unknown], ids=str)
def test_unknown_sizes_change_nothing(case, scale):
    layer = case.make_built()
    dynamic = case.model(layer, scale=None)
    assert dynamic.output_shape == tuple(layer.compute_output_shape(*case.sized(scale=None)))
    static = case.make()
    static_model = case.model(static, scale=scale)
    static.set_weights(layer.get_weights())
    inputs = case.inputs(scale)
    signature = [tf.TensorSpec(shape, value.dtype) for shape, value in zip(case.sized(scale=None), inputs, strict=True)]
    traced = tf.function(lambda *tensors: dynamic(list(tensors), training=False), input_signature=signature)
    expected = static_model(inputs, training=False)
    np.testing.assert_allclose(traced(*inputs), expected, rtol=1e-5, atol=1e-5)
    assert admits(dynamic.output_shape, expected.shape)


@pytest.mark.parametrize("case", [case for case in CASES if not case.across], ids=str)
def test_any_batch_size(case):
    layer = case.make_built()
    whole = np.asarray(case.model(layer)(case.inputs(), training=False))
    for index in range(BATCH):
        one = case.model(layer)([value[index : index + 1] for value in case.inputs()], training=False)
        np.testing.assert_allclose(one, whole[index : index + 1], rtol=1e-5, atol=1e-5)
