"""Training on a part of the patches."""

import numpy as np
import pytest
import tensorflow as tf

from keras_nnx.layers import PatchDropout

PATCHES = np.arange(2 * 17, dtype="float32").reshape(2, 17, 1)


def test_what_stays_keeps_its_order_and_the_prefix_always_stays():
    layer = PatchDropout(0.5, prefix=1, seed=1)
    outputs = layer(PATCHES, training=True).numpy()
    assert outputs.shape == (2, 9, 1)
    np.testing.assert_array_equal(outputs[:, 0], PATCHES[:, 0])
    assert (np.diff(outputs[..., 0]) > 0).all()
    assert set(outputs[1, :, 0]) <= set(PATCHES[1, :, 0])
    assert (outputs[0] != outputs[1] - 17).any()


def test_every_patch_stays_equally_often():
    layer = PatchDropout(0.75, seed=1)
    patches = np.tile(np.arange(8, dtype="float32")[None, :, None], (4000, 1, 1))
    counts = np.bincount(layer(patches, training=True).numpy().astype(int).ravel(), minlength=8)
    np.testing.assert_allclose(counts / 8000, 1 / 8, rtol=0.1)


@pytest.mark.parametrize(("rate", "count"), [(0.0, 17), (0.1, 15), (0.99, 1)])
def test_how_many_stay(rate, count):
    assert PatchDropout(rate)(PATCHES, training=True).shape == (2, count, 1)
    layer = PatchDropout(rate)
    traced = tf.function(lambda x: layer(x, training=True), input_signature=[tf.TensorSpec((None, None, 1))])
    assert traced(PATCHES).shape == (2, count, 1)


def test_nothing_is_left_out_at_inference():
    np.testing.assert_array_equal(PatchDropout(0.5)(PATCHES), PATCHES)


@pytest.mark.parametrize("arguments", [{"rate": 1.0}, {"rate": 0.5, "prefix": -1}])
def test_what_does_not_fit_is_an_error(arguments):
    with pytest.raises(ValueError, match=next(reversed(arguments))):
        PatchDropout(**arguments)
