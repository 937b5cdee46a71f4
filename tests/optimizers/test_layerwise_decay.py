"""Every layer moves at its own rate, and all else is as in the optimizer inside."""

import contextlib

import keras
import numpy as np
import pytest

from keras_nnx.optimizers import LayerwiseDecay

RATES = {"first": 0.0, "second": 0.25, "second/bias": 0.5, "model/third": 2.0}
INPUTS = np.random.default_rng(0).standard_normal((8, 4)).astype("float32")
TARGETS = np.random.default_rng(1).standard_normal((8, 3)).astype("float32")

INNER = {
    "sgd": lambda rate: keras.optimizers.SGD(rate, momentum=0.9),
    "adam": lambda rate: keras.optimizers.Adam(rate),
    "adamw": lambda rate: keras.optimizers.AdamW(rate, weight_decay=0.5),
    "muon": lambda rate: keras.optimizers.Muon(rate, weight_decay=0.5, adam_weight_decay=0.3),
    "lion": lambda rate: keras.optimizers.Lion(rate),
}
OPTIONS = (
    {"clipnorm": 0.05},
    {"clipvalue": 0.01},
    {"global_clipnorm": 0.1},
    {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2},
    {"use_ema": True, "ema_momentum": 0.5},
    {"gradient_accumulation_steps": 2},
    {"loss_scale_factor": 64.0},
    {"weight_decay": 0.3},
    {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)},
)


def variables():
    """Variables with the paths of layers, filled."""
    random = np.random.default_rng(0)
    found = []
    for path in ("first/kernel", "second/kernel", "second/bias", "model/third/kernel", "secondary/kernel"):
        *scopes, name = path.split("/")
        with contextlib.ExitStack() as stack:
            for scope in scopes:
                stack.enter_context(keras.name_scope(scope))
            found.append(keras.Variable(random.standard_normal((3, 2)).astype("float32"), name=name))
    assert [variable.path for variable in found][3] == "model/third/kernel"
    return found


def gradients(count=3):
    random = np.random.default_rng(1)
    return [[random.standard_normal((3, 2)).astype("float32") for _ in range(5)] for _ in range(count)]


def network(dtype=None):
    layers = [keras.layers.Dense(4, activation="tanh", name=name, dtype=dtype) for name in ("first", "second")]
    return keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(3, name="head", dtype=dtype)], name="net")


def trained(optimizer, epochs=1, model=None, **options):
    """A model after four steps an epoch."""
    keras.utils.set_random_seed(0)
    model = model or network()
    model.compile(optimizer, "mse", **options)
    model.fit(INPUTS, TARGETS, batch_size=2, epochs=epochs, shuffle=False, verbose=0)
    return model


def same_weights(first, second, **tolerance):
    for received, expected in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(received, expected, **tolerance)


