"""Attention within windows: against plain attention, and against what must not be seen."""

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from keras_nnx.layers import WindowAttention

RANDOM = np.random.default_rng(0)


def built(shape, **arguments):
    layer = WindowAttention(**arguments)
    layer.build(shape)
    for weight in layer.trainable_weights:
        weight.assign(RANDOM.normal(size=weight.shape) * 0.5)
    return layer


def reference(layer, images):
    """Pixel by pixel: who is in the window, on the same side of the border, and what the bias of the offset is."""
    batch, height, width, dim = images.shape
    size, shift, heads = layer.window_size, layer.shift, layer.num_heads
    shifts = [0 if side <= size else shift for side in (height, width)]
    filled = [-(-side // size) * size for side in (height, width)]
    projected = images @ layer.query_key_value.kernel.numpy() + layer.query_key_value.bias.numpy()
    split = projected.reshape(batch, height, width, 3, heads, dim // heads)
    table = layer.offset_bias.numpy().reshape(2 * size - 1, 2 * size - 1, heads)
    outputs = np.zeros((batch, height, width, heads, dim // heads))

    def window(place):
        """Return the window of a pixel, and its place after the shift; windows at the border end there."""
        moved = [(at - by) % side for at, by, side in zip(place, shifts, filled, strict=True)]
        border = [at < by for at, by in zip(place, shifts, strict=True)]
        return [at // size for at in moved], border, moved

    places = [(row, column) for row in range(height) for column in range(width)]
    for query in places:
        own, border, moved = window(query)
        seen = [place for place in places if window(place)[:2] == (own, border)]
        for image in range(batch):
            scores = np.stack(
                [
                    (split[image][query][0] * split[image][key][1]).sum(-1) / np.sqrt(dim // heads)
                    + table[moved[0] - window(key)[2][0] + size - 1, moved[1] - window(key)[2][1] + size - 1]
                    for key in seen
                ]
            )
            weights = np.exp(scores) / np.exp(scores).sum(0)
            values = np.stack([split[image][key][2] for key in seen])
            outputs[image][query] = (weights[..., None] * values).sum(0)
    outputs = outputs.reshape(batch, height, width, dim)
    return outputs @ layer.output_projection.kernel.numpy() + layer.output_projection.bias.numpy()


@pytest.mark.parametrize(
    ("height", "width", "size", "shift"),
    [(4, 6, 2, 0), (4, 6, 2, 1), (6, 6, 3, 1), (5, 7, 3, 0), (5, 7, 3, 1), (3, 8, 4, 2), (2, 2, 4, 2), (1, 9, 3, 2)],
)
def test_the_equation(height, width, size, shift):
    images = RANDOM.standard_normal((2, height, width, 4)).astype("float32")
    layer = built(images.shape, num_heads=2, window_size=size, shift=shift)
    expected = reference(layer, images)
    np.testing.assert_allclose(layer(images), expected, rtol=1e-4, atol=1e-5)


def test_unknown_sides_change_nothing():
    layer = built((None, None, None, 4), num_heads=2, window_size=3, shift=1)
    traced = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 4))])
    for height, width in ((6, 9), (7, 5), (4, 4)):
        images = RANDOM.standard_normal((1, height, width, 4)).astype("float32")
        np.testing.assert_allclose(traced(images), layer(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "shape", "message"),
    [
        ({"num_heads": 2, "window_size": 4, "shift": 4}, None, r"shift=4\) needs a shift under the window of 4"),
        ({"num_heads": 3, "window_size": 4}, (None, 8, 8, 4), "divides 4"),
        ({"num_heads": 2, "window_size": 0}, None, "window_size=0"),
        ({"num_heads": 2, "window_size": 4}, (None, 8, 4), "b h w c"),
    ],
)
def test_what_does_not_fit_is_an_error(arguments, shape, message):
    with pytest.raises(ValueError, match=message):
        WindowAttention(**arguments).build(shape)


@pytest.mark.parametrize("side", [2, 3, 4, 5, 7, 8])
def test_an_unknown_size_is_treated_as_the_same_size_known(side):
    """A picture of one window is not shifted, as in the paper, whether its size was known beforehand or not."""
    layer = WindowAttention(2, 4, shift=2)
    images = np.random.default_rng(0).standard_normal((2, side, 6, 8)).astype("float32")
    expected = layer(images)
    unknown, known = keras.Input((None, None, 8)), keras.Input((side, 6, 8))
    for inputs in (unknown, known):
        model = keras.Model(inputs, layer(inputs))
        np.testing.assert_allclose(model.predict(images, verbose=0), expected, rtol=1e-5, atol=1e-5)


def test_an_unknown_size_is_exported_as_the_same_size_known(export):
    inputs = keras.Input((None, None, 8))
    model = keras.Model(inputs, WindowAttention(2, 4, shift=2)(inputs))
    report = export(model, formats=("onnx", "tflite"))
    assert report.proven
    session = onnxruntime.InferenceSession(str(report.artifacts["onnx"].path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    for side in (2, 3, 4, 5, 7, 8):
        images = np.random.default_rng(side).standard_normal((1, side, 6, 8)).astype("float32")
        np.testing.assert_allclose(session.run(None, {name: images})[0], model(images), rtol=1e-5, atol=1e-5)
