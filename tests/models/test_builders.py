"""What every builder promises."""

import inspect

import keras
import numpy as np
import pytest

from keras_nnx import models
from tests.models.cases import BATCH, CASES

WITHOUT_CLASSES = {
    "SequenceForecaster",  # it tells numbers: tests/models/test_sequence_forecaster.py
    *("DCGANDiscriminator", "DCGANGenerator", "ResidualDiscriminator", "ResidualGenerator"),  # test_adversarial.py
}
BUILDERS = {
    name for name in models.__all__ if name[0].isupper() and inspect.isfunction(getattr(models, name))
} - WITHOUT_CLASSES
SECTIONS = ("Args:", "Returns:", "Raises:", "Example:", "Source:")


@pytest.fixture(params=CASES, ids=str)
def case(request):
    return request.param


def single(outputs):
    """One tensor of what a model gives; that of DeiT with two heads gives two."""
    first, *others = keras.tree.flatten(outputs)
    return keras.ops.convert_to_numpy(sum(others, start=first))


def perturbed(model):
    """Weights at no value as special as zero or one."""
    random = np.random.default_rng(1)
    for variable in model.weights:
        value = keras.ops.convert_to_numpy(variable)
        variable.assign(value + random.uniform(0, 0.2, value.shape))
    return model


def test_every_builder_has_a_case():
    assert {case.build.__name__ for case in CASES} == BUILDERS


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_the_docstring_has_every_section_and_argument(name):
    build = getattr(models, name)
    text = inspect.getdoc(build)
    assert [section for section in SECTIONS if section not in text] == []
    assert [argument for argument in inspect.signature(build).parameters if f"\n    {argument}: " not in text] == []
    assert {"classes", "include_top", "pooling", "name"} <= set(inspect.signature(build).parameters)


def test_every_ending_has_its_shape(case):
    inputs = case.inputs()
    for include_top, expected in ((True, case.scores), (False, case.features)):
        for pooling, shape in expected.items():
            model = case.make(include_top=include_top, pooling=pooling)
            outputs = single(model(inputs))
            assert outputs.shape == (BATCH, *shape), (include_top, pooling)
            assert outputs.dtype == "float32"


def test_another_pooling_lists_those_that_there_are(case):
    with pytest.raises(ValueError, match=r"pooling='sum'\).*'avg'"):
        case.make(include_top=False, pooling="sum")


def test_scores_are_a_softmax_of_the_logits(case):
    logits, scores = case.make(), case.make(classifier_activation="softmax")
    scores.set_weights(logits.get_weights())
    inputs = case.inputs()
    for raw, score in zip(*(keras.tree.flatten(model(inputs)) for model in (logits, scores)), strict=True):
        np.testing.assert_allclose(score, keras.ops.softmax(raw), rtol=1e-5, atol=1e-6)


def test_a_saved_model_answers_the_same(case, tmp_path):
    model, inputs = perturbed(case.make()), case.inputs()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(single(loaded(inputs)), single(model(inputs)))


def test_scores_are_float32_under_a_half_policy(case):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = case.make()
    finally:
        keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in model.layers} >= {"float16"}
    outputs = single(model(case.inputs()))
    assert outputs.dtype == "float32"
    assert np.isfinite(outputs).all()


def test_a_compiled_step_changes_every_weight(case):
    model, inputs = perturbed(case.make()), case.inputs()
    targets = keras.tree.map_structure(lambda tensor: np.random.standard_normal(tensor.shape), model(inputs))
    loss = keras.tree.map_structure(lambda _: "mean_squared_error", model.output)
    before = {variable.path: keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables}
    model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=True)
    model.fit(inputs, targets, batch_size=BATCH, verbose=0)
    same = [path for path, value in before.items() if np.array_equal(value, _value_at(model, path))]
    # A key's bias adds the same to every score of a query, and a bias in front of a batch normalisation is taken out.
    untouched = ("key/bias", "tokens/token", "stem/bias", "shortcut_convolution/bias")
    assert [path for path in same if not path.endswith(untouched)] == []


def _value_at(model, path):
    return next(keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables if variable.path == path)


def test_export(case, export):
    report = export(perturbed(case.make()))
    assert report.proven
    assert sorted(report.artifacts) == ["onnx", "saved_model", "tflite"]


def test_export_of_features(case, export):
    assert export(perturbed(case.make(include_top=False)), formats=("onnx", "tflite")).proven


@pytest.mark.parametrize("case", [case for case in CASES if case.build is not models.DeiT], ids=str)
def test_classes_are_checked(case):
    with pytest.raises(ValueError, match=rf"{case.build.__name__}\(classes=0\) needs an integer of at least 1"):
        case.make(classes=0)
