"""Where a softmax loss puts its gradient, against loops, on rows with several positives and with none."""

import functools

import jax
import numpy as np
import pytest

from jaxsim import analysis, losses

RANDOM = np.random.default_rng(0)
SCORES = RANDOM.uniform(-1, 1, size=(6, 8))
POSITIVES = RANDOM.random((6, 8)) < 0.25
WHERE = RANDOM.random((6, 8)) < 0.8
POSITIVES[0], WHERE[1] = False, False  # a row without positives, a row without pairs
POSITIVES[2], WHERE[2] = True, True  # a row without negatives
OWN, RIVALS = POSITIVES & WHERE, WHERE & ~POSITIVES


@jax.jit
def all_three(temperature):
    """Jitted: op by op it compiles for longer."""
    figures = analysis.gradient_ratio, analysis.ratio_entropy, analysis.temperature_gradient
    return [f(SCORES, POSITIVES, temperature=temperature, where=WHERE) for f in figures]


@pytest.mark.thorough
@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_ratio_entropy_and_temperature_gradient_are_their_equations(temperature, float64):
    ratio, entropy, slope = all_three(temperature)
    for i in range(6):
        rivals = np.flatnonzero(RIVALS[i])
        shares = np.exp(SCORES[i, rivals] / temperature)
        shares /= shares.sum()
        np.testing.assert_allclose(ratio[i, rivals], shares, rtol=1e-12)
        assert not ratio[i][~RIVALS[i]].any()
        np.testing.assert_allclose(entropy[i], -np.sum(shares * np.log(shares)), atol=1e-12)

        def loss(t, i=i):
            mine, every = SCORES[i][OWN[i]] / t, SCORES[i][WHERE[i]] / t
            return np.logaddexp.reduce(every) - np.logaddexp.reduce(mine) if OWN[i].any() else 0

        expected = (loss(temperature + 1e-6) - loss(temperature - 1e-6)) / 2e-6
        np.testing.assert_allclose(slope[i], expected, rtol=1e-6, atol=1e-7)


def test_temperature_gradient_is_what_autodiff_gives_the_loss(float64):
    def loss(temperature):
        values, counts = losses.info_nce.rule(SCORES, OWN, WHERE, temperature=temperature)
        return (values * counts).sum()

    _, _, slopes = all_three(0.3)
    np.testing.assert_allclose(slopes.sum(), jax.jit(jax.grad(loss))(0.3), rtol=1e-10)


def test_local_separation_is_the_mean_of_places():
    result = jax.jit(functools.partial(analysis.local_separation, k=4))(
        np.float32(SCORES), POSITIVES, where=WHERE
    )
    anchors = [i for i in range(6) if OWN[i].any() and RIVALS[i].any()]
    positive = np.mean([SCORES[i][OWN[i]].mean() for i in anchors])
    closest = [np.sort(SCORES[i][RIVALS[i]])[::-1] for i in anchors]
    places = [np.mean([c[p] for c in closest if len(c) > p]) for p in range(4)]
    np.testing.assert_allclose(result.positive, positive, rtol=1e-6)
    np.testing.assert_allclose(result.negatives, places, rtol=1e-6)
    np.testing.assert_allclose(result.gap, positive - places[0], rtol=1e-5)


def test_bad_arguments_are_named():
    scores = np.float32(SCORES)
    with pytest.raises(ValueError, match=r"temperature must be > 0, got 0"):
        analysis.gradient_ratio(scores, POSITIVES, temperature=0.0)
    with pytest.raises(ValueError, match="positives must be boolean"):
        analysis.ratio_entropy(scores, POSITIVES.astype(int), temperature=1.0)
    with pytest.raises(ValueError, match="k must be at most 8, the number of references, got 9"):
        analysis.local_separation(scores, POSITIVES, k=9)


@pytest.mark.parametrize("name", ["gradient_ratio", "ratio_entropy", "temperature_gradient"])
def test_a_nan_that_counts_makes_its_row_nan_and_no_other(name):
    figure = functools.partial(getattr(analysis, name), temperature=0.5)
    scores = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    positives = np.zeros((4, 6), bool)
    positives[:, 0] = True
    whole, spoiled = figure(scores, positives), scores.copy()
    spoiled[2, 3] = np.nan
    result = figure(spoiled, positives)
    others = np.arange(4) != 2
    assert np.isnan(result[2]).any()
    np.testing.assert_array_equal(result[others], whole[others])
    assert np.isfinite(figure(spoiled, positives, where=~np.isnan(spoiled))).all()


def test_a_nan_among_the_negatives_makes_their_order_nan():
    scores = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    positives = np.zeros((4, 6), bool)
    positives[:, 0] = True
    scores[2, 3] = np.nan
    result = analysis.local_separation(scores, positives, k=3)
    assert np.isnan(result.negatives).all()
    assert np.isfinite(result.positive)
    masked = analysis.local_separation(scores, positives, k=3, where=~np.isnan(scores))
    assert np.isfinite(masked.negatives).all()
