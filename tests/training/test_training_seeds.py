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


def centered(setting):
    """Batch normalization's way: moments of the batch in the loss, their moving average in the state."""

    def loss(params, state, batch, *, key, axis_name, step):
        weights = batch["where"].astype(jnp.float32)
        center = mean(batch["x"], weights[:, None], axis_name)
        moved = 0.9 * state["center"] + 0.1 * center
        values = ((batch["x"] - center) @ params - setting["shift"]) ** 2
        value = mean(values, weights, axis_name) * jnp.where(step < 4, 1.0, 0.5)
        return value, ({"center": moved, "seen": state["seen"] + step}, {})

    return loss


def test_runs_with_a_state_and_steps_are_those_of_fit_alone():
    states = {"center": jnp.float32(np.arange(9).reshape(3, 3)), "seen": jnp.arange(3)}
    (params, ends), losses = training.fit_seeds(
        centered,
        STARTS,
        draw,
        optimizer=optimizer,
        settings=SETTINGS,
        keys=KEYS,
        steps=12,
        snapshots=2,
        state=states,
    )
    assert params.shape == (2, 3, 3)
    assert ends["center"].shape == (2, 3, 3)
    assert losses.shape == (2, 3)
    # 0 + 1 + ... + 11 beside what each run began with, and the first half.
    assert ends["seen"].tolist() == [[15, 16, 17], [66, 67, 68]]
    np.testing.assert_array_equal(states["seen"], np.arange(3))
    for run in range(3):
        setting = jax.tree.map(lambda a, run=run: a[run], SETTINGS)
        sampling = jax.random.split(KEYS[run])[0]
        batches = [draw(setting)(jax.random.fold_in(sampling, step)) for step in range(12)]
        alone, end = training.fit(
            centered(setting),
            STARTS[run],
            jax.tree.map(np.asarray, batches),
            optimizer=optimizer(setting),
            state=jax.tree.map(lambda a, run=run: a[run], states),
        )
        np.testing.assert_allclose(params[-1, run], alone, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(ends["center"][-1, run], end["center"], rtol=1e-4, atol=1e-6)
        assert ends["seen"][-1, run] == end["seen"]


def test_a_state_of_a_device_is_carried_as_fit_carries_it():
    def local(setting):
        def loss(params, state, batch, *, key, axis_name):
            value = objective(setting)(params, batch, key=key, axis_name=axis_name)
            return value, (batch["x"].sum(), {})

        return loss

    settings = {"optimizer": optimizer, "settings": SETTINGS, "keys": KEYS, "steps": 2}
    (_, ends), _ = training.fit_seeds(local, STARTS, draw, state=jnp.zeros(3), **settings)
    last = [draw(None)(jax.random.fold_in(jax.random.split(key)[0], 1))["x"].sum() for key in KEYS]
    np.testing.assert_allclose(ends[0], last, rtol=1e-5)


@pytest.mark.parametrize(
    ("objective", "state", "message"),
    [
        (centered, jnp.zeros((2, 3)), "state must have a leading axis of 3, one per key, got 2"),
        (centered, {"a": "b"}, r"state\['a'\] must be an array of numbers, got 'b'"),
        (objective, jnp.zeros((3, 3)), r"must take \(params, state, batch, .*leave state=None"),
        (centered, None, r"must take \(params, batch, \*, key, axis_name, step\).*; pass state="),
    ],
)
def test_states_that_do_not_fit_are_named(objective, state, message):
    with pytest.raises(ValueError, match=message):
        training.fit_seeds(
            objective,
            STARTS,
            draw,
            optimizer=optimizer,
            settings=SETTINGS,
            keys=KEYS,
            steps=1,
            state=state,
        )


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
