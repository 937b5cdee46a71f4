"""Train a small vision transformer on real digits, and end with artifacts that are proven to run.

    python examples/classify_digits.py [--epochs 80] [--out build/classify_digits]

It needs no network. The last lines compare the artifact with the model and with the majority class.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer of TensorFlow's start-up lines

import keras
import numpy as np
import onnxruntime

import keras_nnx as nnx


def train(data, epochs: int) -> keras.Model:
    """Return a classifier of normalised pictures, on the weights with the lowest validation loss."""
    classifier = nnx.models.ViT(data.info.image_shape, data.info.num_classes, dim=64, depth=3, stochastic_depth=0.1)
    steps = epochs * int(data.train.cardinality())
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 10, warmup_target=2e-3, warmup_steps=max(1, steps // 10)
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=0.2)
    # Only weight matrices decay: no biases and scales, no class token, no positions.
    others = [v for v in classifier.trainable_variables if len(v.shape) < 2 or v.name in ("token", "positions")]
    optimizer.exclude_from_weight_decay(var_list=others)
    classifier.compile(
        optimizer,
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=True,
    )
    best = keras.callbacks.EarlyStopping(patience=30, restore_best_weights=True)
    classifier.fit(
        data.train, validation_data=data.validation, epochs=epochs, callbacks=[best], shuffle=False, verbose=2
    )
    return classifier


def main() -> None:
    """Train, export, and measure the artifact on the test split."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--out", type=Path, default=Path("build/classify_digits"))
    options = parser.parse_args()

    keras.utils.set_random_seed(0)
    data = nnx.data.load("digits", augment="affine")
    classifier = train(data, options.epochs)

    pixels = keras.Input(data.info.image_shape, name="image")
    model = keras.Model(pixels, classifier(data.normalization()(pixels)), name="digits_vit")
    report = nnx.export_model(
        model,
        options.out,
        calibration=data.raw("train").take(4),
        labels=data.info.labels,
        metadata={"example": "classify_digits"},
        overwrite=True,
    )
    print(report)

    pictures, labels = (np.concatenate(parts) for parts in zip(*data.raw("test").as_numpy_iterator(), strict=True))
    session = onnxruntime.InferenceSession(str(report.artifacts["onnx"].path), providers=["CPUExecutionProvider"])
    answers = session.run(None, {"image": pictures})[0].argmax(axis=1)
    kept = np.asarray(model(pictures)).argmax(axis=1)
    print(f"ONNX: {(answers == labels).mean():.1%} of {len(labels)} test digits; Keras: {(kept == labels).mean():.1%};")
    print(f"the majority class: {np.bincount(labels).max() / len(labels):.1%}")


if __name__ == "__main__":
    main()
