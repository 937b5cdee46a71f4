"""Train a conditional GAN on handwritten digits, and end with a generator that is proven.

It needs no network connection. A classifier is trained on scikit-learn's 8 x 8 digits first: it is who judges. Then a
generator learns to draw the digit that it is asked for, against a discriminator, and its moving average is exported
behind a layer that turns its answer into pixels of 0 to 255. Written to --out:

  generator/   saved_model/, model.onnx, model.tflite, each proven in its own runtime
  samples/     what it draws before training and during it, a row for each digit
  digits.png   what the ONNX file draws, beside real digits, and the curves of the training
  training/    where a run that was killed goes on; empty in the end

The last lines give how many digits the judge takes for what was asked for, and the Fréchet distance of the ONNX file's
digits to the test digits in what the judge sees, beside that of an untrained generator, of the digits it was trained
on, and of noise. Exit code 1: under 90% are what was asked for, or the distance is over a tenth of the untrained one's.
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

BLUE, ORANGE, GREY = "#1f5fa8", "#d9730d", "#808892"


def load_digits(data: nnx.data.DataPipelines, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the digits of a split, (n, 8, 8, 1) from -1 to 1, with their labels."""
    pictures, labels = (np.concatenate(parts) for parts in zip(*data.raw(split).as_numpy_iterator(), strict=True))
    return pictures.astype("float32") / 127.5 - 1, labels.astype("int32")


