"""Who measures has the machine alone, and who works makes way."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import keras_nnx as nnx
from keras_nnx.tuning.searches import quiet
from keras_nnx.tuning.searches.measure import measure_artifact
from keras_nnx.tuning.searches.quiet import Quiet


def test_measuring_waits_for_those_who_work_and_they_make_way(tmp_path):
    worker, other, meter = Quiet(tmp_path), Quiet(tmp_path), Quiet(tmp_path)
    measured, released = threading.Event(), threading.Event()

    def measure():
        with meter.measuring():
            measured.set()
            released.wait(10)

    with worker.working(), other.working():
        thread = threading.Thread(target=measure)
        thread.start()
        assert not measured.wait(0.3)
        way = threading.Thread(target=other.let_measure)
        way.start()
        assert not measured.wait(0.3)  # the first works still
        second = threading.Thread(target=worker.let_measure)
        second.start()
        assert measured.wait(10)
        time.sleep(0.1)
        assert second.is_alive()
        assert way.is_alive()  # they come back when it is over
        released.set()
        for entry in (thread, way, second):
            entry.join(10)
            assert not entry.is_alive()
    worker.let_measure()  # nobody waits, and nobody works: nothing happens


def test_measuring_within_work(tmp_path):
    same, other = Quiet(tmp_path), Quiet(tmp_path)
    with same.working():
        with same.measuring():
            pass
        same.let_measure()
    with other.measuring():
        pass


def test_a_lock_ends_with_its_process(tmp_path):
    program = (
        "import runpy, sys, time; from pathlib import Path; Quiet = runpy.run_path(sys.argv[2])['Quiet']\n"
        "with Quiet(Path(sys.argv[1])).measuring(): print('in', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), quiet.__file__],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout.readline() == b"in\n"
        process.kill()
    with Quiet(tmp_path).measuring():
        pass


def test_latency_grows_with_the_work(export):
    import keras

    rows = keras.Input((512,), name="rows")
    found = []
    for layers in (1, 40):
        x = rows
        for _ in range(layers):
            x = keras.layers.Dense(512, "relu")(x)
        report = export(keras.Model(rows, x), formats=("onnx", "tflite"), verify=False, overwrite=True)
        for name, artifact in report.artifacts.items():
            inputs = {"rows": np.zeros((1, 512), "float32")}
            found.append((name, layers, measure_artifact(name, artifact.path, inputs, seconds=1.0)))
    by = {(name, layers): value for name, layers, value in found}
    for name in ("onnx", "tflite"):
        small, large = by[name, 1], by[name, 40]
        assert large.latency_ms > 8 * small.latency_ms
        assert large.memory_mb > small.memory_mb + 20  # 40 MB of weights
        assert small.p95_ms >= small.latency_ms
        assert small.runs >= 25


def test_a_file_that_cannot_be_measured(tmp_path):
    broken = tmp_path / "model.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(nnx.tuning.MeasurementError, match=r"onnx: model.onnx ended the process that measured it"):
        measure_artifact("onnx", broken, {"rows": np.zeros((1, 2), "float32")})


@pytest.mark.parametrize(
    ("bounds", "few"),
    [([100.0], True), ([0.1, 50.0], True), ([], True), ([4.0], False), ([100.0, 4.0], False), (None, False)],
)
def test_what_is_far_from_a_bound_is_not_timed_for_long(bounds, few):
    from keras_nnx.tuning.searches import _measure

    rounds, kept, _ = _measure._time(lambda: time.sleep(0.004), spread=0.0, seconds=0.2, bounds=bounds)
    assert (rounds == 3) == few
    assert len(kept) == (3 if few else 5)
