"""Relaxations: exact values forward, the smooth function's gradient backward, the right odds when they draw."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from jaxsim.numerics import relaxations

X = np.random.default_rng(0).normal(size=(6, 5)) * 2
SLOPE = np.random.default_rng(1).normal(size=(6, 5))
KEY = jax.random.key(0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def softmax_slope(p, slope, tau):
    """Of sum(slope * softmax(x / tau)), by x."""
    return p * (slope - (p * slope).sum(axis=-1, keepdims=True)) / tau


def value_and_slope(function, x=X):
    """Of a function's values, and the gradient of their sum with the weights SLOPE."""
    value = function(jnp.asarray(x))
    return value, jax.grad(lambda x: jnp.sum(SLOPE * function(x)))(jnp.asarray(x))


def test_grad_scale_is_the_identity_whose_gradient_is_scaled(float64):
    for k in (0.0, 0.5, -2.0, np.linspace(-1, 1, 5)):
        value, slope = value_and_slope(lambda x, k=k: relaxations.grad_scale(x, k))
        np.testing.assert_array_equal(value, X)
        np.testing.assert_allclose(slope, SLOPE * (1 + k), rtol=1e-14)


def test_grad_scale_gives_k_no_gradient_and_scales_forward_tangents(float64):
    by_k = jax.jacobian(lambda k: relaxations.grad_scale(jnp.asarray(X), k))(0.5)
    np.testing.assert_array_equal(by_k, np.zeros(X.shape))
    _, tangent = jax.jvp(lambda x: relaxations.grad_scale(x, 0.5), (X,), (SLOPE,))
    np.testing.assert_allclose(tangent, 1.5 * SLOPE, rtol=1e-14)


def test_grad_scale_leaves_dtypes_and_bits():
    x = jnp.asarray([1 / 3, jnp.nan, jnp.inf, -0.0], jnp.bfloat16)
    np.testing.assert_array_equal(
        jax.lax.bitcast_convert_type(relaxations.grad_scale(x, 0.3), jnp.uint16),
        jax.lax.bitcast_convert_type(x, jnp.uint16),
    )
    slope = jax.grad(lambda x: relaxations.grad_scale(x, jnp.float32(0.5)).sum())(x)
    assert slope.dtype == jnp.bfloat16
    np.testing.assert_array_equal(np.float32(slope), np.full(4, 1.5))


def test_grad_scale_scales_alike_on_eight_devices():
    """A factor that is the same on all devices, a gradient that is each device's: checked by JAX."""
    mesh = jax.make_mesh((8,), ("devices",), axis_types=(AxisType.Auto,))
    here, split = PartitionSpec(), PartitionSpec("devices")
    x = jnp.arange(16.0)

    def slope(x, k):
        return jax.grad(lambda x: jnp.sum(relaxations.grad_scale(x, k) ** 2))(x)

    mapped = jax.shard_map(slope, mesh=mesh, in_specs=(split, here), out_specs=split)
    np.testing.assert_array_equal(mapped(x, jnp.float32(1.0)), 4 * x)


def noisy_slope(x, k, key, axis_name=None):
    """Of sum(slope * x), a tree of two arrays, under noisy_grad_scale."""

    def value(tree, slope):
        tree = relaxations.noisy_grad_scale(tree, k, key, axis_name=axis_name)
        return jnp.sum(tree["a"] * slope) + jnp.sum(tree["b"]) * slope[0, 0]

    return jax.grad(value)({"a": x, "b": jnp.zeros(1)}, x)


def test_noise_on_a_gradient_has_the_deviation_that_it_had_before_scaling():
    x = jnp.float32(np.random.default_rng(0).normal(size=(300, 300)) * 3 + 1)
    slope = noisy_slope(x, -0.25, KEY)
    noise = np.asarray(slope["a"], np.float64) - 0.75 * np.asarray(x, np.float64)
    np.testing.assert_allclose(noise.std(), np.asarray(x).std(), rtol=0.01)
    assert abs(noise.mean()) < 4 * 3 / 300
    assert abs(np.corrcoef(noise.ravel(), np.asarray(x).ravel())[0, 1]) < 0.02
    # One element has no deviation: it is scaled alone.
    np.testing.assert_allclose(slope["b"], 0.75 * x[0, 0], rtol=1e-6)
    again = relaxations.noisy_grad_scale(x, 1.0, KEY)
    np.testing.assert_array_equal(again, x)


