"""What is frozen stays, what is not trains, and a model is compiled again in between."""

import keras
import numpy as np
import pytest

from keras_nnx import models
from keras_nnx.layers import MultiHeadAttention
from keras_nnx.models._freezing import freeze

INPUTS = np.random.default_rng(0).standard_normal((8, 4)).astype("float32")
TARGETS = np.random.default_rng(1).standard_normal((8, 2)).astype("float32")


def dense(name):
    return keras.layers.Dense(4, name=name)


def nested():
    """A stem, a backbone of four layers in which one is a model again, and a head."""
    inner = keras.Sequential([keras.Input((4,)), dense("deep_1"), dense("deep_2")], name="inner")
    layers = [dense("block_1"), keras.layers.BatchNormalization(name="norm"), inner, dense("block_2")]
    backbone = keras.Sequential([keras.Input((4,)), *layers], name="backbone")
    inputs = keras.Input((4,), name="input")
    outputs = keras.layers.Dense(2, name="head")(keras.layers.ReLU(name="relu")(backbone(dense("stem")(inputs))))
    return keras.Model(inputs, keras.layers.Activation("tanh", name="activation")(outputs), name="outer")


def moved(model):
    """The layers some of whose weights change in a step of training, with any state."""
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(0.5), "mse")
    model.fit(INPUTS, TARGETS, verbose=0)
    changed = zip(model.weights, before, strict=True)
    return sorted({weight.path.split("/")[-2] for weight, old in changed if not np.array_equal(weight.numpy(), old)})


@pytest.mark.parametrize(
    ("until", "frozen", "trained"),
    [
        (None, ["stem", "backbone"], ["head"]),
        ("head", ["stem", "backbone"], ["head"]),
        ("activation", ["stem", "backbone", "head"], None),
        ("backbone", ["stem"], ["block_1", "block_2", "deep_1", "deep_2", "head", "norm"]),
        ("backbone/norm", ["stem", "backbone/block_1"], ["block_2", "deep_1", "deep_2", "head", "norm"]),
        (
            "backbone/inner/deep_2",
            ["stem", "backbone/block_1", "backbone/norm", "backbone/inner/deep_1"],
            ["block_2", "deep_2", "head"],
        ),
        ("stem", [], ["block_1", "block_2", "deep_1", "deep_2", "head", "norm", "stem"]),
    ],
)
def test_what_comes_before_is_frozen(until, frozen, trained):
    model = nested()
    assert freeze(model, until) == frozen
    if trained is None:
        assert model.trainable_weights == []
    else:
        assert moved(model) == trained


def test_a_second_call_lets_layers_train_again():
    model = nested()
    freeze(model)
    assert moved(model) == ["head"]
    freeze(model, "backbone/block_2")
    assert moved(model) == ["block_2", "head"]


def test_a_frozen_normalisation_uses_what_it_has_seen():
    model = nested()
    freeze(model)
    np.testing.assert_array_equal(model(INPUTS, training=True), model(INPUTS, training=False))
    freeze(model, "backbone/norm")
    assert np.abs(model(INPUTS, training=True) - model(INPUTS, training=False)).max() > 1e-3


def test_training_without_compiling_again_is_refused():
    model = nested()
    assert "stem" in moved(model)
    freeze(model)
    with pytest.raises(ValueError, match=r"call `compile\(\)`"):
        model.fit(INPUTS, TARGETS, verbose=0)


def test_what_keras_does_without_the_refusal():
    """If this fails, Keras traces anew by itself, and the refusal may go."""
    model = nested()
    assert "stem" in moved(model)
    freeze(model)
    model.compiled = True
    before = model.get_layer("stem").get_weights()[0]
    model.fit(INPUTS, TARGETS, verbose=0)
    assert np.abs(model.get_layer("stem").get_weights()[0] - before).max() > 0


