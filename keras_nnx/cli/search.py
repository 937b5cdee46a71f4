"""`keras-nnx search`."""

from __future__ import annotations

import importlib.util
import os
import tempfile
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from keras_nnx.tuning.searches.configuration import Configuration
    from keras_nnx.tuning.searches.folder import Folder


_INTERRUPTED = 130
_WIDTH_OF_A_FILE = 160


class Oracle(StrEnum):
    """What chooses the trials."""

    random = "random"
    bayesian = "bayesian"
    hyperband = "hyperband"
    grid = "grid"
    tpe = "tpe"
    nsga2 = "nsga2"


class Target(StrEnum):
    """Where artifacts are measured."""

    onnx = "onnx"
    tflite = "tflite"


def command(
    space: Annotated[
        str,
        typer.Option(
            help="vit, resnet, convnext, blocks (a search of architectures), or your own: module:attribute or "
            "file.py:attribute."
        ),
    ] = "vit",
    data: Annotated[
        str,
        typer.Option(
            help="digits, a prepared data set of TensorFlow Datasets, an .npz file with x and y, or your own: "
            "module:attribute or file.py:attribute."
        ),
    ] = "digits",
    objectives: Annotated[
        list[str] | None,
        typer.Option(
            "--objective",
            metavar="NAME",
            help="val_accuracy, val_loss, latency_ms, size_mb, memory_mb, accuracy, parameters, each of the artifact "
            "also with int8_ and onnx_ or tflite_ before it; min:NAME or max:NAME for your own. Several give a Pareto "
            "front.",
            show_default="val_accuracy",
        ),
    ] = None,
    constraints: Annotated[
        list[str] | None,
        typer.Option(
            "--constraint",
            metavar="TEXT",
            help='Such as "latency_ms<=2" or "size_mb<=1"; may be given several times.',
            show_default="none",
        ),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="How many models are tried.")] = 20,
    out: Annotated[Path, typer.Option(help="Directory for the report, the trials and the best model.")] = Path(
        "keras_nnx_search"
    ),
    oracle: Annotated[
        Oracle, typer.Option(help="What chooses the trials; tpe and nsga2 are Optuna's.")
    ] = Oracle.random,
    epochs: Annotated[int, typer.Option(min=1, help="Of each trial, at most.")] = 40,
    patience: Annotated[int, typer.Option(min=1, help="Epochs without progress after which a trial stops.")] = 10,
    target: Annotated[Target, typer.Option(help="The runtime that artifacts are measured in.")] = Target.onnx,
    workers: Annotated[int, typer.Option(min=1, help="Processes that run trials at the same time.")] = 1,
    recycle: Annotated[int, typer.Option(min=1, help="Trials after which a worker is replaced by a new one.")] = 5,
    listen: Annotated[
        str,
        typer.Option(
            help="Where workers ask for trials; port 0 is any that is free. With an address of the network, other "
            "machines can take part."
        ),
    ] = "127.0.0.1:0",
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="The same gives the same trials.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew where an earlier search is in the directory.")
    ] = False,
) -> None:
    """Search for the model that is best when it is deployed: accuracy, latency, size and memory of the proven artifact.

    A trial that cannot be exported, or is too slow or too large for the constraints, is rejected before it is trained.
    A search that was ended, however it was, goes on when the same command is given again.

    In the directory you find search.html, search.json, and in best the model and its artifacts.

    Example: keras-nnx search --space vit --data digits --constraint "latency_ms<=0.2" --workers 2 --out phone
    """
    from keras_nnx.tuning.searches.address import read_address
    from keras_nnx.tuning.searches.configuration import Configuration
    from keras_nnx.tuning.searches.named import check_file, check_space_name

    if importlib.util.find_spec("jinja2") is None:
        raise ImportError('The report needs jinja2: run pip install "keras-nnx[plot]".')
    if oracle in (Oracle.tpe, Oracle.nsga2) and importlib.util.find_spec("optuna") is None:
        raise ImportError(f'The oracle {oracle.value} needs Optuna: run pip install "keras-nnx[optuna]".')
    check_space_name(space)
    for name in (space, data):
        check_file(name)
    configuration = Configuration(
        space=space,
        data=data,
        objectives=tuple(objectives or ("val_accuracy",)),
        constraints=tuple(constraints or ()),
        oracle=oracle.value,
        trials=trials,
        epochs=epochs,
        patience=patience,
        seed=seed,
        target=target.value,
    )
    read_address(listen)
    configuration.parsed(None if ":" in space else ("loss", "accuracy"))  # the metrics of those that have a name
    _run(configuration, out, workers, recycle, listen, overwrite)


