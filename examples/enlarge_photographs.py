"""Train a network that doubles the sides of photographs better than bicubic interpolation, and prove its artifacts.

It needs no network: the two photographs come with scikit-learn. Their right parts are trained on, their left parts
measured; each part is shrunk by itself, bicubic with antialias, to 8 bits. The network computes at the small size,
adds what it found to the repeated pixels, and `PixelShuffle` lays them out. It takes any height and width.
Written to --out:

  export/        saved_model/, model.onnx, model.tflite, each checked in its own runtime
  enlarged.png   from each photograph: the small picture, bicubic, the ONNX file's answer, the original

The last lines compare the ONNX file with bicubic interpolation, by PSNR on the left parts (more decibels are
better). Exit code 1: it was not clearly better.

Source: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
Neural Network" (2016), here with residual learning and colours.
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
from matplotlib.patches import Rectangle
from sklearn.datasets import load_sample_images

import keras_nnx as nnx

SPLIT = 250  # the column of a photograph at which the part to train on begins
PATCH = 24  # side of a small patch to train on, in pixels
BATCH = 16
BORDER = 8  # pixels of the large picture left out of the measure on every side, for both
CLEARLY = 0.2  # decibels over bicubic


def load_parts(factor: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the left and the right part of each photograph, (h, w, 3) in uint8, with sides that `factor` divides."""
    bundle = load_sample_images()
    photographs = {Path(path).stem: image for path, image in zip(bundle.filenames, bundle.images, strict=True)}
    left = {name: trim(image[:, :SPLIT], factor) for name, image in photographs.items()}
    return left, {name: trim(image[:, SPLIT:], factor) for name, image in photographs.items()}


