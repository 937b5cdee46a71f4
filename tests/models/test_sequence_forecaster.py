"""Forecasts of several steps, and quantiles that do not cross."""

import inspect

import keras
import numpy as np
import pytest

from keras_nnx.losses import QuantileLoss
from keras_nnx.models import SequenceForecaster

RANDOM = np.random.default_rng(0)
SERIES = RANDOM.standard_normal((3, 7, 2)).astype("float32")
QUANTILES = (0.1, 0.5, 0.9)


def made(shape=(None, 2), horizon=4, **arguments):
    return SequenceForecaster(shape, horizon, **{"units": (5,), **arguments})


def test_the_docstring_has_every_section_and_argument():
    text = inspect.getdoc(SequenceForecaster)
    assert [name for name in ("Args:", "Returns:", "Raises:", "Example:", "Source:") if name not in text] == []
    names = inspect.signature(SequenceForecaster).parameters
    assert [name for name in names if f"\n    {name}: " not in text] == []


@pytest.mark.parametrize("pooling", ["last", "additive"])
@pytest.mark.parametrize(
    ("arguments", "shape"),
    [({}, (4, 2)), ({"features": 1}, (4, 1)), ({"quantiles": QUANTILES}, (4, 2, 3)), ({"quantiles": [0.5]}, (4, 2, 1))],
)
def test_shapes(arguments, shape, pooling):
    outputs = made(pooling=pooling, **arguments)(SERIES)
    assert outputs.shape == (3, *shape)


def test_quantiles_do_not_cross_whatever_the_weights_are():
    model = made(quantiles=(0.05, 0.25, 0.5, 0.75, 0.95))
    for scale in (0.1, 1, 30):
        model.set_weights([RANDOM.normal(0, scale, value.shape) for value in model.get_weights()])
        outputs = model.predict(100 * SERIES, verbose=0)
        assert np.isfinite(outputs).all()
        assert (np.diff(outputs, axis=-1) >= 0).all()
    model.set_weights([RANDOM.normal(0, 0.3, value.shape) for value in model.get_weights()])
    assert (np.diff(model(SERIES), axis=-1) > 0).all()


def test_the_equation_of_the_quantiles():
    model = made(quantiles=QUANTILES)
    numbers = keras.Model(model.input, model.get_layer("steps").output)(SERIES).numpy()
    ways = np.log1p(np.exp(numbers[..., 1:]))
    expected = np.cumsum(np.concatenate([numbers[..., :1], ways], axis=-1), axis=-1)
    np.testing.assert_allclose(model(SERIES), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pooling", ["last", "avg", "additive"])
def test_appended_padding_changes_nothing(pooling):
    model = made(mask_value=-1.0, bidirectional=True, pooling=pooling)
    longer = np.concatenate([SERIES, np.full((3, 4, 2), -1, "float32")], axis=1)
    np.testing.assert_allclose(model(longer), model(SERIES), rtol=1e-5, atol=1e-5)


def test_one_series_of_one_feature():
    assert made((None, 1))(SERIES[..., :1]).shape == (3, 4, 1)


def test_it_learns_the_quantiles_of_noise():
    random = np.random.default_rng(1)
    model = made((None, 1), 2, quantiles=QUANTILES, units=(4,))
    model.compile(keras.optimizers.Adam(0.05), QuantileLoss(QUANTILES))
    model.fit(random.normal(size=(512, 3, 1)), random.uniform(size=(512, 2, 1)), batch_size=128, epochs=25, verbose=0)
    told = model.predict(random.normal(size=(64, 3, 1)), verbose=0).mean((0, 1, 2))
    np.testing.assert_allclose(told, QUANTILES, atol=0.12)


@pytest.mark.parametrize("quantiles", [None, QUANTILES])
def test_half_precision_ends_in_float32_and_a_saved_model_answers_the_same(quantiles, tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = made(quantiles=quantiles, dropout=0.1, cell="gru")
    finally:
        keras.config.set_dtype_policy("float32")
    outputs = model(SERIES)
    assert outputs.dtype == "float32"
    assert np.isfinite(outputs).all()
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(SERIES), outputs)


def test_export(export):
    assert export(made(quantiles=QUANTILES, mask_value=0.0)).proven


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"horizon": 0}, r"horizon=0\) needs an integer of at least 1"),
        ({"features": 0}, r"features=0\) needs an integer of at least 1"),
        ({"quantiles": ()}, r"quantiles=\(\)\) needs numbers between 0 and 1"),
        ({"quantiles": (0.5, 0.1)}, "each larger than the one before"),
        ({"quantiles": (0.5, 1.0)}, "between 0 and 1"),
        ({"pooling": None}, r"pooling=None\) is unknown: choose one of 'avg'"),
        ({"shape": (7,)}, "needs length and features"),
        ({"units": ()}, r"units=\(\)\) needs the width of each block"),
        ({"units": (4, 1)}, "leaves nothing of it: make the last of units larger"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"block_options": {"units": 3}}, "cannot set 'units', which SequenceForecaster sets itself"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        made(**arguments)
