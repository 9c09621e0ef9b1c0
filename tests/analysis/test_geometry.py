"""Figures of embeddings on the sphere, against loops; split over devices they are the whole batch's."""

import functools

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from jaxsim import analysis

ROWS = 16
X = np.random.default_rng(0).normal(size=(ROWS, 5))
Y = X + 0.3 * np.random.default_rng(1).normal(size=X.shape)
LABELS = np.array([3, 3, 3, 3, 3, 7, 7, 7, 0, 0, 9, 9, 9, 1, 2, 2])
UNEVEN = np.array([1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1], bool)


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def uniformity(x, labels, t=2.0):
    u = unit(x)
    values = [
        np.exp(-t * np.sum((a - b) ** 2))
        for i, a in enumerate(u)
        for j, b in enumerate(u)
        if i != j
    ]
    return -np.log(np.mean(values))


def alignment(x, labels):
    return np.mean(
        [np.linalg.norm(a - b) ** 2 for a, b in zip(unit(x), unit(x[:, ::-1]), strict=True)]
    )


def pairs(x, labels):
    u = unit(x)
    return {
        (i, j): u[i] @ u[j]
        for i in range(len(u))
        for j in range(len(u))
        if i != j and labels[i] == labels[j]
    }


def tolerance(x, labels):
    return np.mean(list(pairs(x, labels).values()))


def tolerance_over_all_pairs(x, labels):
    return sum(pairs(x, labels).values()) / (len(x) * (len(x) - 1))


def tolerance_of_classes(x, labels):
    result = pairs(x, labels)
    classes = [[v for (i, _), v in result.items() if labels[i] == c] for c in np.unique(labels)]
    return np.mean([np.mean(values) for values in classes if values])


def effective_rank(x, labels):
    shares = np.linalg.svd(x, compute_uv=False)
    shares = shares / shares.sum()
    return np.exp(-np.sum(shares * np.log(shares)))


def covariance_spectrum(x, labels):
    return np.linalg.eigvalsh(np.cov(x.T, ddof=0))[::-1]


def mean_cosine(x, labels):
    return np.mean(list(pairs(x, 0 * np.asarray(labels)).values()))


FIGURES = {
    "uniformity": (lambda x, labels, **more: analysis.uniformity(x, **more), uniformity),
    "uniformity, t 50": (
        lambda x, labels, **more: analysis.uniformity(x, t=50.0, **more),
        functools.partial(uniformity, t=50.0),
    ),
    "alignment": (lambda x, labels, **more: analysis.alignment(x, x[:, ::-1], **more), alignment),
    "tolerance": (analysis.tolerance, tolerance),
    "tolerance over all pairs": (analysis.tolerance_over_all_pairs, tolerance_over_all_pairs),
    "tolerance of classes": (analysis.tolerance_of_classes, tolerance_of_classes),
    "mean cosine": (lambda x, labels, **m: analysis.mean_cosine(x, **m), mean_cosine),
    "effective rank": (lambda x, labels, **m: analysis.effective_rank(x, **m), effective_rank),
    "covariance spectrum": (
        lambda x, labels, **more: analysis.covariance_spectrum(x, **more),
        covariance_spectrum,
    ),
}


@functools.cache
def jitted(name):
    return jax.jit(FIGURES[name][0])


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_their_equations_whole_and_masked(name, float64):
    reference = FIGURES[name][1]
    whole = jitted(name)(X, LABELS, where=np.ones(ROWS, bool))
    np.testing.assert_allclose(whole, reference(X, LABELS), rtol=1e-10)
    masked = jitted(name)(np.where(UNEVEN[:, None], X, np.nan), LABELS, where=UNEVEN)
    np.testing.assert_allclose(masked, reference(X[UNEVEN], LABELS[UNEVEN]), rtol=1e-10)


@pytest.mark.parametrize("name", FIGURES)
def test_a_nan_in_a_row_that_counts_makes_the_figure_nan(name):
    spoiled = X.copy()
    spoiled[4, 2] = np.nan
    assert np.isnan(jitted(name)(spoiled, LABELS, where=np.ones(ROWS, bool))).any()
    assert np.isfinite(jitted(name)(spoiled, LABELS, where=np.arange(ROWS) != 4)).all()


