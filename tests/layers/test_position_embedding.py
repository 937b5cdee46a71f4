"""A vector for every position."""

import keras
import numpy as np
import pytest

from keras_nnx.layers import PositionEmbedding


def test_every_position_gets_its_own_vector():
    layer = PositionEmbedding()
    tokens = np.random.default_rng(0).standard_normal((3, 4, 5)).astype("float32")
    outputs = np.asarray(layer(tokens))
    positions = layer.positions.numpy()
    assert positions.shape == (4, 5)
    np.testing.assert_allclose(outputs - tokens, np.tile(positions, (3, 1, 1)), atol=1e-6)
    assert len(np.unique(positions)) == positions.size


def test_the_vectors_start_as_the_initializer_says():
    layer = PositionEmbedding(initializer=keras.initializers.Constant(3.0))
    np.testing.assert_array_equal(layer(np.zeros((1, 2, 4), "float32")), np.full((1, 2, 4), 3.0))
    layer = PositionEmbedding()
    layer.build((None, 64, 64))
    assert layer.positions.numpy().std() == pytest.approx(0.02, rel=0.05)


def test_integers_are_not_what_the_vectors_are_rounded_to():
    outputs = PositionEmbedding(initializer=keras.initializers.Constant(0.25))(np.ones((1, 2, 4), "int32"))
    np.testing.assert_array_equal(outputs, np.full((1, 2, 4), 1.25))


def waves(steps, dim):
    speeds = 10000.0 ** (-2 * np.arange(dim // 2) / dim)
    angles = np.asarray(steps)[:, None] * speeds
    return np.concatenate([np.sin(angles), np.cos(angles)], 1)


def test_sines_and_cosines_of_a_sequence():
    outputs = PositionEmbedding("sine-cosine")(np.zeros((1, 9, 6), "float32"))
    np.testing.assert_allclose(outputs[0], waves(range(9), 6), atol=1e-5)


def test_sines_and_cosines_of_a_grid():
    outputs = PositionEmbedding("sine-cosine", grid=(2, 3), prefix=2)(np.zeros((1, 8, 8), "float32"))
    assert (outputs[0, :2].numpy() == 0).all()
    expected = np.concatenate([waves([0, 1, 2] * 2, 4), waves([0, 0, 0, 1, 1, 1], 4)], 1)
    np.testing.assert_allclose(outputs[0, 2:], expected, atol=1e-5)


def of_pictures(grid, prefix=1, dim=4, **options):
    tokens = keras.Input((prefix + grid[0] * grid[1], dim))
    return keras.Model(tokens, PositionEmbedding(grid=grid, prefix=prefix, **options)(tokens))


def plane(height, width):
    """A picture whose every channel grows evenly along both sides."""
    rows, columns = np.meshgrid((np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width, indexing="ij")
    return np.stack([rows, columns, rows + columns, rows - columns], -1).reshape(-1, 4)


def test_learned_positions_follow_the_picture(tmp_path):
    small, large = of_pictures((6, 8)), of_pictures((12, 16))
    small.set_weights([np.concatenate([np.full((1, 4), 7.0), plane(6, 8)])])
    small.save(tmp_path / "small.keras")
    large.load_weights(tmp_path / "small.keras")
    (positions,) = large.get_weights()
    np.testing.assert_array_equal(positions[0], np.full(4, 7.0))
    inner = (slice(3, -3), slice(3, -3))
    received, expected = positions[1:].reshape(12, 16, 4)[inner], plane(12, 16).reshape(12, 16, 4)[inner]
    np.testing.assert_allclose(received, expected, atol=1e-5)
    again = keras.saving.load_model(tmp_path / "small.keras", safe_mode=True)
    np.testing.assert_array_equal(again.get_weights()[0], small.get_weights()[0])


def test_learned_positions_of_a_sequence_follow_its_length(tmp_path):
    short, long = (keras.Sequential([keras.Input((length, 1)), PositionEmbedding()]) for length in (10, 20))
    short.set_weights([np.arange(10.0)[:, None]])
    short.save_weights(tmp_path / "short.weights.h5")
    long.load_weights(tmp_path / "short.weights.h5")
    np.testing.assert_allclose(long.get_weights()[0][4:16, 0], np.arange(4, 16) / 2 - 0.25, atol=1e-5)


@pytest.mark.parametrize("other", [of_pictures((2, 2), prefix=2), of_pictures((2, 2), dim=8)])
def test_positions_of_another_kind_are_not_loaded(other):
    store = {}
    of_pictures((2, 3)).layers[-1].save_own_variables(store)
    before = other.get_weights()
    with pytest.raises(ValueError, match="only the number of positions may differ"):
        other.layers[-1].load_own_variables(store)
    np.testing.assert_array_equal(other.get_weights()[0], before[0])


@pytest.mark.parametrize(
    ("arguments", "shape", "message"),
    [
        ({"kind": "cosine"}, None, "'learned', 'sine-cosine'"),
        ({"grid": (4,)}, None, "height and a width"),
        ({"prefix": -1}, None, "prefix=-1"),
        ({"grid": (2, 2)}, (None, 5, 4), "has 4 positions, but received 5"),
        ({"kind": "sine-cosine"}, (None, 4, 5), "multiple of 2"),
        ({"kind": "sine-cosine", "grid": (2, 2)}, (None, 4, 6), "multiple of 4"),
        ({"prefix": 5}, (None, 4, 6), "4 tokens only"),
    ],
)
def test_what_does_not_fit_is_an_error(arguments, shape, message):
    with pytest.raises(ValueError, match=message):
        PositionEmbedding(**arguments).build(shape)


@pytest.mark.parametrize(("shape", "said"), [((None, None, 4), "number and size"), ((None, 4, None), "last axis")])
def test_unknown_sizes_are_refused(shape, said):
    with pytest.raises(ValueError, match=said):
        PositionEmbedding().build(shape)


def test_another_rank_is_refused():
    with pytest.raises(ValueError, match=r"PositionEmbedding expects inputs of shape \(b t d\), but received \(2, 4\)"):
        PositionEmbedding()(np.zeros((2, 4), "float32"))


@pytest.mark.parametrize("length", [1, 5])
def test_another_length_is_refused(length):
    layer = PositionEmbedding()
    layer.build((None, 4, 8))
    with pytest.raises(ValueError, match=rf"was built for 4 positions and received {length}: build another model"):
        layer(np.zeros((2, length, 8), "float32"))
