"""What the three programs share: arguments, checks, labels and the printed answer; Python's standard library only."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_PIXEL_DTYPES = ("float32", "float16", "uint8")


class Refusal(Exception):  # noqa: N818  (it is an answer)
    """Why there is no answer, in one line."""


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An input or output of an artifact; None is a dimension of any size."""

    shape: tuple[int | None, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join('?' if size is None else str(size) for size in self.shape)}]"


@dataclasses.dataclass(frozen=True)
class Model:
    """An artifact, opened in its runtime.

    Args:
        inputs: What it takes, by name.
        outputs: What it gives, by name.
        run: From arrays by name to arrays by name.
    """

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    run: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


def main(description: str, open_model: Callable[[Path], Model]) -> int:
    """Read the command line, classify and print; return the exit code: 0 done, 1 refused (2, by argparse: wrong use).

    Args:
        description: What `--help` says.
        open_model: Opens the artifact at a path.
    """
    arguments = _read_arguments(description)
    try:
        for path, scores in classify(arguments, open_model):
            best = sorted(scores, key=lambda row: -row[1])[: arguments.top]
            print(f"{path}: {', '.join(f'{label} {score:.4f}' for label, score in best)}")
    except Refusal as refusal:
        print(str(refusal).partition("\n")[0], file=sys.stderr)
        return 1
    return 0


def classify(
    arguments: argparse.Namespace, open_model: Callable[[Path], Model]
) -> Iterator[tuple[Path, list[tuple[str, float]]]]:
    """Yield each picture with its labels and scores, in the order of the classes.

    Raises:
        Refusal: If anything is missing or does not fit.
    """
    artifact: Path = arguments.artifact
    if not artifact.exists():
        raise Refusal(f"{artifact} does not exist.")
    if artifact.is_dir() and not (artifact / "saved_model.pb").exists():
        raise Refusal(f"{artifact} is a directory, but no SavedModel: name {_artifacts_in(artifact)}.")
    quiet = contextlib.nullcontext if arguments.verbose else _silent_stderr
    with quiet():
        model = open_model(artifact)
    _check_classifier(artifact, model)
    (name, taken), (output, given) = next(iter(model.inputs.items())), next(iter(model.outputs.items()))
    labels = _read_labels(arguments.labels, artifact)
    _check_labels(labels, given.shape[1])

    from picture import PictureError, read_batches  # needs numpy, which came with the runtime

    try:
        batches = read_batches(arguments.pictures, taken.shape, taken.dtype)
    except PictureError as error:
        raise Refusal(str(error)) from error
    for paths, batch in batches:
        try:
            with quiet():
                answer = model.run({name: batch})[output].tolist()
        except Exception as error:
            raise Refusal(f"{artifact} did not run on {name}: {taken.dtype}{list(batch.shape)}: {error}") from error
        _check_labels(labels, len(answer[0]))
        for path, scores in zip(paths, answer, strict=False):  # a batch that was filled up gives more
            yield path, list(zip(labels or map(str, range(len(scores))), scores, strict=True))


def _artifacts_in(directory: Path) -> str:
    names = ("saved_model", "model.onnx", "model.tflite")
    found = [str(directory / name) for name in names if (directory / name).exists()]
    return " or ".join(found) or "the artifact itself"


def _read_arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path, help="what the export wrote")
    parser.add_argument(
        "pictures", type=Path, nargs="+", metavar="picture", help="PNG, PGM, PPM or .npy; with Pillow, any kind"
    )
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="one label a line (default: labels.txt beside the artifact, if any)"
    )
    parser.add_argument("--top", type=_positive, default=3, metavar="N", help="labels for each picture (default: 3)")
    parser.add_argument("--verbose", action="store_true", help="show what the runtime logs")
    return parser.parse_args()


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)


def _check_classifier(artifact: Path, model: Model) -> None:
    """Refuse all but one batch of pictures in, one batch of class scores out."""
    takes, gives = (
        ", ".join(f"{name}: {tensor}" for name, tensor in tensors.items()) for tensors in (model.inputs, model.outputs)
    )
    pictures = [
        tensor
        for tensor in model.inputs.values()
        if len(tensor.shape) == 4 and tensor.shape[3] in (1, 3) and tensor.dtype in _PIXEL_DTYPES
    ]
    scores = [
        tensor for tensor in model.outputs.values() if len(tensor.shape) == 2 and tensor.dtype.startswith("float")
    ]
    if not (len(pictures) == len(model.inputs) == len(scores) == len(model.outputs) == 1):
        raise Refusal(
            f"{artifact} is no image classifier: it takes {takes} and gives {gives}, not pixels[batch, height, width, "
            f"1 or 3] and scores[batch, classes]."
        )


def _read_labels(given: Path | None, artifact: Path) -> list[str]:
    path = given or artifact.resolve().parent / "labels.txt"
    if given is None and not path.exists():
        return []
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"{path} cannot be read as labels: {error}") from error


def _check_labels(labels: Sequence[str], classes: int | None) -> None:
    if labels and classes is not None and classes != len(labels):
        raise Refusal(f"There are {len(labels)} labels, but the model has {classes} classes.")


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keep a runtime's log, which its C++ code writes to file descriptor 2, off the terminal."""
    sys.stderr.flush()
    kept, silence = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(silence, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(silence)
