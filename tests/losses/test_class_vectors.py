"""What the table does not see: class vectors that have met, errors, and slopes along hyperparameters."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from at_once import at_once
from table import ALL, PAIRS, X

from jaxsim import losses
from jaxsim.similarity import cosine, dot

LABELS = np.arange(16, dtype=np.int32) // 4


def value_and_gradient(loss, vectors):
    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.asarray(vectors, jnp.float32))
    assert np.isfinite(gradient).all()
    return value, gradient


def test_centers_that_have_met_stay_together():
    alike = np.repeat(X[:5, None], 3, axis=1)
    value, gradient = value_and_gradient(losses.sparse_centers, alike)
    assert value == 0
    assert not np.any(gradient)
    parted = alike.copy()
    parted[0, 2] = -parted[0, 2]  # two of the fifteen pairs are 2 apart
    value, gradient = value_and_gradient(losses.sparse_centers, parted)
    np.testing.assert_allclose(value, 2 * 2 / 15 / 2, rtol=1e-6)
    assert not np.any(gradient[1:])


def test_one_center_or_class_has_no_other():
    for loss, vectors in (
        (losses.sparse_centers, X[:, None]),
        (losses.regular_face, X[:1]),
        (losses.center_invariant, X[:1]),
    ):
        value, gradient = value_and_gradient(loss, vectors)
        assert value == 0
        assert not np.any(gradient)


@pytest.mark.parametrize("loss", [losses.regular_face, losses.center_invariant])
def test_class_vectors_of_zero(loss):
    value, gradient = value_and_gradient(loss, 0 * X)
    assert value == 0
    assert not np.any(gradient)


def test_nearest_classes_in_blocks():
    whole, in_blocks = (at_once(losses.regular_face, X, block=block) for block in (None, 3))
    np.testing.assert_allclose(in_blocks, whole, rtol=1e-6)


def test_centers_of_one_shape_are_asked_for():
    for loss in (losses.soft_triple, losses.sub_center_arcface):
        with pytest.raises(ValueError, match=r"centers must be \[any, any, any\].*\(16, 4\)"):
            loss(X, PAIRS, X)
    with pytest.raises(ValueError, match="labels must be integers"):
        losses.p2s_grad(X, PAIRS / 2, X)
    with pytest.raises(ValueError, match=r"texts must be \[16, 4\].*got shape \(3, 4\)"):
        losses.instance(X, X[:3], PAIRS, X)
    with pytest.raises(ValueError, match="margin must be a whole number"):
        losses.large_margin_softmax(X, PAIRS, X, margin=2.5)


def test_both_sides_of_an_instance_come_apart():
    sides = at_once(losses.instance, X, 2 * X, PAIRS, X, reduce_fn=None)
    assert [[a.shape for a in side] for side in sides] == [[(16,), (16,)]] * 2
    total = sum(np.mean(values) for values, _ in sides)
    np.testing.assert_allclose(at_once(losses.instance, X, 2 * X, PAIRS, X), total, rtol=1e-6)


@pytest.mark.parametrize(
    ("loss", "name", "at"),
    [(losses.angular, "alpha", 40.0), (losses.pnp_ib, "b", 2.0), (losses.pnp_dq, "alpha", 1.5)],
)
def test_hyperparameters_may_be_learned(loss, name, at, float64):
    f = jax.jit(jax.value_and_grad(lambda a: loss(X, LABELS, where=ALL, **{name: a})))
    _, slope = f(at)
    step = 1e-5 * at
    expected = (f(at + step)[0] - f(at - step)[0]) / (2 * step)
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


def test_a_positive_behind_no_negative_costs_nothing():
    """Two tight classes far apart: what is left of the sigmoids is exp(-200)."""
    x = np.repeat(np.eye(2, 4), 8, axis=0) + 1e-3 * X
    labels = np.repeat(np.arange(2), 8)
    pnp = jax.jit(losses.pnp)
    assert pnp(x, labels) < 1e-20
    assert pnp(x, np.arange(16) % 2) > 1


@pytest.mark.parametrize(
    "loss", [losses.angular, losses.pnp_dq, losses.smooth_ap, losses.triplet, losses.n_pairs]
)
def test_walks_of_no_rows(loss):
    nothing = np.zeros((0, 4), np.float32), np.zeros(0, int)
    value, gradient = at_once(jax.value_and_grad(loss), *nothing)
    assert value == 0
    assert gradient.shape == (0, 4)


def test_the_lifter_of_classes_shows_every_argument_and_names_those_it_lacks():
    names = list(inspect.signature(losses.soft_triple).parameters)
    assert names[:6] == [
        *("embeddings", "labels", "centers"),
        *("margin", "temperature", "center_temperature"),
    ]
    assert {"similarity", "where", "weights", "axis_name", "block", "reduce_fn"} == set(names[6:])
    for name in names:
        assert f"{name}:" in losses.soft_triple.__doc__, name
    with pytest.raises(
        TypeError, match="soft_triple has no argument 'scale'; its rule takes margin"
    ):
        losses.soft_triple(X, PAIRS, X[:, None], scale=1.0)


def test_a_hyperparameter_of_the_default_similarity_reaches_it():
    centers = np.stack([X, X[::-1]], axis=1)
    near = losses.soft_triple(X, PAIRS, centers, center_temperature=1e-4, margin=0.0)
    nearest = losses.sub_center_arcface(X, PAIRS, centers, margin=0.0, temperature=1 / 20)
    np.testing.assert_allclose(near, nearest, rtol=1e-4)
    assert abs(losses.soft_triple(X, PAIRS, centers, margin=0.0) - nearest) > 1e-2


def test_a_rule_over_labels_is_a_rule_over_classes():
    proxies = np.float32(X[:8])
    lifted = losses.over_classes(losses.nca.rule)
    expected = losses.nca(
        X, PAIRS, references=proxies, reference_labels=np.arange(8), similarity=cosine
    )
    np.testing.assert_allclose(lifted(X, PAIRS, proxies), expected, rtol=1e-6)


def test_a_hyperparameter_of_the_default_similarity_is_refused_with_another_one():
    with pytest.raises(ValueError, match="center_temperature is of soft_triple's own similarity"):
        losses.soft_triple(X, PAIRS, X[:, None], similarity=dot, center_temperature=1.0)


def test_a_missing_array_is_named_with_the_loss():
    with pytest.raises(TypeError, match="arcface: missing a required argument: 'class_weights'"):
        losses.arcface(X, PAIRS)
