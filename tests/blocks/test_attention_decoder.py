"""A recurrent decoder with attention, against numpy and against itself step by step."""

import keras
import numpy as np
import pytest

from keras_nnx.blocks import AttentionDecoderBlock

RANDOM = np.random.default_rng(0)
TARGET, MEMORY = (RANDOM.standard_normal(shape).astype("float32") for shape in ((2, 5, 4), (2, 6, 3)))
HIDDEN, CARRY = (RANDOM.standard_normal((2, size)).astype("float32") for size in (7, 4))
MASK = np.arange(6)[None] < np.array([[6], [2]])
STARTS = [("lstm", ()), ("lstm", (HIDDEN, CARRY)), ("gru", ()), ("gru", (HIDDEN,))]


def made(cell, *states, **arguments):
    block = AttentionDecoderBlock(4, cell, **arguments)
    block.build(TARGET.shape, MEMORY.shape, *(state.shape for state in states))
    block.set_weights([RANDOM.uniform(-1, 1, value.shape) for value in block.get_weights()])
    return block


@pytest.mark.parametrize(("cell", "states"), STARTS)
def test_the_equation(cell, states):
    block = made(cell, *states, residual=False, epsilon=None)
    start = block.initial_states(*states) if states else None
    hidden = block.recurrence(TARGET, initial_state=start).numpy()
    scores = np.einsum("btd,bsd->bts", hidden @ block.attention.kernel.numpy(), MEMORY)
    powers = np.exp(scores) * MASK[:, None]
    context = powers / powers.sum(-1, keepdims=True) @ MEMORY
    kernel, bias = block.combination.get_weights()
    expected = np.tanh(np.concatenate([context, hidden], axis=-1) @ kernel + bias)
    np.testing.assert_allclose(block(TARGET, MEMORY, *states, memory_mask=MASK), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("cell", "states"), STARTS)
@pytest.mark.parametrize("arguments", [{}, {"residual": False, "epsilon": None}], ids=str)
def test_step_by_step_it_is_the_same(cell, states, arguments):
    block = made(cell, *states, **arguments)
    whole = block(TARGET, MEMORY, *states, memory_mask=MASK).numpy()
    state = block.initial_states(*states) if states else block.recurrence.get_initial_state(2)
    for index in range(5):
        answer, state = block.step(TARGET[:, index], state, MEMORY, MASK)
        np.testing.assert_allclose(answer, whole[:, index], rtol=1e-5, atol=1e-5)


def test_padding_of_the_memory_is_not_read_whatever_it_holds():
    block = made("gru", HIDDEN)
    received = block(TARGET, np.where(MASK[..., None], MEMORY, np.nan), HIDDEN, memory_mask=MASK)
    np.testing.assert_allclose(received, block(TARGET, MEMORY, HIDDEN, memory_mask=MASK), rtol=1e-6)
    alone = block(TARGET[1:], MEMORY[1:, :2], HIDDEN[1:])
    np.testing.assert_allclose(received[1:], alone, rtol=1e-5, atol=1e-5)


def test_a_memory_of_nothing_but_padding_is_zero():
    block = made("gru")
    received = block(TARGET, MEMORY, memory_mask=np.zeros((2, 6), bool))
    np.testing.assert_allclose(received, block(TARGET, 0 * MEMORY), rtol=1e-5)


def test_padding_of_the_target_is_a_step_like_others_and_its_mask_goes_on():
    block = made("lstm")
    target = keras.layers.Masking()(TARGET * (np.arange(5) < 3)[None, :, None])
    received = block(target, MEMORY)
    np.testing.assert_array_equal(received._keras_mask, target._keras_mask)
    np.testing.assert_array_equal(received, block(np.asarray(target), MEMORY))


def test_no_step_sees_a_later_one():
    block = made("lstm")
    changed = TARGET.copy()
    changed[:, 3, 0] += 1
    moved = np.abs(block(changed, MEMORY) - block(TARGET, MEMORY)).max((0, 2)) > 1e-6
    assert moved.tolist() == [False] * 3 + [True] * 2


def test_states_of_another_size_are_projected_and_others_taken_as_they_are():
    block = made("lstm", HIDDEN, CARRY)
    hidden, carry = block.initial_states(HIDDEN, CARRY)
    kernel, bias = block.hidden_bridge.get_weights()
    np.testing.assert_allclose(hidden, HIDDEN @ kernel + bias, rtol=1e-5, atol=1e-6)
    assert carry is CARRY
    assert block.carry_bridge is None


@pytest.mark.parametrize(
    ("cell", "states", "message"),
    [
        ("lstm", {"hidden": CARRY}, "starts from hidden and carry: pass these, or none for zeros"),
        ("lstm", {"carry": CARRY}, "starts from hidden and carry"),
        ("gru", {"hidden": CARRY, "carry": CARRY}, "starts from hidden alone"),
    ],
)
def test_other_states_than_those_of_the_cell_are_refused(cell, states, message):
    with pytest.raises(ValueError, match=message):
        AttentionDecoderBlock(4, cell)(TARGET, MEMORY, **states)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, r"units=0\)"),
        ({"units": 4, "cell": "rnn"}, r"cell='rnn'\) is unknown"),
        ({"units": 4, "dropout": -1}, r"dropout=-1\)"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        AttentionDecoderBlock(**arguments)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 4), (2, 6, 3)), r"\(b t d\), but received \(2, 4\)"),
        (((2, 5, 4), (2, 3)), r"\(b t d\), but received \(2, 3\)"),
        (((2, 5, 1), (2, 6, 3)), "over the one feature"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes, message):
    with pytest.raises(ValueError, match=message):
        AttentionDecoderBlock(4).build(*shapes)
