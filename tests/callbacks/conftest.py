"""What the tests of callbacks share: small models, data, and ways to steer what happens."""

import keras
import numpy as np
import pytest

INPUTS, TARGETS = (np.random.default_rng(seed).standard_normal((16, 3)).astype("float32") for seed in (0, 1))


class Says(keras.callbacks.Callback):
    """Puts given values into the logs of the epochs, in front of the callbacks behind it."""

    def __init__(self, **values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs.update({name: values[epoch] for name, values in self.values.items() if epoch < len(values)})


class Does(keras.callbacks.Callback):
    """Calls a function at a moment of training."""

    def __init__(self, moment, function):
        super().__init__()
        setattr(self, moment, lambda *arguments, **_: function(self.model, *arguments))


class Weights(keras.callbacks.Callback):
    """Keeps the weights that the model had at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.found = []

    def on_epoch_end(self, epoch, logs=None):
        self.found.append(self.model.get_weights())


def network(*, dropout=0.0, normalised=False, depth=1):
    """A small model with everything that a callback may have to put back."""
    layers = [keras.layers.Dense(4, activation="relu", name=f"hidden_{i}") for i in range(depth)]
    if normalised:
        layers.append(keras.layers.BatchNormalization(name="normalised"))
    if dropout:
        layers.append(keras.layers.Dropout(dropout, seed=3, name="dropped"))
    return keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(3, name="head")])


def compiled(optimizer=None, *, jit_compile=False, steps_per_execution=1, **options):
    model = network(**options)
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9) if optimizer is None else optimizer
    model.compile(optimizer, "mse", jit_compile=jit_compile, steps_per_execution=steps_per_execution)
    return model


def fit(model, *callbacks, epochs=5, batch_size=4, **arguments):
    arguments = {"x": INPUTS, "y": TARGETS, "shuffle": False, "verbose": 0, **arguments}
    return model.fit(epochs=epochs, batch_size=batch_size, callbacks=list(callbacks), **arguments)


def same(one, other, **tolerance):
    assert len(one) == len(other)
    for first, second in zip(one, other, strict=True):
        np.testing.assert_allclose(first, second, **{"rtol": 0, "atol": 0, **tolerance})


def different(one, other):
    assert any(np.abs(first - second).max() > 1e-6 for first, second in zip(one, other, strict=True))


@pytest.fixture(params=[(True, 1), (True, 2), (False, 2)], ids=["jit", "jit-2-steps", "graph-2-steps"])
def options(request):
    """How the training step is compiled."""
    return {"jit_compile": request.param[0], "steps_per_execution": request.param[1]}
