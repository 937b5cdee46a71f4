"""One trial, from what was chosen to what came of it."""

from __future__ import annotations

import contextlib
import errno
import math
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from keras_nnx.callbacks import EarlyStopping
from keras_nnx.export import ExportError, OutputDirectoryError
from keras_nnx.tuning.hypermodel import InfeasibleError, Space
from keras_nnx.tuning.searches.artifacts import Meter, export_for, sound
from keras_nnx.tuning.searches.configuration import Configuration
from keras_nnx.tuning.searches.data import SearchData, check_data
from keras_nnx.tuning.searches.folder import WEIGHTS
from keras_nnx.tuning.searches.metrics import metric_names
from keras_nnx.tuning.searches.objectives import PARAMETERS, Quantity
from keras_nnx.tuning.searches.quiet import Quiet
from keras_nnx.tuning.searches.result import COMPLETED, FAILED, INFEASIBLE, PRUNED, REJECTED, TrialResult
from keras_nnx.tuning.searches.watch import Watch

_SEED_STEP = 7919
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
CHECKPOINT = "checkpoint.weights.h5"
Tell = Callable[[str], None]
Ask = Callable[[int, float], bool]


class StorageError(Exception):
    """There is no room for a trial: it is not its fault."""


class RejectedError(Exception):
    """A trial is not worth its training; the message says why."""


class TrialRunner:
    """What is the same for all trials of a worker.

    Args:
        space: What is searched.
        data: What it is trained and judged on.
        configuration: What was asked for.
        folder: Where trials keep their files.
        quiet: What keeps the machine quiet while something is timed.

    Attributes:
        metrics: The names of the loss and the metrics, as a history has them; None if any may be one.
    """

    def __init__(
        self, space: Space, data: SearchData, configuration: Configuration, folder: Callable[[str], Path], quiet: Quiet
    ) -> None:
        self.space, self.data, self.configuration = space, data, configuration
        self.folder, self.quiet = folder, quiet
        self.metrics = metric_names(space, data)
        self.objectives, self.constraints = configuration.parsed(self.metrics)
        self.quantities = configuration.quantities(self.metrics)
        check_data(data, self.quantities)

    def run(self, trial_id: str, hp: keras_tuner.HyperParameters, tell: Tell, ask: Ask) -> TrialResult:
        """Build, export, measure, train, export and measure again.

        Args:
            trial_id: The number of the trial.
            hp: What was chosen.
            tell: Is told what is being done, for a table to show.
            ask: Is given an epoch and the first objective, and says whether to go on.
        """
        start = time.perf_counter()
        run = _Run(self, trial_id, hp, tell, ask)
        state, reason = COMPLETED, ""
        with self.quiet.working():
            try:
                state, reason = run.work()
            except (RejectedError, InfeasibleError) as error:
                state, reason = REJECTED, str(error)
            except OutputDirectoryError as error:
                raise StorageError(f"Trial {trial_id} cannot be stored, and the search ends: {error}") from error
            except OSError as error:
                if error.errno in _NO_ROOM:
                    raise StorageError(f"Trial {trial_id} cannot be stored, and the search ends: {error}") from error
                state, reason = FAILED, f"{type(error).__name__}: {error}"
            except SystemExit as error:
                state, reason = FAILED, f"the model ended the process with exit({error.code})"
            except Exception as error:  # noqa: BLE001  (whatever a model does, the search goes on and says so)
                traceback.print_exc()  # into the log of the worker
                state, reason = FAILED, f"{type(error).__name__}: {error}"
            if state != COMPLETED:
                run.drop()
        return TrialResult(
            trial_id,
            state,
            values={key: _plain(value) for key, value in hp.values.items() if not key.startswith("tuner/")},
            measures=run.measures,
            reason=" ".join(reason.split()),
            seconds=time.perf_counter() - start,
            curves=run.curves,
            artifact=run.artifact,
            notes=tuple(dict.fromkeys(run.notes)),
        )


