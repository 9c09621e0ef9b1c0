"""Every number of the method's checks that is about losses: soft targets of a judge, and the reranker.

Mining and judging come with search.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import losses


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


def at(temperature, loss=losses.symmetric_kl_released):
    """The loss and its gradient at a temperature of both sides, jitted."""
    return jax.jit(
        jax.value_and_grad(
            lambda z, u: loss(z, u, temperature=temperature, judge_temperature=temperature)
        )
    )


Z, U = np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]])


def test_by_hand():
    value, gradient = at(1.0)(Z, U)
    np.testing.assert_allclose(value, 0.115529267, atol=1e-9)
    np.testing.assert_allclose(gradient, [[0.2138352, -0.2138352]], atol=1e-7)
    value, gradient = at(0.1)(Z, U)
    np.testing.assert_allclose(value, 2.4997179, atol=1e-7)
    np.testing.assert_allclose(gradient, [[2.5014923, -2.5014923]], atol=1e-7)


def test_each_way_by_hand():
    # Of the mean of both ways, one is the other with the roles of scores and judge exchanged.
    ways = [float(losses.score_distillation(a, b)) for a, b in ((Z, U), (U, Z))]
    np.testing.assert_allclose(ways, [0.1201, 0.1109], atol=6e-5)
    exact, _ = at(1.0, losses.symmetric_kl)(Z, U)
    np.testing.assert_allclose(exact, np.mean(ways), rtol=1e-12)
    # The method file's figures with and without eps: .115529267 and .115529289.
    np.testing.assert_allclose(exact, 0.115529289, atol=1e-9)


def test_jensen_shannon_by_hand():
    value, _ = at(1.0, losses.jensen_shannon)(Z, U)
    np.testing.assert_allclose(value, 0.0285353, atol=1e-7)


def test_the_cap_of_the_released_form():
    z, u = np.array([[0.0, 0.0]]), np.array([[1.0, 0.0]])
    np.testing.assert_allclose(at(0.02)(z, u)[0], 4.605, atol=2e-3)
    # KL1 is log 2, KL2 is half of 50 nats less log 2.
    np.testing.assert_allclose(at(0.02, losses.symmetric_kl)(z, u)[0], 12.5, atol=1e-3)


def test_closed_form_of_the_gradient():
    z, u = np.random.default_rng(0).normal(size=(2, 3, 4))
    temperature = 0.5
    _, gradient = at(temperature, losses.symmetric_kl)(z, u)
    p, q = (np.exp(a / temperature) for a in (u, z))
    p, q = (a / a.sum(axis=1, keepdims=True) for a in (p, q))
    kl = np.sum(q * np.log(q / p), axis=1, keepdims=True)
    expected = ((q - p) + q * (np.log(q / p) - kl)) / (2 * 3 * temperature)
    np.testing.assert_allclose(gradient, expected, rtol=1e-10)
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-15)


def test_a_hot_temperature_is_solved_though_values_differ():
    z, u = np.array([[0.9, 0.2, 0.1]]), np.array([[0.95, 0.6, 0.05]])
    np.testing.assert_allclose(at(0.02)(z, u)[0], 1.56e-9, atol=5e-12)


@pytest.mark.parametrize(
    "loss", [losses.symmetric_kl, losses.symmetric_kl_released, losses.jensen_shannon]
)
def test_what_changes_nothing(loss):
    rng = np.random.default_rng(1)
    z, u = rng.uniform(size=(2, 6, 9))
    call = at(0.1, loss)
    value = call(z, u)[0]
    order = rng.permutation(9)
    shift = rng.normal(size=(6, 1))
    np.testing.assert_allclose(call(z + shift, u - 2 * shift)[0], value, rtol=1e-10)
    np.testing.assert_allclose(call(z[:, order], u[:, order])[0], value, rtol=1e-12)
    np.testing.assert_allclose(call(u, z)[0], value, rtol=1e-7)
    same, gradient = call(z, z)
    assert abs(same) < 1e-6
    assert np.abs(gradient).max() < 1e-6


def test_the_released_form_is_a_little_negative_at_its_optimum():
    z = np.random.default_rng(2).uniform(size=(6, 9))
    assert -2e-7 < at(0.02)(z, z)[0] < 0


def test_yes_and_no():
    np.testing.assert_allclose(
        jax.nn.sigmoid(losses.parts.binary_logit(jnp.array([0.0, 2.0]))), 0.8807971, atol=1e-7
    )


@pytest.mark.parametrize(
    "loss", [losses.symmetric_kl, losses.symmetric_kl_released, losses.jensen_shannon]
)
def test_a_list_without_candidates_is_not_in_the_mean(loss):
    z, u = np.random.default_rng(3).uniform(size=(2, 3, 4))
    kept = np.ones((3, 4), bool)
    kept[1] = False
    z[1] = np.nan
    value, gradient = jax.jit(jax.value_and_grad(lambda z: loss(z, u, candidate_where=kept)))(z)
    alone = loss(z[[0, 2]], u[[0, 2]])
    np.testing.assert_allclose(value, alone, rtol=1e-12)
    assert not gradient[1].any()
    assert np.isfinite(gradient).all()


def test_the_reranker_asks_for_a_yes_a_no_and_the_place():
    pairs, scores = np.array([[2.0, -1.0]]), np.array([[0.5, 1.5, -1.0]])
    value = losses.unime_v2_rerank(pairs, scores, np.array([1]))
    answers = (np.log1p(np.exp(-2.0)) + np.log1p(np.exp(-1.0))) / 2
    place = np.log(np.exp(scores).sum()) - 1.5
    np.testing.assert_allclose(value, answers + place, rtol=1e-12)


def test_the_reranker_names_what_does_not_fit():
    with pytest.raises(ValueError, match=r"pair_scores must be \[2, 2\].*got shape \(2, 3\)"):
        losses.unime_v2_rerank(np.zeros((2, 3)), np.zeros((2, 5)), np.zeros(2, int))
    with pytest.raises(ValueError, match="positive_index must be integers"):
        losses.unime_v2_rerank(np.zeros((2, 2)), np.zeros((2, 5)), np.zeros(2))
