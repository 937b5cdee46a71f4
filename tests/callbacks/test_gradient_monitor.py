"""Gradients by layer against a tape, findings with remedies, and no trace in the training."""

import copy
import json
import math
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_nnx.callbacks import FindingKind, GradientMonitor, GradientWarning, Limits
from keras_nnx.callbacks import gradient_findings as findings
from tests.callbacks.conftest import INPUTS, TARGETS, Does, compiled, fit, same

QUIET = Limits(vanishing=0.0, exploding=math.inf, dead=2.0, saturated=2.0)


def test_norms_are_those_of_a_tape(options):
    model, expected = compiled(keras.optimizers.SGD(0.1), **options), {}

    at = 3 if options["steps_per_execution"] == 1 else 4

    def by_hand(model, *_):
        if int(model.optimizer.iterations) == at:
            groups = {"hidden_0": model.weights[:2], "head": model.weights[2:]}
            groups = {name: [weight.value for weight in group] for name, group in groups.items()}
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(model(INPUTS[:4]) - TARGETS[:4]))
            gradients = tape.gradient(loss, groups)
            expected["gradient"] = {name: float(tf.linalg.global_norm(group)) for name, group in gradients.items()}
            expected["weight"] = {name: float(tf.linalg.global_norm(group)) for name, group in groups.items()}

    monitor = GradientMonitor(interval=2, limits=QUIET)
    fit(model, Does("on_train_batch_end", by_hand), monitor, epochs=2)
    (record,) = [record for record in monitor.history if record["step"] == at]
    assert record["gradient"] == pytest.approx(expected["gradient"], rel=1e-4)
    assert record["weight"] == pytest.approx(expected["weight"], rel=1e-4)
    assert json.loads(json.dumps(monitor.get_state()))["history"] == monitor.history


def test_an_update_is_what_the_weights_moved_by():
    """The batch it looks at is the one that trains: the update is the gradient times the rate."""
    model = compiled(keras.optimizers.SGD(0.1))
    monitor = GradientMonitor(interval=1, limits=QUIET)
    fit(model, monitor, x=INPUTS[:4], y=TARGETS[:4], epochs=6)
    for before, after in zip(monitor.history, monitor.history[1:], strict=False):
        for layer, norm in before["gradient"].items():
            assert after["update"][layer] == pytest.approx(0.1 * norm, rel=1e-3)


def test_training_is_the_same_with_it_and_without(options):
    found = []
    for callbacks in ([], [copy.deepcopy(GradientMonitor(interval=1, limits=QUIET))]):
        keras.utils.set_random_seed(0)
        model = compiled(normalised=True, dropout=0.5, **options)
        fit(model, *callbacks, epochs=2)
        found.append([keras.ops.convert_to_numpy(v) for v in (*model.variables, *model.optimizer.variables)])
        assert all("call" not in vars(layer) for layer in model.layers)
    same(*found)


def stacked(activation, depth, initial="glorot_uniform"):
    layers = [keras.layers.Dense(8, activation, kernel_initializer=initial, name=f"layer_{i}") for i in range(depth)]
    model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(3, name="head")])
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    return model


@pytest.mark.parametrize(
    ("model", "kind", "layer", "remedy"),
    [
        (lambda: stacked("sigmoid", 12), "vanishing", "layer_0", "shortcuts"),
        (
            lambda: stacked("linear", 4, keras.initializers.RandomNormal(stddev=5.0, seed=0)),
            "exploding",
            "head",
            "clip",
        ),
        (
            lambda: stacked("tanh", 2, keras.initializers.RandomNormal(stddev=30.0, seed=0)),
            "saturated",
            "layer_1",
            "norm",
        ),
    ],
)
def test_what_is_wrong_is_found_by_layer_with_a_remedy(model, kind, layer, remedy):
    monitor = GradientMonitor(interval=1)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", GradientWarning)
        fit(model(), monitor, epochs=1)
    assert [str(entry.message) for entry in warned] == [str(entry) for entry in monitor.findings]
    (found,) = [entry for entry in monitor.findings if entry.kind == kind and entry.layer.endswith(layer)]
    assert remedy in found.remedy
    assert found.remedy in str(found)
    assert found.step == 2


def test_dead_units_are_counted():
    model = stacked("relu", 2)
    kernel, bias = model.get_layer("layer_1").get_weights()
    bias[:6] = -1000
    model.get_layer("layer_1").set_weights([kernel, bias])
    monitor = GradientMonitor(interval=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GradientWarning)
        fit(model, monitor, epochs=1)
    assert monitor.history[0]["dead"]["layer_1"] >= 0.75
    assert FindingKind.DEAD in {entry.kind for entry in monitor.findings}


def test_a_healthy_model_gets_no_warning():
    monitor = GradientMonitor(interval=1)
    fit(compiled(), monitor, epochs=3)
    assert monitor.findings == []
    assert len(monitor.history) == 11


