"""Row-sparse optimizers: what they do to rows that were used, and that they leave the others alone."""

import functools

import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxsim import training
from jaxsim.numerics import mean
from jaxsim.training._row_sparse import unique_rows

TABLE = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
IDS = np.array([4, 1, 4, 0])
SLOPES = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)


def summed(ids=IDS, slopes=SLOPES):
    """The gradient of the whole table, in NumPy."""
    dense = np.zeros_like(TABLE)
    np.add.at(dense, ids, slopes)
    return dense


def lookup(batch, key):
    return {"t": batch["rows"]}


def steps(optimizer, gradients):
    """The table after an update by each (ids, gradients of their rows)."""
    params, state = {"t": jnp.asarray(TABLE)}, optimizer.init({"t": jnp.asarray(TABLE)})
    update = jax.jit(optimizer.update)
    for ids, slopes in gradients:
        params, state = update({"t": ids}, {"t": slopes}, state, params)
    return np.asarray(params["t"])


def test_repeated_rows_come_once_with_their_sum():
    ids, sums = jax.jit(functools.partial(unique_rows, size=6))(IDS, SLOPES)
    assert ids.tolist() == [0, 1, 4, 6]
    np.testing.assert_allclose(sums[:3], summed()[[0, 1, 4]], rtol=1e-6)
    assert not np.asarray(sums[3]).any()


def test_sgd_is_the_dense_one():
    found = steps(training.sgd_rows(0.1, lookup), [(IDS, SLOPES)])
    np.testing.assert_allclose(found, TABLE - 0.1 * summed(), rtol=1e-6)


def test_schedules_count_steps():
    found = steps(training.sgd_rows(lambda step: 0.1 * step, lookup), [(IDS, SLOPES)] * 3)
    np.testing.assert_allclose(found, TABLE - 0.3 * summed(), rtol=1e-5)


