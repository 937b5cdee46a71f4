"""Padding changes nothing, and masks come out as documented."""

import inspect

import keras
import numpy as np
import pytest

from tests.contract.cases import BATCH, MASKED


def call(layer, inputs, mask):
    """Call `layer` on masked inputs, as Keras hands them on, and return the values and the mask."""
    tensors = [keras.ops.convert_to_tensor(value) for value in inputs]
    for tensor in tensors:
        tensor._keras_mask = None if mask is None else keras.ops.convert_to_tensor(mask)
    outputs = layer(*tensors)
    return np.asarray(outputs), getattr(outputs, "_keras_mask", None)


def padding_mask(length):
    """A mask of another length for each example."""
    return np.arange(length)[None] < np.array([[length], [max(1, length // 2)]])


def takes_mask(layer):
    return "mask" in inspect.signature(layer.call).parameters


def test_supports_masking_is_what_the_case_says(case):
    assert case.make().supports_masking == (case.layer in {other.layer for other in MASKED})


@pytest.mark.parametrize("case", MASKED, ids=str)
def test_padding_changes_nothing(case):
    layer, inputs = case.make_built(), case.inputs()
    mask = padding_mask(inputs[0].shape[1])
    assert mask.shape[0] == BATCH
    others = [np.where(mask[..., None], value, 100 * np.flip(value)) for value in inputs]
    first, first_mask = call(layer, inputs, mask)
    second, _ = call(layer, others, mask)
    valid = case.mask(mask)
    if valid is None:
        assert first_mask is None
        np.testing.assert_allclose(second, first, rtol=1e-5, atol=1e-5)
        return
    np.testing.assert_array_equal(first_mask, valid)
    np.testing.assert_allclose(second[valid], first[valid], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", MASKED, ids=str)
def test_a_mask_without_padding_is_no_mask(case):
    layer, inputs = case.make_built(), case.inputs()
    plain, no_mask = call(layer, inputs, None)
    masked, _ = call(layer, inputs, np.ones(inputs[0].shape[:2], bool))
    assert no_mask is None
    np.testing.assert_allclose(masked, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", [case for case in MASKED if takes_mask(case.layer)], ids=str)
def test_a_mask_given_by_hand_is_the_attached_one(case):
    layer, inputs = case.make_built(), case.inputs()
    mask = padding_mask(inputs[0].shape[1])
    attached, expected_mask = call(layer, inputs, mask)
    _, *others = inspect.signature(layer.call).parameters
    by_hand = layer(*inputs, mask=mask, **{f"{name}_mask": mask for name in others[: len(inputs) - 1]})
    valid = slice(None) if expected_mask is None else np.asarray(expected_mask)
    np.testing.assert_array_equal(getattr(by_hand, "_keras_mask", None), expected_mask)
    np.testing.assert_allclose(np.asarray(by_hand)[valid], attached[valid], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", MASKED, ids=str)
def test_masks_pass_through_a_model(case):
    layer = case.make_built()
    inputs = case.inputs()
    mask = padding_mask(inputs[0].shape[1])
    zeroed = [value * mask[..., None] for value in inputs]
    outputs = case.model(layer, masked=True)(zeroed, training=False)
    expected, _ = call(layer, zeroed, mask)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)