class _Run:
    """The state of one trial under way."""

    def __init__(
        self, runner: TrialRunner, trial_id: str, hp: keras_tuner.HyperParameters, tell: Tell, ask: Ask
    ) -> None:
        self.runner, self.hp, self.tell, self.ask = runner, hp, tell, ask
        self.number = int(trial_id)
        self.home = runner.folder(trial_id)
        self.measures: dict[str, float] = {}
        self.curves: dict[str, list[float]] = {}
        self.notes: list[str] = []
        self.artifact: str | None = None

    def work(self) -> tuple[str, str]:
        """Return the state that the trial ends in, and why."""
        runner = self.runner
        keras.backend.clear_session(free_memory=True)
        keras.utils.set_random_seed((runner.configuration.seed + _SEED_STEP * self.number) % 2**31)
        self.tell("building")
        model = runner.space.build(self.hp)
        if not model.built:
            raise RejectedError("the model does not know its inputs: begin it with keras.Input, or call it once")
        self.measures[PARAMETERS] = float(model.count_params())
        self._reject_broken([entry for entry in runner.quantities if entry.kind == PARAMETERS], "the model")
        self._try_untrained(model)
        stopped = self._train(model)
        if stopped:
            return stopped
        self._try_trained(model)
        wrong = next((entry.name for entry in runner.quantities if not sound(self.measures.get(entry.name))), None)
        if wrong is not None:
            return FAILED, f"{wrong} is {self.measures.get(wrong, 'missing')}: there is nothing to compare."
        broken = self._broken(runner.quantities)
        return (INFEASIBLE, f"the trained artifact breaks {broken}") if broken else (COMPLETED, "")

    def drop(self) -> None:
        """Remove the files of a trial that nobody will use."""
        self.artifact = None
        (self.home / WEIGHTS).unlink(missing_ok=True)
        for precision in ("float32", "int8"):
            shutil.rmtree(self.home / precision, ignore_errors=True)

    def _try_untrained(self, model: keras.Model) -> None:
        """Reject what cannot be exported, or breaks a constraint whatever its weights will be."""
        self.tell("exporting, untrained")
        names = {constraint.name for constraint in self.runner.constraints}
        made = [entry for entry in self.runner.quantities if entry.kind == "artifact"]
        with tempfile.TemporaryDirectory(prefix="keras_nnx_") as folder:
            meter = self._export(model, Path(folder), made, verify=False)
            outputs = meter.reports["float32"].signature.outputs
            if any(entry.measure == "accuracy" for entry in made) and len(outputs) != 1:
                found = ", ".join(entry.name for entry in outputs)
                raise RejectedError(f"the accuracy of an artifact is measured of one output, and the model has {found}")
            for quantity in (entry for entry in made if entry.before_training and entry.name in names):
                self.tell(f"measuring {quantity.name}, untrained")
                self.measures[quantity.name] = meter.measure(quantity)
                self._reject_broken([quantity], "the untrained artifact")

    def _train(self, model: keras.Model) -> tuple[str, str] | None:
        """Train; return how the trial ends, if it ends here."""
        runner, aim = self.runner, self.runner.objectives[0]
        learned = aim.quantity.kind == "metric"
        name, mode = (aim.name, aim.direction) if learned else ("val_loss", "min")
        epochs = int(self.hp.values.get("tuner/epochs", runner.configuration.epochs))
        first = int(self.hp.values.get("tuner/initial_epoch", 0))
        watch = Watch(epochs, name, runner.quiet, self.tell, self.ask)
        stopping = EarlyStopping(name, patience=runner.configuration.patience, mode=mode)
        if first:
            model.load_weights(runner.folder(self.hp.values["tuner/trial_id"]) / CHECKPOINT)
        paired = isinstance(runner.data.train, tuple)
        x, y = runner.data.train if paired else (runner.data.train, None)
        given = {"epochs": epochs, "initial_epoch": first, "callbacks": [stopping, watch], "verbose": 0}
        validation = runner.data.validation
        history = runner.space.fit(self.hp, model, x, y, validation_data=validation, shuffle=paired, **given)
        self.curves = {key: [float(value) for value in values] for key, values in history.history.items()}
        if watch.pruned:
            return PRUNED, f"others did better after {len(self.curves['loss'])} epochs"
        if stopping.best_epoch is None:
            return FAILED, f"{name} was no number in any epoch: {stopping.reason}"
        kept = history.epoch.index(stopping.best_epoch)
        asked = {entry.name for entry in runner.quantities if entry.kind == "metric"}
        known = {key: values[kept] for key, values in self.curves.items() if key.startswith("val_") or key in asked}
        self.measures.update(known)
        if "tuner/epochs" in self.hp.values:
            model.save_weights(self.home / CHECKPOINT)
        return None

    def _try_trained(self, model: keras.Model) -> None:
        """Export with proof, and measure what is shipped."""
        self.tell("exporting and proving")
        self.home.mkdir(parents=True, exist_ok=True)
        meter = self._export(model, self.home, self.runner.quantities, verify=True)
        self.artifact = self.home.name
        for quantity in (entry for entry in self.runner.quantities if entry.kind == "artifact"):
            self.tell(f"measuring {quantity.name}")
            self.measures[quantity.name] = meter.measure(quantity)
        self.notes += meter.notes

    def _export(self, model: keras.Model, folder: Path, quantities: Sequence[Quantity], *, verify: bool) -> Meter:
        runner = self.runner
        final = runner.data.deployable(model)
        if verify:
            final.save_weights(folder / WEIGHTS)
        try:
            reports = export_for(final, folder, quantities, runner.data, runner.configuration, verify=verify)
        except OutputDirectoryError:
            raise
        except ExportError as error:
            what = "the trained model" if verify else "the model"
            raise RejectedError(f"{what} cannot be exported: {error}") from error
        constraints = None if verify else runner.constraints
        return Meter(reports, runner.data, runner.configuration.target, runner.quiet, constraints)

    def _broken(self, quantities: Sequence[Quantity]) -> str:
        """Return the constraints about some quantities that are broken, with what was measured."""
        names = {entry.name for entry in quantities}
        return ", ".join(
            f"{constraint} (it is {self.measures[constraint.name]:.4g})"
            for constraint in self.runner.constraints
            if constraint.name in names and not constraint.allows(self.measures[constraint.name])
        )

    def _reject_broken(self, quantities: Sequence[Quantity], what: str) -> None:
        broken = self._broken(quantities)
        if broken:
            raise RejectedError(f"{what} breaks {broken}")


def _plain(value: Any) -> Any:
    """Return a number for the name of one, by which it was chosen."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            if isinstance(value, str) and str(kind(value)) == value and math.isfinite(kind(value)):
                return kind(value)
    return value
