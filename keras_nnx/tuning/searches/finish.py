"""The end of a search: the best model's artifacts in all formats, proven and measured afresh, and the report."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import traceback
from typing import Any

import keras
import keras_tuner

from keras_nnx.export import ExportError
from keras_nnx.export.arguments import FORMATS
from keras_nnx.export.directories import staged_directory
from keras_nnx.export.manifest import versions
from keras_nnx.tuning.hypermodel import Space
from keras_nnx.tuning.searches.artifacts import Meter, export_for
from keras_nnx.tuning.searches.collect import asked, collect
from keras_nnx.tuning.searches.data import SearchData
from keras_nnx.tuning.searches.folder import WEIGHTS, Folder, read_json, write_json
from keras_nnx.tuning.searches.named import find_data, find_space
from keras_nnx.tuning.searches.objectives import parse_quantity
from keras_nnx.tuning.searches.quiet import Quiet
from keras_nnx.tuning.searches.result import SearchResult, TrialResult


def main() -> None:
    """Finish the search in a folder, which is the argument, in a process of its own."""
    folder = Folder(sys.argv[1])
    configuration = asked(folder)
    try:
        data = find_data(configuration.data, configuration.seed)
        space = find_space(configuration.space, data)
        finish(folder, space, data)
    except Exception as error:
        traceback.print_exc()
        write_json(folder.refusal("finish"), {"message": f"{type(error).__name__}: {error}"})
        raise


def finish(folder: Folder, space: Space, data: SearchData) -> None:
    """Put the best model's artifacts in place, and measure them once more.

    Args:
        folder: Of the search.
        space: What was searched.
        data: As it was searched with.
    """
    result = collect(folder)
    best, before = result.best, read_json(folder.finish) or {}
    found: dict[str, Any] = {"environment": environment()}
    if (
        best is not None
        and folder.best.exists()
        and before.get("best") == best.id
        and before.get("environment") == found["environment"]
    ):
        return  # a search that was finished, and is looked at again
    if best is not None:
        found |= {"best": best.id, **_export_best(folder, result, best, space, data)}
    write_json(folder.finish, found)


def _export_best(
    folder: Folder, result: SearchResult, best: TrialResult, space: Space, data: SearchData
) -> dict[str, Any]:
    configuration = asked(folder)
    model = _rebuilt(folder, best, space, data)
    quantities = configuration.quantities(read_json(folder.space)["metrics"])
    notes = []
    with staged_directory(folder.best, overwrite=True, foreign=lambda path: None) as stage:
        try:
            model.save(stage / "model.keras")
        except (ValueError, TypeError, NotImplementedError) as error:
            notes.append(f"Keras cannot save the model as a .keras file: {error}")
            model.save_weights(stage / WEIGHTS)
        try:
            reports = export_for(model, stage, quantities, data, configuration, verify=True, formats=FORMATS)
        except ExportError as error:
            notes.append(f"Only {configuration.target} was exported, since one of the others is refused: {error}")
            shutil.rmtree(stage / "float32", ignore_errors=True)
            reports = export_for(model, stage, quantities, data, configuration, verify=True)
        meter = Meter(reports, data, configuration.target, Quiet(folder.state))
        asked_for = [entry for entry in quantities if entry.kind == "artifact"]
        known = {entry.meant(configuration.target) for entry in asked_for}
        usual = [parse_quantity(name, None) for name in ("latency_ms", "size_mb")]
        usual = [entry for entry in usual if entry.meant(configuration.target) not in known]
        measures = {entry.name: meter.measure(entry) for entry in [*asked_for, *usual]}
    broken = [
        f"{constraint} (it is {measures[constraint.name]:.4g} now, and was {best.measures[constraint.name]:.4g})"
        for constraint in result.constraints
        if constraint.name in measures and not constraint.allows(measures[constraint.name])
    ]
    if broken:
        notes.append(
            f"Measured afresh, the best model breaks {', '.join(broken)}: ask for a little more than you need."
        )
    return {"measures": measures, "notes": [*notes, *meter.notes]}


def _rebuilt(folder: Folder, trial: TrialResult, space: Space, data: SearchData) -> keras.Model:
    """Return the model of a trial, built anew: a file with code in it would have to be trusted."""
    written = read_json(folder.trial(trial.id) / "trial.json")
    keras.backend.clear_session()
    hp = keras_tuner.HyperParameters.from_config(written["hyperparameters"])
    inner = space.make(hp, str(space.name))  # not compiled: the weights are those of another optimizer
    model = data.deployable(inner)
    model.load_weights(folder.trial(trial.id) / WEIGHTS)
    space.recipe.choose(hp).compile(inner)
    return model


def environment() -> dict[str, str]:
    """Return what the search ran on."""
    return {
        **versions(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": str(os.cpu_count()),
    }
