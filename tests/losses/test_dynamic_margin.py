"""The histogram of a dynamic margin as state: its first batch, a batch of nothing, many devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from jaxsim import losses

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(2, 16, 4)).astype(np.float32)
EMPTY = np.zeros(11, np.float32)
moved = jax.jit(losses.parts.margin_histogram)


def test_the_first_batch_is_all_of_it():
    first = moved(EMPTY, X, Y, momentum=0.2)
    np.testing.assert_allclose(first.sum(), 1, rtol=1e-6)
    second = moved(first, Y, X[::-1], momentum=0.2)
    alone = moved(EMPTY, Y, X[::-1], momentum=0.2)
    np.testing.assert_allclose(second, 0.8 * first + 0.2 * alone, rtol=1e-5, atol=1e-7)


def test_a_batch_without_a_negative_changes_nothing():
    first = moved(EMPTY, X, Y)
    for rows in (0, 1):
        where = np.arange(16) < rows
        np.testing.assert_array_equal(moved(first, X, Y, where=where), first)
        np.testing.assert_array_equal(moved(EMPTY, X, Y, where=where), EMPTY)


def test_where_pairs_stand():
    """Pairs that are equal, and nearest others at a right angle: d = -sqrt(2), between two steps."""
    axes = np.eye(4, dtype=np.float32)
    place = (2 - np.sqrt(2)) / 0.4  # 1.46
    expected = np.zeros(11)
    expected[[1, 2]] = 2 - place, place - 1
    histogram = moved(EMPTY, axes, axes)
    np.testing.assert_allclose(histogram, expected, rtol=1e-5)
    loss = jax.jit(losses.dynamic_soft_margin)(axes, axes, histogram)
    np.testing.assert_allclose(loss, -np.sqrt(2) * expected[1], rtol=1e-5)


def test_it_is_one_state_on_all_devices():
    mesh = jax.make_mesh((8,), ("devices",), axis_types=(AxisType.Auto,))
    here, spread = PartitionSpec(), PartitionSpec("devices")
    mapped = jax.shard_map(
        functools.partial(losses.parts.margin_histogram, axis_name="devices"),
        mesh=mesh,
        in_specs=(here, spread, spread),
        out_specs=here,  # refused where it could differ
    )
    many = jax.jit(mapped)(jnp.asarray(EMPTY), jnp.asarray(X), jnp.asarray(Y))
    np.testing.assert_allclose(many, moved(EMPTY, X, Y), rtol=1e-6, atol=1e-7)


def test_what_it_asks_for():
    with pytest.raises(ValueError, match=r"histogram must be \[any\].*got shape \(2, 3\)"):
        losses.dynamic_soft_margin(X, Y, np.zeros((2, 3)))
    with pytest.raises(ValueError, match="momentum must be between 0 and 1, got 2"):
        losses.parts.margin_histogram(EMPTY, X, Y, momentum=2)
    with pytest.raises(ValueError, match="bins, the histogram's length less one, must be a whole"):
        losses.dynamic_soft_margin(X, Y, np.zeros(1))
