"""The bar of the training room: however a step is spread, the same curve of losses."""

import functools

import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxsim import losses, training
from jaxsim.training import _shards as shards

ROWS, STEPS = 16, 20
SHARDED = functools.partial(training.sharded, smallest=1)
WAYS = {
    "pmap": (training.pmapped, 8, None),
    "shard_map": (training.shard_mapped, 8, None),
    "shard_map on one": (training.shard_mapped, 1, None),
    "sharded": (SHARDED, 8, None),
    "chunked on one": (training.pmapped, 1, 4),
    "chunked pmap": (training.pmapped, 8, 1),
    "chunked and sharded": (SHARDED, 4, 3),
}


def params_of(dtype):
    random = np.random.default_rng(0)
    return {
        "hidden": random.normal(size=(6, 16)).astype(dtype),
        "bias": np.zeros(16, dtype),
        "out": random.normal(size=(16, 5)).astype(dtype) / 4,  # no axis of length 5 divides by 8
        "log_temperature": np.zeros((), dtype),
    }


def batches(dtype):
    def batch(number):
        random = np.random.default_rng(number)
        queries = random.normal(size=(ROWS, 6)).astype(dtype)
        documents = (queries + random.normal(size=(ROWS, 6)) / 2).astype(dtype)
        where = random.random(ROWS) < 0.8
        ids = np.arange(ROWS, dtype=np.int32) + ROWS * number
        return {"queries": queries, "documents": documents, "where": where, "ids": ids}

    return grain.MapDataset.range(STEPS).map(batch)


def encode(params, x):
    """A small network."""
    return jnp.tanh(x @ params["hidden"] + params["bias"]) @ params["out"]


def objective_of(chunk):
    towards = encode if chunk is None else training.chunked(encode, chunk)

    def objective(params, batch, *, key, axis_name):
        queries, documents = (towards(params, batch[name]) for name in ("queries", "documents"))
        temperature = jnp.exp(params["log_temperature"])
        loss = losses.info_nce(
            queries, documents, temperature=temperature, where=batch["where"], axis_name=axis_name
        )
        return loss, {"temperature": temperature}

    return objective


def fit(way=training.pmapped, devices=1, chunk=None, dtype=np.float64, **settings):
    """The parameters and the loss of every step; the clipping bites in most of them."""
    settings = {"optimizer": training.adamw(1e-2, clip=0.3), "average": 0.9} | settings
    curve = {}
    params = training.fit(
        objective_of(chunk),
        params_of(dtype),
        batches(dtype),
        spread=way,
        log_every=1,
        devices=jax.devices()[:devices],
        report=lambda step, f: curve.setdefault(step, f["loss"]),
        **settings,
    )
    return params, np.array([curve[step] for step in sorted(curve)])


@pytest.fixture(scope="module")
def one():
    with jax.enable_x64(True):
        return fit()


@pytest.mark.thorough
@pytest.mark.parametrize("name", WAYS)
def test_however_it_is_spread_the_curve_is_the_same(name, one, float64):
    params, curve = fit(*WAYS[name])
    assert len(curve) == STEPS
    assert np.ptp(one[1]) > 0.1
    np.testing.assert_allclose(curve, one[1], rtol=0, atol=1e-9)
    for leaf in params:
        np.testing.assert_allclose(params[leaf], one[0][leaf], rtol=0, atol=1e-9)


def test_the_curve_is_that_of_a_loop_by_hand(one, float64):
    """Plain AdamW with optax's own clipping on the whole batch, no axis at all."""
    optimizer = optax.chain(
        optax.clip_by_global_norm(0.3),
        optax.adamw(1e-2, weight_decay=0.01, mask=training.matrices),
    )
    params = mean = jax.tree.map(jnp.asarray, params_of(np.float64))
    state, curve = optimizer.init(params), []

    @jax.jit
    def step(params, state, mean, batch):
        loss, gradient = jax.value_and_grad(
            lambda p: objective_of(None)(p, batch, key=None, axis_name=None)[0]
        )(params)
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        return params, state, jax.tree.map(lambda a, p: 0.9 * a + 0.1 * p, mean, params), loss

    for number in range(STEPS):
        params, state, mean, loss = step(params, state, mean, batches(np.float64)[number])
        curve.append(loss)
    np.testing.assert_allclose(curve, one[1], rtol=0, atol=1e-9)
    np.testing.assert_allclose(mean["hidden"], one[0]["hidden"], rtol=0, atol=1e-9)


@pytest.mark.thorough
def test_float32_agrees_to_four_digits():
    settings = {"optimizer": training.sgd(0.05), "dtype": np.float32, "average": None}
    one, eight = fit(**settings), fit(SHARDED, 8, **settings)
    np.testing.assert_allclose(eight[1], one[1], rtol=0, atol=1e-4)


def test_sharded_parameters_stand_on_their_devices_alone():
    way = SHARDED(jax.devices())
    carry = way.start(params_of(np.float32), None, training.adamw(1e-2), None)
    assert carry.params["hidden"].addressable_shards[0].data.shape == (6, 2)
    assert carry.params["out"].addressable_shards[0].data.shape == (2, 5)
    assert carry.params["log_temperature"].sharding.is_fully_replicated
    for leaf in jax.tree.leaves(carry.optimizer):  # the moments, and counts
        assert leaf.ndim == 0 or not leaf.sharding.is_fully_replicated


@pytest.mark.thorough
def test_a_run_goes_on_with_another_number_of_devices(one, float64, tmp_path):
    fit(SHARDED, 8, steps=11, workdir=tmp_path)
    params, curve = fit(steps=STEPS, workdir=tmp_path)
    assert len(curve) == STEPS - 11
    np.testing.assert_allclose(curve, one[1][11:], rtol=0, atol=1e-9)
    np.testing.assert_allclose(params["hidden"], one[0]["hidden"], rtol=0, atol=1e-9)


def test_an_optimizer_that_mixes_elements_is_refused_with_shards():
    mixing = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2))
    with pytest.raises(ValueError, match=r"mixes the elements of a parameter \(reduce_sum\)"):
        fit(SHARDED, 8, dtype=np.float32, optimizer=mixing)
    for apart in (training.lion(0.1), training.sgd(0.1, clip=1.0), optax.adam(0.1)):
        shards.check_elementwise(apart, params_of(np.float32))
    by_rows = training.sgd_rows(0.1, lambda batch, key: {})
    with pytest.raises(ValueError, match="sharded parameters need an optax transformation"):
        SHARDED(jax.devices()).step(None, by_rows, None)


def test_the_longest_axis_that_divides_is_split():
    assert shards.split_axis((16, 24), 8, 1) == 1
    assert shards.split_axis((16, 25), 8, 1) == 0
    assert shards.split_axis((5, 25), 8, 1) == shards.WHOLE
    assert shards.split_axis((16, 24), 8, 1000) == shards.WHOLE
