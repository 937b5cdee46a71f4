"""A wrong artifact is refused with the name of the layer that is wrong in it."""

import keras
import pytest

import keras_nnx as nnx
from keras_nnx.export.lowering import layers


@keras.saving.register_keras_serializable("divergence_test")
class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return inputs * 2.0

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.fixture
def wrong(monkeypatch):
    monkeypatch.setattr(layers, "_REGISTRY", dict(layers._REGISTRY))

    @nnx.export.register_lowering(Doubled)
    def lowering(layer, inputs):
        return inputs * 2.5


@pytest.mark.parametrize("target", ["onnx", "tflite"])
@pytest.mark.parametrize("unroll", [False, True])
def test_the_layer_behind_a_recurrent_one_is_named(target, unroll, wrong, tmp_path):
    model = keras.Sequential(
        [
            keras.Input((4, 3)),
            keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True, unroll=unroll)),
            keras.layers.RNN([keras.layers.GRUCell(3), keras.layers.LSTMCell(2)]),
            Doubled(name="twice"),
            keras.layers.Dense(2),
        ]
    )
    with pytest.raises(nnx.export.ParityError) as caught:
        nnx.export_model(model, tmp_path / "model", formats=(target,))
    assert caught.value.diverging_layer == f"{model.name}/twice"
    assert f"The first layer that differs is {caught.value.diverging_layer!r}" in str(caught.value)
