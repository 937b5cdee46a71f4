"""What does not fit is said before the first step."""

import keras
import numpy as np
import pytest

from keras_nnx import losses
from keras_nnx.training import GAN, R1, GradientPenalty
from tests.training.conftest import SHAPE, build_gan, build_networks


def dense(inputs, outputs, ending=None):
    shapes = [keras.Input(shape) for shape in inputs]
    flat = [keras.layers.Flatten()(entry) for entry in shapes]
    joined = keras.layers.Concatenate()(flat) if len(flat) > 1 else flat[0]
    made = keras.layers.Dense(int(np.prod(outputs)), ending)(joined)
    return keras.Model(shapes if len(shapes) > 1 else shapes[0], keras.layers.Reshape(outputs)(made))


GENERATOR, DISCRIMINATOR = dense([(3,)], SHAPE, "tanh"), dense([SHAPE], (1,))


@pytest.mark.parametrize(
    ("networks", "options", "said"),
    [
        (
            (GENERATOR, DISCRIMINATOR),
            {"latent_dim": 5},
            r"latent_dim=5\) does not fit its generator, which takes latents of 3",
        ),
        ((GENERATOR, dense([(4, 4, 1)], (1,))), {}, r"images \(2, 2, 1\) and a discriminator for \(4, 4, 1\)"),
        ((GENERATOR, dense([SHAPE], (2,))), {}, r"gives 2: end it with a Dense\(1\)"),
        ((GENERATOR, dense([SHAPE], (1,), "sigmoid")), {}, "ends in a sigmoid: take the activation off"),
        (
            (GENERATOR, DISCRIMINATOR),
            {"num_classes": 3},
            r"calls its generator with \[latents, labels\].*leave num_classes out",
        ),
        ((dense([(3,), (1,)], SHAPE), DISCRIMINATOR), {}, r"takes 2 inputs.*give the GAN num_classes="),
        ((GENERATOR, "discriminator"), {}, "needs a keras.Model"),
        ((GENERATOR, DISCRIMINATOR), {"ema_decay": 1}, r"GAN\(ema_decay=1\)"),
        ((GENERATOR, DISCRIMINATOR), {"num_classes": -1}, r"GAN\(num_classes=-1\)"),
    ],
)
def test_networks_that_do_not_fit(networks, options, said):
    with pytest.raises(ValueError, match=said):
        GAN(*networks, **options)


class Sigmoid(keras.Model):
    """A model whose last layer nothing shows but the graph."""

    def __init__(self):
        super().__init__()
        self.last = keras.layers.Dense(1, "sigmoid")
        self.first = keras.layers.Flatten()

    def call(self, inputs):
        return self.last(self.first(inputs))


class Unbuildable(keras.Model):
    def call(self, inputs):
        raise TypeError("no such thing")


def test_models_of_their_own_are_built_and_looked_at():
    with pytest.raises(ValueError, match="ends in a sigmoid"):
        GAN(GENERATOR, Sigmoid())
    with pytest.raises(ValueError, match="give it latent_dim="):
        GAN(Unbuildable(), DISCRIMINATOR)
    with pytest.raises(ValueError, match=r"cannot build its generator by calling it with latents of shape \(None, 3\)"):
        GAN(Unbuildable(), DISCRIMINATOR, latent_dim=3)
    unbuilt = keras.Sequential([keras.layers.Dense(4, "tanh"), keras.layers.Reshape(SHAPE)])
    assert GAN(unbuilt, DISCRIMINATOR, latent_dim=3).generate(2).shape == (2, *SHAPE)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"loss": "hinge"}, "needs one of this package's losses"),
        ({"critic_steps": 0}, r"critic_steps=0\) needs an integer of at least 1"),
        ({"regularizers": ["R1"]}, "needs R1, R2, GradientPenalty"),
        ({"regularizers": [R1(), R1(2.0)]}, "two regularizers of one name"),
    ],
)
def test_compile(options, said):
    with pytest.raises(ValueError, match=said):
        build_gan().compile(**options)


def test_data(images, labels):
    import tensorflow as tf

    gan, conditional = build_gan(), build_gan(3)
    with pytest.raises(ValueError, match="call compile"):
        gan.fit(images)
    for entry in (gan, conditional):
        entry.compile(jit_compile=False, regularizers=GradientPenalty())
    with pytest.raises(ValueError, match=r"received images without labels: pass both, fit\(images, labels\)"):
        conditional.fit(images)
    with pytest.raises(ValueError, match="received images without labels"):
        conditional.fit(tf.data.Dataset.from_tensor_slices(images).batch(4), shuffle=False)
    with pytest.raises(ValueError, match="not conditional, and received labels"):
        gan.fit(images, labels)
    with pytest.raises(ValueError, match=r"images from 0 to 255, but its generator ends in a tanh.*images / 127.5 - 1"):
        gan.fit(np.array([0.0, 255.0]).reshape(2, 1, 1, 1) * np.ones((2, *SHAPE)))
    with pytest.raises(ValueError, match=r"labels from 0 to 7: they have to be integers from 0 to 2"):
        conditional.fit(images, labels + 5 * (labels == 2))
    with pytest.raises(ValueError, match=r"images of shape \(3, 2, 1\), but its generator makes \(2, 2, 1\)"):
        gan.fit(np.zeros((4, 3, 2, 1), "float32"))
    with pytest.raises(ValueError, match="one-hot labels into integers by argmax"):
        conditional.fit(tf.data.Dataset.from_tensors((images, np.eye(3)[labels])), shuffle=False)
    with pytest.raises(ValueError, match="no sample weights"):
        conditional.fit(tf.data.Dataset.from_tensors((images, labels, labels)), shuffle=False)


@pytest.mark.parametrize(
    ("classes", "options", "said"),
    [
        (3, {}, "needs labels=, one for all images or one for each, from 0 to 2"),
        (3, {"labels": 3}, "labels from 3 to 3: they go from 0 to 2"),
        (3, {"labels": [0, 1]}, r"generate\(n=4\) needs one integer label, or 4"),
        (3, {"labels": 0.5}, "float64"),
        (None, {"labels": 0}, "this one has no num_classes"),
        (None, {"truncation": 0}, r"truncation=0\)"),
    ],
)
def test_generate(classes, options, said):
    with pytest.raises(ValueError, match=said):
        build_gan(classes).generate(4, **options)


def test_an_augmentation_leaves_the_shape():
    with pytest.raises(ValueError, match=r"leaves images of shape \(2, 2, 1\)"):
        GAN(GENERATOR, DISCRIMINATOR, augmentation=keras.layers.ZeroPadding2D(1))


def test_another_backend_is_said(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="GAN needs the TensorFlow backend, not jax"):
        GAN(GENERATOR, DISCRIMINATOR)


def test_losses_are_of_two_networks():
    gan = build_gan()
    gan.compile(loss=losses.LeastSquaresGANLoss())
    assert build_networks()[0].name == "generator"
    assert isinstance(gan.loss_between, losses.LeastSquaresGANLoss)
