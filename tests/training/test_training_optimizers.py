"""Optimizers: what is clipped, decayed, scaled by layer, left alone; schedules."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxsim import training

PARAMS = {
    "embeddings": jnp.ones((4, 2)),
    "layers": [{"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)} for _ in range(2)],
    "head": {"kernel": jnp.ones((2, 3))},
}
SLOPES = jax.tree.map(lambda a: jnp.full_like(a, 0.5), PARAMS)


def moved(optimizer, steps=1, params=PARAMS):
    """Parameters after some steps along the same gradient."""

    @jax.jit
    def step(params, state):
        updates, state = optimizer.update(SLOPES, state, params)
        return optax.apply_updates(params, updates), state

    state = optimizer.init(params)
    for _ in range(steps):
        params, state = step(params, state)
    return params


SCHEDULES = training.linear_warmup_decay, training.cosine_warmup_decay


def test_schedules_rise_and_fall():
    linear, cosine = (schedule(2.0, steps=100, warmup=0.1) for schedule in SCHEDULES)
    for schedule in (linear, cosine):
        found = [schedule(0), schedule(4), schedule(9), schedule(10), schedule(55), schedule(100)]
        np.testing.assert_allclose(found, [0.2, 1, 2, 2, 1, 0], atol=1e-6)
    np.testing.assert_allclose(linear(99), 2 / 90, rtol=1e-5)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 7, 100])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5, 1.0])
def test_no_step_has_the_rate_0(schedule, steps, warmup):
    rates = np.array([schedule(0.5, steps=steps, warmup=warmup)(t) for t in range(steps)])
    rising = round(steps * warmup)
    assert (rates > 0).all()
    assert rates.max() == 0.5
    assert rates[0] == pytest.approx(0.5 / max(rising, 1))
    assert (np.diff(rates[rising:]) < 0).all()


def test_adamw_decays_matrices_alone_and_clips():
    optimizer = training.adamw(0.1, weight_decay=0.5, clip=1.0)
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    nothing = jax.tree.map(jnp.zeros_like, params)
    updates, _ = optimizer.update(nothing, optimizer.init(params), params)
    np.testing.assert_allclose(updates["kernel"], -0.05, rtol=1e-6)
    np.testing.assert_allclose(updates["bias"], 0)
    with pytest.raises(ValueError, match="clip must be > 0, got 0"):
        training.adamw(0.1, clip=0)


def test_clipping_is_to_the_norm_and_leaves_small_gradients_alone():
    norm = 0.5 * np.sqrt(sum(a.size for a in jax.tree.leaves(PARAMS)))
    for limit in (norm / 4, norm * 4):
        found = moved(training.sgd(1.0, momentum=0, clip=limit))
        expected = 1 - 0.5 * min(1, limit / norm)
        np.testing.assert_allclose(found["head"]["kernel"], expected, rtol=1e-6)


def test_sgd_and_lion_are_their_equations():
    """Two steps of slope 0.5: momentum sums 0.5 and then 0.5 + 0.9 * 0.5; Lion takes signs."""
    found = moved(training.sgd(0.1, momentum=0.9), steps=2)
    np.testing.assert_allclose(found["embeddings"], 1 - 0.1 * (0.5 + 0.95), rtol=1e-6)
    found = moved(training.sgd(0.1, momentum=0, weight_decay=0.2))
    np.testing.assert_allclose(found["embeddings"], 1 - 0.1 * (0.5 + 0.2), rtol=1e-6)
    np.testing.assert_allclose(found["layers"][0]["bias"], 1 - 0.1 * 0.5, rtol=1e-6)
    found = moved(training.lion(0.1, weight_decay=0.2, clip=None))
    np.testing.assert_allclose(found["embeddings"], 1 - 0.1 * (1 + 0.2), rtol=1e-6)
    np.testing.assert_allclose(found["layers"][1]["bias"], 1 - 0.1, rtol=1e-6)


def test_each_layer_has_a_rate_of_its_own():
    layers = training.layers_of(PARAMS)
    assert [
        layers(name) for name in ("embeddings", "layers/0/kernel", "layers/1/bias", "head/kernel")
    ] == [
        (0, 3),
        (1, 3),
        (2, 3),
        (3, 3),
    ]
    found = moved(training.layerwise(training.sgd(1.0, momentum=0), 0.5, layers=layers))
    np.testing.assert_allclose(found["head"]["kernel"], 1 - 0.5)
    np.testing.assert_allclose(found["layers"][1]["kernel"], 1 - 0.5 / 2)
    np.testing.assert_allclose(found["layers"][0]["bias"], 1 - 0.5 / 4)
    np.testing.assert_allclose(found["embeddings"], 1 - 0.5 / 8)


def test_what_is_frozen_stays_has_no_moments_and_no_part_in_the_norm():
    optimizer = training.frozen(training.adamw(0.1, clip=1.0), lambda name: "embed" in name)
    found = moved(optimizer, steps=2)
    np.testing.assert_array_equal(found["embeddings"], PARAMS["embeddings"])
    assert (np.asarray(found["head"]["kernel"]) < 1).all()
    shapes = {a.shape for a in jax.tree.leaves(optimizer.init(PARAMS))}
    assert (4, 2) not in shapes
    limit = 0.1
    plain = training.frozen(training.sgd(1.0, momentum=0, clip=limit), lambda name: "embed" in name)
    norm = 0.5 * np.sqrt(sum(a.size for a in jax.tree.leaves(PARAMS)) - 8)
    np.testing.assert_allclose(moved(plain)["head"]["kernel"], 1 - 0.5 * limit / norm, rtol=1e-6)


def test_parts_compose():
    optimizer = training.lion(0.1, weight_decay=0.2, clip=None)
    optimizer = training.layerwise(optimizer, 0.5, layers=training.layers_of(PARAMS))
    params = moved(training.frozen(optimizer, lambda name: "layers/0" in name))
    np.testing.assert_allclose(params["head"]["kernel"], 1 - 0.12, rtol=1e-6)
    np.testing.assert_allclose(params["layers"][1]["kernel"], 1 - 0.06, rtol=1e-6)
    np.testing.assert_array_equal(params["layers"][0]["kernel"], 1)
    rate = training.cosine_warmup_decay(1e-2, steps=10)
    by_optax = optax.chain(
        training.clipped(0.5), optax.adamw(rate, weight_decay=0.1, mask=training.matrices)
    )
    np.testing.assert_array_equal(
        moved(training.adamw(rate, weight_decay=0.1, clip=0.5), 3)["embeddings"],
        moved(by_optax, 3)["embeddings"],
    )


LAYERS = training.layers_of(PARAMS)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: training.linear_warmup_decay(1e-3, steps=10, warmup=2.0),
            "warmup must be between 0 and 1, got 2.0",
        ),
        (
            lambda: training.linear_warmup_decay(1e-3, steps=10, warmup=float("nan")),
            "warmup must be between 0 and 1, got nan",
        ),
        (lambda: training.adamw(-1.0), "learning_rate must be > 0, got -1.0"),
        (
            lambda: training.cosine_warmup_decay(float("nan"), steps=10),
            "peak must be > 0, got nan",
        ),
        (lambda: training.adamw(0), "learning_rate must be > 0, got 0"),
        (lambda: training.lion(float("inf")), "learning_rate must be finite"),
        (lambda: training.sgd("2e-5"), "learning_rate must be > 0, got '2e-5'"),
        (lambda: training.adamw(0.1, weight_decay=-0.1), "weight_decay must be >= 0, got -0.1"),
        (
            lambda: training.sgd(0.1, momentum=1.5),
            "momentum must be between 0 and 1, got 1.5",
        ),
        (
            lambda: training.layerwise(training.sgd(0.1), 2, layers=LAYERS),
            "layer_decay must be between 0 and 1, got 2",
        ),
        (
            lambda: training.frozen(training.sgd(0.1), "head"),
            "where must be a function of a parameter's name",
        ),
    ],
)
def test_settings_out_of_range_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
