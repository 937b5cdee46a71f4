"""A program that measures on the JAX backend: `python -m tests.metrics.on_jax file.npz`.

It writes what each metric gives; the TensorFlow backend runs the same function.
"""

import sys
from pathlib import Path

import keras
import numpy as np

from keras_nnx import metrics

KINDS = {
    "FrechetDistance": {},
    "KernelDistance": {"subsets": 5, "subset_size": 30, "max_samples": 50},
    "PrecisionRecall": {"max_samples": 50},
}


def network():
    """A classifier whose weights are the same on every backend."""
    layers = [
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(4, 3),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.5),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3),
    ]
    model = keras.Sequential([keras.Input((4, 4, 3)), *layers], name="net")
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.5, 1, value.shape) for value in model.get_weights()])
    return model


def measured(kind):
    """What a metric gives over two epochs, the second after its state was saved and set."""
    real, *epochs = np.random.default_rng(1).integers(0, 256, (3, 70, 4, 4, 3)).astype("uint8")
    metric = getattr(metrics, kind)(metrics.feature_extractor(network()), **KINDS[kind])
    metric.update_real(real)
    values = []
    for images in epochs:
        metric.set_state(metric.get_state())
        metric.reset_generated()
        metric.update_generated(images[:65])
        metric.update_generated(keras.ops.convert_to_tensor(images[65:]))
        result = metric.result()
        values.append(list(result.to_dict().values()) if isinstance(result, metrics.Overlap) else [result])
    return np.array(values)


def main(path):
    """Measure by every metric."""
    assert keras.backend.backend() == "jax"
    assert "tensorflow" not in sys.modules
    np.savez(path, **{kind: measured(kind) for kind in KINDS})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
