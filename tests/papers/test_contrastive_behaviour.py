"""The numbers that Wang and Liu 2021 imply: one row of scores, four points, and the limits between losses.

The numbers are of an independent computation in double precision, given with nine digits.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import analysis, losses

pytestmark = pytest.mark.usefixtures("float64")

SCORES = np.array([[0.8, 0.7, 0.5, 0.1, -0.3]])
POSITIVES = np.array([[True, False, False, False, False]])
EVERY = np.ones((1, 5), bool)
LOG5 = np.log(5)

# temperature: L, dL/ds of the positive, the ratios of the negatives, their entropy, L of the two
# hardest negatives, dL/dtemperature
ROW = {
    0.07: (
        0.2259080249,
        -2.88869321,
        (0.945516783, 0.054303505, 0.000179120, 0.000000591),
        0.212720271,
        0.2258716851,
        4.57935308,
    ),
    0.3: (
        0.7916088677,
        -1.82294931,
        (0.593673910, 0.304802350, 0.080345030, 0.021178720),
        0.955912435,
        0.7344862022,
        1.39969818,
    ),
    1.0: (
        1.245626716,
        -0.71223949,
        (0.365574330, 0.299306950, 0.200631450, 0.134487280),
        1.32101319,
        0.9729189131,
        0.29538533,
    ),
    10.0: (
        1.566263846,
        -0.07911761,
        (0.261314890, 0.256140510, 0.246097100, 0.236447490),
        1.38556249,
        1.085356608,
        0.00423543339,
    ),
}
ENTROPY_SLOPE = {0.07: 6.1717219, 0.3: 1.67795887, 1.0: 0.119633456}


@functools.cache
def value_of(rule, **fixed):
    """(scores, positives, where, settings) -> the value of the only row; one compilation for all."""

    def value(scores, positives, where, settings):
        return rule(scores, positives, where, **settings, **fixed)[0][0]

    return jax.jit(jax.value_and_grad(value, (0, 3)))


def softmax_loss(scores=SCORES, positives=POSITIVES, where=EVERY, *, temperature):
    """(value, gradient by scores, gradient by the temperature)"""
    value, (by_score, by_setting) = value_of(losses.info_nce.rule)(
        scores, positives, where, {"temperature": temperature}
    )
    return value, by_score, by_setting["temperature"]


def hard_loss(scores=SCORES, positives=POSITIVES, where=EVERY, *, temperature, k):
    """The values of the loss on the k hardest negatives of each row."""
    return value_of(losses.hard_contrastive.rule, k=k)(
        scores, positives, where, {"temperature": temperature}
    )[0]


@functools.cache
def _figures():
    return jax.jit(
        lambda scores, positives, where, t: [
            figure(scores, positives, temperature=t, where=where)
            for figure in (
                analysis.gradient_ratio,
                analysis.ratio_entropy,
                analysis.temperature_gradient,
            )
        ]
    )


def figures(scores=SCORES, positives=POSITIVES, where=EVERY, *, temperature):
    """Ratio, entropy and temperature gradient of the only row."""
    return [np.asarray(a)[0] for a in _figures()(scores, positives, where, temperature)]


@pytest.mark.parametrize("temperature", ROW)
def test_the_row_of_scores(temperature):
    expected, pull, shares, entropy, hard, slope = ROW[temperature]
    value, gradient, by_temperature = softmax_loss(temperature=temperature)
    np.testing.assert_allclose(value, expected, rtol=1e-9)
    np.testing.assert_allclose(gradient[0, 0], pull, atol=6e-9)
    np.testing.assert_allclose(gradient.sum(), 0, atol=1e-14)
    rule = functools.partial(losses.info_nce.rule, temperature=temperature)
    weights = analysis.pair_weights(rule, SCORES, POSITIVES)
    np.testing.assert_allclose(weights, gradient, rtol=1e-12, atol=1e-16)
    ratio, found, derivative = figures(temperature=temperature)
    np.testing.assert_allclose(ratio[1:], shares, atol=1e-8)
    np.testing.assert_allclose(ratio[1:], gradient[0, 1:] / -gradient[0, 0], rtol=1e-10)
    np.testing.assert_allclose(ratio.sum(), 1, rtol=1e-14)
    np.testing.assert_allclose(found, entropy, rtol=1e-8)
    np.testing.assert_allclose(derivative, slope, rtol=1e-8)
    np.testing.assert_allclose(by_temperature, slope, rtol=1e-8)
    np.testing.assert_allclose(hard_loss(temperature=temperature, k=2), hard, rtol=1e-9)


def test_the_entropy_rises_with_the_temperature():
    def entropy(temperature):
        return analysis.ratio_entropy(SCORES, POSITIVES, temperature=temperature)[0]

    slope = jax.jit(jax.grad(entropy))
    for temperature, expected in ENTROPY_SLOPE.items():
        np.testing.assert_allclose(slope(temperature), expected, rtol=1e-8)
    entropies = [figures(temperature=t)[1] for t in (0.02, 0.07, 0.3, 1.0, 10.0, 1000.0)]
    assert (np.diff(entropies) > 0).all()
    # All negatives alike: the entropy stands still at its largest.
    even = np.array([[0.8, 0.2, 0.2, 0.2, 0.2]])
    np.testing.assert_allclose([figures(even, temperature=t)[1] for t in (0.05, 1.0)], np.log(4))
    np.testing.assert_allclose(figures(temperature=1e9)[0][1:], 1 / 4, rtol=1e-8)


def test_the_ratio_does_not_know_the_positive_nor_a_common_shift():
    ratio = figures(temperature=0.3)[0]
    other = SCORES + np.array([[-1.3, 0, 0, 0, 0]])
    np.testing.assert_allclose(figures(other, temperature=0.3)[0], ratio, rtol=1e-14)
    np.testing.assert_allclose(figures(SCORES + 5, temperature=0.3)[0], ratio, rtol=1e-12)


def test_simple_losses():
    simple = losses.simple_contrastive.rule(SCORES, POSITIVES, EVERY)[0][0]
    weighed = losses.simple_contrastive.rule(SCORES, POSITIVES, EVERY, negative_weight=0.25)[0][0]
    hard = losses.hard_simple_contrastive.rule(SCORES, POSITIVES, EVERY, k=2)[0][0]
    np.testing.assert_allclose([simple, weighed, hard], [-0.55, -0.55, -0.2], rtol=1e-12)


def test_a_growing_temperature_leads_to_the_simple_loss():
    def scaled(temperature):
        return 5 * temperature / 4 * (softmax_loss(temperature=temperature)[0] - LOG5)

    np.testing.assert_allclose(scaled(10.0), -0.5396758286, rtol=1e-9)
    np.testing.assert_allclose(scaled(1000.0), -0.5498960074, rtol=1e-9)
    np.testing.assert_allclose(scaled(1e6), -0.55, atol=1e-6)


def test_a_falling_temperature_leads_to_a_triplet_on_the_nearest_negative():
    low = np.array([[0.6, *SCORES[0, 1:]]])
    value = 0.01 * softmax_loss(low, temperature=0.01)[0]
    np.testing.assert_allclose(value, 0.1000004540, rtol=1e-9)
    value = 0.01 * softmax_loss(temperature=0.01)[0]
    np.testing.assert_allclose(value, 4.54e-7, rtol=1e-3)
    # The hardest negative alone has the same limit.
    for scores, limit in ((low, 0.1), (SCORES, 0.0)):
        value = 0.001 * hard_loss(scores, temperature=0.001, k=1)
        np.testing.assert_allclose(value, limit, atol=1e-9)


def test_hard_negatives_lower_the_loss_and_all_of_them_are_the_loss():
    for temperature in ROW:
        whole = softmax_loss(temperature=temperature)[0]
        fewer = [hard_loss(temperature=temperature, k=k) for k in (1, 2, 3, 4, 9)]
        assert (np.diff(fewer) >= 0).all()
        assert fewer[0] < whole
        np.testing.assert_allclose(fewer[3:], whole, rtol=1e-14)


POINTS = np.array([(1, 0), (0.8, 0.6), (0, 1), (-0.6, 0.8)])
LABELS = np.array([0, 0, 1, 1])


def test_uniformity_of_four_points():
    uniformity = jax.jit(analysis.uniformity)
    found = uniformity(POINTS)
    np.testing.assert_allclose(-found, -1.661742875, rtol=1e-9)
    # With each point's pair with itself the potential is (12 mean + 4) / 16.
    with_self = np.log((12 * np.exp(-found) + 4) / 16)
    np.testing.assert_allclose(with_self, -0.935585917, rtol=1e-8)
    turn = np.array([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]])
    np.testing.assert_allclose(uniformity(POINTS @ turn), found, rtol=1e-12)


def test_uniformity_of_antipodes_and_of_one_point():
    both = np.array([[0.6, 0.8], [-0.6, -0.8]])
    np.testing.assert_allclose(jax.jit(analysis.uniformity)(both), 8, rtol=1e-12)
    np.testing.assert_allclose(jax.jit(analysis.uniformity)(np.ones((5, 3))), 0, atol=1e-14)


def test_tolerance_of_four_points():
    pooled, literal = analysis.tolerance, analysis.tolerance_over_all_pairs
    found = [f(POINTS, LABELS, include_self=s) for f in (pooled, literal) for s in (False, True)]
    np.testing.assert_allclose(found, [0.8, 0.9, 0.2666667, 0.45], atol=5e-8)


@pytest.mark.thorough
def test_tolerance_by_class_sums_is_tolerance_by_pairs():
    random = np.random.default_rng(0)
    x, labels = random.normal(size=(40, 7)), random.integers(0, 5, 40)
    u = x / np.linalg.norm(x, axis=1, keepdims=True)
    same = (labels[:, None] == labels) & ~np.eye(40, dtype=bool)
    np.testing.assert_allclose(analysis.tolerance(x, labels), (u @ u.T)[same].mean(), rtol=1e-12)


CEILINGS = {2: 1.5750272, 8: 3.0825272, 16: 3.5130364, 32: 3.7518050, 64: 3.8752356, 128: 3.9375300}


def test_the_largest_uniformity_by_dimension():
    for dim, expected in CEILINGS.items():
        np.testing.assert_allclose(analysis.uniformity_ceiling(dim), expected, atol=6e-8)
    np.testing.assert_allclose(analysis.uniformity_ceiling(10**7), 4, atol=1e-5)


def test_swapping_two_instances_with_their_views_changes_nothing():
    """Instance discrimination does not know classes (figure 1)."""
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 6, 4))
    swapped = np.array([0, 4, 2, 3, 1, 5])
    loss = jax.jit(functools.partial(losses.info_nce, temperature=0.3))
    np.testing.assert_allclose(
        loss(first[swapped], second[swapped]), loss(first, second), rtol=1e-13
    )
    assert abs(loss(first[swapped], second) - loss(first, second)) > 1e-3


def test_a_row_without_negatives_is_nothing():
    alone = POSITIVES.copy()  # the positive is the row's only pair
    value, gradient, slope = softmax_loss(where=alone, temperature=0.3)
    assert (value, slope) == (0, 0)
    assert not np.any(gradient)
    ratio, entropy, derivative = figures(where=alone, temperature=0.3)
    assert not ratio.any()
    assert (entropy, derivative) == (0, 0)
    assert hard_loss(where=alone, temperature=0.3, k=2) == 0
    slope = jax.grad(
        lambda s: losses.hard_simple_contrastive.rule(s, jnp.asarray(alone), alone, k=2)[0][0]
    )(SCORES)
    np.testing.assert_array_equal(slope, -alone.astype(float))
