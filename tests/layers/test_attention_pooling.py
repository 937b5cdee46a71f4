"""A sequence read by learned queries."""

import keras
import numpy as np
import pytest

from keras_nnx.layers import AttentionPooling

TOKENS = np.random.default_rng(0).standard_normal((2, 5, 8)).astype("float32")


def test_the_equation():
    layer = AttentionPooling(num_heads=1)
    layer.build(TOKENS.shape)
    weights = {weight.path.split("/", 1)[1]: weight.numpy() for weight in layer.weights}
    query = layer.queries.numpy()[0] @ weights["attention/query/kernel"]
    keys, values = (TOKENS @ weights[f"attention/{name}/kernel"] for name in ("key", "value"))
    scores = np.exp(keys @ query[0] / np.sqrt(8))
    gathered = (scores / scores.sum(1, keepdims=True))[:, None] @ values
    np.testing.assert_allclose(
        layer(TOKENS), (gathered @ weights["attention/output/kernel"])[:, 0], rtol=1e-4, atol=1e-5
    )


def test_padding_is_as_if_it_were_not_there():
    layer = AttentionPooling(num_heads=2, num_queries=3)
    mask = keras.ops.convert_to_tensor(np.arange(5)[None] < np.array([[2], [5]]))
    whole = layer(TOKENS, mask=mask)
    assert whole.shape == (2, 3, 8)
    np.testing.assert_allclose(whole[0], layer(TOKENS[:1, :2])[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("arguments", [{"num_heads": 0}, {"num_heads": 2, "num_queries": 0}, {"num_heads": 3}])
def test_what_does_not_fit_is_an_error(arguments):
    with pytest.raises(ValueError, match=r"num_heads|num_queries"):
        AttentionPooling(**arguments).build(TOKENS.shape)
