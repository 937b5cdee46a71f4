"""Formulas that become one ONNX operator, and those that look alike and must not."""

import collections

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from keras import layers, ops

import keras_nnx as nnx
from keras_nnx.export.conversion.onnx import newest_opset


def exported(model, folder, **options):
    report = nnx.export_model(model, folder / "x", formats=("onnx",), **options)
    assert report.proven
    assert not [note for note in report.notes if "operator by operator" in note]
    proto = onnx.load(report.artifacts["onnx"].path)
    return proto, collections.Counter(node.op_type for node in proto.graph.node)


def enlivened(model, seed=0):
    """Give every weight a value of its own, so that none is folded away."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.dtype == "float32" and len(weight.shape) < 3:
            weight.assign(np.asarray(weight) + random.normal(0, 0.1, weight.shape))
    return model


def pre_norm_transformer(depth, width=24, heads=3, tokens=9, activation="gelu"):
    tensor = inputs = keras.Input((tokens, width), name="tokens")
    for _ in range(depth):
        normal = layers.LayerNormalization(epsilon=1e-6)(tensor)
        tensor = layers.Add()([tensor, layers.MultiHeadAttention(heads, width // heads)(normal, normal)])
        normal = layers.LayerNormalization(epsilon=1e-6)(tensor)
        hidden = layers.Dense(2 * width, activation=activation)(normal)
        tensor = layers.Add()([tensor, layers.Dense(width)(hidden)])
    return keras.Model(inputs, tensor, name="transformer")


def test_a_pre_norm_block_has_its_five_operators(tmp_path):
    proto, counts = exported(enlivened(pre_norm_transformer(1)), tmp_path, opset=23)
    assert (counts["LayerNormalization"], counts["Gelu"], counts["Attention"]) == (2, 1, 1)
    assert len(proto.graph.node) <= 25
    assert proto.opset_import[0].version == 23


@pytest.mark.parametrize("tokens", [9, None], ids=["static", "dynamic"])
def test_blocks_do_not_grow(tmp_path, tokens):
    _, counts = exported(enlivened(pre_norm_transformer(2, tokens=tokens)), tmp_path)
    assert counts["Attention"] == 2
    assert sum(counts.values()) <= 2 * 18


@pytest.mark.parametrize("opset", [18, 20, 22, 24, newest_opset()])
def test_every_opset_has_the_operators_that_it_knows(tmp_path, opset):
    proto, counts = exported(enlivened(pre_norm_transformer(1)), tmp_path, opset=opset)
    assert proto.opset_import[0].version == opset
    assert counts["LayerNormalization"] == 2
    assert counts["Gelu"] == (opset >= 20)
    assert counts["Attention"] == (opset >= 23)
    if opset < 23:
        assert counts["Softmax"] == 1


@pytest.mark.parametrize("opset", [17, newest_opset() + 1, "23", True])
def test_an_opset_that_cannot_be_written_is_an_error(tmp_path, opset):
    with pytest.raises(ValueError, match="opset="):
        nnx.export_model(pre_norm_transformer(1), tmp_path / "x", formats=("onnx",), opset=opset)


def test_unasked_the_opset_is_the_oldest_that_will_do(tmp_path):
    convolution = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)])
    assert exported(convolution, tmp_path)[0].opset_import[0].version == 18
    gelu = keras.Sequential([keras.Input((8,)), layers.Dense(2, activation="gelu")])
    assert exported(gelu, tmp_path, overwrite=True)[0].opset_import[0].version == 20


def own_layer(function, shape=(5, 12)):
    class Own(layers.Layer):
        def call(self, inputs):
            return function(inputs)

    inputs = keras.Input(shape, name="inputs")
    return keras.Model(inputs, Own()(inputs))


GAMMA, BETA = np.linspace(0.5, 1.5, 12, dtype="float32"), np.linspace(-1, 1, 12, dtype="float32")


def centred(x):
    return x - ops.mean(x, -1, keepdims=True)


def spread(x, epsilon=1e-5):
    return ops.mean(ops.square(centred(x)), -1, keepdims=True) + epsilon


NORMALIZATIONS = {
    "by rsqrt": lambda x: centred(x) * ops.rsqrt(spread(x)) * GAMMA + BETA,
    "by division": lambda x: GAMMA * (centred(x) / ops.sqrt(spread(x))) + BETA,
    "scale folded in first": lambda x: (
        x * (ops.rsqrt(spread(x)) * GAMMA) + (BETA - ops.mean(x, -1, keepdims=True) * (ops.rsqrt(spread(x)) * GAMMA))
    ),
    "no shift": lambda x: centred(x) / ops.sqrt(spread(x)) * GAMMA,
    "neither": lambda x: centred(x) / ops.sqrt(spread(x)),
    "shift taken off": lambda x: centred(x) / ops.sqrt(spread(x)) - BETA,
    "after a sum": lambda x: centred(x + BETA) / ops.sqrt(spread(x + BETA)),
}


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_a_normalisation_is_known_however_it_is_written(name, tmp_path):
    _, counts = exported(own_layer(NORMALIZATIONS[name]), tmp_path)
    assert counts["LayerNormalization"] == 1
    assert not counts["Sqrt"]


NO_NORMALIZATIONS = {
    "another mean": lambda x: (x - ops.mean(x, 1, keepdims=True)) / ops.sqrt(spread(x)),
    "standard deviation plus epsilon": lambda x: centred(x) / (ops.sqrt(spread(x, 0.0)) + 1e-3),
    "over the middle axis": lambda x: (
        (x - ops.mean(x, 1, keepdims=True))
        / ops.sqrt(ops.mean(ops.square(x - ops.mean(x, 1, keepdims=True)), 1, keepdims=True) + 1e-5)
    ),
    "epsilon for each channel": lambda x: centred(x) / ops.sqrt(spread(x, GAMMA)),
    "scaled by the input": lambda x: centred(x) / ops.sqrt(spread(x)) * x,
}


@pytest.mark.parametrize("name", NO_NORMALIZATIONS)
def test_what_only_looks_like_a_normalisation_is_left(name, tmp_path):
    _, counts = exported(own_layer(NO_NORMALIZATIONS[name]), tmp_path)
    assert not counts["LayerNormalization"] or name == "scaled by the input"


def test_a_shift_for_each_step_stays_outside(tmp_path):
    table = np.random.default_rng(0).standard_normal((5, 12)).astype("float32")
    _, counts = exported(own_layer(lambda x: NORMALIZATIONS["by rsqrt"](x) + table), tmp_path)
    assert counts["LayerNormalization"] == 1
    assert counts["Add"] == 1


def test_root_mean_square_normalisation(tmp_path):
    model = enlivened(keras.Sequential([keras.Input((5, 12)), layers.RMSNormalization()]))
    assert exported(model, tmp_path)[1] == {"RMSNormalization": 1}
    assert not exported(model, tmp_path, opset=22, overwrite=True)[1]["RMSNormalization"]


def test_normalisation_over_several_axes(tmp_path):
    model = enlivened(keras.Sequential([keras.Input((4, 5, 6)), layers.LayerNormalization(axis=(2, 3))]))
    assert exported(model, tmp_path)[1]["LayerNormalization"] == 1


@pytest.mark.parametrize("approximate", [False, True])
def test_gelu_has_its_kind(tmp_path, approximate):
    model = own_layer(lambda x: keras.activations.gelu(x * 3.0 + BETA, approximate=approximate))
    proto, counts = exported(model, tmp_path)
    assert counts["Gelu"] == 1
    (node,) = (node for node in proto.graph.node if node.op_type == "Gelu")
    kinds = [attribute.s for attribute in node.attribute if attribute.name == "approximate"] or [b"none"]
    assert kinds == [b"tanh" if approximate else b"none"]


def test_an_error_function_of_its_own_is_no_gelu(tmp_path):
    _, counts = exported(own_layer(lambda x: x * ops.erf(x)), tmp_path)
    assert counts == {"Erf": 1, "Mul": 1}


def heads_first(x, heads=3):
    return ops.transpose(ops.reshape(x, (-1, 5, heads, 4)), (0, 2, 1, 3))


def attend(query, keys, values, change=lambda scores: scores):
    scores = ops.matmul(query, ops.transpose(keys, (0, 1, 3, 2)))
    weights = ops.softmax(change(scores))
    return ops.matmul(weights, values)


MASK = np.tril(np.ones((5, 5), "bool"))
SMALL = np.float32(-3e38)
ATTENTIONS = {
    "scaled": lambda s: s * 0.3,
    "divided": lambda s: s / 2.0,
    "not scaled": lambda s: s,
    "added mask": lambda s: s * 0.5 + np.where(MASK, 0.0, -1e9).astype("float32"),
    "mask over keys": lambda s: s * 0.5 + np.linspace(-4, 0, 5, dtype="float32"),
    "where": lambda s: ops.where(MASK, s, SMALL),
    "where not": lambda s: ops.where(~MASK, SMALL, s),
}


@pytest.mark.parametrize("name", ATTENTIONS)
def test_an_attention_is_known_however_it_is_written(name, tmp_path):
    def function(x):
        return attend(heads_first(x), heads_first(x * 2.0), heads_first(x + 1.0), ATTENTIONS[name])

    _, counts = exported(own_layer(function), tmp_path)
    assert counts["Attention"] == 1
    assert not counts["Softmax"]


NO_ATTENTIONS = {
    "softmax over queries": lambda s: ops.softmax(s, axis=-2),
    "capped": lambda s: ops.softmax(5.0 * ops.tanh(s / 5.0)),
    "scaled by an array": lambda s: ops.softmax(s * np.linspace(0.1, 1, 5, dtype="float32")),
    "replaced by a mild number": lambda s: ops.softmax(ops.where(MASK, s, -2.0)),
}


@pytest.mark.parametrize("name", NO_ATTENTIONS)
def test_what_only_looks_like_an_attention_is_left_or_right(name, tmp_path):
    def function(x):
        query = heads_first(x)
        return ops.matmul(NO_ATTENTIONS[name](ops.matmul(query, ops.transpose(query, (0, 1, 3, 2)))), query)

    _, counts = exported(own_layer(function), tmp_path)
    assert not counts["Attention"] or name == "capped"


def test_scores_that_are_returned_keep_their_softmax(tmp_path):
    inputs = keras.Input((5, 12), name="inputs")
    outputs = layers.MultiHeadAttention(3, 4)(inputs, inputs, return_attention_scores=True)
    _, counts = exported(enlivened(keras.Model(inputs, list(outputs))), tmp_path)
    assert counts["Softmax"] == 1


@pytest.mark.parametrize("kind", ["causal", "padding", "both", "cross", "value width", "grouped"])
def test_stock_attention_in_all_its_forms(kind, tmp_path):
    inputs = keras.Input((None, 12), name="inputs")
    other = keras.Input((None, 12), name="other")
    mask = keras.Input((None, None), dtype="bool", name="mask")
    layer = layers.GroupQueryAttention(4, 4, 2) if kind == "grouped" else layers.MultiHeadAttention(3, 4)
    if kind == "value width":
        layer = layers.MultiHeadAttention(3, 4, value_dim=6)
    causal = kind in ("causal", "both")
    if kind in ("padding", "both"):
        model = keras.Model([inputs, mask], layer(inputs, inputs, attention_mask=mask, use_causal_mask=causal))
    elif kind == "cross":
        model = keras.Model([inputs, other], layer(inputs, other))
    else:
        model = keras.Model(inputs, layer(inputs, inputs, use_causal_mask=causal))
    _, counts = exported(enlivened(model), tmp_path)
    assert counts["Attention"] == 1


def test_a_mask_for_all_queries_is_made_once(tmp_path):
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    tensor = layers.Embedding(7, 12, mask_zero=True)(tokens)
    for _ in range(2):
        tensor = layers.MultiHeadAttention(3, 4)(tensor, tensor)
    _, counts = exported(enlivened(keras.Model(tokens, tensor)), tmp_path)
    assert counts["Attention"] == 2


def test_reshapes_of_unknown_sizes_need_no_arithmetic(tmp_path):
    inputs = keras.Input((None, 12), name="inputs")
    tensor = layers.EinsumDense("btd,dnh->btnh", (None, 3, 5), bias_axes="nh")(inputs)
    _, counts = exported(enlivened(keras.Model(inputs, tensor)), tmp_path)
    assert counts == {"MatMul": 1, "Add": 1, "Reshape": 1}


def test_a_file_that_is_not_right_when_fused_is_written_the_long_way(tmp_path, monkeypatch):
    from keras_nnx.export.conversion import onnx as conversion

    def spoil(proto, opset):
        from onnx import numpy_helper

        for value in proto.graph.initializer:
            array = numpy_helper.to_array(value)
            if array.dtype == np.float32:
                value.CopyFrom(numpy_helper.from_array(array + np.float32(0.5), value.name))

    monkeypatch.setattr(conversion, "fuse", spoil)
    report = nnx.export_model(enlivened(pre_norm_transformer(1)), tmp_path / "x", formats=("onnx",))
    assert report.proven
    assert any("operator by operator" in note for note in report.notes)


def test_padding_before_a_maximum_is_kept_from_the_runtime(tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.ZeroPadding2D(1), layers.MaxPooling2D(3, 2)])
    report = nnx.export_model(model, tmp_path / "x", formats=("onnx",))
    pictures = -1.0 - np.random.default_rng(0).random((2, 8, 8, 3), "float32")
    session = onnxruntime.InferenceSession(str(report.artifacts["onnx"].path))
    (answer,) = session.run(None, {report.signature.inputs[0].name: pictures})
    np.testing.assert_array_equal(answer, model.predict(pictures, verbose=0))


def test_a_file_says_what_it_is(tmp_path):
    model = keras.Sequential([keras.Input((4,), name="measurements"), layers.Dense(2)], name="named")
    proto, _ = exported(model, tmp_path, labels=["no", "yes"], metadata={"run": 7})
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    assert properties["labels"] == "no\nyes"
    assert '"run": 7' in properties["metadata"]
    assert '"measurements"' in properties["signature"]
    assert '"keras"' in properties["versions"]


def test_what_is_not_chosen_may_be_infinite(tmp_path):
    _, counts = exported(own_layer(lambda x: ops.where(x > 0, ops.log(x), ops.sqrt(-x))), tmp_path)
    assert counts["Where"] == 1
