"""Train a U-Net to name every pixel of digits on textured ground, and end with artifacts that are proven to run.

It needs no network. Scikit-learn's 8 x 8 digits are pasted, enlarged and one over another, on ground of noise and
stripes that defeats a threshold. Scenes to test on hold other digits than those to train on. Written to --out:

  export/            saved_model/, model.onnx, model.tflite, each checked in its own runtime
  segmentation.png   test scenes, their truth, the baseline's answer and the ONNX file's

The last lines compare the ONNX file, by intersection over union (1 is perfect), with two thresholds for ink against
ground, and with threshold, regions and nearest digit for the ten kinds of digits. Exit code 1: it was not better.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer of TensorFlow's start-up lines

import keras
import numpy as np
import onnxruntime
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from scipy import ndimage
from sklearn.neighbors import KNeighborsClassifier

import keras_nnx as nnx

SIDE = 32  # of a scene, in pixels
SPECK = 12  # pixels; a smaller region is no digit to the baseline
CLASSES = ("ground", *"0123456789")
COLOURS = ListedColormap(["#112", "#e24", "#f83", "#fe2", "#4b4", "#4df", "#46d", "#92b", "#f3e", "#a74", "#ddd"])
INK = ListedColormap(["#112", "#fff"])


def load_digits(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the digits of a split, (n, 8, 8) from 0 to 1, with their values."""
    batches = nnx.data.load("digits", augment="none").raw(split).as_numpy_iterator()
    pictures, values = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return pictures[..., 0] / 255, values


