"""What is found before any training, and that nothing else is."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_nnx as nnx


@pytest.fixture
def two_problems():
    inputs = keras.Input((4, 4), name="x")
    inverted = keras.layers.Lambda(tf.linalg.inv, name="inverted")(inputs)
    return keras.Model(inputs, keras.layers.Lambda(tf.math.digamma, name="digamma")(inverted), name="model")


def test_a_model_without_problems_has_no_findings(classifier):
    weights = [np.array(weight) for weight in classifier.get_weights()]
    assert nnx.check_exportable(classifier) == []
    for before, after in zip(weights, classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("target", ["onnx", "tflite"])
def test_every_operator_is_found_with_its_layer(two_problems, target):
    findings = nnx.check_exportable(two_problems, formats=(target,))
    assert {(finding.layer_path, finding.operator) for finding in findings} == {
        ("model/inverted", "MatrixInverse"),
        ("model/digamma", "Digamma"),
    }
    assert all(finding.targets == (target,) and "register_lowering" in finding.remedy for finding in findings)


def test_what_concerns_the_model_concerns_every_format():
    inputs = keras.Input(batch_shape=(1, 5, 4))
    model = keras.Model(inputs, keras.layers.LSTM(3, stateful=True, name="memory")(inputs))
    (finding,) = nnx.check_exportable(model)
    assert finding.targets == ("saved_model", "onnx", "tflite")
    assert "memory" in str(finding)


def test_arguments_without_a_meaning(classifier):
    with pytest.raises(ValueError, match="formats="):
        nnx.check_exportable(classifier, formats=("coreml",))
    with pytest.raises(ValueError, match="received int"):
        nnx.check_exportable(3)
