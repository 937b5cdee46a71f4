"""What a trained model writes is what it says about its own tokens."""

import keras
import numpy as np
import pytest

from keras_nnx import models

RANDOM = np.random.default_rng(0)
SOURCE = RANDOM.integers(0, 12, (24, 5)).astype("int32")
STEPS = 6


def made(seed=0, tokens=7, wide=0.7, **arguments):
    """A model whose weights are so wide that it writes all sorts of tokens."""
    keras.utils.set_random_seed(seed)
    arguments = {"units": (6, 5), "classifier_activation": None, **arguments}
    model = models.SequenceToSequence(((None,), (None,)), (12, tokens), **arguments)
    random = np.random.default_rng(seed)
    model.set_weights([value + random.uniform(-wide, wide, value.shape) for value in model.get_weights()])
    return model


def answers(model, source):
    return np.asarray(model(source))


def teacher_forced(model, written, start):
    """What the model says next when what was written is its target."""
    target = np.concatenate([np.full((len(written), 1), start), written[:, :-1]], axis=1)
    return np.asarray(model({"source": SOURCE, "target": target})).argmax(-1)


@pytest.mark.parametrize(
    ("start", "arguments"),
    [
        (1, {}),
        (0, {"cell": "gru", "bidirectional": False}),
        (2, {"cell": "gru", "mask_zero": False}),
        (0, {"units": (6,), "dropout": 0.2, "block_options": {"merge": "sum", "residual": False}}),
    ],
    ids=str,
)
def test_it_equals_teacher_forcing_with_its_own_tokens(arguments, start):
    seen = set()
    for seed in range(2):
        model = made(seed, **arguments)
        model.get_layer("logits").bias.assign(np.random.default_rng(seed).uniform(-1, 1, 7))
        written = answers(models.greedy_decoder(model, STEPS, start), SOURCE)
        assert written.dtype == "int32"
        np.testing.assert_array_equal(teacher_forced(model, written, start), written)
        seen |= set(written.ravel().tolist())
    assert len(seen) > 1


def test_token_0_is_read_like_any_other():
    """It is what is written most here, and what padding is called in training."""
    model = made()
    model.get_layer("logits").bias.assign([2.0, 0, 0, 0, 0, 0, 0])
    written = answers(models.greedy_decoder(model, STEPS, 1), SOURCE)
    assert 0.2 < (written == 0).mean() < 1
    assert ((written[:, :-1] == 0) & (written[:, 1:] != 0)).any()
    np.testing.assert_array_equal(teacher_forced(model, written, 1), written)


@pytest.mark.parametrize("end", [0, 4])
def test_behind_the_end_there_is_0(end):
    model = made()
    model.get_layer("logits").bias.assign(np.eye(7)[end] * 2)
    free = answers(models.greedy_decoder(model, STEPS, 1), SOURCE)
    ended = answers(models.greedy_decoder(model, STEPS, 1, end_token=end), SOURCE)
    before = np.cumsum(free == end, axis=1) - (free == end) == 0
    assert 0 < before.mean() < 1
    np.testing.assert_array_equal(ended, np.where(before, free, 0))


def test_padding_of_the_source_changes_nothing():
    write = models.greedy_decoder(made(), STEPS, 1)
    source = np.maximum(SOURCE, 1)
    padded = np.pad(source, ((0, 0), (0, 4)))
    np.testing.assert_array_equal(answers(write, padded), answers(write, source))


def test_it_is_saved_and_made_of_a_saved_model(tmp_path):
    model = made()
    write = models.greedy_decoder(model, STEPS, 1, end_token=3, name="writer")
    expected = answers(write, SOURCE)
    write.save(tmp_path / "writer.keras")
    loaded = keras.saving.load_model(tmp_path / "writer.keras")
    assert loaded.name == "writer"
    np.testing.assert_array_equal(loaded.predict(SOURCE, verbose=0), expected)
    np.testing.assert_array_equal(answers(loaded, SOURCE), expected)
    model.save(tmp_path / "model.keras")
    again = models.greedy_decoder(keras.saving.load_model(tmp_path / "model.keras"), STEPS, 1, end_token=3)
    np.testing.assert_array_equal(answers(again, SOURCE), expected)


def test_it_has_the_weights_of_the_model():
    model = made()
    write = models.greedy_decoder(model, STEPS, 1)
    assert {id(weight) for weight in write.weights} == {id(weight) for weight in model.weights}
    model.get_layer("logits").bias.assign(np.eye(7)[5] * 1e6)
    assert (answers(write, SOURCE) == 5).all()


def test_half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = made()
        written = answers(models.greedy_decoder(model, STEPS, 1), SOURCE)
    finally:
        keras.config.set_dtype_policy("float32")
    assert written.shape == (24, STEPS)
    assert (teacher_forced(model, written, 1) == written).mean() > 0.9


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_export(cell, export):
    assert export(models.greedy_decoder(made(cell=cell, units=(4,)), 3, 1, end_token=2)).proven


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, r"steps=0\) needs an integer of at least 1"),
        ({"start_token": 7}, r"start_token=7\) is no token of the target: they are 0 to 6"),
        ({"start_token": -1}, r"start_token=-1\) needs an integer of at least 0"),
        ({"end_token": 9}, r"end_token=9\) is no token of the target"),
        ({"model": lambda: made(classes=8)}, "cannot read what it writes: the model has 8 classes and 7 tokens"),
        ({"model": lambda: made(include_top=False)}, "received .* with no layer called 'logits'"),
        (
            {"model": lambda: made(pooling="last")},
            "with include_top=True and pooling=None, but received .* called 'pool'",
        ),
        ({"model": lambda: models.LanguageModel((None,), 9)}, "no layer called 'source'"),
        ({"model": lambda: "model.keras"}, "needs what SequenceToSequence builds"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    arguments = {"model": made, "steps": 3, "start_token": 1, **arguments}
    model = arguments.pop("model")()
    with pytest.raises(ValueError, match=message):
        models.greedy_decoder(model, **arguments)


def test_fewer_classes_than_tokens_are_written():
    written = answers(models.greedy_decoder(made(classes=3), STEPS, 6), SOURCE)
    assert written.max() < 3
