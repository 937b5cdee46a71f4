"""Low-rank additions to the projections of attention, as Keras adds them to its own layers."""

import keras
import numpy as np
import pytest

from keras_nnx.blocks import TransformerEncoderBlock
from keras_nnx.layers import MultiHeadAttention

PROJECTIONS = ("query", "key", "value", "output")
TOKENS = np.random.default_rng(0).standard_normal((2, 5, 8)).astype("float32")


def attention(**arguments):
    layer = MultiHeadAttention(2, num_key_value_heads=1, name="attention", **arguments)
    layer.build((None, 5, 8))
    return layer


def network(rank=2):
    """A model of a block with additions, trained a little, so that they are not zero."""
    inputs = keras.Input((5, 8))
    block = TransformerEncoderBlock(2, 8, name="block")
    model = keras.Model(inputs, keras.layers.Dense(3, name="head")(block(inputs)))
    block.attention.enable_lora(rank)
    model.compile(keras.optimizers.SGD(0.5), "mse")
    return model


def fit(model):
    targets = np.random.default_rng(1).standard_normal((2, 5, 3)).astype("float32")
    model.fit(TOKENS, targets, epochs=3, verbose=0)


def additions(layer):
    """The product of each projection's low-rank weights."""
    dense = (layer.query, layer.key, layer.value, layer.output_projection)
    return [each.lora_kernel_a.numpy() @ each.lora_kernel_b.numpy() for each in dense]


def test_of_the_kernels_only_the_additions_train():
    layer = attention(query_key_norm=True)
    layer.enable_lora(2)
    trained = {weight.path.removeprefix("attention/") for weight in layer.trainable_weights}
    parts = ("bias", "lora_kernel_a", "lora_kernel_b")
    assert trained == {f"{name}/{part}" for name in PROJECTIONS for part in parts} | {
        "query_norm/scale",
        "key_norm/scale",
    }
    assert {weight.path for weight in layer.non_trainable_weights} == {f"attention/{n}/kernel" for n in PROJECTIONS}
    assert [product.shape for product in additions(layer)] == [(8, 8), (8, 4), (8, 4), (8, 8)]
    assert layer.query.lora_kernel_a.shape == (8, 2)


def test_the_answer_is_the_same_at_first():
    layer = attention()
    before = np.asarray(layer(TOKENS))
    layer.enable_lora(2)
    np.testing.assert_array_equal(layer(TOKENS), before)


def test_training_moves_the_answer_and_no_kernel():
    model = network()
    layer = model.get_layer("block").attention
    before, kernels = np.asarray(model(TOKENS)), [weight.numpy() for weight in layer.non_trainable_weights]
    fit(model)
    assert np.abs(np.asarray(model(TOKENS)) - before).max() > 1e-2
    assert all(np.abs(product).max() > 0 for product in additions(layer))
    for weight, kernel in zip(layer.non_trainable_weights, kernels, strict=True):
        np.testing.assert_array_equal(weight.numpy(), kernel)


def test_alpha_scales_the_additions():
    plain, scaled = attention(), attention()
    scaled.set_weights(plain.get_weights())
    plain.enable_lora(2)
    scaled.enable_lora(2, lora_alpha=6)
    products = np.random.default_rng(2)
    for first, second in ((plain.value, scaled.value), (plain.output_projection, scaled.output_projection)):
        first.lora_kernel_b.assign(products.standard_normal(first.lora_kernel_b.shape))
        second.lora_kernel_a.assign(first.lora_kernel_a)
        second.lora_kernel_b.assign(first.lora_kernel_b.numpy() / 3)
    np.testing.assert_allclose(scaled(TOKENS), plain(TOKENS), rtol=1e-5, atol=1e-5)


def test_a_saved_model_goes_on_from_the_sums(tmp_path):
    model = network()
    fit(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(TOKENS), model(TOKENS), rtol=1e-5, atol=1e-5)
    layer = loaded.get_layer("block").attention
    assert (layer.query.lora_enabled, layer.lora_rank) == (True, 2)
    assert [weight.path for weight in loaded.trainable_weights] == [weight.path for weight in model.trainable_weights]
    assert not any(product.any() for product in additions(layer))
    kernels = [weight.numpy() for weight in layer.non_trainable_weights]
    fit(loaded)
    assert all(np.abs(product).max() > 0 for product in additions(layer))
    for weight, kernel in zip(layer.non_trainable_weights, kernels, strict=True):
        np.testing.assert_array_equal(weight.numpy(), kernel)


def test_a_rank_may_be_an_argument():
    layer = attention(lora_rank=2, lora_alpha=4)
    assert (layer.query.lora_rank, layer.query.lora_alpha) == (2, 4)
    with pytest.raises(ValueError, match="enable_lora was called before"):
        layer.enable_lora(2)


def test_export(export):
    model = network()
    fit(model)
    report = export(model, formats=("onnx", "tflite"))
    assert report.proven
    assert sorted(report.artifacts) == ["onnx", "tflite"]
    assert all(artifact.parity.batches >= 4 for artifact in report.artifacts.values())


def test_before_build_it_is_refused():
    with pytest.raises(ValueError, match="enable_lora found no projections to add to: build the layer first"):
        MultiHeadAttention(2).enable_lora(2)


@pytest.mark.parametrize("rank", [0, 1.5])
def test_a_rank_out_of_range_is_refused(rank):
    with pytest.raises(ValueError, match=rf"enable_lora\(rank={rank}\) needs an integer of at least 1"):
        attention().enable_lora(rank)


def test_a_second_time_is_refused():
    layer = attention()
    layer.enable_lora(2)
    with pytest.raises(ValueError, match="enable_lora was called before"):
        layer.enable_lora(2)