def test_noise_on_a_gradient_is_that_of_its_mean_over_devices():
    x = jnp.float32(np.random.default_rng(0).normal(size=(8, 5, 4)))
    mapped = jax.vmap(lambda x: noisy_slope(x, 0.5, KEY, "devices"), axis_name="devices")
    whole = noisy_slope(x.mean(axis=0), 0.5, KEY)
    for device in range(8):
        np.testing.assert_allclose(mapped(x)["a"][device], whole["a"], rtol=1e-5, atol=1e-6)


def test_straight_through_is_one_array_with_the_gradient_of_another(float64):
    value, slope = value_and_slope(lambda x: relaxations.straight_through(x > 1, jnp.sin(x)))
    np.testing.assert_array_equal(value, X > 1)
    np.testing.assert_allclose(slope, SLOPE * np.cos(X), rtol=1e-13)
    by_hard = jax.grad(lambda h: relaxations.straight_through(h, jnp.zeros(3)).sum())(jnp.ones(3))
    np.testing.assert_array_equal(by_hard, np.zeros(3))


def test_straight_through_rounds_nothing():
    soft = jnp.float32(np.random.default_rng(0).random(10_000))
    hard = relaxations.straight_through(soft > 0.5, soft)
    assert set(np.unique(hard)) == {0.0, 1.0}


@pytest.mark.parametrize("tau", [0.5, 1.0, 3.0])
def test_binarize_is_the_step_with_the_gradient_of_the_sigmoid(tau, float64):
    value, slope = value_and_slope(lambda x: relaxations.binarize(x, tau=tau))
    np.testing.assert_array_equal(value, X > 0)
    s = sigmoid(X / tau)
    np.testing.assert_allclose(slope, SLOPE * s * (1 - s) / tau, rtol=1e-12)


def test_bits_at_zero_are_zero_and_their_gradient_is_not():
    """round(sigmoid(0)) is round(.5), to even 0; autodiff of round gives no gradient at all."""
    value, slope = jax.value_and_grad(relaxations.binarize)(0.0)
    assert float(value) == 0
    assert float(slope) == 0.25
    assert float(relaxations.binarize_sign(np.float32(0))) == -1


@pytest.mark.parametrize("x", [1e4, -1e4, 3e38, -3e38])
def test_bits_of_far_inputs_are_finite_in_value_and_gradient(x):
    for bits in (
        relaxations.binarize,
        relaxations.binarize_sign,
        lambda x: relaxations.binarize_stochastic(x, KEY),
        lambda x: relaxations.binarize_noisy(x, KEY),
    ):
        value, slope = jax.value_and_grad(bits)(x)
        assert float(value) == (x > 0) or float(value) == -1
        assert float(slope) == 0


def test_nan_is_not_hidden_in_a_bit():
    x = jnp.array([jnp.nan, 1.0])
    for given in (
        relaxations.binarize(x),
        relaxations.binarize_sign(x),
        relaxations.binarize_stochastic(x, KEY),
        relaxations.binarize_noisy(x, KEY),
        relaxations.gumbel_sigmoid(x, KEY, hard=True),
        relaxations.stochastic_gate(x, KEY),
    ):
        assert np.isnan(given).tolist() == [True, False]
    for hard in (False, True):
        rows = relaxations.gumbel_softmax(jnp.array([[jnp.nan, 1.0], [0.0, 1.0]]), KEY, hard=hard)
        assert np.isnan(rows).any(axis=1).tolist() == [True, False]


