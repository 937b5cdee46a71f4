import keras
import numpy as np
import pytest
from keras import ops

import keras_nnx as nnx
from keras_nnx.export import CalibrationError, ConverterCrashError, SignatureError, UnsupportedModelError
from keras_nnx.export.arguments import Options
from keras_nnx.export.streaming.engine import _advised

layers = keras.layers


def model_of(*stack, shape=(None, 4)):
    return keras.Sequential([keras.Input(shape), *stack], name="model")


def attending():
    sequences = keras.Input((None, 4))
    return keras.Model(sequences, layers.MultiHeadAttention(1, 2, name="looks")(sequences, sequences), name="model")


def begun_by_inputs():
    sequences = keras.Input((None, 4))
    memory = layers.GRU(3, name="decoder")
    return keras.Model(sequences, memory(sequences, initial_state=layers.Dense(3)(sequences[:, 0])))


class Running(layers.Layer):
    def call(self, inputs):
        return ops.cumsum(inputs, axis=1)


REFUSALS = {
    "both-ways": (lambda: model_of(layers.Bidirectional(layers.GRU(2), name="both")), r"'model/both'.*from its end"),
    "backwards": (lambda: model_of(layers.GRU(2, go_backwards=True, name="back")), r"'model/back'.*go_backwards=True"),
    "strided": (
        lambda: model_of(layers.Conv1D(2, 3, strides=2, padding="causal", name="leaps")),
        r"'model/leaps'.*strides=1",
    ),
    "ahead": (lambda: model_of(layers.Conv1D(2, 3, padding="same", name="c")), r"'model/c' \(Conv1D\).*\"causal\""),
    "shorter": (lambda: model_of(layers.Conv1D(2, 3, name="c")), r"'model/c' \(Conv1D\).*\"causal\""),
    "padded": (
        lambda: model_of(layers.ZeroPadding1D((2, 0), name="pad"), layers.Conv1D(2, 3)),
        r"'model/pad'.*\"causal\"",
    ),
    "pooled": (lambda: model_of(layers.MaxPooling1D(2, name="pool")), r"'model/pool'.*pools over time"),
    "averaged": (lambda: model_of(layers.GlobalAveragePooling1D(name="mean")), r"'model/mean'.*pools over time"),
    "attending": (attending, r"'model/looks' \(MultiHeadAttention\).*other steps"),
    "normalised": (lambda: model_of(layers.UnitNormalization(axis=1, name="n")), r"'model/n'.*over the features"),
    "flattened": (
        lambda: model_of(layers.Flatten(name="flat"), layers.Dense(2), shape=(8, 4)),
        r"8 steps only, which the layer 'model/flat' needs",
    ),
    "reshaped": (
        lambda: model_of(layers.Reshape((4, 8), name="r"), shape=(8, 4)),
        r"8 steps only.*'model/r'",
    ),
    "positions": (
        lambda: model_of(nnx.layers.PositionEmbedding("sine-cosine", name="places")),
        r"'model/places'.*from the start of each chunk",
    ),
    "own": (lambda: model_of(Running(name="sum")), r"'model/sum' \(Running\).*more than one step"),
    "begun": (begun_by_inputs, r"'decoder' starts from a state that the model computes from its inputs"),
    "nothing": (lambda: model_of(layers.Dense(2)), r"remembers nothing.*export_model"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_fed_in_chunks_is_named(case, tmp_path):
    make, words = REFUSALS[case]
    with pytest.raises(UnsupportedModelError, match=f"(?s){words}"):
        nnx.export_streaming(make(), tmp_path / "out", formats=("onnx",))
    assert not (tmp_path / "out").exists()


def test_a_model_without_time(tmp_path):
    with pytest.raises(SignatureError, match=r"takes no sequence.*export_model"):
        nnx.export_streaming(model_of(layers.Dense(2), shape=(4,)), tmp_path / "out")


def test_an_unknown_size_beside_time(tmp_path):
    within = layers.TimeDistributed(layers.GlobalMaxPooling1D())
    model = model_of(within, layers.SimpleRNN(2), shape=(None, None, 1))
    with pytest.raises(SignatureError, match=r"unknown size on axis 2.*input_signature"):
        nnx.export_streaming(model, tmp_path / "out")


@pytest.mark.parametrize(("steps", "chunk", "words"), [(5, None, "looks back 8"), (12, 16, "chunks of 16")])
def test_calibration_shorter_than_what_is_looked_back(tmp_path, steps, chunk, words):
    model = model_of(layers.Conv1D(2, 3, dilation_rate=4, padding="causal"))
    with pytest.raises(CalibrationError, match=f"have {steps} steps.*{words}.*steps at least"):
        nnx.export_streaming(model, tmp_path / "out", calibration=np.zeros((2, steps, 4), "float32"), chunk=chunk)


@pytest.mark.parametrize("chunk", [0, -1, 2.0, True])
def test_chunk_is_a_number_of_steps(tmp_path, chunk):
    with pytest.raises(ValueError, match="no number of steps"):
        nnx.export_streaming(model_of(layers.GRU(2)), tmp_path / "out", chunk=chunk)


def test_a_key_of_the_metadata_is_taken(tmp_path):
    with pytest.raises(ValueError, match="take another"):
        nnx.export_streaming(model_of(layers.GRU(2)), tmp_path / "out", metadata={"streaming": True})


def test_a_loop_that_cannot_be_quantised_says_to_fix_the_chunk():
    with pytest.raises(ConverterCrashError, match=r"^died A loop .* pass chunk="), _advised(Options("int8"), None):
        raise ConverterCrashError("died")
    with pytest.raises(ConverterCrashError, match=r"^died$"), _advised(Options("int8"), 4):
        raise ConverterCrashError("died")
