"""Search for a vision transformer that is twice as fast in TFLite as the one that one would take first.

It needs no network connection: the digits come with scikit-learn. The first guess of the space is trained, exported and
timed in LiteRT, on one thread. Then models are searched whose artifact takes at most half of that; those that are too
slow are rejected before they are trained. Written to --out:

  first/search.html   the first guess, and first/best its artifacts
  search/search.html  the search: parallel coordinates, accuracy over latency, all trials
  search/best/        the winner: model.keras, and in float32/ its proven artifacts in all formats

In the end both .tflite files are timed once more and tested on the test digits, which no trial has seen. Trials that
are done are kept: after an interruption the same command goes on. Exit code 1: the winner is too slow when it is timed
afresh, or more than a point less accurate. By default it takes about twelve minutes on two cores.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer of TensorFlow's start-up lines

import numpy as np
from ai_edge_litert.interpreter import Interpreter

import keras_nnx as nnx
from keras_nnx.cli import main as keras_nnx_command
from keras_nnx.tuning import Choice, Float, Int

POINT = 0.01
ROUND_SECONDS = 8.0


def space(input_shape: tuple[int, int, int], classes: int) -> nnx.tuning.Space:
    """Return what is searched; the workers find this function by the name of this file."""
    return nnx.tuning.space(
        nnx.models.ViT,
        input_shape=input_shape,
        classes=classes,
        patch_size=Choice([2, 4]),
        dim=Choice([16, 32, 48, 64, 96], default=64),
        depth=Int(1, 4, default=3),
        num_heads=Choice([2, 4], default=4),
        stochastic_depth=Float(0.0, 0.2, step=0.1, default=0.1),
        recipe=nnx.tuning.Recipe(
            optimizer="adamw",
            learning_rate=Float(3e-4, 1e-2, sampling="log", default=2e-3),
            weight_decay=Float(1e-3, 0.3, sampling="log", default=0.05),
            schedule=Choice(["cosine", "one-cycle"]),
            clipnorm=1.0,
        ),
    )


def search(out: Path, options: argparse.Namespace, *arguments: str) -> nnx.tuning.SearchResult:
    """Search with the command, whose processes import this file, and return what it has found."""
    common = ["--space", f"{Path(__file__).resolve()}:space", "--data", "digits", "--target", "tflite"]
    common += ["--epochs", str(options.epochs), "--patience", str(options.epochs), "--seed", str(options.seed)]
    code = keras_nnx_command(["search", *common, "--out", str(out), *arguments])
    if code:
        sys.exit(code)
    return nnx.tuning.load_search(out)


def accuracy(path: Path, pictures: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of digits that a .tflite file names rightly."""
    runner = Interpreter(model_path=str(path)).get_signature_runner("serving_default")
    return float((runner(image=pictures)["scores"].argmax(axis=1) == labels).mean())


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
    add("--trials", type=positive, default=20, help="models that are tried (default: %(default)s)")
    add("--epochs", type=positive, default=40, help="passes over the digits in each (default: %(default)s)")
    add("--workers", type=positive, default=2, help="processes that run trials (default: %(default)s)")
    add("--seed", type=positive, default=1, help="of the choices, weights and order (default: %(default)s)")
    add("--out", type=Path, default=Path("build/search_for_a_phone"), help="folder to write to (default: %(default)s)")
    return parser.parse_args()


def finish(bound: float, first: tuple[float, float], found: tuple[float, float]) -> None:
    """Print latency and accuracy of both, and end with exit code 1 where the winner is not what was asked for."""
    print(f"first guess: {first[0]:.3f} ms, {first[1]:.1%} of the test digits")
    print(f"winner:      {found[0]:.3f} ms, {found[1]:.1%} of the test digits (asked: at most {bound:.3f} ms)")
    if found[0] > bound:
        sys.exit("Timed afresh, the winner is too slow: close other programs, or ask for a little less than half.")
    if found[1] < first[1] - POINT:
        sys.exit(
            "The winner is more than a point less accurate: try more models (--trials), or train longer (--epochs)."
        )


def main() -> None:
    """Time the first guess, search, and measure both artifacts afresh."""
    options = read_options()
    first = search(options.out / "first", options, "--oracle", "grid", "--trials", "1", "--objective", "val_accuracy",
                   "--objective", "latency_ms")  # fmt: skip
    bound = round(first.best.measures["latency_ms"] / 2, 4)
    print(f"The first guess takes {2 * bound:.3f} ms: searching for models of at most {bound:.3f} ms")
    winner = search(
        options.out / "search",
        options,
        *("--trials", str(options.trials), "--workers", str(options.workers), "--constraint", f"latency_ms<={bound}"),
    )
    nnx.verify_export(options.out / "search/best/float32")
    data = nnx.data.load("digits", download=False)
    pictures, labels = (np.concatenate(parts) for parts in zip(*data.raw("test").as_numpy_iterator(), strict=True))
    measured = []
    for result in (first, winner):
        path = result.directory / "best/float32/model.tflite"
        found = nnx.tuning.measure_artifact("tflite", path, {"image": pictures[:1]}, seconds=ROUND_SECONDS)
        measured.append((found.latency_ms, accuracy(path, pictures, labels)))
    finish(bound, *measured)


if __name__ == "__main__":
    main()
