"""When training stops, why, and with which weights."""

import copy
import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

from keras_nnx.callbacks import EarlyStopping, StopKind, early_stopping
from tests.callbacks.conftest import INPUTS, TARGETS, Does, Says, Weights, compiled, different, fit, network, same

NAN = float("nan")


def watched(stopping, *others, values, **arguments):
    """Train while the logs say `score`; return the model, and the weights by epoch."""
    model, weights = compiled(jit_compile=False), Weights()
    fit(model, Says(score=values), weights, stopping, *others, epochs=len(values), **arguments)
    return model, weights.found


@pytest.mark.parametrize(
    ("arguments", "values", "kind", "epoch", "best"),
    [
        ({"patience": 2}, [3, 2, 2.5, 2.1, 1], StopKind.NO_IMPROVEMENT, 3, 1),
        ({"patience": 2, "mode": "max"}, [3, 4, 4, 4, 9], StopKind.NO_IMPROVEMENT, 3, 1),
        ({"patience": 2, "min_delta": 0.5}, [3, 2.6, 2.5, 9, 9], StopKind.NO_IMPROVEMENT, 2, 0),
        ({"patience": 2, "min_relative": 0.1}, [100, 91, 90.5, 1], StopKind.NO_IMPROVEMENT, 2, 0),
        ({"patience": 2, "min_relative": 0.1}, [100, 89, 88, 88, 1], StopKind.NO_IMPROVEMENT, 3, 1),
        ({"patience": 1, "warmup_epochs": 2}, [1, 9, 5, 4, 4, 3], StopKind.NO_IMPROVEMENT, 4, 3),
        ({"patience": None}, [1, 2, 3, 4], StopKind.COMPLETED, 3, 0),
        ({"threshold": 2}, [3, 2, 1], StopKind.THRESHOLD, 1, 1),
        ({"threshold": 0.9, "mode": "max"}, [0.3, 0.95, 1], StopKind.THRESHOLD, 1, 1),
        ({"divergence": 1.0}, [2, 1, 1.9, 2.1, 0], StopKind.DIVERGED, 3, 1),
        ({}, [2, 1, NAN, 0], StopKind.NON_FINITE, 2, 1),
        ({}, [2, 1, float("inf"), 0], StopKind.NON_FINITE, 2, 1),
    ],
)
def test_training_stops_where_it_should(arguments, values, kind, epoch, best):
    stopping = EarlyStopping("score", **{"mode": "min", **arguments})
    model, weights = watched(stopping, values=values)
    reason = stopping.reason
    assert (reason.kind, reason.epoch, reason.best_epoch, reason.restored_epoch) == (kind, epoch, best, best)
    assert len(weights) == epoch + 1
    assert reason.best == values[best]
    same(model.get_weights(), weights[best])
    assert json.loads(json.dumps(reason.to_dict()))["kind"] == kind.value
    assert f"in epoch {epoch + 1}" in str(reason)


def test_weights_stay_where_they_are_not_to_be_restored():
    stopping = EarlyStopping("score", patience=1, mode="min", restore_best=False)
    model, weights = watched(stopping, values=[1, 2, 0])
    same(model.get_weights(), weights[-1])
    assert stopping.reason.restored_epoch is None


def test_several_names_stop_when_none_improves():
    stopping = EarlyStopping(["one", "two"], patience=2, mode={"one": "min", "two": "max"}, threshold={"two": 99})
    weights = Weights()
    model = compiled(jit_compile=False)
    one, two = [3, 2, 4, 4, 4, 4], [1, 1, 2, 2, 2, 2]
    fit(model, Says(one=one, two=two), weights, stopping, epochs=6)
    assert stopping.reason.epoch == 4
    assert stopping.reason.best_epoch == 1
    assert stopping.best == {"one": 2, "two": 2}
    same(model.get_weights(), weights.found[1])


def test_an_unknown_name_lists_the_others_in_the_first_epoch():
    model = compiled()
    with pytest.raises(ValueError, match=r"monitor='los'\) does not exist here. There are: loss. Did you mean 'loss'"):
        fit(model, EarlyStopping("los"))
    with pytest.raises(ValueError, match="fit needs validation_data for it"):
        fit(model, EarlyStopping("val_loss"), epochs=1)
    with pytest.raises(ValueError, match="There are: loss, val_loss"):
        fit(model, EarlyStopping("val_accuracy"), validation_data=(INPUTS, TARGETS))


def test_epochs_without_validation_do_not_count():
    stopping, model = EarlyStopping("val_loss", patience=2), compiled()
    fit(model, stopping, epochs=4, validation_data=(INPUTS, TARGETS), validation_freq=2)
    assert stopping.reason.kind == StopKind.COMPLETED
    assert stopping.best_epoch in (1, 3)


