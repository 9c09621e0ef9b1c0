"""Every loss of the table: its equation, its gradient, jit, blocks, devices, awkward cases, dtypes.

The quick tier has the equation, its gradient, the awkward cases and the padding of every loss, from one
program each; and everything of one loss of each kind. The thorough tier has everything of every loss.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec
from table import CASES, DIM, LOSSES, PAIRS, ROWS, UNEVEN, X, settings_of
from tiers import OF_EACH_KIND, parameters

DEVICES = 8


def by_loss(test, quick=tuple(LOSSES)):
    """A test of every loss; the tests of one loss share a process, and so its compilations."""
    return pytest.mark.parametrize("name", parameters(LOSSES, quick, "loss"))(test)


def by_kind(test):
    """A test of every loss, in the quick tier of one of each kind: it compiles another program."""
    return by_loss(test, OF_EACH_KIND)


def slopes(f, x, step=1e-6, places=slice(None)):
    """One-sided differences of a float64 function at places of the flat x: (backward, forward).

    They differ at a kink.
    """
    here = f(x)
    steps = step * np.eye(x.size)[places].reshape(-1, *x.shape)
    forward = np.array([f(x + d) - here for d in steps]) / step
    backward = np.array([here - f(x - d) for d in steps]) / step
    return backward, forward


def assert_is_a_slope(gradient, backward, forward, rtol, atol):
    """The gradient, or at a kink (equal scores, a hinge's edge) any value between both slopes."""
    middle, reach = (forward + backward) / 2, np.abs(forward - backward) / 2
    error = np.maximum(np.abs(gradient - middle) - reach, 0)
    assert np.isfinite(gradient).all()
    worst = np.max(error - rtol * np.abs(middle) - atol)
    assert worst <= 0, f"off by {np.max(error)} where slopes reach {np.abs(middle).max()}"


def reference_at(entry, x, labels, where, large):
    """The reference as a function of x alone, for differences around this x."""
    held = {"at": x} if entry.held else {}
    return functools.partial(entry.reference, labels=labels, where=where, large=large, **held)


def jitted(name, large):
    """Of scores that are large in another similarity, where the loss takes one."""
    return compiled(name, large and LOSSES[name].lifted)


@functools.cache
def compiled(name, large):
    entry = LOSSES[name]
    call = functools.partial(entry.call, **settings_of(entry, large))
    return jax.jit(jax.value_and_grad(call))


@by_loss
@pytest.mark.parametrize("case", CASES)
def test_value_and_gradient_are_the_equation(name, case):
    x, labels, where, large = CASES[case]
    entry, x = LOSSES[name], np.float32(x)
    value, gradient = jitted(name, large)(x, labels, where)
    reference = reference_at(entry, x.astype(float), labels, where, large)
    exact = reference(x.astype(float))
    np.testing.assert_allclose(value, exact, rtol=1e-5, atol=4e-6)
    # Loops in Python are slow: everywhere in the first case, elsewhere at a part that meets every column.
    places = slice(0, None, {"ordinary": 1, "uneven padding": 3}.get(case, 7))
    backward, forward = slopes(reference, x.astype(float), 1e-4 if large else 1e-6, places)
    gradient = np.asarray(gradient)
    assert np.isfinite(gradient).all()
    if entry.unit and not large:
        # The cosine has no slope at zero: the convention is 0 there, and right elsewhere.
        zero = ~x.any(axis=1)
        assert not gradient[zero].any()
        chosen = np.repeat(zero, DIM)[places]
        backward[chosen] = forward[chosen] = 0
    largest = max(1, np.abs(forward).max(), np.abs(backward).max())
    gradient = gradient.ravel()[places]
    assert_is_a_slope(gradient, backward, forward, rtol=2e-4, atol=4e-5 * largest)


@functools.cache
def double(name):
    """(weights, x) -> value, gradient of both; in float64, on one device, whole."""

    def loss(weights, x):
        return LOSSES[name].call(x @ weights, PAIRS, UNEVEN)

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))


@by_kind
def test_float64_agrees_to_twelve_digits(name, float64):
    value, (_, gradient) = double(name)(jnp.eye(DIM), jnp.asarray(X))
    reference = reference_at(LOSSES[name], X, PAIRS, UNEVEN, False)
    assert value.dtype == jnp.float64
    np.testing.assert_allclose(value, reference(X), rtol=1e-11)
    gradient = np.asarray(gradient)[::2]  # half of the rows, as the loops are slow
    backward, forward = slopes(reference, X, places=np.arange(X.size).reshape(X.shape)[::2].ravel())
    assert_is_a_slope(gradient.ravel(), backward, forward, rtol=1e-5, atol=1e-7)


@by_kind
def test_bfloat16_is_scored_in_float32(name):
    entry = LOSSES[name]
    x = jnp.asarray(X, jnp.bfloat16)
    value = jax.jit(entry.call)(x, PAIRS, UNEVEN)
    assert value.dtype == jnp.float32
    assert jax.eval_shape(jax.grad(entry.call), x, PAIRS, UNEVEN).dtype == jnp.bfloat16
    # The table's own documents are rounded to bfloat16 once more: 2^-9 relative.
    x = np.asarray(x, np.float64)
    expected = reference_at(entry, x, PAIRS, UNEVEN, False)(x)
    np.testing.assert_allclose(value, expected, rtol=0.03, atol=0.03)


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


