"""Recurrent cells with layer normalisation, against numpy."""

import keras
import numpy as np
import pytest

from keras_nnx.layers import LayerNormalizationGRUCell, LayerNormalizationLSTMCell

RANDOM = np.random.default_rng(0)
STEPS = RANDOM.standard_normal((2, 6, 3)).astype("float32")
CELLS = [LayerNormalizationLSTMCell, LayerNormalizationGRUCell]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def normal(x, gain, shift=0.0, epsilon=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) * gain + shift


def filled(cell):
    """A built cell without special weights, and these by the end of their path."""
    cell.build(STEPS[:, 0].shape)
    cell.set_weights([RANDOM.uniform(-1, 1, value.shape) for value in cell.get_weights()])
    return {weight.path.split("/", 1)[1]: weight.numpy() for weight in cell.weights}


def test_the_lstm_equation():
    cell = LayerNormalizationLSTMCell(4)
    w = filled(cell)
    hidden = carry = np.zeros((2, 4))
    for step in range(6):
        sums = normal(STEPS[:, step] @ w["kernel"], w["kernel_norm/gamma"])
        sums = sums + normal(hidden @ w["recurrent_kernel"], w["recurrent_norm/gamma"]) + w["bias"]
        i, f, g, o = np.split(sums, 4, axis=-1)
        carry = sigmoid(f) * carry + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(normal(carry, w["state_norm/gamma"], w["state_norm/beta"]))
    outputs = keras.layers.RNN(cell, return_state=True)(STEPS)
    for received, expected in zip(outputs, (hidden, hidden, carry), strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)


def test_the_gru_equation():
    cell = LayerNormalizationGRUCell(4)
    w = filled(cell)
    hidden = np.zeros((2, 4))
    for step in range(6):
        entering, recalled = STEPS[:, step] @ w["kernel"], hidden @ w["recurrent_kernel"]
        gates = normal(entering[:, :8], w["kernel_gates_norm/gamma"])
        gates = gates + normal(recalled[:, :8], w["recurrent_gates_norm/gamma"]) + w["bias"][:, :8].sum(0)
        z, r = np.split(sigmoid(gates), 2, axis=-1)
        shown = normal(recalled[:, 8:], w["recurrent_candidate_norm/gamma"]) + w["bias"][1, 8:]
        g = np.tanh(normal(entering[:, 8:], w["kernel_candidate_norm/gamma"]) + w["bias"][0, 8:] + r * shown)
        hidden = z * hidden + (1 - z) * g
    np.testing.assert_allclose(keras.layers.RNN(cell)(STEPS), hidden, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", CELLS)
def test_the_size_of_the_inputs_does_not_matter(kind):
    """What normalised sums are for: inputs a hundred times as large give the same."""
    layer = keras.layers.RNN(kind(5))
    np.testing.assert_allclose(layer(300 * STEPS), layer(3 * STEPS), atol=1e-3)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("wrapped", [False, True], ids=["one", "both"])
def test_appended_padding_changes_nothing(kind, wrapped):
    layer = keras.layers.RNN(kind(4), return_sequences=True)
    layer = keras.layers.Bidirectional(layer) if wrapped else layer
    longer = np.concatenate([STEPS, 9 * STEPS[:, :2]], axis=1)
    mask = np.broadcast_to(np.arange(8) < 6, (2, 8))
    np.testing.assert_allclose(layer(longer, mask=mask)[:, :6], layer(STEPS), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", CELLS)
def test_dropout_is_the_same_at_every_step_and_off_in_use(kind):
    layer = keras.layers.RNN(kind(4, dropout=0.5, recurrent_dropout=0.5, seed=3))
    same = layer(STEPS)
    np.testing.assert_array_equal(layer(STEPS), same)
    first, second = layer(STEPS, training=True), layer(STEPS, training=True)
    assert not np.allclose(first, second)
    assert not np.allclose(first, same)


@pytest.mark.parametrize("kind", CELLS)
def test_cells_are_stacked(kind):
    assert keras.layers.RNN([kind(4), kind(3)])(STEPS).shape == (2, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, r"units=0\) needs an integer of at least 1"),
        ({"units": 1}, r"units=1\) would normalise a state of one number.*use at least 2 units"),
        ({"units": 4, "epsilon": 0}, r"epsilon=0\) needs a number over 0"),
    ],
)
@pytest.mark.parametrize("kind", CELLS)
def test_wrong_arguments_are_refused(kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        kind(**arguments)


def test_the_place_of_the_reset_is_no_option():
    with pytest.raises(ValueError, match=r"reset_after=False\) is not an option.*Leave it out"):
        LayerNormalizationGRUCell(4, reset_after=False)