def test_the_direction_is_that_of_the_metric_of_any_output():
    inputs = keras.Input((3,))
    outputs = {name: keras.layers.Dense(3, name=name)(inputs) for name in ("a", "b")}
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse", metrics={"a": ["accuracy"], "b": ["mae"]})
    stopping = EarlyStopping(["val_a_accuracy", "b_mae", "b_loss"])
    targets = {"a": TARGETS, "b": TARGETS}
    model.fit(INPUTS, targets, validation_data=(INPUTS, targets), callbacks=[stopping], verbose=0)
    assert stopping._signs == {"val_a_accuracy": 1, "b_mae": -1, "b_loss": -1}
    with pytest.raises(ValueError, match="say mode='max' or mode='min'"):
        fit(compiled(), Says(score=[1]), EarlyStopping("score"))


WAYS_OUT = {
    "on_train_batch_begin": (KeyboardInterrupt(), StopKind.INTERRUPTED),
    "on_train_batch_end": (SystemExit(3), StopKind.INTERRUPTED),
    "on_epoch_end": (RuntimeError("broken"), StopKind.FAILED),
    "on_epoch_begin": (OSError("no space"), StopKind.FAILED),
    "on_test_batch_end": (ValueError("bad"), StopKind.FAILED),
}


def trouble_in_the_third_epoch(moment, error):
    def function(model, *_):
        if int(model.optimizer.iterations) >= 8:
            raise error

    return Does(moment, function)


@pytest.mark.parametrize("moment", WAYS_OUT)
@pytest.mark.parametrize("behind", [False, True])
def test_the_best_weights_are_back_on_every_way_out(moment, behind):
    leave(moment, behind, jit_compile=False)


def test_the_best_weights_are_back_however_steps_are_compiled(options):
    leave("on_train_batch_end", True, **options)


def leave(moment, behind, **options):
    """The first epoch is best; the trouble begins when two are done."""
    error, kind = WAYS_OUT[moment]
    model, weights, stopping = compiled(**options), Weights(), EarlyStopping("score", mode="min")
    order = [Says(score=[1, 2, 3]), weights, stopping]
    order.insert(3 if behind else 0, trouble_in_the_third_epoch(moment, error))
    with pytest.raises(type(error)):
        fit(model, *order, validation_data=(INPUTS, TARGETS))
    assert stopping.reason.kind == kind
    assert stopping.reason.error == type(error).__name__
    assert stopping.reason.restored_epoch == 0
    same(model.get_weights(), weights.found[0])
    if len(weights.found) > 1:
        different(weights.found[0], weights.found[1])


@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_data_that_fails(steps_per_execution):
    def batches():
        for step in range(10):
            if step == 6:
                raise OSError("the disk is gone")
            yield INPUTS[:4], TARGETS[:4]

    model, weights, stopping = compiled(steps_per_execution=steps_per_execution), Weights(), EarlyStopping("loss")
    with pytest.raises(Exception, match="the disk is gone"):
        fit(model, weights, stopping, x=batches(), y=None, batch_size=None, steps_per_epoch=4)
    assert stopping.reason.kind == StopKind.FAILED
    assert stopping.reason.epoch == 1
    same(model.get_weights(), weights.found[0])


