"""Training that is killed and run again ends as if it had not been."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_nnx.callbacks import EarlyStopping, ReduceOnPlateau, WarmRestarts
from keras_nnx.schedules import CosineRestarts, Scaled
from keras_nnx.training import Resume, ShuffledBatches
from tests.training.conftest import build_gan

ROOT = Path(__file__).parents[2]

_PROGRAM = """
import json, os, sys, keras, numpy as np
from keras_nnx.callbacks import EarlyStopping
from keras_nnx.training import R1, GAN, Resume, ShuffledBatches
from tests.training.conftest import build_gan

folder, kill_at = sys.argv[1], int(sys.argv[2])

class Dies(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == kill_at and batch == 1:
            os.kill(os.getpid(), 9)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

gan = build_gan(3, dtype="mixed_float16", spectral=keras.layers.SpectralNormalization)
gan.compile(regularizers=R1(interval=2), critic_steps=2, jit_compile=False)
random = np.random.default_rng(0)
images = random.uniform(-1, 1, (24, 2, 2, 1)).astype("float32")
batches = ShuffledBatches(images, np.arange(24) % 3, batch_size=6, seed=7)
stopping = EarlyStopping("generator_loss", patience=50, min_delta=0.01)
history = gan.fit(batches, epochs=6, shuffle=False, verbose=0, callbacks=[Dies(), stopping, Resume(folder)])
state = {name: stopping.get_state()[name] for name in ("best", "best_epoch", "wait")}
image = gan.generate(1, 3, 1).tolist()
print(json.dumps({"history": history.history, "epochs": history.epoch, "image": image, **state}))
"""


def run(folder, kill_at):
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(folder), str(kill_at)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
    )


@pytest.mark.multiprocess
@pytest.mark.timeout(480)
def test_a_killed_training_goes_on_as_if_it_had_not_been(tmp_path):
    whole = run(tmp_path / "whole", -1)
    assert whole.returncode == 0, whole.stderr[-2000:]
    for kill_at in (2, 4):
        assert run(tmp_path / "killed", kill_at).returncode == -signal.SIGKILL
    resumed = run(tmp_path / "killed", -1)
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    expected, found = (json.loads(entry.stdout.splitlines()[-1]) for entry in (whole, resumed))
    assert found["epochs"] == expected["epochs"] == list(range(6))
    assert found.keys() == expected.keys()
    for name, values in expected["history"].items():
        np.testing.assert_allclose(found["history"][name], values, rtol=1e-4, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(found["image"], expected["image"], atol=1e-5)
    for name in set(expected) - {"history", "epochs", "image"}:
        assert found[name] == pytest.approx(expected[name], rel=1e-4)
    assert not list((tmp_path / "killed").iterdir())  # a training that is done leaves nothing


def plain_model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.1), "mse", jit_compile=False)
    return model


class Stops(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 3:
            raise KeyboardInterrupt


INPUTS = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")


def batches():
    return ShuffledBatches(INPUTS, INPUTS.sum(1, keepdims=True), batch_size=4, seed=3)


def test_any_model_goes_on_and_trains_again_from_the_start(tmp_path):
    whole = plain_model()
    expected = whole.fit(batches(), epochs=5, shuffle=False, verbose=0).history["loss"]
    with pytest.raises(KeyboardInterrupt):
        plain_model().fit(batches(), epochs=5, shuffle=False, verbose=0, callbacks=[Stops(), Resume(tmp_path, every=2)])
    resume = Resume(tmp_path, every=2)
    model = plain_model()
    history = model.fit(batches(), epochs=5, shuffle=False, verbose=0, callbacks=[resume])
    assert resume.resumed_from == 2
    np.testing.assert_allclose(history.history["loss"], expected, rtol=1e-6)
    again = model.fit(batches(), epochs=2, shuffle=False, verbose=0, callbacks=[resume])
    assert again.epoch == [0, 1]
    assert resume.resumed_from is None


def test_what_cannot_be_resumed_is_said(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        plain_model().fit(batches(), epochs=5, shuffle=False, verbose=0, callbacks=[Stops(), Resume(tmp_path)])
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    other.compile("sgd", "mse")
    with pytest.raises(
        ValueError, match=r"is of another training: it has .* Choose another folder, or delete the file"
    ):
        other.fit(batches(), shuffle=False, verbose=0, callbacks=[Resume(tmp_path)])
    with pytest.raises(ValueError, match="pass shuffle=False to fit"):
        plain_model().fit(batches(), verbose=0, callbacks=[Resume(tmp_path / "new")])
    with pytest.raises(ValueError, match="leave it out, so that an epoch is one pass"):
        plain_model().fit(batches(), shuffle=False, steps_per_epoch=2, verbose=0, callbacks=[Resume(tmp_path / "new")])
    with pytest.raises(ValueError, match="has to be the last callback"):
        plain_model().fit(
            batches(), shuffle=False, verbose=0, callbacks=[Resume(tmp_path / "new"), EarlyStopping("loss")]
        )
    Resume(tmp_path).path.write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"is no training that can be resumed .*: delete it"):
        plain_model().fit(batches(), shuffle=False, verbose=0, callbacks=[Resume(tmp_path)])
    with pytest.raises(ValueError, match=r"Resume\(every=0\)"):
        Resume(tmp_path, every=0)


def test_a_callback_that_cannot_begin_leaves_no_epoch_behind(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        plain_model().fit(batches(), epochs=5, shuffle=False, verbose=0, callbacks=[Stops(), Resume(tmp_path)])
    model = plain_model()
    wrong = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.fit(batches(), epochs=5, shuffle=False, verbose=0, callbacks=[wrong, Resume(tmp_path)])
    assert model.fit(batches(), epochs=1, shuffle=False, verbose=0).epoch == [0]


def killed_and_run_again(make, fit, tmp_path):
    """Return the histories of a training that was not stopped, and of one that was stopped and run again."""
    whole = fit(make(), [Resume(tmp_path / "whole")])
    with pytest.raises(KeyboardInterrupt):
        fit(make(), [Stops(), Resume(tmp_path / "killed")])
    return whole, fit(make(), [Resume(tmp_path / "killed")])


@pytest.mark.parametrize(
    "changes",
    [
        lambda: ReduceOnPlateau("loss", factor=0.1, patience=1, min_delta=1e9),
        lambda: WarmRestarts(epochs=(2,), peak_factor=0.5),
        lambda: keras.callbacks.LambdaCallback(),
    ],
    ids=["reductions", "restarts", "nothing"],
)
def test_what_callbacks_did_to_a_schedule_is_kept(changes, tmp_path):
    def make():
        model = plain_model()
        model.optimizer.learning_rate = Scaled(CosineRestarts(0.1, period=100), factor=0.5, offset=1)
        return model

    def fit(model, callbacks):
        model.fit(batches(), epochs=6, shuffle=False, verbose=0, callbacks=[changes(), *callbacks])
        return [*model.history.history["loss"], float(model.optimizer.learning_rate)]

    np.testing.assert_allclose(*killed_and_run_again(make, fit, tmp_path), rtol=1e-5)


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, inputs):
        return self.dense(inputs)


@pytest.mark.parametrize("kind", [lambda: keras.Sequential([keras.layers.Dense(1)]), Own], ids=["sequential", "own"])
def test_a_model_that_is_built_by_its_data(kind, tmp_path):
    def make():
        keras.utils.set_random_seed(0)
        model = kind()
        model.compile("adam", "mse")
        return model

    def fit(model, callbacks):
        return model.fit(batches(), epochs=5, shuffle=False, verbose=0, callbacks=callbacks).history["loss"]

    np.testing.assert_allclose(*killed_and_run_again(make, fit, tmp_path), rtol=1e-5)


def test_metrics_of_several_numbers(tmp_path):
    targets = np.eye(3, dtype="float32")[np.arange(16) % 3]

    def make():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, "softmax")])
        model.compile("adam", "categorical_crossentropy", metrics=[keras.metrics.F1Score(average=None)])
        return model

    def fit(model, callbacks):
        data = ShuffledBatches(INPUTS, targets, batch_size=4)
        return model.fit(data, epochs=5, shuffle=False, verbose=0, callbacks=callbacks).history["f1_score"]

    whole, resumed = killed_and_run_again(make, fit, tmp_path)
    assert np.shape(whole) == (5, 3)
    np.testing.assert_allclose(whole, resumed, rtol=1e-5)


def test_killed_when_all_epochs_were_done(tmp_path):
    def fail(logs):
        raise KeyboardInterrupt

    dies = keras.callbacks.LambdaCallback(on_train_end=fail)
    with pytest.raises(KeyboardInterrupt):
        plain_model().fit(batches(), epochs=3, shuffle=False, verbose=0, callbacks=[dies, Resume(tmp_path)])
    history = plain_model().fit(batches(), epochs=3, shuffle=False, verbose=0, callbacks=[Resume(tmp_path)])
    assert history.epoch == [0, 1, 2]
    assert len(history.history["loss"]) == 3


def test_a_failed_write_leaves_the_earlier_file(tmp_path, monkeypatch):
    from keras_nnx.training import _checkpoint

    record = {"numbers": [1, 2.5, None, "text"], "array": np.arange(6, dtype="int8").reshape(2, 3), "flag": True}
    _checkpoint.write(tmp_path / "file.npz", record)
    monkeypatch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        _checkpoint.write(tmp_path / "file.npz", {"numbers": []})
    assert [path.name for path in tmp_path.iterdir()] == ["file.npz"]
    found = _checkpoint.read(tmp_path / "file.npz")
    np.testing.assert_array_equal(found.pop("array"), record.pop("array"))
    assert found == record


def test_arrays_of_half_precision_come_back(tmp_path):
    from keras_nnx.training import _checkpoint

    values = keras.ops.convert_to_numpy(keras.ops.cast([1.5, -2.0], "bfloat16"))
    _checkpoint.write(tmp_path / "file.npz", {"half": values, "other": values.astype("float16")})
    found = _checkpoint.read(tmp_path / "file.npz")
    assert found["half"].dtype.name == "bfloat16"
    np.testing.assert_array_equal(found["half"].astype("float32"), [1.5, -2.0])
    np.testing.assert_array_equal(found["other"], [1.5, -2.0])


def test_orders_depend_on_seed_and_epoch_alone():
    first, second = batches(), batches()
    orders = []
    for _ in range(2):
        first.on_epoch_begin()
        orders.append(np.concatenate([first[index][0] for index in range(len(first))]))
    assert not np.array_equal(*orders)
    assert np.array_equal(np.sort(orders[0], axis=None), np.sort(INPUTS, axis=None))
    second.start_at(1)
    second.on_epoch_begin()
    np.testing.assert_array_equal(np.concatenate([second[index][0] for index in range(4)]), orders[1])
    with pytest.raises(ValueError, match=r"lengths \[3, 4\]"):
        ShuffledBatches(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="only 3 examples"):
        ShuffledBatches(np.zeros(3), batch_size=4)


def test_a_gan_has_both_optimizers_in_the_file(tmp_path, images):
    from keras_nnx.training import _progress

    gan = build_gan()
    gan.compile(jit_compile=False)
    saved = {id(variable) for variable in _progress.variables(gan)}
    for optimizer in (gan.optimizer, gan.discriminator_optimizer):
        assert {id(variable) for variable in optimizer.variables} <= saved
    assert id(gan.seed_generator.state) in saved
