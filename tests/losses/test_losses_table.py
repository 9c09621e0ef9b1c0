"""Every loss of the table: its equation, its gradient, jit, blocks, devices, awkward cases, dtypes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec
from table import ALL, CASES, DIM, LOSSES, PAIRS, ROWS, UNEVEN, X, settings_of

DEVICES = 8


def slope(f, x, step=1e-6):
    """Central differences of a float64 function."""
    steps = step * np.eye(x.size).reshape(-1, *x.shape)
    return np.reshape([f(x + d) - f(x - d) for d in steps], x.shape) / (2 * step)


@functools.cache
def jitted(name, large):
    entry = LOSSES[name]
    call = functools.partial(entry.call, **settings_of(entry, large))
    return jax.jit(jax.value_and_grad(call))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", LOSSES)
def test_value_and_gradient_are_the_equation(name, case):
    x, labels, where, large = CASES[case]
    value, gradient = jitted(name, large)(np.float32(x), labels, where)
    reference = functools.partial(LOSSES[name].reference, labels=labels, where=where, large=large)
    np.testing.assert_allclose(value, reference(np.float32(x).astype(float)), rtol=1e-5, atol=2e-6)
    if case in ("zero rows", "one zero row") and name.endswith("info_nce"):
        # The cosine has no slope at zero: the convention is 0 there, and right elsewhere.
        assert np.isfinite(gradient).all()
        assert not gradient[~x.any(axis=1)].any()
        rows = x.any(axis=1)
    else:
        rows = ALL
    expected = slope(reference, np.float32(x).astype(float), 1e-4 if large else 1e-6)
    np.testing.assert_allclose(
        gradient[rows], expected[rows], rtol=2e-4, atol=2e-5 * max(1, np.abs(expected).max())
    )


@pytest.mark.parametrize("name", LOSSES)
def test_float64_agrees_to_ten_digits(name, float64):
    entry = LOSSES[name]
    value, gradient = jax.value_and_grad(entry.call)(jnp.asarray(X), PAIRS, UNEVEN)
    reference = functools.partial(entry.reference, labels=PAIRS, where=UNEVEN, large=False)
    assert value.dtype == jnp.float64
    np.testing.assert_allclose(value, reference(X), rtol=1e-12)
    np.testing.assert_allclose(gradient, slope(reference, X), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", LOSSES)
def test_bfloat16_is_scored_in_float32(name):
    entry = LOSSES[name]
    x = jnp.asarray(X, jnp.bfloat16)
    value, gradient = jax.value_and_grad(entry.call)(x, PAIRS, UNEVEN)
    assert value.dtype == jnp.float32
    assert gradient.dtype == jnp.bfloat16
    rounded = np.asarray(x, np.float64)
    # The table's own documents are rounded to bfloat16 once more: 2^-9 relative.
    np.testing.assert_allclose(
        value, entry.reference(rounded, PAIRS, UNEVEN, False), rtol=0.02, atol=0.02
    )
    assert np.isfinite(np.asarray(gradient, np.float32)).all()


@pytest.mark.parametrize("name", [n for n, e in LOSSES.items() if e.lifted])
@pytest.mark.parametrize("block", [1, 3, 16, 99])
def test_blocks_change_nothing(name, block, float64):
    call = LOSSES[name].call
    whole = jax.value_and_grad(call)(jnp.asarray(X), PAIRS, UNEVEN)
    blocked = jax.value_and_grad(functools.partial(call, block=block))(
        jnp.asarray(X), PAIRS, UNEVEN
    )
    np.testing.assert_allclose(blocked[0], whole[0], rtol=1e-13)
    np.testing.assert_allclose(blocked[1], whole[1], rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("name", LOSSES)
def test_jit_changes_nothing(name):
    entry = LOSSES[name]
    x = np.float32(X)
    np.testing.assert_allclose(
        jitted(name, False)(x, PAIRS, UNEVEN)[1],
        jax.grad(entry.call)(x, PAIRS, UNEVEN),
        rtol=1e-5,
        atol=1e-6,
    )


WEIGHTS = np.random.default_rng(1).normal(size=(DIM, DIM))


def parameter_gradient(call, weights, x, labels, where, axis_name=None):
    """What a training step computes: the loss and its parameter gradient, averaged over devices."""

    def loss(weights):
        return call(x @ weights, labels, where, axis_name=axis_name)

    value, gradient = jax.value_and_grad(loss)(weights)
    if axis_name is not None:
        gradient = jax.lax.pmean(gradient, axis_name)
    return value, gradient


def split(a):
    return a.reshape(DEVICES, ROWS // DEVICES, *a.shape[1:])


def on_pmap(function, weights, *rows):
    mapped = jax.pmap(
        functools.partial(function, axis_name="devices"),
        "devices",
        in_axes=(None, 0, 0, 0),
        out_axes=None,
    )
    return mapped(weights, *map(split, rows))


def on_shard_map(check_vma, function, weights, *rows):
    mesh = jax.make_mesh((DEVICES,), ("devices",), axis_types=(AxisType.Auto,))
    here, spread = PartitionSpec(), PartitionSpec("devices")
    mapped = jax.shard_map(
        functools.partial(function, axis_name="devices"),
        mesh=mesh,
        in_specs=(here, spread, spread, spread),
        out_specs=here,
        check_vma=check_vma,
    )
    return jax.jit(mapped)(weights, *rows)


def on_vmap(function, weights, *rows):
    mapped = jax.vmap(
        functools.partial(function, axis_name="devices"),
        in_axes=(None, 0, 0, 0),
        axis_name="devices",
    )
    return jax.tree.map(lambda a: a[0], mapped(weights, *map(split, rows)))


WAYS = {
    "pmap": on_pmap,
    "shard_map": functools.partial(on_shard_map, True),
    "shard_map unchecked": functools.partial(on_shard_map, False),
    "vmap": on_vmap,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", LOSSES)
def test_eight_devices_give_what_one_gives(name, way, float64):
    entry = LOSSES[name]
    call = functools.partial(entry.call, block=3) if entry.lifted else entry.call
    weights = jnp.asarray(WEIGHTS)
    one = parameter_gradient(entry.call, weights, jnp.asarray(X), PAIRS, UNEVEN)
    many = WAYS[way](
        functools.partial(parameter_gradient, call),
        weights,
        jnp.asarray(X),
        jnp.asarray(PAIRS),
        jnp.asarray(UNEVEN),
    )
    np.testing.assert_allclose(many[0], one[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(many[1], one[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_eight_devices_in_float32(name):
    entry = LOSSES[name]
    rows = jnp.float32(X), jnp.asarray(PAIRS), jnp.asarray(UNEVEN)
    one = parameter_gradient(entry.call, jnp.float32(WEIGHTS), *rows)
    many = on_pmap(functools.partial(parameter_gradient, entry.call), jnp.float32(WEIGHTS), *rows)
    np.testing.assert_allclose(many[0], one[0], rtol=1e-5)
    np.testing.assert_allclose(many[1], one[1], rtol=0, atol=1e-5 * np.abs(one[1]).max())


@pytest.mark.parametrize("name", LOSSES)
def test_padding_may_hold_anything(name):
    spoiled = np.where(UNEVEN[:, None], X, np.nan).astype(np.float32)
    value, gradient = jitted(name, False)(spoiled, PAIRS, UNEVEN)
    clean, expected = jitted(name, False)(np.float32(X), PAIRS, UNEVEN)
    np.testing.assert_array_equal(value, clean)
    np.testing.assert_array_equal(gradient[UNEVEN], expected[UNEVEN])


@pytest.mark.parametrize("name", LOSSES)
def test_forward_mode_and_vmap_over_seeds(name):
    call = functools.partial(LOSSES[name].call, labels=PAIRS, where=UNEVEN)
    x = jnp.float32(X)
    direction = jnp.float32(np.random.default_rng(2).normal(size=X.shape))
    _, forward = jax.jvp(call, (x,), (direction,))
    np.testing.assert_allclose(forward, (jax.grad(call)(x) * direction).sum(), rtol=1e-4)
    np.testing.assert_allclose(
        jax.vmap(call)(jnp.stack([x, 2 * x])), [call(x), call(2 * x)], rtol=1e-5
    )
