"""Label densities and weights against loops, partners of mixup against their probabilities."""

import jax
import numpy as np
import pytest

from jaxsim import data

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(3, 20, 60).astype(float)
AT = np.array([0.0, 1, 2, 3, 10, 19, 20, 21, 22, 50])


def density(at, labels, width, size, sigma, count=lambda c: c):
    """Counts of the bins around a label, each times the kernel."""
    bins = [int(np.floor(y / width + 0.5)) for y in labels]
    middle, total = int(np.floor(at / width + 0.5)), 0.0
    for offset in range(-(size // 2), size // 2 + 1):
        if min(bins) <= middle + offset <= max(bins):
            kernel = np.exp(-(offset**2) / (2 * sigma**2))
            total += kernel * count(bins.count(middle + offset))
    return total


@pytest.mark.parametrize(("width", "size", "sigma"), [(1.0, 1, 2.0), (1.0, 5, 2.0), (2.5, 3, 0.7)])
def test_density_counts_the_labels_of_neighboring_bins(width, size, sigma):
    expected = [density(at, LABELS, width, size, sigma) for at in AT]
    result = data.label_density(AT, LABELS, bin_width=width, kernel_size=size, sigma=sigma)
    np.testing.assert_allclose(result, expected, rtol=1e-12)


def test_bins_are_centered_so_that_binned_labels_stay_in_theirs():
    ticks = np.arange(30) * 0.05
    np.testing.assert_array_equal(data.label_density(ticks, ticks, bin_width=0.05), 1)
    assert data.label_density([0.0], []) == 0


FORMS = {
    "square root": ({}, np.sqrt, 5),
    "inverse": ({"power": 1, "clip": (5, 1000)}, lambda c: float(np.clip(c, 5, 1000)), 5),
    "unsmoothed": ({"kernel_size": 1}, np.sqrt, 1),
}


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_one_over_the_smoothed_counts(form):
    settings, count, size = FORMS[form]
    expected = np.array([1 / density(y, LABELS, 1, size, 2.0, count) for y in LABELS])
    result = data.label_density_weights(LABELS, **settings)
    np.testing.assert_allclose(result, expected / expected.mean(), rtol=1e-12)
    np.testing.assert_allclose(result.mean(), 1)


def test_weights_of_evenly_spread_labels_are_one_inside():
    result = data.label_density_weights(np.arange(20.0))
    np.testing.assert_allclose(result[2:-2], result[10])
    assert result[0] > result[10], "beyond the last label there is nothing"
    np.testing.assert_allclose(data.label_density_weights(np.ones(4)), 1)


def test_partners_are_drawn_by_the_distance_of_labels():
    labels, candidates, width = np.array([1.0, 4.0]), np.array([0.0, 1, 3, 4, 9]), 1.5
    where = np.array([True, True, True, False, True])
    expected = np.exp(-((labels[:, None] - candidates) ** 2) / (2 * width**2)) * where
    expected /= expected.sum(axis=1, keepdims=True)
    spoiled = np.where(where, candidates, np.nan)

    @jax.jit
    def drawn(keys, width):
        return jax.vmap(
            lambda key: data.c_mixup_partners(key, labels, spoiled, bandwidth=width, where=where)
        )(keys)

    partners = np.asarray(drawn(jax.random.split(jax.random.key(0), 20_000), width))
    for column, probabilities in zip(partners.T, expected, strict=True):
        shares = np.bincount(column, minlength=5) / len(column)
        np.testing.assert_allclose(shares, probabilities, atol=4 * np.sqrt(0.25 / 20_000))
    even = np.asarray(drawn(jax.random.split(jax.random.key(1), 4000), np.inf))
    np.testing.assert_allclose(np.bincount(even[:, 0], minlength=5) / 4000, where / 4, atol=0.03)


def test_partners_come_from_the_labels_themselves():
    partners = data.c_mixup_partners(jax.random.key(0), LABELS, bandwidth=1e-3)
    np.testing.assert_array_equal(LABELS[partners], LABELS)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: data.label_density([np.nan], LABELS), "labels must be finite: row 0 is not"),
        (lambda: data.label_density(LABELS, LABELS, bin_width=0), "bin_width must be > 0, got 0"),
        (
            lambda: data.label_density([1], [0, 1e9]),
            "bin_width must be wider for training: 1.0 makes",
        ),
        (lambda: data.label_density_weights([]), "labels must not be empty, got 0"),
        (
            lambda: data.label_density_weights(LABELS, kernel_size=4),
            "kernel_size must be odd, to have a center, got 4",
        ),
        (
            lambda: data.label_density_weights(LABELS, clip=(5, 1)),
            r"clip must be two counts above 0, the smaller first, got \(5, 1\)",
        ),
        (
            lambda: data.c_mixup_partners(jax.random.key(0), LABELS, bandwidth=0.0),
            "bandwidth must be > 0, got 0.0",
        ),
        (
            lambda: data.c_mixup_partners(jax.random.key(0), LABELS, [], bandwidth=1.0),
            "candidates must not be empty, got 0",
        ),
    ],
)
def test_bad_arguments_are_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()
