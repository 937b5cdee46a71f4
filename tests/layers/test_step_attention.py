"""Sequences gathered by additive and multiplicative attention, against numpy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_nnx.layers import AdditiveAttentionPooling, MultiplicativeAttentionPooling

RANDOM = np.random.default_rng(0)
STEPS = RANDOM.standard_normal((3, 5, 4)).astype("float32")
QUERY = RANDOM.standard_normal((3, 6)).astype("float32")
MASK = np.arange(5)[None] < np.array([[5], [2], [0]])
BOTH = [lambda: AdditiveAttentionPooling(7), MultiplicativeAttentionPooling]


def filled(layer, *shapes):
    """A built layer without special weights, and these by name."""
    layer.build(*shapes)
    layer.set_weights([RANDOM.uniform(-1, 1, value.shape) for value in layer.get_weights()])
    return layer, {weight.name: weight.numpy() for weight in layer.weights}


def average(scores, mask=None):
    """The steps by the softmax of their scores, step by step."""
    powers = np.exp(scores - scores.max(1, keepdims=True)) * (1 if mask is None else mask)
    return np.einsum("bt,btd->bd", powers / np.maximum(powers.sum(1, keepdims=True), 1e-30), STEPS)


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
@pytest.mark.parametrize("query", [None, QUERY], ids=["learned", "given"])
def test_the_additive_equation(query, mask):
    layer, weights = filled(AdditiveAttentionPooling(7), STEPS.shape, None if query is None else query.shape)
    wanted = weights["query"] if query is None else (query @ weights["query_kernel"] + weights["bias"])[:, None]
    scores = (np.tanh(STEPS @ weights["kernel"] + wanted) @ weights["score"])[..., 0]
    np.testing.assert_allclose(layer(STEPS, query, mask=mask), average(scores, mask), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
@pytest.mark.parametrize(("kind", "query"), [("general", None), ("general", QUERY), ("dot", QUERY[:, :4])])
def test_the_multiplicative_equation(kind, query, mask):
    layer, weights = filled(MultiplicativeAttentionPooling(kind), STEPS.shape, None if query is None else query.shape)
    wanted = np.tile(weights["query"], (3, 1)) if query is None else query @ weights.get("kernel", np.eye(4))
    scores = np.einsum("bd,btd->bt", wanted, STEPS)
    np.testing.assert_allclose(layer(STEPS, query, mask=mask), average(scores, mask), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_what_padding_holds_reaches_neither_answer_nor_gradient(make, bad):
    layer, _ = filled(make(), STEPS.shape)
    steps = tf.Variable(np.where(MASK[..., None], STEPS, bad))
    with tf.GradientTape() as tape:
        answer = layer(steps, mask=MASK)
        loss = tf.reduce_sum(answer**2)
    gradients = tape.gradient(loss, [steps, *(weight.value for weight in layer.trainable_weights)])
    np.testing.assert_array_equal(answer, layer(STEPS * MASK[..., None], mask=MASK))
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert (answer[2].numpy() == 0).all()


@pytest.mark.parametrize("make", BOTH)
def test_appended_padding_changes_nothing(make):
    layer, _ = filled(make(), (None, None, 4))
    longer = np.concatenate([STEPS, 9 * STEPS[:, :3]], axis=1)
    mask = np.broadcast_to(np.arange(8) < 5, (3, 8))
    np.testing.assert_allclose(layer(longer, mask=mask), layer(STEPS), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("size", [1.0, 200.0])
def test_float16_stays_near_and_finite(make, size):
    layer, _ = filled(make(), STEPS.shape)
    half = type(layer).from_config({**layer.get_config(), "dtype": "mixed_float16"})
    half.build(STEPS.shape)
    half.set_weights(layer.get_weights())
    expected = layer(size * STEPS, mask=MASK)
    np.testing.assert_allclose(half(size * STEPS, mask=MASK), expected, atol=0.02 * size)


@pytest.mark.parametrize("make", BOTH)
def test_one_step_is_the_answer(make):
    np.testing.assert_allclose(make()(STEPS[:, :1]), STEPS[:, 0], rtol=1e-6)


@pytest.mark.parametrize("make", BOTH)
def test_a_model_with_a_query_is_saved(make, tmp_path):
    steps, query = keras.Input((None, 4)), keras.Input((6,))
    model = keras.Model([steps, query], make()(keras.layers.Masking()(steps), query))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    inputs = [STEPS * MASK[..., None], QUERY]
    np.testing.assert_array_equal(loaded(inputs), model(inputs))


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize(
    ("built", "called", "message"),
    [
        (None, QUERY, r"built with a query of its own, but received one of shape \(3, 6\): pass a query at the first"),
        (QUERY, None, r"built for a query of size 6, but received none: pass one at every call"),
        (QUERY, QUERY[:, :2], r"for a query of shape \(b, 6\), but received one of shape \(3, 2\): pass one of"),
    ],
)
def test_another_query_than_it_was_built_for_is_refused(make, built, called, message):
    layer = make()
    layer(STEPS, built)
    with pytest.raises(ValueError, match=message):
        layer(STEPS, called)


@pytest.mark.parametrize(
    ("layer", "shapes", "message"),
    [
        (
            MultiplicativeAttentionPooling("dot"),
            [(2, 5, 4), (2, 6)],
            "cannot multiply a query of size 6 by steps of size 4",
        ),
        (MultiplicativeAttentionPooling(), [(2, 5, 4), (2, 5, 6)], r"query of shape \(b e\).*received \(2, 5, 6\)"),
        (AdditiveAttentionPooling(3), [(2, 5, 4), (2, None)], r"query of shape \(b e\).*received \(2, None\)"),
        (AdditiveAttentionPooling(3), [(2, 4)], r"shape \(b t d\), but received \(2, 4\)"),
        (MultiplicativeAttentionPooling(), [(2, 5, None)], "size of the last axis"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(layer, shapes, message):
    with pytest.raises(ValueError, match=message):
        layer.build(*shapes)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"units=0\) needs an integer of at least 1"):
        AdditiveAttentionPooling(0)
    with pytest.raises(ValueError, match=r"kind='concat'\) is unknown: choose one of 'general', 'dot'"):
        MultiplicativeAttentionPooling("concat")
