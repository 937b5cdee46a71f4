"""From images to features: models, functions, and what neither may answer."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_nnx.metrics import FrechetDistance, KernelDistance, PrecisionRecall

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (150, 4, 4, 3)).astype("uint8")
METRICS = [FrechetDistance, KernelDistance, PrecisionRecall]


def network(**arguments):
    """A model that notes the sizes of the batches that it is traced for."""
    sizes = []

    class Noting(keras.layers.Layer):
        def call(self, inputs):
            sizes.append(inputs.shape[0])
            return inputs

    image = keras.Input((4, 4, 3), **arguments)
    outputs = keras.layers.Conv2D(5, 3)(Noting()(keras.layers.Dropout(0.5)(keras.layers.Rescaling(1 / 255)(image))))
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(outputs)), sizes


def mean_of(metric):
    """The mean of the features of the real images."""
    return metric._sets["real"].mean


@pytest.mark.parametrize("arguments", [{}, {"dtype": "uint8"}], ids=str)
def test_a_model_runs_in_inference_on_few_sizes_of_batches(arguments):
    model, sizes = network(**arguments)
    expected = ops.convert_to_numpy(model(IMAGES, training=False)).mean(axis=0)
    sizes.clear()
    metric = FrechetDistance(model)
    for start, end in ((0, 3), (3, 4), (4, 150)):
        metric.update_real(IMAGES[start:end])
    np.testing.assert_allclose(mean_of(metric), expected, rtol=1e-4)
    assert {size for size in sizes if size} <= {1, 4, 32, 64}
    traced = len(sizes)
    for count in (1, 2, 3, 4, 33, 50, 64, 65, 100):
        metric.update_generated(IMAGES[:count])
    metric.update_real(IMAGES[:5])
    assert len(sizes) - traced <= 4  # 2, 8 and what they are made general by
    assert metric.generated_count == 1 + 2 + 3 + 4 + 33 + 50 + 64 + 65 + 100


@pytest.mark.parametrize("compile_arguments", [{"jit_compile": True, "steps_per_execution": 3}, {"run_eagerly": True}])
def test_a_model_may_be_compiled_in_any_way(compile_arguments):
    model, _ = network()
    expected = ops.convert_to_numpy(model(IMAGES[:70], training=False)).mean(axis=0)
    model.compile(loss="mse", **compile_arguments)
    metric = FrechetDistance(model)
    metric.update_real(IMAGES[:70])
    np.testing.assert_allclose(mean_of(metric), expected, rtol=1e-4)


def test_the_images_themselves():
    metric = FrechetDistance()
    metric.update_real(IMAGES)
    np.testing.assert_allclose(mean_of(metric), IMAGES.reshape(150, 48).mean(axis=0), rtol=1e-12)


def test_a_function_gets_the_images_as_they_are():
    seen = []

    def extractor(images):
        seen.append(images)
        return images.reshape(len(images), -1)[:, :7]

    metric = FrechetDistance(extractor)
    metric.update_real(IMAGES)
    metric.update_real(ops.convert_to_tensor(IMAGES[:2]))
    assert [(type(images), images.dtype, len(images)) for images in seen] == [
        (np.ndarray, np.dtype("uint8"), 150),
        (np.ndarray, np.dtype("uint8"), 2),
    ]
    assert mean_of(metric).shape == (7,)


@pytest.mark.parametrize("shape", [(), (5,), (3, 5), (3, 4, 5)], ids=str)
def test_features_are_averaged_over_positions(shape):
    answers = RANDOM.standard_normal((10, *shape))
    metric = FrechetDistance(lambda images: answers[: len(images)])
    metric.update_real(IMAGES[:10])
    expected = answers.reshape(10, -1, shape[-1] if shape else 1).mean(axis=(0, 1))
    np.testing.assert_allclose(mean_of(metric), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "int8", "bool"])
def test_features_of_any_type(dtype):
    answers = ops.cast(RANDOM.integers(0, 2, (10, 4)), dtype)
    for metric in (FrechetDistance(lambda images: answers), KernelDistance(lambda images: answers, subset_size=10)):
        metric.update_real(IMAGES[:10])
        metric.update_generated(IMAGES[:10])
        assert metric.result() == pytest.approx(metric.result())
    assert metric._sets["real"].samples.dtype == "float32"
    np.testing.assert_array_equal(metric._sets["real"].samples, ops.convert_to_numpy(ops.cast(answers, "float32")))


def test_more_precise_features_stay_so():
    metric = KernelDistance(subset_size=2)
    metric.update_real(np.float32([[1.0], [2.0]]))
    metric.update_real(np.float64([[1 + 1e-12]]))
    np.testing.assert_array_equal(metric._sets["real"].samples, [[1.0], [2.0], [1 + 1e-12]])


@pytest.mark.parametrize("kind", METRICS)
def test_no_images_change_nothing(kind):
    metric = kind()
    metric.update_real(np.zeros((0, 4, 4, 3)))
    metric.update_generated(np.zeros((0, 4, 4, 1)))
    metric.update_real(IMAGES)
    metric.update_real(IMAGES[:0])
    assert (metric.real_count, metric.generated_count) == (150, 0)


def broken(wrong):
    """Features with some that are wrong in two rows."""

    def extractor(images):
        features = images.reshape(len(images), -1).astype("float32")
        features[[1, 3], 2] = wrong
        return features

    return extractor


@pytest.mark.parametrize("kind", METRICS)
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_features_that_are_not_finite(kind, wrong):
    metric = kind(broken(wrong))
    message = rf"{kind.__name__}.update_generated expects finite numbers, but the features of 2 of 10 images have NaN"
    with pytest.raises(ValueError, match=message):
        metric.update_generated(IMAGES[:10])
    assert metric.generated_count == 0
    with pytest.raises(ValueError, match=r"update_real expects finite numbers, but the images of 1 of 2 images"):
        kind().update_real(np.array([[1.0], [wrong]]))


@pytest.mark.parametrize("kind", METRICS)
@pytest.mark.parametrize("other", ["real", "generated"])
def test_features_that_differ_in_number(kind, other):
    metric = kind()
    getattr(metric, f"update_{other}")(np.zeros((3, 5)))
    for name in ("real", "generated"):
        message = rf"update_{name} received 6 features for each image, but the {other} images before have 5"
        with pytest.raises(ValueError, match=message):
            getattr(metric, f"update_{name}")(np.zeros((3, 6)))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda images: [images, images], "one array of features from the extractor, but received a list of 2"),
        (lambda images: {"features": images}, "received a dict of 1: give an extractor with one output"),
        (lambda images: np.zeros((3, 5)), r"features of shape \(b, ...\) for 4 images, .* answered \(3, 5\)"),
        (lambda images: np.zeros(()), r"for 4 images, but the extractor answered \(\)"),
        (lambda images: np.zeros((4, 0)), r"for 4 images, but the extractor answered \(4, 0\)"),
        (lambda images: np.zeros((4, 5), complex), "real numbers, but the features are of type complex128"),
    ],
)
def test_answers_that_are_no_features(answer, message):
    with pytest.raises(ValueError, match=r"FrechetDistance.update_real expects .*" + message):
        FrechetDistance(answer).update_real(IMAGES[:4])


def test_a_model_of_several_outputs():
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, [keras.layers.Flatten()(image), keras.layers.GlobalMaxPooling2D()(image)])
    with pytest.raises(ValueError, match="received a list of 2: give an extractor with one output"):
        PrecisionRecall(model).update_real(IMAGES)


def test_a_number_is_no_batch():
    with pytest.raises(ValueError, match="expects a batch of images, with the batch as the first axis"):
        FrechetDistance().update_real(3.0)


@pytest.mark.parametrize("kind", METRICS)
def test_what_extracts_nothing(kind):
    with pytest.raises(ValueError, match=rf"{kind.__name__}\(extractor='inception'\) needs a keras.Model"):
        kind("inception")


@pytest.mark.parametrize("kind", [FrechetDistance, KernelDistance, PrecisionRecall])
def test_features_that_no_square_holds_are_refused(kind):
    with pytest.raises(ValueError, match="cannot compute with the images up to 1e\\+200: scale them down"):
        kind().update_real(np.full((4, 3), 1e200))
