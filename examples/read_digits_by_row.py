"""Train a network that reads digits row by row and answers after each, and end with an artifact to be fed in rows.

It needs no network connection. Scikit-learn's 8 x 8 digits, as they are and moved, turned and scaled a little, are
read from top to bottom by two recurrent blocks that name the digit after every row. The exported step model takes
a row of pixels and what it remembers, and gives the answer so far. Written to --out:

  streaming/   saved_model/, model.onnx, model.tflite, each proven in its own runtime to answer in
               chunks as it does at once
  rows.png     answers of the ONNX file while it is fed row by row, and how many are right after each row

The last lines give the accuracy on the test digits after each row, of the ONNX file fed row by row and of logistic
regression, a new one for each number of rows; and for scale that of a nearest neighbour and of the commonest class.
Exit code 1: after the last row, the ONNX file was not better than logistic regression.
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
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

import keras_nnx as nnx

BLUE, ORANGE, GREY = "#1f5fa8", "#d9730d", "#808892"


def load_rows(data: nnx.data.DataPipelines, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the digits of a split as rows of pixels, (n, 8, 8) from 0 to 255, with their classes."""
    pictures, labels = (np.concatenate(parts) for parts in zip(*data.raw(split).as_numpy_iterator(), strict=True))
    return pictures[..., 0], labels


def train(data: nnx.data.DataPipelines, plain: nnx.data.DataPipelines, epochs: int) -> keras.Model:
    """Return a classifier of normalised rows that answers at each, with the weights of the lowest validation loss.

    An epoch has every digit twice, as `data` moves it and as it is: a digit that is moved down begins with empty rows,
    and would teach that the first rows tell little.
    """
    rows, width, _ = data.info.image_shape
    model = nnx.models.SequenceClassifier(
        (None, width), data.info.num_classes, units=(96, 96), cell="gru", dropout=0.1, pooling=None
    )

    def at_each_row(pictures, labels):  # b h w 1, b -> b h w, b h
        return pictures[..., 0], keras.ops.repeat(labels[:, None], rows, axis=1)

    pictures = data.train.concatenate(plain.train).map(at_each_row)
    steps = epochs * int(pictures.cardinality())
    schedule = keras.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=4e-3, warmup_steps=max(1, steps // 20))
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=0.05), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(
        pictures,
        validation_data=data.validation.map(at_each_row),
        epochs=epochs,
        callbacks=[keras.callbacks.EarlyStopping(patience=20, restore_best_weights=True)],
        shuffle=False,
        verbose=2,
    )
    return model


def deployable(classifier: keras.Model, data: nnx.data.DataPipelines) -> keras.Model:
    """Return a classifier of rows of pixels: the normalisation is inside."""
    rows = keras.Input((None, data.info.image_shape[1]), name="rows")
    normalised = data.normalization()(keras.ops.expand_dims(rows, -1))[..., 0]
    scores = keras.layers.Identity(name="scores")(classifier(normalised))
    return keras.Model(rows, scores, name="digits_by_row")


