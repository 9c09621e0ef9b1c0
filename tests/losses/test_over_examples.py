"""The lifter of losses per example: one line gives a rule devices, masks and weights."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import losses, numerics
from jaxsim.numerics import masked

X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32)
WHERE = np.array([1, 1, 0, 1, 1, 0, 1, 1], bool)
WEIGHTS = np.float32([1, 2, 3, 0, 1, 1, 0.5, 1])


@losses.over_examples(axes="batch, dim", constant=["teacher"])
def error(student, teacher, *, power=2.0):
    """Errors to a power."""
    return jnp.sum(jnp.abs(student - teacher) ** power, axis=1)


@losses.over_examples(lists=True, reduce_fn=losses.reducers.focal_mean)
def top(scores, positives, where):
    chosen = where & (positives > 0)
    return masked.log_sum_exp(scores, where) - masked.log_sum_exp(scores, chosen), chosen.any(1)


def test_masks_and_weights_are_those_of_the_mean():
    counts = WHERE * WEIGHTS
    by_hand = np.sum(counts * np.sum(np.abs(X - Y) ** 3, axis=1)) / counts.sum()
    padded = np.where(WHERE[:, None], X, np.nan)
    value = error(padded, teacher=Y, where=WHERE, weights=WEIGHTS, power=3.0)
    np.testing.assert_allclose(value, by_hand, rtol=1e-6)
    values, weights = error(padded, Y, where=WHERE, reduce_fn=None)
    np.testing.assert_array_equal(weights, WHERE)
    np.testing.assert_array_equal(values[~WHERE], 0)


def test_two_devices_have_the_loss_of_the_whole_batch():
    def of_device(x, y, where):
        return error(x, y, where=where, axis_name="devices")

    halves = [a.reshape(2, 4, *a.shape[1:]) for a in (X, Y, WHERE)]
    whole = error(X, Y, where=WHERE)
    np.testing.assert_allclose(
        jax.vmap(of_device, axis_name="devices")(*halves), [whole, whole], rtol=1e-6
    )


def test_no_gradient_flows_to_what_is_constant():
    along_both = jax.grad(error, argnums=(0, 1))(X, Y)
    assert along_both[0].any()
    assert not along_both[1].any()


def test_lists_have_candidates_and_their_own_reduction():
    positives = np.float32(np.arange(3) == 0)[None] * np.ones((8, 1), np.float32)
    there = X > -1
    there[:, 0] = X[:, 0] > -0.5
    there[1] = False
    scores = np.where(there, X, np.nan)
    values, weights = top(scores, positives, candidate_where=there, reduce_fn=None)
    assert weights[1] == 0
    np.testing.assert_array_equal(weights > 0, there[:, 0])
    focal = losses.reducers.focal_mean(values, weights)
    np.testing.assert_array_equal(top(scores, positives, candidate_where=there), focal)


@losses.over_examples(lists=True)
def squared(scores, labels, where):
    """The mean over candidates, whose squared error counts twice where the label is above 0."""
    return jnp.square(scores - labels), jnp.where(where, 1 + (labels > 0), 0)


def with_its_root(values, weights, axis_name):
    """A reduction that asks for rows."""
    assert values.shape == weights.shape == (8,)
    return numerics.mean(jnp.sqrt(values), weights, axis_name)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_values_of_candidates_are_one_mean_or_those_of_rows(weights):
    there = X > -1
    there[3] = False  # a row without candidates
    scores = np.where(there & WHERE[:, None], X, np.nan)
    masks = {"candidate_where": there, "where": WHERE, "weights": weights}
    counts = (there & WHERE[:, None]) * (1.0 + (Y > 0))
    counts *= 1 if weights is None else weights[:, None]
    errors = np.square(np.float64(X) - Y)
    whole = (errors * counts).sum()
    value, slope = jax.value_and_grad(squared)(scores, Y, **masks)
    np.testing.assert_allclose(value, whole / counts.sum(), rtol=1e-6)
    by_hand = 2 * (np.float64(X) - Y) * counts / counts.sum()
    np.testing.assert_allclose(slope, by_hand, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(
        squared(scores, Y, **masks, reduce_fn=numerics.total), whole, rtol=1e-6
    )
    rows = (errors * counts).sum(axis=1) / np.maximum(counts.sum(axis=1), 1e-300)
    values, of_rows = squared(scores, Y, **masks, reduce_fn=None)
    np.testing.assert_allclose(of_rows, counts.sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(values, rows, rtol=1e-6)
    np.testing.assert_allclose(
        squared(scores, Y, **masks, reduce_fn=with_its_root),
        np.average(np.sqrt(rows), weights=counts.sum(axis=1)),
        rtol=1e-6,
    )
    scores[0, :] = np.nan
    assert np.isnan(squared(scores, Y, **masks))


def test_values_and_weights_have_one_shape():
    @losses.over_examples(lists=True)
    def mixed(scores, where):
        return scores, where.any(axis=1)

    with pytest.raises(ValueError, match=r"mixed must give .* got \(8, 3\) and \(8,\)"):
        mixed(X)


def test_a_list_without_candidates_does_not_count():
    @losses.over_examples(lists=True)
    def entropy(scores, where):
        return -masked.sum(masked.softmax(scores, where) * masked.log_softmax(scores, where), where)

    there = np.ones_like(X, bool)
    there[3] = False
    values, weights = entropy(X, candidate_where=there, reduce_fn=None)
    np.testing.assert_array_equal(weights, np.arange(8) != 3)
    np.testing.assert_allclose(entropy(X, candidate_where=there), values.sum() / 7, rtol=1e-6)


def test_the_signature_is_that_of_the_arrays_the_rule_and_the_lifter():
    assert list(inspect.signature(error).parameters) == [
        *("student", "teacher", "power", "where", "weights", "axis_name", "reduce_fn")
    ]
    assert "candidate_where" in inspect.signature(top).parameters
    assert inspect.getdoc(error).startswith("Errors to a power.\n\nWhat every loss over examples")
    assert error.rule(X, Y, power=1.0).shape == (8,)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: error(X), TypeError, "error: missing a required argument: 'teacher'"),
        (lambda: error(X, Y, margin=1), TypeError, "error: got an unexpected .* 'margin'"),
        (lambda: error(X, Y, power="two"), ValueError, "power must be a number, got 'two'"),
        (lambda: error(X, Y[:4]), ValueError, r"teacher must be \[8, 3\], the shape of student"),
        (lambda: error(X[0], Y), ValueError, r"student must be \[batch, dim\], got shape"),
        (lambda: error(X, Y, where=WHERE[:4]), ValueError, r"where must be \[8\]"),
    ],
)
def test_what_does_not_fit_is_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_arrays_of_other_axes_and_places():
    axes = {"pairs": "batch, 2", "logits": "batch, classes"}

    @losses.over_examples(axes=axes, places={"labels": "logits"})
    def loss(pairs, logits, labels):
        return pairs.sum(axis=1) + jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]

    labels = np.arange(8) % 3
    expected = X[:, :2].sum(axis=1) + Y[np.arange(8), labels]
    np.testing.assert_allclose(loss(X[:, :2], Y, labels), expected.mean(), rtol=1e-6)
    with pytest.raises(ValueError, match="labels must be from 0 to 2, got 3"):
        loss(X[:, :2], Y, labels + 1)
    with pytest.raises(ValueError, match=r"pairs must be \[8, 2\]"):
        loss(X, Y, labels)
    with pytest.raises(ValueError, match=r"logits must be \[8, any\], one row per row of pairs"):
        loss(X[:, :2], Y[:4], labels)
    assert np.isnan(jax.jit(loss)(X[:, :2], Y, labels + 1))
    assert np.isfinite(jax.jit(loss)(X[:, :2], Y, labels + 1, where=labels < 2))
