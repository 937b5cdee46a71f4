"""Which models can be fed in chunks: read and rehearsed in Keras, without the files."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import keras_nnx as nnx
from keras_nnx.export.arguments import Options
from keras_nnx.export.lowering.layers import float32_compute
from keras_nnx.export.streaming.chunks import long_steps
from keras_nnx.export.streaming.engine import _rehearsed
from keras_nnx.export.streaming.reach import reach

layers = keras.layers
STEPS = 11


def model_of(*stack, shape=(None, 4), **options):
    keras.utils.set_random_seed(7)
    return keras.Sequential([keras.Input(shape, **options), *stack])


@contextlib.contextmanager
def stepped(model, **options):
    with _rehearsed(model, options.get("input_signature"), None, options.get("chunk"), Options()) as (rehearsal, _):
        yield rehearsal.program


def fed(step, inputs, lengths):
    """Return the answers to chunks, put together along time where they have it, else the last."""
    (name, whole), others = next(iter(inputs.items())), dict(list(inputs.items())[1:])
    held, heard = step.start(len(whole)), []
    with float32_compute(step.whole.model):
        for chunk in np.split(whole, np.cumsum(lengths)[:-1], axis=1):
            tensors = {name: chunk, **others, **held}
            answers = step.program.call({key: ops.convert_to_tensor(value) for key, value in tensors.items()})
            heard.append({key: np.asarray(value) for key, value in answers.items()})
            held = {state: heard[-1][output] for state, output in step.feeds.items()}
    return [
        np.concatenate([answer[spec.name] for answer in heard], axis=1)
        if "time" in spec.shape
        else heard[-1][spec.name]
        for spec in step.whole.signature.outputs
    ]


def check(model, sequences=None, lengths=(1, 4, 6), reference=None, **options):
    if sequences is None:
        sequences = np.random.default_rng(1).standard_normal((2, STEPS, 4)).astype("float32")
    expected = keras.tree.flatten((reference or model)(sequences, training=False))
    with stepped(model, **options) as step:
        received = fed(step, {step.sequences[0]: sequences}, lengths)
    for first, second in zip(expected, received, strict=True):
        np.testing.assert_allclose(np.asarray(second), np.asarray(first), atol=1e-5)
    return step


@pytest.mark.parametrize(
    "stack",
    [
        lambda: [layers.LSTM(3)],
        lambda: [layers.Conv1D(3, 3, dilation_rate=2, padding="causal"), layers.BatchNormalization()],
        lambda: [layers.Conv1D(4, 3, groups=2, padding="causal"), layers.LayerNormalization()],
        lambda: [layers.SimpleRNN(3, unroll=True)],
        lambda: [layers.Reshape((-1, 2, 2)), layers.TimeDistributed(layers.SimpleRNN(2)), layers.SimpleRNN(2)],
        lambda: [layers.Reshape((-1, 4, 1)), layers.ConvLSTM1D(2, 3, padding="same", return_sequences=True)],
    ],
    ids=["long-short", "dilated", "grouped", "unrolled", "within-a-step", "convolutional"],
)
def test_layers(stack):
    check(model_of(*stack()))


def test_a_length_is_forgotten():
    sequences = keras.Input((STEPS, 4))
    model = keras.Model(sequences, layers.SimpleRNN(3, return_sequences=True)(sequences))
    step = check(model)
    assert step.program.signature.inputs[0].shape == ("batch", "time", 4)
    with pytest.raises(ValueError, match="shape"):
        model(np.zeros((1, STEPS + 1, 4), "float32"))


def test_a_stateful_layer_starts_anew():
    model = model_of(layers.SimpleRNN(3, stateful=True, return_sequences=True), batch_size=2)
    free = model_of(layers.SimpleRNN(3, return_sequences=True))
    free.set_weights(model.get_weights()[: len(free.get_weights())])
    model(np.ones((2, 3, 4), "float32"))
    before = np.asarray(model.layers[0].states[0])
    check(model, reference=free)
    assert model.layers[0].stateful
    np.testing.assert_array_equal(before, model.layers[0].states[0])


@pytest.mark.parametrize(("zeros", "every"), [(False, True), (False, False), (True, True)])
def test_padding_holds_states_and_answers(zeros, every):
    layer = layers.SimpleRNN(3, return_sequences=every, zero_output_for_mask=zeros)
    sequences = np.random.default_rng(1).standard_normal((3, STEPS, 4)).astype("float32")
    sequences[0, 4:8] = 0
    sequences[1, :6] = 0
    sequences[2, 3:] = 0
    check(model_of(layers.Masking(), layer), sequences, lengths=(2, 4, 1, 4))


def test_padding_of_words():
    words = np.random.default_rng(0).integers(0, 5, (2, STEPS))
    check(
        model_of(layers.Embedding(5, 3, mask_zero=True), layers.SimpleRNN(2), shape=(None,), dtype="int32"),
        words.astype("int32"),
    )


def test_half_precision_computes_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = model_of(layers.Conv1D(3, 2, padding="causal"), layers.SimpleRNN(2, return_sequences=True))
    finally:
        keras.config.set_dtype_policy("float32")
    sequences = np.random.default_rng(1).standard_normal((2, STEPS, 4)).astype("float32")
    with float32_compute(model):
        expected = np.asarray(model(sequences))
    check(model, sequences, reference=lambda *_arguments, **_options: expected)


def test_what_is_no_sequence_goes_along():
    sequences, voice = keras.Input((None, 4), name="sound"), keras.Input((2,), name="voice")
    heard = layers.SimpleRNN(3, return_sequences=True)(sequences)
    model = keras.Model([sequences, voice], heard + ops.expand_dims(layers.Dense(3)(voice), 1))
    values = np.random.default_rng(1).standard_normal((2, STEPS, 4)).astype("float32")
    with stepped(model) as step:
        assert step.sequences == ("sound",)
        (received,) = fed(step, {"sound": values, "voice": values[:, 0, :2]}, (3, 8))
    np.testing.assert_allclose(received, model([values, values[:, 0, :2]]), atol=1e-5)


def test_a_learned_start_is_in_the_states():
    @keras.saving.register_keras_serializable(package="tests")
    class Cell(layers.GRUCell):
        def get_initial_state(self, batch_size=None):
            return [ops.full((batch_size, self.units), 0.5)]

    model = model_of(layers.RNN(Cell(3), return_sequences=True, name="begun"))
    step = check(model)
    assert step.states[0].to_dict()["initial"] == [0.5, 0.5, 0.5]


def test_an_axis_may_be_put_into_the_batch():
    class Rows(keras.Model):
        def __init__(self):
            super().__init__()
            self.memory = layers.SimpleRNN(3, return_sequences=True)

        def call(self, inputs):  # b t 2 c
            steps = ops.shape(inputs)[1]
            rows = ops.reshape(ops.transpose(inputs, (0, 2, 1, 3)), (-1, steps, 4))
            return ops.transpose(ops.reshape(self.memory(rows), (-1, 2, steps, 3)), (0, 2, 1, 3))

    model = Rows()
    sequences = np.random.default_rng(1).standard_normal((2, STEPS, 2, 4)).astype("float32")
    model(sequences)
    step = check(model, sequences)
    assert step.states[0].shape == (2, 3)


def test_other_lengths_of_chunks_are_refused_by_the_signature():
    with stepped(model_of(layers.SimpleRNN(3)), chunk=4) as step:
        assert step.program.signature.inputs[0].shape == ("batch", 4, 4)


def test_names_are_free_and_valid():
    inner = keras.Sequential([layers.SimpleRNN(2, return_sequences=True, name="a-b")])
    model = model_of(inner, layers.SimpleRNN(2, name="a_b"), name="a_b_state_0")
    with stepped(model) as step:
        names = [state.name for state in step.states]
    assert len(set(names)) == 2
    assert all(name.isidentifier() and name.isascii() and name != "a_b_state_0" for name in names)


def test_a_network_of_convolutions_looks_back_as_far_as_it_says():
    model = nnx.models.TemporalConvNet((None, 4), classes=2, filters=(2, 2), kernel_size=2, pooling="last")
    assert check(model).memory == 6


@pytest.mark.parametrize("projected", [False, True])
def test_a_start_that_is_an_input_goes_along(projected):
    sequences, start = keras.Input((None, 4), name="sound"), keras.Input((3,), name="start")
    given = layers.Dense(3)(start) if projected else start
    model = keras.Model([sequences, start], layers.GRU(3, return_sequences=True)(sequences, initial_state=given))
    values = np.random.default_rng(1).standard_normal((2, STEPS, 4)).astype("float32")
    with stepped(model) as step:
        (received,) = fed(step, {"sound": values, "start": values[:, 0, :3]}, (1, 4, 6))
    np.testing.assert_allclose(received, model([values, values[:, 0, :3]]), atol=1e-5)
    assert [state.to_dict()["initial"] for state in step.states] == [0.0, 0.0]


def test_a_start_made_of_the_first_step():
    sequences = keras.Input((None, 4))
    start = layers.Dense(3)(sequences[:, 0])
    check(keras.Model(sequences, layers.GRU(3, return_sequences=True)(sequences, initial_state=start)))


def test_the_last_step_that_is_no_padding():
    sequences = np.random.default_rng(1).standard_normal((3, STEPS, 4)).astype("float32")
    sequences[0, 4:8] = 0
    sequences[1] = 0
    sequences[2, 3:] = 0
    stack = [layers.Masking(), layers.SimpleRNN(3, return_sequences=True), nnx.layers.SequencePooling("last")]
    check(model_of(*stack), sequences, lengths=(2, 4, 1, 4))


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        (layers.Conv1D(2, 3, dilation_rate=5), 10),
        (layers.Conv1D(2, 3, dilation_rate=5, padding="causal"), 10),
        (layers.ZeroPadding1D((7, 2)), 7),
        (layers.Cropping1D((0, 6)), 6),
        (lambda x: ops.roll(x, 9, axis=1), 9),
        (lambda x: ops.pad(x, [[0, 0], [8, 0], [0, 0]])[:, :-8, 1:], 16),
        (layers.TimeDistributed(layers.Dense(2)), 0),
        (layers.GRU(2, return_sequences=True), 1),  # its last answer is a slice
    ],
)
def test_how_far_apart_an_answer_and_its_cause_may_be(change, steps):
    sequences = keras.Input((None, 4))
    model = keras.Model(sequences, change(sequences))
    function = tf.function(model.call, autograph=False)
    graph = function.get_concrete_function(tf.TensorSpec((None, None, 4))).graph
    assert reach(model, graph) == steps


def test_the_long_sequence_is_longer_than_what_moves_and_shorter_for_large_steps():
    with stepped(model_of(layers.Conv1D(2, 2, padding="causal"))) as step:
        assert [long_steps(step, apart, 16) for apart in (0, 300)] == [512, 903]
        assert long_steps(step, 0, 1_000_000) == 40
