"""Find a learning rate by a sweep, and see what it is worth against a lower and a higher one.

It needs no network connection. A residual network for scikit-learn's 8 x 8 digits is trained three times from the
same weights, along one cycle of learning rate and momentum: to the rate that the sweep suggests, to a thirtieth of it,
and to thirty times as much. Each keeps the weights with the lowest validation loss. Written to --out:

  export/    saved_model/, model.onnx, model.tflite of the suggested rate, checked in their own runtimes
  sweep.png  the loss over the learning rate, with the suggestion
  rates.png  the validation loss of the three trainings

The last lines give the accuracy of the ONNX file on the test digits, and those of the two other trainings. Exit code 1:
the suggested rate was worse than both, or has under 90%.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer of TensorFlow's start-up lines

import keras
import numpy as np
import onnxruntime
from matplotlib.figure import Figure

import keras_nnx as nnx

ENOUGH = 0.9
OTHERS = {"a thirtieth of it": 1 / 30, "thirty times as much": 30.0}


def build(data: nnx.data.DataPipelines) -> keras.Model:
    """Return an untrained classifier of normalised pictures."""
    return nnx.models.ResNet(data.info.image_shape, data.info.num_classes, filters=(16, 32), blocks=(1, 1))


def sweep(classifier: keras.Model, data: nnx.data.DataPipelines, path: Path) -> float:
    """Draw the loss over the learning rate, and return the suggestion; the classifier stays as it was."""
    classifier.compile(keras.optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy", jit_compile=True)
    finder = nnx.callbacks.LearningRateFinder(1e-5, 10.0, steps=150)
    finder.find(classifier, data.train, shuffle=False)
    finder.plot(path)
    print(f"swept to {finder.learning_rates[-1]:.2g} ({finder.reason}); suggested: {finder.suggestion:.2g}")
    return finder.suggestion


def train(classifier: keras.Model, data: nnx.data.DataPipelines, rate: float, epochs: int) -> list[float]:
    """Train along one cycle to a rate, keep the best weights, and return the validation loss of each epoch."""
    steps = max(10, epochs * int(data.train.cardinality()))
    optimizer = nnx.optimizers.ScheduledSGD(
        nnx.schedules.OneCycle(rate, steps), nnx.schedules.OneCycleMomentum(steps), nesterov=True
    )
    classifier.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=True)
    stopping = nnx.callbacks.EarlyStopping("val_loss", patience=None)
    history = classifier.fit(
        data.train, validation_data=data.validation, epochs=epochs, callbacks=[stopping], shuffle=False, verbose=0
    )
    print(f"trained to {rate:.2g}: {stopping.reason}; validation loss {stopping.best.get('val_loss', np.inf):.3f}")
    return history.history["val_loss"]


def draw(path: Path, losses: dict[str, list[float]]) -> None:
    """Write a picture of the validation losses."""
    figure = Figure(figsize=(7, 4), layout="constrained", facecolor="white")
    panel = figure.subplots()
    for name, values in losses.items():
        panel.plot(range(1, len(values) + 1), values, marker="o", label=name)
    panel.set(xlabel="epoch", ylabel="validation loss", yscale="log")
    panel.yaxis.set_major_formatter("{x:g}")
    low, high = panel.get_ylim()
    panel.yaxis.set_minor_formatter("{x:g}" if high < 10 * low else "")
    panel.grid(alpha=0.3)
    panel.legend(title="highest learning rate", frameon=False)
    figure.savefig(path, dpi=110)


def deployable(classifier: keras.Model, data: nnx.data.DataPipelines) -> keras.Model:
    """Return a classifier of pixels: the normalisation is inside."""
    pixels = keras.Input(data.info.image_shape, name="image")
    scores = keras.layers.Identity(name="scores")(classifier(data.normalization()(pixels)))
    return keras.Model(pixels, scores, name="digits_by_sweep")


def positive(text: str) -> int:
    """Return the whole number over 0 that an option was given."""
    number = int(text)
    if number < 1:
        raise ValueError(f"{number} is under 1")
    return number


def read_options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--epochs", type=positive, default=8, help="passes over the digits in each training (default: %(default)s)")
    add("--seed", type=positive, default=1, help="of weights and order; one seed, one result (default: 1)")
    add("--out", type=Path, default=Path("build/find_learning_rate"), help="folder to write to (default: %(default)s)")
    return parser.parse_args()


def finish(reached: float, others: dict[str, float]) -> None:
    """Print what was reached, and end with exit code 1 where the suggested rate is worse than all others."""
    print(f"ONNX, trained to the suggested rate: {reached:.1%} of the test digits")
    print("; ".join(f"{name}: {accuracy:.1%}" for name, accuracy in others.items()))
    if reached < ENOUGH:
        sys.exit(f"That is under {ENOUGH:.0%}: look at sweep.png, sweep with more steps, or train longer (--epochs).")
    if reached < min(others.values()):
        sys.exit("The suggested rate is worse than both others: sweep with more steps, or train longer (--epochs).")


def main() -> None:
    """Sweep, train three times, export, and measure the artifact on the test digits."""
    options = read_options()
    keras.utils.set_random_seed(options.seed)
    data = nnx.data.load("digits", augment="affine", seed=options.seed)
    pictures, labels = (np.concatenate(parts) for parts in zip(*data.raw("test").as_numpy_iterator(), strict=True))
    classifier = build(data)
    suggested = sweep(classifier, data, options.out / "sweep.png")
    start, losses, others = classifier.get_weights(), {}, {}
    for name, factor in {**OTHERS, "suggested": 1.0}.items():  # the last is left in the classifier
        classifier.set_weights(start)
        losses[f"{name}: {suggested * factor:.2g}"] = train(classifier, data, suggested * factor, options.epochs)
        model = deployable(classifier, data)
        others[name] = float((np.asarray(model(pictures)).argmax(axis=1) == labels).mean())
    del others["suggested"]
    draw(options.out / "rates.png", losses)
    report = nnx.export_model(
        model,
        options.out / "export",
        formats=("saved_model", "onnx", "tflite"),
        calibration=data.raw("train").take(4),
        labels=data.info.labels,
        metadata={"example": "find_learning_rate", "learning_rate": suggested, "seed": options.seed},
        overwrite=True,
    )
    print(report)
    session = onnxruntime.InferenceSession(str(report.artifacts["onnx"].path), providers=["CPUExecutionProvider"])
    finish(float((session.run(None, {"image": pictures})[0].argmax(axis=1) == labels).mean()), others)


if __name__ == "__main__":
    main()
