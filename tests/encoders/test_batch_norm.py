"""Batch norm: against its definition in NumPy, split over devices, masked, and inside the convolutional net."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxsim import encoders, training

X = np.random.default_rng(0).normal(size=(16, 3, 2, 4)) + 2
WHERE = np.arange(16) % 5 != 1
NORM = encoders.BatchNorm(momentum=0.8)
START = {
    "params": {"scale": np.array([1.0, 2, 0.5, -1]), "bias": np.array([0.0, 1, -1, 0.3])},
    "batch_stats": {"mean": np.array([0.1, 0, 2, 1]), "var": np.array([1.0, 4, 0.2, 1])},
}


def by_hand(x, mean, var):
    scale, bias = START["params"]["scale"], START["params"]["bias"]
    return (x - mean) / np.sqrt(var + 1e-5) * scale + bias


def applied(variables, x, where, axis_name=None):
    return NORM.apply(
        variables, x, train=True, where=where, axis_name=axis_name, mutable=["batch_stats"]
    )


def test_training_uses_the_batch_and_moves_the_averages(float64):
    counted = X[WHERE]
    mean, var = counted.mean(axis=(0, 1, 2)), counted.var(axis=(0, 1, 2))
    y, changed = jax.jit(applied)(START, X, WHERE)
    np.testing.assert_allclose(y[WHERE], by_hand(counted, mean, var), rtol=1e-10)
    for name, value in (("mean", mean), ("var", var)):
        moved = 0.8 * START["batch_stats"][name] + 0.2 * value
        np.testing.assert_allclose(changed["batch_stats"][name], moved, rtol=1e-10)


def test_otherwise_the_averages_are_used(float64):
    expected = by_hand(X, **START["batch_stats"])
    np.testing.assert_allclose(jax.jit(NORM.apply)(START, X), expected, rtol=1e-10)


def test_padding_has_no_influence(float64):
    """NaN in it, and a batch of nothing else."""
    y, changed = applied(START, X, WHERE)
    spoiled, same = applied(START, np.where(WHERE[:, None, None, None], X, np.nan), WHERE)
    np.testing.assert_array_equal(spoiled[WHERE], y[WHERE])
    jax.tree.map(np.testing.assert_array_equal, changed, same)
    _, still = applied(START, X, np.zeros(16, bool))
    jax.tree.map(np.testing.assert_array_equal, still["batch_stats"], START["batch_stats"])


@pytest.mark.parametrize("spread", ["pmap", "vmap"])
def test_one_and_eight_devices_agree(spread, float64):
    """Values, averages and the parameters' gradient, with uneven masks."""
    target = np.random.default_rng(1).normal(size=X.shape)

    def loss(params, x, where, target, axis_name=None):
        variables = {"params": params, "batch_stats": START["batch_stats"]}
        y, changed = applied(variables, x, where, axis_name)
        kept = jnp.where(where[:, None, None, None], (y - target) ** 2 * y, 0)
        value, count = jnp.sum(kept), jnp.sum(where)
        if axis_name is not None:
            value, count = jax.lax.psum((value, count), axis_name)
        return value / count, changed["batch_stats"]

    def split(a):
        return a.reshape(8, 2, *a.shape[1:])

    def each(*arrays):
        found = jax.value_and_grad(loss, has_aux=True)(
            START["params"], *arrays, axis_name="devices"
        )
        return jax.lax.pmean(found, "devices")

    whole = jax.jit(jax.value_and_grad(loss, has_aux=True))(START["params"], X, WHERE, target)
    over = {"pmap": jax.pmap, "vmap": jax.vmap}[spread](each, axis_name="devices")
    parts = jax.tree.map(lambda a: a[3], over(split(X), split(WHERE), split(target)))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12), whole, parts
    )


@pytest.mark.thorough
def test_a_network_with_batch_norms_trains_with_its_averages_as_state():
    images = np.float32(np.random.default_rng(2).random((12, 6, 6, 1)))
    net = encoders.ConvNet(dim=3, widths=(4, 6), norm="batch")
    start = jax.tree.map(np.asarray, jax.jit(net.init)(jax.random.key(0), images))
    labels = np.arange(12) % 3
    batch = {"x": images, "y": labels, "where": labels >= 0, "ids": np.arange(12)}

    def objective(params, state, batch, *, key, axis_name):
        variables = {"params": params, "batch_stats": state}
        logits, changed = net.apply(
            variables,
            batch["x"],
            train=True,
            where=batch["where"],
            axis_name=axis_name,
            mutable=["batch_stats"],
        )
        values = optax.softmax_cross_entropy_with_integer_labels(logits, batch["y"])
        sums = jnp.sum(values * batch["where"]), jnp.sum(batch["where"])
        total, count = jax.lax.psum(sums, axis_name)
        return total / count, (changed["batch_stats"], {})

    params, state = training.fit(
        objective,
        start["params"],
        [batch] * 3,
        optimizer=optax.sgd(0.1),
        state=start["batch_stats"],
        devices=jax.devices()[:1],
    )
    assert np.isfinite(np.asarray(params["conv_0"]["kernel"])).all()
    assert set(state) == {"norm_0", "norm_1"}
    assert np.abs(state["norm_0"]["mean"]).max() > 0

    # By vmap: over pmapped CPU devices this jaxlib gives a wrong gradient of the first kernel, always the
    # same, without XLA's optimizations, which tests run without. With them 8 devices agree to 1e-6.
    def gradient(batch):
        found = jax.grad(objective, has_aux=True)(
            start["params"], start["batch_stats"], batch, key=None, axis_name="devices"
        )
        return jax.lax.pmean(found, "devices")

    whole, parts = (
        jax.jit(jax.vmap(gradient, axis_name="devices"))(
            jax.tree.map(lambda a, n=n: a.reshape(n, 12 // n, *a.shape[1:]), batch)
        )
        for n in (1, 6)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b[5], atol=1e-5), whole, parts)


def test_norms_of_the_network():
    images = np.float32(np.random.default_rng(2).random((2, 6, 6, 1)))
    plain = encoders.ConvNet(dim=3, widths=(4, 6), norm="none")
    start = plain.init(jax.random.key(0), images)
    assert set(start) == {"params"}
    assert set(start["params"]) == {"conv_0", "conv_1", "head"}
    assert set(start["params"]["conv_0"]) == {"kernel", "bias"}
    batch = encoders.ConvNet(dim=3, widths=(4, 6), norm="batch").init(jax.random.key(0), images)
    assert set(batch) == {"params", "batch_stats"}
    with pytest.raises(
        ValueError, match="norm must be one of 'group', 'batch', 'none', got 'layer'"
    ):
        encoders.ConvNet(norm="layer").init(jax.random.key(0), images)
