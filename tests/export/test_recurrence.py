"""Recurrent layers in files: the form that was asked for, and the answers of the layer whatever the mask is."""

import keras
import numpy as np
import pytest

import keras_nnx as nnx
from keras_nnx.export.errors import UnsupportedModelError
from keras_nnx.export.proof.runtimes import LiteRt, OnnxRuntime

layers = keras.layers


def sequential(*parts, shape=(None, 4), batch_size=None, name="model"):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(shape, batch_size=batch_size, name="x"), *parts], name=name)
    rng = np.random.default_rng(0)
    model.set_weights([0.5 * rng.normal(size=w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


def exported(model, target, tmp_path, **options):
    report = nnx.export_model(
        model, tmp_path / f"{target}-{len(list(tmp_path.iterdir()))}", formats=(target,), **options
    )
    assert report.proven
    artifact = report.artifacts[target]
    runtime = {"onnx": OnnxRuntime, "tflite": LiteRt}[target](artifact.path)
    return artifact, runtime, report


def values(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize(
    ("layer", "operator"),
    [
        (lambda: layers.LSTM(3, return_sequences=True), "LSTM"),
        (lambda: layers.GRU(3, go_backwards=True), "GRU"),
        (lambda: layers.GRU(3, reset_after=False, use_bias=False, return_sequences=True), "GRU"),
        (lambda: layers.SimpleRNN(3, activation="relu"), "RNN"),
        (lambda: layers.LSTM(3, activation="softsign", recurrent_activation="hard_sigmoid"), "LSTM"),
        (lambda: layers.GRU(3, activation=layers.LeakyReLU(negative_slope=0.3)), "GRU"),
        (lambda: layers.RNN(layers.GRUCell(3)), "GRU"),
    ],
)
def test_onnx_has_one_operator_and_no_loop(layer, operator, tmp_path):
    artifact, *_ = exported(sequential(layer()), "onnx", tmp_path)
    assert artifact.operators[operator] == 1
    assert "Loop" not in artifact.operators


def test_a_stack_of_cells_is_one_operator_each(tmp_path):
    cells = [layers.LSTMCell(3), layers.GRUCell(2), layers.SimpleRNNCell(4)]
    model = sequential(layers.RNN(cells, return_sequences=True, go_backwards=True))
    artifact, *_ = exported(model, "onnx", tmp_path)
    assert [artifact.operators[name] for name in ("LSTM", "GRU", "RNN")] == [1, 1, 1]
    assert "Loop" not in artifact.operators


@pytest.mark.parametrize("merge", ["concat", "sum", "ave", "mul"])
def test_both_directions_need_no_reversal(merge, tmp_path):
    model = sequential(layers.Bidirectional(layers.GRU(3, return_sequences=True), merge_mode=merge))
    artifact, *_ = exported(model, "onnx", tmp_path)
    assert artifact.operators["GRU"] == 2
    assert not {"Loop", "Slice", "ReverseSequence", "Gather"} & set(artifact.operators)


@keras.saving.register_keras_serializable(package="test_recurrence")
class Leaky(layers.Layer):
    """A cell of one's own, with states of two shapes."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units, self.state_size, self.output_size = units, [units, 2], units
        self.dense, self.count = layers.Dense(units), layers.Dense(2)

    def build(self, shape):
        self.dense.build((shape[0], shape[1] + self.units))
        self.count.build(shape)

    def call(self, inputs, states):
        hidden, seen = states
        new = 0.9 * hidden + 0.1 * self.dense(keras.ops.concatenate([inputs, hidden], -1))
        return keras.ops.tanh(new), [new, seen + self.count(inputs)]


def test_a_cell_of_ones_own_is_a_loop(tmp_path):
    for target, loop in (("onnx", "Loop"), ("tflite", "WHILE")):
        artifact, _, report = exported(sequential(layers.RNN(Leaky(3), return_sequences=True)), target, tmp_path)
        assert artifact.operators[loop] >= 1
        assert any("a loop" in note and "rnn" in note for note in report.notes)


MASKS = np.array(
    [
        [1, 1, 1, 1, 1, 1, 1],
        [1, 1, 1, 0, 0, 0, 0],
        [0, 0, 0, 1, 1, 1, 1],
        [0, 1, 0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 1],
    ],
    bool,
)


@pytest.fixture(scope="module", params=["onnx", "tflite"])
def masked(request, tmp_path_factory):
    """A model of masked layers with all that they can return, and its file."""
    model = all_masked(None)
    return model, exported(model, request.param, tmp_path_factory.mktemp("masked"))[1]


def all_masked(steps):
    x, starts = keras.Input((steps, 4), name="x"), keras.Input((3,), name="start")
    seen = layers.Masking()(x)
    results = {
        "all": layers.LSTM(3, return_sequences=True)(seen),
        "backwards": layers.GRU(3, return_sequences=True, go_backwards=True)(seen, initial_state=starts),
        "zeros": layers.GRU(3, return_sequences=True, zero_output_for_mask=True)(seen),
        "both": layers.Bidirectional(layers.LSTM(2, return_sequences=True))(seen),
        "stack": layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)])(seen),
    }
    last, state = layers.SimpleRNN(3, return_state=True)(seen, initial_state=starts)
    model = keras.Model({"x": x, "start": starts}, {**results, "last": last, "state": state})
    rng = np.random.default_rng(0)
    model.set_weights([0.5 * rng.normal(size=w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


def assert_equal_with_random_masks(model, runtime, steps):
    x = values(3, steps, 4) * (np.random.default_rng(steps).random((3, steps, 1)) < 0.7)
    inputs = {"x": x.astype("float32"), "start": values(3, 3, seed=2)}
    found, expected = runtime(inputs), model(inputs)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], np.asarray(value), atol=1e-5, err_msg=f"{name} of {steps} steps")


def test_any_mask_is_kept_exactly(masked):
    model, runtime = masked
    x = values(len(MASKS), MASKS.shape[1], 4) * MASKS[..., None]
    inputs = {"x": x, "start": values(len(MASKS), 3, seed=2)}
    for rows in (slice(None), slice(4, 5), slice(2, 3)):
        some = {name: value[rows] for name, value in inputs.items()}
        found, expected = runtime(some), model(some)
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], np.asarray(value), atol=1e-5, err_msg=name)


@pytest.mark.parametrize("steps", [1, 31, 32, 33, 70])
def test_steps_up_to_and_over_the_ends_of_blocks(masked, steps):
    assert_equal_with_random_masks(*masked, steps)


@pytest.mark.parametrize("steps", [17, 30])
def test_blocks_that_the_steps_do_not_fill(steps, tmp_path):
    model = all_masked(steps)
    _, runtime, _ = exported(model, "tflite", tmp_path, recurrent="loop")
    assert_equal_with_random_masks(model, runtime, steps)


def test_steps_of_volumes_are_padded_too(tmp_path):
    """TFLite pads tensors of five axes at most, and these have six."""
    model = sequential(layers.ConvLSTM3D(2, 2, padding="same", return_sequences=True), shape=(None, 2, 2, 2, 1))
    _, runtime, _ = exported(model, "tflite", tmp_path)
    for steps in (1, 34):
        (found,) = runtime({"x": values(1, steps, 2, 2, 2, 1)}).values()
        np.testing.assert_allclose(found, np.asarray(model(values(1, steps, 2, 2, 2, 1))), atol=1e-5)


def test_a_loop_stores_no_zeros(tmp_path):
    """TFLite keeps as a constant whatever it can compute beforehand: the place for all outputs too."""
    model = sequential(layers.GRU(32, return_sequences=True), shape=(128, 4), batch_size=16)
    artifact, runtime, _ = exported(model, "tflite", tmp_path, recurrent="loop")
    assert artifact.size_bytes < 4 * model.count_params() + 40_000  # the outputs have 262,144 bytes
    (found,) = runtime({"x": np.full((16, 128, 4), np.nan, "float32")}).values()
    assert np.isnan(found).all()


def test_one_file_takes_any_batch_and_any_time(tmp_path):
    model = sequential(layers.LSTM(3, return_sequences=True), layers.GRU(3, go_backwards=True, return_sequences=True))
    for target in ("onnx", "tflite"):
        _, runtime, _ = exported(model, target, tmp_path)
        for shape in ((1, 1, 4), (2, 2, 4), (5, 17, 4), (1, 101, 4)):
            (found,) = runtime({"x": values(*shape)}).values()
            np.testing.assert_allclose(found, np.asarray(model(values(*shape))), atol=1e-5)


@pytest.mark.parametrize(("mode", "form"), [("loop", "Loop"), ("unroll", None)])
def test_onnx_in_the_form_asked_for(mode, form, tmp_path):
    model = sequential(layers.GRU(3, return_sequences=True), shape=(5, 4))
    artifact, _, report = exported(model, "onnx", tmp_path, recurrent=mode)
    assert set(artifact.operators) & {"Loop", "GRU"} == ({form} if form else set())
    assert any("asked for" in note for note in report.notes)


def test_tflite_unrolled_has_no_loop(tmp_path):
    model = sequential(layers.Masking(), layers.GRU(3, return_sequences=True, go_backwards=True), shape=(5, 4))
    artifact, *_ = exported(model, "tflite", tmp_path, recurrent="unroll")
    assert "WHILE" not in artifact.operators


def test_fused_remembers_nothing_from_call_to_call(tmp_path):
    model = sequential(
        layers.LSTM(3, return_sequences=True), layers.LSTM(2, go_backwards=True), shape=(None, 4), batch_size=2
    )
    artifact, runtime, _ = exported(model, "tflite", tmp_path, recurrent="fused")
    assert artifact.operators["UNIDIRECTIONAL_SEQUENCE_LSTM"] == 2
    for seed in (1, 1, 2, 1):
        (found,) = runtime({"x": 3 * values(2, 6, 4, seed=seed)}).values()
        np.testing.assert_allclose(found, np.asarray(model(3 * values(2, 6, 4, seed=seed))), atol=1e-5)


REFUSED = {
    "batch of known size": (lambda: sequential(layers.LSTM(3)), "fused"),
    "the operator is an LSTM": (lambda: sequential(layers.GRU(3), batch_size=1), "fused"),
    "activations tanh and sigmoid": (lambda: sequential(layers.LSTM(3, activation="relu"), batch_size=1), "fused"),
    "no mask": (lambda: sequential(layers.Masking(), layers.LSTM(3), batch_size=1), "fused"),
    "returns none": (lambda: sequential(layers.LSTM(3, return_state=True, name="m"), batch_size=1), "fused"),
    "number of steps is not known": (lambda: sequential(layers.LSTM(3)), "unroll"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_form_that_a_layer_cannot_have_is_refused_with_the_reason(reason, tmp_path):
    build, mode = REFUSED[reason]
    if reason == "returns none":
        x = keras.Input((None, 4), batch_size=1)
        model = keras.Model(x, layers.LSTM(3, return_state=True)(x))
    else:
        model = build()
    with pytest.raises(UnsupportedModelError, match=rf"tflite: the layer '.*{reason}.*recurrent='loop'") as caught:
        nnx.export_model(model, tmp_path / "x", formats=("tflite",), recurrent=mode)
    assert "Arguments received" not in str(caught.value)
    assert not (tmp_path / "x").exists()


def test_the_output_of_a_sequential_has_the_name_that_was_given(tmp_path):
    named, counted = (sequential(layers.LSTM(3), layers.Dense(2, name=name)) for name in ("alarm", None))
    for model, name in ((named, "alarm"), (counted, "output")):
        _, _, report = exported(model, "onnx", tmp_path)
        assert [spec.name for spec in report.signature.outputs] == [name]


def test_an_unknown_form_is_refused(tmp_path):
    with pytest.raises(ValueError, match="recurrent='scan' is not understood"):
        nnx.export_model(sequential(layers.LSTM(3)), tmp_path / "x", recurrent="scan")


def test_an_initial_state_of_one_row_stands_for_all(tmp_path):
    x = keras.Input((None, 4), name="x")
    start = layers.Dense(3, use_bias=False)(keras.ops.ones((1, 2)))
    model = keras.Model(x, layers.GRU(3, return_sequences=True, unroll=False)(x, initial_state=start + 0 * x[:, 0, :3]))
    for target in ("onnx", "tflite"):
        exported(model, target, tmp_path)


@pytest.mark.parametrize("options", [{}, {"return_sequences": True, "go_backwards": True}])
def test_a_mask_of_one_row_stands_for_all(options, tmp_path):
    x = keras.Input((5, 3), name="x")
    mask = keras.ops.convert_to_tensor(np.array([[True, False, True, True, False]]))
    model = keras.Model(x, layers.GRU(3, **options)(x, mask=mask))
    artifact, *_ = exported(model, "onnx", tmp_path)
    assert artifact.operators["GRU"] == 1


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (lambda: layers.LSTM(3, dtype="float64"), "cannot be used with float64"),
        (lambda: layers.LSTM(3, activation="gelu"), "cannot be used with the activation gelu"),
        (lambda: layers.RNN([layers.GRUCell(3, recurrent_activation="silu")]), "with the activation silu"),
        (lambda: layers.RNN(Leaky(3)), "has no operator for its cell"),
    ],
)
def test_the_note_on_a_loop_says_why(layer, reason, tmp_path):
    model = keras.Sequential([keras.Input((None, 4)), layer()])
    (note,) = nnx.export_model(model, tmp_path / "x", formats=("onnx",), verify=False).notes
    assert "a loop (ONNX" in note
    assert reason in note


@pytest.mark.parametrize("target", ["onnx", "tflite"])
@pytest.mark.parametrize("steps", [None, 6])
def test_int8_of_recurrent_layers(target, steps, tmp_path):
    model = sequential(layers.LSTM(64, return_sequences=True), layers.GRU(64), shape=(steps, 32))
    model.set_weights([0.3 * weight for weight in model.get_weights()])
    samples = values(32, 6, 32)
    plain = nnx.export_model(model, tmp_path / "float", formats=(target,)).artifacts[target]
    artifact, *_ = exported(model, target, tmp_path, precision="int8", calibration=samples)
    assert artifact.parity.sqnr_db > 20
    loops = {"tflite": "WHILE", "onnx": "Loop"}[target] in artifact.operators
    assert loops == (target == "tflite" and steps is None)
    if steps is None:
        assert artifact.size_bytes < 0.5 * plain.size_bytes


def test_int8_where_all_sizes_are_known(tmp_path):
    """Nothing reads the first step's gate of forgetting, since there is nothing to forget."""
    model = sequential(layers.LSTM(8), shape=(5, 4), batch_size=1)
    artifact, *_ = exported(model, "tflite", tmp_path, precision="int8", calibration=values(32, 5, 4))
    assert artifact.parity.sqnr_db > 20
