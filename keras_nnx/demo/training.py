"""Training of the demonstration's classifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras

from keras_nnx import callbacks, models, schedules
from keras_nnx.demo.configuration import Configuration

if TYPE_CHECKING:
    from keras_nnx.data import DataPipelines


def build_classifier(configuration: Configuration, data: DataPipelines) -> keras.Model:
    """Return the untrained classifier for the images of `data`."""
    shape, classes = data.info.image_shape, data.info.num_classes
    if configuration.model == "resnet":
        return models.ResNet(shape, classes, filters=(32, 64, 128), blocks=(1, 1, 1))
    return models.ViT(shape, classes, patch_size=2, dim=64, depth=3, num_heads=4, stochastic_depth=0.1)


def train(
    model: keras.Model, data: DataPipelines, configuration: Configuration, verbose: int
) -> dict[str, list[float]]:
    """Train `model` in place, end on its best weights, and return the curves, one value an epoch."""
    steps = int(data.train.cardinality()) * configuration.epochs
    warmup = max(1, int(configuration.warmup_share * steps))
    schedule = schedules.CosineRestarts(
        configuration.learning_rate, period=max(1, steps - warmup), restarts=0, warmup_steps=warmup
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=configuration.decay)
    # Biases, normalisation scales, the class token and the positions are no weight matrices.
    optimizer.exclude_from_weight_decay(
        var_list=[v for v in model.trainable_variables if len(v.shape) < 2 or v.name in ("token", "positions")]
    )
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=True)
    stopping = callbacks.EarlyStopping("val_loss", patience=configuration.patience)
    history = model.fit(
        data.train,
        validation_data=data.validation,
        epochs=configuration.epochs,
        callbacks=[stopping],
        shuffle=False,  # the pipeline shuffles
        verbose=verbose,
    )
    return {name: [float(value) for value in values] for name, values in history.history.items()}


def deployable(model: keras.Model, data: DataPipelines) -> keras.Model:
    """Return `model` behind the normalisation of its training data, so that it takes pixels of 0 to 255."""
    pixels = keras.Input(data.info.image_shape, name="image")
    scores = model(data.normalization()(pixels))
    return keras.Model(pixels, keras.layers.Identity(name="scores")(scores), name=f"{data.info.name}_{model.name}")
