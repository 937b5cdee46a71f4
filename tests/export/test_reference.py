"""The model's own float noise."""

import keras
import numpy as np
import pytest

from keras_nnx.export import UnsupportedModelError
from keras_nnx.export.dimensions import explore
from keras_nnx.export.proof import reference as reference_module
from keras_nnx.export.proof.probes import make_probes
from keras_nnx.export.proof.reference import make_references, with_more_noise
from keras_nnx.export.signature import read_signature


@pytest.fixture(scope="module")
def long_sum():
    """A model with many weights for each number of its answer, and its references."""
    keras.utils.set_random_seed(3)
    x = keras.Input((2,), name="x")
    model = keras.Model(x, keras.layers.Dense(8, name="sum")(keras.layers.Dense(4096)(x)))
    exploration = explore(read_signature(model, None), None)
    return exploration.program, make_references(exploration.program, make_probes(exploration))


def test_weights_in_other_last_bits_add_to_the_noise_and_come_back(long_sum):
    program, references = long_sum
    before = program.model.get_weights()
    widened = with_more_noise(program, references)
    assert all(new.noise["sum"] >= old.noise["sum"] for new, old in zip(widened, references, strict=True))
    assert any(new.noise["sum"] > old.noise["sum"] for new, old in zip(widened, references, strict=True))
    assert max(new.noise["sum"] for new in widened) < 1e-2
    for value, was in zip(program.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, was)


def test_weights_come_back_whatever_happens(long_sum, monkeypatch):
    program, references = long_sum
    before = program.model.get_weights()

    def interrupt(function, inputs):
        assert any(np.any(a != b) for a, b in zip(program.model.get_weights(), before, strict=True))
        raise KeyboardInterrupt

    monkeypatch.setattr(reference_module, "_run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        with_more_noise(program, references)
    for value, was in zip(program.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, was)


def test_rounding_is_measured_in_float64_and_the_policies_come_back():
    x = keras.Input((96, 96, 2))
    ones = keras.initializers.Constant(1.3)
    model = keras.Model(
        x, keras.layers.GlobalAveragePooling2D(name="mean")(keras.layers.Conv2D(4, 1, bias_initializer=ones)(x))
    )
    exploration = explore(read_signature(model, None), None)
    references = make_references(exploration.program, make_probes(exploration))
    widened = {row.probe.name: row for row in with_more_noise(exploration.program, references)}
    answer = widened["zero"].outputs["mean"].astype("float64")
    assert widened["zero"].noise["mean"] == pytest.approx(np.abs(answer - np.float32(1.3)).max())
    assert widened["zero"].noise["mean"] > 1e-6
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert model.inputs[0].dtype == "float32"


@keras.saving.register_keras_serializable(package="tests")
class OtherwiseWhereUnknown(keras.layers.Layer):
    """Multiplies by another number where it does not know the length beforehand."""

    def call(self, inputs):
        return inputs * (1.0 if isinstance(keras.ops.shape(inputs)[1], int) else 1.002)

    def compute_output_shape(self, input_shape):
        return input_shape


def test_a_model_that_computes_something_else_compiled_is_refused(export):
    """The difference is no rounding of its own, which would widen what is allowed."""
    inputs = keras.Input((None, 3), name="sequence")
    model = keras.Model(inputs, OtherwiseWhereUnknown()(inputs))
    with pytest.raises(UnsupportedModelError, match="between running step by step and compiled for unknown sizes"):
        export(model)
    assert export(model, input_signature=keras.Input((4, 3), name="sequence")).proven


def test_real_inputs_that_are_told_apart_silence_the_note(export):
    kernel = keras.initializers.Constant([[1e-6, 0, 0], [0, -1e-6, 0], [0, 0, 2e-6], [0, 0, 0]])
    inputs = keras.Input((4,), name="x")
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax", kernel_initializer=kernel)(inputs))
    alike = "answers all ordinary inputs alike"
    assert any(alike in note for note in export(model, formats=("onnx",)).notes)
    samples = np.eye(4, dtype="float32") * 1e7
    assert not any(
        alike in note for note in export(model, formats=("onnx",), calibration=samples, overwrite=True).notes
    )
