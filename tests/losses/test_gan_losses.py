"""Losses between two networks, against their equations in numpy."""

import keras
import numpy as np
import pytest

from keras_nnx import losses

REAL = np.array([[1.5], [-0.5], [3.0]], "float32")
GENERATED = np.array([[-2.0], [0.25], [1.0]], "float32")


def log_sigmoid(logits):
    return np.log(1 / (1 + np.exp(-logits.astype("float64"))))


@pytest.mark.parametrize(
    ("loss", "discriminator", "generator"),
    [
        (
            losses.MinimaxGANLoss(),
            -log_sigmoid(REAL).mean() - log_sigmoid(-GENERATED).mean(),
            log_sigmoid(-GENERATED).mean(),
        ),
        (
            losses.NonSaturatingGANLoss(),
            -log_sigmoid(REAL).mean() - log_sigmoid(-GENERATED).mean(),
            -log_sigmoid(GENERATED).mean(),
        ),
        (
            losses.NonSaturatingGANLoss(label_smoothing=0.1),
            -(0.9 * log_sigmoid(REAL) + 0.1 * log_sigmoid(-REAL)).mean() - log_sigmoid(-GENERATED).mean(),
            -log_sigmoid(GENERATED).mean(),
        ),
        (
            losses.LeastSquaresGANLoss(),
            ((REAL - 1) ** 2).mean() / 2 + (GENERATED**2).mean() / 2,
            ((GENERATED - 1) ** 2).mean() / 2,
        ),
        (
            losses.HingeGANLoss(),
            np.maximum(0, 1 - REAL).mean() + np.maximum(0, 1 + GENERATED).mean(),
            -GENERATED.mean(),
        ),
        (losses.WassersteinGANLoss(), GENERATED.mean() - REAL.mean(), -GENERATED.mean()),
        (
            losses.RelativisticGANLoss(),
            -log_sigmoid(REAL - GENERATED).mean(),
            -log_sigmoid(GENERATED - REAL).mean(),
        ),
        (
            losses.RelativisticGANLoss("average"),
            -log_sigmoid(REAL - GENERATED.mean()).mean() - log_sigmoid(REAL.mean() - GENERATED).mean(),
            -log_sigmoid(GENERATED - REAL.mean()).mean() - log_sigmoid(GENERATED.mean() - REAL).mean(),
        ),
    ],
    ids=lambda value: value.name if isinstance(value, losses.GANLoss) else "",
)
def test_values_and_saving(loss, discriminator, generator):
    for made in (loss, keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))):
        assert float(made.discriminator(REAL, GENERATED)) == pytest.approx(discriminator, rel=1e-5)
        assert float(made.generator(REAL if loss.compares else None, GENERATED)) == pytest.approx(generator, rel=1e-5)
        assert made.get_config() == loss.get_config()
        # what half precision cannot hold
        half = made.discriminator(REAL.astype("float16"), (GENERATED * 1000).astype("float16"))
        assert keras.backend.standardize_dtype(half.dtype) == "float32"
        assert np.isfinite(float(half))


def test_errors():
    with pytest.raises(ValueError, match=r"NonSaturatingGANLoss\(label_smoothing=1\)"):
        losses.NonSaturatingGANLoss(label_smoothing=1)
    with pytest.raises(ValueError, match="'pair', 'average'"):
        losses.RelativisticGANLoss("mean")
    with pytest.raises(NotImplementedError, match="discriminator"):
        losses.GANLoss().discriminator(REAL, GENERATED)
    with pytest.raises(NotImplementedError, match="generator"):
        losses.GANLoss().generator(REAL, GENERATED)
