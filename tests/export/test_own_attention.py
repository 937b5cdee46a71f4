"""The attention of this package is one operator in an ONNX file, with nothing around it."""

import keras
import pytest

from keras_nnx import layers
from tests.export.test_fusion import enlivened, exported


@pytest.mark.parametrize("length", [6, None])
@pytest.mark.parametrize("options", [{}, {"causal": True}, {"causal": True, "window": 3}], ids=str)
def test_heads_are_split_and_merged_by_the_operator(length, options, tmp_path):
    inputs = keras.Input((length, 8))
    model = enlivened(keras.Model(inputs, layers.MultiHeadAttention(2, **options)(inputs)))
    _, counts = exported(model, tmp_path)
    assert (counts["Attention"], counts["MatMul"]) == (1, 4)
    assert (counts["Transpose"], counts["Reshape"], counts["Softmax"], counts["Mul"]) == (0, 0, 0, 0)
    if length is not None:
        assert counts["Shape"] == 0


def test_padding_is_its_mask(tmp_path):
    inputs = keras.Input((None, 8))
    model = enlivened(keras.Model(inputs, layers.MultiHeadAttention(2)(keras.layers.Masking()(inputs))))
    _, counts = exported(model, tmp_path)
    assert (counts["Attention"], counts["Softmax"]) == (1, 0)
