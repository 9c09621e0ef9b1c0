"""What is split over devices comes together in their order, any function goes global, and a card is used as one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim.numerics import block_entries, compute_dtype, gather, gathered, mean, row_ids, total

X = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)


def spread(function, *arrays, out_axes=None):
    split = [a.reshape(8, 2, *a.shape[1:]) for a in arrays]
    return jax.pmap(function, "devices", out_axes=out_axes)(*split)


def test_gathered_rows_stand_in_the_order_of_their_ids():
    def both(x):
        return gather((x, row_ids(len(x), "devices")), "devices")

    rows, ids = spread(both, X)
    np.testing.assert_array_equal(rows, X)
    np.testing.assert_array_equal(ids, np.arange(16))


def test_without_an_axis_nothing_is_gathered():
    assert gather(X) is X
    np.testing.assert_array_equal(row_ids(3), [0, 1, 2])


def test_gathered_makes_a_function_global_with_its_gradient(float64):
    x = jnp.asarray(X, jnp.float64)
    variance = gathered(lambda x: jnp.var(x))

    def loss(scale, x, axis_name=None):
        return variance(scale**2 * x, axis_name=axis_name)

    def step(x):
        value, slope = jax.value_and_grad(loss)(1.5, x, "devices")
        return value, jax.lax.pmean(slope, "devices")

    value, slope = spread(step, x)
    expected = jax.value_and_grad(loss)(1.5, x)
    np.testing.assert_allclose([value, slope], expected, rtol=1e-13)


def test_mean_is_one_division_of_global_sums():
    weights = (np.arange(16) % 3 == 0) * np.arange(16.0, dtype=np.float32)
    values = X[:, 0]
    one = mean(values, weights)
    np.testing.assert_allclose(one, np.average(values, weights=weights), rtol=1e-5)
    many = spread(functools.partial(mean, axis_name="devices"), values, weights)
    np.testing.assert_allclose(many, one, rtol=1e-5)
    many = spread(functools.partial(total, axis_name="devices"), values, weights)
    np.testing.assert_allclose(many, (values * weights).sum(), rtol=1e-5)


def test_mean_over_nothing_is_zero_without_gradient():
    values, nothing = np.full(3, np.nan, np.float32), np.zeros(3)
    assert mean(values, nothing) == 0
    assert not jax.grad(mean)(values, nothing).any()


def test_an_axis_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="axis_name='devices' is not bound: call inside pmap"):
        gathered(jnp.sum)(X, axis_name="devices")


class Card:
    """A device of an accelerator that reports what it is given as its memory."""

    def __init__(self, stats):
        self.stats = stats

    def memory_stats(self):
        if isinstance(self.stats, Exception):
            raise self.stats
        return self.stats


@pytest.fixture
def card(monkeypatch):
    """A function that makes the default backend an accelerator of some memory."""

    def put(stats, backend="gpu"):
        monkeypatch.setattr(jax, "default_backend", lambda: backend)
        monkeypatch.setattr(jax, "local_devices", lambda: [Card(stats)])

    return put


def test_arithmetic_is_float32_on_cpu_and_bfloat16_on_accelerators(card):
    assert compute_dtype() == jnp.float32
    for backend in ("gpu", "tpu"):
        card(None, backend)
        assert compute_dtype() == jnp.bfloat16


def test_blocks_grow_with_an_accelerator_s_memory(card):
    assert block_entries(2**22) == 2**22
    card({"bytes_limit": 80 * 2**30})
    assert block_entries(2**22) == 2**28  # 1 GiB of float32
    card({"bytes_limit": 75 * 10**9})  # something else holds a part of it: the blocks stay
    assert block_entries(2**22) == 2**28
    card({"bytes_limit": 16 * 2**30})
    assert block_entries(2**22) == 2**26
    card({"bytes_limit": 2**20})
    assert block_entries(2**22) == 2**22


@pytest.mark.parametrize(
    "stats", [None, {}, {"bytes_limit": None}, {"bytes_limit": 0}, NotImplementedError("no")]
)
def test_a_device_that_does_not_report_its_memory_gets_the_least(card, stats):
    card(stats)
    assert block_entries(2**22) == 2**22


def test_blocks_may_be_chosen_inside_a_compiled_function(card):
    card({"bytes_limit": 80 * 2**30})
    sizes = []

    @jax.jit
    def traced(x):
        sizes.append(block_entries(2**22))
        return x

    traced(X)
    assert sizes == [2**28]
