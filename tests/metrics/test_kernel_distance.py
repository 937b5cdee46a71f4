"""The kernel distance, against a plain double loop."""

import numpy as np
import pytest

from keras_nnx.metrics import KernelDistance

RANDOM = np.random.default_rng(0)


def reference(real, generated, degree):
    """The unbiased squared discrepancy, pair by pair."""

    def kernel(row, other):
        return (np.dot(row, other) / len(row) + 1) ** degree

    def inside(rows):
        pairs = [(i, j) for i in range(len(rows)) for j in range(len(rows)) if i != j]
        return sum(kernel(rows[i], rows[j]) for i, j in pairs) / len(pairs)

    across = sum(kernel(row, other) for row in real for other in generated) / (len(real) * len(generated))
    return inside(real) + inside(generated) - 2 * across


def fed(metric, real, generated, batch=1000):
    for update, rows in ((metric.update_real, real), (metric.update_generated, generated)):
        for start in range(0, len(rows), batch):
            update(rows[start : start + batch])
    return metric


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [1, 4])
def test_the_equation(degree, size):
    real, generated = RANDOM.standard_normal((12, size)), RANDOM.standard_normal((12, size)) + 0.5
    metric = fed(KernelDistance(degree=degree, subsets=2, subset_size=12), real, generated, 5)
    assert metric.result() == pytest.approx(reference(real, generated, degree), rel=1e-9)
    assert metric.deviation == pytest.approx(0, abs=1e-9)


def test_the_mean_and_the_deviation_over_subsets():
    """With subsets of two and few images, every pair of subsets comes up about equally often."""
    real, generated = RANDOM.standard_normal((4, 3)), RANDOM.standard_normal((3, 3))
    pairs = [[rows[[i, j]] for i in range(len(rows)) for j in range(i)] for rows in (real, generated)]
    values = np.array([reference(one, other, 3) for one in pairs[0] for other in pairs[1]])
    metric = fed(KernelDistance(subsets=4000, subset_size=2), real, generated)
    assert metric.result() == pytest.approx(values.mean(), abs=5 * values.std() / np.sqrt(4000))
    assert metric.deviation == pytest.approx(values.std(), rel=0.1)
    assert values.mean() == pytest.approx(reference(real, generated, 3))


def test_it_is_unbiased():
    """Over many small sets of one origin, the mean is nearer to 0 than five of its own errors."""
    values = [
        fed(KernelDistance(subsets=1, subset_size=5), *RANDOM.standard_normal((2, 5, 4))).result() for _ in range(400)
    ]
    assert abs(np.mean(values)) < 5 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0


def test_it_tells_sets_of_two_origins_apart():
    rows = RANDOM.standard_normal((300, 6))
    apart = fed(KernelDistance(subsets=10, subset_size=100), rows, RANDOM.standard_normal((300, 6)) + 1)
    alike = fed(KernelDistance(subsets=10, subset_size=100), rows, RANDOM.standard_normal((300, 6)))
    assert apart.result() > 10 * abs(alike.result())


def test_the_seed_decides_and_batches_do_not():
    real, generated = RANDOM.standard_normal((60, 3)), RANDOM.standard_normal((50, 3))
    arguments = {"subsets": 5, "subset_size": 10, "max_samples": 20}
    first = fed(KernelDistance(**arguments, seed=4), real, generated, 7)
    again = fed(KernelDistance(**arguments, seed=4), real, generated, 1)
    other = fed(KernelDistance(**arguments, seed=5), real, generated, 7)
    assert (first.result(), first.deviation) == (again.result(), again.deviation)
    assert first.result() == first.result()
    assert first.result() != other.result()
    assert len(first._sets["real"].samples) == 20
    assert (first.real_count, first.generated_count) == (60, 50)


def test_too_few_images():
    metric = fed(KernelDistance(subset_size=8), np.zeros((8, 2)), np.zeros((7, 2)))
    message = r"needs 8 generated images at least, as many as a subset has \(subset_size\), but there were 7"
    with pytest.raises(ValueError, match=message):
        metric.result()
    with pytest.raises(ValueError, match=message):
        metric.deviation  # noqa: B018


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"degree": 0}, r"KernelDistance\(degree=0\) needs an integer of at least 1"),
        ({"subsets": 0}, r"subsets=0\) needs an integer of at least 1"),
        ({"subset_size": 2.0}, r"subset_size=2.0\) needs an integer of at least 1"),
        ({"max_samples": None}, r"max_samples=None\) needs an integer of at least 1"),
        ({"seed": -1}, r"seed=-1\) needs an integer of at least 0"),
        ({"subset_size": 1}, r"subset_size=1, max_samples=10000\) needs subsets of at least 2 images"),
        ({"subset_size": 9, "max_samples": 8}, r"max_samples=8\) needs subsets of .* at most as many as are kept"),
        ({"extractor": "inception"}, r"extractor='inception'\) needs a keras.Model, a function"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        KernelDistance(**arguments)
