"""What becomes of a trial: completed, infeasible, rejected, failed; and what was measured."""

import dataclasses
import json

import keras
import numpy as np
import pytest

import keras_nnx as nnx
from keras_nnx.tuning.searches.data import arrays
from keras_nnx.tuning.searches.named import find_attribute
from keras_nnx.tuning.searches.progress import trial_table
from keras_nnx.tuning.searches.trial import StorageError

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(96, 6)).astype("float32")
Y = (X[:, 0] > 0).astype("int64") + (X[:, 1] > 0)
DATA = ((X[:64], Y[:64]), (X[64:], Y[64:]))


def network(units, fault="none"):
    if fault == "refused":
        raise ValueError("units and fault do not go together")
    if fault == "quits":
        raise SystemExit(0)
    if fault == "unbuilt":
        return keras.Sequential([keras.layers.Dense(3, "softmax")])
    if fault == "broken":
        raise RuntimeError("a defect of the builder")
    x = inputs = keras.Input((6,), name="rows")
    x = keras.layers.Dense(units, "relu")(x)
    if fault == "unexportable":
        x = keras.ops.median(keras.ops.reshape(x, (-1, units, 1)), axis=1)
    return keras.Model(inputs, keras.layers.Dense(3, "softmax", name="scores")(x), name="network")


def run(folder, space=None, **arguments):
    default = {"trials": 3, "epochs": 2, "verbose": 0, "oracle": "grid"}
    return nnx.tuning.search(
        space or nnx.tuning.space(network, units=nnx.tuning.Choice([4, 64, 8])),
        DATA,
        folder / "search",
        **{**default, **arguments},
    )


def test_a_search_by_everything(tmp_path, monkeypatch):
    """A search by all that an artifact is measured by, in both runtimes."""
    names = ("val_accuracy", "latency_ms", "size_mb", "memory_mb", "onnx_accuracy", "int8_accuracy", "parameters")
    measured = run(
        tmp_path,
        objectives=(*names, "tflite_size_mb", "tflite_int8_latency_ms"),
        constraints=("parameters<=500", "size_mb<=1"),
        trials=2,
    )
    check_measures(measured)
    check_sizes(measured)
    check_best(measured)
    check_reading(measured)
    monkeypatch.setattr("keras_nnx.tuning.searches.trial.TrialRunner.run", None)
    monkeypatch.setattr("keras_nnx.tuning.searches.finish.export_for", None)
    check_repetition(measured)
    (measured.directory / ".state/finish.json").unlink()
    monkeypatch.undo()
    check_repetition(measured)
    check_other_searches(measured)


def check_measures(measured):
    small, large = measured.trials
    assert [trial.state for trial in measured.trials] == ["completed", "rejected"]
    assert large.reason.startswith("the model breaks parameters<=500 (it is 643)")
    assert "training" not in large.reason
    assert not large.curves
    assert small.measures["parameters"] == 6 * 4 + 4 + 4 * 3 + 3
    assert all(small.measures[name] > 0 for name in ("latency_ms", "tflite_int8_latency_ms", "size_mb"))
    assert small.measures["memory_mb"] >= 0
    assert len(small.curves["val_accuracy"]) == 2
    # What Keras trained and the proven artifact answer alike; in int8, nearly so.
    assert small.measures["onnx_accuracy"] == pytest.approx(small.measures["val_accuracy"])
    assert abs(small.measures["int8_accuracy"] - small.measures["val_accuracy"]) < 0.2


def check_sizes(measured):
    trial = measured.trials[0]
    folder = measured.directory / "trials" / trial.artifact
    assert trial.measures["size_mb"] == (folder / "float32" / "model.onnx").stat().st_size / 1e6
    assert trial.measures["tflite_size_mb"] == (folder / "float32" / "model.tflite").stat().st_size / 1e6
    assert (folder / "int8" / "model.tflite").exists()


def check_best(measured):
    best = measured.directory / "best"
    assert sorted(path.name for path in best.iterdir()) == ["float32", "int8", "model.keras"]
    report = nnx.verify_export(best / "float32")
    assert report.proven
    assert sorted(report.artifacts) == ["onnx", "saved_model", "tflite"]
    assert measured.afresh["measures"]["size_mb"] == measured.best.measures["size_mb"]
    assert keras.models.load_model(best / "model.keras").count_params() == measured.best.measures["parameters"]


