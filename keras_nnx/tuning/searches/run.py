"""A search in this process, and what one has found."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras_tuner
from rich.console import Console

from keras_nnx.export.workers import shared_worker
from keras_nnx.tuning.hypermodel import Space
from keras_nnx.tuning.searches.choice import make_oracle
from keras_nnx.tuning.searches.collect import begin, check_ours, clear, collect, conclude
from keras_nnx.tuning.searches.configuration import Configuration
from keras_nnx.tuning.searches.data import SearchData, arrays
from keras_nnx.tuning.searches.finish import finish
from keras_nnx.tuning.searches.folder import Folder, read_json
from keras_nnx.tuning.searches.progress import trial_line
from keras_nnx.tuning.searches.quiet import Quiet
from keras_nnx.tuning.searches.result import SearchResult
from keras_nnx.tuning.searches.trial import TrialRunner
from keras_nnx.tuning.searches.tuner import SearchTuner
from keras_nnx.tuning.searches.worker import prunes, write_space


def search(
    space: Space,
    data: SearchData | tuple[Any, ...],
    directory: str | Path,
    *,
    objectives: str | Sequence[str] = "val_accuracy",
    constraints: str | Sequence[str] = (),
    oracle: str = "random",
    trials: int = 20,
    epochs: int = 40,
    patience: int = 10,
    seed: int = 0,
    target: str = "onnx",
    overwrite: bool = False,
    verbose: int = 1,
) -> SearchResult:
    """Search a space for the model that is best when it is deployed.

    Each trial is built, exported untrained and rejected if that cannot be done or breaks a constraint; then trained,
    exported with proof, and measured in the runtime. `keras-nnx search` does the same in several processes.

    A search that was ended, however it was, goes on when it is called again.

    Args:
        space: What `nnx.tuning.space` returns.
        data: `((x, y), (x_val, y_val))`, or `(x, y)`, a fifth of which is for validation, or a `SearchData`.
        directory: Where everything goes: `search.html`, `search.json`, the best model's artifacts in `best`.
        objectives: What trials are judged by, such as `"val_accuracy"`, `"latency_ms"`, `"size_mb"`, `"memory_mb"`,
            `"int8_accuracy"`, `"parameters"`, `"min:val_mystery"`; several give a Pareto front.
        constraints: Such as `"latency_ms<=2"`.
        oracle: `"random"`, `"bayesian"`, `"hyperband"`, `"grid"`, or of Optuna `"tpe"`, `"nsga2"`.
        trials: How many; more may be asked for when a search goes on.
        epochs: Of each, at most.
        patience: Epochs without a better value of the first objective after which a trial stops.
        seed: The same gives the same trials.
        target: Where artifacts are measured: `"onnx"` or `"tflite"`.
        overwrite: Whether an earlier search in the directory is removed first.
        verbose: 0 for silence, 1 for a line for each trial.

    Returns:
        The trials, the front, the best.

    Raises:
        ValueError: If something is unknown, or constraints contradict each other.
        SearchError: If no trial was completed.

    Example:
        >>> import tempfile, keras, numpy as np
        >>> import keras_nnx as nnx
        >>> def build(units):
        ...     layers = [keras.Input((4,)), keras.layers.Dense(units, "relu"), keras.layers.Dense(3, "softmax")]
        ...     return keras.Sequential(layers)
        >>> space = nnx.tuning.space(build, units=nnx.tuning.Int(2, 8))
        >>> x, y = np.random.default_rng(0).normal(size=(64, 4)).astype("float32"), np.arange(64) % 3
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result = nnx.tuning.search(
        ...         space, (x, y), folder, constraints="size_mb<=1", trials=2, epochs=1, verbose=0
        ...     )
        >>> [trial.state for trial in result.trials]
        ['completed', 'completed']
    """
    configuration = Configuration(
        str(space.name),
        "arrays",
        (objectives,) if isinstance(objectives, str) else tuple(objectives),
        (constraints,) if isinstance(constraints, str) else tuple(constraints),
        oracle,
        trials,
        epochs,
        patience,
        seed,
        target,
    )
    found = data if isinstance(data, SearchData) else _as_data(data, seed)
    folder = Folder(directory)
    start = time.monotonic()
    check_ours(folder)
    with folder.locked():
        if overwrite:
            clear(folder)
        runner = TrialRunner(space, found, configuration, folder.trial, Quiet(folder.state))
        begin(folder, configuration)
        write_space(folder, runner)
        _run(folder, runner, verbose)
        finish(folder, space, found)
        result = conclude(folder, time.monotonic() - start)
    if verbose:
        for note in result.afresh["notes"]:
            Console().print(note, highlight=False, markup=False, soft_wrap=True)
    return result


def load_search(directory: str | Path) -> SearchResult:
    """Return what a search has found, as far as it has come.

    Args:
        directory: Of the search.

    Raises:
        ValueError: If there is none.
    """
    return collect(Folder(directory))


def _run(folder: Folder, runner: TrialRunner, verbose: int) -> None:
    configuration, space = runner.configuration, read_json(folder.space)
    oracle = make_oracle(
        configuration.oracle,
        runner.objectives,
        configuration.trials,
        configuration.seed,
        configuration.epochs,
        folder,
        space["space"],
    )
    console = Console()
    tuner = _Telling(oracle, runner, folder, prunes=prunes(runner))
    tuner.console = console if verbose else None
    with shared_worker():
        tuner.search()


class _Telling(SearchTuner):
    """Says what has become of each trial."""

    console: Console | None = None

    def on_trial_end(self, trial: keras_tuner.engine.trial.Trial) -> None:
        super().on_trial_end(trial)
        if self.console is not None:
            result = collect(self.folder)
            ended = next(entry for entry in result.trials if entry.id == trial.trial_id)
            count = f"[{len(result.trials)}/{self.runner.configuration.trials}]"
            self.console.print(f"{count} {trial_line(ended, result)}", highlight=False, markup=False, soft_wrap=True)


def _as_data(data: tuple[Any, ...], seed: int) -> SearchData:
    if isinstance(data, tuple) and len(data) == 2:
        return arrays(*data, seed=seed) if isinstance(data[0], tuple) else arrays(data, None, seed)
    raise ValueError("search(data=) needs ((x, y), (x_val, y_val)), (x, y), or a SearchData.")
