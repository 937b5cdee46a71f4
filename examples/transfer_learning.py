"""Transfer learning: a network that knows the digits 0 to 4 learns 5 to 9 from a few labelled pictures of each.

It needs no network connection. Scikit-learn's 8 x 8 digits are drawn, enlarged, somewhere on coloured uneven ground.
A residual network learns 0 to 4 from thousands of such scenes. Its weights are carried over, the first layers frozen,
a new head trained, then the last layers, each with a smaller learning rate than the one behind it. The baseline is
the same network from random weights, on the same few pictures, for as many steps. Written to --out:

  export/        saved_model/, model.onnx, model.tflite, each checked in its own runtime; they take pixels of 0 to 255
  transfer.png   test scenes with the answers of both networks, and the accuracy of each repetition

With --source, a network of keras.applications takes the place of the one trained here, such as the ImageNet weights
of EfficientNetB0 that you have: its file, .keras, .weights.h5 or .h5, and --network with its name. Large networks take
long on a processor, and need larger pictures than these to show what they can do.

The last lines give the accuracy of both on all test digits of 5 to 9. Exit code 1: the transfer was not better.
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
from PIL import Image

import keras_nnx as nnx

SOURCE, TARGET = (0, 1, 2, 3, 4), (5, 6, 7, 8, 9)
SIDE = 32  # of a scene, in pixels; no network of keras.applications takes less
COPIES, TEST_COPIES = 16, 4  # scenes of each digit to train the source on, and of each to test on
BLUE, ORANGE = "#3f66d9", "#d9822b"

# Builder, its arguments, the first layer to fine-tune, and whether pixels have to be brought to -1..1 before.
NETWORKS = {
    "small": (nnx.models.ResNet, {"filters": (32, 64, 128), "blocks": (1, 1, 1)}, "stage_2_block_1", True),
    "EfficientNetB0": (nnx.models.EfficientNet, {"variant": "EfficientNetB0"}, "stage_5_block_1", False),
    "ConvNeXtTiny": (nnx.models.ConvNeXt, {"variant": "ConvNeXtTiny"}, "stage_4_block_1", False),
    "ResNet50V2": (nnx.models.ResNet, {"variant": "ResNet50V2"}, "stage_4_block_1", True),
}


def load_digits(split: str, values: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the digits of a split that have one of the values, (n, 8, 8) in uint8, and the place of each value."""
    batches = nnx.data.load("digits", augment="none").raw(split).as_numpy_iterator()
    pictures, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    wanted = np.isin(labels, values)
    return pictures[wanted, ..., 0].astype(np.uint8), np.searchsorted(values, labels[wanted])


def choose_few(labels: np.ndarray, shots: int, random: np.random.Generator) -> np.ndarray:
    """Return the places of `shots` examples of each class."""
    places = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return np.concatenate([random.choice(found, shots, replace=False) for found in places])


