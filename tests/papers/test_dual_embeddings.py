"""Every number of the method's checks: skip-gram with negatives, noise, PMI, made-up pairs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import data, losses
from jaxsim.similarity import dot


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


V = np.array([[1.0, 2.0]])
U = np.array([[0.5, -0.25]])
N = np.array([[0.0, 1.0], [1.0, 1.0]])


@pytest.mark.parametrize("negatives", [N, N[None]], ids=["shared", "per row"])
def test_sgns_by_hand(negatives):
    value, gradients = jax.jit(jax.value_and_grad(losses.sgns, argnums=(0, 1, 2)))(V, U, negatives)
    np.testing.assert_allclose(value, 5.86866254317666, rtol=1e-14)
    np.testing.assert_allclose(gradients[0], [[0.70257413, 1.9583712]], rtol=1e-7)
    np.testing.assert_allclose(gradients[1], [[-0.5, -1.0]], rtol=1e-14)
    expected = [[0.88079708, 1.76159416], [0.95257413, 1.90514825]]
    np.testing.assert_allclose(gradients[2].reshape(2, 2), expected, rtol=1e-8)


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [
        (0.75, [0.55406952, 0.32945171, 0.11647877]),
        (0, [1 / 3] * 3),
        (-0.1, [0.3027626, 0.32449292, 0.37274448]),
    ],
)
def test_noise(exponent, expected):
    found = data.negatives.count_power(np.array([8, 4, 1]), exponent)
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-7)


def test_pmi():
    counts = np.array([10, 20])
    found = data.pmi([[0, 1], [0, 1]], [6, 1], counts, 100)
    np.testing.assert_allclose(found, [1.0986122886681098, -0.6931471805599453], rtol=1e-14)
    assert data.pmi_filter([[0, 1]] * 3, [6, 1, 2], counts, 100).tolist() == [True, False, False]
    assert data.pmi_filter([[0, 1]] * 2, [6, 2], counts, 100, min_count=2).tolist() == [True, True]


def test_subsampling():
    frequencies = [0.4, 0.01, 0.001, 0.0]
    np.testing.assert_allclose(
        data.word2vec_keep_probability(frequencies, 0.01), [0.18311388300841897, 1, 1, 1]
    )
    np.testing.assert_allclose(
        data.keep_probability(frequencies, 0.01), [0.15811388300841897, 1, 1, 1]
    )


def made(counts, alike, **settings):
    """{pair: count} that are made up of one pair, each end with one neighbor."""
    # Items 2 and 3 are the neighbors of 0 and 1.
    pairs, totals = data.synthetic_pairs(
        [[0, 1]], [counts], [[2], [3], [-1], [-1]], [[alike[0]], [alike[1]], [0], [0]], **settings
    )
    return dict(zip(map(tuple, pairs.tolist()), totals.tolist(), strict=True))


def test_made_up_pairs():
    assert made(7, (0.8, 0.6), gamma=0.5) == {(1, 2): 2, (0, 3): 2, (2, 3): 2}
    assert made(7, (0.8, 0.2), gamma=0.5) == {(1, 2): 2, (2, 3): 1}  # floor(.7) adds nothing
    assert made(7, (0.8, 0.6), gamma=0.5, threshold=0.7) == {(1, 2): 2}
    assert made(1, (0.8, 0.6), gamma=0.5) == {}
    assert made(7, (0.8, 0.6), gamma=0.5, without=[[3, 2]]) == {(1, 2): 2, (0, 3): 2}


def tables(seed, items=5, dim=3):
    """Two random tables, in and out."""
    random = np.random.default_rng(seed)
    return random.normal(size=(2, items, dim))


@jax.jit
def sgns_of(inside, outside, pairs, negatives):
    """SGNS of tables, at pairs of rows and the rows of their negatives."""
    return losses.sgns(inside[pairs[:, 0]], outside[pairs[:, 1]], outside[negatives])


def test_an_invertible_map_changes_in_in_but_neither_the_loss_nor_in_out():
    inside, outside = tables(0)
    pairs, negatives = np.array([[0, 1], [2, 3], [4, 0]]), np.array([[1, 2], [0, 4], [3, 2]])
    mixing = np.random.default_rng(1).normal(size=(3, 3))
    mapped = inside @ mixing, outside @ np.linalg.inv(mixing).T
    np.testing.assert_allclose(
        sgns_of(*mapped, pairs, negatives), sgns_of(inside, outside, pairs, negatives), rtol=1e-12
    )
    np.testing.assert_allclose(dot(*mapped), dot(inside, outside), rtol=1e-10)
    assert np.abs(dot(mapped[0], mapped[0]) - dot(inside, inside)).max() > 0.1


def test_swapping_pairs_and_tables_is_a_symmetry():
    inside, outside = tables(0)
    pairs = np.array([[0, 1], [2, 3], [4, 0]])
    # Without negatives the loss is of the pairs alone.
    none = np.zeros((3, 0), int)
    np.testing.assert_allclose(
        sgns_of(inside, outside, pairs, none),
        sgns_of(outside, inside, pairs[:, ::-1], none),
        rtol=1e-14,
    )


def test_the_optimum_is_shifted_pmi():
    # Exact negative sampling with noise by counts: sum_ij n_ij log s(x) + k n_i n_j / T log s(-x).
    random = np.random.default_rng(0)
    counts = random.integers(1, 20, size=(4, 4))
    counts = counts + counts.T
    rows, all_, k = counts.sum(axis=1), counts.sum(), 5

    def loss(scores):
        noise = k * rows[:, None] * rows[None] / all_
        return (counts * jax.nn.softplus(-scores) + noise * jax.nn.softplus(scores)).sum()

    optimum = np.log(counts * all_ / (rows[:, None] * rows[None])) - np.log(k)
    np.testing.assert_allclose(jax.jit(jax.grad(loss))(optimum), 0, atol=1e-10)
    # The same sum by our loss, each pair and its negatives as rows with weights.
    left, right = np.divmod(np.arange(16), 4)
    noise = rows / all_
    inside, outside = np.eye(4), optimum.T  # dim 4: any matrix of scores is a product

    def ours(inside):
        weights = counts[left, right].astype(float)
        seen = losses.sgns(
            inside[left], outside[right], jnp.zeros((16, 0, 4)), weights=weights, reduce_fn=total
        )
        drawn = [
            losses.sgns(
                inside,
                jnp.zeros((4, 4)),
                jnp.broadcast_to(outside[j], (4, 1, 4)),
                weights=k * rows * noise[j],
                reduce_fn=total,
            )
            for j in range(4)
        ]
        return seen + sum(drawn)

    def total(values, weights, axis_name):
        return (values * weights).sum()

    np.testing.assert_allclose(jax.jit(jax.grad(ours))(inside), 0, atol=1e-9)


def test_sampled_softmax_of_all_other_classes_is_the_softmax():
    random = np.random.default_rng(0)
    queries, table, bias = (
        random.normal(size=(3, 4)),
        random.normal(size=(6, 4)),
        random.normal(size=6),
    )
    own = np.array([0, 5, 2])
    others = np.array([[c for c in range(6) if c != y] for y in own])

    def full(queries):
        logits = queries @ table.T + bias
        return -jnp.mean(jax.nn.log_softmax(logits)[np.arange(3), own])

    def sampled(queries, negatives, **settings):
        return losses.sampled_softmax(
            queries,
            table[own],
            table[negatives],
            target_log_counts=np.zeros(3),
            target_bias=bias[own],
            negative_bias=bias[negatives],
            negative_log_counts=np.zeros(negatives.shape),
            **settings,
        )

    whole = jax.jit(jax.value_and_grad(full))(queries)
    for negatives, settings in (
        (others, {}),
        (np.arange(6), {"negative_where": losses.parts.not_hits(own, np.arange(6))}),
    ):
        given = functools.partial(sampled, negatives=negatives, **settings)
        found = jax.jit(jax.value_and_grad(given))(queries)
        np.testing.assert_allclose(found[0], whole[0], rtol=1e-13)
        np.testing.assert_allclose(found[1], whole[1], rtol=1e-12)


def test_an_expected_count_is_subtracted():
    loss = losses.sampled_softmax(
        jnp.ones((1, 1)),
        jnp.ones((1, 1)),
        jnp.zeros((1, 1)),
        target_log_counts=np.log([2.0]),
        negative_log_counts=np.log([4.0]),
    )
    np.testing.assert_allclose(loss, np.log((np.e / 2 + 1 / 4) / (np.e / 2)), rtol=1e-14)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contexts": np.ones((2, 3))}, r"contexts must be \[2, 2\].*got shape \(2, 3\)"),
        (
            {"negatives": np.ones((3, 4, 2))},
            r"negatives must be \[2, any, 2\].*got shape \(3, 4, 2\)",
        ),
        ({"weights": np.ones(3)}, r"weights must be \[2\]"),
        ({"negative_where": np.ones((2, 4))}, r"negative_where must be boolean"),
    ],
)
def test_shapes_that_do_not_fit_are_named(change, message):
    given = {"targets": np.ones((2, 2)), "contexts": np.ones((2, 2)), "negatives": np.ones((4, 2))}
    given |= change
    rows = [given.pop(name) for name in ("targets", "contexts", "negatives")]
    with pytest.raises(ValueError, match=message):
        losses.sgns(*rows, **given)