def test_momentum_of_touched_rows_is_that_of_loops():
    """Rows 2 and 3 rest in the first step and rows 0, 1, 4 in the second: their velocities wait."""
    others = np.array([2, 3, 2, 0])
    schedule = training.momentum_rows(lambda step: 0.1 / (step + 1), lookup, momentum=0.5)
    result = steps(schedule, [(IDS, SLOPES), (others, SLOPES), (IDS, SLOPES)])
    table, velocity = TABLE.astype(np.float64), np.zeros(TABLE.shape)
    for step, ids in enumerate((IDS, others, IDS)):
        for row in set(ids.tolist()):
            velocity[row] = 0.5 * velocity[row] + summed(ids)[row]
            table[row] -= 0.1 / (step + 1) * velocity[row]
    np.testing.assert_allclose(result, table, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(result[5], TABLE[5])


def test_momentum_of_rows_used_in_every_step_is_the_dense_one():
    every = np.arange(6), np.concatenate([SLOPES, SLOPES[:2]])
    rows = training.momentum_rows(0.1, lookup, momentum=lambda step: 0.9 * jnp.ones(()))
    dense = optax.sgd(0.1, momentum=0.9)
    params, state = jnp.asarray(TABLE), dense.init(jnp.asarray(TABLE))
    for _ in range(3):
        updates, state = dense.update(jnp.asarray(every[1]), state, params)
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(steps(rows, [every] * 3), params, rtol=1e-5)
    with pytest.raises(ValueError, match="momentum must be between 0 and 1"):
        training.momentum_rows(0.1, lookup, momentum=1.5)


def test_adagrad_is_the_dense_one():
    found = steps(training.adagrad_rows(0.1, lookup, initial=0.2, eps=1e-7), [(IDS, SLOPES)] * 2)
    dense = optax.adagrad(0.1, initial_accumulator_value=0.2, eps=1e-7)
    params, state = jnp.asarray(TABLE), dense.init(jnp.asarray(TABLE))
    for _ in range(2):
        updates, state = dense.update(jnp.asarray(summed()), state, params)
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(found, params, rtol=1e-5)


def test_lazy_adam_leaves_rows_alone_that_dense_adam_moves():
    lazy = training.adam_rows(0.1, lookup)
    once = steps(lazy, [(IDS, SLOPES)])
    others = np.array([2, 3, 2, 3])
    twice = steps(lazy, [(IDS, SLOPES), (others, SLOPES)])
    np.testing.assert_array_equal(twice[[0, 1, 4, 5]], once[[0, 1, 4, 5]])
    # The first step of Adam has the size of its rate; the second of rows 2 and 3 is corrected by count 2.
    np.testing.assert_allclose(once[0] - TABLE[0], -0.1 * np.sign(SLOPES[3]), rtol=1e-4)
    slope = summed(others)[2]
    first, second = 0.1 * slope / (1 - 0.9**2), 0.001 * slope**2 / (1 - 0.999**2)
    np.testing.assert_allclose(
        twice[2], TABLE[2] - 0.1 * first / (np.sqrt(second) + 1e-8), rtol=1e-4
    )


def objective(rows, batch, *, key, axis_name):
    values = ((rows["t"] - batch["x"]) ** 2).sum(axis=1)
    return mean(values, batch["where"].astype(values.dtype), axis_name)


def batches(count=12, rows=16):
    def batch(number):
        random = np.random.default_rng(number)
        return {
            "rows": random.integers(0, 5, rows).astype(np.int32),
            "x": random.normal(size=(rows, 3)).astype(np.float32),
            "where": np.arange(rows) % 5 > 0,
            "ids": np.arange(rows, dtype=np.int32),
        }

    return grain.MapDataset.range(count).map(batch)


def fit(**settings):
    optimizer = training.adagrad_rows(0.1, lookup)
    return training.fit(objective, {"t": TABLE}, batches(), optimizer=optimizer, **settings)["t"]


def test_eight_devices_are_one_and_a_run_resumes(tmp_path):
    whole = fit()
    np.testing.assert_allclose(fit(devices=jax.local_devices()[:1]), whole, rtol=1e-5)
    np.testing.assert_array_equal(whole[5], TABLE[5])
    assert np.abs(np.asarray(whole)[:5] - TABLE[:5]).min() > 0
    fit(steps=5, workdir=tmp_path, save_every=2)
    np.testing.assert_array_equal(fit(workdir=tmp_path), whole)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (
            lambda batch: {"t": batch["rows"] + 4},
            r"lookup gives id 8 for params\['t'\], which has 6 rows",
        ),
        (
            lambda batch: {"t": batch["x"][:, 0]},
            r"lookup must give int ids \[rows\] for params\['t'\], got f",
        ),
        (lambda batch: {"u": batch["rows"]}, "lookup must give a tree like the parameters"),
    ],
)
def test_ids_beyond_a_table_are_named(ids, message):
    optimizer = training.sgd_rows(0.1, lambda batch, key: ids(batch))
    with pytest.raises(ValueError, match=message):
        training.fit(objective, {"t": TABLE}, batches(), optimizer=optimizer)


def test_a_step_that_is_not_finite_moves_no_row():
    def broken(rows, batch, *, key, axis_name):
        return objective(rows, batch, key=key, axis_name=axis_name) * jnp.nan

    with pytest.raises(FloatingPointError, match="step 0"):
        training.fit(
            broken,
            {"t": TABLE},
            batches(),
            optimizer=training.sgd_rows(0.1, lookup),
            devices=jax.local_devices()[:1],
        )
    step = jax.jit(
        jax.vmap(
            training.make_step(broken, training.sgd_rows(0.1, lookup)),
            in_axes=(None, 0, None),
            out_axes=None,
            axis_name="devices",
        )
    )
    state = training.sgd_rows(0.1, lookup).init({"t": jnp.asarray(TABLE)})
    start = training.Carry({"t": jnp.asarray(TABLE)}, state, None, jnp.int32(0), jnp.asarray(True))
    carry, loss, _ = step(start, jax.tree.map(lambda a: a[None], batches()[0]), jax.random.key(0))
    assert not np.isfinite(loss)
    assert not carry.sound
    np.testing.assert_array_equal(carry.params["t"], TABLE)
    assert carry.optimizer.count == carry.step == 0