def draw_scene(digit: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a digit somewhere on uneven ground, light on dark or dark on light, (SIDE, SIDE, 3) in uint8."""
    cells = random.integers(2, 8)
    coarse = Image.fromarray(random.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
    uneven = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) / 255 - 0.5
    ground = random.uniform(100, 156, 3) + 80 * uneven + random.normal(0, 6, (SIDE, SIDE, 3))
    size = random.integers(14, 23)
    row, column = random.integers(SIDE - size + 1, size=2)
    ink = np.asarray(Image.fromarray(digit).resize((size, size), Image.Resampling.BILINEAR))[..., None] / 255
    colour = random.choice((-1, 1)) * random.uniform(60, 110) + random.uniform(-20, 20, 3)
    ground[row : row + size, column : column + size] += ink * colour
    return np.rint(ground.clip(0, 255)).astype(np.uint8)


def draw_scenes(digits: np.ndarray, copies: int, seed: int) -> np.ndarray:
    """Return `copies` scenes of each digit, one digit after another, (n * copies, SIDE, SIDE, 3) in uint8."""
    random = np.random.default_rng(seed)
    return np.stack([draw_scene(digit, random) for digit in digits for _ in range(copies)])


def build(network: str) -> keras.Model:
    """Return an untrained network of five classes."""
    builder, arguments, *_ = NETWORKS[network]
    return builder((SIDE, SIDE, 3), classes=len(TARGET), **arguments)


def prepare(network: str) -> keras.layers.Layer:
    """Return the layer from pixels to what the network takes."""
    return keras.layers.Rescaling(1 / 127.5, offset=-1.0) if NETWORKS[network][-1] else keras.layers.Identity()


def optimizer(rate: float, steps: int) -> keras.optimizers.Optimizer:
    """Return gradient descent with momentum whose rate falls to 0; TensorFlow traces it faster than Adam."""
    return keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(rate, steps), momentum=0.9, nesterov=True)


def fit(
    model: keras.Model, how: keras.optimizers.Optimizer, inputs: np.ndarray, labels: np.ndarray, steps: int
) -> None:
    """Train for a number of steps, each on at most 32 examples in a new order."""
    places = np.concatenate([np.random.permutation(len(inputs)) for _ in range(-(-32 * steps // len(inputs)))])
    places = places[: min(32, len(inputs)) * steps]
    model.compile(how, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    size = len(places) // steps
    history = model.fit(inputs[places], labels[places], batch_size=size, shuffle=False, verbose=0).history
    print(f"  {steps} steps of {size} scenes: right in training, on average: {history['accuracy'][-1]:.1%}", flush=True)


def train_source(steps: int, seed: int) -> keras.Model:
    """Return a small network that knows the digits of the source."""
    digits, labels = load_digits("train", SOURCE)
    print(f"The source learns {SOURCE} from {COPIES} scenes of each of {len(digits)} digits:", flush=True)
    source = build("small")
    inputs = np.asarray(prepare("small")(draw_scenes(digits, COPIES, seed)))
    fit(source, optimizer(0.1, steps), inputs, labels.repeat(COPIES), steps)
    return source


def transfer(
    source: keras.Model | Path, options: argparse.Namespace, inputs: np.ndarray, labels: np.ndarray
) -> keras.Model:
    """Return a network that has the weights of the source and was tuned on the few examples."""
    model = build(options.network)
    if isinstance(source, keras.Model):
        for layer in source.layers:
            if layer.name != "logits":
                model.get_layer(layer.name).set_weights(layer.get_weights())
    else:
        print(f"  {nnx.models.load_pretrained(model, source, skip_head=True)}")
    nnx.models.freeze(model)
    fit(model, optimizer(0.1, options.steps), inputs, labels, options.steps)
    nnx.models.freeze(model, until=NETWORKS[options.network][2])
    layerwise = nnx.optimizers.LayerwiseDecay.from_model(optimizer(0.03, options.steps), model, decay=0.7)
    fit(model, layerwise, inputs, labels, options.steps)
    return model


def compare(source: keras.Model | Path, options: argparse.Namespace) -> tuple[list[keras.Model], np.ndarray]:
    """Return both deployable models of the first repetition, and the accuracies, (repetitions, 2)."""
    digits, labels = load_digits("train", TARGET)
    scenes, truth = test_scenes(options.seed)
    kept, accuracies = [], []
    for repeat in range(options.repeats):
        seed = options.seed + 1000 * repeat
        keras.utils.set_random_seed(seed)
        places = choose_few(labels, options.shots, np.random.default_rng(seed))
        print(f"Repetition {repeat + 1}: {len(places)} scenes of {TARGET}, by transfer, then from scratch:", flush=True)
        inputs = np.asarray(prepare(options.network)(draw_scenes(digits[places], 1, seed + 1)))
        carried, fresh = transfer(source, options, inputs, labels[places]), build(options.network)
        fit(fresh, optimizer(0.05, 2 * options.steps), inputs, labels[places], 2 * options.steps)
        models = [deployable(network, options.network) for network in (carried, fresh)]
        answers = [model.predict(scenes, batch_size=64, verbose=0).argmax(axis=1) for model in models]
        accuracies.append([(answer == truth).mean() for answer in answers])
        kept = kept or models
    return kept, np.array(accuracies)


def test_scenes(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scenes of all digits of the target to test on, in pixels, with their classes."""
    digits, labels = load_digits("test", TARGET)
    return draw_scenes(digits, TEST_COPIES, seed + 2).astype(np.float32), labels.repeat(TEST_COPIES)


def deployable(model: keras.Model, network: str) -> keras.Model:
    """Return the network with its preparation of pixels inside."""
    pixels = keras.Input((SIDE, SIDE, 3), name="image")
    scores = keras.layers.Identity(name="scores")(model(prepare(network)(pixels)))
    return keras.Model(pixels, scores, name="digits_transfer")


def run_onnx(path: Path, scenes: np.ndarray) -> np.ndarray:
    """Return the class of each scene as an ONNX file has it."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    batches = np.array_split(scenes, -(-len(scenes) // 64))
    return np.concatenate([session.run(None, {"image": batch})[0].argmax(axis=1) for batch in batches])


def draw(path: Path, scenes: np.ndarray, truth: np.ndarray, answers: list[np.ndarray], scores: np.ndarray) -> None:
    """Write a picture: scenes with the answers under them, and a pair of bars for each repetition."""
    figure = Figure(figsize=(12, 5.2), layout="constrained", facecolor="white")
    left, right = figure.subfigures(1, 2, width_ratios=(2, 1))
    left.suptitle("Test digits: answer by transfer (ONNX file) | from scratch; right is green", fontsize=11)
    places = np.random.default_rng(0).permutation(len(scenes))[:24]
    for panel, place in zip(left.subplots(3, 8).flat, places, strict=False):
        panel.imshow(scenes[place].astype(np.uint8))
        panel.set(xticks=[], yticks=[])
        for column, answer in zip((0.25, 0.75), answers, strict=True):
            colour = "#1a7f37" if answer[place] == truth[place] else "#c62828"
            text = str(TARGET[answer[place]])
            panel.text(column, -0.04, text, color=colour, fontsize=14, ha="center", va="top", transform=panel.transAxes)
    panel, numbers = right.subplots(), np.arange(1, len(scores) + 1)
    for side, column, colour, name in ((-0.2, 0, BLUE, "transfer"), (0.2, 1, ORANGE, "from scratch")):
        bars = panel.bar(numbers + side, 100 * scores[:, column], 0.38, color=colour, label=name)
        panel.bar_label(bars, fmt="%.0f", fontsize=9)
    panel.axhline(100 / len(TARGET), color="#808892", linestyle=":", linewidth=1, label="guessing")
    panel.set(xticks=numbers, xlabel="repetition", ylabel="% of test scenes", ylim=(0, 105))
    panel.set_title("Right answers", fontsize=11)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, fontsize=9, loc="upper right", ncols=3, columnspacing=1, handlelength=1.2)
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
    add("--shots", type=positive, default=10, help="labelled pictures of each of 5 to 9 (default: %(default)s)")
    add("--repeats", type=positive, default=3, help="with other pictures and weights each (default: %(default)s)")
    add("--steps", type=positive, default=60, help="for the head, and again for fine-tuning (default: %(default)s)")
    add("--source-steps", type=positive, default=1000, help="to train the source (default: %(default)s)")
    add("--source", type=Path, metavar="FILE", help="of a network of keras.applications, instead of training one")
    networks = [name for name in NETWORKS if name != "small"]
    add("--network", choices=networks, help=f"what --source is of (default: {networks[0]})")
    add("--seed", type=positive, default=1, help="of scenes, choices and weights; one seed, one result (default: 1)")
    add("--out", type=Path, default=Path("build/transfer_learning"), help="folder to write to (default: %(default)s)")
    options = parser.parse_args()
    if options.network and not options.source:
        parser.error("--network says what --source is of: give --source too")
    if options.source and not options.source.is_file():
        parser.error(f"--source: there is no file {options.source}")
    if options.shots > 100:
        parser.error(
            f"--shots: there are about 125 pictures of each digit, too few for {options.shots}: take up to 100"
        )
    options.network = (options.network or networks[0]) if options.source else "small"
    return options


def main() -> None:
    """Train the source, transfer it, export the result, and compare it with training from scratch."""
    options = read_options()
    keras.utils.set_random_seed(options.seed)
    source = options.source or train_source(options.source_steps, options.seed)
    (model, fresh), scores = compare(source, options)
    scenes, truth = test_scenes(options.seed)
    report = nnx.export_model(
        model,
        options.out / "export",
        formats=("saved_model", "onnx", "tflite"),
        calibration=scenes[:: len(scenes) // 16],
        labels=[str(value) for value in TARGET],
        metadata={"example": "transfer_learning", "seed": options.seed, "shots": options.shots},
        overwrite=True,
    )
    print(report)

    answers = [run_onnx(report.artifacts["onnx"].path, scenes), fresh.predict(scenes, verbose=0).argmax(axis=1)]
    draw(options.out / "transfer.png", scenes, truth, answers, scores)
    print(f"The answers of both, and each repetition: {options.out / 'transfer.png'}")
    print(f"ONNX: {(answers[0] == truth).mean():.1%} of {len(truth)} scenes of all test digits of 5 to 9")
    finish(scores, options.shots)


def finish(scores: np.ndarray, shots: int) -> None:
    """Print what was reached, and end with exit code 1 where training from scratch was as good."""
    carried, fresh = scores.mean(axis=0)
    print(f"{shots} pictures a digit, mean of {len(scores)}: transfer {carried:.1%}; from scratch {fresh:.1%}")
    if carried <= fresh:
        sys.exit("Transfer is not better than training from scratch: take a source that knows more (--source-steps).")


if __name__ == "__main__":
    main()