WEIGHTS_AND_ROWS = WEIGHTS, X, PAIRS, UNEVEN


@by_kind
def test_eight_devices_in_blocks_give_what_one_gives_whole(name, float64):
    entry = LOSSES[name]
    # Two rows on each device, so that a block of one is half of them.
    call = functools.partial(entry.call, block=1) if entry.lifted else entry.call
    value, (gradient, _) = double(name)(jnp.asarray(WEIGHTS), jnp.asarray(X))
    many = on_pmap(functools.partial(parameter_gradient, call), *map(jnp.asarray, WEIGHTS_AND_ROWS))
    np.testing.assert_allclose(many[0], value, rtol=1e-12, atol=1e-12)
    largest = max(1, np.abs(gradient).max())
    np.testing.assert_allclose(many[1], gradient, rtol=0, atol=1e-12 * largest)


@by_kind
def test_shard_map_accepts_it_and_so_do_forward_mode_and_vmap(name):
    """Traced, not compiled: these fail while tracing, if at all; `OF_EACH_KIND` holds the numbers."""
    entry = LOSSES[name]
    call = functools.partial(entry.call, block=1) if entry.lifted else entry.call
    rows = [jnp.asarray(a) for a in WEIGHTS_AND_ROWS]
    mapped = functools.partial(on_shard_map, True, functools.partial(parameter_gradient, call))
    value, gradient = jax.eval_shape(mapped, *rows)
    assert (value.shape, gradient.shape) == ((), (DIM, DIM))

    def alone(x):
        return entry.call(x, PAIRS, UNEVEN)

    x = jnp.float32(X)
    assert jax.eval_shape(lambda x: jax.jvp(alone, (x,), (x,)), x)[1].shape == ()
    assert jax.eval_shape(jax.vmap(alone), jnp.stack([x, x])).shape == (2,)


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_jit_changes_nothing(name):
    """Of each kind, for it is op by op that compiling takes longest."""
    x = np.float32(X)
    value, gradient = jax.value_and_grad(LOSSES[name].call)(x, PAIRS, UNEVEN)
    jitted_value, slope = jitted(name, False)(x, PAIRS, UNEVEN)
    np.testing.assert_allclose(jitted_value, value, rtol=1e-5, atol=1e-6)
    largest = max(1, np.abs(gradient).max())
    np.testing.assert_allclose(slope, gradient, rtol=1e-5, atol=2e-6 * largest)


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_a_bfloat16_gradient_is_near(name):
    x = jnp.asarray(X, jnp.bfloat16)
    gradient = np.float32(jax.jit(jax.grad(LOSSES[name].call))(x, PAIRS, UNEVEN))
    _, exact = jitted(name, False)(np.float32(x), PAIRS, UNEVEN)
    np.testing.assert_allclose(gradient, exact, rtol=0, atol=0.03 * np.abs(exact).max())


@pytest.mark.parametrize("check_vma", [True, False])
@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_shard_map_gives_what_one_device_gives(name, check_vma, float64):
    value, (gradient, _) = double(name)(jnp.asarray(WEIGHTS), jnp.asarray(X))
    call = functools.partial(parameter_gradient, LOSSES[name].call)
    many = on_shard_map(check_vma, call, *map(jnp.asarray, WEIGHTS_AND_ROWS))
    np.testing.assert_allclose(many[0], value, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        many[1], gradient, rtol=0, atol=1e-12 * max(1, np.abs(gradient).max())
    )


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_eight_devices_in_float32(name):
    call = functools.partial(parameter_gradient, LOSSES[name].call)
    rows = jnp.float32(X), jnp.asarray(PAIRS), jnp.asarray(UNEVEN)
    one = jax.jit(call)(jnp.float32(WEIGHTS), *rows)
    many = on_pmap(call, jnp.float32(WEIGHTS), *rows)
    np.testing.assert_allclose(many[0], one[0], rtol=1e-5)
    np.testing.assert_allclose(many[1], one[1], rtol=0, atol=1e-5 * np.abs(one[1]).max())


@by_loss
def test_padding_may_hold_anything(name):
    spoiled = np.where(UNEVEN[:, None], X, np.nan).astype(np.float32)
    value, gradient = jitted(name, False)(spoiled, PAIRS, UNEVEN)
    clean, expected = jitted(name, False)(np.float32(X), PAIRS, UNEVEN)
    np.testing.assert_array_equal(value, clean)
    np.testing.assert_array_equal(gradient[UNEVEN], expected[UNEVEN])


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_forward_mode_and_vmap_over_seeds(name):
    call = functools.partial(LOSSES[name].call, labels=PAIRS, where=UNEVEN)
    x = jnp.float32(X)
    direction = jnp.float32(np.random.default_rng(2).normal(size=X.shape))
    value, gradient = jitted(name, False)(x, PAIRS, UNEVEN)
    _, forward = jax.jit(lambda x: jax.jvp(call, (x,), (direction,)))(x)
    along = (gradient * direction).sum()
    np.testing.assert_allclose(forward, along, rtol=1e-4, atol=1e-5 * np.abs(gradient).max())
    twice = jax.jit(jax.vmap(call))(jnp.stack([x, 2 * x]))
    np.testing.assert_allclose(
        twice, [value, jitted(name, False)(2 * x, PAIRS, UNEVEN)[0]], rtol=1e-5, atol=1e-6
    )
