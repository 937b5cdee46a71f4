import numpy as np
import pytest

from keras_nnx.export import ParityError
from keras_nnx.export.proof.comparison import TOLERANCE, compare, compare_quantized, signal_to_noise_db
from keras_nnx.export.proof.probes import Probe
from keras_nnx.export.proof.reference import Reference


def reference(values, noise=0.0, name="ordinary_0"):
    return Reference(Probe(name, {}), {"y": np.asarray(values, "float32")}, {"y": noise})


def answer(values):
    return [{"y": np.asarray(values, "float32")}] * 2


def test_equal_answers_pass_by_tolerance():
    parity = compare("onnx", [reference([1.0, 2.0])], [answer([1.0, 2.0])], TOLERANCE)
    assert (parity.passed, parity.bound, parity.max_abs_error) == (True, "tolerance", 0.0)


def test_large_answers_are_compared_by_ratio():
    assert compare("onnx", [reference([1e4])], [answer([1e4 + 0.05])], TOLERANCE).passed
    with pytest.raises(ParityError, match=r"differs from the model by 0.5"):
        compare("onnx", [reference([1e4])], [answer([1e4 + 0.5])], TOLERANCE)


def test_noise_of_the_model_widens_the_bound_and_is_said():
    parity = compare("onnx", [reference([1.0], noise=1e-3)], [answer([1.002])], TOLERANCE)
    assert parity.bound == "noise"
    with pytest.raises(ParityError, match=r"0.004 for the model's own float noise"):
        compare("onnx", [reference([1.0], noise=1e-3)], [answer([1.01])], TOLERANCE)


def test_the_second_of_two_identical_calls_counts():
    calls = [{"y": np.float32([1.0])}, {"y": np.float32([1.25])}]
    with pytest.raises(ParityError, match=r"changes by 0.25 between two identical calls"):
        compare("tflite", [reference([1.0])], [calls], TOLERANCE)


@pytest.mark.parametrize("wrong", [[np.nan], [np.inf], [-np.inf]])
def test_what_is_not_finite_is_wrong_unless_the_model_says_so_too(wrong):
    with pytest.raises(ParityError):
        compare("onnx", [reference([1.0])], [answer(wrong)], TOLERANCE)
    assert compare("onnx", [reference(wrong)], [answer(wrong)], TOLERANCE).passed


def test_shape_and_dtype_have_to_be_the_models():
    with pytest.raises(ParityError, match=r"float32\[2\], but the model gives float32\[1\]"):
        compare("onnx", [reference([1.0])], [answer([1.0, 1.0])], TOLERANCE)
    with pytest.raises(ParityError, match="float64"):
        compare("onnx", [reference([1.0])], [[{"y": np.float64([1.0])}] * 2], TOLERANCE)


def test_signal_to_noise_is_in_decibels():
    assert signal_to_noise_db(np.array([1.0]), np.array([0.9])) == pytest.approx(20.0)
    assert signal_to_noise_db(np.array([1.0]), np.array([1.0])) == 200.0


def test_quantised_answers_pass_by_the_ratio_on_samples_only():
    samples = reference([[0.9, 0.1], [0.2, 0.8]], name="samples_0")
    good = answer([[0.88, 0.12], [0.21, 0.79]])
    far_off = (reference([[5.0, 1.0]]), answer([[1.0, 5.0]]))
    parity = compare_quantized("onnx", "int8", [far_off[0], samples], [far_off[1], good], 10.0)
    assert parity.bound == "sqnr"
    assert parity.top1_agreement == 1.0
    with pytest.raises(ParityError, match=r"under the floor of 60 dB"):
        compare_quantized("onnx", "int8", [samples], [good], 60.0)


def test_quantised_answers_have_to_be_finite_and_repeatable():
    samples = reference([[1.0, 0.0]], name="samples_0")
    with pytest.raises(ParityError, match="not finite"):
        compare_quantized("tflite", "int8", [samples], [answer([[np.nan, 0.0]])], 10.0)
    calls = [{"y": np.float32([[1.0, 0.0]])}, {"y": np.float32([[1.0, 0.1]])}]
    with pytest.raises(ParityError, match="between two identical calls"):
        compare_quantized("tflite", "int8", [samples], [calls], 10.0)