def enlarge(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a picture (h, w) in another size, interpolated linearly between the centres of its pixels."""
    for axis, size in enumerate((height, width)):
        old = picture.shape[axis]
        centres = (np.arange(size)[:, None] + 0.5) * old / size - 0.5
        weights = np.maximum(0, 1 - np.abs(np.arange(old) - centres.clip(0, old - 1)))
        picture = np.moveaxis(np.tensordot(weights, picture, axes=(1, axis)), 0, axis)
    return picture


def make_ground(random: np.random.Generator) -> np.ndarray:
    """Return a texture (SIDE, SIDE) of mean 0 and deviation 1: noise of some coarseness, blended with stripes."""
    frequencies = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE))
    spectrum = np.fft.rfft2(random.normal(size=(SIDE, SIDE)))
    noise = np.fft.irfft2(spectrum / (frequencies + 1 / SIDE) ** random.uniform(0.5, 2), s=(SIDE, SIDE))
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    angle, stripes, phase = random.uniform(0, 2 * np.pi), random.uniform(1, 12), random.uniform(0, 2 * np.pi)
    grating = np.sin(2 * np.pi * stripes * (rows * np.sin(angle) + columns * np.cos(angle)) + phase)
    ground = noise / noise.std() + random.uniform(0, 1.5) * grating
    return (ground - ground.mean()) / ground.std()


def paste(scene: np.ndarray, mask: np.ndarray, digit: np.ndarray, value: int, corner: tuple, ink: float) -> None:
    """Draw a digit over a scene in place, and give its class to the pixels of the mask that are mostly its ink."""
    window = tuple(slice(start, start + side) for start, side in zip(corner, digit.shape, strict=True))
    scene[window] += digit * (ink - scene[window])
    mask[window][digit > 0.5] = value + 1


def make_scenes(digits: tuple[np.ndarray, np.ndarray], count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scenes (n, SIDE, SIDE, 1) in uint8, with the class of each pixel (n, SIDE, SIDE)."""
    random = np.random.default_rng(seed)
    pictures, values = digits
    scenes, masks = np.zeros((count, SIDE, SIDE)), np.zeros((count, SIDE, SIDE), np.uint8)
    for scene, mask in zip(scenes, masks, strict=True):
        level, side = random.uniform(0.4, 0.6), random.choice((-1, 1))  # dark ink or light ink, by scene
        scene[:] = level + random.uniform(0.03, 0.12) * make_ground(random)
        for index in random.integers(len(pictures), size=random.integers(1, 4)):
            size = random.integers(12, 18)
            corner = random.integers(SIDE - size + 1, size=2)
            ink = level + side * random.uniform(0.25, 0.4)
            paste(scene, mask, enlarge(pictures[index], size, size), values[index], tuple(corner), ink)
    return np.rint(scenes.clip(0, 1) * 255).astype(np.uint8)[..., None], masks


def intersection_over_union(truth: np.ndarray, guess: np.ndarray, classes: int) -> np.ndarray:
    """Return, for each class, pixels that truth and guess share over pixels that either has, all scenes together."""
    pairs = truth.astype(np.int64).ravel() * classes + guess.astype(np.int64).ravel()
    table = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    shared = table.diagonal()
    either = table.sum(axis=0) + table.sum(axis=1) - shared
    return np.where(either, shared / np.maximum(either, 1), np.nan)


def ink_by_otsu(scene: np.ndarray) -> np.ndarray:
    """Return where the ink is by Otsu's threshold of one scene, (h, w); the smaller side of it is the ink."""
    grey = scene[..., 0]
    counts = np.bincount(grey.ravel(), minlength=256).astype(float)
    below, total = np.cumsum(counts), np.cumsum(counts * np.arange(256))
    size, mean = below[-1], total[-1] / below[-1]
    between = (total - mean * below) ** 2 / np.maximum(below * (size - below), 1)
    light = grey > between.argmax()
    return light if light.mean() < 0.5 else ~light


def distance_from_ground(scenes: np.ndarray) -> np.ndarray:
    """Return how far each pixel is from the median of its scene, (n, h, w)."""
    return np.abs(scenes[..., 0] - np.median(scenes, axis=(1, 2, 3))[:, None, None])


def best_distance(scenes: np.ndarray, masks: np.ndarray) -> int:
    """Return the threshold of the distance from the median that finds the ink of these scenes best."""
    distances = distance_from_ground(scenes)
    scores = [intersection_over_union(masks > 0, distances > cut, 2)[1] for cut in range(0, 128, 2)]
    return 2 * int(np.argmax(scores))


def name_regions(inks: np.ndarray, digits: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return the class of each pixel: a connected region of ink is named after the most similar digit, a speck not."""
    nearest = KNeighborsClassifier(1).fit([_standardise(picture > 0.5) for picture in digits[0]], digits[1])
    guesses = np.zeros(inks.shape, np.uint8)
    found = []
    for index, ink in enumerate(inks):
        regions, _ = ndimage.label(ink, np.ones((3, 3)))
        for number, window in enumerate(ndimage.find_objects(regions), start=1):
            region = regions[window] == number
            if region.sum() >= SPECK:
                found.append(((index, *window), region))
    names = nearest.predict([_standardise(region) for _, region in found]) + 1 if found else ()
    for (window, region), name in zip(found, names, strict=True):
        guesses[window][region] = name
    return guesses


def _standardise(ink: np.ndarray) -> np.ndarray:
    """Return the part of a picture that holds its ink, in the size of 8 x 8, flat."""
    rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
    return enlarge(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(float), 8, 8).ravel()


def train(scenes: np.ndarray, masks: np.ndarray, epochs: int) -> keras.Model:
    """Return a model from scenes in pixel units to the scores of the classes, (b, h, w, 11)."""
    pixels = keras.Input((SIDE, SIDE, 1), name="image")
    unet = nnx.models.UNet((SIDE, SIDE, 1), classes=len(CLASSES), filters=(16, 32, 64))
    model = keras.Model(pixels, unet(keras.layers.Rescaling(1 / 128, offset=-1.0)(pixels)), name="digits_unet")
    schedule = keras.optimizers.schedules.CosineDecay(4e-3, epochs * -(-len(scenes) // 16))
    model.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(scenes, masks, batch_size=16, epochs=epochs, verbose=2)
    return model


def run_onnx(path: Path, scenes: np.ndarray) -> np.ndarray:
    """Return the class of each pixel as an ONNX file has it."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    batches = np.array_split(scenes.astype(np.float32), -(-len(scenes) // 64))
    return np.concatenate([session.run(None, {"image": batch})[0].argmax(axis=-1) for batch in batches])


def draw(path: Path, scenes: np.ndarray, rows: dict[str, np.ndarray]) -> None:
    """Write a picture: scenes in the first row, and under them what each of `rows` makes of them."""
    count = len(scenes)
    figure = Figure(figsize=(1.5 * count + 0.9, 1.5 * len(rows) + 2.1), layout="constrained", facecolor="white")
    panels = figure.subplots(len(rows) + 1, count, squeeze=False)
    for panel, scene in zip(panels[0], scenes, strict=True):
        panel.imshow(scene[..., 0], cmap="gray", vmin=0, vmax=255)
    for line, guesses in zip(panels[1:], rows.values(), strict=True):
        colours, classes = (INK, 2) if guesses.dtype == bool else (COLOURS, len(CLASSES))
        for panel, guess in zip(line, guesses, strict=True):
            panel.imshow(guess, cmap=colours, vmin=-0.5, vmax=classes - 0.5, interpolation="nearest")
    for panel in panels.flat:
        panel.set(xticks=[], yticks=[])
    for panel, name in zip(panels[:, 0], ("scene", *rows), strict=True):
        panel.set_ylabel(name, fontsize=11)
    patches = [Patch(facecolor=colour, label=name) for colour, name in zip(COLOURS.colors, CLASSES, strict=True)]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(CLASSES), frameon=False, handlelength=1)
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
    add("--epochs", type=positive, default=6, help="passes over the scenes to train on (default: %(default)s)")
    add("--scenes", type=positive, default=6000, help="how many scenes to train on (default: %(default)s)")
    add("--test-scenes", type=positive, default=400, help="how many scenes to measure on (default: %(default)s)")
    add("--seed", type=positive, default=1, help="of scenes, weights and order; one seed, one result (default: 1)")
    add("--out", type=Path, default=Path("build/segment_digits"), help="folder to write to (default: %(default)s)")
    return parser.parse_args()


def main() -> None:
    """Train, export, and compare the artifact with the baselines on the scenes to test on."""
    options = read_options()
    keras.utils.set_random_seed(options.seed)
    train_digits, test_digits = load_digits("train"), load_digits("test")
    scenes, masks = make_scenes(train_digits, options.scenes, seed=2 * options.seed)
    unseen, truth = make_scenes(test_digits, options.test_scenes, seed=2 * options.seed + 1)
    model = train(scenes, masks, options.epochs)
    report = nnx.export_model(
        model,
        options.out / "export",
        formats=("saved_model", "onnx", "tflite"),
        calibration=scenes[:8].astype(np.float32),
        labels=CLASSES,
        metadata={"example": "segment_digits", "seed": options.seed},
        overwrite=True,
    )
    print(report)

    onnx = report.artifacts["onnx"].path
    ours = run_onnx(onnx, unseen)
    otsu = np.stack([ink_by_otsu(scene) for scene in unseen])
    tuned = distance_from_ground(unseen) > best_distance(scenes, masks)
    regions = name_regions(tuned, train_digits)
    rows = {"truth": truth, "threshold": tuned, "its regions": regions, "U-Net, ONNX": ours}
    draw(options.out / "segmentation.png", unseen[:8], {name: guess[:8] for name, guess in rows.items()})
    print(f"The ONNX file's answers, beside the baseline's: {options.out / 'segmentation.png'}")
    finish(truth, ours, {"Otsu's threshold": otsu, "tuned threshold": tuned}, regions)


def finish(truth: np.ndarray, ours: np.ndarray, inks: dict[str, np.ndarray], regions: np.ndarray) -> None:
    """Print what was reached, and end with exit code 1 where a baseline was as good."""
    found = {name: intersection_over_union(truth > 0, ink, 2)[1] for name, ink in inks.items()}
    ink = intersection_over_union(truth > 0, ours > 0, 2)[1]
    named, mean = (np.nanmean(intersection_over_union(truth, guess, len(CLASSES))) for guess in (regions, ours))
    print(f"IoU of ink: U-Net {ink:.3f}; " + "; ".join(f"{name} {score:.3f}" for name, score in found.items()))
    print(f"mean IoU of ground and the ten digits: U-Net {mean:.3f}; threshold, regions, nearest digit {named:.3f}")
    if ink <= max(found.values()) or mean <= named:
        sys.exit("The U-Net is not better than the baselines: train longer (--epochs) or on more scenes (--scenes).")


if __name__ == "__main__":
    main()