@pytest.mark.parametrize("name", FIGURES)
def test_eight_devices_have_the_figure_of_the_whole_batch(name, float64):
    figure, reference = FIGURES[name]
    mesh = jax.make_mesh((8,), ("devices",), axis_types=(AxisType.Auto,))
    split = PartitionSpec("devices")
    on_devices = jax.shard_map(
        lambda x, labels, where: figure(x, labels, where=where, axis_name="devices")[None],
        mesh=mesh,
        in_specs=(split, split, split),
        out_specs=split,
    )
    expected = reference(X[UNEVEN], LABELS[UNEVEN])
    for value in np.asarray(jax.jit(on_devices)(X, LABELS, UNEVEN)):
        np.testing.assert_allclose(value, expected, rtol=1e-10)


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_and_one_point_are_finite(name, float64):
    figure, everything = jitted(name), np.ones(ROWS, bool)
    assert np.isfinite(figure(np.ones_like(X), LABELS, where=everything)).all()
    assert np.isfinite(figure(0 * X, LABELS, where=everything)).all()
    assert not np.any(figure(X, LABELS, where=~everything))


def test_uniformity_can_be_trained_in_blocks(float64):
    whole, blocked = (
        jax.jit(jax.value_and_grad(functools.partial(analysis.uniformity, block=block)))
        for block in (ROWS, 3)
    )
    for x in (X, np.ones_like(X), 0 * X):
        value, gradient = whole(x)
        assert np.isfinite(gradient).all()
        again = blocked(x)
        np.testing.assert_allclose(again[0], value, rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(again[1], gradient, rtol=1e-11, atol=1e-14)
    step = 1e-6 * np.eye(X.size)[7].reshape(X.shape)
    slope = (uniformity(X + step, None) - uniformity(X - step, None)) / 2e-6
    np.testing.assert_allclose(np.ravel(whole(X)[1])[7], slope, rtol=1e-6)


def test_many_even_points_come_to_the_ceiling():
    points = np.random.default_rng(0).normal(size=(4000, 8))
    np.testing.assert_allclose(
        jax.jit(analysis.uniformity)(points), analysis.uniformity_ceiling(8), atol=0.01
    )
    # On the circle the potential is a Bessel function, on a pair of points a cosh.
    from scipy.special import ive

    np.testing.assert_allclose(analysis.uniformity_ceiling(2), -np.log(ive(0, 4.0)), rtol=1e-12)
    np.testing.assert_allclose(
        analysis.uniformity_ceiling(1, t=3.0), 6 - np.log(np.cosh(6.0)), rtol=1e-12
    )


def test_rank_one_has_rank_one_and_noise_has_all():
    line = np.outer(np.arange(1, 9), np.arange(1, 5)).astype(np.float32)
    np.testing.assert_allclose(analysis.effective_rank(line), 1, atol=1e-4)
    np.testing.assert_allclose(analysis.effective_rank(np.eye(6)), 6, rtol=1e-6)


def test_isotropy_is_the_three_figures():
    found = jax.jit(analysis.isotropy)(X, where=UNEVEN)
    names = {"mean_cosine": mean_cosine, "uniformity": uniformity, "effective_rank": effective_rank}
    for name, reference in names.items():
        expected = reference(X[UNEVEN], LABELS[UNEVEN])
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-4)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"labels must be \[16\], one per row of embeddings"):
        analysis.tolerance(X, LABELS[:3])
    with pytest.raises(ValueError, match=r"y must be \[16, 5\], as x, got shape \(16, 4\)"):
        analysis.alignment(X, Y[:, :4])
    with pytest.raises(ValueError, match=r"t must be > 0, got 0"):
        analysis.uniformity(X, t=0)
    with pytest.raises(ValueError, match="dim must be a whole number"):
        analysis.uniformity_ceiling(0)
    with pytest.raises(ValueError, match="t must be finite, got inf"):
        analysis.uniformity_ceiling(8, t=np.inf)
    with pytest.raises(ValueError, match="labels must fit 32 bits, got"):
        analysis.tolerance(X, LABELS + 2**32)
    with pytest.raises(ValueError, match="labels must be integers, got float"):
        analysis.tolerance_of_classes(X, LABELS * 0.5)
    with pytest.raises(
        ValueError, match=r"x must be \[any, any\], one row per example, got shape \(5,\)"
    ):
        analysis.alignment(X[0], Y[0])
