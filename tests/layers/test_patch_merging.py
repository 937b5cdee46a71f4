"""Four neighbours made into one."""

import numpy as np
import pytest

from keras_nnx.layers import PatchMerging


@pytest.mark.parametrize("sides", [(4, 6), (5, 3), (1, 1)])
def test_the_equation(sides):
    images = np.random.default_rng(0).standard_normal((2, *sides, 3)).astype("float32")
    layer = PatchMerging(5)
    layer.build(images.shape)
    layer.set_weights([value + 0.1 for value in layer.get_weights()])
    gamma, beta, kernel = layer.get_weights()
    filled = np.pad(images, ((0, 0), (0, sides[0] % 2), (0, sides[1] % 2), (0, 0)))
    x = np.concatenate(
        [filled[:, 0::2, 0::2], filled[:, 1::2, 0::2], filled[:, 0::2, 1::2], filled[:, 1::2, 1::2]], axis=-1
    )
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * gamma + beta
    np.testing.assert_allclose(layer(images), x @ kernel, rtol=1e-4, atol=1e-4)
    assert layer.compute_output_shape(images.shape) == (x @ kernel).shape


@pytest.mark.parametrize(("arguments", "shape"), [({"dim": 0}, None), ({"epsilon": 0}, None), ({}, (1, 4, 4))])
def test_what_does_not_fit_is_an_error(arguments, shape):
    with pytest.raises(ValueError, match=r"dim=0|epsilon=0|b h w c"):
        PatchMerging(**arguments).build(shape)
