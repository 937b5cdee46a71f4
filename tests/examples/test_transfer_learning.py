"""Few pictures of new digits: nothing seen before the test, weights that are carried over, and the program itself."""

import re
import types

import keras
import numpy as np
import pytest
from PIL import Image

import keras_nnx as nnx


@pytest.fixture(scope="module")
def digits(transfer_learning, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(tmp_path_factory.mktemp("tfds")))
        return {
            (split, values): transfer_learning.load_digits(split, values)
            for split in ("train", "test")
            for values in (transfer_learning.SOURCE, transfer_learning.TARGET)
        }


def test_source_and_target_share_no_class_and_make_ten(transfer_learning):
    assert not set(transfer_learning.SOURCE) & set(transfer_learning.TARGET)
    assert sorted(transfer_learning.SOURCE + transfer_learning.TARGET) == list(range(10))


def test_no_digit_is_in_two_parts(digits):
    seen = [{picture.tobytes() for picture in pictures} for pictures, _ in digits.values()]
    assert len(set.union(*seen)) == sum(map(len, seen))
    for pictures, labels in digits.values():
        assert len(pictures) == len(labels) > 100
        assert set(labels) == set(range(5))


def test_labels_are_places_among_the_values(transfer_learning, digits):
    batches = nnx.data.load("digits", augment="none").raw("test").as_numpy_iterator()
    pairs = (pair for parts in batches for pair in zip(*parts, strict=True))
    every = {picture[..., 0].astype(np.uint8).tobytes(): value for picture, value in pairs}
    for values in (transfer_learning.SOURCE, transfer_learning.TARGET):
        pictures, labels = digits["test", values]
        assert [every[picture.tobytes()] for picture in pictures] == [values[label] for label in labels]


@pytest.mark.parametrize("shots", [1, 7])
def test_few_are_as_many_of_each_class_and_not_in_the_test(transfer_learning, digits, shots):
    pictures, labels = digits["train", transfer_learning.TARGET]
    unseen = {picture.tobytes() for picture in digits["test", transfer_learning.TARGET][0]}
    first, again, other = (
        transfer_learning.choose_few(labels, shots, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.bincount(labels[first]).tolist() == [shots] * 5
    assert len(set(first.tolist())) == 5 * shots
    assert not unseen & {picture.tobytes() for picture in pictures[first]}
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_scenes_follow_their_seed_and_hold_the_digit(transfer_learning, digits):
    pictures = digits["train", transfer_learning.TARGET][0][:2]
    first, again, other = (transfer_learning.draw_scenes(pictures, 3, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert first.shape == (6, 32, 32, 3)
    assert first.dtype == np.uint8
    inked, bare = (transfer_learning.draw_scenes(np.full((1, 8, 8), ink, np.uint8), 1, 1) for ink in (255, 0))
    changed = (inked != bare).any(axis=-1)[0]
    rows, columns = np.nonzero(changed)
    assert changed.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert 14 <= np.ptp(rows) + 1 == np.ptp(columns) + 1 <= 22


def test_transfer_keeps_the_first_layers_and_moves_the_others(transfer_learning):
    keras.utils.set_random_seed(0)
    source = transfer_learning.build("small")
    inputs, labels = np.random.default_rng(0).normal(size=(10, 32, 32, 3)).astype("float32"), np.arange(10) % 5
    options = types.SimpleNamespace(network="small", source=None, steps=2)
    model = transfer_learning.transfer(source, options, inputs, labels)
    same = {
        layer.name: all(map(np.array_equal, layer.get_weights(), model.get_layer(layer.name).get_weights()))
        for layer in source.layers
        if layer.weights
    }
    assert [name for name, kept in same.items() if kept] == ["stem", "stem_normalization", "stage_1_block_1"]
    assert [name for name, kept in same.items() if not kept] == ["stage_2_block_1", "stage_3_block_1", "logits"]


@pytest.mark.parametrize("network", ["EfficientNetB0", "ConvNeXtTiny", "ResNet50V2"])
def test_until_names_a_layer_of_every_network(transfer_learning, network):
    builder, arguments, until, _ = transfer_learning.NETWORKS[network]
    slim = {"ResNet50V2": {"filters": (8, 8, 8, 8)}, "ConvNeXtTiny": {"filters": (8, 8, 8, 8)}}.get(
        network, {"width": 0.1}
    )
    model = builder((32, 32, 3), classes=5, **arguments, **slim)
    frozen = nnx.models.freeze(model, until=until)
    assert frozen
    assert until not in frozen


@pytest.mark.parametrize(
    "arguments",
    [
        ["--shots", "0"],
        ["--shots", "101"],
        ["--network", "ResNet50V2"],
        ["--source", "missing.keras"],
        ["--repeats", "few"],
    ],
)
def test_wrong_usage_is_2(transfer_learning, arguments, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["transfer_learning.py", *arguments])
    with pytest.raises(SystemExit) as stop:
        transfer_learning.main()
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_finish_fails_where_scratch_is_as_good(transfer_learning, capsys):
    transfer_learning.finish(np.array([[0.8, 0.5], [0.6, 0.5]]), 10)
    assert "10 pictures a digit, mean of 2: transfer 70.0%; from scratch 50.0%" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="not better"):
        transfer_learning.finish(np.array([[0.5, 0.5]]), 10)


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.minutes
@pytest.mark.timeout(600)
def test_a_short_source_is_enough_to_beat_scratch(run_example):
    finished, out = run_example("transfer_learning", "--source-steps", 200, "--repeats", 1)
    assert finished.returncode == 0, finished.stderr
    carried, fresh = check(finished, out)
    assert carried > fresh + 10


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.minutes
@pytest.mark.timeout(600)
def test_a_file_that_knows_nothing_is_carried_and_exits_with_1(run_example, tmp_path):
    keras.utils.set_random_seed(0)
    file = tmp_path / "untrained.weights.h5"
    keras.applications.EfficientNetB0(weights=None, include_top=False, input_shape=(32, 32, 3)).save_weights(file)
    arguments = ("--source", file, "--shots", 1, "--steps", 1, "--repeats", 1)
    finished, out = run_example("transfer_learning", *arguments)
    carried, fresh = check(finished, out)
    assert finished.returncode == (1 if carried <= fresh else 0), finished.stderr
    assert "weights carried, features apart by" in finished.stdout
    assert "kept logits/kernel, logits/bias" in finished.stdout


def check(finished, out):
    found = re.search(r"mean of 1: transfer (\d+\.\d)%; from scratch (\d+\.\d)%", finished.stdout)
    assert found, finished.stderr
    verified = nnx.verify_export(out / "export")
    assert set(verified.artifacts) == {"saved_model", "onnx", "tflite"}
    assert verified.signature.inputs[0].shape[1:] == (32, 32, 3)
    with Image.open(out / "transfer.png") as picture:
        assert min(picture.size) > 400
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 1000
    return float(found[1]), float(found[2])
