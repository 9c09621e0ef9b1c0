"""Runs side by side are the runs one by one, their hyperparameters traced."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxsim import training
from jaxsim.numerics import mean

X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
KEYS = jax.random.split(jax.random.key(0), 3)
STARTS = jnp.asarray(np.random.default_rng(1).normal(size=(3, 3)), jnp.float32)
SETTINGS = {"rate": jnp.array([0.01, 0.1, 0.03]), "shift": jnp.array([0.0, 1.0, 2.0])}


def objective(setting):
    def loss(params, batch, *, key, axis_name):
        values = (batch["x"] @ params - setting["shift"]) ** 2
        return mean(values, batch["where"].astype(values.dtype), axis_name)

    return loss


def draw(setting):
    def of(key):
        rows = jax.random.randint(key, (8,), 0, len(X))
        return {"x": jnp.asarray(X)[rows], "where": jnp.ones(8, bool), "ids": rows}

    return of


def optimizer(setting):
    return optax.sgd(setting["rate"])


def fit(which=slice(None), **settings):
    settings = {"steps": 12, "snapshots": 3} | settings
    return training.fit_seeds(
        objective,
        STARTS[which],
        draw,
        optimizer=optimizer,
        settings=jax.tree.map(lambda a: a[which], SETTINGS),
        keys=KEYS[which],
        **settings,
    )


def test_runs_together_are_runs_alone_and_a_loop_by_hand():
    together, losses = fit()
    assert together.shape == (3, 3, 3)
    assert losses.shape == (3, 3)
    for run in range(3):
        alone, own = fit(slice(run, run + 1))
        np.testing.assert_allclose(alone[:, 0], together[:, run], rtol=1e-5)
        np.testing.assert_allclose(own[:, 0], losses[:, run], rtol=1e-5)
    params = np.asarray(STARTS[1], np.float64)
    sampling = jax.random.split(KEYS[1])[0]
    for step in range(12):
        x = np.asarray(draw(None)(jax.random.fold_in(sampling, step))["x"], np.float64)
        params -= 0.1 * 2 * x.T @ (x @ params - 1.0) / 8
        if step in (3, 11):
            np.testing.assert_allclose(together[step // 4, 1], params, rtol=1e-4)


def test_a_run_that_diverges_is_named(monkeypatch):
    monkeypatch.setitem(SETTINGS, "rate", jnp.array([0.01, 1e30, 0.03]))
    with pytest.raises(FloatingPointError, match=r"in the runs \[1\]"):
        fit()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 13}, "steps must be a multiple of snapshots=3, got 13"),
        ({"steps": 0}, "steps must be a whole number"),
    ],
)
def test_bad_counts_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        fit(**change)


def test_axes_that_differ_are_named():
    with pytest.raises(
        ValueError, match="params must have a leading axis of 3, one per key, got 2"
    ):
        training.fit_seeds(
            objective, STARTS[:2], draw, optimizer=optimizer, settings=SETTINGS, keys=KEYS, steps=1
        )


def test_a_local_loss_is_refused():
    def local(setting):
        return lambda params, batch, *, key, axis_name: jnp.mean(batch["x"] @ params)

    with pytest.raises(ValueError, match="was not reduced over the devices"):
        training.fit_seeds(
            local, STARTS, draw, optimizer=optimizer, settings=SETTINGS, keys=KEYS, steps=1
        )
