"""Regularisers of a discriminator, where the gradient is known."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_nnx.training import R1, R2, CriticRegularizer, GradientPenalty

SEED = tf.constant([1, 2])
IMAGES = tf.constant(np.random.default_rng(0).normal(size=(5, 2, 3, 1)).astype("float32"))
OTHERS = 2 * IMAGES


def quadratic(images):
    return tf.reduce_sum(images**2, axis=(1, 2, 3))[:, None] / 2


def test_gradients_of_a_quadratic_are_the_images():
    squares = np.square(IMAGES).sum((1, 2, 3))
    assert float(R1().penalty(quadratic, IMAGES, OTHERS, SEED)) == pytest.approx(squares.mean() / 2, rel=1e-5)
    assert float(R2().penalty(quadratic, IMAGES, OTHERS, SEED)) == pytest.approx(4 * squares.mean() / 2, rel=1e-5)


def test_the_gradient_penalty_of_a_linear_critic_is_known():
    weights = np.arange(6, dtype="float32").reshape(1, 2, 3, 1)
    found = GradientPenalty(target=2.0).penalty(lambda images: images * weights, IMAGES, OTHERS, SEED)
    assert float(found) == pytest.approx((np.sqrt((weights**2).sum()) - 2) ** 2, rel=1e-5)


def test_the_gradient_penalty_is_measured_on_lines_between():
    seen = []
    GradientPenalty().penalty(lambda images: seen.append(images) or quadratic(images), IMAGES, OTHERS, SEED)
    share = (seen[0] / IMAGES).numpy()  # the others are twice the images
    assert (share >= 1).all()
    assert (share <= 2).all()
    np.testing.assert_allclose(share, share[:, :1, :1] * np.ones_like(share), rtol=1e-4)
    assert len(np.unique(np.round(share, 3))) == 5


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_a_critic_without_a_slope_gets_a_finite_gradient(slope, compiled):
    weight = tf.Variable(slope)

    def gradient():
        with tf.GradientTape() as tape:
            penalty = GradientPenalty().penalty(lambda images: weight * images, IMAGES, OTHERS, SEED)
        return penalty, tape.gradient(penalty, weight)

    penalty, found = tf.function(gradient, jit_compile=compiled)()
    norm = slope * np.sqrt(6)
    assert float(penalty) == pytest.approx((norm - 1) ** 2, rel=1e-5)
    assert float(found) == pytest.approx(2 * (norm - 1) * np.sqrt(6) if slope else 0.0, rel=1e-5)


def test_lazy_steps_add_as_much_on_average():
    lazy, each = R1(weight=3.0, interval=4), R1(weight=3.0, interval=1)
    added = [float(lazy(quadratic, IMAGES, OTHERS, SEED, tf.constant(step))) for step in range(8)]
    assert [value > 0 for value in added] == [True, False, False, False] * 2
    assert np.mean(added) == pytest.approx(float(each(quadratic, IMAGES, OTHERS, SEED, tf.constant(0))), rel=1e-6)


@pytest.mark.parametrize("made", [R1(2.0, 3, "a"), R2(0.5), GradientPenalty(5, 0.0, 2, "b")])
def test_saving(made):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    assert type(again) is type(made)
    assert again.get_config() == made.get_config()


def test_errors():
    with pytest.raises(ValueError, match=r"R1\(interval=-4\) needs an integer of at least 1"):
        R1(interval=-4)
    with pytest.raises(ValueError, match=r"R2\(weight=0\) needs a number over 0"):
        R2(weight=0)
    with pytest.raises(ValueError, match=r"GradientPenalty\(target=-1\)"):
        GradientPenalty(target=-1)
    with pytest.raises(NotImplementedError, match="penalty"):
        CriticRegularizer(1.0).penalty(quadratic, IMAGES, OTHERS, SEED)
