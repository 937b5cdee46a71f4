"""What recurrent models promise beyond what all builders do."""

import keras
import numpy as np
import pytest

from keras_nnx import models

RANDOM = np.random.default_rng(0)
TOKENS = RANDOM.integers(1, 9, (3, 6)).astype("int32")
STEPS = RANDOM.standard_normal((3, 6, 2)).astype("float32")
POOLS = ("avg", "max", "first", "last", "additive", "multiplicative")
PADDED = np.pad(TOKENS, ((0, 0), (0, 4)))
PAIR = {"input_shape": ((None,), (None,)), "vocabulary_sizes": (9, 9)}


def randomized(model):
    model.set_weights([value + RANDOM.uniform(-0.5, 0.5, value.shape) for value in model.get_weights()])
    return model


def classifier(**arguments):
    return models.SequenceClassifier(**{"input_shape": (None,), "classes": 4, "units": (5,), **arguments})


@pytest.mark.parametrize("pooling", [*POOLS, None])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_padding_of_tokens_changes_nothing(pooling, cell):
    model = randomized(classifier(vocabulary_size=9, cell=cell, bidirectional=True, pooling=pooling))
    expected = model(TOKENS)
    padded = model(PADDED) if pooling else model(PADDED)[:, :6]
    np.testing.assert_allclose(padded, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pooling", POOLS)
def test_padding_of_features_changes_nothing(pooling):
    model = randomized(classifier(input_shape=(None, 2), mask_value=7.0, units=(5, 4), pooling=pooling))
    longer = np.pad(STEPS, ((0, 0), (0, 3), (0, 0)), constant_values=7)
    np.testing.assert_allclose(model(longer), model(STEPS), rtol=1e-5, atol=1e-5)


def test_padding_of_a_pair_changes_nothing():
    model = randomized(models.SequenceToSequence(**PAIR, units=(5, 4)))
    expected = model({"source": TOKENS, "target": TOKENS})
    padded = model({"source": PADDED, "target": PADDED})
    np.testing.assert_allclose(padded[:, :6], expected, rtol=1e-5, atol=1e-5)


def test_losses_leave_padding_out():
    model = randomized(models.SequenceToSequence(**PAIR, units=(5,)))
    model.compile(loss="sparse_categorical_crossentropy")
    whole = model.evaluate({"source": TOKENS, "target": TOKENS}, TOKENS, verbose=0)
    padded = model.evaluate({"source": PADDED, "target": PADDED}, PADDED, verbose=0)
    np.testing.assert_allclose(padded, whole, rtol=1e-5)


def test_a_language_model_sees_no_later_token():
    model = randomized(models.LanguageModel((None,), 9, units=(5, 4)))
    changed = TOKENS.copy()
    changed[:, 3] = changed[:, 3] % 8 + 1
    moved = np.abs(model(changed) - model(TOKENS)).max((0, 2)) > 1e-7
    assert moved.tolist() == [False] * 3 + [True] * 3


def test_tied_embeddings_are_the_scores():
    model = randomized(models.LanguageModel((None,), 9, units=(6, 5), tie_embeddings=True, classifier_activation=None))
    features = keras.Model(model.input, model.get_layer("normalization").output)(TOKENS)
    vectors = model.get_layer("embedding").embeddings
    np.testing.assert_allclose(model(TOKENS), features @ keras.ops.transpose(vectors), rtol=1e-4, atol=1e-5)
    assert vectors.shape == (9, 5)


@pytest.mark.slow
def test_a_pair_is_learned():
    """The target is the source from its end."""
    random = np.random.default_rng(0)
    source = random.integers(2, 6, (256, 4))
    labels = source[:, ::-1]
    target = np.concatenate([np.ones((256, 1), int), labels[:, :-1]], axis=1)
    model = models.SequenceToSequence(((None,), (None,)), (6, 6), units=(24,), cell="gru")
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit({"source": source, "target": target}, labels, batch_size=32, epochs=12, verbose=0)
    written = models.greedy_decoder(model, 4, 1).predict(source, verbose=0)
    assert (written == labels).mean() > 0.9


@pytest.mark.parametrize(
    ("build", "arguments"),
    [
        (models.SequenceClassifier, {"input_shape": (None, 2), "classes": 3}),
        (models.SequenceForecaster, {"input_shape": (None, 2), "horizon": 2}),
        (models.LanguageModel, {"input_shape": (None,), "vocabulary_size": 9}),
        (models.SequenceToSequence, PAIR),
        (models.CRNN, {"input_shape": (8, None, 1), "classes": 3, "filters": (2,), "width_halvings": 0}),
    ],
)
def test_block_options_replace_what_is_given_beside_them(build, arguments):
    options = {"cell": "gru", "dropout": 0.25, "projection_dim": 5, "epsilon": 1e-3, "seed": 3}
    model = build(**arguments, units=(4, 4), cell="lstm", block_options=options)
    blocks = [layer for layer in model.layers if "block_" in layer.name]
    assert {block.cell for block in blocks} == {"gru"}
    assert {block.dropout for block in blocks} == {0.25}
    assert len({block.seed for block in blocks}) == len(blocks)
    for own in ("units", "name", "return_state", "dtype"):
        with pytest.raises(ValueError, match=f"cannot set '{own}', which {build.__name__} sets itself: leave it out"):
            build(**arguments, block_options={own: None})
    with pytest.raises(ValueError, match="Unrecognized keyword arguments"):
        build(**arguments, block_options={"depth": 3})
    with pytest.raises(ValueError, match=r"block_options='gru'\) needs a dictionary"):
        build(**arguments, block_options="gru")


def test_an_odd_picture_has_its_columns():
    model = models.CRNN((9, None, 2), classes=3, filters=(2, 3), units=(4,), width_halvings=1)
    assert model(np.ones((2, 9, 11, 2), "float32")).shape == (2, 5, 3)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: classifier(vocabulary_size=9, mask_value=0.0), r"mask_value=0.0\) is for features"),
        (lambda: classifier(units=3, vocabulary_size=9), r"units=3\) needs the width of each block"),
        (lambda: classifier(units=(0,), vocabulary_size=9), r"units=0\) needs an integer of at least 1"),
        (lambda: classifier(dim=0, vocabulary_size=9), r"dim=0\) needs an integer"),
        (lambda: classifier(), "needs length and features"),
        (
            lambda: models.LanguageModel((None,), 9, block_options={"bidirectional": True}),
            "cannot set 'bidirectional', which LanguageModel sets itself",
        ),
        (lambda: models.LanguageModel((None,), 9, classes=5, tie_embeddings=True), "has a vector for each of 9 tokens"),
        (lambda: models.LanguageModel((None,), 9, dim=5, tie_embeddings=True), "use dim=64, or leave it out"),
        (lambda: models.SequenceToSequence((None,), (9, 9)), "needs one for the source and one for the target"),
        (lambda: models.SequenceToSequence(((None,), (None,)), 9), "needs one for the source and one for the target"),
        (lambda: models.CRNN((None, 8, 1)), "needs to know the height"),
        (lambda: models.CRNN((4, 8, 1)), "has the height 4, of which its stages leave nothing: use at least 8"),
        (lambda: models.CRNN((8, 3, 1)), "has the width 3, of which its stages leave nothing: use at least 4"),
        (lambda: models.CRNN((8, 8, 1), filters=()), r"filters=\(\)\) needs at least one number"),
        (lambda: models.CRNN((8, 8, 1), filters=(4,)), r"width_halvings=2\) is more than the 1 stages"),
    ],
)
def test_wrong_arguments_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
