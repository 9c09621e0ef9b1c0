"""The checks of DefSent+: entry embeddings, the frozen classifier, synonyms, whitening, pooling, stages."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.workbench.networks import entries
from jaxsim import analysis, encoders, evaluation, losses

P = np.array([[1.0, -1.0], [0.0, 2.0]])
W, B = np.array([[1.0, 0.5], [-0.5, 1.0]]), np.array([0.1, -0.2])
E, Y = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]), np.array([0, 1])
FROZEN = losses.frozen_class_cross_entropy
CASES = {
    "tanh": (
        jnp.tanh,
        [[0.5370495670, -0.9354090706], [0.8004990218, 0.9468060128]],
        0.7000821521,
        [[-0.324304592, -0.186007604], [0.087435091, 0.010238006]],
    ),
    "gelu": (
        encoders.gelu,
        [[0.4354481293, -0.0757612867], [0.9507673330, 1.7353254256]],
        0.5513001858,
        [[-0.337001594, -0.173709662], [0.257494759, -0.097426548]],
    ),
}


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


@functools.cache
def of_vectors(block=None):
    """The loss and its gradients by embeddings and table, jitted once for each block."""
    loss = functools.partial(FROZEN, block=block)
    return jax.jit(jax.value_and_grad(lambda s, e, y: loss(s, y, e), argnums=(0, 1)))


@jax.jit
def value_of(s, y, table, class_labels=None):
    """The loss alone."""
    return FROZEN(s, y, table, class_labels=class_labels)


def test_entries_are_the_means_of_their_definitions():
    vectors = np.array([[1.0, 0.0], [0.0, 3.0], [2.0, 0.0]])
    found = entries.entry_embeddings(vectors, np.array([0, 0, 1]), 2)
    np.testing.assert_array_equal(found, [[0.5, 1.5], [2.0, 0.0]])
    with pytest.raises(ValueError, match="entry must name every entry, got none of 1"):
        entries.entry_embeddings(vectors, np.array([0, 0, 2]), 3)


@pytest.mark.parametrize("name", CASES)
def test_the_projection_and_the_loss_by_hand(name):
    activation, projected, value, slope = CASES[name]
    head = encoders.DenseHead(2, activation)
    params = {"params": {"linear": {"kernel": jnp.asarray(W.T), "bias": jnp.asarray(B)}}}

    def project(p):  # as DenseHead does in float32
        return activation(p @ W.T + B)

    np.testing.assert_allclose(project(P), projected, atol=1e-9)
    np.testing.assert_allclose(jax.jit(head.apply)(params, P), projected, atol=1e-6)
    loss, gradient = jax.jit(jax.value_and_grad(lambda p: FROZEN(project(p), Y, E)))(P)
    np.testing.assert_allclose(loss, value, atol=1e-9)
    np.testing.assert_allclose(gradient, slope, atol=1e-9)


def test_the_table_is_frozen():
    _, (_, of_table) = of_vectors()(P, E, Y)
    np.testing.assert_array_equal(of_table, 0)


def test_a_vector_added_to_every_entry_changes_nothing():
    value, (slope, _) = of_vectors()(P, E, Y)
    shifted, (slope_shifted, _) = of_vectors()(P, E + np.array([3.0, -7.0]), Y)
    np.testing.assert_allclose(shifted, value, rtol=1e-12)
    np.testing.assert_allclose(slope_shifted, slope, atol=1e-12)


def test_the_order_of_entries_does_not_matter():
    value, (slope, _) = of_vectors()(P, E, Y)
    turned, (slope_turned, _) = of_vectors()(P, E[[2, 0, 1]], np.array([1, 2]))
    np.testing.assert_allclose(turned, value, rtol=1e-14)
    np.testing.assert_allclose(slope_turned, slope, rtol=1e-13)


def test_synonyms_that_are_not_merged_put_a_floor_under_the_loss():
    s, table = np.array([[2.0, 0.0]]), np.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    one = np.zeros(1, np.int32)
    assert value_of(s, one, table) == pytest.approx(np.log(2 + np.exp(-4)), abs=1e-12)
    assert value_of(s, one, table) == pytest.approx(0.7022633214, abs=1e-10)
    both = value_of(s, one, table, np.array([0, 0, 1]))
    assert both == pytest.approx(0.0091161409, abs=1e-10)
    merged = entries.merge_identical(table)
    np.testing.assert_array_equal(merged.table, [[1.0, 0.0], [-1.0, 0.0]])
    np.testing.assert_array_equal(merged.place, [0, 0, 1])
    assert value_of(s, one, merged.table) == pytest.approx(0.0181499279, abs=1e-10)


def test_the_floor_is_the_log_of_the_number_of_copies():
    for copies in (2, 34):
        rows = np.concatenate([np.tile(E[:1], (copies, 1)), E[1:]])
        for scale in (0.1, 1.0, 100.0):
            value = value_of(scale * E[:1], np.zeros(1, np.int32), rows)
            assert value >= np.log(copies)


def test_zero_costs_the_log_of_the_number_of_entries():
    table = np.random.default_rng(0).normal(size=(37, 4))
    zero = value_of(np.zeros((3, 4)), np.array([0, 5, 36]), table)
    assert zero == pytest.approx(np.log(37), rel=1e-14)


def test_blocks_agree_with_the_whole():
    random = np.random.default_rng(1)
    s, table, y = random.normal(size=(7, 4)), random.normal(size=(23, 4)), np.arange(7) * 3
    value, (slope, _) = of_vectors()(s, table, y)
    for block in (3, 7):
        again, (slope_again, _) = of_vectors(block)(s, table, y)
        np.testing.assert_allclose(again, value, rtol=1e-12)
        np.testing.assert_allclose(slope_again, slope, atol=1e-12)


def test_logits_of_thousands_are_finite_in_float32():
    random = np.random.default_rng(2)
    table = np.float32(100 * random.normal(size=(50, 16)))  # as after ICA times 100
    s = np.float32(random.normal(size=(6, 16)))
    value, (slope, _) = of_vectors()(s, table, np.arange(6))
    assert value.dtype == np.float32
    exact = np.asarray(s, float) @ np.asarray(table, float).T
    right = exact[np.arange(6), np.arange(6)]
    expected = np.mean(np.logaddexp.reduce(exact, axis=1) - right)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert np.isfinite(slope).all()


def test_a_target_beyond_the_first_ten_has_no_reciprocal_rank():
    ids = np.arange(12)[None].repeat(3, axis=0)
    values, _ = evaluation.reciprocal_rank(ids, np.array([[9], [10], [0]]), k=10, reduce_fn=None)
    np.testing.assert_allclose(values, [0.1, 0, 1], rtol=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_whitening_has_the_covariance_it_says(scale):
    random = np.random.default_rng(3)
    x = random.laplace(size=(500, 3)) @ random.normal(size=(3, 3)) + 2
    rows = {}
    for name in ("pca", "zca", "ica"):
        y = np.asarray(getattr(analysis, f"whiten_{name}")(x, scale=scale)(x))
        np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-9 * scale)
        np.testing.assert_allclose(np.cov(y.T, ddof=0), scale**2 * np.eye(3), atol=1e-7 * scale**2)
        rows[name] = y / scale
    rotation = rows["pca"].T @ rows["ica"] / len(x)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-8)
    np.testing.assert_allclose(rows["pca"] @ rotation, rows["ica"], atol=1e-7)


def test_masked_places_never_matter_in_any_pooling():
    random = np.random.default_rng(4)
    states, where = random.normal(size=(2, 5, 3)), np.arange(5) < np.array([[5], [2]])
    spoiled = np.where(where[..., None], states, 1e9)
    for pooling in (encoders.mean, encoders.largest, encoders.cls, encoders.last):
        found = [np.asarray(pooling(one, where)) for one in (states, spoiled)]
        np.testing.assert_array_equal(*found)
    sums = encoders.mean(states, where) * where.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(sums[1], states[1, :2].sum(axis=0), rtol=1e-6)


def test_marked_pooling_raises_unless_there_is_exactly_one_marker():
    tokens = np.array([[2, 9, 4, 3], [2, 4, 4, 3], [2, 9, 9, 3]])
    where = np.ones_like(tokens, bool)
    texts = encoders.with_marker({"tokens": tokens[:1], "where": where[:1]}, marker=4)
    states = np.arange(12.0).reshape(1, 4, 3)
    np.testing.assert_array_equal(encoders.marked(states, texts["pooled"]), states[:, 2])
    for row, count in ((1, 2), (2, 0)):
        with pytest.raises(ValueError, match=f"exactly one token of marker 4 per row, got {count}"):
            encoders.with_marker({"tokens": tokens[[0, row]], "where": where[:2]}, marker=4)
