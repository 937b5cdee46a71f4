"""Pooling of sequences that knows their padding."""

import numpy as np
import pytest

from keras_nnx.layers import SequencePooling

VALUES = np.random.default_rng(0).standard_normal((3, 5, 4)).astype("float32") - 3
MASK = np.array([[True, True, True, False, False], [False, True, False, True, False], [True] * 5])
PICK = {"avg": lambda x: x.mean(0), "max": lambda x: x.max(0), "first": lambda x: x[0], "last": lambda x: x[-1]}


@pytest.mark.parametrize("kind", PICK)
def test_only_what_is_no_padding_counts(kind):
    expected = [PICK[kind](values[mask]) for values, mask in zip(VALUES, MASK, strict=True)]
    np.testing.assert_allclose(SequencePooling(kind)(VALUES, mask=MASK), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(SequencePooling(kind)(VALUES), [PICK[kind](values) for values in VALUES], rtol=1e-5)


@pytest.mark.parametrize("kind", PICK)
def test_nothing_but_padding_gives_zeros(kind):
    assert not np.asarray(SequencePooling(kind)(VALUES, mask=np.zeros_like(MASK))).any()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_long_average_does_not_overflow(dtype):
    values = np.full((1, 4000, 1), 50.0, "float32")
    average = SequencePooling("avg", dtype=dtype)(values, mask=np.ones((1, 4000), bool))
    np.testing.assert_allclose(np.asarray(average, "float32"), 50, rtol=2e-2)


@pytest.mark.parametrize(
    ("kind", "shape", "message"),
    [
        ("sum", (1, 2, 3), r"SequencePooling\(kind='sum'\) is unknown: choose one of 'avg', 'max', 'first', 'last'"),
        ("avg", (2, 3), r"SequencePooling expects inputs of shape \(b t d\), but received \(2, 3\)"),
    ],
)
def test_what_does_not_fit_is_refused(kind, shape, message):
    with pytest.raises(ValueError, match=message):
        SequencePooling(kind)(np.ones(shape, "float32"))