def _run(configuration: Configuration, out: Path, workers: int, recycle: int, listen: str, overwrite: bool) -> None:
    """Run a search in processes of their own, show it, and write what came of it."""
    from rich.console import Console

    from keras_nnx.tuning.searches.address import check_free
    from keras_nnx.tuning.searches.collect import add_seconds, begin, check_ours, clear, collect, conclude
    from keras_nnx.tuning.searches.folder import Folder
    from keras_nnx.tuning.searches.progress import Progress, best_line, trial_table
    from keras_nnx.tuning.searches.supervisor import Supervisor
    from keras_nnx.tuning.searches.temporary import temporary_place

    console, words = Console(), Console(highlight=False, markup=False, soft_wrap=True)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDTH_OF_A_FILE
    folder, start = Folder(out), time.monotonic()
    if folder.root.exists() and not folder.root.is_dir():
        raise ValueError(f"{out} is a file: name a directory.")
    check_ours(folder)
    if Supervisor.elsewhere():
        _join(configuration, folder, workers, recycle)
        return
    with folder.locked(tell=words.print) as lock:
        check_free(listen)
        if overwrite:
            clear(folder)
        done = begin(folder, configuration)
        if done:
            words.print(f"Going on in {out}: {done} of {max(done, configuration.trials)} trials are done.")
        progress = Progress(console, lambda: collect(folder, running=True), configuration.trials)
        try:
            with temporary_place(folder) as place:
                supervisor = Supervisor(folder, lock, workers, recycle, listen, progress.tell, place)
                with progress:
                    if done < configuration.trials:
                        supervisor.run(progress.show)
                    progress.show(last=True)
                console.print("Exporting the best model to all formats, and measuring it once more", style="dim")
                supervisor.finish()
        except KeyboardInterrupt:
            add_seconds(folder, time.monotonic() - start)
            ended = f"{len(folder.results())} of {max(done, configuration.trials)} trials"
            words.print(f"Interrupted after {ended}: the same command goes on where it was, in {out}.")
            raise SystemExit(_INTERRUPTED) from None
        result = conclude(folder, time.monotonic() - start)
    console.print(trial_table(result))
    for note in result.afresh.get("notes", ()):
        words.print(note)
    for line in best_line(result):
        words.print(line)
    words.print(f"Model and artifacts: {folder.best}")
    typer.echo(f"Report: {folder.page}")


def _join(configuration: Configuration, folder: Folder, workers: int, recycle: int) -> None:
    """Run trials for the chief of another machine, which shares the folder."""
    from rich.console import Console

    from keras_nnx.tuning.searches.collect import check_same
    from keras_nnx.tuning.searches.supervisor import Supervisor

    words = Console(highlight=False, markup=False, soft_wrap=True)
    values = folder.read_search()
    if values is None:
        raise ValueError(
            f"{folder.root} holds no search to join: start the chief first, in a folder that both can see."
        )
    check_same(folder, configuration, values, joining=True)
    if folder.over.exists():
        raise ValueError(f"The search in {folder.root} is over: there is nothing to join.")
    count = "1 worker takes" if workers == 1 else f"{workers} workers take"
    words.print(f"{count} trials from {os.environ['KERASTUNER_ORACLE_IP']}, until none is left.")
    with tempfile.TemporaryDirectory(prefix="keras_nnx_", ignore_cleanup_errors=True) as place:
        supervisor = Supervisor(folder, None, workers, recycle, "", words.print, Path(place))
        supervisor.run(lambda: None)
    mine = sum(entry["worker"] in supervisor.names for entry in folder.results().values())
    words.print(f"No trial is left; {mine} of them ran here.")
