"""Generators and discriminators."""

import inspect

import keras
import numpy as np
import pytest

from keras_nnx import layers
from keras_nnx.models import DCGANDiscriminator, DCGANGenerator, ResidualDiscriminator, ResidualGenerator

BATCH, CLASSES = 5, 3
GENERATORS = (DCGANGenerator, ResidualGenerator)
DISCRIMINATORS = (DCGANDiscriminator, ResidualDiscriminator)
BOTH = (*GENERATORS, *DISCRIMINATORS)
SMALL = {"image_shape": (8, 8, 1), "filters": (8, 4)}
WIDE = {"num_classes": CLASSES, "attention_size": 4}
SETTINGS = [
    pytest.param(DCGANGenerator, {}, id="dcgan generator"),
    pytest.param(DCGANGenerator, {**WIDE, "normalization": "spectral"}, id="dcgan generator, all"),
    pytest.param(ResidualGenerator, {}, id="residual generator"),
    pytest.param(ResidualGenerator, WIDE, id="residual generator, all"),
    pytest.param(DCGANDiscriminator, {}, id="dcgan discriminator"),
    pytest.param(DCGANDiscriminator, {**WIDE, "normalization": "spectral"}, id="dcgan discriminator, all"),
    pytest.param(
        DCGANDiscriminator,
        {"num_classes": CLASSES, "conditioning": "concatenation", "minibatch_deviation": 2, "normalization": None},
        id="dcgan discriminator, concatenation",
    ),
    pytest.param(ResidualDiscriminator, {}, id="residual discriminator"),
    pytest.param(ResidualDiscriminator, {**WIDE, "minibatch_deviation": 1}, id="residual discriminator, all"),
]


def made(build, **arguments):
    return build(**{**SMALL, **arguments})


def perturbed(model):
    """Weights at no value as special as zero or one."""
    random = np.random.default_rng(1)
    model.set_weights([value + random.uniform(-0.1, 0.1, value.shape) for value in model.get_weights()])
    return model


def inputs_of(model, batch=BATCH):
    """Values for the input, or for each by its name."""
    random = np.random.default_rng(0)
    values = {
        tensor.name: random.integers(0, CLASSES, batch).astype("int32")
        if tensor.name == "labels"
        else random.standard_normal((batch, *tensor.shape[1:])).astype("float32")
        for tensor in model.inputs
    }
    return values if len(values) > 1 else next(iter(values.values()))


@pytest.mark.parametrize("build", BOTH)
def test_the_docstring_has_every_section_and_argument(build):
    text = inspect.getdoc(build)
    assert [name for name in ("Args:", "Returns:", "Raises:", "Example:", "Source:") if name not in text] == []
    assert [name for name in inspect.signature(build).parameters if f"\n    {name}: " not in text] == []


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (4, 8, 2)])
@pytest.mark.parametrize("num_classes", [None, CLASSES])
def test_shapes_and_names(shape, num_classes):
    more = ["labels"] if num_classes else []
    for build in GENERATORS:
        model = build(shape, latent_dim=6, num_classes=num_classes, filters=(8, 4))
        assert [tensor.name for tensor in model.inputs] == ["latent", *more]
        outputs = np.asarray(model(inputs_of(model)))
        assert outputs.shape == (BATCH, *shape)
        assert np.abs(outputs).max() <= 1
    for build in DISCRIMINATORS:
        model = build(shape, num_classes=num_classes, filters=(4, 8))
        assert [tensor.name for tensor in model.inputs] == ["images", *more]
        assert model(inputs_of(model)).shape == (BATCH, 1)


@pytest.mark.parametrize(("build", "arguments"), SETTINGS)
def test_a_saved_model_answers_the_same(build, arguments, tmp_path):
    model = perturbed(made(build, **arguments))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(inputs_of(model)), model(inputs_of(model)))


@pytest.mark.slow
@pytest.mark.parametrize(("build", "arguments"), [entry for entry in SETTINGS if not entry.values[1]])
def test_a_compiled_step_changes_every_weight(build, arguments):
    compiled_step(made(build, **arguments))


@pytest.mark.slow
@pytest.mark.parametrize(("build", "arguments"), [entry for entry in SETTINGS if entry.values[1]])
def test_a_compiled_step_in_half_precision_changes_every_weight(build, arguments):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = made(build, **arguments)
    finally:
        keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in model.layers} == {"float16", "float32"}
    compiled_step(model)


