"""Files that a converter could have written wrongly, made by hand."""

import flatbuffers
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema

from keras_nnx.export import SignatureError, UnsupportedOperatorError
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


def test_operators_of_a_saved_model_are_those_inside_its_signature(exported):
    operators = inspect_saved_model(exported.artifacts["saved_model"].path)
    assert operators["Conv2D"] == 1
    assert "StatefulPartitionedCall" not in operators
