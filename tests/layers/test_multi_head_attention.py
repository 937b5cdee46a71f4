"""Attention against Keras's own, and against what it must not see."""

import keras
import numpy as np
import pytest

from keras_nnx.layers import MultiHeadAttention, RotaryEmbedding

RANDOM = np.random.default_rng(0)
TOKENS = RANDOM.standard_normal((2, 7, 12)).astype("float32")
CONTEXT = RANDOM.standard_normal((2, 5, 8)).astype("float32")
MASK = np.arange(7)[None] < np.array([[7], [4]])


def built(*shapes, **arguments):
    layer = MultiHeadAttention(**arguments)
    layer.build(*(shapes or (TOKENS.shape,)))
    random = np.random.default_rng(1)
    for weight in layer.trainable_weights:
        weight.assign(random.normal(size=weight.shape) * 0.3)
    return layer


def reference(layer, tokens, context, visible):
    """The equation, head by head, in float64."""
    weights = {weight.path.split("/", 1)[1]: weight.numpy().astype("float64") for weight in layer.weights}

    def project(name, x):
        return x @ weights[f"{name}/kernel"] + weights.get(f"{name}/bias", 0)

    size = layer.query.units // layer.num_heads
    groups = layer.key.units // size
    query, key, value = project("query", tokens), project("key", context), project("value", context)
    gathered, scores = [], []
    for head in range(layer.num_heads):
        own = slice(head * size, (head + 1) * size)
        shared = slice((head * groups // layer.num_heads) * size, (head * groups // layer.num_heads + 1) * size)
        products = query[..., own] @ key[..., shared].transpose(0, 2, 1) / np.sqrt(size)
        products = np.where(visible, products, -np.inf)
        softmax = np.exp(products - products.max(-1, keepdims=True))
        softmax /= softmax.sum(-1, keepdims=True)
        scores.append(softmax)
        gathered.append(softmax @ value[..., shared])
    return project("output", np.concatenate(gathered, -1)), np.stack(scores, 1)


@pytest.mark.parametrize("groups", [None, 1, 2, 4])
@pytest.mark.parametrize("options", [{}, {"head_dim": 5}, {"use_bias": False}])
def test_the_equation(groups, options):
    layer = built(num_heads=4, num_key_value_heads=groups, **options)
    outputs, scores = layer(TOKENS, return_scores=True)
    expected, expected_scores = reference(layer, TOKENS, TOKENS, True)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-5, atol=1e-6)


def test_keras_computes_the_same():
    layer = built(num_heads=3)
    stock = keras.layers.MultiHeadAttention(3, 4)
    stock.build(TOKENS.shape, TOKENS.shape)
    values = layer.get_weights()
    shapes = [weight.shape for weight in stock.weights]
    stock.set_weights([value.reshape(shape) for value, shape in zip(values, shapes, strict=True)])
    mask = keras.ops.convert_to_tensor(MASK)
    expected = stock(TOKENS, TOKENS, query_mask=mask, value_mask=mask, use_causal_mask=True)
    causal = built(num_heads=3, causal=True)
    causal.set_weights(values)
    received = causal(TOKENS, mask=mask)
    np.testing.assert_allclose(received[MASK], expected.numpy()[MASK], rtol=1e-5, atol=1e-5)


def test_a_context_is_what_is_gathered_from():
    layer = built(TOKENS.shape, CONTEXT.shape, num_heads=2, head_dim=4, num_key_value_heads=1)
    mask = np.arange(5)[None] < np.array([[2], [5]])
    outputs = layer(TOKENS, CONTEXT, context_mask=keras.ops.convert_to_tensor(mask))
    expected, _ = reference(layer, TOKENS, CONTEXT, mask[:, None])
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("causal", "window"), [(True, None), (True, 3), (False, 3), (False, 1), (True, 50)])
def test_windows(causal, window):
    layer = built(num_heads=2, causal=causal, window=window)
    distance = np.arange(7)[:, None] - np.arange(7)
    visible = (distance >= 0) if causal else np.ones((7, 7), bool)
    if window is not None:
        visible &= np.abs(distance) < window
    expected, _ = reference(layer, TOKENS, TOKENS, visible)
    np.testing.assert_allclose(layer(TOKENS), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"rotary": {}}, {"window": 3}, {"num_key_value_heads": 1}])