def test_activations_are_found_as_layers_of_their_own_and_inside_models():
    inside = keras.Sequential([keras.layers.Dense(4), keras.layers.ReLU(name="rectified")], name="inside")
    model = keras.Sequential(
        [keras.Input((3,)), inside, keras.layers.Dense(3), keras.layers.Activation("tanh", name="squashed")]
    )
    model.compile("sgd", "mse", jit_compile=True)
    monitor = GradientMonitor(interval=1, limits=QUIET)
    fit(model, monitor, epochs=1)
    assert set(monitor.history[0]["dead"]) == {"inside/rectified"}
    assert set(monitor.history[0]["saturated"]) == {"squashed"}


def test_a_gradient_that_is_no_number_explodes():
    record = {
        "step": 3,
        "gradient": {"a": math.nan, "b": 1.0},
        "weight": {"a": 1.0, "b": 1.0},
        "dead": {},
        "saturated": {},
    }
    (found,) = findings.judge(record, {"a": 4, "b": 4}, Limits())
    assert (found.kind, found.layer) == (FindingKind.EXPLODING, "a")


def test_looking_costs_the_share_that_it_may(monkeypatch):
    clock = {"now": 0.0}
    monkeypatch.setattr("keras_nnx.callbacks.gradient_monitor.time.perf_counter", lambda: clock["now"])
    monitor = GradientMonitor(limits=QUIET, share=0.05)
    numbers = GradientMonitor.__module__
    original = __import__(numbers, fromlist=["_numbers"])._numbers

    def slow(values):
        clock["now"] += 0.03
        return original(values)

    monkeypatch.setattr("keras_nnx.callbacks.gradient_monitor._numbers", slow)
    step = Does("on_train_batch_begin", lambda *_: clock.update(now=clock["now"] + 0.01))
    fit(compiled(), step, monitor, epochs=100)
    assert monitor.cost["compile_seconds"] == pytest.approx(0.06)
    assert 4 <= monitor.cost["looks"] <= 7
    assert 0.03 <= monitor.cost["share"] <= 0.05


@pytest.mark.parametrize("kind", ["dataset", "sequence", "given"])
def test_batches_from_anywhere(kind):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return INPUTS[:4], TARGETS[:4]

    dataset = tf.data.Dataset.from_tensor_slices((INPUTS, TARGETS)).batch(4)
    x = {"dataset": dataset, "sequence": Batches(), "given": ((INPUTS[:4], TARGETS[:4]) for _ in range(12))}[kind]
    data = (INPUTS[:4], TARGETS[:4]) if kind == "given" else None
    monitor, model = GradientMonitor(interval=1, data=data, limits=QUIET), compiled()
    fit(model, monitor, x=x, y=None, batch_size=None, epochs=2, steps_per_epoch=4 if kind == "given" else None)
    assert len(monitor.history) == 7
    if kind == "given":
        pairs = ((INPUTS[:4], TARGETS[:4]) for _ in range(4))
        with pytest.raises(ValueError, match=r"give one, as data=\(inputs, targets\)"):
            fit(model, GradientMonitor(), x=pairs, y=None, batch_size=None, steps_per_epoch=4)


def test_scalars_and_a_picture(tmp_path):
    monitor = GradientMonitor(interval=2, limits=QUIET, log_dir=tmp_path / "logs")
    fit(compiled(), monitor, epochs=2)
    events = [
        event for file in (tmp_path / "logs").iterdir() for event in tf.compat.v1.train.summary_iterator(str(file))
    ]
    tags = {(event.step, value.tag) for event in events for value in event.summary.value}
    assert (monitor.history[0]["step"], "gradient/head") in tags
    assert monitor.plot(tmp_path / "gradients.png").stat().st_size > 1000
    assert GradientMonitor().cost["looks"] == 0
    with pytest.raises(ValueError, match="nothing to draw yet"):
        GradientMonitor().plot(tmp_path / "none.png")


def test_a_state_and_ways_out():
    first, model = GradientMonitor(interval=1, limits=QUIET), compiled()
    with pytest.raises(KeyboardInterrupt):
        fit(model, first, Does("on_epoch_end", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)))
    second = GradientMonitor(interval=1, limits=QUIET)
    second.set_state(copy.deepcopy(first).get_state())
    fit(model, second, epochs=1)
    assert second.history[:3] == first.history
    assert np.all(np.diff([record["step"] for record in second.history]) > 0)


@pytest.mark.parametrize(("arguments", "message"), [({"interval": 0}, "at least 1"), ({"share": 0.0}, "share over 0")])
def test_errors_say_what_to_do(arguments, message):
    with pytest.raises(ValueError, match=message):
        GradientMonitor(**arguments)
