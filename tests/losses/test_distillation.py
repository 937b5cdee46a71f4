"""The distance of a student's scores from a teacher's, against numpy."""

import keras
import numpy as np
import pytest

from keras_nnx.losses import DistillationLoss

RANDOM = np.random.default_rng(0)
TEACHER = RANDOM.standard_normal((5, 4)).astype("float32") * 2
STUDENT = RANDOM.standard_normal((5, 4)).astype("float32") * 2
KINDS = [{"kind": "hard"}, {"kind": "soft"}, {"kind": "soft", "temperature": 3.0}]


def softmax(scores):
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def reference(teacher, student, kind, temperature=1.0):
    """The loss of each example, from logits, in float64."""
    teacher, student = teacher.astype("float64"), student.astype("float64")
    if kind == "hard":
        return -np.log(softmax(student))[np.arange(len(student)), teacher.argmax(-1)]
    wanted, predicted = softmax(teacher / temperature), softmax(student / temperature)
    return temperature**2 * (wanted * np.log(wanted / predicted)).sum(-1)


@pytest.mark.parametrize("arguments", KINDS, ids=str)
def test_the_equation(arguments):
    losses = DistillationLoss(**arguments, reduction=None)(TEACHER, STUDENT)
    np.testing.assert_allclose(losses, reference(TEACHER, STUDENT, **arguments), rtol=1e-5)


@pytest.mark.parametrize("arguments", KINDS, ids=str)
def test_probabilities_give_what_their_logits_give(arguments):
    losses = DistillationLoss(**arguments, from_logits=False, reduction=None)(softmax(TEACHER), softmax(STUDENT))
    np.testing.assert_allclose(losses, reference(TEACHER, STUDENT, **arguments), rtol=1e-4)


@pytest.mark.parametrize(
    ("reduction", "reduce"),
    [
        ("sum_over_batch_size", lambda values, weights: (values * weights).mean()),
        ("sum", lambda values, weights: (values * weights).sum()),
        ("mean_with_sample_weight", lambda values, weights: (values * weights).sum() / weights.sum()),
        (None, lambda values, weights: values * weights),
    ],
)
def test_weights_and_reductions(reduction, reduce):
    weights = np.array([0.0, 1.0, 2.0, 0.5, 1.0], "float32")
    received = DistillationLoss(reduction=reduction)(TEACHER, STUDENT, sample_weight=weights)
    np.testing.assert_allclose(received, reduce(reference(TEACHER, STUDENT, "hard"), weights), rtol=1e-5)


@pytest.mark.parametrize("arguments", KINDS, ids=str)
def test_the_gradient_is_that_of_differences(arguments):
    import tensorflow as tf

    scores = tf.constant(STUDENT)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        loss = DistillationLoss(**arguments, reduction="sum")(TEACHER, scores)
    gradient = tape.gradient(loss, scores).numpy()
    step = 1e-5
    for index in np.ndindex(*STUDENT.shape):
        nudge = np.zeros(STUDENT.shape)
        nudge[index] = step
        ends = [reference(TEACHER, STUDENT + sign * nudge, **arguments).sum() for sign in (1, -1)]
        np.testing.assert_allclose(gradient[index], (ends[0] - ends[1]) / (2 * step), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("arguments", KINDS, ids=str)
def test_float16_stays_finite(arguments, from_logits):
    import tensorflow as tf

    scores = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], "float16")
    teacher, student = (scores * 6e4, -scores * 6e4) if from_logits else (scores, scores[::-1])
    student = tf.constant(student)
    with tf.GradientTape() as tape:
        tape.watch(student)
        loss = DistillationLoss(**arguments, from_logits=from_logits)(teacher, student)
    assert loss.dtype == "float32"
    assert np.isfinite(loss)
    assert float(loss) > 5
    assert np.isfinite(tape.gradient(loss, student)).all()


def test_a_student_learns_what_the_teacher_knows():
    inputs = RANDOM.standard_normal((32, 6)).astype("float32")
    scores = inputs @ RANDOM.standard_normal((6, 4)).astype("float32")
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
    model.compile(keras.optimizers.Adam(0.1), DistillationLoss("soft", temperature=2.0))
    losses = model.fit(inputs, scores, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "medium"}, r"kind='medium'\) is unknown: choose one of 'hard', 'soft'"),
        ({"kind": "soft", "temperature": 0}, r"temperature=0\) needs a number over 0"),
        ({"temperature": 2.0}, r"temperature=2.0\) would be the same at any temperature"),
        ({"reduction": "median"}, "Invalid value for argument `reduction`"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DistillationLoss(**arguments)


@pytest.mark.parametrize("shape", [(5, 3), (4, 4), (5, 1), (4,), (5, 4, 1)])
def test_different_shapes_are_refused(shape):
    message = r"scores of shape \(b classes\), the same for teacher and student, but received \(5, 4\) and "
    with pytest.raises(ValueError, match=message):
        DistillationLoss()(TEACHER, np.zeros(shape, "float32"))