def check_reading(measured):
    assert nnx.tuning.load_search(measured.directory).to_dict() == measured.to_dict()
    stored = json.loads((measured.directory / "search.json").read_text())
    assert stored["best"] == measured.best.id
    assert "<svg" in (measured.directory / "search.html").read_text()


def check_repetition(measured):
    again = run(
        measured.directory.parent,
        objectives=measured.configuration["objectives"],
        constraints=measured.configuration["constraints"],
        trials=2,
    )
    assert [trial.measures for trial in again.trials] == [trial.measures for trial in measured.trials]


def test_faults(tmp_path):
    space = nnx.tuning.space(
        network,
        units=4,
        fault=nnx.tuning.Choice(["none", "refused", "unexportable", "broken", "quits", "unbuilt"]),
        recipe=nnx.tuning.Recipe(learning_rate=nnx.tuning.Choice([0.01, 1e30])),
    )
    result = run(tmp_path, space, trials=12, target="tflite")
    reasons = {
        "nan" if trial.values["training/learning_rate"] > 1 else trial.values["network/fault"]: (
            trial.state,
            trial.reason,
        )
        for trial in result.trials
        if trial.values["training/learning_rate"] < 1 or trial.values["network/fault"] == "none"
    }
    assert reasons["none"] == ("completed", "")
    assert reasons["refused"][0] == "rejected"
    assert "do not go together" in reasons["refused"][1]
    assert reasons["unexportable"][0] == "rejected"
    assert "cannot be exported" in reasons["unexportable"][1]
    assert reasons["nan"][0] == "failed"
    assert "no number" in reasons["nan"][1]
    assert reasons["quits"] == ("failed", "the model ended the process with exit(0)")
    assert reasons["unbuilt"][0] == "rejected"
    assert "begin it with keras.Input" in reasons["unbuilt"][1]
    assert reasons["broken"] == ("failed", "RuntimeError: a defect of the builder")
    assert len(result.front) == 1


def test_artifact_that_breaks_a_constraint_before_and_after_training(tmp_path):
    result = None
    with pytest.raises(
        nnx.tuning.SearchError, match=r"None of 3 trials .*the untrained artifact breaks size_mb<=1e-05"
    ):
        result = run(tmp_path, constraints="size_mb<=0.00001")
    assert result is None
    late = {"constraints": "val_accuracy>=0.9999", "overwrite": True, "trials": 1, "epochs": 1}
    with pytest.raises(nnx.tuning.SearchError, match=r"infeasible, the trained artifact breaks val_accuracy>=0.999"):
        run(tmp_path, **late)


def nothing(y_true, y_pred):
    return keras.ops.mean(y_pred) * float("nan")


def test_objective_that_is_no_number(tmp_path):
    space = nnx.tuning.space(
        network, units=nnx.tuning.Choice([4, 8]), recipe=nnx.tuning.Recipe(metrics=["accuracy", nothing])
    )
    names = ("val_accuracy", "min:val_nothing")
    with pytest.raises(nnx.tuning.SearchError, match=r"None of 2 .*val_nothing is nan: there is nothing to compare"):
        run(tmp_path, space, objectives=names, trials=2, epochs=1, verbose=1)
    result = nnx.tuning.load_search(tmp_path / "search")
    table = trial_table(result)
    assert table.row_count == 2
    assert "nan" in result.to_html()


def test_accuracy_of_what_has_no_classes(tmp_path):
    space = nnx.tuning.space(network, units=nnx.tuning.Int(2, 4))
    for targets in (X[:, :1], X[:, 0], np.ones((96, 3), "float32")):
        with pytest.raises(ValueError, match="int8_accuracy is a share of right classes"):
            nnx.tuning.search(space, (X, targets), tmp_path / "s", objectives="int8_accuracy", verbose=0)
    bare = dataclasses.replace(arrays((X, Y)), calibration=None)
    with pytest.raises(ValueError, match="needs examples to calibrate int8 by"):
        nnx.tuning.search(space, bare, tmp_path / "s", objectives="int8_size_mb", verbose=0)
    assert not (tmp_path / "s" / "search.json").exists()


