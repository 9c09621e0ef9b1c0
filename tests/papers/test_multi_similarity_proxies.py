"""The checks of the pair-based family on softmaxes, proxies, histograms and average precision."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import losses
from jaxsim.losses.labels._fast_ap import soft_counts
from jaxsim.numerics import unit

ANGLES = np.deg2rad([0, 40, 60, 120])
X = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1) * np.array([[1], [2], [0.5], [3]])
LABELS = np.array([0, 0, 1, 1])
PROXIES = np.array([[1.0, 0], [0, 2], [-1, 1]])


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


def nca(x, labels, *, k=1.0, **settings):
    """On unit rows; the family's k multiplies the squared distance."""
    return losses.nca(unit(jnp.asarray(x)), labels, temperature=1 / k, **settings)


def bound(loss, **own):
    """A loss with its settings."""
    return functools.partial(loss, **own)


NUMBERS = {
    "histogram of 20 bins": (bound(losses.histogram, bins=20), 0.375),
    "histogram of 100 bins": (losses.histogram, 0.375),
    "nca 1": (nca, 0.8750235421),
    "nca 8": (bound(nca, k=8), 2.473738880),
    "supervised contrastive .1": (losses.supervised_contrastive, 1.606386321),
    "nt-xent .07": (losses.nt_xent, 2.219410748),
    "fast ap of 10 bins": (losses.fast_ap, 0.3258582699),
    "fast ap of 25 bins": (bound(losses.fast_ap, bins=25), 0.3060342042),
    "smooth ap .01": (losses.smooth_ap_with_self, 0.09583614922),
    "smooth ap .1": (bound(losses.smooth_ap_with_self, temperature=0.1), 0.1628123081),
    "proxy nca": (bound(losses.proxy_nca, proxies=PROXIES), 0.5580701832),
    "proxy anchor": (bound(losses.proxy_anchor, proxies=PROXIES), 25.69294332),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name):
    loss, expected = NUMBERS[name]
    np.testing.assert_allclose(jax.jit(loss)(X, LABELS), expected, rtol=2e-9)


def test_with_one_positive_each_three_losses_are_one():
    values = jax.jit(
        lambda x: (
            losses.supervised_contrastive(x, LABELS, temperature=0.5),
            losses.nt_xent(x, LABELS, temperature=0.5),
            nca(x, LABELS, k=1),  # k = 1 / (2 temperature)
        )
    )(X)
    np.testing.assert_allclose(values, values[0], rtol=1e-12)
    np.testing.assert_allclose(values[0], 0.8750235421, rtol=2e-9)


def test_a_proxy_in_the_batch_is_its_class():
    # One example that is a class's vector itself: only the other proxies cost anything.
    c = PROXIES / np.linalg.norm(PROXIES, axis=1, keepdims=True)
    expected = np.log(sum(np.exp(-np.sum((c[0] - w) ** 2)) for w in c))
    value = jax.jit(losses.proxy_nca)(PROXIES[:1], np.array([0]), PROXIES)
    np.testing.assert_allclose(value, expected)


RANDOM = np.random.default_rng(0).normal(size=(9, 3))
CLASSES = np.array([0, 0, 1, 1, 1, 2, 2, 0, 1])
THREE = np.random.default_rng(1).normal(size=(3, 3))
FAMILY = {
    "histogram": losses.histogram,
    "supervised_contrastive": losses.supervised_contrastive,
    "nt_xent": losses.nt_xent,
    "fast_ap": losses.fast_ap,
    "smooth_ap": bound(losses.smooth_ap, temperature=0.1),
    "proxy_nca": bound(losses.proxy_nca, proxies=THREE),
    "proxy_anchor": bound(losses.proxy_anchor, proxies=THREE),
    "normalized_softmax": bound(losses.normalized_softmax, class_weights=THREE),
    "arcface": bound(losses.arcface, class_weights=THREE),
    "cosface": bound(losses.cosface, class_weights=THREE),
}


