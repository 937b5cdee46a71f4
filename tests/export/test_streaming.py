import json

import keras
import numpy as np
import pytest

import keras_nnx as nnx
from keras_nnx.export.proof.runtimes import LiteRt, OnnxRuntime, SavedModelRuntime
from keras_nnx.export.report import ExportReport
from keras_nnx.export.workers import borrowed_worker

layers = keras.layers
STEPS = 23


class Listener(keras.Model):
    """Everything that is remembered: by a convolution, a layer at two places, stacked cells; one answer so far."""

    def __init__(self):
        super().__init__(name="listener")
        self.block = nnx.blocks.TemporalConvolutionBlock(4, kernel_size=2, dilation=2, name="block")
        self.shared = layers.SimpleRNN(4, return_sequences=True, name="shared")
        self.cells = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True, name="cells")

    def call(self, inputs):
        x = self.cells(self.shared(self.shared(self.block(inputs))))
        return {"last": x[:, -1], "steps": x}


@pytest.fixture(scope="module")
def listener():
    keras.utils.set_random_seed(3)
    model = Listener()
    model(np.zeros((1, 5, 4), "float32"))
    return model


@pytest.fixture(scope="module")
def report(listener, tmp_path_factory):
    return nnx.export_streaming(listener, tmp_path_factory.mktemp("streaming") / "listener", metadata={"rate": 100})


@pytest.fixture(scope="module")
def states(report):
    return report.metadata["streaming"]["states"]


def opened(report, target):
    path = report.artifacts[target].path
    if target == "onnx":
        return OnnxRuntime(path)
    if target == "tflite":
        return LiteRt(path)
    with borrowed_worker() as worker:
        return SavedModelRuntime(path, worker)


def called(report, target, inputs):
    return opened(report, target).run([inputs])[0][0]


def start(states, batch=1):
    return {row["input"]: np.zeros((batch, *row["shape"]), row["dtype"]) for row in states}


def sequence(batch, steps=STEPS, features=4, seed=11):
    return np.random.default_rng(seed).standard_normal((batch, steps, features)).astype("float32")


@pytest.mark.parametrize("target", ["saved_model", "onnx", "tflite"])
@pytest.mark.parametrize(("batch", "ends"), [(2, [1, 2, 9, 10]), (1, list(range(1, STEPS)))])
def test_any_chunks_give_what_the_whole_gives(listener, report, states, target, batch, ends):
    whole = sequence(batch)
    runtime, held, heard = opened(report, target), start(states, batch), []
    for chunk in np.split(whole, ends, axis=1):
        answers = runtime.run([{"input": chunk, **held}])[0][0]
        held = {row["input"]: answers[row["output"]] for row in states}
        heard.append(answers["steps"])
        so_far = sum(part.shape[1] for part in heard)
        if so_far in (ends[0], STEPS):
            np.testing.assert_allclose(answers["last"], listener(whole[:, :so_far])["last"], atol=1e-5)
    np.testing.assert_allclose(np.concatenate(heard, axis=1), listener(whole)["steps"], atol=1e-5)


def test_every_call_of_a_layer_has_states_of_its_own(report, states):
    assert [(row["input"], row["shape"]) for row in states] == [
        ("convolution_1_state_0", [2, 4]),
        ("convolution_2_state_0", [2, 4]),
        ("shared_state_0", [4]),
        ("shared_2_state_0", [4]),
        ("cells_state_0", [3]),
        ("cells_state_1", [3]),
        ("cells_state_2", [2]),
    ]
    assert all(row["output"] == f"{row['input']}_next" and row["initial"] == 0 for row in states)
    inputs = {spec.name: spec.shape for spec in report.signature.inputs}
    assert inputs["input"] == ("batch", "time", 4)
    assert inputs["convolution_1_state_0"] == ("batch", 2, 4)
    assert {row["output"] for row in states} | {"last", "steps"} == {spec.name for spec in report.signature.outputs}


def test_the_report_says_what_was_proven_and_how_long_a_step_takes(report, tmp_path):
    assert report.proven
    assert report.metadata["rate"] == 100
    assert report.metadata["streaming"]["looks_back"] == 4
    for artifact in report.artifacts.values():
        assert artifact.stream.passed
        assert artifact.stream.max_rel_error <= 1e-5
        assert artifact.stream.batches >= 6
        assert artifact.latency_ms.median > 0
    printed = str(report)
    assert "median ms/step" in printed
    assert "in chunks" in printed
    assert "Sequences of 40 steps, cut at once, step by step, in uneven chunks" in printed
    page = report.to_html(tmp_path / "report.html")
    assert "Median a step" in page
    assert "shared_2_state_0_next" in page
    again = ExportReport.from_dict(report.directory, json.loads(report.to_json()))
    assert again == report


def test_a_step_model_verifies_and_is_timed_again(report):
    verified = nnx.verify_export(report.directory)
    assert verified.proven
    assert verified.metadata == report.metadata
    assert "ms/step" in str(nnx.benchmark_export(report.directory, seconds=0.02))


@pytest.mark.parametrize("target", ["saved_model", "onnx", "tflite"])
@pytest.mark.parametrize(
    ("name", "shape"), [("shared_state_0", (3, 4)), ("cells_state_2", (1, 5)), ("input", (1, 2, 3))]
)
def test_a_state_of_another_shape_fails(report, states, target, name, shape):
    inputs = {"input": sequence(1, 2), **start(states), name: np.zeros(shape, "float32")}
    with pytest.raises(Exception, match=r"(?i)shape|dimension|incompatible|num_input_elements|failed") as caught:
        called(report, target, inputs)
    if target == "saved_model" and name == "shared_state_0":
        assert "The state shared_state_0 has to have one row for each sequence" in str(caught.value)


def test_a_state_that_is_left_out_fails(report):
    with pytest.raises(Exception, match="shared_state_0"):
        called(report, "onnx", {"input": sequence(1, 2)})


def test_the_model_is_as_it_was(listener):
    before = listener(sequence(1))["steps"]
    assert not listener.shared.return_state
    assert "call" not in vars(listener.shared)
    np.testing.assert_array_equal(before, listener(sequence(1))["steps"])


def test_chunks_of_a_fixed_size_and_lower_precision(tmp_path):
    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [keras.Input((None, 4)), layers.Conv1D(16, 3, padding="causal"), layers.GRU(16, return_sequences=True)]
    )
    real = np.random.default_rng(2).standard_normal((6, 20, 4)).astype("float32")
    report = nnx.export_streaming(
        model, tmp_path / "int8", formats=("tflite",), precision="int8", chunk=2, calibration=real
    )
    assert report.signature.inputs[0].shape == ("batch", 2, 4)
    artifact = report.artifacts["tflite"]
    assert artifact.stream.bound == "measured"
    assert not artifact.stream.passed
    assert artifact.stream.sqnr_db > 5
    assert "median ms/2 steps" in str(report)
    assert any("not proven to be little" in note for note in report.notes)
