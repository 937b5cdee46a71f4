"""A GAN goes through `.keras` files whole, and its generator through the export."""

import keras
import numpy as np
import pytest

import keras_nnx as nnx
from keras_nnx import losses
from keras_nnx.training import R1, GradientPenalty, _latents
from tests.training.conftest import LATENTS, build_gan


@pytest.mark.parametrize("classes", [None, 3])
def test_a_file_has_everything(classes, images, labels, tmp_path):
    gan = build_gan(
        classes, augmentation=nnx.layers.DifferentiableAugmentation(("color",), seed=4), dtype="mixed_float16"
    )
    gan.compile(
        keras.optimizers.AdamW(3e-3),
        loss=losses.HingeGANLoss(),
        regularizers=[R1(0.5, 2), GradientPenalty(3.0, name="lines")],
        critic_steps=2,
        jit_compile=False,
    )
    data = (images,) if classes is None else (images, labels)
    gan.fit(*data, batch_size=8, epochs=2, verbose=0)
    gan.save(tmp_path / "gan.keras")
    again = keras.saving.load_model(tmp_path / "gan.keras")

    for name in ("latent_dim", "num_classes", "ema_decay", "seed", "name"):
        assert again.get_config()[name] == gan.get_config()[name]
    assert again.augmentation.get_config() == gan.augmentation.get_config()
    assert again.get_compile_config() == gan.get_compile_config()
    assert [type(entry) for entry in again.regularizers] == [R1, GradientPenalty]
    for one, other in ((gan, again), (gan.optimizer, again.optimizer)):
        for value, expected in zip(one.variables, other.variables, strict=True):
            if "seed" not in value.path:
                np.testing.assert_array_equal(value, expected)
    for value, expected in zip(
        gan.discriminator_optimizer.variables, again.discriminator_optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(value, expected)
    label = None if classes is None else 1
    np.testing.assert_array_equal(gan.generate(5, 2, label), again.generate(5, 2, label))
    again.fit(*data, batch_size=8, verbose=0)


def test_a_file_of_one_that_was_not_compiled(tmp_path):
    gan = build_gan(ema_decay=None)
    gan.save(tmp_path / "gan.keras")
    again = keras.saving.load_model(tmp_path / "gan.keras")
    assert not again.compiled
    assert again.averaged_generator is again.generator
    np.testing.assert_array_equal(gan.generate(5, 2), again.generate(5, 2))


def test_a_file_leaves_compiling_to_where_it_is_loaded(tmp_path):
    gan = build_gan()
    gan.compile()
    assert gan.get_compile_config()["jit_compile"] == "auto"
    gan.save(tmp_path / "gan.keras")
    assert keras.saving.load_model(tmp_path / "gan.keras").get_compile_config()["jit_compile"] == "auto"


def test_the_averaged_generator_exports_with_proof(images, labels, tmp_path):
    gan = build_gan(3)
    gan.compile(jit_compile=False)
    gan.fit(images, labels, verbose=0)
    report = nnx.export_model(gan.averaged_generator, tmp_path / "generator", formats=("onnx",))
    assert report.proven


def test_images_are_drawn_as_asked():
    gan = build_gan(3)
    some = gan.generate(7, seed=5, labels=[0, 1, 2, 0, 1, 2, 0])
    assert some.shape == (7, 2, 2, 1)
    np.testing.assert_array_equal(some, gan.generate(7, seed=5, labels=[0, 1, 2, 0, 1, 2, 0]))
    np.testing.assert_allclose(some, gan.generate(7, seed=5, labels=[0, 1, 2, 0, 1, 2, 0], batch_size=2), atol=1e-6)
    assert not np.array_equal(some, gan.generate(7, seed=6, labels=[0, 1, 2, 0, 1, 2, 0]))
    assert not np.array_equal(gan.generate(2, labels=1), gan.generate(2, labels=1))
    np.testing.assert_array_equal(some, gan.generate(7, seed=5, labels=np.array([[0], [1], [2], [0], [1], [2], [0]])))


def test_truncated_latents_stay_inside():
    whole, truncated = (_latents.given(1, 400, LATENTS, truncation) for truncation in (None, 0.5))
    assert np.abs(whole).max() > 2
    assert 0.49 < np.abs(truncated).max() <= 0.5
    kept = np.abs(whole) <= 0.5
    np.testing.assert_array_equal(whole[kept], truncated[kept])
    gan = build_gan()
    images = gan.generate(400, seed=1, truncation=0.5)
    np.testing.assert_allclose(images, gan.averaged_generator(truncated), atol=1e-6)