@pytest.mark.parametrize("name", FAMILY)
def test_sizes_of_rows_and_their_order_do_not_matter(name):
    loss = jax.jit(jax.value_and_grad(FAMILY[name]))
    value, gradient = loss(RANDOM, CLASSES)
    order = np.random.default_rng(2).permutation(9)
    scaled = RANDOM[order] * np.arange(1, 10)[:, None]
    np.testing.assert_allclose(loss(scaled, CLASSES[order])[0], value, rtol=1e-12)
    # Normalized losses do not move along the row.
    along = np.sum(RANDOM * gradient, axis=1)
    np.testing.assert_allclose(along, 0, atol=1e-12 * max(1, np.abs(gradient).max()))


def test_supervised_contrastive_pushes_an_easy_positive_away():
    scores = jnp.array([[0.9, 0.1, -0.5]])
    positives = jnp.array([[True, True, False]])
    rule = losses.supervised_contrastive.rule
    slope = jax.jit(jax.grad(lambda s: rule(s, positives, positives | True)[0].sum()))(scores)
    share = np.exp(np.array([0.9, 0.1, -0.5]) / 0.1)
    expected = (share / share.sum() - np.array([0.5, 0.5, 0])) / 0.1
    np.testing.assert_allclose(slope[0], expected, rtol=1e-12)
    assert slope[0, 0] > 0 > slope[0, 1]


def test_histogram_slopes_are_of_its_bins():
    scores = np.array([0.33, 0.61, 0.37, -0.2])
    positives = np.array([True, True, False, False])
    step = 0.1

    def value(scores):
        h = [
            soft_counts((scores[None] + 1) * 10, m[None], 20)[0] / 2
            for m in (positives, ~positives)
        ]
        return jnp.sum(h[1] * jnp.cumsum(h[0])), h

    slope, h = jax.jit(jax.grad(value, has_aux=True))(scores)
    bins = np.floor((scores + 1) / step).astype(int)
    expected = np.where(
        positives, -np.asarray(h[1])[bins] / (2 * step), np.asarray(h[0])[bins + 1] / (2 * step)
    )
    np.testing.assert_allclose(slope, expected, atol=1e-12)


def test_duplicates_fall_into_the_last_bin():
    counts = soft_counts(jnp.array([[20.0, 20.0000001, 0.0]]), True, 20)
    np.testing.assert_allclose(counts[0, [0, 19, 20]], [1, 0, 2])


def test_smooth_ap_is_average_precision_when_sharp():
    loss = jax.jit(losses.smooth_ap)(RANDOM, CLASSES, temperature=1e-6)
    u = RANDOM / np.linalg.norm(RANDOM, axis=1, keepdims=True)
    scores, precisions = u @ u.T, []
    for i in range(9):
        order = sorted((j for j in range(9) if j != i), key=lambda j: -scores[i, j])
        hits = CLASSES[order] == CLASSES[i]
        precisions.append(np.mean((np.cumsum(hits) / np.arange(1, 9))[hits]))
    np.testing.assert_allclose(loss, 1 - np.mean(precisions), rtol=1e-10)


@pytest.mark.parametrize("margin", [1, 2, 3, 4])
def test_sphereface_angle_falls_all_the_way(margin):
    angles = np.linspace(0.01, np.pi - 0.01, 60)
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    pair = np.array([[1.0, 0.0]])
    # Against a single class the loss is 0; the logit shows against a second class at a right angle.
    both = np.concatenate([pair, [[0.0, 1.0]]])
    loss = jax.jit(functools.partial(losses.sphereface, margin=margin, reduce_fn=None))
    values, _ = loss(rows, np.zeros(60, int), both)
    k = np.minimum(np.floor(margin * angles / np.pi), margin - 1)
    psi = (-1) ** k * np.cos(margin * angles) - 2 * k
    np.testing.assert_allclose(values, np.logaddexp(psi, np.sin(angles)) - psi, rtol=1e-10)
    assert (np.diff(psi) < 0).all()


def test_arcface_at_its_class_and_opposite_has_a_finite_slope():
    rows = np.array([[2.0, 0.0], [-3.0, 0.0]])
    loss = jax.jit(jax.value_and_grad(losses.arcface))
    value, slope = loss(rows, np.array([0, 0]), np.eye(2))
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