def test_a_full_disk_is_not_the_fault_of_a_trial(tmp_path, monkeypatch):
    def full(*arguments, **more):
        raise nnx.export.OutputDirectoryError("there is no room")

    monkeypatch.setattr("keras_nnx.tuning.searches.trial.export_for", full)
    with pytest.raises(StorageError, match="there is no room"):
        run(tmp_path)
    monkeypatch.undo()
    assert run(tmp_path, trials=1).best.id == "0"


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.scores = keras.layers.Dense(units), keras.layers.Dense(3, "softmax")

    def call(self, rows):
        return self.scores(self.hidden(rows))


def subclassed(units):
    model = Subclassed(units)
    model(X[:1])
    return model


def test_accuracy_of_a_model_that_names_no_outputs(tmp_path):
    found = run(
        tmp_path, nnx.tuning.space(subclassed, units=nnx.tuning.Choice([4, 8])), objectives="accuracy", trials=1
    )
    assert found.best.measures["accuracy"] == pytest.approx(found.best.measures["val_accuracy"])


def test_all_choices_tried_before_all_trials(tmp_path):
    space = nnx.tuning.space(network, units=nnx.tuning.Choice([4, 8]))
    found = run(tmp_path, space, trials=9, epochs=1)
    assert len(found.trials) == 2
    assert found.afresh["notes"] == ["The search ended after 2 of 9 trials: the oracle has nothing left to try."]
    fewer = run(tmp_path, space, trials=1, epochs=1)
    assert fewer.configuration["trials"] == 2
    assert not fewer.afresh["notes"]


def test_everything_fails(tmp_path):
    space = nnx.tuning.space(network, units=nnx.tuning.Int(1, 50), fault="broken")
    with pytest.raises(nnx.tuning.SearchError, match=r"None of 3 trials was completed.*a defect of the builder"):
        run(tmp_path, space, trials=40)


def check_other_searches(measured):
    with pytest.raises(
        ValueError, match=r"another search, by its .*oracle \(grid before, random now\).*overwrite=True"
    ):
        run(measured.directory.parent, oracle="random")
    space = nnx.tuning.space(network, units=nnx.tuning.Choice([4, 64, 16]))
    asked = {key: measured.configuration[key] for key in ("objectives", "constraints")}
    with pytest.raises(ValueError, match="The space is not the one"):
        run(measured.directory.parent, space, **asked)


def test_files_of_the_same_name(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "conf.py").write_text(f"place = {folder!r}")
    (tmp_path / "queue.py").write_text("place = 'mine'")
    names = [str(tmp_path / name) for name in ("one/conf.py", "two/conf.py", "one/conf.py", "queue.py")]
    assert [find_attribute(f"{name}:place") for name in names] == ["one", "two", "one", "mine"]


def test_arguments_without_meaning(tmp_path):
    for arguments, message in (
        ({"objectives": "val_accurracy"}, "val_loss, val_accuracy"),
        ({"constraints": "speed<=2"}, "parameters, latency_ms"),
        ({"constraints": ("latency_ms<=1", "latency_ms>=2")}, "contradict each other"),
        ({"oracle": "chance"}, "random, bayesian, hyperband, grid, tpe, nsga2"),
        ({"target": "coreml"}, "onnx, tflite"),
        ({"trials": 0}, "at least 1"),
        ({"seed": -1}, "at least 0"),
    ):
        with pytest.raises(ValueError, match=message):
            run(tmp_path, **arguments)
    with pytest.raises(ValueError, match="nothing to search"):
        run(tmp_path, nnx.tuning.space(network, units=4))


def test_hyperband_goes_on_from_weights(tmp_path):
    result = run(
        tmp_path, oracle="hyperband", trials=5, epochs=3, space=nnx.tuning.space(network, units=nnx.tuning.Int(2, 60))
    )
    states = [trial.state for trial in result.trials]
    assert states == ["completed"] * 5
    later = [
        json.loads(path.read_text())["drawn"] for path in sorted((result.directory / "trials").glob("*/result.json"))
    ]
    rounds = [entry["tuner/round"] for entry in later]
    assert 1 in rounds
    promoted = result.trials[rounds.index(1)]
    assert len(promoted.curves["loss"]) == 2  # the first of three epochs had been done
    past = result.trials[int(later[rounds.index(1)]["tuner/trial_id"])]
    assert promoted.curves["loss"][0] < past.curves["loss"][-1] + 0.1
