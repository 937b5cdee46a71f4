"""What does not fit is said before the first step."""

import keras
import numpy as np
import pytest

from keras_nnx import losses
from keras_nnx.callbacks import GradientMonitor, LearningRateFinder
from keras_nnx.metrics import FrechetDistance
from keras_nnx.training import GAN, R1, GANMonitor, GenerationMetrics, GradientPenalty
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


class Hidden(keras.Model):
    """A model whose sigmoid is in a function of its own."""

    def __init__(self):
        import tensorflow as tf

        super().__init__()
        self.dense, self.flat = keras.layers.Dense(1), keras.layers.Flatten()
        self.end = tf.function(tf.sigmoid)

    def call(self, inputs):
        return self.end(self.dense(self.flat(inputs)))


class Unbuildable(keras.Model):
    def call(self, inputs):
        raise TypeError("no such thing")


def test_models_of_their_own_are_built_and_looked_at():
    for kind in (Sigmoid, Hidden):
        with pytest.raises(ValueError, match="ends in a sigmoid"):
            GAN(GENERATOR, kind())
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
        ({"regularizers": R1(name="generator_loss")}, "a regularizer called 'generator_loss'"),
    ],
)
def test_compile(options, said):
    with pytest.raises(ValueError, match=said):
        build_gan().compile(**options)


def test_each_network_has_its_own_optimizer():
    one = keras.optimizers.Adam()
    with pytest.raises(ValueError, match="one optimizer for both networks"):
        build_gan().compile(one, one)


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
    with pytest.raises(ValueError, match=r"needs batches of images, or of \(images, labels\)"):
        gan.fit(tf.data.Dataset.from_tensors({"image": images}), shuffle=False)
    with pytest.raises(ValueError, match="no sample weights"):
        conditional.fit(tf.data.Dataset.from_tensors((images, labels, labels)), shuffle=False)


def sources(images, labels=None):
    """Return data of each kind that `fit` takes."""
    import tensorflow as tf

    from keras_nnx.training import ShuffledBatches

    pair = (images,) if labels is None else (images, labels)
    yield {"x": images, "y": labels}
    yield {"x": tf.data.Dataset.from_tensor_slices(pair).batch(4), "shuffle": False}
    yield {"x": ShuffledBatches(images, labels, batch_size=4), "shuffle": False}
    yield {
        "x": (keras.tree.map_structure(lambda part: part[:4], pair) for _ in range(2)),
        "steps_per_epoch": 2,
        "shuffle": False,
    }


@pytest.mark.parametrize("kind", range(4), ids=["arrays", "data set", "batches", "generator"])
def test_values_that_do_not_fit(kind, images, labels):
    """In whatever they come: nothing was trained on them."""
    gan, conditional = build_gan(), build_gan(3)
    for entry in (gan, conditional):
        entry.compile(jit_compile=False)
        before = entry.get_weights()
        for wrong, said in ((images * 9, "images from -.* its generator ends in a tanh"), (images * np.nan, "nan")):
            with pytest.raises(ValueError, match=said):
                entry.fit(**list(sources(wrong, None if entry is gan else labels))[kind], verbose=0)
        for wrong in () if entry is gan else (labels + 2, labels - 1, labels + 0.5, labels * np.nan):
            with pytest.raises(ValueError, match="have to be integers from 0 to 2"):
                entry.fit(**list(sources(images, wrong))[kind], verbose=0)
        for old, new in zip(before, entry.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
        fitting = list(sources(images, None if entry is gan else labels))[kind]
        assert np.isfinite(entry.fit(**fitting, verbose=0).history["generator_loss"]).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"validation_data": (np.zeros((8, *SHAPE)),)}, "without labels"),
        ({"validation_data": (np.zeros((8, 5, 5, 1)), np.zeros(8))}, r"shape \(5, 5, 1\)"),
        ({"callbacks": lambda x, y: GenerationMetrics({"f": FrechetDistance()}, x, y[:5])}, "24 images and 5 labels"),
        ({"callbacks": lambda x, y: GenerationMetrics({"f": FrechetDistance()}, x[:, :1], y)}, r"shape \(1, 2, 1\)"),
        ({"callbacks": lambda x, y: GANMonitor(x, y + 9)}, r"GANMonitor\(num_classes=3\) received labels from 9 to 11"),
        ({"callbacks": lambda x, y: GANMonitor(x * 127, y)}, "GANMonitor received images from -12"),
        ({"callbacks": lambda x, y: GradientMonitor()}, "there is nnx.training.GANMonitor"),
    ],
)
def test_what_is_only_needed_later_is_looked_at_before(options, said, images, labels):
    gan = build_gan(3)
    gan.compile(jit_compile=False)
    before = gan.generator.get_weights()
    options = {name: value(images, labels) if callable(value) else value for name, value in options.items()}
    with pytest.raises(ValueError, match=said):
        gan.fit(images, labels, verbose=0, **options)
    for old, new in zip(before, gan.generator.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_sweep_needs_a_loss(images):
    gan = build_gan()
    gan.compile(jit_compile=False)
    before = gan.get_weights()
    with pytest.raises(
        ValueError, match="follows one loss, and 'gan' reports discriminator_accuracy, discriminator_loss"
    ):
        LearningRateFinder(steps=5).find(gan, images)
    for old, new in zip(before[:4], gan.get_weights(), strict=False):
        np.testing.assert_array_equal(old, new)


class Doubled(keras.layers.Layer):
    """Not registered."""

    def call(self, inputs):
        return 2 * inputs


class Incomplete(keras.Model):
    def __init__(self, function):
        super().__init__()
        self.made = keras.Sequential([keras.layers.Dense(4, function), keras.layers.Reshape(SHAPE)])

    def call(self, inputs):
        return self.made(inputs)


def test_any_generator_is_averaged(images):
    noise = keras.Input((3,))
    inner = keras.layers.Lambda(lambda values: values + 1)(Doubled()(noise))
    generator = keras.Model(noise, keras.layers.Reshape(SHAPE)(keras.layers.Dense(4)(inner)))
    gan = GAN(generator, DISCRIMINATOR, ema_decay=0.5)
    np.testing.assert_allclose(gan.averaged_generator(np.ones((1, 3))), generator(np.ones((1, 3))))
    own = Incomplete(keras.ops.tanh)
    with pytest.raises(
        ValueError, match=r"(?s)cannot copy its generator for the moving average: .* pass ema_decay=None"
    ):
        GAN(own, DISCRIMINATOR, latent_dim=3)
    assert GAN(own, DISCRIMINATOR, latent_dim=3, ema_decay=None).generate(1).shape == (1, *SHAPE)


@pytest.mark.parametrize(
    ("classes", "options", "said"),
    [
        (None, {"seed": -1}, r"seed=-1\)"),
        (None, {"batch_size": -1}, r"batch_size=-1\)"),
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
