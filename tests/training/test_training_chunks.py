"""Chunks change memory and nothing else; parts of a batch add up to it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxsim import losses, training
from jaxsim.numerics import mean
from jaxsim.training._compiled import memory_of

X = np.random.default_rng(0).normal(size=(16, 6))
PARAMS = {"w": np.random.default_rng(1).normal(size=(6, 4))}
KEY = jax.random.key(3)


def dropping(params, x, key):
    """An encoder with dropout."""
    kept = jax.random.bernoulli(key, 0.7, x.shape)
    return jnp.tanh((x * kept) @ params["w"])


def test_a_chunked_gradient_is_that_of_the_chunks_side_by_side(float64):
    chunked = training.chunked(dropping, 4)

    def by_hand(params, x, key):
        parts = [dropping(params, x[4 * i :][:4], jax.random.fold_in(key, i)) for i in range(4)]
        return jnp.concatenate(parts)

    def loss_of(encode):
        def loss(params):
            embeddings = encode(params, X, KEY)
            return losses.nca(embeddings, np.arange(16) // 2)

        return jax.jit(jax.value_and_grad(loss))

    value, gradient = loss_of(chunked)(PARAMS)
    expected, slope = loss_of(by_hand)(PARAMS)
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(gradient["w"], slope["w"], rtol=0, atol=1e-12)
    other = loss_of(lambda p, x, key: chunked(p, x, jax.random.key(4)))(PARAMS)[0]
    assert abs(float(other - value)) > 1e-3


def test_chunks_draw_alike_on_one_and_eight_devices(float64):
    chunked = training.chunked(dropping, 2)
    one = jax.jit(chunked)(PARAMS, X, KEY)
    eight = jax.pmap(lambda x: chunked(PARAMS, x, KEY, axis_name="devices"), "devices")(
        X.reshape(8, 2, 6)
    )
    np.testing.assert_allclose(eight.reshape(16, 4), one, rtol=0, atol=1e-12)


def test_rows_that_are_no_whole_chunks(float64):
    def plain(params, batch):
        return {"z": jnp.tanh(batch["x"] @ params["w"])}

    found = jax.jit(training.chunked(plain, 5))(PARAMS, {"x": X[:13]})["z"]
    np.testing.assert_allclose(found, np.tanh(X[:13] @ PARAMS["w"]), rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="chunk must be a whole number of at least 1, got 0"):
        training.chunked(plain, 0)


def squares(params, batch, *, key, axis_name):
    """An objective that is a mean over rows, with a metric."""
    values = (batch["x"] @ params["w"]).sum(axis=1) ** 2
    loss = mean(values, batch["where"].astype(values.dtype), axis_name)
    return loss, {"norm": jnp.sum(params["w"] ** 2)}


def test_parts_add_up_to_the_batch_under_uneven_masks(float64):
    where = np.random.default_rng(2).random(16) < 0.6
    batch = {"x": X, "where": where, "ids": np.arange(16)}

    def step(objective, devices):
        step = training.make_step(objective, optax.sgd(0.1))
        start = training.Carry(PARAMS, optax.sgd(0.1).init(PARAMS), None, np.int32(0), np.bool_(1))
        rows = {n: a.reshape(devices, -1, *a.shape[1:]) for n, a in batch.items()}
        mapped = jax.vmap(step, in_axes=(None, 0, None), axis_name="devices")
        carry, loss, metrics = jax.jit(mapped)(start, rows, KEY)
        return carry.params["w"][0], loss[0], metrics["norm"][0]

    whole = step(squares, 1)
    for found in (
        step(training.accumulated(squares, 4), 1),
        step(training.accumulated(squares, 2), 4),
    ):
        for mine, theirs in zip(found, whole, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="parts must divide the 16 rows of a device, got 3"):
        step(training.accumulated(squares, 3), 1)


def test_a_state_goes_from_part_to_part():
    def counting(params, state, batch, *, key, axis_name):
        loss, metrics = squares(params, batch, key=key, axis_name=axis_name)
        return loss, (state + batch["where"].sum(), metrics)

    batch = {"x": jnp.float32(X), "where": np.arange(16) < 11, "ids": np.arange(16)}
    params = {"w": jnp.float32(PARAMS["w"])}
    whole = jax.vmap(
        lambda b: training.accumulated(counting, 4)(params, 5, b, key=KEY, axis_name="devices"),
        axis_name="devices",
    )
    _, (state, _) = jax.jit(whole)(jax.tree.map(lambda a: a[None], batch))
    assert state.tolist() == [16]


def test_all_parts_of_a_step_get_its_number():
    def timed(params, state, batch, *, key, axis_name, step):
        loss, metrics = squares(params, batch, key=key, axis_name=axis_name)
        return loss * step, (state + step, metrics)

    batch = {"x": jnp.float32(X), "where": np.ones(16, bool), "ids": np.arange(16)}
    params = {"w": jnp.float32(PARAMS["w"])}
    step = training.make_step(training.accumulated(timed, 4), optax.sgd(0.0))
    mapped = jax.jit(jax.vmap(step, in_axes=(None, 0, None), axis_name="devices"))
    start = training.Carry(
        params, optax.sgd(0.0).init(params), np.int32(0), np.int32(3), np.bool_(1)
    )
    carry, loss, _ = mapped(start, jax.tree.map(lambda a: a[None], batch), KEY)
    assert carry.state.tolist() == [4 * 3]
    plain = jax.vmap(
        lambda b: squares(params, b, key=KEY, axis_name="devices")[0], axis_name="devices"
    )
    whole = plain(jax.tree.map(lambda a: a[None], batch))
    np.testing.assert_allclose(loss, 3 * whole, rtol=1e-6)


def test_an_encode_function_in_chunks_may_use_the_step(float64):
    def loss(params, step, encode):
        return jnp.sum(encode(lambda p, x: jnp.tanh(x @ p["w"]) * step)(params, X) ** 2)

    def whole(encode):
        return encode

    def in_chunks(encode):
        return training.chunked(encode, 4)

    slope = jax.jit(jax.grad(loss), static_argnums=2)
    np.testing.assert_allclose(
        slope(PARAMS, 3, in_chunks)["w"], slope(PARAMS, 3, whole)["w"], rtol=0, atol=1e-12
    )


def test_arithmetic_in_bfloat16_leaves_float32_parameters():
    seen = []

    def encode(params, x):
        seen.extend([params["w"].dtype, x.dtype])
        return x @ params["w"]

    lowered = training.in_precision(encode)
    w = {"w": jnp.float32(PARAMS["w"])}
    embeddings, pull = jax.vjp(lambda p: lowered(p, jnp.float32(X)), w)
    assert seen == [jnp.bfloat16, jnp.bfloat16]
    assert embeddings.dtype == pull(embeddings)[0]["w"].dtype == jnp.float32
    np.testing.assert_allclose(embeddings, X @ PARAMS["w"], rtol=0, atol=0.05)


def encoder(params, tokens):
    """A small one: tokens int [rows, 32] -> [rows, 64]."""
    hidden = params["table"][tokens]
    for layer in params["layers"]:
        hidden = hidden + jax.nn.gelu(hidden @ layer["up"]) @ layer["down"]
    return hidden.mean(axis=1)


def memory(batch, chunk):
    """Bytes of a step of contrastive training on one device, by the compiler's own analysis."""
    shapes = {
        "table": jax.ShapeDtypeStruct((1000, 64), jnp.float32),
        "layers": [
            {
                "up": jax.ShapeDtypeStruct((64, 256), jnp.float32),
                "down": jax.ShapeDtypeStruct((256, 64), jnp.float32),
            }
        ]
        * 3,
    }
    encode = encoder if chunk is None else training.chunked(encoder, chunk)

    def objective(params, batch, *, key, axis_name):
        queries, documents = (encode(params, batch[name]) for name in ("queries", "documents"))
        return losses.info_nce(queries, documents, temperature=0.05, axis_name=axis_name)

    way = training.pmapped(jax.devices()[:1])
    start = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    optimizer = training.adamw(1e-3)
    carry = way.start(start, None, optimizer, None)
    tokens = np.zeros((1, batch, 32), np.int32)
    rows = {"queries": tokens, "documents": tokens}
    return memory_of(way.step(objective, optimizer, carry).lower(carry, rows, KEY, None).compile())


@pytest.mark.thorough
def test_a_batch_of_4096_in_chunks_needs_the_memory_of_128():
    """The bar: under 1.5 times a batch-128 step; whole it would be many times that."""
    small, large = memory(128, None), memory(4096, 128)
    assert large < 1.5 * small, (large / 2**20, small / 2**20)
