"""Lists and preferences where no table reaches: by hand, a few lists at a time, what is refused."""

import jax
import numpy as np
import pytest
from at_once import at_once

from jaxsim import losses
from jaxsim.losses.lists import _each_list as lists

S, Y = np.array([[0.3, 1.0, -0.5]]), np.array([[2, 0, 1]])


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


def test_list_mle_draws_one_after_another():
    a, b, c = np.exp([0.3, -0.5, 1.0])  # in the order of the labels
    expected = -np.log(a / (a + b + c) * b / (b + c))
    np.testing.assert_allclose(at_once(losses.list_mle, S, Y), expected, rtol=1e-12)


def test_list_net_is_the_cross_entropy_of_coming_first():
    p, q = (np.exp(a[0]) / np.exp(a[0]).sum() for a in (Y, S))
    np.testing.assert_allclose(at_once(losses.list_net, S, Y), -np.sum(p * np.log(q)), rtol=1e-12)


def cost(s, t):
    return np.log1p(np.exp(-(s - t)))


def test_rank_net_is_the_mean_over_pairs():
    costs = [cost(0.3, 1.0), cost(0.3, -0.5), cost(-0.5, 1.0)]
    np.testing.assert_allclose(at_once(losses.rank_net, S, Y), np.mean(costs), rtol=1e-12)
    np.testing.assert_allclose(at_once(losses.rank_net, S / 2, Y, temperature=0.5), np.mean(costs))


def test_lambda_loss_by_hand():
    # Ranks 2, 1, 3 by score; gains 3, 0, 1 over the best order's 3 + 1 / log2(3).
    most = 3 + 1 / np.log2(3)
    discount = np.log2([2, 3, 4, 5])

    def worth(rank, other, gain):
        rho = abs(1 / discount[rank - 1] - 1 / discount[other - 1])
        apart = abs(rank - other)
        return (rho + 10 * (1 / discount[apart - 1] - 1 / discount[apart])) * gain / most

    first = worth(2, 1, 3) * cost(0.3, 1.0)
    terms = [first, worth(2, 3, 2) * cost(0.3, -0.5), worth(3, 1, 1) * cost(-0.5, 1.0)]
    np.testing.assert_allclose(
        at_once(losses.lambda_loss, S, Y), np.mean(terms) / np.log(2), rtol=1e-12
    )
    # Of the best scored one two pairs are left, and the best gain is 3.
    seen = np.mean([first, terms[2]]) * most / 3
    np.testing.assert_allclose(at_once(losses.lambda_loss, S, Y, k=1), seen / np.log(2), rtol=1e-12)
    seen = np.mean([cost(0.3, 1.0), cost(-0.5, 1.0)])
    np.testing.assert_allclose(at_once(losses.rank_net, S, Y, k=1), seen, rtol=1e-12)


def test_with_every_pair_worth_the_same_lambda_loss_is_rank_net():
    found = at_once(losses.lambda_loss, S, Y, pair_weights=lambda gains, ranks: 1.0) * np.log(2)
    np.testing.assert_allclose(found, at_once(losses.rank_net, S, Y), rtol=1e-12)


def test_the_weights_of_the_pairs_add_up():
    gains, ranks = np.array([0.5, 0.0, 0.25]), np.array([2.0, 1.0, 3.0])
    swaps = losses.parts.lambda_rank_weights(gains, ranks)
    steps = losses.parts.ndcg_loss_2_weights(gains, ranks)
    np.testing.assert_allclose(swaps[0, 1], (1 - 1 / np.log2(3)) * 0.5, rtol=1e-12)
    np.testing.assert_allclose(steps[2, 1], (1 / np.log2(3) - 1 / 2) * 0.25, rtol=1e-12)
    both = losses.parts.ndcg_loss_2pp_weights(gains, ranks, mu=3.0)
    np.testing.assert_allclose(both, swaps + 3 * steps, rtol=1e-12)


@pytest.mark.thorough
@pytest.mark.parametrize("loss", [losses.rank_net, losses.lambda_loss])
def test_a_few_lists_at_a_time_are_all_lists(loss, monkeypatch):
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(7, 5)), rng.integers(0, 4, size=(7, 5))
    kept = rng.uniform(size=(7, 5)) < 0.8

    def at():
        call = jax.value_and_grad(lambda s: loss(s, labels, candidate_where=kept))
        return jax.jit(call)(scores)

    value, gradient = at()
    monkeypatch.setattr(lists, "BLOCK_ENTRIES", 2 * 5 * 5)
    few = at()
    np.testing.assert_allclose(few[0], value, rtol=1e-13)
    np.testing.assert_allclose(few[1], gradient, rtol=1e-12, atol=1e-16)


def test_long_lists_compile_to_little_memory():
    scores, labels = np.zeros((64, 512), np.float32), np.zeros((64, 512), np.int32)
    compiled = jax.jit(jax.grad(losses.lambda_loss)).lower(scores, labels).compile()
    # 48 MiB; 192 with all lists at once.
    assert compiled.memory_analysis().temp_size_in_bytes < 80 * 2**20


def test_bradley_terry_by_hand():
    r = np.array([2.0]), np.array([0.5])
    np.testing.assert_allclose(at_once(losses.bradley_terry, *r, np.zeros(1)), 0.2014132779827524)
    np.testing.assert_allclose(at_once(losses.bradley_terry, *r), 0.2014132779827524)
    np.testing.assert_allclose(
        at_once(losses.bradley_terry, *r[::-1], np.ones(1)), 0.2014132779827524
    )
    np.testing.assert_allclose(at_once(losses.bradley_terry, r[0], r[0], np.ones(1)), np.log(2))
    undecided = jax.grad(lambda a: losses.bradley_terry(a, r[0], np.full(1, 0.5)))
    np.testing.assert_allclose(at_once(undecided, r[0]), 0, atol=1e-16)


def test_lists_that_do_not_fit():
    with pytest.raises(ValueError, match=r"labels must be \[1, 3\], the shape of scores"):
        losses.list_net(S, Y[:, :2])
    with pytest.raises(ValueError, match="k must be a whole number of at least 1, got 0"):
        losses.lambda_loss(S, Y, k=0)
    with pytest.raises(ValueError, match=r"second must be \[2\].*got shape \(3,\)"):
        losses.bradley_terry(np.zeros(2), np.zeros(3))