def test_a_step_is_the_rate_times_the_multiplier_times_the_gradient():
    found, (steps,) = variables(), gradients(1)
    before = [variable.numpy() for variable in found]
    LayerwiseDecay(keras.optimizers.SGD(0.1), RATES, default=0.75).apply(steps, found)
    for variable, old, gradient, rate in zip(found, before, steps, (0.0, 0.25, 0.5, 2.0, 0.75), strict=True):
        np.testing.assert_allclose(variable.numpy(), old - 0.1 * rate * gradient, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(found[0].numpy(), before[0])


@pytest.mark.parametrize("name", INNER)
def test_it_equals_an_optimizer_for_each_rate(name):
    found, apart = variables(), variables()
    optimizer = LayerwiseDecay(INNER[name](0.1), RATES)
    others = [INNER[name](0.1 * rate) for rate in (0.0, 0.25, 0.5, 2.0, 1.0)]
    for steps in gradients():
        optimizer.apply(steps, found)
        for other, gradient, variable in zip(others, steps, apart, strict=True):
            other.apply([gradient], [variable])
    for received, expected in zip(found, apart, strict=True):
        np.testing.assert_allclose(received.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_multipliers_of_one_change_nothing(options):
    """The options of the optimizer inside hold as they do without."""
    plain, wrapped = (keras.optimizers.AdamW(**{"learning_rate": 0.1, "weight_decay": 0.1, **options}) for _ in "ab")
    expected = trained(plain, epochs=2)
    received = trained(LayerwiseDecay(wrapped, {"net/first": 1.0}), epochs=2)
    same_weights(received, expected, rtol=1e-6, atol=1e-7)
    without = trained(keras.optimizers.AdamW(0.1, weight_decay=0.1), epochs=2)
    if "loss_scale_factor" not in options:
        assert any(
            np.abs(a - b).max() > 1e-4 for a, b in zip(received.get_weights(), without.get_weights(), strict=True)
        )


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_multipliers_hold_with_every_option(options):
    arguments = {"learning_rate": 0.1, "weight_decay": 0.1, **options}
    optimizer = LayerwiseDecay(keras.optimizers.AdamW(**arguments), {"net/first": 0.0, "net/second": 0.5})
    keras.utils.set_random_seed(0)
    start = network()
    model = trained(optimizer)
    for index in (0, 1):
        np.testing.assert_allclose(model.get_weights()[index], start.get_weights()[index], rtol=1e-6, atol=1e-7)
    assert all(
        np.abs(a - b).max() > 1e-4 for a, b in zip(model.get_weights()[2:], start.get_weights()[2:], strict=True)
    )
    assert int(optimizer.iterations) == (2 if "gradient_accumulation_steps" in options else 4)


def test_weights_can_be_excluded_from_decay():
    found = variables()
    before = [variable.numpy() for variable in found]
    optimizer = LayerwiseDecay(keras.optimizers.AdamW(0.1, weight_decay=0.5), RATES)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.apply([np.zeros((3, 2), "float32")] * 5, found)
    left = [variable.numpy() / old for variable, old in zip(found, before, strict=True)]
    for share, rate in zip(left, (0.0, 0.25, 0.0, 2.0, 1.0), strict=True):
        np.testing.assert_allclose(share, 1 - 0.1 * 0.5 * rate, rtol=1e-5)


def test_compiled_by_xla_it_trains_the_same():
    optimizers = (LayerwiseDecay(keras.optimizers.Adam(0.1), {"net/first": 0.3}) for _ in "ab")
    same_weights(*(trained(o, jit_compile=jit) for o, jit in zip(optimizers, (True, False), strict=True)), atol=1e-5)


def test_callbacks_change_the_learning_rate():
    optimizer = LayerwiseDecay(keras.optimizers.SGD(0.5), {"net/first": 0.1})
    model = network()
    model.compile(optimizer, "mse")
    reduce = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=0, min_delta=1e9)
    model.fit(INPUTS, TARGETS, epochs=3, verbose=0, callbacks=[reduce])
    assert float(optimizer.learning_rate) == float(optimizer.inner_optimizer.learning_rate) == 0.125
    optimizer.learning_rate = 0.0
    before = model.get_weights()
    model.fit(INPUTS, TARGETS, verbose=0)
    for received, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_moving_averages_can_be_swapped_in(dtype):
    keras.config.set_dtype_policy(dtype)
    try:
        model = network()
        model.compile(LayerwiseDecay(keras.optimizers.SGD(0.5, use_ema=True), {"net/first": 0.1}), "mse")
        swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
        validation = {"validation_data": (INPUTS, TARGETS), "epochs": 2, "verbose": 0}
        model.fit(INPUTS, TARGETS, callbacks=[swap], **validation)
    finally:
        keras.config.set_dtype_policy("float32")
    assert all(np.isfinite(value).all() for value in model.get_weights())


def test_mixed_precision_scales_the_loss_around_it():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        optimizer = LayerwiseDecay(keras.optimizers.SGD(0.1, loss_scale_factor=8.0), {"net/first": 0.0})
        keras.utils.set_random_seed(0)
        start = network().get_weights()
        model = trained(optimizer)
    finally:
        keras.config.set_dtype_policy("float32")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert model.optimizer.inner_optimizer is optimizer
    assert optimizer.inner_optimizer.loss_scale_factor is None
    same_weights(model, trained(keras.optimizers.SGD(0.1), model=frozen_first()), atol=2e-3)
    np.testing.assert_array_equal(model.get_weights()[0], start[0])
    assert np.abs(model.get_weights()[2] - start[2]).max() > 5e-3


def frozen_first():
    keras.utils.set_random_seed(0)
    model = network()
    model.get_layer("first").trainable = False
    return model


def test_optimizer_weights_can_be_set():
    first, second = (LayerwiseDecay(keras.optimizers.Adam(0.1), RATES) for _ in "ab")
    first.apply(gradients(1)[0], variables())
    second.build(variables())
    second.set_weights([variable.numpy() for variable in first.variables])
    for received, expected in zip(second.variables, first.variables, strict=True):
        np.testing.assert_array_equal(received.numpy(), expected.numpy())
    assert int(second.iterations) == 1


def test_an_inner_optimizer_serves_one():
    inner = keras.optimizers.SGD(0.1)
    LayerwiseDecay(inner, RATES).build(variables())
    with pytest.raises(ValueError, match=r"inner_optimizer='.*'\) is in use: give it a new optimizer"):
        LayerwiseDecay(inner, RATES).build(variables())


def test_a_path_that_fits_nothing_lists_close_ones():
    with pytest.raises(
        ValueError, match=r"\{'model/thirt': ...\}\) fits no variable that trains. Close to it: 'model/third'"
    ):
        LayerwiseDecay(keras.optimizers.SGD(0.1), {"model/thirt": 0.1}).build(variables())
    with pytest.raises(ValueError, match=r"Close to it: 'first', 'model', 'second', 'secondary'\."):
        LayerwiseDecay(keras.optimizers.SGD(0.1), {"xyz": 0.1}).build(variables())
    with pytest.raises(ValueError, match="'secon'"):
        LayerwiseDecay(keras.optimizers.SGD(0.1), {"secon": 0.1}).build(variables())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inner_optimizer": "adam"}, r"inner_optimizer='adam'\) needs an optimizer"),
        (
            {"inner_optimizer": keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))},
            r"LossScaleOptimizer\) leaves its steps to other optimizers.*keep LossScaleOptimizer outermost",
        ),
        ({"inner_optimizer": LayerwiseDecay(keras.optimizers.SGD(0.1), {})}, "leaves its steps to other optimizers"),
        ({"multipliers": [("first", 1.0)]}, "needs a dictionary from paths to numbers"),
        ({"multipliers": {"first": -0.1}}, r"multipliers\['first'\]=-0.1\) needs a finite number of at least 0"),
        ({"multipliers": {"first": float("nan")}}, "=nan.*needs a finite number"),
        ({"multipliers": {"first/": 0.1}}, r"multipliers=\{'first/': 0.1\}\) needs paths such as"),
        ({"multipliers": {1: 0.1}}, "needs paths such as"),
        ({"default": "1"}, r"default='1'\) needs a finite number"),
        ({"default": True}, r"default=True\) needs a finite number"),
        ({"clipnorm": 1.0}, r"got \['clipnorm'\]: it takes a name; give the rest to inner_optimizer"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LayerwiseDecay(**{"inner_optimizer": keras.optimizers.SGD(0.1), "multipliers": {}, **arguments})


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ValueError, match="runs on TensorFlow and JAX, but the backend is torch"):
        LayerwiseDecay(keras.optimizers.SGD(0.1), {})
