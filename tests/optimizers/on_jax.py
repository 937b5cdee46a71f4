"""A program that trains on the JAX backend: `python -m tests.optimizers.on_jax file.npz`.

It writes the weights after training, named `option/index`; the TensorFlow backend runs the same functions.
"""

import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

from keras_nnx.losses import DistillationLoss
from keras_nnx.optimizers import LayerwiseDecay

OPTIONS = {
    "plain": {},
    "clipped": {"global_clipnorm": 0.1},
    "accumulated": {"gradient_accumulation_steps": 2},
    "averaged": {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2},
    "scheduled": {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)},
}


def network():
    """A model whose weights are the same on every backend."""
    layers = [keras.layers.Dense(4, activation="tanh", name=name) for name in ("first", "second")]
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(3, name="head")], name="net")
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(-1, 1, value.shape) for value in model.get_weights()])
    return model


def trained(option):
    """The weights after four steps, a save, a load, and four more."""
    random = np.random.default_rng(1)
    inputs, scores = (random.standard_normal((8, size)).astype("float32") for size in (4, 3))
    arguments = {"learning_rate": 0.1, "weight_decay": 0.1, **OPTIONS[option]}
    model = network()
    optimizer = LayerwiseDecay.from_model(keras.optimizers.AdamW(**arguments), model, decay=0.5)
    model.compile(optimizer, DistillationLoss("soft", temperature=2.0))
    for again in (False, True):
        model.fit(inputs, scores, batch_size=2, shuffle=False, verbose=0)
        if not again:
            with tempfile.TemporaryDirectory() as folder:
                model.save(Path(folder) / "model.keras")
                model = keras.models.load_model(Path(folder) / "model.keras")
    return model.get_weights()


def main(path):
    """Train with every option."""
    assert keras.backend.backend() == "jax"
    assert "tensorflow" not in sys.modules
    np.savez(path, **{f"{option}/{i}": value for option in OPTIONS for i, value in enumerate(trained(option))})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
