"""Every number of the method's checks: bits, sampled softmax, Hamming distances, expected ties."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import data, evaluation, losses, search, similarity
from jaxsim.numerics import relaxations


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


RANDOM = np.random.default_rng(0)
OUT = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 1.0]])


def full_softmax(hidden, table, bias, target):
    logits = hidden @ table.T + bias
    return -jnp.mean(jax.nn.log_softmax(logits)[np.arange(len(target)), target])


def sampled(loss, hidden, table, bias, target, negatives, **settings):
    """A loss of words over these negatives, whose counts are equal; hits are left out."""
    return loss(
        hidden,
        table[target],
        table[negatives],
        target_bias=bias[target],
        negative_bias=bias[negatives],
        target_log_counts=np.zeros(len(target)),
        negative_log_counts=np.zeros(len(negatives)),
        negative_where=losses.parts.not_hits(target, negatives),
        **settings,
    )


def test_bits_and_their_slopes():
    x = np.array([-2, -0.1, 0.1, 3])
    np.testing.assert_array_equal(relaxations.binarize(x), [0, 0, 1, 1])
    s = [0.11920292, 0.47502081, 0.52497919, 0.95257413]
    np.testing.assert_allclose(jax.nn.sigmoid(x), s, atol=5e-9)
    slope = jax.grad(lambda x: relaxations.binarize(x).sum())(x)
    expected = [0.10499359, 0.24937604, 0.24937604, 0.04517666]
    np.testing.assert_allclose(slope, expected, atol=5e-9)
    assert relaxations.binarize(np.zeros(1))[0] == 0


@pytest.mark.thorough
def test_loss_and_slopes_by_hand():
    hidden, target, bias = np.array([[1.0, 0.0]]), np.array([2]), np.zeros(3)
    value, slope = jax.value_and_grad(full_softmax)(hidden, OUT, bias, target)
    np.testing.assert_allclose(value, 2.4076059644443806, rtol=1e-14)
    np.testing.assert_allclose(slope, [[1.57521038, -0.66524096]], atol=5e-9)

    def of_documents(documents):
        return sampled(losses.binary_pv_dbow, documents, OUT, bias, target, np.arange(3))

    value, slope = jax.value_and_grad(of_documents)(np.array([[0.4, -0.3]]))
    np.testing.assert_allclose(value, 2.4076059644443806, rtol=1e-14)
    np.testing.assert_allclose(slope, [[0.37846122, -0.16262368]], atol=5e-9)


def test_log_uniform():
    p = np.exp(data.negatives.log_uniform(1000))
    wanted = [0.10032881506161208, 0.058688594552831014, 0.0001446715602174942]
    np.testing.assert_allclose(p[[0, 1, 999]], wanted, rtol=1e-12)
    np.testing.assert_allclose(p.sum(), 1, rtol=1e-12)


@pytest.mark.thorough
def test_all_other_classes_are_the_full_softmax():
    table, bias = RANDOM.normal(size=(7, 4)), RANDOM.normal(size=7)
    documents, target = RANDOM.normal(size=(5, 4)), np.array([0, 6, 2, 2, 4])

    def whole(documents, table, bias):
        return full_softmax(relaxations.binarize(documents), table, bias, target)

    def of_all(documents, table, bias):
        return sampled(losses.binary_pv_dbow, documents, table, bias, target, np.arange(7))

    for ours, theirs in zip(
        *(jax.value_and_grad(f, (0, 1, 2))(documents, table, bias) for f in (of_all, whole)),
        strict=True,
    ):
        for mine, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-12, atol=1e-15)


def test_a_flipped_bit_leaves_logits_unchanged():
    hidden = (RANDOM.random((6, 5)) < 0.5).astype(float)
    table, bias = RANDOM.normal(size=(9, 5)), RANDOM.normal(size=9)
    flipped, turned = hidden.copy(), table.copy()
    flipped[:, 2], turned[:, 2] = 1 - hidden[:, 2], -table[:, 2]
    logits = flipped @ turned.T + bias + table[:, 2]
    np.testing.assert_allclose(logits, hidden @ table.T + bias, rtol=1e-12, atol=1e-14)


def test_packed_hamming_is_that_of_floats():
    a, b = RANDOM.random((4, 70)) < 0.5, RANDOM.random((6, 70)) < 0.5
    packed = -similarity.negative_hamming(similarity.pack(a), similarity.pack(b))
    x, y = a.astype(float), b.astype(float)
    np.testing.assert_array_equal(packed, x @ (1 - y).T + (1 - x) @ y.T)
    own = -similarity.negative_hamming(similarity.pack(a), similarity.pack(a))
    assert np.diag(own).tolist() == [0] * 4
    complement = -similarity.negative_hamming(similarity.pack(a), similarity.pack(~a))
    assert np.diag(complement).tolist() == [70] * 4


@pytest.mark.parametrize("relevant", [1, 2, 3])
def test_expected_map_of_ties_is_the_mean_over_permutations(relevant):
    values = []
    for order in itertools.permutations(range(5)):
        ranks = sorted(order.index(item) + 1 for item in range(relevant))
        values.append(np.mean([number / rank for number, rank in enumerate(ranks, 1)]))
    mask = (np.arange(5) < relevant)[None]
    value = evaluation.score_average_precision(np.zeros((1, 5)), mask, ties="expected")
    np.testing.assert_allclose(value, np.mean(values), rtol=1e-6)
    if relevant == 1:
        np.testing.assert_allclose(value, np.sum(1 / np.arange(1, 6)) / 5, rtol=1e-6)


@pytest.mark.thorough
def test_real_binary_is_binary_of_the_projection():
    """One document row, its projection: the bits' gradient reaches both."""
    documents, projection = RANDOM.normal(size=(5, 6)), RANDOM.normal(size=(6, 4))
    table, bias = RANDOM.normal(size=(7, 4)), RANDOM.normal(size=7)
    target, shift = np.array([0, 6, 2, 2, 4]), RANDOM.normal(size=4)

    def joint(documents, projection):
        def loss(hidden, *rows, **settings):
            return losses.real_binary_pv_dbow(
                hidden, projection, *rows, projection_bias=shift, **settings
            )

        return sampled(loss, documents, table, bias, target, np.arange(7))

    def two_steps(documents, projection):
        before = documents @ projection + shift
        return sampled(losses.binary_pv_dbow, before, table, bias, target, np.arange(7))

    ours, theirs = (
        jax.value_and_grad(f, (0, 1))(documents, projection) for f in (joint, two_steps)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11), ours, theirs)


def test_filter_then_rank_takes_what_lies_within_the_radius():
    bits, vectors = RANDOM.random((20, 28)) < 0.5, RANDOM.normal(size=(20, 8))
    codes = similarity.pack(bits)
    _, ids = search.within_radius(vectors, codes, vectors, codes, 20, radius=0)
    np.testing.assert_array_equal(ids[:, 0], np.arange(20))
    assert (np.asarray(ids[:, 1:]) == -1).all()
