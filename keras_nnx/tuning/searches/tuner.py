"""The tuner: asks an oracle, here or in another process, for one trial after the other."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import grpc
import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import Trial

from keras_nnx.tuning.searches.folder import Folder, read_json, write_json
from keras_nnx.tuning.searches.result import COMPLETED, TrialResult
from keras_nnx.tuning.searches.trial import TrialRunner

_PAUSE_SECONDS = 0.05


class RecycledError(Exception):
    """This process has run its share of trials."""


class SearchTuner(BaseTuner):
    """Runs the trials that an oracle chooses, each exactly once.

    What a trial has come to is written before the oracle is told: a process that ends in between does not cost the
    trial, whose result is found when it is given out again.

    Args:
        oracle: Of keras-tuner; in a worker, it is replaced by a line to the chief.
        runner: Runs a trial.
        folder: Of the search.
        recycle: How many trials until `RecycledError`; None for all.
        tell: Is told the trial and what is being done.
        prunes: Whether the oracle ends trials early.
    """

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        runner: TrialRunner,
        folder: Folder,
        recycle: int | None = None,
        tell: Callable[[str, str], None] = lambda trial, stage: None,
        prunes: bool = False,
    ) -> None:
        self.runner, self.folder, self.recycle, self.tell, self.prunes = runner, folder, recycle, tell, prunes
        self._ran = 0
        super().__init__(oracle, directory=str(folder.trials.parent), project_name=folder.trials.name)

    def _get_tuner_fname(self) -> str:
        return str(self.folder.state / "none")  # the oracle alone has a state

    def save(self) -> None:
        """Do nothing: the oracle has saved itself."""

    def pre_create_trial(self) -> None:
        """Breathe, since an oracle that waits is asked again at once; end if it is enough."""
        if self.recycle is not None and self._ran >= self.recycle:
            raise RecycledError
        self.tell("", "waiting for a trial")
        time.sleep(_PAUSE_SECONDS)

    def _try_run_and_update_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> None:
        result = self._stored(trial)
        if result is None:
            result = self._run(trial)
            self._ran += 1
        if result.state == COMPLETED:
            names = [aim.name for aim in self.runner.objectives]
            self.oracle.update_trial(trial.trial_id, {name: result.measures[name] for name in names})
        trial.status = "COMPLETED" if result.state == COMPLETED else "FAILED"
        trial.message = result.reason or None

    def _stored(self, trial: Trial) -> TrialResult | None:
        """Return what an earlier process has made of the same trial."""
        found = read_json(self.folder.result(trial.trial_id))
        if found is None or found["drawn"] not in (None, self._drawn(trial).values):
            return None
        return TrialResult.from_dict(found)

    def _run(self, trial: Trial) -> TrialResult:
        hp = self._drawn(trial)
        self.folder.trial(trial.trial_id).mkdir(parents=True, exist_ok=True)
        result = self.runner.run(
            trial.trial_id,
            hp,
            lambda stage: self.tell(trial.trial_id, stage),
            lambda epoch, value: self._goes_on(trial, epoch, value),
        )
        result = dataclasses.replace(result, worker=self.tuner_id)
        write_json(self.folder.result(trial.trial_id), {**result.to_dict(), "drawn": hp.values})
        self.tell(trial.trial_id, f"trial {trial.trial_id} ended: {result.state} {result.reason}")
        return result

    def _drawn(self, trial: Trial) -> keras_tuner.HyperParameters:
        """Return what was chosen as the oracle has written it, since what it sends has fewer digits."""
        written = read_json(self.folder.trial(trial.trial_id) / "trial.json")
        if written is None:
            return trial.hyperparameters
        return keras_tuner.HyperParameters.from_config(written["hyperparameters"])

    def _goes_on(self, trial: Trial, epoch: int, value: float) -> bool:
        if not self.prunes:
            return True
        try:
            answer = self.oracle.update_trial(trial.trial_id, {self.runner.objectives[0].name: value}, step=epoch)
        except grpc.RpcError:
            return True  # the chief has died, which is nothing that the trial could help
        return answer.status != "STOPPED"
