"""The Fréchet distance, against one-shot numpy and scipy's matrix root."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from keras_nnx.metrics import FrechetDistance

RANDOM = np.random.default_rng(0)


def rows(count, size, rank=None, shift=0.0):
    """Correlated rows, of a covariance of some rank."""
    return RANDOM.standard_normal((count, rank or size)) @ RANDOM.standard_normal((rank or size, size)) + shift


def in_batches(metric, real, generated, *sizes):
    """Feed both sets, cut into batches of these sizes in turns."""
    for update, values in ((metric.update_real, real), (metric.update_generated, generated)):
        start, index = 0, 0
        while start < len(values):
            size = sizes[index % len(sizes)]
            update(values[start : start + size])
            start, index = start + size, index + 1
    return metric


def reference(real, generated):
    covariances = [np.atleast_2d(np.cov(values, rowvar=False)) for values in (real, generated)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    apart = real.mean(axis=0) - generated.mean(axis=0)
    return apart @ apart + np.trace(covariances[0] + covariances[1] - 2 * root)


@pytest.mark.parametrize(("real", "generated", "size"), [(50, 40, 1), (50, 80, 3), (300, 200, 16), (400, 300, 64)])
def test_the_equation(real, generated, size):
    real, generated = rows(real, size), rows(generated, size, shift=0.5)
    received = in_batches(FrechetDistance(), real, generated, 32).result()
    assert received == pytest.approx(reference(real, generated), rel=1e-8)


def test_gaussians_of_one_axis():
    """Known without a matrix: the square of both differences, of means and of standard deviations."""
    real, generated = np.array([[-1.0], [1.0]]), np.array([[1.0], [7.0]])
    expected = 4**2 + (np.sqrt(18) - np.sqrt(2)) ** 2
    assert in_batches(FrechetDistance(), real, generated, 1).result() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("count", "rank"), [(5, 12), (2, 12), (200, 3), (200, 12)])
def test_covariances_of_any_rank(count, rank):
    """Rank-deficient ones are the limit of those with a little more variance in every direction."""
    real, generated = rows(count, 12, rank), rows(count, 12, rank, shift=1.0)
    metric = in_batches(FrechetDistance(), real, generated, 7)
    covariances = [np.cov(values, rowvar=False) for values in (real, generated)]
    values, vectors = np.linalg.eigh(covariances[0])
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    common = np.sqrt(np.linalg.eigvalsh(root @ covariances[1] @ root).clip(0)).sum()
    apart = ((real.mean(axis=0) - generated.mean(axis=0)) ** 2).sum()
    expected = apart + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * common
    assert metric.result() == pytest.approx(expected, rel=1e-5)
    assert metric.has_enough_images == (count > 12)


@pytest.mark.parametrize("shape", [(100, 8), (10, 30), (20, 4, 4, 3)])
def test_the_same_images_have_no_distance(shape):
    images = RANDOM.standard_normal(shape)
    scale = images.reshape(len(images), -1).var(axis=0).sum()
    assert 0 <= in_batches(FrechetDistance(), images, images[::-1], 6).result() < 1e-10 * scale


def test_images_without_variance():
    assert in_batches(FrechetDistance(), np.zeros((3, 4)), np.ones((3, 4)), 3).result() == 4.0


@given(
    counts=st.tuples(st.integers(2, 30), st.integers(2, 30)),
    size=st.integers(1, 6),
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=5),
    offset=st.sampled_from([0.0, 1.0, 1e6]),
)
def test_any_batches_give_the_same(counts, size, sizes, offset):
    """Also where the mean is a million times the deviation."""
    random = np.random.default_rng(counts)
    real, generated = (random.standard_normal((count, size)) + offset for count in counts)
    metric = in_batches(FrechetDistance(), real, generated, *sizes)
    whole = in_batches(FrechetDistance(), real, generated, 100)
    assert metric.result() == pytest.approx(whole.result(), rel=1e-7, abs=1e-7)
    moments = metric._sets["real"]
    np.testing.assert_allclose(moments.mean, real.mean(axis=0), rtol=1e-12, atol=1e-12)
    covariance = np.cov(real, rowvar=False).reshape(size, size)
    np.testing.assert_allclose(moments.covariance, covariance, rtol=1e-8, atol=1e-8)


def test_the_order_of_the_sets_does_not_matter():
    real, generated = rows(60, 5), rows(50, 5)
    there = in_batches(FrechetDistance(), real, generated, 10).result()
    assert in_batches(FrechetDistance(), generated, real, 10).result() == pytest.approx(there, rel=1e-9)


@pytest.mark.parametrize("wanting", ["real", "generated"])
@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images(wanting, count):
    metric = FrechetDistance()
    for name in ("real", "generated"):
        getattr(metric, f"update_{name}")(np.zeros((count if name == wanting else 5, 3)))
    message = rf"needs 2 {wanting} images at least, .* but there were {count}: give more to update_{wanting} first"
    with pytest.raises(ValueError, match=message):
        metric.result()


def test_what_takes_long_is_computed_once_for_the_real_images(monkeypatch):
    calls = []
    eigh = np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda matrix: calls.append(matrix) or eigh(matrix))
    real, first, second = rows(30, 4), rows(30, 4), rows(30, 4, shift=1.0)
    metric = in_batches(FrechetDistance(), real, first, 10)
    assert metric.result() == metric.result()
    assert len(calls) == 2
    metric.reset_generated()
    metric.update_generated(second)
    assert metric.result() == pytest.approx(reference(real, second), rel=1e-8)
    assert len(calls) == 3
    metric.update_real(first)
    assert metric.result() == pytest.approx(reference(np.concatenate([real, first]), second), rel=1e-8)
    metric.set_state(in_batches(FrechetDistance(), first, second, 10).get_state())
    assert metric.result() == pytest.approx(reference(first, second), rel=1e-8)
