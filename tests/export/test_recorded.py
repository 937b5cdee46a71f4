"""Models that declare no inputs, and what they remember of them."""

import keras
import numpy as np
import pytest

import keras_nnx as nnx


@keras.saving.register_keras_serializable(package="tests.recorded")
class Plain(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(2)

    def build(self, input_shape):
        self.dense.build(input_shape)

    def call(self, inputs):
        return self.dense(inputs)


class Tagger(keras.Model):
    def __init__(self):
        super().__init__()
        self.embed = keras.layers.Embedding(9, 4, mask_zero=True)
        self.pool = keras.layers.GlobalAveragePooling1D()

    def call(self, inputs):
        return self.pool(self.embed(inputs["ids"])) * inputs["weights"][0]


class Lookup(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def call(self, indices):
        return self.dense(keras.ops.take(keras.ops.eye(5), indices, axis=0))


class Mixed(Lookup):
    def call(self, inputs):
        return self.dense(inputs["x"]) + super().call(inputs["k"])


class Rounded(keras.Model):
    def call(self, inputs):
        return keras.ops.where(inputs == -1.5, 0, keras.ops.cast(inputs, "int32"))


class Difference(keras.Model):
    def __init__(self):
        super().__init__()
        self.left = keras.layers.Dense(2)
        self.right = keras.layers.Dense(2)

    def build(self, former_shape, latter_shape):
        self.left.build(former_shape)
        self.right.build(latter_shape)

    def call(self, former, latter):
        return self.left(former) - self.right(latter)


class PairsOnly(keras.Model):
    def call(self, inputs):
        if inputs.shape[0] is None:
            raise ValueError("How many?")
        return inputs * keras.ops.arange(inputs.shape[0], dtype="float32")[:, None]


def signature_of(model, folder, formats=("onnx",)):
    report = nnx.export_model(model, folder / "export", formats=formats)
    assert report.proven
    return [(spec.name, spec.shape, spec.dtype) for spec in report.signature.inputs]


@pytest.mark.parametrize("how", ["called", "trained", "built", "loaded"])
def test_a_subclassed_model_knows_what_it_was_built_for_or_called_on(how, tmp_path):
    model = Plain()
    data = np.ones((20, 4), "float32")
    if how == "built":
        model.build((None, 4))
    elif how == "trained":
        model.compile("sgd", "mse")
        model.fit(data, np.ones((20, 2), "float32"), batch_size=8, verbose=0)
    else:
        model(data)
    if how == "loaded":
        model.save(tmp_path / "model.keras")
        model = keras.saving.load_model(tmp_path / "model.keras")
    assert signature_of(model, tmp_path) == [("input", ("batch", 4), "float32")]


def test_nested_inputs_and_integers_are_found(tmp_path):
    model = Tagger()
    model({"ids": np.ones((2, 5), "int32"), "weights": [np.ones((2, 4), "float32")]})
    assert signature_of(model, tmp_path) == [
        ("ids", ("batch", 5), "int32"),
        ("weights", ("batch", 4), "float32"),
    ]


def test_a_model_that_works_on_integers_alone(tmp_path):
    model = Lookup()
    model(np.ones((2, 5), "int32"))
    assert signature_of(model, tmp_path) == [("input", ("batch", 5), "int32")]


def test_integers_of_one_input_leave_the_others_as_they_are(tmp_path):
    model = Mixed()
    model({"x": np.ones((2, 5), "float32"), "k": np.ones((2,), "int32")})
    assert signature_of(model, tmp_path) == [("k", ("batch",), "int32"), ("x", ("batch", 5), "float32")]


def test_what_is_compared_with_a_fraction_is_no_integer(tmp_path):
    model = Rounded()
    model(np.ones((2, 5), "float32"))
    assert signature_of(model, tmp_path) == [("input", ("batch", 5), "float32")]


def test_several_arguments_of_call(tmp_path):
    model = Difference()
    model(np.ones((2, 5), "float32"), np.ones((2, 3), "float32"))
    assert signature_of(model, tmp_path) == [
        ("former", ("batch", 5), "float32"),
        ("latter", ("batch", 3), "float32"),
    ]


def test_a_model_that_needs_its_batch_size_keeps_it(tmp_path):
    model = PairsOnly()
    model(np.ones((2, 3), "float32"))
    assert signature_of(model, tmp_path) == [("input", (2, 3), "float32")]


def test_a_sequential_model_called_on_data_takes_any_batch(tmp_path):
    model = keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(2)])
    model(np.ones((7, 4), "float32"))
    assert signature_of(model, tmp_path) == [("input", ("batch", 4), "float32")]


def test_a_sequential_model_keeps_the_batch_size_that_it_declares(tmp_path):
    model = keras.Sequential([keras.Input(batch_shape=(7, 4), name="image"), keras.layers.Dense(2)])
    assert signature_of(model, tmp_path) == [("image", (7, 4), "float32")]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_no_dtype_of_inputs_that_nobody_declared(policy, tmp_path):
    data = np.ones((2, 4), "float32")
    inner = keras.Sequential([keras.layers.Dense(3, activation="gelu", dtype=policy) for _ in range(2)])
    model = keras.Sequential([keras.layers.Dense(4, dtype=policy), inner, keras.layers.Dense(2, dtype="float32")])
    model(data)
    before = model.layers[1](data).dtype, model(data).numpy()
    assert signature_of(model, tmp_path, ("saved_model", "onnx", "tflite")) == [("input", ("batch", 4), "float32")]
    assert (model.layers[1](data).dtype, model(data).numpy().tolist()) == (before[0], before[1].tolist())


def test_declared_half_precision_is_kept(tmp_path):
    inputs = keras.Input((4,), dtype="float16", name="small")
    model = keras.Model(inputs, keras.layers.Dense(2, dtype="float32")(inputs))
    assert signature_of(model, tmp_path, ("onnx", "tflite")) == [("small", ("batch", 4), "float16")]


class Choosing(keras.Model):
    """Chooses by values in Python, which keeps Keras from building it by a symbolic call."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(4)

    def call(self, inputs):
        outputs = self.dense(inputs)
        if keras.ops.sum(outputs) > 0:
            return outputs * 2
        return outputs


@pytest.mark.filterwarnings("ignore:.build... was called on layer")
def test_layers_that_a_build_left_out_are_built(tmp_path):
    model = Choosing()
    model.build((None, 4))
    assert not model.dense.built
    assert nnx.export_model(model, tmp_path / "x", formats=("saved_model", "onnx")).proven


def test_a_call_that_keras_did_not_record_says_so(tmp_path):
    model = Choosing()
    model(np.ones((2, 4), "float32"))
    with pytest.raises(nnx.export.SignatureError, match="Keras did not record what it was called on"):
        nnx.export_model(model, tmp_path / "x")
    report = nnx.export_model(model, tmp_path / "x", formats=("onnx",), input_signature=keras.Input((4,)))
    assert report.proven
