"""Miners: what they keep, against loops; what `mined` makes of them and a loss."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from public import PUBLIC

from jaxsim import losses, similarity

X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
LABELS = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 4])  # two anchors have no positive
DISTANCES = -np.asarray(similarity.negative_unit_euclidean(X, X))
WHERE = ~np.eye(12, dtype=bool)
POSITIVES = WHERE & (LABELS[:, None] == LABELS)


def kept(miner, **settings):
    found = jax.jit(functools.partial(miner, **settings))(-DISTANCES, POSITIVES, WHERE)
    return [[set(np.flatnonzero(row)) for row in np.asarray(mask)] for mask in found]


def sides():
    for d, own, all_ in zip(DISTANCES, POSITIVES, WHERE, strict=True):
        yield d, set(np.flatnonzero(own)), set(np.flatnonzero(all_ & ~own))


def extreme(choose, d, some):
    return {choose(some, key=lambda j: d[j])} if some else set()


def beyond(d, own, other):
    return {j for j in other if d[j] > max(d[k] for k in own)} if own else set()


def confused(d, own, other):
    """Multi-similarity's: each side against the other's worst."""
    if not own or not other:
        return set(), set()
    farthest, nearest = max(d[k] for k in own), min(d[k] for k in other)
    return {j for j in own if d[j] + 0.1 > nearest}, {j for j in other if d[j] - 0.1 < farthest}


MINERS = {
    "multi_similarity_pairs": confused,
    "pairs_within": lambda d, own, other: (
        {j for j in own if d[j] > 0.2},
        {j for j in other if d[j] < 0.8},
    ),
    "hardest_positives": lambda d, own, other: (extreme(max, d, own), other),
    "easiest_positives": lambda d, own, other: (extreme(min, d, own), other),
    "hardest_negatives": lambda d, own, other: (own, extreme(min, d, other)),
    "semi_hard_negatives": lambda d, own, other: (
        own,
        extreme(min, d, beyond(d, own, other)),
    ),
}


@pytest.mark.parametrize("name", MINERS)
def test_what_is_kept(name):
    positives, negatives = kept(PUBLIC[name])
    expected = [MINERS[name](*row) for row in sides()]
    assert positives == [own for own, _ in expected]
    assert negatives == [other for _, other in expected]


def test_multi_similarity_keeps_pairs_on_both_sides_or_none():
    for own, other in zip(*kept(losses.miners.multi_similarity_pairs, margin=0.02), strict=True):
        assert bool(own) == bool(other)


def test_the_mined_loss_is_the_loss_on_what_is_kept():
    mined = losses.mined(losses.multi_similarity_unmined, losses.miners.multi_similarity_pairs)
    value, slope = jax.jit(jax.value_and_grad(mined))(X, LABELS)
    exact, expected = jax.jit(jax.value_and_grad(losses.multi_similarity))(X, LABELS)
    np.testing.assert_allclose(value, exact, rtol=1e-6)
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.thorough
def test_hardest_pairs_make_batch_hard_of_the_triplet_loss():
    miners = losses.miners.hardest_positives, losses.miners.hardest_negatives
    mined = functools.reduce(losses.mined, miners, losses.triplet_mean)
    assert mined(X, LABELS, margin=0.2) == pytest.approx(
        float(losses.batch_hard_triplet(X, LABELS, margin=0.2)), rel=1e-6
    )


@pytest.mark.thorough
def test_outer_miners_come_first():
    inner = losses.mined(losses.triplet_mean, losses.miners.semi_hard_negatives)
    value = losses.mined(inner, losses.miners.easiest_positives)(X, LABELS, margin=2.0)
    gaps = []
    for d, own, other in sides():
        if own and (far := beyond(d, nearest := extreme(min, d, own), other)):
            gaps.append(d[min(nearest)] - min(d[j] for j in far) + 2)
    np.testing.assert_allclose(value, np.mean(gaps), rtol=1e-5)


@pytest.mark.thorough
def test_a_miners_arguments_become_the_losses():
    mined = losses.mined(losses.binomial_deviance, losses.miners.pairs_within)
    names = list(inspect.signature(mined).parameters)
    assert names[2:7] == ["alpha", "beta", "base", "positive_above", "negative_below"]
    settings = {"positive_above": 9.0, "negative_below": -9.0}
    assert mined(X, LABELS, **settings) == 0


def test_an_argument_of_both_is_refused_and_may_be_fixed():
    with pytest.raises(ValueError, match=r"triplet and its miner both have an argument 'margin'"):
        losses.mined(losses.triplet, losses.miners.multi_similarity_pairs)
    miner = functools.partial(losses.miners.multi_similarity_pairs, margin=0.1)
    assert losses.mined(losses.triplet, miner)(X, LABELS, margin=0.2) > 0


sampled = losses.mined(losses.margin, losses.miners.distance_weighted_negatives)


def test_draws_depend_on_the_key_and_not_on_blocks():
    call = jax.jit(functools.partial(sampled, dim=4), static_argnames="block")
    values = [call(X, LABELS, key=jax.random.key(seed)) for seed in range(4)]
    assert len(set(map(float, values))) > 1
    blocked = call(X, LABELS, key=jax.random.key(0), block=5)
    np.testing.assert_allclose(blocked, values[0], rtol=1e-6)


def test_an_anchor_draws_as_many_negatives_as_it_has_positives():
    keys = jax.random.split(jax.random.key(0), 12)
    far = {"key": keys, "dim": 4, "farthest": 2.5}
    positives, negatives = kept(losses.miners.distance_weighted_negatives, **far)
    for (_, own, other), mine, drawn in zip(sides(), positives, negatives, strict=True):
        assert mine == own
        assert drawn <= other
        assert len(drawn) == len(own)
    _, near = kept(losses.miners.distance_weighted_negatives, key=keys, dim=4, farthest=0.9)
    for (d, own, other), drawn in zip(sides(), near, strict=True):
        reach = {j for j in other if d[j] < 0.9}
        assert drawn <= reach
        assert len(drawn) == min(len(own), len(reach))


def test_draws_follow_the_inverse_density_of_distances():
    dim, draws = 6, 20_000
    distances = np.array([0.2, 0.6, 0.8, 1.0, 1.3, 1.39, 1.6])
    scores = jnp.tile(jnp.append(-0.1, -distances), (draws, 1))
    positives = jnp.zeros(scores.shape, bool).at[:, 0].set(True)
    _, drawn = jax.jit(functools.partial(losses.miners.distance_weighted_negatives, dim=dim))(
        scores,
        positives,
        jnp.ones(scores.shape, bool),
        key=jax.random.split(jax.random.key(3), draws),
    )
    d = np.maximum(distances, 0.5)
    weights = 1 / (d ** (dim - 2) * (1 - d**2 / 4) ** ((dim - 3) / 2)) * (distances < 1.4)
    expected = weights / weights.sum()
    error = 4 * np.sqrt(expected * (1 - expected) / draws)  # four standard deviations
    assert (np.abs(np.mean(drawn[:, 1:], axis=0) - expected) <= error).all()


def test_the_sampler_says_what_it_lacks():
    with pytest.raises(TypeError, match="key"):
        sampled(X, LABELS, dim=4)
    with pytest.raises(ValueError, match="dim must be a whole number of at least 2, got 1"):
        sampled(X, LABELS, key=jax.random.key(0), dim=1)
