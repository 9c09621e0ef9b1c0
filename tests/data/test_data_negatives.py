"""Drawing negatives: the right law, never what must not be drawn, the counts that are expected."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim.data import negatives

KEY = jax.random.key(0)


def frequencies(drawn, classes):
    return np.bincount(np.ravel(drawn), minlength=classes) / np.size(drawn)


def test_draws_follow_the_law_and_skip_what_never_occurs():
    law = negatives.count_power(np.array([8, 0, 4, 1, 0]), 0.75)
    drawn = jax.jit(negatives.draw, static_argnums=2)(KEY, law, (20_000,))
    assert drawn.dtype == jnp.int32
    expected = np.exp(law)
    np.testing.assert_allclose(expected, [0.55406952, 0, 0.32945171, 0.11647877, 0], atol=1e-6)
    found = frequencies(drawn, 5)
    np.testing.assert_allclose(found, expected, atol=0.012)
    assert found[1] == found[4] == 0


def test_what_must_not_be_drawn_is_not_and_the_rest_keeps_its_proportions():
    counts = np.array([5.0, 1, 3, 0, 1])
    law = negatives.count_power(counts, 1.0)
    own = np.repeat(np.arange(5), 100)
    drawn = np.asarray(jax.jit(negatives.draw, static_argnums=2)(KEY, law, (500, 40), without=own))
    assert (drawn != own[:, None]).all()
    for forbidden in (0, 2, 3):
        rest = counts * (np.arange(5) != forbidden)
        found = frequencies(drawn[own == forbidden], 5)
        np.testing.assert_allclose(found, rest / rest.sum(), atol=0.035)


def test_log_uniform_is_zipfs_law():
    law = np.exp(negatives.log_uniform(1000))
    np.testing.assert_allclose(
        law[[0, 1, 999]], [0.10032881506, 0.05868859455, 0.00014467156], rtol=1e-4
    )
    np.testing.assert_allclose(law.sum(), 1, rtol=1e-5)


def test_expected_counts():
    law = negatives.uniform(4)
    np.testing.assert_allclose(np.exp(law), 0.25)
    np.testing.assert_allclose(np.exp(negatives.log_expected_counts(law, 8)), 2.0, rtol=1e-6)
    distinct = np.exp(negatives.log_expected_counts(law, 8, distinct=True))
    np.testing.assert_allclose(distinct, 1 - 0.75**8, rtol=1e-6)


def test_a_traced_exponent_serves_a_sweep_under_vmap():
    counts = np.array([8, 4, 1])
    swept = jax.vmap(lambda exponent: negatives.count_power(counts, exponent))(
        jnp.array([0.0, 1.0])
    )
    np.testing.assert_allclose(np.exp(swept), [[1 / 3] * 3, [8 / 13, 4 / 13, 1 / 13]], rtol=1e-6)


def test_a_forbidden_class_per_row_must_fit():
    with pytest.raises(ValueError, match=r"without must be \[3\].*got shape \(2,\)"):
        negatives.draw(KEY, negatives.uniform(4), (3, 5), without=np.zeros(2, int))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: negatives.count_power([3, -1], 0.75), "counts must be >= 0, got"),
        (lambda: negatives.count_power([3, np.nan], 0.75), "counts must be >= 0, got"),
        (
            lambda: negatives.count_power([0, 0], 0.75),
            "counts must have one above 0: there is nothing to draw",
        ),
        (lambda: negatives.count_power([1, 2], np.nan), "exponent must be finite, got nan"),
        (lambda: negatives.count_power(["1", "2"], 1), "counts must be real numbers, got <U1"),
        (
            lambda: negatives.draw(KEY, [0.0, np.nan], (3,)),
            "log_probabilities must be numbers, got 1 NaN",
        ),
        (
            lambda: negatives.draw(KEY, [-np.inf, -np.inf], (3,)),
            "log_probabilities must have a class that can be drawn",
        ),
        (
            lambda: negatives.draw(KEY, [0.0, -np.inf], (1,), without=[0]),
            "and another where one is left out",
        ),
        (
            lambda: negatives.draw(KEY, negatives.uniform(4), (1,), without=[4]),
            "without must be from 0 to 3, got 4 to 4",
        ),
        (
            lambda: negatives.draw(KEY, negatives.uniform(4), (1,), without=[0.5]),
            "without must be integers, got float",
        ),
        (
            lambda: negatives.draw(KEY, negatives.uniform(4), 3),
            "shape must be a tuple of whole numbers, got 3",
        ),
        (lambda: negatives.draw(0, negatives.uniform(4), (3,)), "key must be a key"),
        (
            lambda: negatives.log_expected_counts(negatives.uniform(4), 0),
            "draws must be > 0, got 0",
        ),
    ],
)
def test_what_cannot_be_drawn_from_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_counts_beyond_32_bits_keep_their_shares():
    np.testing.assert_allclose(
        negatives.count_power(np.array([1, 3]) * 2**40, 0.75),
        negatives.count_power(np.array([1, 3]), 0.75),
        rtol=1e-5,
    )