def test_stochastic_bits_have_the_odds_and_the_gradient_of_the_sigmoid():
    x = jnp.float32([-2.0, -0.3, 0.0, 1.0])
    bits = jax.vmap(lambda key: relaxations.binarize_stochastic(x, key, tau=0.7))(
        jax.random.split(KEY, 20_000)
    )
    assert set(np.unique(bits)) == {0.0, 1.0}
    p = sigmoid(np.asarray(x) / 0.7)
    np.testing.assert_array_less(
        abs(np.asarray(bits).mean(axis=0) - p), 4 * np.sqrt(p * (1 - p) / 20_000)
    )
    slope = jax.grad(lambda x: relaxations.binarize_stochastic(x, KEY, tau=0.7).sum())(x)
    np.testing.assert_allclose(slope, p * (1 - p) / 0.7, rtol=1e-5)


def test_noisy_bits_are_those_of_the_noisy_input(float64):
    noise = 0.4 * np.asarray(jax.random.normal(KEY, X.shape, jnp.float64))
    value, slope = value_and_slope(lambda x: relaxations.binarize_noisy(x, KEY, deviation=0.4))
    np.testing.assert_array_equal(value, X + noise > 0)
    s = sigmoid(X + noise)
    np.testing.assert_allclose(slope, SLOPE * s * (1 - s), rtol=1e-12)


def test_signs_have_the_gradient_of_the_hard_tanh(float64):
    value, slope = value_and_slope(relaxations.binarize_sign)
    np.testing.assert_array_equal(value, np.where(X > 0, 1, -1))
    np.testing.assert_allclose(slope, SLOPE * (abs(X) <= 1), rtol=0)


def test_a_tempered_softmax_is_numpys(float64):
    for tau in (0.3, 1.0, 2.0):
        value, slope = value_and_slope(lambda x, tau=tau: relaxations.tempered_softmax(x, tau=tau))
        p = softmax(X / tau)
        np.testing.assert_allclose(value, p, rtol=1e-12)
        np.testing.assert_allclose(slope, softmax_slope(p, SLOPE, tau), rtol=1e-11, atol=1e-14)


def test_the_worked_example_of_a_relaxed_choice(float64):
    """Logits (1, 0, -1) with the noise (.2, 1.5, -.3), by hand."""
    perturbed = jnp.array([1.2, 1.5, -1.3])
    for tau, expected in (
        (1.0, (0.41119371, 0.55505345, 0.03375284)),
        (0.5, (0.3534997, 0.64411844, 0.00238186)),
        (0.1, (0.04742587, 0.95257413, 6.6e-13)),
    ):
        p = relaxations.tempered_softmax(perturbed, tau=tau)
        np.testing.assert_allclose(p, expected, rtol=0, atol=5e-9)


@pytest.mark.parametrize("hard", [False, True])
def test_a_gumbel_softmax_is_the_softmax_under_gumbel_noise(hard, float64):
    tau = 0.6
    noise = np.asarray(jax.random.gumbel(KEY, X.shape, jnp.float64))
    value, slope = value_and_slope(lambda x: relaxations.gumbel_softmax(x, KEY, tau=tau, hard=hard))
    p = softmax((X + noise) / tau)
    one_hot = np.eye(5)[p.argmax(axis=1)]
    np.testing.assert_allclose(value, one_hot if hard else p, rtol=1e-12)
    np.testing.assert_allclose(slope, softmax_slope(p, SLOPE, tau), rtol=1e-11, atol=1e-14)


def test_hard_choices_have_the_odds_of_the_softmax_at_any_temperature():
    logits = jnp.array([1.0, 0.0, -1.0])
    for tau in (0.1, 1.0):
        drawn = jax.vmap(
            lambda key, tau=tau: relaxations.gumbel_softmax(logits, key, tau=tau, hard=True)
        )(jax.random.split(KEY, 20_000))
        p = softmax(np.asarray(logits))
        error = abs(np.asarray(drawn).mean(axis=0) - p)
        np.testing.assert_array_less(error, 3 * np.sqrt(p * (1 - p) / 20_000))