def feed(path: Path, states: list[dict], pictures: np.ndarray) -> np.ndarray:
    """Return the scores after each row, (n, rows, classes), of an ONNX step model that is given one row at a time."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    held = {row["input"]: np.full((len(pictures), *row["shape"]), row["initial"], row["dtype"]) for row in states}
    scores = []
    for index in range(pictures.shape[1]):
        answers = dict(zip(names, session.run(None, {"rows": pictures[:, index : index + 1], **held}), strict=True))
        held = {row["input"]: answers[row["output"]] for row in states}
        scores.append(answers["scores"])
    return np.concatenate(scores, axis=1)


def baselines(known: tuple, unseen: tuple) -> dict[str, np.ndarray]:
    """Return the accuracy after each row of classifiers that are trained anew for each number of rows."""
    makers = {
        "logistic regression": lambda: LogisticRegression(max_iter=1000),
        "nearest neighbour": lambda: KNeighborsClassifier(1),
    }
    (pictures, labels), (others, truth) = known, unseen
    return {
        name: np.array(
            [
                make().fit(flat(pictures, rows), labels).score(flat(others, rows), truth)
                for rows in range(1, pictures.shape[1] + 1)
            ]
        )
        for name, make in makers.items()
    }


def flat(pictures: np.ndarray, rows: int) -> np.ndarray:
    """Return the first rows of pictures as one vector each, from 0 to 1."""
    return pictures[:, :rows].reshape(len(pictures), -1) / 255


def draw(path: Path, pictures: np.ndarray, scores: np.ndarray, right: dict[str, np.ndarray], names: tuple) -> None:
    """Write a picture: digits beside what they were taken for after each row, and the accuracy after each row."""
    figure = Figure(figsize=(13, 5.5), layout="constrained", facecolor="white")
    left, side = figure.subfigures(1, 2, width_ratios=(1.6, 1))
    left.suptitle("A digit, and after each of its rows the probability of each class (ONNX file, fed row by row)")
    grid = left.subplots(3, 6)
    for place, (picture, score) in enumerate(zip(pictures[:9], scores[:9], strict=True)):
        ink, told = grid[place // 3, place % 3 * 2 : place % 3 * 2 + 2]
        ink.imshow(picture, cmap="gray_r", vmin=0, vmax=255)
        ink.axis("off")
        told.imshow(score, cmap="Blues", vmin=0, vmax=1)
        told.set(xticks=range(len(names)), xticklabels=names, yticks=[])
        told.tick_params(length=0, labelsize=8)
    panel = side.subplots()
    for (name, shares), colour in zip(right.items(), (BLUE, ORANGE, GREY), strict=True):
        panel.plot(range(1, len(shares) + 1), 100 * shares, "o-", color=colour, label=name)
    panel.set(title="Right answers after each row", xlabel="rows read", ylabel="% of test digits", ylim=(0, 103))
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, loc="lower right")
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
    add("--epochs", type=positive, default=40, help="passes over the digits to train on (default: %(default)s)")
    add("--seed", type=positive, default=1, help="of weights and order; one seed, one result (default: 1)")
    add("--out", type=Path, default=Path("build/read_digits_by_row"), help="folder to write to (default: %(default)s)")
    return parser.parse_args()


def main() -> None:
    """Train, export to be fed in rows, and measure the artifact after each row of the test digits."""
    options = read_options()
    keras.utils.set_random_seed(options.seed)
    data, plain = (nnx.data.load("digits", augment=augment, seed=options.seed) for augment in ("affine", "none"))
    known, (pictures, labels) = load_rows(data, "train"), load_rows(data, "test")
    report = nnx.export_streaming(
        deployable(train(data, plain, options.epochs), data),
        options.out / "streaming",
        formats=("saved_model", "onnx", "tflite"),
        calibration=known[0][:64],
        labels=data.info.labels,
        metadata={"example": "read_digits_by_row", "seed": options.seed},
        overwrite=True,
    )
    print(report)

    scores = feed(report.artifacts["onnx"].path, report.metadata["streaming"]["states"], pictures)
    ours = (scores.argmax(axis=-1) == labels[:, None]).mean(axis=0)
    right = {"ONNX": ours, **baselines(known, (pictures, labels))}
    draw(options.out / "rows.png", pictures, scores, right, data.info.labels)
    print(f"Answers row by row, and how many are right: {options.out / 'rows.png'}")
    finish(right, labels)


def finish(right: dict[str, np.ndarray], labels: np.ndarray) -> None:
    """Print what was reached, and end with exit code 1 where logistic regression of all rows was as good."""
    print(f"right of {len(labels)} test digits after 1, 2, ... rows:")
    for name, shares in right.items():
        print(f"{name}: {' '.join(f'{share:.1%}' for share in shares)}")
    print(f"the majority class: {np.bincount(labels).max() / len(labels):.1%}")
    if right["ONNX"][-1] <= right["logistic regression"][-1]:
        sys.exit("The ONNX file is not better than logistic regression: train longer (--epochs).")


if __name__ == "__main__":
    main()
