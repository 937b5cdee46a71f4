"""Recurrent blocks against the layers of Keras that they are made of."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_nnx.blocks import ConvolutionalRecurrentBlock, RecurrentBlock

RANDOM = np.random.default_rng(0)
STEPS = RANDOM.standard_normal((3, 7, 4)).astype("float32")
MASK = np.arange(7)[None] < np.array([[7], [4], [1]])
EACH = [
    {"units": 4},
    {"units": 4, "cell": "gru"},
    {"units": 3, "bidirectional": True},
    {"units": 3, "cell": "gru", "bidirectional": True, "merge": "ave", "projection_dim": 4},
    {"units": 5, "projection_dim": 2, "residual": False, "epsilon": None},
]


def randomized(layer, *shapes):
    layer.build(*shapes)
    layer.set_weights([RANDOM.uniform(-0.5, 0.5, value.shape) for value in layer.get_weights()])
    return layer


@pytest.mark.parametrize("arguments", EACH, ids=str)
def test_it_is_its_parts_in_a_row(arguments):
    block = randomized(RecurrentBlock(**arguments), STEPS.shape)
    x = STEPS if block.norm is None else block.norm(STEPS)
    x = block.recurrence(x)
    x = x if block.projection is None else block.projection(x)
    if block.residual:
        x = x + (STEPS if block.shortcut is None else block.shortcut(STEPS))
    np.testing.assert_allclose(block(STEPS), x, rtol=1e-5, atol=1e-6)
    assert (block.norm is None) == (block.epsilon is None)
    assert (block.shortcut is None) == (not block.residual or x.shape[-1] == 4)


@pytest.mark.parametrize("arguments", EACH, ids=str)
def test_padding_is_as_if_it_were_not_there(arguments):
    block = randomized(RecurrentBlock(**arguments, return_state=True), STEPS.shape)
    whole, *states = block(np.where(MASK[..., None], STEPS, 50.0), mask=MASK)
    for row, length in enumerate((7, 4, 1)):
        alone, *alone_states = block(STEPS[row : row + 1, :length])
        np.testing.assert_allclose(whole[row, :length], alone[0], rtol=1e-5, atol=1e-5)
        for state, expected in zip(states, alone_states, strict=True):
            np.testing.assert_allclose(state[row], expected[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_padding_in_front_and_between_is_skipped_too(cell):
    block = randomized(RecurrentBlock(4, cell, bidirectional=True), STEPS.shape)
    mask = np.array([0, 1, 0, 1, 1, 0, 1], bool)
    received = block(STEPS, mask=np.broadcast_to(mask, (3, 7)))
    np.testing.assert_allclose(received.numpy()[:, mask], block(STEPS[:, mask]), rtol=1e-5, atol=1e-5)


def test_what_padding_holds_does_not_reach_the_others():
    block = randomized(RecurrentBlock(4), STEPS.shape)
    received = block(np.where(MASK[..., None], STEPS, np.nan), mask=MASK).numpy()
    np.testing.assert_allclose(received[MASK], block(STEPS, mask=MASK).numpy()[MASK], rtol=1e-6)


@pytest.mark.parametrize(("bidirectional", "earlier"), [(False, False), (True, True)])
def test_one_direction_sees_no_later_step(bidirectional, earlier):
    block = randomized(RecurrentBlock(4, bidirectional=bidirectional), STEPS.shape)
    changed = STEPS.copy()
    changed[:, 4, 0] += 1
    moved = np.abs(block(changed) - block(STEPS)).max((0, 2)) > 1e-6
    assert moved.tolist() == [earlier] * 4 + [True] * 3


def test_states_of_both_directions_stand_side_by_side():
    block = randomized(
        RecurrentBlock(3, bidirectional=True, residual=False, epsilon=None, return_state=True), STEPS.shape
    )
    outputs, hidden, carry = block(STEPS)
    np.testing.assert_allclose(hidden, np.concatenate([outputs[:, -1, :3], outputs[:, 0, 3:]], axis=-1), rtol=1e-6)
    assert [tuple(value.shape) for value in (outputs, hidden, carry)] == [(3, 7, 6), (3, 6), (3, 6)]
    assert block.compute_output_shape((None, None, 4)) == ((None, None, 6), (None, 6), (None, 6))


def test_states_carry_no_mask():
    x = keras.layers.Masking()(keras.Input((None, 4)))
    outputs, hidden = RecurrentBlock(3, "gru", return_state=True)(x)
    assert outputs._keras_mask is not None
    assert getattr(hidden, "_keras_mask", None) is None


def test_a_sequence_drops_the_same_features_at_every_step():
    block = RecurrentBlock(64, dropout=0.5, residual=False, seed=3)
    dropped = block(STEPS, training=True).numpy() == 0
    assert (dropped == dropped[:, :1]).all()
    assert 0.3 < dropped.mean() < 0.7
    assert not (dropped[0] == dropped[1]).all()


def test_blocks_are_stacked_with_changing_widths_and_a_deep_stack_learns():
    inputs = keras.Input((None, 4))
    x = inputs
    for units in (6, 6, 3, 8, 8, 5):
        x = RecurrentBlock(units, cell="gru")(x)
    model = keras.Model(inputs, x)
    assert model.output_shape == (None, None, 5)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(STEPS) ** 2)
    sizes = [float(tf.norm(gradient)) for gradient in tape.gradient(loss, model.trainable_weights)]
    assert min(sizes) > 1e-3 * max(sizes)


def test_it_does_what_stock_layers_do_and_no_more():
    """The operators of a step of training are those of the same stack in layers of Keras."""
    block = RecurrentBlock(4, dropout=0.1)
    block.build((None, None, 4))

    inputs = keras.Input((None, 4))
    x = keras.layers.LSTM(4, return_sequences=True)(keras.layers.LayerNormalization(epsilon=1e-6)(inputs))
    x = keras.layers.Dropout(0.1, noise_shape=(None, 1, None))(x)
    stock = keras.Model(inputs, keras.layers.Add()([inputs, x]))

    def operators(call):
        graph = tf.function(lambda x: call(x, training=True)).get_concrete_function(tf.TensorSpec((2, None, 4))).graph
        return sorted(operation.type for operation in graph.get_operations() if operation.type != "NoOp")

    first, second = operators(block), operators(stock)
    assert len(first) <= len(second)


def test_the_convolution_sees_padding_as_zero():
    block = randomized(ConvolutionalRecurrentBlock(5, 4, 3), STEPS.shape)
    received = block(np.where(MASK[..., None], STEPS, np.nan), mask=MASK).numpy()
    for row, length in enumerate((7, 4, 1)):
        alone = block(STEPS[row : row + 1, :length])
        np.testing.assert_allclose(received[row, :length], alone[0], rtol=1e-5, atol=1e-5)


def test_the_convolution_comes_first():
    block = randomized(ConvolutionalRecurrentBlock(5, 4, 2, causal=True), STEPS.shape)
    kernel, bias = block.convolution.get_weights()
    before = np.concatenate([np.zeros((3, 1, 4)), STEPS[:, :-1]], axis=1)
    found = np.maximum(before @ kernel[0] + STEPS @ kernel[1] + bias, 0)
    np.testing.assert_allclose(block(STEPS), block.recurrent(found.astype("float32")), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, r"units=0\) needs an integer of at least 1"),
        ({"units": 4, "cell": "rnn"}, r"cell='rnn'\) is unknown: choose one of 'lstm', 'gru'"),
        ({"units": 4, "merge": "max"}, r"merge='max'\) is unknown: choose one of 'concat'"),
        ({"units": 4, "projection_dim": 0}, r"projection_dim=0\) needs an integer"),
        ({"units": 4, "dropout": 1}, r"dropout=1\) needs a number of at least 0 and under 1"),
        ({"units": 4, "epsilon": 0}, r"epsilon=0\) needs a number over 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RecurrentBlock(**arguments)


def test_one_feature_is_not_normalised_away():
    with pytest.raises(ValueError, match=r"over the one feature.*put a Dense layer in front, or use epsilon=None"):
        RecurrentBlock(4).build((None, None, 1))
    assert RecurrentBlock(4, epsilon=None)(STEPS[..., :1]).shape == (3, 7, 4)


@pytest.mark.parametrize(("shape", "message"), [((2, 4), r"\(b t d\)"), ((2, 3, None), "size of the last axis")])
def test_shapes_that_do_not_fit_are_refused(shape, message):
    for block in (RecurrentBlock(4), ConvolutionalRecurrentBlock(4, 4)):
        with pytest.raises(ValueError, match=message):
            block.build(shape)


@pytest.mark.parametrize("options", [{"units": 3}, {"return_state": True}, {"dtype": "float16"}, {"name": "other"}])
def test_options_of_its_own_are_refused(options):
    with pytest.raises(ValueError, match=r"which ConvolutionalRecurrentBlock sets itself: leave it out"):
        ConvolutionalRecurrentBlock(4, 4, recurrent_options=options)
    with pytest.raises(ValueError, match=r"recurrent_options='gru'\) needs a dictionary"):
        ConvolutionalRecurrentBlock(4, 4, recurrent_options="gru")