@pytest.mark.parametrize("until", ["attention", "head"])
def test_low_rank_additions_keep_their_kernels_frozen(until):
    inputs = keras.Input((3, 4))
    attention = MultiHeadAttention(2, name="attention")
    embedding = keras.layers.Embedding(3, 4, name="embedding")
    head = keras.layers.Dense(2, name="head")
    model = keras.Model(inputs, head(attention(inputs) + embedding(keras.ops.zeros((1, 3), "int32"))))
    attention.enable_lora(1)
    embedding.enable_lora(1)
    freeze(model, "head")
    freeze(model, until)
    assert {weight.name for weight in attention.trainable_weights} == (
        {"bias", "lora_kernel_a", "lora_kernel_b"} if until == "attention" else set()
    )
    assert not embedding._embeddings.trainable


def test_an_unknown_name_lists_close_ones():
    with pytest.raises(ValueError, match=r"until='sten'\) names no layer of 'outer'\. Close to it: 'stem'\."):
        freeze(nested(), "sten")
    with pytest.raises(ValueError, match=r"Close to it: 'backbone/block_., 'backbone/block_.'\.".replace(".,", ".',")):
        freeze(nested(), "backbone/block_3")


def test_a_path_into_a_layer_is_refused():
    with pytest.raises(ValueError, match="leads into a layer: 'stem' is a Dense and no model"):
        freeze(nested(), "stem/kernel")


def test_a_model_without_weights_is_refused():
    with pytest.raises(ValueError, match="found no weights: build the model first"):
        freeze(keras.Sequential([dense("first")], name="empty"))


@keras.saving.register_keras_serializable(package="keras_nnx_tests")
class Twins(keras.Model):
    """A model with two layers of one name, which only a subclassed one can have."""

    def __init__(self):
        super().__init__(name="twins")
        self.first, self.second = dense("same"), dense("same")

    def call(self, inputs):
        return self.second(self.first(inputs))


def test_a_name_of_several_layers_is_refused():
    model = Twins()
    model(INPUTS)
    with pytest.raises(ValueError, match=r"until='same'\) names 2 layers of 'twins': rename one"):
        freeze(model, "same")


def test_by_default_every_head_trains_and_nothing_else():
    student = models.DeiT((8, 8, 1), 3, dim=8, depth=1, num_heads=2)
    frozen = freeze(student)
    assert {weight.path.split("/")[0] for weight in student.trainable_weights} == {
        "label_logits",
        "distillation_logits",
    }
    assert frozen == ["patches", "positions", "tokens", "block_1", "normalization"]
    tied = models.TransformerDecoder((4,), 9, dim=8, depth=1, num_heads=2, tie_embeddings=True)
    freeze(tied)
    assert {weight.path.split("/")[0] for weight in tied.trainable_weights} == {"embedding"}


def test_the_head_of_a_model_inside_a_model_trains():
    inner = models.ResNet((8, 8, 1), 2, filters=(4,), blocks=(1,), name="classifier")
    pixels = keras.Input((8, 8, 1))
    outer = keras.Model(pixels, inner(keras.layers.Rescaling(1 / 255)(pixels)))
    assert freeze(outer) == ["classifier/stem", "classifier/stem_normalization", "classifier/stage_1_block_1"]
    assert {weight.path.split("/")[-2] for weight in outer.trainable_weights} == {"logits"}


@pytest.mark.parametrize("again", ["saved", "cloned"])
@pytest.mark.parametrize("build", [models.ResNet, models.ViT, models.Swin])
def test_what_is_frozen_stays_so_in_a_file_and_in_a_copy(build, again, tmp_path):
    model = build((8, 8, 1), 2)
    freeze(model)
    if again == "cloned":
        other = keras.models.clone_model(model)
    else:
        model.save(tmp_path / "model.keras")
        other = keras.saving.load_model(tmp_path / "model.keras")
    names = [weight.path for weight in model.trainable_weights]
    assert names == ["logits/kernel", "logits/bias"]
    assert [weight.path for weight in other.trainable_weights] == names