def compiled_step(model):
    """Train a model for one step, and look at what it did."""
    inputs = inputs_of(perturbed(model))
    outputs = model(inputs)
    assert outputs.dtype == "float32"
    before = model.get_weights()
    # However small a gradient is, Adam makes a step; and a scale of one leaves out no step.
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01, epsilon=1e-12), initial_scale=1.0)
    model.compile(optimizer, "mean_squared_error", jit_compile=True)
    history = model.fit(inputs, np.random.default_rng(2).standard_normal(outputs.shape), batch_size=BATCH, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    same = [weight.path for weight, old in zip(model.weights, before, strict=True) if np.array_equal(weight, old)]
    # What is added to all examples in front of a batch normalisation is taken out.
    assert [path for path in same if not path.endswith(("convolution_2/bias", "shortcut/bias"))] == []


@pytest.mark.parametrize(("build", "arguments"), SETTINGS)
def test_export(build, arguments, export):
    report = export(perturbed(made(build, **arguments)))
    assert report.proven
    assert sorted(report.artifacts) == ["onnx", "saved_model", "tflite"]


def test_labels_change_what_is_made_and_what_is_told():
    for build, arguments in ((entry.values[0], entry.values[1]) for entry in SETTINGS):
        if "num_classes" in arguments:
            model = perturbed(made(build, **arguments))
            inputs = inputs_of(model)
            others = {**inputs, "labels": (inputs["labels"] + 1) % CLASSES}
            assert (np.abs(model(inputs) - model(others)).reshape(BATCH, -1).max(axis=1) > 1e-6).all()


def test_attention_is_where_it_was_asked_for():
    def attended(build, size):
        (layer,) = (
            layer for layer in made(build, attention_size=size).layers if isinstance(layer, layers.SpatialSelfAttention)
        )
        return layer.output.shape[1]

    for build in BOTH:
        assert [attended(build, size) for size in (2, 4)] == [2, 4]
    assert attended(ResidualGenerator, 8) == 8


def test_the_first_convolution_of_a_dcgan_discriminator_is_not_normalised():
    model = made(DCGANDiscriminator)
    assert [model.get_layer(f"block_{number}").normalization for number in (1, 2)] == [None, "batch"]


@pytest.mark.parametrize("build", BOTH)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": (28, 28)}, "needs height, width and channels, such as"),
        ({"image_shape": (None, None, 3)}, "needs height, width and channels, such as"),
        ({"image_shape": (28, 28, 1), "filters": (4, 4, 4)}, "has the height 28, which 3 stages .* use 24 or 32"),
        ({"image_shape": (8, 2, 1)}, "has the width 2, which 2 stages .* use 4, or another number of filters"),
        ({"filters": ()}, r"filters=\(\)\) needs the number of filters of each stage"),
        ({"filters": (4, 0)}, r"filters=0\) needs an integer of at least 1"),
        ({"num_classes": 0}, r"num_classes=0\) needs an integer of at least 1"),
        ({"attention_size": 5}, r"attention_size=5\) is the height of no map: choose one of 2, 4"),
    ],
)
def test_wrong_arguments_are_refused(build, arguments, message):
    with pytest.raises(ValueError, match=build.__name__ + ".*" + message):
        made(build, **arguments)


@pytest.mark.parametrize(
    ("build", "arguments", "message"),
    [
        *((build, {"latent_dim": 0}, r"latent_dim=0\) needs an integer of at least 1") for build in GENERATORS),
        *((build, {"conditioning": "sum"}, "'projection', 'concatenation'") for build in DISCRIMINATORS),
        *((build, {"minibatch_deviation": 3}, "cannot split the 4 channels") for build in DISCRIMINATORS),
        *((build, {"minibatch_deviation": -1}, "minibatch_deviation=-1") for build in DISCRIMINATORS),
        *((build, {"normalization": "group"}, "'group'.*'batch', 'spectral', None") for build in BOTH[::2]),
        (ResidualDiscriminator, {"normalization": "batch"}, "'batch'.*'spectral', None"),
    ],
)
def test_wrong_arguments_of_one_kind_are_refused(build, arguments, message):
    with pytest.raises(ValueError, match=message):
        made(build, **arguments)