def test_the_future_changes_nothing(options):
    layer = built(num_heads=2, causal=True, query_key_norm=True, **options)
    other = TOKENS.copy()
    other[:, 4:] = 50
    np.testing.assert_allclose(layer(other)[:, :4], layer(TOKENS)[:, :4], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 7, 7), (2, 1, 7, 7), (1, 2, 7, 7)])
def test_an_attention_mask_hides_in_addition(shape):
    layer = built(num_heads=2)
    visible = RANDOM.random(shape) < 0.6
    visible[..., 0] = True
    whole = np.broadcast_to(visible if len(shape) == 4 else visible[:, None], (2, 2, 7, 7)) & MASK[:, None, None]
    _, scores = layer(TOKENS, mask=keras.ops.convert_to_tensor(MASK), attention_mask=visible, return_scores=True)
    assert (np.asarray(scores)[~whole] == 0).all()
    np.testing.assert_allclose(np.asarray(scores).sum(-1), 1, rtol=1e-5)


def test_queries_and_keys_are_turned_and_normalised():
    layer = built(num_heads=2, rotary={"base": 50.0}, query_key_norm=True)
    query, key = (project(TOKENS).numpy().reshape(2, 7, 2, 6) for project in (layer.query, layer.key))
    scale = [norm.get_weights()[0] for norm in (layer.query_norm, layer.key_norm)]
    query, key = (
        RotaryEmbedding(50.0)(x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * gain).numpy()
        for x, gain in zip((query, key), scale, strict=True)
    )
    products = np.einsum("btnd,bsnd->bnts", query, key) / np.sqrt(6)
    expected = np.exp(products) / np.exp(products).sum(-1, keepdims=True)
    np.testing.assert_allclose(layer(TOKENS, return_scores=True)[1], expected, rtol=1e-4, atol=1e-5)


def test_weights_are_dropped_in_training_alone():
    layers = [built(num_heads=2, dropout=0.5, seed=seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(layers[0](TOKENS), layers[0](TOKENS, training=False))
    first, second, third = (layer(TOKENS, training=True).numpy() for layer in layers)
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - third).max() > 1e-3


def test_a_token_that_may_see_nothing_has_a_finite_answer():
    layer = built(num_heads=2)
    assert np.isfinite(layer(TOKENS, mask=keras.ops.zeros((2, 7), "bool"))).all()


def test_lora_trains_a_fraction_of_the_weights():
    layer = built(num_heads=2)
    before = layer(TOKENS)
    for dense in (layer.query, layer.value):
        dense.enable_lora(2)
    np.testing.assert_allclose(layer(TOKENS), before, rtol=1e-6, atol=1e-6)
    assert {weight.path.split("/")[-1] for weight in layer.query.trainable_weights} == {
        "bias",
        "lora_kernel_a",
        "lora_kernel_b",
    }


@pytest.mark.parametrize(
    ("arguments", "shapes", "message"),
    [
        ({"num_heads": 0}, (), "num_heads=0"),
        ({"num_heads": 5}, (TOKENS.shape,), "divides 12"),
        ({"num_heads": 4, "num_key_value_heads": 3}, (), "divides 4"),
        ({"num_heads": 2, "window": 0}, (), "window=0"),
        ({"num_heads": 2, "rotary": {"bases": 2}}, (), "bases"),
        ({"num_heads": 2, "rotary": True}, (), r"rotary=True\) takes the options of a rotation, {} for its defaults"),
        ({"num_heads": 4, "rotary": {}}, (TOKENS.shape,), "even"),
        ({"num_heads": 2}, ((2, 12),), "b t d"),
        ({"num_heads": 2}, (TOKENS.shape, (2, 5, None)), "last axis"),
        ({"num_heads": 2, "dropout": 1.0}, (), "dropout=1.0"),
    ],
)
def test_what_does_not_fit_is_an_error(arguments, shapes, message):
    with pytest.raises(ValueError, match=message):
        MultiHeadAttention(**arguments).build(*shapes)


@pytest.mark.parametrize("options", [{"causal": True}, {"window": 2}, {"rotary": {}}])
def test_positions_do_not_carry_over_to_a_context(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        MultiHeadAttention(2, **options)(TOKENS, CONTEXT)


@pytest.mark.parametrize("shape", [(5, 5), (1, 1, 2, 5, 5)])
def test_an_attention_mask_of_another_rank_is_an_error(shape):
    with pytest.raises(ValueError, match="An attention_mask has the shape"):
        MultiHeadAttention(2)(np.ones((1, 5, 8), "float32"), attention_mask=np.ones(shape, bool))