def trim(picture: np.ndarray, factor: int) -> np.ndarray:
    """Return a picture without the last rows and columns over a multiple of `factor`."""
    height, width = (side // factor * factor for side in picture.shape[:2])
    return picture[:height, :width]


def resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a picture (h, w, c) bicubically, to uint8; where that shrinks, every pixel counts."""
    size = (height, width)
    new = keras.ops.image.resize(
        picture.astype(np.float32), size, interpolation="bicubic", antialias=True, data_format="channels_last"
    )
    return to_bytes(keras.ops.convert_to_numpy(new))


def shrink(picture: np.ndarray, factor: int) -> np.ndarray:
    """Return the picture that is to be enlarged again."""
    return resize(picture, picture.shape[0] // factor, picture.shape[1] // factor)


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Return pixels as a file would hold them."""
    return np.rint(values.clip(0, 255)).astype(np.uint8)


def psnr(truth: np.ndarray, guess: np.ndarray, border: int = BORDER) -> float:
    """Return the peak signal-to-noise ratio of two uint8 pictures without their borders, in decibels."""
    inner = (slice(border, -border or None),) * 2
    error = np.mean((truth[inner].astype(float) - guess[inner]) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def cut_patches(pictures: dict[str, np.ndarray], factor: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return patches of the shrunken pictures and of the originals at the same places, turned and mirrored alike."""
    random = np.random.default_rng(seed)
    pairs = [(shrink(picture, factor), picture) for picture in pictures.values()]
    patches = []
    for index in range(count):
        small, large = pairs[index % len(pairs)]
        top, left = (random.integers(side - PATCH + 1) for side in small.shape[:2])
        turns, mirrored = random.integers(4), random.integers(2)
        for picture, scale in ((small, 1), (large, factor)):
            patch = picture[scale * top : scale * (top + PATCH), scale * left : scale * (left + PATCH)]
            patch = np.rot90(patch, turns)
            patches.append(patch[:, ::-1] if mirrored else patch)
    return np.stack(patches[::2]), np.stack(patches[1::2])


def build_network(factor: int) -> keras.Model:
    """Return an untrained network from (b, h, w, 3) to (b, factor * h, factor * w, 3), both from 0 to 1.

    As its last kernel is zero, it starts as a repetition of pixels.
    """
    small = keras.Input((None, None, 3), name="small")
    x = keras.layers.Conv2D(32, 5, padding="same", activation="relu", name="features")(small)
    for number in (1, 2, 3):
        x = keras.layers.Conv2D(32, 3, padding="same", activation="relu", name=f"map_{number}")(x)
    x = keras.layers.Conv2D(3 * factor**2, 3, padding="same", kernel_initializer="zeros", name="subpixels")(x)
    repeated = keras.layers.Concatenate(name="repeated")([small] * factor**2)
    x = keras.layers.Add(name="sum")([x, repeated])
    return keras.Model(small, nnx.layers.PixelShuffle(factor, name="shuffle")(x), name="subpixel_network")


def train(patches: tuple[np.ndarray, np.ndarray], factor: int, epochs: int) -> keras.Model:
    """Return a model from pictures to larger ones, in pixel units."""
    small, large = (part.astype(np.float32) / 255 for part in patches)
    network = build_network(factor)
    schedule = keras.optimizers.schedules.CosineDecay(2e-3, epochs * -(-len(small) // BATCH))
    network.compile(keras.optimizers.Adam(schedule, clipnorm=1.0), "mean_squared_error")
    network.fit(small, large, batch_size=BATCH, epochs=epochs, verbose=2)
    pixels = keras.Input((None, None, 3), name="image")
    enlarged = keras.layers.Rescaling(255.0)(network(keras.layers.Rescaling(1 / 255)(pixels)))
    return keras.Model(pixels, keras.layers.ReLU(max_value=255.0, name="enlarged")(enlarged), name="enlarger")


def run_onnx(path: Path, picture: np.ndarray) -> np.ndarray:
    """Return a whole picture (h, w, 3) as an ONNX file enlarges it, in uint8."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return to_bytes(session.run(None, {"image": picture[None].astype(np.float32)})[0][0])


def hardest_window(truth: np.ndarray, guess: np.ndarray, side: int) -> tuple[slice, slice]:
    """Return where the squared error of a guess is largest, as a square window away from the border."""
    error = ((truth.astype(float) - guess) ** 2).sum(axis=-1)[BORDER:-BORDER, BORDER:-BORDER]
    summed = np.pad(error.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    windows = summed[side:, side:] - summed[:-side, side:] - summed[side:, :-side] + summed[:-side, :-side]
    top, left = (int(start) + BORDER for start in np.unravel_index(windows.argmax(), windows.shape))
    return slice(top, top + side), slice(left, left + side)


def draw(path: Path, rows: dict[str, dict[str, np.ndarray]]) -> None:
    """Write a picture: for each photograph the held-out part, then its hardest window in every version."""
    versions = list(next(iter(rows.values())))
    figure = Figure(figsize=(3 * len(versions) + 2, 3.4 * len(rows)), layout="constrained", facecolor="white")
    panels = figure.subplots(len(rows), len(versions) + 1, width_ratios=[0.6] + [1] * len(versions), squeeze=False)
    for line, (name, pictures) in zip(panels, rows.items(), strict=True):
        truth = pictures["original"]
        side = min(72, *(length - 2 * BORDER for length in truth.shape[:2]))
        window = hardest_window(truth, pictures["bicubic"], side)
        line[0].imshow(truth)
        corner = (window[1].start, window[0].start)
        line[0].add_patch(Rectangle(corner, side, side, fill=False, edgecolor="red", linewidth=1.5))
        line[0].set_title(f"{name}, held out", fontsize=11)
        for panel, version in zip(line[1:], versions, strict=True):
            panel.imshow(pictures[version][window], interpolation="nearest")
            score = psnr(truth, pictures[version])
            panel.set_title(version if version == "original" else f"{version}: {score:.2f} dB", fontsize=11)
    for panel in panels.flat:
        panel.set(xticks=[], yticks=[])
    figure.supxlabel("PSNR of the whole held-out part; shown is where bicubic errs most", fontsize=10)
    figure.savefig(path, dpi=100)


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
    add("--factor", type=int, choices=(2, 3), default=2, help="how many times larger (default: %(default)s)")
    add("--epochs", type=positive, default=10, help="passes over the patches (default: %(default)s)")
    add("--patches", type=positive, default=3200, help="how many patches to train on (default: %(default)s)")
    add("--seed", type=positive, default=1, help="of patches, weights and order (default: %(default)s)")
    add("--out", type=Path, default=Path("build/enlarge_photographs"), help="folder to write to (default: %(default)s)")
    return parser.parse_args()


def main() -> None:
    """Train, export, and compare the artifact with bicubic interpolation on the parts that were held out."""
    options = read_options()
    keras.utils.set_random_seed(options.seed)
    unseen, seen = load_parts(options.factor)
    patches = cut_patches(seen, options.factor, options.patches, options.seed)
    report = nnx.export_model(
        train(patches, options.factor, options.epochs),
        options.out / "export",
        formats=("saved_model", "onnx", "tflite"),
        calibration=patches[0][:8].astype(np.float32),
        metadata={"example": "enlarge_photographs", "factor": options.factor, "seed": options.seed},
        overwrite=True,
    )
    print(report)

    rows = {}
    for name, truth in unseen.items():
        small = shrink(truth, options.factor)
        repeated = small.repeat(options.factor, axis=0).repeat(options.factor, axis=1)
        enlarged = run_onnx(report.artifacts["onnx"].path, small)
        rows[name] = {
            "small, repeated": repeated,
            "bicubic": resize(small, *truth.shape[:2]),
            "ours, ONNX": enlarged,
            "original": truth,
        }
    draw(options.out / "enlarged.png", rows)
    print(f"The ONNX file's pictures, beside bicubic ones: {options.out / 'enlarged.png'}")
    finish(rows)


def finish(rows: dict[str, dict[str, np.ndarray]]) -> None:
    """Print what was reached, and end with exit code 1 where a photograph is not clearly better than bicubic."""
    gains = []
    for name, pictures in rows.items():
        ours, bicubic = (psnr(pictures["original"], pictures[version]) for version in ("ours, ONNX", "bicubic"))
        gains.append(ours - bicubic)
        print(f"{name}: {ours:.2f} dB PSNR; bicubic {bicubic:.2f} dB; gained {gains[-1]:+.2f} dB")
    if min(gains) < CLEARLY:
        sys.exit(f"Not {CLEARLY} dB over bicubic: train longer (--epochs) or on more patches (--patches).")


if __name__ == "__main__":
    main()