@pytest.mark.multiprocess
def test_a_signal_restores_the_weights():
    """Ctrl-C reaches a process wherever it is, most likely in TensorFlow."""
    program = """
        import os, signal, sys, threading
        import keras, numpy as np
        from keras_nnx.callbacks import EarlyStopping
        model = keras.Sequential([keras.Input((512,)), *[keras.layers.Dense(512) for _ in range(4)]])
        model.compile(keras.optimizers.SGD(1e-4), "mse")
        stopping, first = EarlyStopping("loss", patience=None, divergence=None, mode="max"), []
        def later(epoch, logs):
            logs["loss"] = -float(epoch)
            if epoch == 0:
                first.append(model.get_weights())
                threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT)).start()
        watch = keras.callbacks.LambdaCallback(on_epoch_end=later)
        try:
            x = np.random.default_rng(0).standard_normal((4096, 512)).astype("float32")
            model.fit(x, x, epochs=100000, verbose=0, batch_size=256, callbacks=[watch, stopping])
        except KeyboardInterrupt:
            equal = all((a == b).all() for a, b in zip(first[0], model.get_weights()))
            print(stopping.reason.kind, stopping.reason.epoch > 0, equal)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
    )
    assert done.stdout.split() == ["interrupted", "True", "True"], done.stderr[-2000:]


def test_a_time_budget(monkeypatch):
    clock = {"now": 100.0}
    monkeypatch.setattr(early_stopping.time, "monotonic", lambda: clock["now"])
    model, stopping = compiled(), EarlyStopping("loss", max_seconds=5.0)
    tick = Does("on_train_batch_end", lambda *_: clock.update(now=clock["now"] + 1))
    fit(model, tick, stopping)
    assert (stopping.reason.kind, stopping.reason.epoch) == (StopKind.TIME_BUDGET, 1)
    assert int(model.optimizer.iterations) == 6
    assert stopping.reason.restored_epoch is not None


def test_a_loss_that_is_no_number_stops_within_the_epoch(monkeypatch, options):
    monkeypatch.setattr(early_stopping, "_SECONDS_BETWEEN_LOOKS", 0.0)
    model, stopping = compiled(**options), EarlyStopping("loss")
    broken = TARGETS.copy()
    broken[4:] = NAN
    fit(model, stopping, x=np.tile(INPUTS, (4, 1)), y=np.concatenate([broken, *[TARGETS] * 3]))
    assert (stopping.reason.kind, stopping.reason.epoch) == (StopKind.NON_FINITE, 0)
    assert int(model.optimizer.iterations) <= 4
    assert stopping.reason.restored_epoch is None


def test_another_callback_stops():
    stopping = EarlyStopping("loss")
    fit(compiled(), stopping, Does("on_epoch_end", lambda model, *_: setattr(model, "stop_training", True)))
    assert stopping.reason.kind == StopKind.STOPPED


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_is_new(copied, options):
    used = EarlyStopping("loss", patience=3)
    fit(compiled(**options), used)
    for original in (EarlyStopping("loss", patience=3), used):
        again = copied(original)
        assert again._model is None
        fit(compiled(**options), again, epochs=2)
        assert again.reason.epoch == 1
        assert again.patience == 3


def test_a_state_goes_on_where_it_was(tmp_path):
    first, values = EarlyStopping("score", patience=3, mode="min"), [3, 1, 2, 2, 2, 0]
    model, weights = compiled(), Weights()
    fit(model, Says(score=values), weights, first, epochs=3)
    state = first.get_state()
    assert {name for name, value in state.items() if name != "_weights" and json.dumps(value)} == set(state) - {
        "_weights"
    }
    second = EarlyStopping("score", patience=3, mode="min")
    second.set_state(state)
    fit(model, Says(score=values), second, epochs=6, initial_epoch=3)
    assert (second.reason.kind, second.reason.epoch, second.best_epoch) == (StopKind.NO_IMPROVEMENT, 4, 1)
    same(model.get_weights(), weights.found[1])
    fit(model, Says(score=values), second, epochs=1)
    assert second.best == {"score": 3}
    with pytest.raises(ValueError, match="expects the entries"):
        second.set_state({"best": 1})


def test_models_inside_models_have_their_own_runs():
    """A callback that trains another model does not end the outer training."""
    inner, outer = EarlyStopping("loss"), EarlyStopping("loss")
    trains = Does("on_epoch_end", lambda *_: fit(compiled(), inner, epochs=1))
    fit(compiled(), outer, trains, epochs=2)
    assert (inner.reason.epoch, outer.reason.epoch) == (0, 1)


def test_subclasses_with_a_fit_of_their_own():
    class Fits(keras.Model):
        def __init__(self):
            super().__init__()
            self.inside = network()

        def call(self, inputs):
            return self.inside(inputs)

        def fit(self, *args, **kwargs):
            return super().fit(*args, **kwargs)

    model, stopping = Fits(), EarlyStopping("loss")
    model.compile("sgd", "mse")
    with pytest.raises(KeyboardInterrupt):
        fit(model, stopping, trouble_in_the_third_epoch("on_train_batch_begin", KeyboardInterrupt()))
    assert stopping.reason.kind == StopKind.INTERRUPTED


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"monitor": []}, "needs a name such as 'val_loss'"),
        ({"patience": 0}, "at least 1"),
        ({"mode": "best"}, "choose one of 'auto', 'min', 'max'"),
        ({"mode": {"other": "min"}}, r"names \['other'\], but monitored are \['val_loss'\]"),
        ({"threshold": {"other": 1}}, "use those names"),
        ({"threshold": "low"}, "needs a number"),
        ({"divergence": 0}, "over 0"),
        ({"max_seconds": 0}, "over 0"),
        ({"min_delta": -1}, "at least 0"),
    ],
)
def test_errors_say_what_to_do(arguments, message):
    with pytest.raises(ValueError, match=message):
        EarlyStopping(**arguments)


@pytest.mark.multiprocess
def test_the_first_callback_of_a_program_is_told_too():
    """`fit` is looked up before the callback among its arguments is made."""
    program = """
        import keras, numpy as np
        import keras_nnx as nnx
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        best = []
        def stop(epoch, logs):
            if epoch == 2:
                raise KeyboardInterrupt
        def worse(epoch, logs):
            logs["loss"] = float(epoch)
            best.append(model.get_weights())
        hooks = keras.callbacks.LambdaCallback(on_epoch_begin=stop, on_epoch_end=worse)
        try:
            model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=4, verbose=0,
                      callbacks=[hooks, nnx.callbacks.EarlyStopping("loss", patience=9)])
        except KeyboardInterrupt:
            print(all((a == b).all() for a, b in zip(best[0], model.get_weights())))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
    )
    assert done.stdout.split() == ["True"], done.stderr[-2000:]
