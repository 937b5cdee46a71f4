"""Files that a converter could have written wrongly, made by hand."""

import shutil

import flatbuffers
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

import keras_nnx as nnx
from keras_nnx.export import SignatureError, UnsupportedOperatorError
from keras_nnx.export.conversion.tflite_interface import declare_output_shapes
from keras_nnx.export.inspection import inspect_onnx, inspect_saved_model, inspect_tflite
from keras_nnx.export.signature import Signature, TensorSignature


def changed_onnx(exported, path, change):
    proto = onnx.load(exported.artifacts["onnx"].path)
    change(proto)
    path.write_bytes(proto.SerializeToString())
    return path


def test_a_private_domain_in_onnx(exported, tmp_path):
    def change(proto):
        proto.graph.node[0].domain = "com.example"
        proto.opset_import.add(domain="com.example", version=1)

    with pytest.raises(UnsupportedOperatorError, match=r"com\.example"):
        inspect_onnx(changed_onnx(exported, tmp_path / "x.onnx", change), exported.signature)


def test_other_names_in_onnx(exported, tmp_path):
    def change(proto):
        proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"

    with pytest.raises(SignatureError, match="'n'"):
        inspect_onnx(changed_onnx(exported, tmp_path / "x.onnx", change), exported.signature)


@pytest.mark.parametrize("name", ["FlexErf", "SomethingElse"])
def test_a_custom_operator_in_tflite(exported, tmp_path, name):
    content = exported.artifacts["tflite"].path.read_bytes()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    code = model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = name
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    (tmp_path / "x.tflite").write_bytes(bytes(builder.Output()))
    with pytest.raises(UnsupportedOperatorError, match=name):
        inspect_tflite(tmp_path / "x.tflite", exported.signature)


def test_another_signature_in_tflite(exported):
    (image,) = exported.signature.inputs
    other = Signature((TensorSignature("picture", image.shape, image.dtype),), exported.signature.outputs)
    with pytest.raises(SignatureError, match="picture"):
        inspect_tflite(exported.artifacts["tflite"].path, other)


def declared(path):
    runner = Interpreter(model_path=str(path)).get_signature_runner("serving_default")
    return {name: list(detail["shape_signature"]) for name, detail in runner.get_output_details().items()}


def test_outputs_of_another_shape_in_tflite(exported, tmp_path):
    (scores,) = exported.signature.outputs
    path = shutil.copy(exported.artifacts["tflite"].path, tmp_path / "x.tflite")
    for shape in ((1, 3), ("batch", "classes"), ("batch", 3)):
        other = Signature(exported.signature.inputs, (TensorSignature(scores.name, shape, scores.dtype),))
        with pytest.raises(SignatureError, match="scores"):
            inspect_tflite(path, other)
        declare_output_shapes(path, other)
        inspect_tflite(path, other)
    assert declared(path) == {"scores": [-1, 3]}
    images = np.random.default_rng(0).uniform(60, 140, (2, 8, 8, 1)).astype("float32")
    answers = [
        Interpreter(model_path=str(file)).get_signature_runner("serving_default")(image=images)["scores"]
        for file in (path, exported.artifacts["tflite"].path)
    ]
    np.testing.assert_array_equal(*answers)


def test_int8_in_tflite_declares_any_batch(classifier, pictures, tmp_path):
    report = nnx.export_model(
        classifier, tmp_path / "int8", formats=("tflite",), precision="int8", calibration=pictures
    )
    assert declared(report.artifacts["tflite"].path) == {"scores": [-1, 3]}


def test_operators_of_a_saved_model_are_those_inside_its_signature(exported):
    operators = inspect_saved_model(exported.artifacts["saved_model"].path)
    assert operators["Conv2D"] == 1
    assert "StatefulPartitionedCall" not in operators
