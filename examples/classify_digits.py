"""Train a small classifier on real digits, and end with artifacts that are proven to run.

It needs no network connection. A vision transformer, or a residual network, learns scikit-learn's 8 x 8 digits, each
moved, turned and scaled a little whenever it is seen, and keeps the weights with the lowest validation loss. Written
to --out:

  export/      saved_model/, model.onnx, model.tflite, each checked in its own runtime; they take pixels of 0 to 255
  digits.png   test digits with the ONNX file's answers, those it got wrong first, and what it takes for what

The last lines give the accuracy of the ONNX file on the test digits, of the Keras model, of the answer that is most
often right, and for scale of a nearest neighbour. Exit code 1: the ONNX file was not better than the commonest answer.
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
from sklearn.neighbors import KNeighborsClassifier

import keras_nnx as nnx


def build(kind: str, data: nnx.data.DataPipelines) -> keras.Model:
    """Return an untrained classifier of normalised pictures."""
    shape, classes = data.info.image_shape, data.info.num_classes
    if kind == "resnet":
        return nnx.models.ResNet(shape, classes, filters=(32, 64, 128), blocks=(1, 1, 1))
    return nnx.models.ViT(shape, classes, dim=64, depth=3, stochastic_depth=0.1)


def train(classifier: keras.Model, data: nnx.data.DataPipelines, epochs: int) -> None:
    """Train a classifier, and leave it with the weights that had the lowest validation loss."""
    steps = epochs * int(data.train.cardinality())
    warmup = max(1, steps // 10)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup), warmup_target=2e-3, warmup_steps=warmup
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


def deployable(classifier: keras.Model, data: nnx.data.DataPipelines, name: str) -> keras.Model:
    """Return a classifier of pixels: the normalisation is inside."""
    pixels = keras.Input(data.info.image_shape, name="image")
    scores = keras.layers.Identity(name="scores")(classifier(data.normalization()(pixels)))
    return keras.Model(pixels, scores, name=name)


def confusion_matrix(labels: np.ndarray, answers: np.ndarray, classes: int) -> np.ndarray:
    """Return how often each class (row) was taken for each (column)."""
    table = np.zeros((classes, classes), int)
    np.add.at(table, (labels, answers), 1)
    return table


def choose(right: np.ndarray, count: int) -> np.ndarray:
    """Return the places of `count` pictures to show: up to half of them wrong answers, then right ones."""
    wrong, fine = np.flatnonzero(~right)[: count // 2], np.flatnonzero(right)
    return np.concatenate([wrong, fine])[:count]


def draw(path: Path, pictures: np.ndarray, labels: np.ndarray, answers: np.ndarray, names: tuple[str, ...]) -> None:
    """Write a picture: digits with the answers on the left, the confusion matrix on the right."""
    figure = Figure(figsize=(13, 6), layout="constrained", facecolor="white")
    left, right = figure.subfigures(1, 2, width_ratios=(1.15, 1))
    left.suptitle("Test digits with the answers of the ONNX file; wrong ones are red", fontsize=12)
    panels = left.subplots(5, 8)
    for panel in panels.flat:
        panel.axis("off")
    for panel, place in zip(panels.flat, choose(answers == labels, panels.size), strict=False):
        panel.imshow(pictures[place, ..., 0], cmap="gray_r", vmin=0, vmax=255)
        truth, answer = names[labels[place]], names[answers[place]]
        if truth == answer:
            panel.set_title(answer, fontsize=12, color="#1a7f37")
        else:
            panel.set_title(f"{answer}, is {truth}", fontsize=12, color="#c62828", fontweight="bold")
    panel, table = right.subplots(), confusion_matrix(labels, answers, len(names))
    panel.imshow(table, cmap="Blues", vmax=2 * table.max())
    for (row, column), count in np.ndenumerate(table):
        if count:
            colour = "black" if row == column else "#c62828"
            panel.text(column, row, count, ha="center", va="center", color=colour, fontsize=11)
    panel.set_title("How often each digit was taken for each", fontsize=12)
    panel.set(xlabel="answer", ylabel="truth", xticks=range(len(names)), yticks=range(len(names)))
    panel.set(xticklabels=names, yticklabels=names)
    figure.savefig(path, dpi=110)


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
    add("--model", choices=("vit", "resnet"), default="vit", help="what to train (default: %(default)s)")
    add("--epochs", type=positive, default=80, help="passes over the digits to train on (default: %(default)s)")
    add("--seed", type=positive, default=1, help="of weights and order; one seed, one result (default: 1)")
    add("--out", type=Path, default=Path("build/classify_digits"), help="folder to write to (default: %(default)s)")
    return parser.parse_args()


def main() -> None:
    """Train, export, and measure the artifact on the test digits."""
    options = read_options()
    keras.utils.set_random_seed(options.seed)
    data = nnx.data.load("digits", augment="affine", seed=options.seed)
    classifier = build(options.model, data)
    train(classifier, data, options.epochs)
    model = deployable(classifier, data, f"digits_{options.model}")
    report = nnx.export_model(
        model,
        options.out / "export",
        formats=("saved_model", "onnx", "tflite"),
        calibration=data.raw("train").take(4),
        labels=data.info.labels,
        metadata={"example": "classify_digits", "model": options.model, "seed": options.seed},
        overwrite=True,
    )
    print(report)

    pictures, labels = (np.concatenate(parts) for parts in zip(*data.raw("test").as_numpy_iterator(), strict=True))
    session = onnxruntime.InferenceSession(str(report.artifacts["onnx"].path), providers=["CPUExecutionProvider"])
    answers = session.run(None, {"image": pictures})[0].argmax(axis=1)
    draw(options.out / "digits.png", pictures, labels, answers, data.info.labels)
    print(f"The answers and what is taken for what: {options.out / 'digits.png'}")
    print(f"for scale, the nearest training digit, pixel by pixel: {nearest_neighbour(data, pictures, labels):.1%}")
    finish(labels, answers, np.asarray(model(pictures)).argmax(axis=1))


def nearest_neighbour(data: nnx.data.DataPipelines, pictures: np.ndarray, labels: np.ndarray) -> float:
    """Return how many pictures have the class of the nearest training digit: on 8 x 8 pixels, hard to beat."""
    seen, classes = (np.concatenate(parts) for parts in zip(*data.raw("train").as_numpy_iterator(), strict=True))
    nearest = KNeighborsClassifier(1).fit(seen.reshape(len(seen), -1), classes)
    return float(nearest.score(pictures.reshape(len(pictures), -1), labels))


def finish(labels: np.ndarray, answers: np.ndarray, kept: np.ndarray) -> None:
    """Print what was reached, and end with exit code 1 where the commonest class is as good an answer."""
    reached, majority = (answers == labels).mean(), np.bincount(labels).max() / len(labels)
    print(f"ONNX: {reached:.1%} of {len(labels)} test digits; Keras: {(kept == labels).mean():.1%}")
    print(f"the majority class: {majority:.1%}")
    if reached <= majority:
        sys.exit("The ONNX file is not better than the majority class: train longer (--epochs).")


if __name__ == "__main__":
    main()