def test_noise_is_finite_in_a_million_draws():
    draws = relaxations.gumbel_softmax(jnp.zeros((500_000, 2)), KEY, tau=0.5)
    assert np.isfinite(draws).all()


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("spoiled", [np.nan, np.inf, 1e30])
def test_masked_choices_have_no_part(hard, spoiled):
    where = np.array([[True, False, True], [False, False, False]])
    logits = jnp.float32(np.where(where, 0.5, spoiled))

    def chosen(logits):
        return relaxations.gumbel_softmax(logits, KEY, hard=hard, where=where)

    value = chosen(logits)
    np.testing.assert_allclose(value.sum(axis=1), [1, 0], rtol=1e-6)
    assert np.asarray(value)[~where].tolist() == [0] * 4
    slope = jax.grad(lambda x: jnp.sum(chosen(x) * np.arange(3)))(logits)
    assert np.isfinite(slope).all()
    assert np.asarray(slope)[~where].tolist() == [0] * 4


def test_gumbel_sigmoids_have_logistic_noise_and_the_released_one_is_biased_open(float64):
    noise = np.asarray(jax.random.logistic(KEY, X.shape, jnp.float64))
    value, slope = value_and_slope(lambda x: relaxations.gumbel_sigmoid(x, KEY, tau=0.5))
    s = sigmoid((X + noise) / 0.5)
    np.testing.assert_allclose(value, s, rtol=1e-12)
    np.testing.assert_allclose(slope, SLOPE * s * (1 - s) / 0.5, rtol=1e-11, atol=1e-14)
    logits = jnp.zeros(40_000)
    for gate, p in (
        (relaxations.gumbel_sigmoid, 0.5),
        (relaxations.gumbel_sigmoid_released, 1 - np.exp(-1)),
    ):
        share = float(gate(logits, KEY, hard=True).mean())
        assert abs(share - p) < 4 * np.sqrt(p * (1 - p) / 40_000)


def test_a_stochastic_gate_is_clipped_and_learns_inside_alone(float64):
    noise = np.asarray(jax.random.normal(KEY, X.shape, jnp.float64))
    gates = X / 4 + 0.5 + 0.5 * noise
    value, slope = value_and_slope(lambda x: relaxations.stochastic_gate(x, KEY), X / 4)
    np.testing.assert_allclose(value, np.clip(gates, 0, 1), rtol=1e-12)
    np.testing.assert_array_equal(slope, SLOPE * ((gates >= 0) & (gates <= 1)))
    np.testing.assert_allclose(relaxations.stochastic_gate(np.array([-3.0, 0.1, 3.0])), [0, 0.6, 1])


def test_temperatures_may_be_traced_and_narrow_floats_are_computed_in_float32():
    def slope(tau):
        return jax.grad(lambda x: relaxations.gumbel_softmax(x, KEY, tau=tau)[0])(jnp.zeros(3))

    np.testing.assert_allclose(jax.jit(slope)(0.5), slope(0.5), rtol=1e-6)
    narrow = jnp.zeros(3, jnp.bfloat16)
    assert relaxations.gumbel_softmax(narrow, KEY).dtype == jnp.float32
    assert relaxations.binarize(narrow).dtype == jnp.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: relaxations.binarize(X, tau=0.0), "tau must be > 0, got 0.0"),
        (lambda: relaxations.gumbel_softmax(X, KEY, tau=-1), "tau must be > 0, got -1"),
        (lambda: relaxations.gumbel_sigmoid(X, KEY, tau=0), "tau must be > 0, got 0"),
        (
            lambda: relaxations.binarize_noisy(X, KEY, deviation=-1.0),
            "deviation must be >= 0, got -1.0",
        ),
        (lambda: relaxations.stochastic_gate(X, deviation=-1.0), "deviation must be >= 0"),
        (lambda: relaxations.grad_scale(np.arange(3), 1.0), "x must be floats, got int32"),
        (
            lambda: relaxations.grad_scale(np.ones(3), np.ones((2, 3))),
            r"k must broadcast to the shape of x, \[3\], got shape \(2, 3\)",
        ),
        (
            lambda: relaxations.straight_through(np.ones(2), np.ones(3)),
            r"hard must be \[3\], as soft, got shape \(2,\)",
        ),
        (
            lambda: relaxations.straight_through(np.ones(3), np.arange(3)),
            "soft must be floats, got int32",
        ),
    ],
)
def test_what_is_out_of_range_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
