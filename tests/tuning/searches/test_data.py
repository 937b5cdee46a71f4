"""What a search is made of: arrays, files, several inputs; and the share of examples that are named rightly."""

import dataclasses
import zipfile

import keras
import numpy as np
import pytest

import keras_nnx as nnx
from keras_nnx.tuning.searches.data import SearchData, arrays, check_data, from_file
from keras_nnx.tuning.searches.measure import share_right

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(96, 6)).astype("float32")
Y = (X[:, 0] > 0).astype("int64") + (X[:, 1] > 0)


def test_arrays_that_do_not_go_together():
    with pytest.raises(ValueError, match="inputs and targets have to be as many"):
        arrays((X[:5], Y[:4]))
    for broken in ((X, Y, Y), (X.tolist(), Y), (X, Y.tolist()), (X, 1), ([X, X], Y)):
        with pytest.raises(ValueError, match=r"validation data have to be inputs and targets.*np.asarray"):
            arrays((X, Y), broken)
    with pytest.raises(ValueError, match="There is 1 example: give validation data"):
        arrays((X[:1], Y[:1]))


def test_what_is_no_number():
    broken = X.copy()
    broken[3, 2] = np.nan
    with pytest.raises(ValueError, match="training data hold nan in example 3"):
        arrays((broken, Y))
    with pytest.raises(ValueError, match="validation data hold inf in example 0"):
        arrays((X, Y), ({"rows": X}, {"scores": Y, "more": np.full((96, 1), np.inf)}))


def test_targets_of_several_outputs_are_split_alike():
    found = arrays(({"rows": X}, {"scores": Y, "first": X[:, 0]}), seed=3)
    for (x, y), count in ((found.train, 77), (found.validation, 19)):
        assert len(y["scores"]) == count
        np.testing.assert_array_equal(x["rows"][:, 0], y["first"])
    assert found.classes is None


@pytest.mark.parametrize("part", ["train", "validation"])
def test_data_without_end(part):
    import tensorflow as tf

    endless = tf.data.Dataset.from_tensor_slices((X, Y)).repeat().batch(8)
    with pytest.raises(ValueError, match=r"have no end.*take"):
        check_data(dataclasses.replace(arrays((X, Y)), **{part: endless}), ())


def test_shares_that_are_right():
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    assert share_right(scores, np.array([1, 0, 0])) == pytest.approx(2 / 3)
    assert share_right(scores, np.eye(2)[[1, 0, 0]]) == pytest.approx(2 / 3)
    assert share_right(np.array([[0.9], [0.2]]), np.array([1, 1])) == 0.5
    assert share_right(np.eye(3)[None], np.array([[0, 1, 0]])) == pytest.approx(2 / 3)


def test_data_of_a_file(tmp_path):
    np.savez(tmp_path / "two.npz", x=X, y=Y)
    found = from_file(tmp_path / "two.npz", seed=1)
    assert len(found.train[1]) + len(found.validation[1]) == len(Y)
    assert len(found.targets) == round(0.2 * len(Y))
    assert (found.input_shape, found.classes) == ((6,), 3)
    np.savez(tmp_path / "four.npz", x_train=X[:9], y_train=Y[:9], x_val=X[9:], y_val=Y[9:])
    assert len(from_file(tmp_path / "four.npz", seed=1).targets) == len(Y) - 9
    np.savez(tmp_path / "odd.npz", rows=X)
    with pytest.raises(ValueError, match="has the arrays rows: it needs x and y"):
        from_file(tmp_path / "odd.npz", seed=1)
    (tmp_path / "text.npz").write_text("no arrays")
    with pytest.raises(ValueError, match=r"is no \.npz file"):
        from_file(tmp_path / "text.npz", seed=1)
    with zipfile.ZipFile(tmp_path / "pickle.npz", "w") as archive:
        archive.writestr("x.npy", b"")
    with pytest.raises(ValueError, match=r"pickle\.npz"):
        from_file(tmp_path / "pickle.npz", seed=1)


def test_several_inputs_by_name(tmp_path):
    def pair(units):
        left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
        both = keras.layers.Dense(units, "relu")(keras.layers.Concatenate()([left, right]))
        return keras.Model([left, right], keras.layers.Dense(3, "softmax")(both), name="pair")

    both = arrays(({"left": X, "right": X}, Y))
    assert isinstance(both, SearchData)
    found = dataclasses.replace(both, input_shape=(6,))
    space = nnx.tuning.space(pair, units=nnx.tuning.Int(2, 4))
    result = nnx.tuning.search(
        space, found, tmp_path / "two", objectives="accuracy", trials=1, epochs=1, verbose=0, seed=1
    )
    assert 0 <= result.best.measures["accuracy"] <= 1
