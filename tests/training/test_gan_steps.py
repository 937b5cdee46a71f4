"""A step of adversarial training, against one written out by hand."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_nnx import layers, losses
from keras_nnx.callbacks import ThroughputMonitor
from keras_nnx.training import R1, R2, GradientPenalty
from tests.training.conftest import LATENTS, build_gan

ROOT = Path(__file__).parents[2]


def weights(gan):
    return gan.generator.get_weights() + gan.discriminator.get_weights()


def fixed_latents(monkeypatch, latents):
    """Let a training draw what a test knows."""
    monkeypatch.setattr("keras_nnx.training._gan_steps.drawn", lambda generator, count, dim: latents[:count])


def test_a_step_is_the_one_written_out(images, monkeypatch):
    latents = tf.constant(np.random.default_rng(1).normal(size=(8, LATENTS)).astype("float32"))
    fixed_latents(monkeypatch, latents)
    gan, other = build_gan(), build_gan()
    for entry in (gan, other):
        entry.compile(keras.optimizers.SGD(0.3), keras.optimizers.SGD(0.2), regularizers=R1(2.0, interval=1))
    gan.fit(images[:8], batch_size=8, epochs=1, verbose=0)

    real, g, d = tf.constant(images[:8]), other.generator, other.discriminator
    generated = g(latents, training=True)
    with tf.GradientTape() as tape:
        with tf.GradientTape() as inner:
            inner.watch(real)
            score = d(real, training=True)
        penalty = tf.reduce_mean(tf.reduce_sum(inner.gradient(score, real) ** 2, (1, 2, 3)))
        loss = tf.reduce_mean(tf.nn.softplus(-score)) + tf.reduce_mean(tf.nn.softplus(d(generated, training=True)))
        loss += 2.0 * penalty / 2
    for variable, gradient in zip(
        d.trainable_variables, tape.gradient(loss, d.trainable_variables, unconnected_gradients="zero"), strict=True
    ):
        variable.assign_sub(0.2 * gradient)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.softplus(-d(g(latents, training=True), training=True)))
    for variable, gradient in zip(g.trainable_variables, tape.gradient(loss, g.trainable_variables), strict=True):
        variable.assign_sub(0.3 * gradient)
    for found, expected in zip(weights(gan), weights(other), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"regularizers": [R1(1.0, 2), R2(1.0, 3)], "critic_steps": 3, "loss": losses.RelativisticGANLoss()},
        {"regularizers": R2(0.1, 1), "critic_steps": 2, "loss": losses.WassersteinGANLoss()},
    ],
    ids=["relativistic", "wasserstein"],
)
def test_compiled_and_eager_steps_are_the_same(options, images, labels, monkeypatch):
    # XLA draws other random numbers from the same seed
    fixed_latents(monkeypatch, tf.constant(np.random.default_rng(1).normal(size=(6, LATENTS)).astype("float32")))
    made = []
    for mode in ({"jit_compile": True, "steps_per_execution": 2}, {"jit_compile": False}, {"run_eagerly": True}):
        gan = build_gan(3, spectral=layers.SpectralNormalization)
        gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), **options, **mode)
        gan.fit(images, labels, batch_size=6, epochs=1, shuffle=False, verbose=0)
        made.append(weights(gan))
    for other in made[1:]:
        for found, expected in zip(other, made[0], strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("size", "steps"), [(6, 3), (7, 3), (2, 5)])
def test_critic_steps_share_a_batch(size, steps, images, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "keras_nnx.training._gan_steps._train_discriminator",
        lambda gan, cut, labels, share: seen.append(cut.numpy()) or dict.fromkeys(_measured(gan), tf.zeros(())),
    )
    gan = build_gan()
    gan.compile(critic_steps=steps, run_eagerly=True)
    gan.fit(images[:size], batch_size=size, shuffle=False, verbose=0)
    assert len(seen) == steps
    assert {part.shape[0] for part in seen} == {-(-size // steps)}
    assert {row.tobytes() for part in seen for row in part} == {row.tobytes() for row in images[:size]}


def _measured(gan):
    from keras_nnx.training._gan_steps import MEASURED

    return (*MEASURED, *(entry.name for entry in gan.regularizers))


def test_the_average_follows_quickly_then_slowly(images):
    gan = build_gan(ema_decay=0.5)
    gan.compile(jit_compile=False)
    kernel = gan.generator.trainable_variables[0]
    expected, past = kernel.numpy(), []
    for step in range(1, 13):
        gan.fit(images[:6], batch_size=6, verbose=0)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * kernel.numpy()
        past.append(decay)
    assert past[0] < past[-1] == 0.5
    np.testing.assert_allclose(gan.averaged_generator.weights[0], expected, rtol=1e-5)
    for average, variable in zip(gan.averaged_generator.weights, gan.generator.weights, strict=True):
        if "moving" in variable.path:
            np.testing.assert_array_equal(average, variable)
    assert not gan.averaged_generator.trainable_variables


def test_without_an_average_the_generator_is_it(images):
    gan = build_gan(ema_decay=None)
    gan.compile(jit_compile=False)
    gan.fit(images, verbose=0)
    assert gan.averaged_generator is gan.generator


def test_half_precision_scales_the_loss_of_each_network(images):
    gan = build_gan(dtype="mixed_float16")
    gan.compile(critic_steps=2, regularizers=GradientPenalty(), jit_compile=True)
    for optimizer in (gan.generator_optimizer, gan.discriminator_optimizer):
        assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    history = gan.fit(images, batch_size=12, epochs=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert all(variable.dtype == "float32" for variable in gan.generator.trainable_variables)

    gan.discriminator_optimizer.dynamic_scale.assign(1e38)  # what overflows is left out, and the scale lowered
    before = gan.discriminator.get_weights()
    gan.fit(images[:12], batch_size=12, verbose=0)
    assert float(gan.discriminator_optimizer.dynamic_scale) < 1e38
    for value, old in zip(gan.discriminator.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old)
    assert not isinstance(build_compiled().generator_optimizer, keras.optimizers.LossScaleOptimizer)


def build_compiled():
    gan = build_gan()
    gan.compile(jit_compile=False)
    return gan


def test_all_images_are_augmented_and_gradients_pass(images):
    calls = []

    class Shifted(keras.layers.Layer):
        def call(self, inputs, training=None):
            calls.append(training)
            return inputs + 1.0

    gan = build_gan(augmentation=Shifted())
    gan.compile(run_eagerly=True)
    before = weights(gan)
    gan.fit(images[:6], batch_size=6, verbose=0)
    assert calls[-3:] == [True] * 3  # real, generated, and generated again for the generator
    assert not np.array_equal(before[0], weights(gan)[0])


def test_the_augmentation_of_this_package_trains():
    keras.utils.set_random_seed(0)
    noise, picture = keras.Input((4,)), keras.Input((8, 8, 1))
    generator = keras.Model(noise, keras.layers.Reshape((8, 8, 1))(keras.layers.Dense(64, "tanh")(noise)))
    discriminator = keras.Model(picture, keras.layers.Dense(1)(keras.layers.Flatten()(picture)))
    gan = build_from(generator, discriminator)
    before = generator.get_weights()
    gan.compile(regularizers=R1())
    gan.fit(np.zeros((8, 8, 8, 1), "float32"), batch_size=4, verbose=0)
    assert all(not np.array_equal(old, new) for old, new in zip(before, generator.get_weights(), strict=True))


def build_from(generator, discriminator):
    from keras_nnx.training import GAN

    return GAN(generator, discriminator, augmentation=layers.DifferentiableAugmentation(seed=3), seed=1)


def test_validation_trains_nothing(images):
    gan = build_compiled()
    before = weights(gan)
    found = gan.evaluate(images, verbose=0, return_dict=True)
    assert {"discriminator_loss", "generator_loss", "real_score", "generated_score"} <= set(found)
    for old, new in zip(before, weights(gan), strict=True):
        np.testing.assert_array_equal(old, new)


def test_examples_are_counted(images):
    gan, monitor = build_compiled(), ThroughputMonitor()
    gan.fit(images[:10], batch_size=4, epochs=2, verbose=0, callbacks=[monitor])
    assert (monitor.summary.steps, monitor.summary.examples) == (6, 20)


def test_both_optimizers_end_with_their_averages(images):
    gan = build_gan()
    gan.compile(*(keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.9) for _ in range(2)), jit_compile=False)
    gan.fit(images, epochs=2, verbose=0)
    for network, optimizer in (
        (gan.generator, gan.generator_optimizer),
        (gan.discriminator, gan.discriminator_optimizer),
    ):
        for variable, average in zip(
            network.trainable_variables, optimizer._model_variables_moving_average, strict=True
        ):
            np.testing.assert_array_equal(variable.numpy(), average.numpy())


_TWO_DEVICES = """
import numpy as np, tensorflow as tf, keras
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from tests.training.conftest import build_gan
from keras_nnx.layers import DifferentiableAugmentation, SpectralNormalization
from keras_nnx.training import GradientPenalty, R1
augmentation = lambda: DifferentiableAugmentation(("color",))
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
images = np.random.default_rng(0).uniform(-1, 1, (17, 2, 2, 1)).astype("float32")  # the last batch is for one replica
for dtype, steps in ((None, 1), (None, 2), ("mixed_float16", 2)):
    with strategy.scope():
        gan = build_gan(dtype=dtype, augmentation=augmentation(), spectral=SpectralNormalization)
        gan.compile(critic_steps=steps, regularizers=[GradientPenalty(), R1(interval=2)])
    assert not gan.jit_compile
    before = gan.averaged_generator.get_weights()
    history = gan.fit(images, batch_size=8, epochs=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values()), history
    # moving statistics are each replica's own until they are read
    for variable in gan.trainable_weights + [v for v in gan.averaged_generator.weights if "moving" not in v.path]:
        copies = [value.numpy() for value in strategy.experimental_local_results(variable.value)]
        np.testing.assert_array_equal(*copies), variable.path
    assert any(not np.array_equal(a, b) for a, b in zip(before, gan.averaged_generator.get_weights()))
    assert np.isfinite(gan.generate(3, seed=1)).all()
    assert all(np.isfinite(value) for value in gan.evaluate(images, batch_size=8, verbose=0))
print("two replicas agree")
"""


@pytest.mark.multiprocess
@pytest.mark.timeout(300)
def test_two_replicas_stay_the_same():
    finished = subprocess.run(
        [sys.executable, "-c", _TWO_DEVICES],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert "two replicas agree" in finished.stdout, finished.stderr[-3000:]
