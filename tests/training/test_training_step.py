"""One step: the same numbers on one device and on eight, however it is spread; the check of objectives."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, PartitionSpec

from jaxsim import losses
from jaxsim.numerics import mean
from jaxsim.training._objective import check_objective
from jaxsim.training._step import Carry, make_step

RANDOM = np.random.default_rng(0)
BATCH = {
    "x": RANDOM.normal(size=(16, 5)),
    "labels": np.arange(16) // 2,
    "where": RANDOM.random(16) < 0.7,
    "ids": np.arange(16),
}
WEIGHTS = RANDOM.normal(size=(5, 3))


def objective(params, batch, *, key, axis_name):
    """A pairwise loss of embeddings, with a metric."""
    embeddings = jnp.tanh(batch["x"] @ params["w"])
    loss = losses.nca(embeddings, batch["labels"], where=batch["where"], axis_name=axis_name)
    return loss, {"norm": jnp.sum(params["w"] ** 2)}


def carry_of(optimizer, dtype, state=None):
    params = {"w": jnp.asarray(WEIGHTS, dtype)}
    return Carry(params, optimizer.init(params), state, jnp.int32(0), jnp.asarray(True))


def batch_of(dtype, devices):
    columns = {n: a.astype(dtype) if n == "x" else a for n, a in BATCH.items()}
    return {n: a.reshape(devices, 16 // devices, *a.shape[1:]) for n, a in columns.items()}


def on_devices(step, devices):
    return jax.pmap(step, "devices", in_axes=(None, 0, None), out_axes=None, devices=devices)


def pmapped(step, devices):
    return on_devices(step, jax.devices()[:devices])


def shard_mapped(check_vma, step, devices):
    mesh = jax.make_mesh((devices,), ("devices",), axis_types=(AxisType.Auto,))
    here, split = PartitionSpec(), PartitionSpec("devices")

    def local(carry, batch, key):
        return step(carry, jax.tree.map(lambda a: a[0], batch), key)

    mapped = jax.shard_map(
        local, mesh=mesh, in_specs=(here, split, here), out_specs=here, check_vma=check_vma
    )
    return jax.jit(mapped)


def vmapped(step, devices):
    mapped = jax.vmap(step, in_axes=(None, 0, None), axis_name="devices")
    return jax.jit(lambda *given: jax.tree.map(lambda a: a[0], mapped(*given)))


WAYS = {
    "pmap": pmapped,
    "shard_map": functools.partial(shard_mapped, True),
    "shard_map unchecked": functools.partial(shard_mapped, False),
    "vmap": vmapped,
}


@functools.cache
def three_steps(way, devices, dtype):
    """(parameters, losses, metric) after three steps, compiled once."""
    optimizer = optax.sgd(0.1)
    step = WAYS[way](make_step(objective, optimizer), devices)
    carry, batch, key = carry_of(optimizer, dtype), batch_of(dtype, devices), jax.random.key(0)
    values = []
    for _ in range(3):
        carry, loss, metrics = step(carry, batch, key)
        values.append(float(loss))
    assert int(carry.step) == 3
    return np.asarray(carry.params["w"]), values, float(metrics["norm"])


@pytest.mark.parametrize("way", WAYS)
def test_eight_devices_take_the_step_of_one(way, float64):
    one, many = three_steps("pmap", 1, np.float64), three_steps(way, 8, np.float64)
    for mine, theirs in zip(many, one, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-12)


def test_the_step_is_that_of_the_global_loss(float64):
    """Against plain gradient descent, with no axis at all."""
    weights = jnp.asarray(WEIGHTS)
    gradient = jax.jit(jax.grad(lambda w: objective({"w": w}, BATCH, key=None, axis_name=None)[0]))
    for _ in range(3):
        weights = weights - 0.1 * gradient(weights)
    np.testing.assert_allclose(three_steps("pmap", 8, np.float64)[0], weights, rtol=0, atol=1e-12)


def test_float32_agrees_to_five_digits():
    one, many = three_steps("pmap", 1, np.float32)[0], three_steps("pmap", 8, np.float32)[0]
    moved = np.abs(one - WEIGHTS).max()
    np.testing.assert_allclose(many, one, rtol=0, atol=1e-5 * max(moved, np.abs(one).max()))


def test_a_state_goes_from_step_to_step():
    def counting(params, state, batch, *, key, axis_name):
        loss = mean(batch["x"][:, 0] * params["w"][0, 0], batch["where"] * 1.0, axis_name)
        return loss, (state + 1, {})

    optimizer = optax.sgd(0.1)
    step = on_devices(make_step(counting, optimizer), jax.devices())
    carry = carry_of(optimizer, np.float32, state=jnp.float32(5))
    for _ in range(2):
        carry, _, _ = step(carry, batch_of(np.float32, 8), jax.random.key(0))
    assert float(carry.state) == 7


def test_an_objective_that_asks_for_the_step_gets_it_from_zero():
    def timed(params, batch, *, key, axis_name, step):
        values = batch["x"][:, 0] * params["w"][0, 0] * jnp.where(step < 1, 0.0, 1.0)
        return mean(values, batch["where"] * 1.0, axis_name), {"seen": step}

    def timed_with_a_state(params, state, batch, step, *, key, axis_name):
        assert step.dtype == jnp.int32
        return timed(params, batch, key=key, axis_name=axis_name, step=step)[0], (step, {})

    optimizer = optax.sgd(0.1)
    for objective, state in ((timed, None), (timed_with_a_state, jnp.int32(-1))):
        step = on_devices(make_step(objective, optimizer), jax.devices())
        carry, values = carry_of(optimizer, np.float32, state=state), []
        for number in range(3):
            carry, loss, metrics = step(carry, batch_of(np.float32, 8), jax.random.key(0))
            values.append(float(loss))
            seen = carry.state if metrics == {} else metrics["seen"]
            assert int(seen) == number
        assert values[0] == 0
        assert values[1] != 0


def test_key_changes_with_the_step_and_is_the_same_on_all_devices():
    def noisy(params, batch, *, key, axis_name):
        noise = jax.random.normal(key)
        alike = jax.lax.pmax(noise, axis_name) - jax.lax.pmin(noise, axis_name)
        return mean(
            0 * params["w"][0, 0] + noise + 0 * batch["x"][:, 0], batch["where"] * 1.0, axis_name
        ), {"apart": alike}

    optimizer = optax.sgd(0.1)
    step = on_devices(make_step(noisy, optimizer), jax.devices())
    carry, values = carry_of(optimizer, np.float32), []
    for _ in range(2):
        carry, loss, metrics = step(carry, batch_of(np.float32, 8), jax.random.key(0))
        values.append(float(loss))
        assert float(metrics["apart"]) == 0
    assert values[0] != values[1]


def test_a_step_that_is_not_finite_changes_nothing_nor_does_any_after_it():
    def breaking(params, batch, *, key, axis_name):
        value = mean(batch["x"][:, 0] * params["w"][0, 0], batch["where"] * 1.0, axis_name)
        return jnp.where(params["w"][0, 0] > 0, value, jnp.nan)

    optimizer = optax.sgd(0.1)
    step = on_devices(make_step(breaking, optimizer), jax.devices())
    carry = carry_of(optimizer, np.float32)
    before = {"w": -np.abs(np.asarray(carry.params["w"]))}
    carry = carry._replace(params=jax.tree.map(jnp.asarray, before))
    for _ in range(2):
        carry, _, _ = step(carry, batch_of(np.float32, 8), jax.random.key(0))
    assert not bool(carry.sound)
    assert int(carry.step) == 0
    np.testing.assert_array_equal(carry.params["w"], before["w"])


def check(objective, **settings):
    return check_objective(
        objective,
        {"w": jnp.float32(WEIGHTS)},
        batch_of(np.float32, 1) | BATCH,
        key=jax.random.key(0),
        **settings,
    )


def test_an_objective_that_was_reduced_passes():
    assert check(objective) is None
    assert (
        check(
            lambda params, state, batch, *, key, axis_name: (
                objective(params, batch, key=key, axis_name=axis_name)[0],
                (state, {"rows": batch["x"]}),
            ),
            state=jnp.zeros(3),
        )
        is None
    )


def test_an_objective_with_a_step_is_checked_with_one():
    def timed(params, batch, *, key, axis_name, step):
        return (
            objective(params, batch, key=key, axis_name=axis_name)[0] * jnp.minimum(step, 1),
            {},
        )

    def local(params, batch, *, key, axis_name, step):
        return jnp.mean(batch["x"] @ params["w"]) * jnp.minimum(step, 1)

    params, key = {"w": jnp.float32(WEIGHTS)}, jax.random.key(0)
    batch = {n: a.astype(np.float32) if n == "x" else a for n, a in BATCH.items()}
    check_objective(timed, params, batch, key=key)
    with pytest.raises(ValueError, match="was not reduced over the devices"):
        check_objective(local, params, batch, key=key)


def test_an_objective_that_was_not_reduced_is_refused():
    def local(params, batch, *, key, axis_name):
        return losses.nca(batch["x"] @ params["w"], batch["labels"], where=batch["where"])

    with pytest.raises(
        ValueError, match=r"was not reduced over the devices: .* pass axis_name='devices'"
    ):
        check(local)


def test_an_objective_of_another_shape_or_type_is_refused():
    with pytest.raises(ValueError, match=r"loss must be a scalar, got shape \(16,\)"):
        check(lambda params, batch, *, key, axis_name: (batch["x"] @ params["w"]).sum(axis=1))
    with pytest.raises(ValueError, match="loss must be a float, got int32"):
        check(lambda params, batch, *, key, axis_name: jax.lax.psum(1, axis_name))


def test_a_scan_with_a_constant_start_is_no_refusal(caplog):
    def scanned(params, batch, *, key, axis_name):
        total, _ = jax.lax.scan(
            lambda c, x: (c + jnp.sum(x @ params["w"]), None),
            jnp.float32(0),
            batch["x"].astype("float32"),
        )
        return jax.lax.pmean(total, axis_name)

    check(scanned)
    assert "could not check that the loss is global" in caplog.text
