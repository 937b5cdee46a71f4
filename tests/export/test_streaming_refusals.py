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


def begun_by_all_steps():
    sequences = keras.Input((None, 4))
    start = layers.GRU(3, name="encoder")(sequences)
    return keras.Model(sequences, layers.GRU(3, name="decoder")(sequences, initial_state=start), name="model")


def beside(make):
    """What a layer or a function makes of steps, beside the steps."""
    sequences = keras.Input((None, 4))
    steps = layers.Conv1D(2, 2, padding="causal", name="c")(sequences)
    return keras.Model(sequences, layers.Concatenate()([steps, make(steps)]), name="model")


def delayed_by_layers(steps):
    return layers.Cropping1D((0, 48))(layers.ZeroPadding1D((48, 0), name="pad")(steps))


def delayed_by_kernels(steps):
    return layers.Conv1D(2, 2, dilation_rate=64)(layers.ZeroPadding1D((64, 0), name="pad")(steps))


def delayed_by_operations(steps):
    return ops.pad(steps, [[0, 0], [300, 0], [0, 0]])[:, :-300]


def with_operation(change):
    sequences = keras.Input((None, 4))
    return keras.Model(sequences, layers.GRU(2, name="memory")(change(sequences)), name="model")


class Running(layers.Layer):
    def call(self, inputs):
        return ops.cumsum(inputs, axis=1)


class Late(layers.Layer):
    def call(self, inputs):
        return ops.where((ops.arange(ops.shape(inputs)[1]) < 60)[None, :, None], inputs, 2 * inputs)


class Echo(layers.Layer):
    def call(self, inputs):
        return inputs + ops.concatenate([ops.zeros_like(inputs[:, :70]), inputs], axis=1)[:, : ops.shape(inputs)[1]]


class LastShown(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        valid = ops.cast(mask, "int32")
        at = ops.logical_and(ops.cumsum(valid, axis=1) == ops.sum(valid, axis=1, keepdims=True), mask)
        return ops.sum(ops.where(at[..., None], inputs, 0.0), axis=1)

    def compute_mask(self, inputs, mask=None):
        return None


class Shifting(keras.Model):
    def __init__(self):
        super().__init__(name="model")
        self.steps = layers.Conv1D(2, 3, padding="causal", name="steps")
        self.memory = layers.GRU(2, name="memory")

    def call(self, inputs):
        x = self.steps(inputs)
        return self.memory(ops.concatenate([x[:, :1] * 0, x[:, :-1]], axis=1))


def shifting():
    model = Shifting()
    model(np.zeros((1, 5, 4), "float32"))
    return model


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
    "begun": (begun_by_all_steps, r"'model/decoder' \(GRU\).*an initial_state that depends on other steps"),
    "layers": (lambda: beside(delayed_by_layers), r"'model/pad' \(ZeroPadding1D\).*long"),
    "kernels": (lambda: beside(delayed_by_kernels), r"'model/pad' \(ZeroPadding1D\).*long"),
    "operations": (lambda: beside(delayed_by_operations), r"operation 'model/pad[_0-9]*' \(Pad\).*moves.*long"),
    "late": (lambda: beside(Late(name="late")), r"'model/late' \(Late\).*long"),
    "echo": (lambda: beside(Echo(name="echo")), r"'model/echo' \(Echo\).*long"),
    "skipping": (
        lambda: with_operation(lambda steps: steps[:, ::2]),
        r"operation 'model/get_item[_0-9]*' \(GetItem\).*drops steps.*outside of the model",
    ),
    "shifting": (shifting, r"given to the layer 'model/memory' \(GRU\) differs already, by an operation before it"),
    "depthwise": (
        lambda: model_of(layers.DepthwiseConv1D(3, padding="same", name="d")),
        r"'model/d' \(DepthwiseConv1D\).*for Conv1D only.*groups=",
    ),
    "images": (
        lambda: model_of(layers.Conv2D(2, 3, padding="same", name="c"), shape=(None, 4, 1)),
        r"'model/c' \(Conv2D\).*kernel of 1",
    ),
    "last": (lambda: model_of(layers.Masking(), LastShown(name="shown")), r"'model/shown' \(LastShown\).*masked"),
    "summed": (
        lambda: model_of(layers.Masking(), nnx.layers.SequencePooling("max", name="pool")),
        r"'model/pool' \(SequencePooling\).*\"last\"",
    ),
    "nothing": (lambda: model_of(layers.Dense(2)), r"remembers nothing.*export_model"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_fed_in_chunks_is_named(case, tmp_path):
    make, words = REFUSALS[case]
    with pytest.raises(UnsupportedModelError, match=f"(?s){words}"):
        nnx.export_streaming(make(), tmp_path / "out", formats=("onnx",))
    assert not (tmp_path / "out").exists()


def test_an_error_of_tensorflow_is_said_in_one_line(tmp_path):
    model = model_of(layers.Conv1D(2, 3, name="c"), layers.GRU(2))
    with pytest.raises(
        UnsupportedModelError, match=r"'model/c'.*fails on a part of a sequence: Computed output size"
    ) as caught:
        nnx.export_streaming(model, tmp_path / "out", formats=("onnx",))
    assert not [part for part in ("\n", "Graph execution", "File ") if part in str(caught.value)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"recurrent": "unroll", "formats": ("onnx",)}, r"memory'.*pass chunk="),
        ({"recurrent": "fused", "formats": ("tflite",)}, r"memory'.*keeps its states inside.*recurrent='auto'"),
    ],
)
def test_forms_of_recurrence_that_no_chunks_can_have(tmp_path, options, words):
    with pytest.raises(UnsupportedModelError, match=words):
        nnx.export_streaming(model_of(layers.LSTM(2, name="memory")), tmp_path / "out", **options)


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