def train_judge(digits: tuple, others: tuple, epochs: int) -> keras.Model:
    """Return a classifier of digits from -1 to 1, with the weights of the lowest validation loss."""
    judge = nnx.models.ResNet((8, 8, 1), 10, filters=(32, 64), blocks=(1, 1))
    schedule = nnx.schedules.CosineRestarts(3e-3, period=epochs * len(digits[0]) // 64, restarts=0)
    judge.compile(keras.optimizers.AdamW(schedule), "sparse_categorical_crossentropy", metrics=["accuracy"])
    stopping = nnx.callbacks.EarlyStopping("val_loss", patience=10)
    judge.fit(*digits, validation_data=others, batch_size=64, epochs=epochs, callbacks=[stopping], verbose=0)
    return judge


def build_gan(seed: int) -> nnx.training.GAN:
    """Return a conditional GAN for digits, compiled."""
    gan = nnx.training.GAN(
        nnx.models.DCGANGenerator((8, 8, 1), latent_dim=32, num_classes=10, filters=(96, 48)),
        nnx.models.DCGANDiscriminator((8, 8, 1), num_classes=10, filters=(48, 96), normalization=None),
        num_classes=10,
        ema_decay=0.995,
        seed=seed,
    )
    adam = {"learning_rate": 1e-3, "beta_1": 0.0, "beta_2": 0.99}
    gan.compile(
        keras.optimizers.Adam(**adam),
        keras.optimizers.Adam(**adam),
        loss=nnx.losses.RelativisticGANLoss(),
        regularizers=[nnx.training.R1(weight=0.5, interval=4), nnx.training.R2(weight=0.5, interval=4)],
    )
    return gan


def train(gan: nnx.training.GAN, digits: tuple, others: tuple, judge: keras.Model, options: argparse.Namespace) -> dict:
    """Train, and return the curves."""
    frechet = nnx.metrics.FrechetDistance(nnx.metrics.feature_extractor(judge))
    every, often = max(1, options.epochs // 10), max(1, options.epochs // 60)
    history = gan.fit(
        nnx.training.ShuffledBatches(*digits, batch_size=64, seed=options.seed),
        epochs=options.epochs,
        shuffle=False,
        callbacks=[
            nnx.training.GenerationMetrics({"frechet": frechet}, *others, every=often),
            nnx.training.GANMonitor(*others, warmup=every),
            nnx.training.SampleGrid(options.out / "samples", every=every),
            nnx.training.Resume(options.out / "training", every=every),
        ],
        verbose=2,
    )
    return history.history


def deployable(gan: nnx.training.GAN) -> keras.Model:
    """Return the averaged generator with pixels of 0 to 255."""
    latent, labels = keras.Input((gan.latent_dim,), name="latent"), keras.Input((), dtype="int32", name="label")
    pixels = keras.layers.Rescaling(127.5, 127.5, name="image")(gan.averaged_generator([latent, labels]))
    return keras.Model([latent, labels], pixels, name="digits")


def draw_digits(path: Path, labels: np.ndarray, seed: int) -> np.ndarray:
    """Return what an ONNX file draws for labels, from -1 to 1."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    size = session.get_inputs()[0].shape[1]
    latents = np.random.default_rng(seed).standard_normal((len(labels), size)).astype("float32")
    return session.run(None, {"latent": latents, "label": labels.astype("int32")})[0] / 127.5 - 1


def draw(path: Path, made: np.ndarray, real: tuple, curves: dict) -> None:
    """Write a picture: real digits above, generated ones below, and the distance and the variety over the epochs."""
    figure = Figure(figsize=(13, 6), layout="constrained", facecolor="white")
    left, side = figure.subfigures(1, 2, width_ratios=(1.7, 1))
    pictures, labels = real
    rows = {"real": [pictures[labels == digit][:4] for digit in range(10)], "generated": made.reshape(10, 4, 8, 8, 1)}
    for (name, columns), part in zip(rows.items(), left.subfigures(2, 1), strict=True):
        part.suptitle(name if name == "real" else "generated by the ONNX file, a column for each digit asked for")
        for place, panel in enumerate(part.subplots(4, 10).flat):
            panel.imshow(columns[place % 10][place // 10], cmap="gray_r", vmin=-1, vmax=1)
            panel.axis("off")
    for panel, (name, title) in zip(
        side.subplots(2, 1, sharex=True),
        (("frechet", "Fréchet distance to the validation digits"), ("variety", "Variety (1: as that of real digits)")),
        strict=True,
    ):
        panel.plot(range(1, len(curves[name]) + 1), curves[name], color=BLUE if name == "frechet" else ORANGE)
        panel.set_title(title)
        panel.set_yscale("log" if name == "frechet" else "linear")
        panel.spines[["top", "right"]].set_visible(False)
    panel.set_xlabel("epochs")
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
    add("--epochs", type=positive, default=120, help="passes over the 1,257 training digits (default: %(default)s)")
    add("--judge-epochs", type=positive, default=30, help="the same for the judge (default: %(default)s)")
    add("--seed", type=positive, default=1, help="of weights, order and latents (default: 1)")
    add("--out", type=Path, default=Path("build/generate_digits"), help="folder to write to (default: %(default)s)")
    return parser.parse_args()


def main() -> None:
    """Train the judge and the GAN, export the generator, and measure what the artifact draws."""
    options = read_options()
    keras.utils.set_random_seed(options.seed)
    data = nnx.data.load("digits", augment="none", seed=options.seed)
    digits, others, test = (load_digits(data, split) for split in ("train", "validation", "test"))
    judge = train_judge(digits, others, options.judge_epochs)
    right = float((judge.predict(test[0], verbose=0).argmax(-1) == test[1]).mean())
    print(f"The judge names {right:.1%} of the test digits right.")

    gan = build_gan(options.seed)
    untrained = gan.generate(1000, seed=options.seed, labels=np.arange(1000) % 10)
    curves = train(gan, digits, others, judge, options)
    report = nnx.export_model(
        deployable(gan), options.out / "generator", metadata={"example": "generate_digits"}, overwrite=True
    )
    print(report)

    asked = np.arange(1000) % 10
    made = draw_digits(report.artifacts["onnx"].path, asked, options.seed)
    shown = draw_digits(report.artifacts["onnx"].path, np.arange(10).repeat(4), 2)
    draw(options.out / "digits.png", shown, test, curves)
    print(f"Digits and curves: {options.out / 'digits.png'}")
    noise = np.random.default_rng(options.seed).uniform(-1, 1, made.shape).astype("float32")
    sets = {"the ONNX file": made, "an untrained generator": untrained, "training digits": digits[0], "noise": noise}
    finish(judge, sets, asked, test[0])


def finish(judge: keras.Model, sets: dict[str, np.ndarray], asked: np.ndarray, test: np.ndarray) -> None:
    """Print what was reached, and end with exit code 1 where that is not enough."""
    made = next(iter(sets.values()))
    named = float((judge.predict(made, verbose=0).argmax(-1) == asked).mean())
    frechet = nnx.metrics.FrechetDistance(nnx.metrics.feature_extractor(judge))
    frechet.update_real(test)
    distances = {}
    for name, images in sets.items():
        frechet.reset_generated()
        frechet.update_generated(images)
        distances[name] = frechet.result()
    print(f"what was asked for, as the judge says: {named:.1%} of {len(asked)} (by chance: 10%)")
    for name, distance in distances.items():
        print(f"Fréchet distance to the test digits, {name}: {distance:.3f}")
    ours, untrained = list(distances.values())[:2]
    if named < 0.9 or ours > untrained / 10:
        sys.exit("The digits are not good enough: train longer (--epochs).")


if __name__ == "__main__":
    main()
